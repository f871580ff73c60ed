# SPDX-License-Identifier: Apache-2.0
"""spec.cname.dnsEndpoint: the DNSEndpoint for external-dns, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from e2e.bind import Bind
from e2e.cluster import ApiError, ControlPlane, Object
from e2e.external_dns import ExternalDns, install_crd, remove_crd
from e2e.gateway import Gateway, behind
from e2e.operator import Operator
from e2e.peers import ROOT
from e2e.process import eventually
from e2e.scene import (
    GROUP,
    Scene,
    Site,
    condition,
    is_write,
    records,
    registration,
    summary,
)
from e2e.test_rotate import rotate, wait_rotated

MARK = f"{GROUP}/registration"
RBAC = ROOT / "manifests/dns-endpoint"
FLAGS = ("--leader-elect", "--secret-resync=1s", "--dns-endpoint-domains=example.com,*.example.com")
UNAVAILABLE = "False/DNSEndpointUnavailable"
FINALIZERS = [f"{GROUP}/accounts", f"{GROUP}/dns-endpoint"]


@pytest.fixture(scope="module", autouse=True)
def _kind(control_plane: ControlPlane, site: Site) -> Iterator[None]:
    """Have DNSEndpoints, and the right to use them, while these tests run."""
    install_crd(control_plane)
    control_plane.kubectl("apply", "-k", str(RBAC))
    yield
    site.vacate()
    control_plane.kubectl("delete", "-k", str(RBAC))
    remove_crd(control_plane)


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Look at each Secret and DNSEndpoint once a second."""
    return site.run(*FLAGS)


class Endpoint:
    """The DNSEndpoint of an object, as a person sees it."""

    def __init__(self, scene: Scene, name: str = "example") -> None:
        """Speak of that one; it need not exist."""
        self._plane = scene.plane
        self._all = f"/apis/externaldns.k8s.io/v1alpha1/namespaces/{scene.namespace}/dnsendpoints"
        self._path = f"{self._all}/{name}"
        self._name = name

    def get(self) -> Object | None:
        """Return it, or None."""
        try:
            found: Object = self._plane.api("GET", self._path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return found

    def targets(self) -> dict[str, str]:
        """Return the target of each name in it."""
        found = self.get() or {"spec": {}}
        return {each["dnsName"]: each["targets"][0] for each in found["spec"].get("endpoints", [])}

    def tags(self) -> Object:
        """Return labels and annotations, but for the operator's mark."""
        metadata = (self.get() or {"metadata": {}})["metadata"]
        notes = {k: v for k, v in metadata.get("annotations", {}).items() if k != MARK}
        return {"labels": metadata.get("labels", {}), "annotations": notes}

    def create(self, **metadata: Any) -> Object:
        """Make one by hand."""
        body = {"metadata": {**metadata, "name": self._name}, "spec": {"endpoints": []}}
        kind = {"apiVersion": "externaldns.k8s.io/v1alpha1", "kind": "DNSEndpoint"}
        made: Object = self._plane.api("POST", self._all, {**kind, **body})
        return made

    def patch(self, change: Object) -> None:
        """Send a merge patch."""
        self._plane.api("PATCH", self._path, change)

    def delete(self) -> None:
        """Delete it."""
        self._plane.api("DELETE", self._path)


def handed(verify: bool = False, **members: Any) -> Object:
    """Return spec.cname with a dnsEndpoint."""
    return {"verify": verify, "dnsEndpoint": members}


def challenges(obj: Object) -> dict[str, str]:
    """Return what status says of CNAMEs, by name."""
    return {f"_acme-challenge.{domain}": value for domain, value in records(obj).items()}


def wait_said(scene: Scene, name: str = "example") -> Endpoint:
    """Wait until the DNSEndpoint says what status does."""
    endpoint = Endpoint(scene, name)

    def said() -> bool:
        return endpoint.targets() == challenges(scene.get(name)) != {}

    eventually(said, 60, f"the DNSEndpoint {name} says what status does")
    return endpoint


def message(scene: Scene, reason: str, timeout: float = 30) -> str:
    """Wait until CNAMEReady has the reason, and return its message."""
    found = condition(scene.wait(timeout=timeout, CNAMEReady=reason), "CNAMEReady")
    assert found is not None
    return str(found["message"])


def writes(scene: Scene, since: int | None = None) -> list[str]:
    """Return the operator's writes of DNSEndpoints."""
    events = [event for event in scene.requests(since=since) if is_write(event)]
    return [summary(event) for event in events if event["objectRef"]["resource"] == "dnsendpoints"]


# --- what it says ---


def test_it_says_what_external_dns_needs(scene: Scene) -> None:
    tags = {"labels": {"team": "a"}, "annotations": {"external-dns.alpha.kubernetes.io/x": "y"}}
    cname = handed(ttlSeconds=60, **tags)
    obj = scene.register("example.com", "*.example.com", "www.example.com", cname=cname)
    endpoint = wait_said(scene)
    found = endpoint.get()
    assert found is not None
    assert found["metadata"]["labels"] == tags["labels"]
    assert found["metadata"]["annotations"] == {MARK: "example", **tags["annotations"]}
    assert "ownerReferences" not in found["metadata"]
    assert found["spec"]["endpoints"] == [
        {
            "dnsName": f"_acme-challenge.{domain}",
            "recordType": "CNAME",
            "recordTTL": 60,
            "targets": [value],
        }
        for domain, value in records(obj).items()
    ]
    assert len(found["spec"]["endpoints"]) == 2
    assert writes(scene) == ["create dnsendpoints"]


def test_it_is_made_when_the_accounts_are_stored_and_named(scene: Scene) -> None:
    scene.create(registration(scene.server.url, "example.com", cname=handed()))
    wait_said(scene)
    done = [summary(event) for event in scene.requests()]
    made = done.index("create dnsendpoints")
    assert done.index("patch secrets") < made
    assert done[:made].count("patch acmednsregistrations/status") == 2
    assert "get dnsendpoints" in done[:made]


def test_a_domain_that_the_flag_does_not_name_is_left_to_people(scene: Scene) -> None:
    domains = ("example.com", "a.b.example.com", "example.org")
    scene.register(*domains, cname=handed())
    endpoint = Endpoint(scene)
    eventually(lambda: len(endpoint.targets()) == 1, 30, "one is handed over")
    assert "_acme-challenge.a.b.example.com: the operator's" in message(
        scene, "False/DNSEndpointNotAllowed"
    )
    assert list(endpoint.targets()) == ["_acme-challenge.example.com"]


def test_an_endpoint_goes_with_its_domain(scene: Scene) -> None:
    scene.register("example.com", "www.example.com", cname=handed())
    wait_said(scene)
    scene.change(domains=["www.example.com"])
    scene.wait_ready()
    endpoint = wait_said(scene)
    assert list(endpoint.targets()) == ["_acme-challenge.www.example.com"]


def test_it_follows_a_rotation(scene: Scene) -> None:
    before = challenges(scene.register("example.com", cname=handed()))
    wait_said(scene)
    rotate(scene, "1")
    assert challenges(wait_rotated(scene, "1")) != before
    wait_said(scene)


def test_external_dns_makes_the_cname_and_moves_it(
    scene: Scene, site: Site, primary: Bind, tmp_path: Path
) -> None:
    resolvers = f"--dns-resolvers={primary.address}:{primary.port}"
    site.run("--leader-elect", "--dns-endpoint-domains=example.test", resolvers)
    with ExternalDns(scene.plane, tmp_path, primary, scene.namespace, "example.test"):
        scene.register("example.test", cname=handed(verify=True), deletionPolicy="Delete")
        before = scene.wait(CNAMEReady="True/CNAMEFound", timeout=60)
        rotate(scene, "1")
        after = wait_rotated(scene, "1", 60)
        assert challenges(after) != challenges(before)
        scene.wait(CNAMEReady="True/CNAMEFound")
        ((owner, target),) = challenges(after).items()
        assert primary.values(owner, "CNAME") == [f"{target}."]
        scene.delete()
        eventually(lambda: primary.values(owner, "CNAME") == [], 30, "the CNAME goes")


# --- changes, of either side ---


def test_a_change_is_applied_and_what_people_added_stays(scene: Scene) -> None:
    labels = {"team": "a", "gone": "soon"}
    scene.register("example.com", cname=handed(labels=labels, annotations={"gone": "too"}))
    endpoint = wait_said(scene)
    endpoint.patch({"metadata": {"labels": {"mine": "yes"}}})
    labels_now = {"team": "b", "gone": None}
    scene.change(cname=handed(labels=labels_now, annotations=None, ttlSeconds=120))
    wanted = {"labels": {"team": "b", "mine": "yes"}, "annotations": {}}
    eventually(lambda: endpoint.tags() == wanted, 30, f"it has {wanted}")
    found = endpoint.get()
    assert found is not None
    assert found["spec"]["endpoints"][0]["recordTTL"] == 120
    assert writes(scene) == ["create dnsendpoints", "patch dnsendpoints", "patch dnsendpoints"]
    # What apply has put there, apply takes away.
    scene.change(cname=handed(labels={"team": None, "other": "c"}, ttlSeconds=None))
    wanted = {"labels": {"other": "c", "mine": "yes"}, "annotations": {}}
    eventually(lambda: endpoint.tags() == wanted, 30, f"it has {wanted}")
    assert len(writes(scene)) == 4


def test_what_drifts_is_put_right_and_at_rest_nothing_is_written(scene: Scene) -> None:
    scene.register("example.com", cname=handed())
    endpoint = wait_said(scene)
    endpoint.patch({"spec": {"endpoints": []}, "metadata": {"annotations": {"x": "y"}}})
    wait_said(scene)
    endpoint.delete()
    wait_said(scene)
    mark = scene.plane.audit_mark()

    def looks() -> int:
        return scene.counts(since=mark)["get dnsendpoints"]

    eventually(lambda: looks() >= 3, 30, "three more looks")
    assert [summary(e) for e in scene.requests(since=mark) if is_write(e)] == []


def test_a_suspended_object_writes_nothing(scene: Scene) -> None:
    scene.register("example.com", cname=handed())
    endpoint = wait_said(scene)
    scene.change(suspend=True)
    eventually(lambda: scene.get()["status"]["observedGeneration"] == 2, 30, "it is seen")
    endpoint.delete()
    scene.wait_looks(3)
    assert endpoint.get() is None
    scene.change(suspend=False)
    wait_said(scene)


# --- whose it is ---


def test_one_that_is_not_ours_is_left_alone(scene: Scene) -> None:
    endpoint = Endpoint(scene)
    before = endpoint.create(annotations={MARK: "another"})
    scene.register("example.com", cname=handed(verify=True))
    assert "DNSEndpoint example was not made for this object" in message(scene, UNAVAILABLE)
    found = endpoint.get()
    assert found == before
    endpoint.patch({"metadata": {"annotations": {MARK: "example"}}})
    wait_said(scene)
    assert writes(scene) == ["patch dnsendpoints"]


def test_an_apply_that_comes_late_does_not_make_it_anew(
    scene: Scene, site: Site, stack: ExitStack
) -> None:
    site.vacate()
    gateway = stack.enter_context(Gateway(scene.plane))
    config = behind(site.kubeconfig, gateway.url)
    stack.enter_context(Operator(config, site.directory, *FLAGS, name="behind"))
    scene.register("example.com", cname=handed())
    endpoint = wait_said(scene)
    hold = gateway.hold("patch dnsendpoints", "before")
    scene.change(cname=handed(ttlSeconds=60))
    hold.wait()
    endpoint.delete()
    hold.release()
    wait_said(scene)
    codes = [
        event["responseStatus"]["code"]
        for event in scene.requests()
        if summary(event) in ("create dnsendpoints", "patch dnsendpoints")
    ]
    assert codes == [201, 409, 201]


# --- where it cannot be made ---


def test_without_the_kind_all_else_works_and_it_is_noticed_later(scene: Scene) -> None:
    remove_crd(scene.plane)
    try:
        scene.register("example.com", cname=handed(verify=True), deletionPolicy="Delete")
        assert "the API server knows no DNSEndpoints" in message(scene, UNAVAILABLE)
        assert scene.get()["metadata"]["finalizers"] == FINALIZERS[:1]
    finally:
        install_crd(scene.plane)
    wait_said(scene)
    scene.wait(CNAMEReady="Unknown")


def test_without_the_right_to_it_all_else_works(scene: Scene) -> None:
    scene.plane.kubectl("delete", "-k", str(RBAC))
    try:
        scene.register("example.com", cname=handed())
        assert "the operator may not read DNSEndpoints here" in message(scene, UNAVAILABLE)
    finally:
        scene.plane.kubectl("apply", "-k", str(RBAC))
    wait_said(scene)
    message(scene, "Unknown/VerificationDisabled")


@pytest.fixture
def team_policy(scene: Scene) -> Iterator[None]:
    """Admit DNSEndpoints of the scene's namespace with a label only."""
    group = {"apiVersion": "admissionregistration.k8s.io/v1"}
    name = {"metadata": {"name": f"team-{scene.namespace}"}}
    rule = {
        "apiGroups": ["externaldns.k8s.io"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["dnsendpoints"],
    }
    policy = {
        **group,
        **name,
        "kind": "ValidatingAdmissionPolicy",
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "has(object.metadata.labels)", "message": "whose?"}],
        },
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}}
    binding = {
        **group,
        **name,
        "kind": "ValidatingAdmissionPolicyBinding",
        "spec": {
            "policyName": name["metadata"]["name"],
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": selector},
        },
    }
    scene.plane.apply([policy, binding])
    probe = Endpoint(scene, "probe")

    def refused() -> bool:
        with suppress(ApiError):
            probe.create()
            probe.delete()
            return False
        return True

    eventually(refused, 60, "the policy is enforced")
    yield
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        scene.plane.delete(kind, name["metadata"]["name"])


@pytest.mark.usefixtures("team_policy")
def test_what_admission_refuses_is_told_and_tried_again(scene: Scene) -> None:
    scene.register("example.com", cname=handed())
    told = message(scene, UNAVAILABLE)
    assert "the API server refuses the DNSEndpoint example as the operator writes it" in told
    scene.change(cname=handed(labels={"team": "a"}))
    wait_said(scene)
    message(scene, "Unknown/VerificationDisabled")


# --- deletion ---


def wait_gone(scene: Scene) -> None:
    """Wait until the object is gone."""
    eventually(
        lambda: scene.plane.find("adr", "example", scene.namespace) is None, 30, "it is gone"
    )


def test_retain_leaves_it(scene: Scene) -> None:
    scene.register("example.com", cname=handed())
    endpoint = wait_said(scene)
    said = endpoint.targets()
    scene.change(cname={"dnsEndpoint": None})
    scene.wait_ready()
    scene.delete()
    wait_gone(scene)
    assert endpoint.targets() == said
    assert writes(scene) == ["create dnsendpoints"]


def test_the_next_object_of_the_name_takes_it_over(scene: Scene) -> None:
    scene.register("example.com", cname=handed())
    wait_said(scene)
    scene.delete()
    wait_gone(scene)
    scene.register("www.example.com", cname=handed())
    endpoint = wait_said(scene)
    assert list(endpoint.targets()) == ["_acme-challenge.www.example.com"]


def test_delete_takes_it_before_the_entries(scene: Scene) -> None:
    scene.register("example.com", cname=handed(), deletionPolicy="Delete")
    endpoint = wait_said(scene)
    assert scene.get()["metadata"]["finalizers"] == FINALIZERS
    mark = scene.plane.audit_mark()
    scene.delete()
    wait_gone(scene)
    assert endpoint.get() is None
    assert scene.accounts() == {}
    done = [summary(event) for event in scene.requests(since=mark)]
    assert done.index("delete dnsendpoints") < done.index("patch secrets")


def test_delete_takes_it_with_the_field(scene: Scene) -> None:
    scene.register("example.com", cname=handed(), deletionPolicy="Delete")
    endpoint = wait_said(scene)
    scene.change(cname={"dnsEndpoint": None})
    eventually(lambda: scene.get()["metadata"]["finalizers"] == FINALIZERS[:1], 30, "it is let go")
    assert endpoint.get() is None
    assert "example.com" in scene.accounts()


def test_delete_takes_it_though_the_field_went_while_nobody_looked(
    scene: Scene, operator: Operator
) -> None:
    scene.register("example.com", cname=handed(), deletionPolicy="Delete")
    endpoint = wait_said(scene)
    operator.kill()
    scene.change(cname={"dnsEndpoint": None})
    operator.start()
    eventually(lambda: scene.get()["metadata"]["finalizers"] == FINALIZERS[:1], 30, "it is let go")
    assert endpoint.get() is None


def test_delete_leaves_one_that_is_not_ours_any_more(scene: Scene) -> None:
    scene.register("example.com", cname=handed(), deletionPolicy="Delete")
    endpoint = wait_said(scene)
    endpoint.patch({"metadata": {"annotations": {MARK: "another"}}})
    message(scene, UNAVAILABLE)
    scene.delete()
    wait_gone(scene)
    assert endpoint.get() is not None


def test_an_object_goes_where_it_may_not_be_deleted(scene: Scene) -> None:
    scene.register("example.com", cname=handed(), deletionPolicy="Delete")
    endpoint = wait_said(scene)
    scene.plane.kubectl("delete", "-k", str(RBAC))
    try:
        scene.delete()
        wait_gone(scene)
    finally:
        scene.plane.kubectl("apply", "-k", str(RBAC))
    assert scene.wait_event("DNSEndpointNotDeleted")["type"] == "Warning"
    assert endpoint.get() is not None
