# SPDX-License-Identifier: Apache-2.0
"""Rotation without an outage: accounts change places when DNS shows the new CNAME."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from e2e.acmedns.listeners import parse_address
from e2e.bind import Bind
from e2e.cluster import Object
from e2e.dns_relay import DnsRelay
from e2e.operator import Operator
from e2e.pebble import NotIssued, Pebble
from e2e.process import Say, eventually
from e2e.scene import Scene, Site, records
from e2e.test_rotate import rotate, wait_rotated

NAME = "example.test"
# Where its NS record leads to; not where test_verify.py has it, which may run beside.
NS_ADDRESS = "127.0.53.2"
VERIFY: Object = {"cname": {"verify": True}}
# Longer than two looks of the operator, with all that may be slow.
PATIENCE = 60.0


@pytest.fixture
def operator(site: Site, primary: Bind) -> Operator:
    """Have it ask the primary, which remembers nothing."""
    return site.run("--leader-elect", f"--dns-resolvers={primary.address}:{primary.port}")


def follow(scene: Scene) -> dict[str, str]:
    """Return the value to change to by domain, once there is one for each."""

    def next_ones() -> dict[str, str]:
        found = scene.get()["status"].get("records", [])
        return {each["domain"]: each["next"]["value"] for each in found if "next" in each}

    count = len(scene.get()["status"]["records"])
    eventually(lambda: len(next_ones()) == count, PATIENCE, "the accounts that follow")
    return next_ones()


def lead(primary: Bind, domain: str, value: str) -> None:
    """Have a CNAME lead there, whatever it was before."""
    primary.put(f"_acme-challenge.{domain}", "CNAME", value)


def register(scene: Scene, primary: Bind, *names: str) -> None:
    """Register names, make their CNAMEs, and wait until those are found."""
    primary.publish(scene.register(*names, **VERIFY))
    scene.wait(CNAMEReady="True/CNAMEFound", timeout=PATIENCE)


@pytest.mark.usefixtures("operator")
def test_each_account_waits_for_its_cname(scene: Scene, primary: Bind) -> None:
    register(scene, primary, NAME, f"www.{NAME}")
    before = scene.accounts()
    rotate(scene, "1")
    nexts = follow(scene)
    scene.wait(Ready="True/Ready", Reconciling="True/Progressing", CNAMEReady="True/CNAMEFound")
    assert scene.accounts() == before
    lead(primary, NAME, nexts[NAME])
    eventually(
        lambda: scene.accounts()[NAME]["fulldomain"] == nexts[NAME], PATIENCE, "the first switch"
    )
    assert scene.accounts()[f"www.{NAME}"] == before[f"www.{NAME}"]
    lead(primary, f"www.{NAME}", nexts[f"www.{NAME}"])
    after = wait_rotated(scene, "1", PATIENCE)
    assert records(after) == nexts
    assert len(scene.server.accounts()) == 4
    scene.wait(CNAMEReady="True/CNAMEFound")
    scene.wait_event("Rotated")
    told = [each["reason"] for each in scene.events()]
    assert told.count("Rotated") == 1
    assert not {"CNAMEMismatch", "CNAMEMissing"} & set(told)


def test_the_zone_s_own_servers_are_asked_and_again_by_tcp(
    scene: Scene, site: Site, tmp_path: Path
) -> None:
    forward = {"auth.test": parse_address(scene.server.dns)}
    bind = Bind(
        tmp_path / "bind", {NAME: []}, forward=forward, negative_ttl=1, ns_address=NS_ADDRESS
    )
    with bind, DnsRelay(NS_ADDRESS, bind.socket_address):
        site.run("--leader-elect", f"--dns-resolvers={bind.address}:{bind.port}")
        register(scene, bind, NAME)
        rotate(scene, "1")
        value = follow(scene)[NAME]
        begin = len(bind.process.log.read_text())
        lead(bind, NAME, value)
        wait_rotated(scene, "1", PATIENCE)
        asked = f" query: _acme-challenge.{NAME} IN CNAME "
        log = bind.process.log.read_text()[begin:].splitlines()
    flags = [line.split(asked)[1].split()[0] for line in log if asked in line]
    # Without recursion (the first sign), and the last of them by TCP.
    assert {each[0] for each in flags} == {"-"}
    assert "T" in flags[-1]
    assert not any("T" in each for each in flags[:-1])


@pytest.mark.usefixtures("operator")
def test_called_off_while_it_waits(scene: Scene, primary: Bind) -> None:
    register(scene, primary, NAME)
    before = scene.accounts()
    rotate(scene, "1")
    value = follow(scene)[NAME]
    rotate(scene, None)
    eventually(lambda: "next" not in scene.get()["status"]["records"][0], 30, "called off")
    lead(primary, NAME, value)
    scene.wait(CNAMEReady="True/CNAMEFound")
    assert scene.accounts() == before
    # Asked for again, the account that waits is taken, not another one.
    rotate(scene, "2")
    wait_rotated(scene, "2", PATIENCE)
    assert scene.accounts()[NAME]["fulldomain"] == value
    assert len(scene.server.accounts()) == 2


def test_a_crash_while_it_waits_is_harmless(
    scene: Scene, primary: Bind, operator: Operator
) -> None:
    register(scene, primary, NAME)
    rotate(scene, "1")
    value = follow(scene)[NAME]
    operator.kill()
    lead(primary, NAME, value)
    operator.start()
    wait_rotated(scene, "1", 2 * PATIENCE)
    assert scene.accounts()[NAME]["fulldomain"] == value
    assert len(scene.posts()) == 2


# --- certificates all the while ---


class Attempt(NamedTuple):
    """A certificate that was asked for, from when to when, and what became of it."""

    begun: float
    ended: float
    failed: str  # the stage; "" = issued


class Loop:
    """Has certificates made, one after the other."""

    def __init__(self, scene: Scene, pebble: Pebble) -> None:
        """Describe it; the with block of issuing() runs it."""
        self.attempts: list[Attempt] = []
        self._scene = scene
        self._pebble = pebble
        self.ends = threading.Event()

    def run(self) -> None:
        """Go on until told to end."""
        while not self.ends.is_set():
            begun = time.monotonic()
            failed = ""
            try:
                self._scene.issue(self._pebble, NAME, f"*.{NAME}", patience=3)
            except NotIssued as error:
                failed = error.stage
            self.attempts.append(Attempt(begun, time.monotonic(), failed))

    def wait(self, count: int) -> None:
        """Wait for so many more that were issued."""
        wanted = self.issued + count
        eventually(lambda: self.issued >= wanted, PATIENCE, f"{count} more certificates")

    @property
    def issued(self) -> int:
        """How many were."""
        return sum(not each.failed for each in self.attempts)


def looks(operator: Operator) -> float:
    """Return how often CNAMEs were looked up."""
    results = ("found", "missing", "mismatch", "unknown")
    return sum(operator.metric("acmedns_cname_lookups_total", result=each) for each in results)


@contextmanager
def issuing(scene: Scene, pebble: Pebble) -> Iterator[Loop]:
    """Have certificates made in the background."""
    loop = Loop(scene, pebble)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield loop
    finally:
        loop.ends.set()
        thread.join()


def test_certificates_are_issued_all_the_while(
    scene: Scene, primary: Bind, pebble: Pebble, operator: Operator, say: Say
) -> None:
    register(scene, primary, NAME)
    with issuing(scene, pebble) as loop:
        loop.wait(2)
        rotate(scene, "1")
        value = follow(scene)[NAME]
        loop.wait(2)
        before = looks(operator)
        changed = time.monotonic()
        lead(primary, NAME, value)
        eventually(lambda: scene.accounts()[NAME]["fulldomain"] == value, PATIENCE, "the switch")
        switched = time.monotonic()
        count = looks(operator) - before
        loop.wait(3)
    wait_rotated(scene, "1", PATIENCE)
    within = [each for each in loop.attempts if each.ended > changed and each.begun < switched]
    without = [each for each in loop.attempts if each not in within]
    say(
        f"rotation: CNAME changed and accounts switched in {switched - changed:.1f} s, "
        f"{count:.0f} looks; {len(without)} issuances that do not overlap that, "
        f"{sum(bool(each.failed) for each in without)} failed; {len(within)} that do, "
        f"{sum(bool(each.failed) for each in within)} failed"
    )
    assert [each for each in without if each.failed] == []
    assert 1 <= count <= 2
    # A retry of each that failed succeeded, as what came after the switch did.
    assert not loop.attempts[-1].failed
