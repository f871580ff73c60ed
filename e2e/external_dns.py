# SPDX-License-Identifier: Apache-2.0
"""external-dns, which makes in BIND what DNSEndpoints ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from e2e.bind import Bind
from e2e.cluster import Cluster, Object
from e2e.peers import peer
from e2e.process import Process, free_ports

CRD = "dnsendpoints.externaldns.k8s.io"
# How the TXT registry names the record that says whose a CNAME is.
OWNERSHIP_PREFIX = "cname-"
_NAMESPACE = _NAME = "external-dns"
_GROUP = "externaldns.k8s.io"
_ROUND_TIMEOUT = 30.0


def endpoint(name: str, records: Mapping[str, str]) -> Object:
    """Build a DNSEndpoint of CNAMEs: the target of each by the name that it is at."""
    endpoints = [
        {"dnsName": owner, "recordType": "CNAME", "recordTTL": 60, "targets": [target]}
        for owner, target in records.items()
    ]
    return {
        "apiVersion": f"{_GROUP}/v1alpha1",
        "kind": "DNSEndpoint",
        "metadata": {"name": name},
        "spec": {"endpoints": endpoints},
    }


def install_crd(cluster: Cluster) -> None:
    """Apply the CRD of DNSEndpoint, out of external-dns's own module."""
    cluster.kubectl("apply", "-f", peer("external-dns") / "dnsendpoints.yaml")
    cluster.wait("crd", CRD, "condition=Established")
    cluster.kubectl("get", "dnsendpoints", "--all-namespaces")


def remove_crd(cluster: Cluster) -> None:
    """Take the CRD away, and all DNSEndpoints with it."""
    cluster.delete("crd", CRD)


def _user() -> list[Object]:
    """Build its ServiceAccount, and what it may do: what its own chart grants for this source."""
    about = {"name": _NAME}
    rbac = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": _NAME, "namespace": _NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {**about, "namespace": _NAMESPACE},
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": about,
            "rules": [
                {
                    "apiGroups": [_GROUP],
                    "resources": ["dnsendpoints"],
                    "verbs": ["get", "watch", "list"],
                },
                {
                    "apiGroups": [_GROUP],
                    "resources": ["dnsendpoints/status"],
                    "verbs": ["*"],
                },
            ],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": about,
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": _NAME},
            "subjects": [account],
        },
    ]


class ExternalDns:
    """external-dns with a ServiceAccount of its own, for the length of a with block.

    It brings DNSEndpoints to the zones of one BIND, and takes away again what it made.
    """

    def __init__(
        self, cluster: Cluster, directory: Path, bind: Bind, namespace: str, *zones: str
    ) -> None:
        """Make its user and describe it; it looks at one namespace. The CRD has to be there."""
        directory.mkdir(parents=True, exist_ok=True)
        cluster.apply(_user())
        kubeconfig = directory / "external-dns.kubeconfig"
        cluster.service_account_kubeconfig(_NAMESPACE, _NAME, kubeconfig, "24h")
        (port,) = free_ports(1)
        self.process = Process(
            "external-dns",
            [
                peer("external-dns") / "external-dns",
                f"--kubeconfig={kubeconfig}",
                f"--namespace={namespace}",
                "--source=crd",
                "--provider=rfc2136",
                f"--rfc2136-host={bind.address}",
                f"--rfc2136-port={bind.port}",
                *(f"--rfc2136-zone={zone}" for zone in zones),
                f"--rfc2136-tsig-secret-alg={bind.key_algorithm}",
                f"--rfc2136-tsig-keyname={bind.key_name}",
                "--rfc2136-tsig-axfr",
                "--registry=txt",
                f"--txt-owner-id={namespace}",
                "--policy=sync",
                "--interval=2s",
                f"--metrics-address=127.0.0.1:{port}",
            ],
            directory / "external-dns.log",
            # A secret in the arguments would be in the list of processes.
            {"EXTERNAL_DNS_RFC2136_TSIG_SECRET": bind.key_secret},
        )

    def __enter__(self) -> Self:
        """Run it, and wait until it has looked at all and found nothing (more) to do."""
        self.process.start()
        self.wait_round()
        return self

    def __exit__(self, *_: object) -> None:
        """End it; the records that it made stay."""
        self.process.stop()

    def wait_round(self) -> None:
        """Wait until it looks at all and finds nothing (more) to do."""
        before = self._idle_rounds()
        self.process.wait_ready(lambda: self._idle_rounds() > before, _ROUND_TIMEOUT)

    def _idle_rounds(self) -> int:
        log = self.process.log
        return log.read_text().count("All records are already up to date")
