# SPDX-License-Identifier: Apache-2.0
"""Child processes that never outlive the run, and the waiting for them to be ready."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

Say = Callable[[str], None]

_running: weakref.WeakSet[Process] = weakref.WeakSet()


class ProcessFailed(RuntimeError):
    """A process ended, or did not become ready; the message holds the end of its log."""


def say_on_stderr(line: str) -> None:
    """Print one line of progress where it disturbs no output."""
    print(line, file=sys.stderr, flush=True)


def free_ports(count: int) -> list[int]:
    """Return free TCP ports of 127.0.0.1, below those that the kernel gives to clients.

    A port taken from the kernel's own range could be handed to an outgoing connection
    while the server that had it is being restarted.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            port = random.randrange(20000, 32000)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
    return ports


class Process:
    """A program in a session of its own, its output in a log, killed when this one dies.

    The kernel kills it when the thread that started it ends, so start it from a thread
    that lives as long as it shall.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        stop_timeout: float = 10.0,
    ) -> None:
        """Describe the process; start() runs it. The environment is added to this one."""
        self.name = name
        self.argv = [str(argument) for argument in argv]
        self.log = log
        self.env = dict(env or {})
        self.stop_timeout = stop_timeout
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; only while it runs or before its end was collected."""
        if self._child is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative for a signal), None while it runs or before its start."""
        return None if self._child is None else self._child.poll()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Run the program; the log is appended to, so that a restart keeps what was."""
        if self.running:
            raise ProcessFailed(f"{self.name} is running already")
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                start_new_session=True,
            )
        _running.add(self)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone; one that has ended gets none."""
        if self._child is not None:
            self._child.send_signal(number)

    def pause(self) -> None:
        """Freeze it: its connections stay open and are answered by nobody."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after pause()."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it and what it started at once, and collect it."""
        if self._child is None:
            return
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        _running.discard(self)

    def stop(self) -> int | None:
        """Ask it to end, kill it if it does not in time, and return its exit code."""
        if self._child is None:
            return None
        self.resume()
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(self.stop_timeout)
        self.kill()
        return self._child.returncode

    def wait(self, timeout: float) -> int:
        """Wait for it to end by itself and return its exit code."""
        if self._child is None:
            raise ProcessFailed(f"{self.name} was not started")
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"{self.name} still runs after {timeout:g} s") from None

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> float:
        """Wait until ready() holds; return the seconds it took, raise if the process ends."""
        begun = time.monotonic()
        while not ready():
            if not self.running:
                raise ProcessFailed(
                    f"{self.name} ended with {self.exit_code}; its log ends:\n{self.log_tail()}"
                )
            if time.monotonic() - begun > timeout:
                raise ProcessFailed(
                    f"{self.name} is not ready after {timeout:g} s; its log ends:\n"
                    f"{self.log_tail()}"
                )
            time.sleep(0.03)
        return time.monotonic() - begun


def eventually(check: Callable[[], object], timeout: float, what: str) -> None:
    """Wait until check() returns something true, and raise AssertionError if it never does."""
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {timeout:g} s: {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def paused(process: Process) -> Iterator[None]:
    """Freeze the process for the length of a with block."""
    process.pause()
    try:
        yield
    finally:
        process.resume()


@atexit.register
def _kill_all() -> None:
    for process in list(_running):
        process.kill()
