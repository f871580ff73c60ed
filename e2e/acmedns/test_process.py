# SPDX-License-Identifier: Apache-2.0
"""The stand-in as a process: addresses, TLS, restarts, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from e2e.pki import Authority

from .client import AcmeDns
from .conftest import Account, Target
from .listeners import parse_address

ROOT = Path(__file__).parents[2]
TXT = "x" * 43


def _target(server: AcmeDns) -> Target:
    return Target(server.url, server.dns)


def _account(fields: dict) -> Account:
    return Account(**{k: v for k, v in fields.items() if k != "allowfrom"})


def test_accounts_outlive_a_restart() -> None:
    with AcmeDns() as server:
        account, url, dns = _account(server.register()), server.url, server.dns
        server.update(account.__dict__, TXT)
        server.kill()
        server.start()
        assert (server.url, server.dns) == (url, dns)
        server.restart()
        assert _target(server).update(account, "").status == 400
        assert _target(server).values(account) == [TXT]
        assert [a["subdomain"] for a in server.accounts()] == [account.subdomain]


def test_several_addresses() -> None:
    with AcmeDns(api=["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"], dns="[::1]:0") as server:
        account = _account(server.register())
        assert server.urls[1].startswith("http://127.0.0.2:")
        assert server.urls[2].startswith("http://[::1]:")
        for url in server.urls:
            assert Target(url, server.dns).update(account, TXT).status == 200
        assert _target(server).values(account) == [TXT]
        peers = {r["peer"] for r in server.requests("/update")}
        assert "127.0.0.1" in peers and "::1" in peers


def test_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.server("acme-dns", ["127.0.0.1"])
    with AcmeDns(tls=(files.certificate, files.key), ca=authority.ca_file) as server:
        assert server.url.startswith("https://")
        server.update(server.register(), TXT)


def test_ends_with_its_parent() -> None:
    code = (
        "from e2e.acmedns.client import AcmeDns\n"
        "import os\n"
        "server = AcmeDns(db=':memory:').start()\n"
        "print(server.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    _eventually_gone(int(_python("-c", code).stdout))


def test_dies_with_its_parent() -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'e2e.acmedns', '--die-with-parent'],"
        " stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
    )
    _eventually_gone(int(_python("-c", code).stdout))


def test_ends_on_sigterm_with_requests_under_way() -> None:
    with AcmeDns() as server:
        server.hold()
        server.fault("silent", path="/health")
        for line in (b"POST /register", b"GET /health"):
            threading.Thread(target=_send_and_wait, args=(server.apis[0], line)).start()
        server.wait_requests(2, path=None)
        process = server._process
        assert process is not None
        os.kill(server.pid, signal.SIGTERM)
        assert process.wait(3) == 0


def test_a_taken_port_is_an_error_message() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = _python("-m", "e2e.acmedns", "--api", address)
    assert done.returncode == 1
    assert "in use" in done.stderr and "Traceback" not in done.stderr


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)


def _eventually_gone(pid: int) -> None:
    end = time.monotonic() + 10
    while _alive(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _send_and_wait(address: str, line: bytes) -> None:
    with socket.create_connection(parse_address(address)) as client:
        client.sendall(line + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        client.recv(100)
