# SPDX-License-Identifier: Apache-2.0
"""An operator with nothing to do writes nothing: at rest, after restarts, as a follower."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from e2e.cluster import Cluster, Object
from e2e.operator import NAMESPACE, USER, Operator
from e2e.peers import ROOT
from e2e.process import eventually
from e2e.scene import (
    GROUP,
    KEY,
    SECRET,
    Scene,
    Site,
    account,
    condition,
    is_write,
    records,
    registration,
    secret_ref,
    summary,
)

REST = 120.0
RESTARTS = 20
NARROW = "narrow"


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Run the operator as the Deployment does, but for its periodic looks, turned down."""
    return site.run(
        "--leader-elect",
        "--secret-resync=1s",
        "--lost-account-grace=1h",
        "--probe-interval=1s",
        "--dns-endpoint-domains=handed.example",
    )


# --- objects in every state that lasts ---


def settle_ready(scene: Scene) -> dict[str, str]:
    """Make objects that are served, each with a Secret of its name."""
    url = scene.server.url
    adopted = json.dumps({"adopted.example": scene.server.register() | {"server_url": url}})
    scene.put_secret({KEY: adopted}, "adopted")
    scene.register("adopted.example", name="adopted", accountSecretRef=secret_ref("adopted"))
    for name, more in {"each": {}, "shared": {"accountPolicy": "Shared"}}.items():
        domains = ("example.com", "*.example.com", "www.example.com")
        scene.register(*domains, name=name, accountSecretRef=secret_ref(name), **more)
    for name in ("first", "second"):
        wanted = {"secretTemplate": {"labels": {"wanted-by": name}}}
        scene.register(f"{name}.example", name=name, accountSecretRef=secret_ref("tags"), **wanted)
    reasons = dict.fromkeys(("adopted", "each", "first"), "Ready")
    return reasons | {"shared": "TooManyNames", "second": "TemplateConflict"}


def settle_stalled(scene: Scene) -> dict[str, str]:
    """Make objects that only a person can help; return the reason of each."""
    foreign = json.dumps({"other.example": account()})
    scene.put_secret({KEY: "[]"}, "unreadable")
    scene.put_secret({KEY: "{}"}, "empty")
    scene.put_secret({KEY: foreign}, "immutable", immutable=True)
    scene.put_secret({KEY: foreign.replace("password", "word")[:-1] + "}"}, "mistyped", type="x/y")
    incomplete = {"example.com": {"username": "x"}, "other.example": account()}
    scene.put_secret({KEY: json.dumps(incomplete)}, "incomplete")
    elsewhere = {"example.com": account(server_url="https://other.example.net")}
    scene.put_secret({KEY: json.dumps(elsewhere)}, "elsewhere")
    reasons = {
        "unreadable": "SecretUnparsable",
        "empty": "SecretNotAdopted",
        "immutable": "SecretImmutable",
        "mistyped": "SecretNotAdopted",
        "incomplete": "AccountIncomplete",
        "elsewhere": "HostChanged",
        "inside": "HostAddressRefused",
        "annotated": "UnsupportedField",
    }
    specs: dict[str, Object] = {
        "inside": {"host": "http://[::1]"},
    }
    for name in reasons:
        spec = {"host": scene.server.url, "accountSecretRef": secret_ref(name)}
        obj = registration(domains=["example.com"], name=name, **spec | specs.get(name, {}))
        if name == "annotated":
            obj["metadata"]["annotations"] = {f"{GROUP}/rotate": "2" * 257}
        scene.create(obj)
    return reasons


def settle_lost(scene: Scene) -> dict[str, str]:
    """Make an object whose entry is gone, and one whose domain belongs to another."""
    scene.register("example.com", name="lost", accountSecretRef=secret_ref("lost"))
    scene.set_value("{}", name="lost")
    loser = registration(
        scene.server.url, "example.com", name="loser", accountSecretRef=secret_ref("each")
    )
    scene.create(loser)
    return {"lost": "AccountMissing", "loser": "DomainConflict"}


def settle(scene: Scene) -> dict[str, str]:
    """Make objects in every state that lasts, and wait until all that is to say was said."""
    served = settle_ready(scene)
    reasons = served | settle_stalled(scene) | settle_lost(scene)
    for name in served:
        scene.wait(name, CredentialsValid="True")
    for name, reason in reasons.items():
        scene.wait(name, Ready=f"{name in served}/{reason}")
        scene.wait_event("Registered" if reason == "Ready" else reason, name)
    return reasons


def settle_handed(scene: Scene) -> None:
    """Make an object with a DNSEndpoint, to which the operator has no right here."""
    spec = {"accountSecretRef": secret_ref("handed"), "cname": {"verify": False, "dnsEndpoint": {}}}
    scene.register("handed.example", name="handed", **spec)
    scene.wait("handed", CNAMEReady="False/DNSEndpointUnavailable", CredentialsValid="True")
    scene.wait_event("Registered", "handed")


def watched_secrets(scene: Scene) -> set[str]:
    """Return the Secrets that objects of the scene have and the operator looks at."""
    objects = [each for each in scene.objects() if not each["spec"].get("suspend")]
    return {each["spec"]["accountSecretRef"]["name"] for each in objects}


def looks(scene: Scene, since: int) -> list[str]:
    """Return the name of the Secret of each look at one."""
    events = scene.requests(since=since)
    return [each["objectRef"]["name"] for each in events if summary(each) == "get secrets"]


def writes(scene: Scene, since: int) -> set[str]:
    """Return what the operator wrote anywhere since a mark."""
    return {summary(each) for each in scene.plane.audit(since, user=USER) if is_write(each)}


def snapshot(scene: Scene) -> list[Object]:
    """Return all objects and Secrets of the scene."""
    return [*scene.objects(), *scene.secrets().values()]


# --- nothing to do ---


def test_twenty_restarts_cost_no_registration_and_no_write_but_the_lease(
    scene: Scene, operator: Operator
) -> None:
    settle(scene)
    settle_handed(scene)
    before, posts, mark = snapshot(scene), len(scene.posts()), scene.plane.audit_mark()
    for _ in range(RESTARTS):
        operator.stop()
        started = scene.plane.audit_mark()
        operator.start()
        eventually(
            lambda since=started: set(looks(scene, since)) >= watched_secrets(scene),
            30,
            "every Secret was read again",
        )
    for name in watched_secrets(scene):
        scene.wait_looks(2, name, started)
    assert writes(scene, mark) <= {"update leases"}
    assert snapshot(scene) == before
    assert len(scene.posts()) == posts


def test_at_rest_nothing_but_the_lease_is_written_for_two_minutes(scene: Scene) -> None:
    settle(scene)
    settle_handed(scene)
    before, posts, mark = snapshot(scene), len(scene.posts()), scene.plane.audit_mark()
    time.sleep(REST)  # what happens meanwhile is the test
    assert writes(scene, mark) == {"update leases"}
    assert snapshot(scene) == before
    assert len(scene.posts()) == posts
    seen = looks(scene, mark)
    assert all(seen.count(name) > REST / 2 for name in watched_secrets(scene))


# --- what changed while it was away ---


def test_change_made_while_it_was_away_is_told_at_its_start(
    scene: Scene, operator: Operator
) -> None:
    scene.register("example.com")
    scene.wait_event("Registered")
    operator.stop()
    mark = scene.plane.audit_mark()
    scene.delete_secret()
    operator.start()
    scene.wait(Ready="False/AccountMissing")
    scene.wait_event("AccountMissing")
    assert len(scene.posts()) == 1
    assert writes(scene, mark) <= {
        "update leases",
        "patch acmednsregistrations/status",
        "create events",
    }
    assert scene.counts(since=mark)["patch acmednsregistrations/status"] == 1


def test_object_made_and_changed_while_it_was_away_is_served_once(
    scene: Scene, operator: Operator
) -> None:
    operator.stop()
    scene.create(registration(scene.server.url, "example.com"))
    scene.change(domains=["example.com", "www.example.com"])
    operator.start()
    assert len(records(scene.wait_ready())) == 2
    assert len(scene.posts()) == 2


def test_domain_given_up_while_it_was_away_is_free(scene: Scene, operator: Operator) -> None:
    obj = scene.register("example.com", name="first")
    scene.create(registration(scene.server.url, "example.com", name="second"))
    scene.wait("second", Ready="False/DomainConflict")
    operator.stop()
    scene.delete("first")
    operator.start()
    assert records(scene.wait_ready("second")) == records(obj)
    assert len(scene.posts()) == 1


# --- who may do what ---


ALLOWED = {
    "list acmednsregistrations",
    "watch acmednsregistrations",
    "get acmednsregistrations",
    "patch acmednsregistrations/status",
    "get secrets",
    "create secrets",
    "patch secrets",
    "create events",
    "patch events",
    "get leases",
    "create leases",
    "update leases",
}


def test_operator_asks_for_nothing_that_its_roles_do_not_allow(
    scene: Scene, operator: Operator
) -> None:
    operator.stop()
    operator.start()
    settle(scene)
    done = scene.plane.audit(scene.mark, user=USER)
    assert {summary(each) for each in done} <= ALLOWED
    assert not [each for each in done if each.get("responseStatus", {}).get("code") == 403]


def credential(path: Path, plane: Cluster) -> str:
    """Return the id of the token in a kubeconfig, as the audit log names it."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    user = Cluster(path, plane._kubectl)
    answer = user.api("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    (found,) = answer["status"]["userInfo"]["extra"]["authentication.kubernetes.io/credential-id"]
    return found


def done_with(scene: Scene, credential_id: str) -> set[str]:
    """Return what was done with a token."""
    name = "authentication.kubernetes.io/credential-id"
    events = scene.plane.audit(scene.mark, user=USER)
    return {
        summary(each) for each in events if each["user"]["extra"].get(name) == [credential_id]
    } - {"create selfsubjectreviews"}


def test_follower_reads_only_and_takes_over_when_the_leader_ends(scene: Scene, site: Site) -> None:
    kubeconfig = site.credentials("follower")
    follower_id = credential(kubeconfig, scene.plane)
    flags = ("--leader-elect", "--secret-resync=1s")
    with Operator(kubeconfig, site.directory, *flags, name="follower") as follower:
        scene.register("example.com")
        scene.wait_looks(2)
        assert done_with(scene, follower_id) <= {
            "list acmednsregistrations",
            "watch acmednsregistrations",
            "get leases",
        }
        before = scene.secret()
        site.vacate()
        scene.register("www.example.com", name="other", accountSecretRef=secret_ref("other"))
        scene.wait_looks(2)
        assert "update leases" in done_with(scene, follower_id)
        assert scene.secret() == before
        assert follower.process.running
    assert len(scene.posts()) == 2


# --- some namespaces only ---


def narrow_account(scene: Scene, namespaces: list[str]) -> str:
    """Make a ServiceAccount with the rules of the ClusterRole in these namespaces; its user."""
    roles = yaml.safe_load((ROOT / "manifests/rbac/role.yaml").read_text())["rules"]
    group = "rbac.authorization.k8s.io"
    home = scene.namespace
    subject = {"kind": "ServiceAccount", "name": NARROW, "namespace": home}
    made: list[Object] = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NARROW, "namespace": home},
        }
    ]
    for namespace in namespaces:
        metadata = {"name": NARROW, "namespace": namespace}
        role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": roles}
        ref = {"apiGroup": group, "kind": "Role", "name": NARROW}
        made += [role, {**role, "kind": "RoleBinding", "roleRef": ref, "subjects": [subject]}]
        made[-1].pop("rules")
    scene.plane.apply(made)
    return f"system:serviceaccount:{home}:{NARROW}"


def test_only_watched_namespaces_are_served_and_roles_in_them_suffice(
    scene: Scene, site: Site, tmp_path: Path
) -> None:
    watched = [scene.namespace, scene.another_namespace()]
    unwatched = scene.another_namespace()
    user = narrow_account(scene, watched)
    path = scene.plane.service_account_kubeconfig(watched[0], NARROW, tmp_path / "kubeconfig")
    site.vacate()
    mark = scene.plane.audit_mark()
    with Operator(path, tmp_path, f"--watch-namespaces={','.join(watched)}"):
        for namespace in (unwatched, *watched):
            scene.create(registration(scene.server.url, "example.com"), namespace)
        for namespace in watched:
            scene.wait_ready(namespace=namespace)
    assert scene.get(namespace=unwatched)["status"] == {"observedGeneration": -1}
    done = scene.plane.audit(mark, user=user)
    assert {each["objectRef"]["namespace"] for each in done} == set(watched)
    assert not [each for each in done if each.get("responseStatus", {}).get("code") == 403]
    site.run("--leader-elect")
    scene.wait_ready(namespace=unwatched)
    assert len(scene.posts()) == 3


def test_http1_does_the_job_as_well(scene: Scene, site: Site) -> None:
    site.run("--leader-elect", "--http1")
    scene.register("example.com", "www.example.com")
    scene.present("www.example.com")


def test_lease_is_given_back_at_the_end(scene: Scene, operator: Operator) -> None:
    def holder() -> str:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/acme-dns-operator"
        return scene.plane.api("GET", path)["spec"].get("holderIdentity", "")

    eventually(holder, 10, "somebody leads")
    operator.stop()
    assert holder() == ""
    operator.start()
    scene.register("example.com")
    found = condition(scene.get(), "Ready")
    assert found is not None and holder() != ""
    assert scene.value(name=SECRET)
