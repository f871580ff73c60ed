# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API for the tests and the demo: any cluster, or a control plane of our own."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from e2e.peers import peer
from e2e.pki import Authority, write_signing_key
from e2e.process import Process, Say, free_ports, paused, say_on_stderr

Object = dict[str, Any]

_ISSUER = "https://kubernetes.default.svc.cluster.local"
_READY_TIMEOUT = 60.0
_KUBECTL_TIMEOUT = 120.0
_AUDIT_LINE = 1 << 20
# A quiet watch has a bookmark each minute.
_WATCH_TIMEOUT = 180.0
_CONTENT_TYPES = {"PATCH": "application/merge-patch+json"}

# Every request but the API server's to itself, without its body: Secrets pass here.
_AUDIT_POLICY: Object = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*"]},
        {"level": "Metadata"},
    ],
}


class KubectlFailed(RuntimeError):
    """kubectl ended with an error; the message is what it said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        """Keep the finished process as `done`."""
        super().__init__(f"kubectl ended with {done.returncode}: {done.stderr.strip()}")
        self.done = done


class ApiError(RuntimeError):
    """The API server answered with an error status."""

    def __init__(self, status: int, body: Any) -> None:
        """Keep the HTTP status and the decoded body, a Status object as a rule."""
        message = body.get("message", "") if isinstance(body, dict) else str(body)
        super().__init__(f"{status}: {message}")
        self.status = status
        self.body = body


def _decode(body: bytes, content_type: str) -> Any:
    return json.loads(body) if "json" in content_type else body.decode(errors="replace")


def _dump(manifest: Object | Sequence[Object] | str | bytes | Path) -> str:
    """Turn what apply() and delete_manifest() take into a document for kubectl."""
    if isinstance(manifest, Path):
        return manifest.read_text()
    if isinstance(manifest, bytes):
        return manifest.decode()
    if isinstance(manifest, str):
        return manifest
    if isinstance(manifest, dict):
        return json.dumps(manifest)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifest)})


class Cluster:
    """A cluster reached by the current context of a kubeconfig, whoever runs it."""

    def __init__(self, kubeconfig: Path, kubectl: Path | str = "kubectl") -> None:
        """Use that kubeconfig with that kubectl; nothing is asked of the cluster yet."""
        self.kubeconfig = kubeconfig
        self._kubectl = kubectl

    # kubectl

    def kubectl(
        self,
        *args: str | Path,
        input: str | None = None,
        check: bool = True,
        timeout: float = _KUBECTL_TIMEOUT,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the kubeconfig's user; raises KubectlFailed unless check is False."""
        done = subprocess.run(
            [self._kubectl, *args],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.kubectl_env(),
        )
        if check and done.returncode != 0:
            raise KubectlFailed(done)
        return done

    def kubectl_env(self) -> dict[str, str]:
        """Return the environment kubectl runs in: no preferences of the user's."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBERC": "off"}

    def apply(self, manifest: Object | Sequence[Object] | str | bytes | Path) -> str:
        """Apply an object, a list of them, a YAML text or a file; return what kubectl said."""
        return self.kubectl("apply", "-f", "-", input=_dump(manifest)).stdout

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """Return an object; raises KubectlFailed if there is none."""
        where = ["--namespace", namespace] if namespace else []
        return json.loads(self.kubectl("get", kind, name, *where, "-o", "json").stdout)

    def find(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return an object, or None if there is none."""
        where = ["--namespace", namespace] if namespace else []
        done = self.kubectl("get", kind, name, *where, "-o", "json", "--ignore-not-found")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def objects(self, kind: str, namespace: str | None = None) -> list[Object]:
        """Return the objects of a kind in a namespace, or in all of them."""
        where = ["--namespace", namespace] if namespace else ["--all-namespaces"]
        return json.loads(self.kubectl("get", kind, *where, "-o", "json").stdout)["items"]

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """Delete an object and wait until it is gone; one that is gone already is fine."""
        where = ["--namespace", namespace] if namespace else []
        self.kubectl("delete", kind, name, *where, "--ignore-not-found")

    def wait(
        self,
        kind: str,
        name: str,
        condition: str,
        namespace: str | None = None,
        timeout: float = 30,
    ) -> None:
        """Wait as `kubectl wait --for=CONDITION` does, e.g. for "condition=Ready"."""
        where = ["--namespace", namespace] if namespace else []
        target = f"{kind}/{name}"
        limit = f"--timeout={timeout:g}s"
        self.kubectl("wait", target, f"--for={condition}", limit, *where, timeout=timeout + 30)

    def create_namespace(self, prefix: str = "test") -> str:
        """Make a namespace with a name of its own and return the name.

        Nothing empties a deleted namespace where there is no controller manager, so a test
        takes a fresh one and leaves it.
        """
        name = f"{prefix}-{secrets.token_hex(4)}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.api("POST", "/api/v1/namespaces", body)
        return name

    def secret_data(self, name: str, namespace: str) -> dict[str, bytes]:
        """Return the decoded data of a Secret."""
        secret = self.api("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        return {key: base64.b64decode(value) for key, value in secret.get("data", {}).items()}

    # ServiceAccounts

    def service_account_token(self, namespace: str, name: str, duration: str = "1h") -> str:
        """Return a token of a ServiceAccount, as `kubectl create token` makes it."""
        where = ["--namespace", namespace]
        done = self.kubectl("create", "token", name, *where, f"--duration={duration}")
        return done.stdout.strip()

    def service_account_kubeconfig(
        self, namespace: str, name: str, path: Path, duration: str = "1h"
    ) -> Path:
        """Write a kubeconfig that acts as a ServiceAccount, and return its path."""
        token = self.service_account_token(namespace, name, duration)
        write_kubeconfig(path, self._context[0], {"token": token}, namespace)
        return path

    def service_account_files(
        self, namespace: str, name: str, directory: Path, duration: str = "1h"
    ) -> Path:
        """Write token, ca.crt and namespace as a Pod finds them, and return the directory."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "token").write_text(self.service_account_token(namespace, name, duration))
        (directory / "ca.crt").write_text(self.ca_pem)
        (directory / "namespace").write_text(namespace)
        return directory

    # the API itself: no process is started, so a request takes milliseconds

    def api(self, method: str, path: str, body: Object | None = None, **options: Any) -> Any:
        """Send a request as the kubeconfig's user and return the decoded answer.

        PATCH sends a merge patch unless content_type= says otherwise; timeout= is in
        seconds, 30 unless told. Raises ApiError on an error status, OSError without one.
        """
        headers = {"Accept": "application/json", **self._authorization()}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            default = _CONTENT_TYPES.get(method, "application/json")
            headers["Content-Type"] = options.get("content_type", default)
        request = urllib.request.Request(
            self.server + path, data=data, headers=headers, method=method
        )
        try:
            with self._opener.open(request, timeout=options.get("timeout", 30)) as answer:
                return _decode(answer.read(), answer.headers.get("Content-Type", ""))
        except urllib.error.HTTPError as error:
            body = _decode(error.read(), error.headers.get("Content-Type", ""))
            raise ApiError(error.code, body) from None

    def watch(self, path: str, since: str) -> Iterator[Object]:
        """Yield the events of a kind after a resource version until the watch ends."""
        query = f"?watch=1&allowWatchBookmarks=true&resourceVersion={since}"
        headers = {"Accept": "application/json", **self._authorization()}
        request = urllib.request.Request(self.server + path + query, headers=headers)
        with self._opener.open(request, timeout=_WATCH_TIMEOUT) as answer:
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"]["code"], event["object"])
                yield event

    @property
    def server(self) -> str:
        """The base URL of the API."""
        return self._context[0]["server"].rstrip("/")

    @property
    def ca_pem(self) -> str:
        """The certificates that the API server's is verified with, empty for the system's."""
        cluster = self._context[0]
        if "certificate-authority" in cluster:
            return (self.kubeconfig.parent / cluster["certificate-authority"]).read_text()
        return base64.b64decode(cluster.get("certificate-authority-data", "")).decode()

    @functools.cached_property
    def _context(self) -> tuple[Object, Object]:
        """The cluster and the user of the current context, as they were at the first use."""
        config = yaml.safe_load(self.kubeconfig.read_text())

        def named(kind: str, name: str) -> Object:
            entries = {entry["name"]: entry for entry in config[f"{kind}s"]}
            return entries[name][kind]

        context = named("context", config["current-context"])
        return named("cluster", context["cluster"]), named("user", context["user"])

    def _authorization(self) -> dict[str, str]:
        user = self._context[1]
        return {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}

    @functools.cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=self._tls()),
        )

    def _tls(self) -> ssl.SSLContext:
        """Return a context that verifies the server, with the user's certificate if any."""
        context = ssl.create_default_context(cadata=self.ca_pem or None)
        user = self._context[1]
        if "client-certificate" in user:
            here = self.kubeconfig.parent
            context.load_cert_chain(here / user["client-certificate"], here / user["client-key"])
        elif "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile() as pem:
                for part in ("client-certificate-data", "client-key-data"):
                    pem.write(base64.b64decode(user[part]) + b"\n")
                pem.flush()
                context.load_cert_chain(pem.name)
        return context


def write_kubeconfig(path: Path, cluster: Object, user: Object, namespace: str = "default") -> None:
    """Write a kubeconfig of one context, readable by its owner alone."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [
            {"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}
        ],
        "current-context": "test",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config, sort_keys=False))


class ControlPlane(Cluster):
    """An etcd and a kube-apiserver of our own on 127.0.0.1, with RBAC and an audit log.

    There is no controller manager: nothing makes the default ServiceAccounts, collects
    garbage or empties a deleted namespace.
    """

    def __init__(self, say: Say = say_on_stderr, directory: Path | None = None) -> None:
        """Prepare it; start() runs it. A given directory is used and kept."""
        self.say = say
        assets = peer("kubernetes", say)
        self._directory_is_ours = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="acme-dns-operator-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        super().__init__(self.directory / "kubeconfig", assets / "kubectl")
        etcd_port, etcd_peer_port, self.port = free_ports(3)
        self.ca = Authority(self.directory / "pki")
        self.ca_file = self.ca.ca_file
        self.audit_log = self.directory / "audit.log"
        self._admin_token = secrets.token_urlsafe(32)
        self.etcd = self._make_etcd(assets / "etcd", etcd_port, etcd_peer_port)
        self.apiserver = self._make_apiserver(assets / "kube-apiserver", etcd_port)
        write_kubeconfig(
            self.kubeconfig,
            {
                "server": f"https://127.0.0.1:{self.port}",
                "certificate-authority-data": base64.b64encode(self.ca.ca_pem).decode(),
            },
            {"token": self._admin_token},
        )

    def __enter__(self) -> ControlPlane:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it; after an exception its logs stay."""
        self.stop(keep=kind is not None)

    def kubectl_env(self) -> dict[str, str]:
        """Return the environment kubectl runs in: its caches with the rest of our files."""
        return {**super().kubectl_env(), "KUBECACHEDIR": str(self.directory / "kubectl-cache")}

    # running

    def start(self) -> None:
        """Start etcd and the API server, and wait until both serve."""
        try:
            self.etcd.start()
            took = self.etcd.wait_ready(self._etcd_ready, _READY_TIMEOUT)
            self.say(f"starting etcd ... ready in {took:.1f} s")
            self.start_apiserver()
        except BaseException:
            self.stop(keep=True)
            raise

    def stop(self, keep: bool = False) -> None:
        """End both at once, for their data is not needed again, and remove what they wrote."""
        self.apiserver.kill()
        self.etcd.kill()
        if keep or not self._directory_is_ours:
            self.say(f"control plane stopped; its files are in {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.say("control plane stopped")

    def start_apiserver(self) -> None:
        """Start the API server, on the port that it had before, and wait until it serves."""
        self.apiserver.start()
        took = self.apiserver.wait_ready(self._apiserver_ready, _READY_TIMEOUT)
        self.say(f"starting kube-apiserver ... ready in {took:.1f} s ({self.server})")

    def stop_apiserver(self) -> None:
        """Have the API server shut down as at an upgrade; etcd keeps what was stored."""
        self.apiserver.stop()

    def kill_apiserver(self) -> None:
        """End the API server as a crash does."""
        self.apiserver.kill()

    def restart_apiserver(self) -> None:
        """Stop the API server and start it again."""
        self.stop_apiserver()
        self.start_apiserver()

    @contextlib.contextmanager
    def apiserver_paused(self) -> Iterator[None]:
        """Freeze the API server for a with block: connections stay, answers do not come."""
        with paused(self.apiserver):
            yield

    # the audit log

    def audit_mark(self) -> int:
        """Return the present end of the audit log, for audit(since=...)."""
        if not self.audit_log.exists():
            return 0
        with self.audit_log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            start = max(0, size - _AUDIT_LINE)
            log.seek(start)
            # Behind the last whole line: the next one may be half written.
            return start + log.read(size - start).rfind(b"\n") + 1

    def audit(self, since: int = 0, user: str | None = None, **fields: str) -> list[Object]:
        """Return the audit events after a mark, oldest first, one for each request.

        A user and any of verb, resource, name, namespace, group, subresource narrow it. A
        watch is there from its start; any other request a moment after its answer, so wait
        with eventually() for one that must be there.
        """
        if not self.audit_log.exists():
            return []
        with self.audit_log.open("rb") as log:
            log.seek(since)
            lines = log.read().split(b"\n")[:-1]
        events: dict[str, Object] = {}
        for line in lines:
            event = json.loads(line)
            events[event["auditID"]] = event
        return [event for event in events.values() if _matches(event, user, fields)]

    # how it is made

    def _make_etcd(self, binary: Path, port: int, peer_port: int) -> Process:
        self._etcd_url = f"http://127.0.0.1:{port}"
        peer_url = f"http://127.0.0.1:{peer_port}"
        argv = [
            binary,
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]
        return Process("etcd", argv, self.directory / "etcd.log")

    def _make_apiserver(self, binary: Path, etcd_port: int) -> Process:
        pki = self.directory / "pki"
        pair = self.ca.server("apiserver", ["127.0.0.1", "localhost", "kubernetes.default.svc"])
        signing, verifying = pki / "sa.key", pki / "sa.pub"
        write_signing_key(signing, verifying)
        tokens, policy = pki / "tokens.csv", self.directory / "audit-policy.yaml"
        tokens.touch(mode=0o600)
        tokens.write_text(f"{self._admin_token},admin,admin,system:masters\n")
        policy.write_text(yaml.safe_dump(_AUDIT_POLICY))
        argv = [
            binary,
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={pair.certificate}",
            f"--tls-private-key-file={pair.key}",
            f"--client-ca-file={self.ca_file}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={verifying}",
            f"--service-account-signing-key-file={signing}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=0",
            "--profiling=false",
        ]
        return Process("kube-apiserver", argv, self.directory / "kube-apiserver.log")

    def _etcd_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._etcd_url}/health", timeout=1) as answer:
                return json.loads(answer.read()).get("health") == "true"
        except (OSError, ValueError):
            return False

    def _apiserver_ready(self) -> bool:
        """Whether it is ready by its own word and has made the namespace `default`."""
        try:
            self.api("GET", "/readyz", timeout=2)
            self.api("GET", "/api/v1/namespaces/default", timeout=2)
        except (ApiError, OSError):
            return False
        return True


def _matches(event: Object, user: str | None, fields: dict[str, str]) -> bool:
    """Whether an audit event is of that user and has those fields."""
    if user is not None and event["user"].get("username") != user:
        return False
    reference = event.get("objectRef", {})
    of = {
        "verb": event.get("verb"),
        "resource": reference.get("resource"),
        "name": reference.get("name"),
        "namespace": reference.get("namespace"),
        "group": reference.get("apiGroup", ""),
        "subresource": reference.get("subresource", ""),
    }
    return all(of[field] == value for field, value in fields.items())
