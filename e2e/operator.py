# SPDX-License-Identifier: Apache-2.0
"""The operator as the tests and the demo run it: the binary, as its own ServiceAccount."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from e2e.cluster import Cluster
from e2e.peers import ROOT
from e2e.process import Process, eventually, free_ports

NAMESPACE = "acme-dns-operator-system"
SERVICE_ACCOUNT = "acme-dns-operator"
USER = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
_READY_TIMEOUT = 30.0
# None of the machine's own: hosts behind a proxy are allowed by name only.
_NO_PROXIES = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), "")


def binary() -> Path:
    """The operator under test: $ACME_DNS_OPERATOR, or what `make` builds."""
    return Path(os.environ.get("ACME_DNS_OPERATOR", ROOT / "build/gcc/acme-dns-operator"))


def install(cluster: Cluster) -> None:
    """Apply what the operator needs in the cluster: CRD, namespace, ServiceAccount, RBAC."""
    cluster.kubectl("apply", "-k", str(ROOT / "manifests/crd"))
    wait = ("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    # It fails where a CRD has no conditions yet.
    eventually(lambda: cluster.kubectl(*wait, check=False).returncode == 0, 30, "Established")
    # Established or not, it answers 429 for a moment; kubectl tries again.
    cluster.kubectl("get", "acmednsregistrations", "--all-namespaces")
    cluster.kubectl("apply", "-f", str(ROOT / "manifests/manager/namespace.yaml"))
    cluster.kubectl("apply", "-k", str(ROOT / "manifests/rbac"))


class Operator:
    """One operator process; start() and stop() as often as wanted, each with the same flags."""

    def __init__(
        self,
        kubeconfig: Path,
        directory: Path,
        *flags: str,
        name: str = "operator",
        program: Sequence[str | Path] | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        """Describe it: the kubeconfig (of its ServiceAccount), where its log goes, more flags."""
        self.probe_port, self.metrics_port = free_ports(2)
        self.log = directory / f"{name}.log"
        self.process = Process(
            name,
            [
                *(program or [binary()]),
                f"--kubeconfig={kubeconfig}",
                f"--health-probe-bind-address=127.0.0.1:{self.probe_port}",
                f"--metrics-bind-address=127.0.0.1:{self.metrics_port}",
                "--allow-address=127.0.0.0/8",
                # An object's first round is at a random moment; a test of rounds says when.
                "--probe-interval=0s",
                # Nothing answers there; a test of CNAMEs has a resolver of its own.
                "--dns-resolvers=127.0.0.1:1",
                *flags,
            ],
            self.log,
            {**_NO_PROXIES, **(env or {})},
            stop_timeout=40.0,
        )

    def __enter__(self) -> Operator:
        """Start it and wait until its cache is complete."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self.process.kill() if kind else self.stop()

    def start(self, ready: bool = True) -> None:
        """Run it; by default return when /readyz says so."""
        self.process.start()
        if ready:
            self.process.wait_ready(lambda: self.probe("/readyz") == 200, _READY_TIMEOUT)

    def stop(self) -> None:
        """SIGTERM, and see it end with 0 and without a sanitizer's complaint."""
        code = self.process.stop()
        assert code == 0, f"the operator ended with {code}:\n{self.process.log_tail()}"

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def probe(self, path: str) -> int:
        """The status of a probe, 0 while nothing answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.probe_port}{path}", timeout=5
            ) as r:
                return int(r.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def metric(self, name: str, **labels: str) -> float:
        """The value of one series, 0 if there is none."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as response:
            text = response.read().decode()
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for found in re.finditer(rf"^{re.escape(name)}(?:{{(.*)}})? (\S+)$", text, re.M):
            if wanted <= set((found[1] or "").split(",")):
                return float(found[2])
        return 0.0
