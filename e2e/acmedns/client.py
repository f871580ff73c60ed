# SPDX-License-Identifier: Apache-2.0
"""Starts and stops the stand-in of acme-dns, and drives its control API.

    with AcmeDns() as server:
        server.fault(path="/register", kind="drop", commit=True, times=1)
        ...
        assert len(server.requests("/register", method="POST")) == 2

Standard library only, synchronous, and good for any number of threads. The process
ends with ``stop()``, and by itself when this one is gone (its standard input closes).
"""

import base64
import json
import os
import select
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from .exchange import exchange

StrPath = str | os.PathLike[str]

_ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 5.0


class AcmeDns:
    """One stand-in process; ``with`` starts it and clears up after it.

    ``api`` is one address or several, ``tls`` a pair of PEM files (chain, key), ``ca``
    what ``register()`` and ``update()`` verify them with. Without ``db`` the accounts
    are kept in a temporary file, so they outlive ``restart()`` and are gone at the end.
    ``extra`` are more arguments for ``python -m e2e.acmedns``. With ``outlive`` it goes
    on when this process ends.
    """

    def __init__(
        self,
        *,
        api: str | Sequence[str] = "127.0.0.1:0",
        dns: str = "127.0.0.1:0",
        control: str = "127.0.0.1:0",
        domain: str = "auth.test",
        db: StrPath | None = None,
        bcrypt_cost: int = 4,
        tls: tuple[StrPath, StrPath] | None = None,
        ca: StrPath | None = None,
        extra: Sequence[str] = (),
        python: str = sys.executable,
        outlive: bool = False,
    ) -> None:
        self.apis = [api] if isinstance(api, str) else list(api)
        self.dns = dns
        self.control = control
        self.domain = domain
        self.urls: list[str] = []
        self.silent: list[str] = []
        self._scratch = None if db else tempfile.mkdtemp(prefix="acmedns-")
        self._db = os.fspath(db) if db else os.path.join(self._scratch or "", "acme.db")
        self._options = ["--bcrypt-cost", str(bcrypt_cost), *extra]
        if tls:
            self._options += ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])]
        self._ca = ca
        self._python = python
        self._outlive = outlive
        self._process: subprocess.Popen[bytes] | None = None

    # --- the process

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The first API URL."""
        return self.urls[0]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start the process and wait until it is ready; addresses are then the bound ones."""
        command = [self._python, "-m", "e2e.acmedns", *self._arguments()]
        paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if self._outlive else subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
        )
        ready = json.loads(self._ready_line())
        self.urls, self.dns, self.silent = ready["apis"], ready["dns"], ready["silent"]
        self.apis = [urlsplit(url).netloc for url in self.urls]
        self.control = urlsplit(ready["control"]).netloc
        return self

    def stop(self) -> None:
        """End the process (SIGTERM, then SIGKILL); the accounts stay for a ``start()``."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._reap()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def restart(self) -> Self:
        """Stop and start on the same addresses with the same accounts."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Stop and remove what was made for it."""
        self.stop()
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _arguments(self) -> list[str]:
        arguments = ["--dns", self.dns, "--control", self.control]
        arguments += ["--domain", self.domain, "--db", self._db, *self._options]
        for address in self.apis:
            arguments += ["--api", address]
        return arguments if self._outlive else [*arguments, "--exit-on-eof"]

    def _ready_line(self) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], _START_TIMEOUT)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            self.kill()
            raise RuntimeError("the acme-dns stand-in did not start")
        return line

    def _reap(self) -> None:
        assert self._process is not None
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None

    # --- what it has seen

    def accounts(self) -> list[dict[str, Any]]:
        """seq, username, subdomain, fulldomain, allowfrom, created; oldest first."""
        return self._ask("GET", "/accounts")["accounts"]

    def requests(self, path: str | None = None, method: str | None = None) -> list[dict[str, Any]]:
        """The API requests so far, of one path or method if given."""
        wanted = {"path": path, "method": method}
        query = urlencode({name: value for name, value in wanted.items() if value})
        return self._ask("GET", f"/requests?{query}")

    def updates(self) -> list[dict[str, Any]]:
        """subdomain, txt and status of each authenticated /update."""
        return self._ask("GET", "/updates")

    def queries(self) -> list[dict[str, Any]]:
        """name, type, rcode, transport of each DNS query."""
        return self._ask("GET", "/queries")

    # --- what it shall do

    def fault(self, kind: str = "none", *, path: str = "/register", **what: Any) -> int:
        """Add a fault rule (see faults.py for the kinds and members); its number."""
        return self._ask("POST", "/faults", {"kind": kind, "path": path, **what})["id"]

    def faults(self) -> list[dict[str, Any]]:
        """The rules with their ``hits``."""
        return self._ask("GET", "/faults")

    def unfault(self, number: int | None = None) -> None:
        """Remove one rule, or all."""
        self._ask("DELETE", "/faults" if number is None else f"/faults/{number}")

    def clear(self, logs: bool = True) -> None:
        """Rules, gate, settings and logs back to the start; accounts stay."""
        self._ask("POST", "/clear", {"logs": logs})

    def hold(self, stage: str = "before") -> None:
        """Keep registrations waiting, before their work or ``after`` it."""
        self._ask("POST", "/hold", {"stage": stage})

    def held(self) -> int:
        return self._ask("GET", "/held")["held"]

    def release(self, discard: bool = False) -> None:
        """Let held registrations go on, or close their connections."""
        self._ask("POST", "/release", {"discard": discard})

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings by name (see state.py), if any; the settings then."""
        return self._ask("POST", "/settings", changes)

    def forget(self, subdomain: str) -> None:
        """Take an account away from the server."""
        self._ask("DELETE", f"/accounts/{quote(subdomain)}")

    def silent_host(self, address: str = "127.0.0.1:0") -> str:
        """Open a listener that accepts connections and never reads; its address."""
        return self._ask("POST", "/silent", {"address": address})["address"]

    def silent_hosts(self) -> list[dict[str, Any]]:
        """address and accepted (connections so far) of each silent listener."""
        return self._ask("GET", "/silent")

    # --- waiting

    def wait_held(self, count: int = 1, timeout: float = 10.0) -> None:
        _wait(lambda: self.held() >= count, timeout, f"{count} held registrations")

    def wait_requests(
        self, count: int = 1, path: str | None = "/register", timeout: float = 10.0
    ) -> None:
        _wait(lambda: len(self.requests(path)) >= count, timeout, f"{count} requests")

    # --- as a client of acme-dns

    def register(self, allowfrom: Sequence[str] | None = None) -> dict[str, Any]:
        """A new account: the five fields."""
        body = {} if allowfrom is None else {"allowfrom": list(allowfrom)}
        return self._post("/register", body, {}, 201)

    def update(self, account: dict[str, Any], txt: str) -> None:
        headers = {"X-Api-User": account["username"], "X-Api-Key": account["password"]}
        body = {"subdomain": account["subdomain"], "txt": txt}
        self._post("/update", body, headers, 200)

    def _post(self, path: str, body: Any, headers: dict[str, str], wanted: int) -> Any:
        settings = self._ask("GET", "/settings")
        if settings["basic_auth"]:
            token = base64.b64encode(settings["basic_auth"].encode()).decode()
            headers = {**headers, "Authorization": f"Basic {token}"}
        headers = {**headers, **settings["required_headers"]}
        url = urlsplit(self.url)
        target = settings["prefix"].rstrip("/") + path
        secure = ssl.create_default_context(cafile=self._ca) if url.scheme == "https" else None
        status, answer = exchange(url.netloc, "POST", target, body, headers, secure)
        if status != wanted:
            raise RuntimeError(f"{path}: {status} {answer!r}")
        return json.loads(answer)

    def _ask(self, method: str, target: str, body: Any = None) -> Any:
        status, answer = exchange(self.control, method, target, body, {})
        if status != 200:
            raise RuntimeError(f"{method} {target}: {status} {answer!r}")
        return json.loads(answer)


def _wait(happened: Callable[[], bool], timeout: float, what: str) -> None:
    end = time.monotonic() + timeout
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout} s for {what}")
        time.sleep(0.02)
