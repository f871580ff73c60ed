# SPDX-License-Identifier: Apache-2.0
"""Behind a proxy that fails in every way, with a user who never rests, no account is lost.

PROXY_SEED= gives the same wishes and faults again; what meets what is still chance.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from e2e.accounts import Verdict, judge
from e2e.acmedns.client import AcmeDns
from e2e.gateway import behind
from e2e.history import History
from e2e.mitm import Mitm
from e2e.operator import Operator
from e2e.process import Say
from e2e.scene import Site
from e2e.stream import Stream

OBJECTS = 40
# Each has a watch of its own.
NAMESPACES = 6
FLAGS = (
    "--leader-elect",
    "--leader-election-lease-duration=8s",
    "--leader-election-renew-deadline=6s",
    "--leader-election-retry-period=300ms",
    "--register-timeout=1s",
    "--secret-resync=2s",
    "--lost-account-grace=2s",
)
# Of 100 requests; events may be lost.
TROUBLE = {"percent": 20, "watches": 80, "leases": 30, "others": 10}
GROUPS = {"reads", "writes", "status", "watches", "leases"}
KINDS = {"409", "429", "500", "503", "504", "drop", "abort", "tear", "split"}
NEVER = {"409 of reads", "409 of watches", "504 of watches"}
# Rules of the stand-in's; the first four leave it open whether there is an account.
AILMENTS: list[dict[str, Any]] = [
    {"kind": "drop"},
    {"kind": "drop", "commit": True},
    {"kind": "answer", "status": 500, "commit": True},
    {"kind": "truncate"},
    {"kind": "none", "delay": 0.5},
    {"kind": "answer", "status": 429, "headers": {"Retry-After": "1"}},
]
TO_COVER = 120.0
# An unknown outcome pauses its object for 30 to 45 s, the next one for twice as long.
TO_REST = 240.0


class Run:
    """All that takes part."""

    def __init__(
        self, site: Site, mitm: Mitm, history: History, seed: int, stack: contextlib.ExitStack
    ) -> None:
        """Prepare; nothing runs yet."""
        self.mitm = mitm
        self.history = history
        self.plane = site.plane
        self.server = stack.enter_context(AcmeDns())
        self.restarts = 0
        self._random = Random(seed)
        self._site = site
        self._stack = stack
        self._namespaces = [site.plane.create_namespace() for _ in range(NAMESPACES)]
        self.stream = Stream(
            site.plane, history, self._namespaces, self.server.urls, Random(seed + 1), OBJECTS
        )

    def start(self, directory: Path, *flags: str) -> None:
        """Start the operator, behind the proxy, which fails from now on."""
        self.mitm.fail(**TROUBLE)
        self._operator = Operator(
            behind(self._site.kubeconfig, self.mitm.url),
            directory,
            *FLAGS,
            f"--watch-namespaces={','.join(self._namespaces)}",
            f"--leader-election-id={self._namespaces[0]}",
            *flags,
        )
        self._stack.callback(self._operator.kill)
        self._operator.start(ready=False)

    def disturb(self, seconds: float, ailing: float) -> None:
        """Have all fail, and the server for a part of the time, until everything has."""
        self.stream.fill()
        begun = time.monotonic()
        self._live_until(lambda: time.monotonic() > begun + ailing, ailing + TO_COVER, 0.05)
        self.server.unfault()
        end = begun + seconds
        self._live_until(
            lambda: time.monotonic() > end and not self._missing(), seconds + TO_COVER, 0.0
        )
        self.mitm.fail()

    def rest(self) -> None:
        """Wait until all is well."""
        self.stream.wait_rest(TO_REST, self._revive)

    def stop(self) -> None:
        """End the operator, and see that it ends well."""
        self._operator.stop()

    def _live_until(self, reached: Callable[[], bool], timeout: float, ailments: float) -> None:
        deadline = time.monotonic() + timeout
        while not reached():
            assert time.monotonic() < deadline, f"never met: {self._missing()}"
            if self._random.random() < ailments:
                self.server.fault(**self._random.choice(AILMENTS), times=1)
            self._revive()
            self.stream.step()
            time.sleep(0.1)

    def _revive(self) -> None:
        """Start it again when it has lost the lease; no other end is right."""
        process = self._operator.process
        if not process.running:
            assert process.exit_code == 1, process.log_tail()
            assert "the Lease is lost" in process.log_tail(200), process.log_tail()
            self.restarts += 1
            self._operator.start(ready=False)

    def _missing(self) -> set[str]:
        """Return which fault has not met which group, of those that may."""
        injected = self.mitm.figures()["injected"]
        met = {f"{kind} of {group}" for kind, groups in injected.items() for group in groups}
        return {f"{kind} of {group}" for kind in KINDS for group in GROUPS} - met - NEVER


@pytest.fixture
def seed(say: Say) -> int:
    """Return the seed, printed."""
    seed = int(os.environ.get("PROXY_SEED", Random().randrange(1 << 31)))
    say(f"PROXY_SEED={seed}")
    return seed


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("seconds", "flags"),
    [
        pytest.param(25, (), id="HTTP/2"),
        pytest.param(5, ("--http1",), id="HTTP/1.1"),
        pytest.param(300, (), id="HTTP/2 long", marks=pytest.mark.long),
        pytest.param(300, ("--http1",), id="HTTP/1.1 long", marks=pytest.mark.long),
    ],
)
def test_behind_a_proxy_that_fails_nothing_is_lost_or_doubled(
    site: Site, seed: int, seconds: float, flags: tuple[str, ...], tmp_path: Path, say: Say
) -> None:
    site.vacate()
    with contextlib.ExitStack() as stack:
        mitm = stack.enter_context(Mitm(site.plane, tmp_path, seed))
        history = stack.enter_context(History(site.plane))
        run = Run(site, mitm, history, seed, stack)
        run.start(tmp_path, *flags)
        begun = time.monotonic()
        run.disturb(seconds, seconds / 2)
        middle = time.monotonic()
        run.rest()
        history.catch_up()
        verdict = judge(history, run.server.accounts())
        report(run, verdict, (middle - begun, time.monotonic() - middle), say)
        assert not verdict.wrong, "\n".join(verdict.wrong[:20])
        assert len(verdict.made) > OBJECTS / 2
        assert run.stream.writes() == []
        assert "Addon error" not in mitm.process.log.read_text()
        figures = mitm.figures()
        assert list(figures["versions"]) == ["HTTP/1.1" if flags else "HTTP/2.0"]
        assert list(figures["upstream"]) == ["http/1.1" if flags else "h2"]
        run.stop()


def report(run: Run, verdict: Verdict, took: tuple[float, float], say: Say) -> None:
    """Print the figures."""
    figures = run.mitm.figures()
    count = sum(figures["requests"].values())
    say(
        f"{count} requests through the proxy ({', '.join(figures['versions'])}), "
        f"{run.stream.done} acts of the user, the lease lost {run.restarts} times, "
        f"in {took[0]:.0f} s, and {took[1]:.0f} s to rest"
    )
    for kind, groups in sorted(figures["injected"].items()):
        of = ", ".join(f"{groups[group]} {group}" for group in sorted(groups))
        say(f"  {kind}: {sum(groups.values())} ({of})")
    say(str(verdict))
