# SPDX-License-Identifier: Apache-2.0
"""The operator at work, from an empty cluster to a certificate: ``make demo``.

It starts what is needed, says each step in one line, shows the commands it runs, and ends all
that it started. The environment:

  KEEP=1           leave it running, in a process of its own, and print its KUBECONFIG
  STOP=1           end the one that was left running
  DEMO_KUBECONFIG  use this cluster: a namespace of its own, nothing of others is changed,
                   and the CNAMEs are made by the demo, not by external-dns
  ACME_DNS_URL     use this acme-dns API, which has to permit registration; its DNS is not known,
                   so no CNAME is made and no certificate issued
  ACME_DNS_OPERATOR  the operator's binary
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from e2e.cluster import KubectlFailed
from e2e.demo_steps import Demo, Failed
from e2e.pebble import NotIssued
from e2e.peers import Refused
from e2e.process import ProcessFailed

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "acme-dns-operator"
_KEPT = _CACHE / "demo.json"
_PR_SET_PDEATHSIG = 1

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _end(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in _SIGNALS:
        signal.signal(number, handler)


def _tie_to_parent(number: int) -> None:
    """Get this signal when the process that started this one ends; 0 unties."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _play(then: Callable[[Demo], None]) -> int:
    """Run the demo and what comes after it; whatever happens, end all that it started."""
    _on_signals(_end)
    _tie_to_parent(signal.SIGTERM)
    with contextlib.ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="acme-dns-operator-demo-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        demo = Demo(stack, directory)
        try:
            demo.run()
            then(demo)
            code = 0
        except (Failed, KubectlFailed, NotIssued, ProcessFailed, Refused) as error:
            print(f"\ndemo: {error}", flush=True)
            code = 1
        finally:
            # The end is short, and no signal cuts it short.
            _on_signals(signal.SIG_IGN)
    return code


def _say_end(_: Demo) -> None:
    print("\nThat is all; ending it. `make demo KEEP=1` leaves it running.", flush=True)


def _keep(demo: Demo, told: int) -> None:
    """Tell the process that waits at `told` that it may go, and stay until a signal comes."""
    _KEPT.parent.mkdir(parents=True, exist_ok=True)
    pid = os.getpid()
    _KEPT.write_text(json.dumps({"pid": pid, "started": _started(pid)}))
    demo.stack.callback(_KEPT.unlink, missing_ok=True)
    hint = _HINT.format(demo=demo, bin=Path(demo.kubectl_path).parent, pid=pid, dig=_dig(demo))
    print(hint, flush=True)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    _tie_to_parent(0)
    os.write(told, b"kept")
    while True:
        signal.pause()


_HINT = """
It goes on running. To look around:

      export KUBECONFIG={demo.cluster.kubeconfig} PATH={bin}:$PATH
      kubectl -n {demo.namespace} get adr,secret,events
      tail -f {demo.directory}/operator.log{dig}

The acme-dns server is {demo.host}.

To end it:  make demo STOP=1    (or: kill {pid})"""


def _dig(demo: Demo) -> str:
    """Tell how to ask the demo's DNS server, if it has one."""
    if not demo.bind:
        return ""
    where = f"@{demo.bind.address} -p {demo.bind.port}"
    return f"\n      dig {where} CNAME _acme-challenge.example.com    # Debian: bind9-dnsutils"


def _keep_in_background() -> int:
    """Run the demo in a session of its own, and return when it is shown."""
    _on_signals(_end)
    heard, told = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", "e2e.demo", str(told)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[told],
        start_new_session=True,
    )
    os.close(told)
    try:
        return 0 if os.read(heard, 4) else child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks; "" if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _kept() -> int:
    """The process that keeps a demo running, or 0."""
    try:
        kept = json.loads(_KEPT.read_text())
    except (OSError, ValueError):
        return 0
    return kept["pid"] if _started(kept["pid"]) == kept["started"] else 0


def _stop() -> int:
    pid = _kept()
    if not pid:
        print("demo: none is running")
        return 0
    os.kill(pid, signal.SIGTERM)
    while _started(pid):
        time.sleep(0.1)
    print("demo: ended")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Do what the environment asks for."""
    if arguments:
        return _play(lambda demo: _keep(demo, int(arguments[0])))
    if os.environ.get("STOP"):
        return _stop()
    if not os.environ.get("KEEP"):
        return _play(_say_end)
    if pid := _kept():
        print(f"demo: one is running already, as process {pid}; make demo STOP=1 ends it")
        return 1
    return _keep_in_background()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
