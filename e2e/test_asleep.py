# SPDX-License-Identifier: Apache-2.0
"""A leader that sleeps longer than its lease, at any point of its work, and wakes up.

The other one leads by then. Whatever the sleeper has under way, one account is stored, what is
thrown away is counted, and status is never put back.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from e2e.cluster import Object
from e2e.gateway import Gateway
from e2e.scene import SECRET, Scene, Site, records, registration, secret_ref
from e2e.test_crash import CLAIM, STORE, VISIT
from e2e.test_leader import (
    DOMAIN,
    FOLLOWING,
    Replica,
    hold_one,
    start,
    uncertain,
)
from e2e.test_rotate import rotate, wait_rotated

# The claim of the sleeper is taken over after 11 s.
TAKEOVER = 60.0
TIMEOUT = "--register-timeout=1s"
# It is not over when the sleeper wakes up.
LONG = "--register-timeout=60s"


@pytest.fixture
def gateway(site: Site) -> Iterator[Gateway]:
    """Choose what passes between the sleeper and the API server."""
    with Gateway(site.plane) as gateway:
        yield gateway


def sleep_through_a_change(first: Replica, second: Replica) -> None:
    """Freeze the leader until the other one leads."""
    first.process.signal(signal.SIGSTOP)
    second.wait_leads()


def wake(scene: Scene, first: Replica) -> set[str]:
    """Let it go on to its end, and return what it has done meanwhile."""
    mark = scene.plane.audit_mark()
    first.process.resume()
    assert first.process.wait(30) == 1
    return first.done(mark)


def check_one(scene: Scene, obj: Object, made: int, counted: Sequence[int]) -> None:
    """See that status and Secret agree, and stay; of all accounts one serves."""
    scene.wait_looks(2)
    entry = scene.accounts()[DOMAIN]
    assert scene.get()["status"] == obj["status"]
    assert records(obj) == {DOMAIN: entry["fulldomain"]}
    assert len(scene.server.accounts()) == made
    assert uncertain(scene) in counted
    assert scene.present(DOMAIN) == entry["subdomain"]


# --- in the middle of /register ---


def test_leader_that_wakes_up_stores_what_it_registered_and_ends(
    stack: ExitStack, scene: Scene
) -> None:
    first, second = start(stack, scene, "--register-timeout=60s")
    hold_one(scene)
    sleep_through_a_change(first, second)
    scene.server.release()
    mark = scene.plane.audit_mark()
    first.process.resume()
    assert first.process.wait(30) == 1
    obj = scene.wait_ready()
    (account,) = scene.server.accounts()
    assert records(obj) == {DOMAIN: account["fulldomain"]}
    assert uncertain(scene) == 0
    assert first.done(mark) - FOLLOWING <= {"patch secrets", "get secrets"}


def test_leader_that_wakes_up_after_another_registered_changes_nothing(
    stack: ExitStack, scene: Scene
) -> None:
    first, second = start(stack, scene, "--register-timeout=1s")
    hold_one(scene)
    sleep_through_a_change(first, second)
    scene.server.release()
    obj = scene.wait_ready(timeout=60)
    mark, before = scene.plane.audit_mark(), scene.accounts()
    first.process.resume()
    assert first.process.wait(30) == 1
    scene.wait_looks(2, SECRET, mark)
    assert scene.accounts() == before
    assert scene.get()["status"] == obj["status"]
    assert records(obj) == {DOMAIN: before[DOMAIN]["fulldomain"]}
    assert len(scene.server.accounts()) == 2
    assert uncertain(scene) >= 1
    assert "patch acmednsregistrations/status" not in first.done(mark)


def test_sleeping_leader_s_claim_is_not_posted_when_it_wakes_up(
    stack: ExitStack, scene: Scene
) -> None:
    first, second = start(stack, scene, "--register-timeout=1s")
    scene.register(DOMAIN)
    sleep_through_a_change(first, second)
    scene.register("www.example.com", name="late", accountSecretRef=secret_ref("late"))
    mark = scene.plane.audit_mark()
    first.process.resume()
    assert first.process.wait(30) == 1
    assert len(scene.posts()) == 2
    assert first.done(mark) <= FOLLOWING


def test_account_that_comes_too_late_is_thrown_away_and_counted(
    stack: ExitStack, scene: Scene
) -> None:
    first, second = start(stack, scene, LONG)
    hold_one(scene)
    sleep_through_a_change(first, second)
    scene.delete_secret()
    scene.server.release()
    obj = scene.wait_ready()
    assert VISIT not in wake(scene, first)
    check_one(scene, obj, made=2, counted=[1])


def test_account_that_comes_late_has_the_place_if_it_is_free(
    stack: ExitStack, scene: Scene
) -> None:
    first, second = start(stack, scene, LONG)
    hold_one(scene)
    sleep_through_a_change(first, second)
    scene.server.fault("answer", status=404)
    scene.delete_secret()
    scene.wait(Ready="False/RegistrationUnavailable")
    scene.server.release()
    assert VISIT not in wake(scene, first)
    check_one(scene, scene.wait_ready(), made=1, counted=[0])


def test_rotation_that_comes_too_late_is_one_all_the_same(stack: ExitStack, scene: Scene) -> None:
    first, second = start(stack, scene, TIMEOUT)
    scene.register(DOMAIN)
    scene.server.hold("after")
    rotate(scene, "1")
    scene.server.wait_held()
    sleep_through_a_change(first, second)
    scene.server.release()
    obj = wait_rotated(scene, "1", TAKEOVER)
    assert VISIT not in wake(scene, first)
    # When its claim was taken over, and again if it still reads the answer and throws it away.
    check_one(scene, obj, made=3, counted=[1, 2])


# --- between two requests ---


@pytest.mark.parametrize("stage", ["before", "after"])
def test_claim_of_a_sleeper_is_not_posted_after_its_time(
    stack: ExitStack, scene: Scene, gateway: Gateway, stage: str
) -> None:
    first, second = start(stack, scene, TIMEOUT, gateway=gateway)
    hold = gateway.hold(CLAIM, stage)
    scene.create(registration(scene.server.url, DOMAIN))
    hold.wait()
    sleep_through_a_change(first, second)
    obj = scene.wait_ready(timeout=TAKEOVER)
    hold.release()
    assert VISIT not in wake(scene, first)
    assert len(scene.posts()) == 1
    check_one(scene, obj, made=1, counted=[stage == "after"])


def test_store_of_a_sleeper_does_not_replace_another_account(
    stack: ExitStack, scene: Scene, gateway: Gateway
) -> None:
    first, second = start(stack, scene, TIMEOUT, gateway=gateway)
    hold = gateway.hold(STORE, "before")
    scene.create(registration(scene.server.url, DOMAIN))
    hold.wait()
    sleep_through_a_change(first, second)
    obj = scene.wait_ready(timeout=TAKEOVER)
    hold.release()
    assert VISIT not in wake(scene, first)
    # Once when its claim was taken over, once when its account was thrown away.
    check_one(scene, obj, made=2, counted=[2])


@pytest.mark.parametrize("stage", ["before", "after"])
def test_store_of_a_sleeper_arrives_in_time(
    stack: ExitStack, scene: Scene, gateway: Gateway, stage: str
) -> None:
    first, second = start(stack, scene, LONG, gateway=gateway)
    hold = gateway.hold(STORE, stage)
    scene.create(registration(scene.server.url, DOMAIN))
    hold.wait()
    sleep_through_a_change(first, second)
    hold.release()
    obj = scene.wait_ready()
    assert VISIT not in wake(scene, first)
    check_one(scene, obj, made=1, counted=[0])


def test_status_is_not_put_back_by_a_sleeper(
    stack: ExitStack, scene: Scene, gateway: Gateway
) -> None:
    first, second = start(stack, scene, TIMEOUT, gateway=gateway)
    hold = gateway.hold(VISIT, "before", skip=1)
    scene.create(registration(scene.server.url, DOMAIN))
    hold.wait()
    sleep_through_a_change(first, second)
    scene.wait_ready()
    rotate(scene, "1")
    obj = wait_rotated(scene, "1")
    hold.release()
    assert VISIT not in wake(scene, first)
    check_one(scene, obj, made=2, counted=[0])
