# SPDX-License-Identifier: Apache-2.0
"""mitmproxy between the operator and the API server; what it does there is in mitm_faults.py."""

from __future__ import annotations

import functools
import json
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, Self

from e2e.cluster import ControlPlane
from e2e.peers import ROOT
from e2e.process import Process, free_ports

_READY_TIMEOUT = 60.0
_CONTROL = "/.faults"


@functools.cache
def _program() -> Path:
    """Return mitmdump, of an environment of its own."""
    command = [ROOT / "hack" / "venv", "mitmproxy"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip()) / "bin" / "mitmdump"


class Mitm:
    """A reverse proxy that speaks HTTP/2 on both sides, and verifies the API server."""

    def __init__(self, plane: ControlPlane, directory: Path, seed: int) -> None:
        """Prepare it; `with` starts it. All that it writes goes to the directory."""
        (self.port,) = free_ports(1)
        pair = plane.ca.server(f"mitm-{self.port}", ["127.0.0.1"])
        chain = directory / "mitm.pem"
        chain.touch(mode=0o600)
        chain.write_bytes(pair.key.read_bytes() + pair.certificate.read_bytes())
        self._tls = ssl.create_default_context(cafile=str(plane.ca_file))
        options = {
            "confdir": directory / "mitm",
            "ssl_verify_upstream_trusted_ca": plane.ca_file,
            "connection_strategy": "lazy",
            "flow_detail": 0,
            "termlog_verbosity": "warn",
            "faults_seed": seed,
        }
        argv = [
            _program(),
            f"--mode=reverse:{plane.server}",
            "--listen-host=127.0.0.1",
            f"--listen-port={self.port}",
            f"--certs=*={chain}",
            f"--scripts={ROOT / 'e2e' / 'mitm_faults.py'}",
            *(f"--set={name}={value}" for name, value in options.items()),
        ]
        self.process = Process("mitmproxy", argv, directory / "mitm.log", {"PYTHONPATH": str(ROOT)})

    @property
    def url(self) -> str:
        """The base URL of the API behind it."""
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Run it, without faults."""
        self.process.start()
        self.process.wait_ready(self._answers, _READY_TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.process.kill()

    def fail(self, percent: int = 0, **groups: int) -> None:
        """Have so many of 100 requests meet a fault, in some groups more or less."""
        self._ask("PUT", {"": percent, **groups})

    def figures(self) -> dict[str, Any]:
        """Return its counts: requests by group, by version, injected faults by kind and group."""
        return self._ask("GET")

    def _answers(self) -> bool:
        try:
            return bool(self.figures())
        except OSError:
            return False

    def _ask(self, method: str, body: dict[str, int] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + _CONTROL, data=data, method=method)
        direct = urllib.request.ProxyHandler({})
        opener = urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=self._tls))
        with opener.open(request, timeout=10) as answer:
            return json.load(answer)
