# SPDX-License-Identifier: Apache-2.0
"""The API server goes, comes back, refuses and falls silent; the operator goes on where it was."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.cluster import ApiError, Object
from e2e.gateway import Gateway, Relay, behind
from e2e.operator import NAMESPACE, Operator
from e2e.peers import ROOT
from e2e.process import eventually
from e2e.scene import OWN_KEY, SECRET, Scene, Site, registration, secret_ref

RBAC = "rbac.authorization.k8s.io"
WATCH = "watch acmednsregistrations"
LIST = "list acmednsregistrations"
GONE = "too old resource version"


@pytest.fixture(autouse=True)
def alone(site: Site) -> None:
    """See that no operator of another module's is there."""
    site.vacate()


def make_operator(
    scene: Scene, directory: Path, *flags: str, kubeconfig: Path | None = None, server: str = ""
) -> Operator:
    """Describe an operator for the namespace of the scene."""
    path = kubeconfig or scene.site.kubeconfig
    if server:
        path = behind(path, server)
    return Operator(path, directory, f"--watch-namespaces={scene.namespace}", *flags)


def create(scene: Scene, name: str, **spec: object) -> None:
    """Create an object with a Secret and a domain of its own."""
    ref = secret_ref(name)
    scene.create(
        registration(scene.server.url, f"{name}.example", name=name, accountSecretRef=ref, **spec)
    )


def wait_log(operator: Operator, text: str) -> None:
    """Wait until the operator has said something."""
    eventually(lambda: text in operator.log.read_text(), 30, f"the log says {text!r}")


def expired(code: int = 410) -> Object:
    """Return the Status for a resourceVersion that is too old."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": "Expired",
        "message": GONE,
        "code": code,
    }


# --- the API server restarts ---


def test_objects_are_served_after_a_restart_and_none_is_registered_again(
    scene: Scene, tmp_path: Path
) -> None:
    with make_operator(scene, tmp_path, "--secret-resync=1s") as operator:
        create(scene, "before")
        scene.wait_ready("before")
        scene.plane.restart_apiserver()
        create(scene, "after")
        scene.wait_ready("after", timeout=60)
        scene.wait_looks(1, "before")
        assert len(scene.posts()) == 2
        assert operator.probe("/healthz") == 200


def test_account_in_hand_outlives_an_outage_of_the_api_server(scene: Scene, tmp_path: Path) -> None:
    with make_operator(scene, tmp_path) as operator:
        scene.server.hold("after")
        create(scene, "example")
        scene.server.wait_held()
        scene.plane.kill_apiserver()
        scene.server.release()
        wait_log(operator, "msg=registered")
        wait_log(operator, 'msg="writing a Secret failed"')
        assert operator.probe("/healthz") == 200
        scene.plane.start_apiserver()
        scene.wait_ready(timeout=60)
    assert len(scene.posts()) == 1
    assert "uncertain" not in json.dumps(scene.own_document("example"))


def test_operator_that_starts_before_the_api_server_becomes_ready(
    scene: Scene, tmp_path: Path
) -> None:
    create(scene, "example")
    operator = make_operator(scene, tmp_path)
    scene.plane.kill_apiserver()
    operator.start(ready=False)
    wait_log(operator, 'msg="cannot follow a resource"')
    assert operator.probe("/healthz") == 200
    assert operator.probe("/readyz") == 500
    scene.plane.start_apiserver()
    scene.wait_ready(timeout=60)
    operator.stop()


# --- connections ---


@pytest.fixture
def relay(scene: Scene) -> Iterator[Relay]:
    """Pass bytes between the operator and the API server."""
    with Relay(scene.plane) as relay:
        yield relay


def serve_ten(scene: Scene) -> None:
    """Have ten objects served at once."""
    for i in range(10):
        create(scene, f"many-{i}")
    scene.wait_all_ready(10, 30)


def test_one_connection_carries_all_requests_and_the_watch(
    scene: Scene, relay: Relay, tmp_path: Path
) -> None:
    with make_operator(scene, tmp_path, server=relay.url):
        serve_ten(scene)
    assert relay.accepted == 1


def test_lease_has_a_connection_of_its_own(scene: Scene, relay: Relay, tmp_path: Path) -> None:
    election = ("--leader-elect", f"--leader-election-id={scene.namespace}")
    with make_operator(scene, tmp_path, *election, server=relay.url):
        serve_ten(scene)
    assert relay.accepted == 2


def test_http1_needs_more_connections_and_does_the_same(
    scene: Scene, relay: Relay, tmp_path: Path
) -> None:
    with make_operator(scene, tmp_path, "--http1", server=relay.url):
        serve_ten(scene)
    assert relay.accepted > 1
    assert len(scene.posts()) == 10


@pytest.mark.parametrize("flags", [(), ("--http1",)])
def test_object_made_after_its_connections_were_cut_is_served(
    scene: Scene, relay: Relay, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    with make_operator(scene, tmp_path, *flags, server=relay.url):
        create(scene, "before")
        scene.wait_ready("before")
        relay.cut()
        create(scene, "after")
        scene.wait_ready("after")
    assert len(scene.posts()) == 2


def test_connection_cut_with_an_account_in_hand_loses_nothing(
    scene: Scene, relay: Relay, tmp_path: Path
) -> None:
    with make_operator(scene, tmp_path, server=relay.url):
        scene.server.hold("after")
        create(scene, "example")
        scene.server.wait_held()
        relay.cut()
        scene.server.release()
        scene.wait_ready()
    assert len(scene.posts()) == 1


def test_lease_is_kept_when_the_connection_falls_silent(
    scene: Scene, relay: Relay, tmp_path: Path
) -> None:
    election = (
        "--leader-elect",
        f"--leader-election-id={scene.namespace}",
        "--leader-election-lease-duration=12s",
        "--leader-election-renew-deadline=10s",
        "--leader-election-retry-period=500ms",
    )
    with make_operator(scene, tmp_path, *election, server=relay.url) as operator:
        create(scene, "example")
        scene.wait_ready()
        relay.silence()
        operator.process.wait_ready(lambda: relay.accepted > 2, 30)
        renewed = renewals(scene)
        eventually(lambda: renewals(scene) > renewed, 30, "the lease is renewed")


def renewals(scene: Scene) -> str:
    """Return when the lease was renewed."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{scene.namespace}"
    return scene.plane.api("GET", path)["spec"]["renewTime"]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_connection_that_falls_silent_is_given_up_within_three_minutes(
    scene: Scene, relay: Relay, tmp_path: Path
) -> None:
    with make_operator(scene, tmp_path, "-v4", server=relay.url) as operator:
        create(scene, "before")
        scene.wait_ready("before")
        # A server that has sent none may be one that never does.
        bookmarks = "informer_watch_events_total"
        eventually(lambda: operator.metric(bookmarks, type="BOOKMARK"), 120, "a bookmark came")
        relay.silence()
        begun = time.monotonic()
        create(scene, "after")
        scene.wait_ready("after", timeout=300)
        assert time.monotonic() - begun < 180
    assert len(scene.posts()) == 2


# --- watches and lists that fail ---


@pytest.fixture
def gateway(scene: Scene) -> Iterator[Gateway]:
    """Choose what passes between the operator and the API server."""
    with Gateway(scene.plane) as gateway:
        yield gateway


def test_cut_watch_goes_on_from_where_it_was_without_a_list(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    with make_operator(scene, tmp_path, server=gateway.url):
        create(scene, "before")
        scene.wait_ready("before")
        hold = gateway.hold(WATCH, "before")
        gateway.cut_watches()
        hold.wait()
        create(scene, "meanwhile")
        scene.change("before", domains=["before.example", "more.example"])
        hold.release()
        scene.wait_ready("meanwhile")
        scene.wait_ready("before")
    assert gateway.seen.count(LIST) == 1
    assert len(scene.posts()) == 3


EXPIRED = {
    "a status": (410, expired()),
    "an event": (200, {"type": "ERROR", "object": expired()}),
}


@pytest.mark.parametrize("how", EXPIRED)
def test_expired_watch_is_listed_again_and_misses_nothing(
    scene: Scene, gateway: Gateway, tmp_path: Path, how: str
) -> None:
    with make_operator(scene, tmp_path, server=gateway.url):
        create(scene, "gone")
        create(scene, "before")
        scene.wait_ready("gone")
        scene.wait_ready("before")
        hold = gateway.hold(LIST, "before")
        gateway.answer(WATCH, *EXPIRED[how])
        gateway.cut_watches()
        hold.wait()
        scene.delete("gone")
        create(scene, "meanwhile")
        hold.release()
        scene.wait_ready("meanwhile")
        create(scene, "after")
        scene.wait_ready("after")
    assert gateway.seen.count(LIST) == 2
    assert len(scene.posts()) == 4


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("what", [LIST, WATCH])
def test_trouble_of_the_api_server_is_waited_out(
    scene: Scene, gateway: Gateway, tmp_path: Path, what: str, status: int
) -> None:
    gateway.answer(what, status, {"kind": "Status", "code": status})
    with make_operator(scene, tmp_path, server=gateway.url):
        create(scene, "example")
        scene.wait_ready()


@pytest.mark.parametrize("body", [b"", b"no JSON", b"{}", b"[]", b'{"items": {}}', b"\0" * 4096])
def test_list_that_is_none_is_tried_again(
    scene: Scene, gateway: Gateway, tmp_path: Path, body: bytes
) -> None:
    create(scene, "example")
    answer = gateway.answer(LIST, 200, body)
    with make_operator(scene, tmp_path, server=gateway.url):
        answer.wait()
        scene.wait_ready()
    assert gateway.seen.count(LIST) == 2


@pytest.mark.parametrize("body", [b"", b"no JSON\n", b'{"type": "ADDED"}\n', b"{}\n", b'{"a":'])
def test_watch_that_sends_no_event_is_begun_again(
    scene: Scene, gateway: Gateway, tmp_path: Path, body: bytes
) -> None:
    answer = gateway.answer(WATCH, 200, body)
    with make_operator(scene, tmp_path, server=gateway.url):
        answer.wait()
        create(scene, "example")
        scene.wait_ready()


def test_write_that_conflicts_is_made_again_on_the_newer_secret(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    with make_operator(scene, tmp_path, server=gateway.url):
        hold = gateway.hold("patch secrets", "before")
        scene.create(registration(scene.server.url, "example.com"))
        hold.wait()
        scene.patch_secret({"metadata": {"labels": {"a": "b"}}})
        scene.set_value("by hand", "more")
        hold.release()
        scene.wait_ready()
    assert scene.value("more") == b"by hand"
    assert scene.secret()["metadata"]["labels"]["a"] == "b"
    assert set(scene.accounts()) == {"example.com"}
    assert len(scene.posts()) == 1


def test_object_made_anew_before_the_first_patch_is_not_acted_on_as_the_old_one(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    with make_operator(scene, tmp_path, server=gateway.url):
        hold = gateway.hold("patch acmednsregistrations/status", "before")
        create(scene, "example")
        hold.wait()
        scene.delete()
        scene.create(registration(scene.server.url, "other.example"))
        hold.release()
        scene.wait_ready()
    assert set(scene.accounts()) == {"other.example"}
    assert len(scene.posts()) == 1


# --- who may not ---


def make_account(scene: Scene, name: str) -> str:
    """Make a ServiceAccount without rights; the name of its user."""
    metadata = {"name": name, "namespace": scene.namespace}
    scene.plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    return f"system:serviceaccount:{scene.namespace}:{name}"


def grant(scene: Scene, name: str, *resources: str) -> None:
    """Let the ServiceAccount do what the operator may do with these resources."""
    shipped = yaml.safe_load((ROOT / "manifests/rbac/role.yaml").read_text())["rules"]
    rules = [rule for rule in shipped if set(rule["resources"]) & set(resources)]
    metadata = {"name": f"{name}-{resources[0]}", "namespace": scene.namespace}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": scene.namespace}
    ref = {"apiGroup": RBAC, "kind": "Role", "name": metadata["name"]}
    head = {"apiVersion": f"{RBAC}/v1", "metadata": metadata}
    scene.plane.apply(
        [
            {**head, "kind": "Role", "rules": rules},
            {**head, "kind": "RoleBinding", "roleRef": ref, "subjects": [subject]},
        ]
    )


def kubeconfig_of(scene: Scene, name: str, directory: Path) -> Path:
    """Write a kubeconfig of a ServiceAccount of the scene."""
    path = directory / f"{name}.kubeconfig"
    return scene.plane.service_account_kubeconfig(scene.namespace, name, path)


OBJECTS = ("acmednsregistrations", "acmednsregistrations/status", "events")


def test_operator_that_may_not_list_says_so_and_serves_when_it_may(
    scene: Scene, tmp_path: Path
) -> None:
    user = make_account(scene, "poor")
    operator = make_operator(scene, tmp_path, kubeconfig=kubeconfig_of(scene, "poor", tmp_path))
    operator.start(ready=False)
    wait_log(operator, f'User \\"{user}\\" cannot list resource \\"acmednsregistrations\\"')
    assert operator.probe("/readyz") == 500
    grant(scene, "poor", *OBJECTS, "secrets")
    create(scene, "example")
    scene.wait_ready(timeout=60)
    operator.stop()


def test_operator_that_may_not_read_secrets_says_so_and_serves_when_it_may(
    scene: Scene, tmp_path: Path
) -> None:
    make_account(scene, "poor")
    grant(scene, "poor", *OBJECTS)
    path = kubeconfig_of(scene, "poor", tmp_path)
    with make_operator(scene, tmp_path, kubeconfig=path):
        create(scene, "example")
        scene.wait(SecretReady="False/SecretDenied", Ready="False/SecretDenied")
        assert scene.posts() == []
        grant(scene, "poor", "secrets")
        scene.wait_ready()


def test_token_that_is_refused_is_read_again_from_its_file(scene: Scene, tmp_path: Path) -> None:
    good = yaml.safe_load(scene.site.kubeconfig.read_text())
    token = tmp_path / "token"
    token.write_text("no.such.token")
    user = good["users"][0]["user"]
    user["tokenFile"], right = "token", user.pop("token")
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(good))
    operator = make_operator(scene, tmp_path, kubeconfig=path)
    operator.start(ready=False)
    wait_log(operator, "Unauthorized")
    assert operator.probe("/healthz") == 200
    assert operator.probe("/readyz") == 500
    token.write_text(right)
    create(scene, "example")
    scene.wait_ready(timeout=60)
    operator.stop()
    assert "no.such.token" not in operator.log.read_text()


def test_server_of_another_authority_is_not_talked_to(scene: Scene, tmp_path: Path) -> None:
    config = yaml.safe_load(scene.site.kubeconfig.read_text())
    config["clusters"][0]["cluster"].pop("certificate-authority-data")
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    operator = make_operator(scene, tmp_path, kubeconfig=path)
    operator.start(ready=False)
    wait_log(operator, "certificate")
    assert operator.probe("/readyz") == 500
    operator.stop()


# --- Secrets that may not be written ---


def quota(scene: Scene, secrets: int) -> None:
    """Allow so many Secrets, as the quota controller would have counted them."""
    path = f"/api/v1/namespaces/{scene.namespace}/resourcequotas"
    hard = {"secrets": str(secrets)}
    made = scene.plane.api("POST", path, {"metadata": {"name": "quota"}, "spec": {"hard": hard}})
    made["status"] = {"hard": hard, "used": {"secrets": "0"}}
    scene.plane.api("PUT", f"{path}/quota/status", made)


def test_quota_that_is_full_is_told_and_heals(scene: Scene, tmp_path: Path) -> None:
    quota(scene, 0)
    with make_operator(scene, tmp_path):
        create(scene, "example")
        obj = scene.wait(SecretReady="False/SecretDenied", Ready="False/SecretDenied")
        assert scene.posts() == []
        path = f"/api/v1/namespaces/{scene.namespace}/resourcequotas/quota"
        scene.plane.api("DELETE", path)
        scene.wait_ready(timeout=60)
    assert "used:" not in json.dumps(obj["status"])
    assert len(scene.posts()) == 1


def terminate(scene: Scene) -> None:
    """Delete the namespace; nothing empties it, so it stays on its way out."""
    scene.plane.api("DELETE", f"/api/v1/namespaces/{scene.namespace}")


def test_namespace_on_its_way_out_gets_no_secret(scene: Scene, tmp_path: Path) -> None:
    create(scene, "example")
    terminate(scene)
    with make_operator(scene, tmp_path):
        scene.wait(SecretReady="False/NamespaceTerminating", Ready="False/NamespaceTerminating")
    assert scene.posts() == []
    with pytest.raises(ApiError, match="not found"):
        scene.secret("example")


def test_account_in_hand_is_stored_in_a_namespace_on_its_way_out(
    scene: Scene, tmp_path: Path
) -> None:
    with make_operator(scene, tmp_path):
        scene.server.hold("after")
        scene.create(registration(scene.server.url, "example.com"))
        scene.server.wait_held()
        terminate(scene)
        scene.server.release()
        eventually(lambda: scene.value(OWN_KEY) and "example.com" in accounts(scene), 30, "stored")
    assert len(scene.posts()) == 1


def accounts(scene: Scene) -> Object:
    """Return the accounts in the Secret; none as long as there is only a claim."""
    data = scene.plane.secret_data(SECRET, scene.namespace)
    return json.loads(data.get("acmedns.json", b"{}"))
