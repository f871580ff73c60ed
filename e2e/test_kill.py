# SPDX-License-Identifier: Apache-2.0
"""Replicas killed at random, with a user and a server that never rest, lose and double nothing.

KILL_SEED= gives the same wishes, faults and pauses again; what meets what is still chance.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from e2e.accounts import Verdict, judge
from e2e.acmedns.client import AcmeDns
from e2e.history import History
from e2e.operator import NAMESPACE, Operator
from e2e.peers import present
from e2e.process import Say
from e2e.scene import Site
from e2e.stream import Stream

FLAGS = (
    "--leader-elect",
    "--leader-election-lease-duration=2s",
    "--leader-election-renew-deadline=1500ms",
    "--leader-election-retry-period=500ms",
    "--register-timeout=1s",
    "--secret-resync=2s",
    "--lost-account-grace=2s",
)
# A claim of the dead is taken over after 11 s that one process lives.
CALM = 14.0
CALM_EVERY = 20
TO_LEAD = 60.0
TO_REST = 300.0

FAULTS: dict[str, dict[str, Any]] = {
    "well": {},
    "slow": {"kind": "none", "delay": 0.4},
    "closed before": {"kind": "drop"},
    "closed after": {"kind": "drop", "commit": True},
    "reset after": {"kind": "drop", "commit": True, "reset": True},
    "500 after": {"kind": "answer", "status": 500, "commit": True},
    "503": {"kind": "answer", "status": 503},
    "429": {"kind": "answer", "status": 429, "headers": {"Retry-After": "1"}},
    "truncated": {"kind": "truncate"},
    "silent": {"kind": "silent"},
    "silent after": {"kind": "silent", "commit": True},
}


@dataclass
class Killer:
    """Two replicas, of which one or both die now and then; who ends is started again."""

    replicas: list[Operator]
    random: Random
    kills: int = 0
    leaders: int = 0
    met: Counter[str] = field(default_factory=Counter)

    def leads(self) -> Operator | None:
        """Return the one that leads."""
        for each in self.replicas:
            with contextlib.suppress(OSError):
                if each.metric("leader_election_master_status") == 1:
                    return each
        return None

    def revive(self) -> None:
        """Start who has lost the lease, as any that ends by itself; no other end is right."""
        for each in self.replicas:
            if not each.process.running:
                code = each.process.exit_code
                assert code in (None, 1, -9), f"{code}:\n{each.process.log_tail()}"
                each.start(ready=False)

    def complaints(self) -> list[str]:
        """Return what the sanitizers have said."""
        lines = [line for each in self.replicas for line in each.log.read_text().splitlines()]
        return [line for line in lines if "Sanitizer" in line or "runtime error" in line]

    def kill(self, most: int) -> None:
        """Kill one or both, the leader rather than the other."""
        leader = self.leads()
        victims = self.random.choices(
            [self.replicas, [leader or self.replicas[0]], [self.random.choice(self.replicas)]],
            [4, 4, 2],
        )[0][:most]
        for each in victims:
            self.leaders += each is leader
            self.kills += 1
            each.kill()
        self.revive()


class Run:
    """All that takes part."""

    def __init__(
        self, site: Site, server: AcmeDns, history: History, seed: int, stack: contextlib.ExitStack
    ) -> None:
        """Start the replicas."""
        self.random = Random(seed)
        self.server = server
        self.history = history
        self.plane = site.plane
        self.namespaces = [site.plane.create_namespace() for _ in range(4)]
        self.lease = self.namespaces[0]
        streams = (self.namespaces, server.urls, Random(seed + 1))
        self.stream = Stream(site.plane, history, *streams)
        flags = (
            f"--watch-namespaces={','.join(self.namespaces)}",
            f"--leader-election-id={self.lease}",
        )
        names = [f"kill-{self.lease}-{each}" for each in ("first", "second")]
        replicas = [
            Operator(site.kubeconfig, site.directory, *FLAGS, *flags, name=each) for each in names
        ]
        self.killer = Killer(replicas, self.random)
        for each in replicas:
            stack.callback(each.kill)
        self.killer.revive()

    def disturb(self, kills: int) -> None:
        """Kill so often, with a calm now and then in which claims of the dead run out."""
        self.stream.fill()
        calm = CALM_EVERY
        while self.killer.kills < kills:
            self._live_until(lambda: self.killer.leads() is not None, TO_LEAD)
            if self.killer.kills >= calm:
                self._live(CALM)
                calm += CALM_EVERY
            self._live(self.random.uniform(0.0, 1.0))
            self._note_stage()
            self.killer.kill(kills - self.killer.kills)

    def rest(self) -> None:
        """Have nothing fail any more, and wait until all is well and nobody writes."""
        self.server.unfault()
        for each in self.killer.replicas:
            each.kill()
        self.stream.wait_rest(TO_REST, self.killer.revive)

    def transitions(self) -> int:
        """Return how often the lease has changed hands."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{self.lease}"
        return int(self.plane.api("GET", path)["spec"]["leaseTransitions"])

    def try_some(self, count: int) -> None:
        """Have cert-manager's solver use some of the accounts."""
        for namespace, obj in self.random.sample(list(self.stream.served()), count):
            data = self.plane.secret_data(obj["spec"]["accountSecretRef"]["name"], namespace)
            token = obj["metadata"]["name"].ljust(43, "_")
            domain = obj["spec"]["domains"][0]
            present(data["acmedns.json"], obj["spec"]["host"], domain, token)
            assert self.server.updates()[-1]["txt"] == token

    def _live(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._live_until(lambda: time.monotonic() > until, seconds + TO_LEAD)

    def _live_until(self, reached: Any, timeout: float) -> None:
        """Let user and server go on."""
        deadline = time.monotonic() + timeout
        while not reached():
            assert time.monotonic() < deadline, f"not so after {timeout:g} s"
            if self.random.random() < 0.05:
                self._turn()
            self.killer.revive()
            self.stream.step()
            time.sleep(0.04)

    def _turn(self) -> None:
        """Have the server ail in another way, for some requests."""
        self.server.unfault()
        what = self.random.choice(list(FAULTS))
        if FAULTS[what]:
            self.server.fault(**FAULTS[what], times=self.random.randint(1, 12))

    def _note_stage(self) -> None:
        """See what a kill is going to meet, by the claims that stand and the accounts made."""
        claims = {facts.nonce for _, facts in self.history.facts()} - {""}
        self.killer.met["claims"] += bool(claims)
        self.killer.met["POSTs"] += any(
            each["status"] is None for each in self.server.requests("/register")[-8:]
        )


@pytest.fixture
def seed(say: Say) -> int:
    """Return the seed, printed."""
    seed = int(os.environ.get("KILL_SEED", Random().randrange(1 << 31)))
    say(f"KILL_SEED={seed}")
    return seed


@pytest.fixture
def run(site: Site, seed: int) -> Iterator[Run]:
    """Have all that takes part."""
    site.vacate()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(AcmeDns(api=["127.0.0.1:0"] * 3))
        history = stack.enter_context(History(site.plane))
        yield Run(site, server, history, seed, stack)


@pytest.mark.parametrize(
    "kills", [30, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_killed_at_random_it_loses_and_doubles_nothing(run: Run, kills: int, say: Say) -> None:
    begun = time.monotonic()
    run.disturb(kills)
    middle = time.monotonic()
    run.rest()
    run.history.catch_up()
    verdict = judge(run.history, run.server.accounts())
    report(run, verdict, (middle - begun, time.monotonic() - middle), say)
    assert not verdict.wrong, "\n".join(verdict.wrong[:20])
    assert not run.killer.complaints()
    assert verdict.made - verdict.stored and verdict.counted and verdict.removed
    assert run.killer.met["claims"] > kills / 10 and run.killer.met["POSTs"]
    run.try_some(5)
    assert run.stream.writes() == []


def report(run: Run, verdict: Verdict, took: tuple[float, float], say: Say) -> None:
    """Print the figures."""
    killer = run.killer
    met = ", ".join(f"{count} with {what} under way" for what, count in killer.met.items())
    say(
        f"{killer.kills} kills ({killer.leaders} of a leader; {met}), the lease changed hands "
        f"{run.transitions()} times, {run.stream.done} acts of the user, in {took[0]:.0f} s, "
        f"and {took[1]:.0f} s to rest"
    )
    say(str(verdict))
