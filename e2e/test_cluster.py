# SPDX-License-Identifier: Apache-2.0
"""The control plane and the judge that the other tests rely on."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from e2e.cluster import (
    ApiError,
    Cluster,
    ControlPlane,
    KubectlFailed,
    Object,
    write_kubeconfig,
)
from e2e.peers import ROOT, Refused, present
from e2e.process import Process, ProcessFailed, eventually

TOKEN = "x" * 43


def config_map(namespace: str, name: str = "sample") -> Object:
    """Return an object that any API server takes."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}}


def make_reader(control_plane: ControlPlane, namespace: str) -> None:
    """Make a ServiceAccount `reader` that may get ConfigMaps, and nothing else."""
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    group = "rbac.authorization.k8s.io"
    metadata = {"name": "reader", "namespace": namespace}
    control_plane.apply(
        [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
                "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
            },
        ]
    )


@pytest.mark.skipif("KUBEBUILDER_ASSETS" in os.environ, reason="the binaries are not ours")
def test_kubectl_and_server_are_of_the_pinned_version(control_plane: ControlPlane) -> None:
    module = (ROOT / "hack" / "tools" / "kubernetes" / "go.mod").read_text()
    pinned = re.search(r"k8s\.io/kubernetes (v\S+)", module)
    assert pinned is not None
    out = control_plane.kubectl("version").stdout
    assert f"Client Version: {pinned[1]}" in out
    assert f"Server Version: {pinned[1]}" in out


def test_kubectl_reports_its_error(control_plane: ControlPlane) -> None:
    with pytest.raises(KubectlFailed, match="not found"):
        control_plane.get("configmap", "absent", "default")
    assert control_plane.find("configmap", "absent", "default") is None
    assert control_plane.kubectl("get", "nonsense", check=False).returncode == 1


def test_tls_is_verified(control_plane: ControlPlane, tmp_path: Path) -> None:
    with pytest.raises(urllib.error.URLError) as caught:
        urllib.request.urlopen(f"{control_plane.server}/readyz", timeout=5)
    assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)

    bare = tmp_path / "kubeconfig"
    lines = control_plane.kubeconfig.read_text().splitlines(keepends=True)
    bare.write_text("".join(line for line in lines if "certificate-authority" not in line))
    stranger = Cluster(bare, control_plane._kubectl)
    assert (
        "certificate signed by unknown authority"
        in stranger.kubectl("get", "namespaces", check=False).stderr
    )


def test_api_without_kubectl(control_plane: ControlPlane) -> None:
    namespace = control_plane.create_namespace()
    base = f"/api/v1/namespaces/{namespace}/configmaps"
    control_plane.api("POST", base, config_map(namespace))
    changed = control_plane.api("PATCH", f"{base}/sample", {"data": {"a": "c"}})
    assert changed["data"] == {"a": "c"}
    with pytest.raises(ApiError, match="already exists") as caught:
        control_plane.api("POST", base, config_map(namespace))
    assert caught.value.status == 409


def test_wait_and_delete(control_plane: ControlPlane) -> None:
    namespace = control_plane.create_namespace()
    control_plane.apply(config_map(namespace))
    control_plane.wait("configmap", "sample", "jsonpath={.data.a}=b", namespace, timeout=5)
    with pytest.raises(KubectlFailed, match="timed out"):
        control_plane.wait("configmap", "sample", "jsonpath={.data.a}=c", namespace, timeout=1)
    control_plane.delete("configmap", "sample", namespace)
    assert control_plane.find("configmap", "sample", namespace) is None


def test_secret_data(control_plane: ControlPlane) -> None:
    namespace = control_plane.create_namespace()
    metadata = {"name": "accounts", "namespace": namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    control_plane.apply({**secret, "stringData": {"acmedns.json": "{}"}})
    assert control_plane.secret_data("accounts", namespace) == {"acmedns.json": b"{}"}


def test_service_account_may_what_its_role_allows(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    namespace = control_plane.create_namespace()
    make_reader(control_plane, namespace)
    control_plane.apply(config_map(namespace))
    path = control_plane.service_account_kubeconfig(namespace, "reader", tmp_path / "kubeconfig")
    reader = Cluster(path, control_plane._kubectl)
    assert reader.get("configmap", "sample")["data"] == {"a": "b"}
    with pytest.raises(ApiError) as caught:
        reader.api("GET", f"/api/v1/namespaces/{namespace}/secrets/sample")
    assert caught.value.status == 403


def test_service_account_files_are_as_in_a_pod(control_plane: ControlPlane, tmp_path: Path) -> None:
    namespace = control_plane.create_namespace()
    make_reader(control_plane, namespace)
    directory = control_plane.service_account_files(namespace, "reader", tmp_path / "sa")
    assert (directory / "namespace").read_text() == namespace
    assert (directory / "ca.crt").read_text() == control_plane.ca_file.read_text()
    assert (directory / "token").read_text().count(".") == 2


def test_client_certificate_is_taken(control_plane: ControlPlane, tmp_path: Path) -> None:
    pair = control_plane.ca.client("someone", "someone", "system:masters")
    cluster = {"server": control_plane.server, "certificate-authority": control_plane.ca_file}
    user = {"client-certificate": pair.certificate, "client-key": pair.key}
    path = tmp_path / "kubeconfig"
    write_kubeconfig(
        path,
        {key: str(value) for key, value in cluster.items()},
        {key: str(value) for key, value in user.items()},
    )
    someone = Cluster(path, control_plane._kubectl)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = someone.api("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    assert answer["status"]["userInfo"]["username"] == "someone"


def test_audit_log_sees_each_request_once(control_plane: ControlPlane) -> None:
    namespace = control_plane.create_namespace()
    mark = control_plane.audit_mark()
    control_plane.api(
        "POST", f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "s"}}
    )
    control_plane.api("GET", f"/api/v1/namespaces/{namespace}/secrets/s")
    eventually(
        lambda: len(control_plane.audit(mark, user="admin", namespace=namespace)) == 2,
        5,
        "the audit log holds both requests",
    )
    (create,) = control_plane.audit(mark, verb="create", resource="secrets", namespace=namespace)
    assert create["responseStatus"]["code"] == 201
    assert "requestObject" not in create
    assert control_plane.audit(control_plane.audit_mark(), namespace=namespace) == []


@pytest.mark.usefixtures("stack")
def test_restarted_apiserver_keeps_data_and_address(control_plane: ControlPlane) -> None:
    namespace = control_plane.create_namespace()
    control_plane.apply(config_map(namespace))
    server, pid = control_plane.server, control_plane.apiserver.pid
    control_plane.restart_apiserver()
    assert control_plane.apiserver.pid != pid
    assert control_plane.server == server
    assert control_plane.get("configmap", "sample", namespace)["data"] == {"a": "b"}


@pytest.mark.usefixtures("stack")
def test_paused_apiserver_is_silent_and_comes_back(control_plane: ControlPlane) -> None:
    with control_plane.apiserver_paused(), pytest.raises(OSError):
        control_plane.api("GET", "/readyz", timeout=0.5)
    assert control_plane.api("GET", "/readyz", timeout=5) == "ok"


def test_process_that_fails_shows_its_log(tmp_path: Path) -> None:
    process = Process("false", ["sh", "-c", "echo broken; exit 3"], tmp_path / "log")
    process.start()
    with pytest.raises(ProcessFailed, match=r"(?s)ended with 3.*broken"):
        process.wait_ready(lambda: False, timeout=5)


def test_process_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from e2e.process import Process\n"
        "log = pathlib.Path(sys.argv[1])\n"
        "p = Process('sleep', ['sh', '-c', 'echo up; exec sleep 60'], log); p.start()\n"
        "p.wait_ready(lambda: 'up' in p.log_tail(), 10)\n"
        "print(p.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "log"], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: not _alive(child), 5, "the child ended with its parent")


def _alive(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody collects does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"garbage", "Error unmarshalling accountJSON: invalid character 'g'"),
        (b"", "Error unmarshalling accountJSON: unexpected end of JSON input"),
        (b"{}", "account credentials not found for domain example.com"),
        (b'{"example.com": []}', "Error unmarshalling accountJSON: json: cannot unmarshal array"),
    ],
)
def test_judge_refuses_a_bad_document(document: bytes, message: str) -> None:
    with pytest.raises(Refused, match=message):
        present(document, "http://127.0.0.1:1", "*.example.com", TOKEN)
