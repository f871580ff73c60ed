# SPDX-License-Identifier: Apache-2.0
"""Of two replicas one acts; who loses the lease ends, and stores what it has in hand."""

from __future__ import annotations

import base64
import json
import signal
from contextlib import ExitStack
from pathlib import Path

import yaml

from e2e.cluster import Object
from e2e.gateway import Gateway, behind
from e2e.operator import NAMESPACE, USER, Operator
from e2e.process import eventually, paused
from e2e.scene import KEY, Scene, registration, secret_ref, summary

DOMAIN = "example.com"
SHORT = ("3s", "2s", "500ms")
# Long enough that a test which waits for its end fails.
LONG = ("120s", "100s", "500ms")
# What one does that does not lead.
FOLLOWING = {"list acmednsregistrations", "watch acmednsregistrations", "get leases"}


class Replica(Operator):
    """One of the replicas, with a token by which the audit log knows it."""

    def __init__(
        self,
        scene: Scene,
        name: str,
        times: tuple[str, ...],
        *flags: str,
        gateway: Gateway | None = None,
    ) -> None:
        """Describe it; its lease is the scene's own."""
        kubeconfig = scene.site.credentials(f"{scene.namespace}-{name}")
        duration, deadline, retry = times
        super().__init__(
            behind(kubeconfig, gateway.url) if gateway else kubeconfig,
            scene.site.directory,
            "--leader-elect",
            f"--leader-election-id={scene.namespace}",
            f"--leader-election-lease-duration={duration}",
            f"--leader-election-renew-deadline={deadline}",
            f"--leader-election-retry-period={retry}",
            f"--watch-namespaces={scene.namespace}",
            "--secret-resync=1s",
            *flags,
            name=f"{scene.namespace}-{name}",
        )
        self._scene = scene
        self._credential = credential(kubeconfig)

    def leads(self) -> bool:
        """Whether it says that it holds the lease."""
        return self.metric("leader_election_master_status") == 1

    def wait_leads(self, timeout: float = 30) -> None:
        """Wait until it holds the lease."""
        eventually(self.leads, timeout, f"{self.process.name} leads")

    def wait_log(self, text: str) -> None:
        """Wait until it has said something."""
        eventually(lambda: text in self.log.read_text(), 30, f"the log says {text!r}")

    def done(self, since: int) -> set[str]:
        """Return what it has asked for, and had, since a mark in the audit log."""
        name = "authentication.kubernetes.io/credential-id"
        return {
            summary(event)
            for event in self._scene.plane.audit(since, user=USER)
            if event["user"]["extra"].get(name) == [self._credential]
            and event["responseStatus"]["code"] < 400
        }


def credential(kubeconfig: Path) -> str:
    """Return the name that the audit log has for the token in a kubeconfig."""
    token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    claims = token.split(".")[1]
    return "JTI=" + json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["jti"]


def start(
    stack: ExitStack,
    scene: Scene,
    *flags: str,
    times: tuple[str, ...] = SHORT,
    gateway: Gateway | None = None,
) -> tuple[Replica, Replica]:
    """Run two replicas, of which the first leads, through a gateway if there is one."""
    first = Replica(scene, "first", times, *flags, gateway=gateway)
    second = Replica(scene, "second", times, *flags)
    for each in (first, second):
        each.start()
        stack.callback(each.kill)
        first.wait_leads()
    return first, second


def lease(scene: Scene) -> Object:
    """Return the spec of the lease."""
    return scene.plane.api("GET", lease_path(scene))["spec"]


def lease_path(scene: Scene) -> str:
    """Return where the lease is in the API."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{scene.namespace}"


def hold_one(scene: Scene) -> None:
    """Have one registration wait for its answer; the account is made."""
    scene.server.hold("after")
    scene.create(registration(scene.server.url, DOMAIN))
    scene.server.wait_held()


def uncertain(scene: Scene) -> int:
    """Return the outcomes that our document counts."""
    return scene.own_document()["keys"][KEY][DOMAIN].get("uncertain", 0)


# --- who leads ---


def test_one_leads_and_the_other_is_ready_and_idle(stack: ExitStack, scene: Scene) -> None:
    first, second = start(stack, scene)
    scene.register(DOMAIN)
    scene.wait_looks(2)
    assert second.probe("/readyz") == second.probe("/healthz") == 200
    assert not second.leads()
    assert second.done(scene.mark) == FOLLOWING
    assert first.leads()


def test_other_takes_over_from_a_leader_that_was_killed(stack: ExitStack, scene: Scene) -> None:
    first, second = start(stack, scene)
    scene.register(DOMAIN)
    before = lease(scene)
    first.kill()
    scene.register("www.example.com", name="other", accountSecretRef=secret_ref("other"))
    assert second.leads()
    after = lease(scene)
    assert after["holderIdentity"] != before["holderIdentity"]
    assert after["leaseTransitions"] == before["leaseTransitions"] + 1
    assert len(scene.posts()) == 2


def test_leader_that_ends_gives_the_lease_back(stack: ExitStack, scene: Scene) -> None:
    first, second = start(stack, scene, times=LONG)
    with paused(second.process):
        first.stop()
        assert lease(scene)["holderIdentity"] == ""
    second.wait_leads()
    scene.register(DOMAIN)


def test_follower_that_ends_leaves_the_lease_alone(stack: ExitStack, scene: Scene) -> None:
    first, second = start(stack, scene, times=LONG)
    holder = lease(scene)["holderIdentity"]
    second.stop()
    assert lease(scene)["holderIdentity"] == holder
    scene.register(DOMAIN)
    assert first.leads()


def test_leader_goes_on_when_its_lease_was_deleted(stack: ExitStack, scene: Scene) -> None:
    first, second = start(stack, scene)
    holder = lease(scene)["holderIdentity"]
    with paused(second.process):
        scene.plane.api("DELETE", lease_path(scene))
        eventually(
            lambda: scene.plane.find("lease", scene.namespace, NAMESPACE), 10, "it is made again"
        )
    assert lease(scene)["holderIdentity"] == holder
    scene.register(DOMAIN)
    assert first.leads()
    assert not second.leads()


def test_restarted_operator_leads_again_without_a_wait(stack: ExitStack, scene: Scene) -> None:
    first, second = start(stack, scene, times=LONG)
    second.stop()
    first.stop()
    first.start()
    first.wait_leads()
    scene.register(DOMAIN)


# --- the lease is lost ---


def test_leader_whose_lease_another_holds_ends_with_a_failure(
    stack: ExitStack, scene: Scene
) -> None:
    first, _ = start(stack, scene)
    spec = {"holderIdentity": "somebody-else", "leaseDurationSeconds": 3600}
    scene.plane.api("PATCH", lease_path(scene), {"spec": spec})
    assert first.process.wait(20) == 1
    assert lease(scene)["holderIdentity"] == "somebody-else"


def test_leader_that_cannot_renew_ends_with_a_failure_before_its_lease_does(
    stack: ExitStack, scene: Scene
) -> None:
    first, second = start(stack, scene)
    with scene.plane.apiserver_paused():
        assert first.process.wait(20) == 1
    second.wait_leads()
    scene.register(DOMAIN)


def test_account_in_hand_is_stored_after_the_lease_was_lost(stack: ExitStack, scene: Scene) -> None:
    first, second = start(stack, scene)
    hold_one(scene)
    with scene.plane.apiserver_paused():
        first.wait_log("the Lease is lost; ending")
        scene.server.release()
        first.wait_log("msg=registered")
    assert first.process.wait(30) == 1
    scene.wait_ready()
    assert second.leads()
    assert len(scene.server.accounts()) == 1
    assert uncertain(scene) == 0


def test_first_signal_after_the_lease_was_lost_cuts_no_store_short(
    stack: ExitStack, scene: Scene
) -> None:
    first, _ = start(stack, scene)
    hold_one(scene)
    with scene.plane.apiserver_paused():
        first.wait_log("the Lease is lost; ending")
        first.process.signal(signal.SIGTERM)
        first.wait_log("signal=SIGTERM")
        scene.server.release()
        first.wait_log("msg=registered")
    assert first.process.wait(30) == 1
    scene.wait_ready()
    assert len(scene.server.accounts()) == 1
    assert uncertain(scene) == 0


def test_nothing_is_begun_after_the_lease_was_lost(stack: ExitStack, scene: Scene) -> None:
    first, second = start(stack, scene)
    hold_one(scene)
    second.kill()
    with scene.plane.apiserver_paused():
        first.wait_log("the Lease is lost; ending")
    mark = scene.plane.audit_mark()
    scene.create(registration(scene.server.url, "www.example.com", name="late"))
    scene.server.release()
    assert first.process.wait(30) == 1
    assert len(scene.posts()) == 1
    assert first.done(mark) - FOLLOWING <= {"patch secrets", "get secrets", "update leases"}
