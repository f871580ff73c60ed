# SPDX-License-Identifier: Apache-2.0
"""What external-dns makes of a DNSEndpoint, which the operator can rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.bind import Bind
from e2e.cluster import ControlPlane
from e2e.external_dns import OWNERSHIP_PREFIX, ExternalDns, endpoint
from e2e.process import eventually

OWNER = "_acme-challenge.example.test"
TARGET = "7f3c0f0e-0000-4000-8000-000000000000.auth.test"
OTHER = "8a4d0f0e-0000-4000-8000-000000000000.auth.test"
THEIRS = "_acme-challenge.www.example.test"
PATIENCE = 30.0


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Bind]:
    """BIND as the primary of example.test, with a record of somebody else's."""
    zones = {"example.test": [f"{THEIRS}. CNAME {TARGET}."]}
    with Bind(tmp_path / "bind", zones) as bind:
        yield bind


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    """Make the namespace that external-dns looks at."""
    return control_plane.create_namespace()


@pytest.fixture
def external_dns(
    dns_endpoints: ControlPlane, bind: Bind, namespace: str, tmp_path: Path
) -> Iterator[ExternalDns]:
    """Run external-dns for the namespace and the zone."""
    with ExternalDns(dns_endpoints, tmp_path, bind, namespace, "example.test") as external_dns:
        yield external_dns


def endpoints(namespace: str) -> str:
    """Return the path of the namespace's DNSEndpoints."""
    return f"/apis/externaldns.k8s.io/v1alpha1/namespaces/{namespace}/dnsendpoints"


@pytest.mark.usefixtures("external_dns")
def test_a_dns_endpoint_becomes_a_cname_and_goes_with_it(
    control_plane: ControlPlane, bind: Bind, namespace: str
) -> None:
    path = endpoints(namespace)
    control_plane.api("POST", path, endpoint("example", {OWNER: TARGET}))
    eventually(lambda: bind.values(OWNER, "CNAME") == [f"{TARGET}."], PATIENCE, "the CNAME")
    registry = OWNERSHIP_PREFIX + OWNER
    eventually(lambda: bind.values(registry, "TXT"), PATIENCE, "whose it is")
    (owner,) = bind.values(registry, "TXT")
    assert f"external-dns/owner={namespace}" in owner
    assert f"external-dns/resource=crd/{namespace}/example" in owner
    seen = control_plane.api("GET", f"{path}/example")
    assert seen["status"]["observedGeneration"] == seen["metadata"]["generation"]

    changed = {"spec": endpoint("example", {OWNER: OTHER})["spec"]}
    control_plane.api("PATCH", f"{path}/example", changed)
    eventually(lambda: bind.values(OWNER, "CNAME") == [f"{OTHER}."], PATIENCE, "the other CNAME")

    control_plane.api("DELETE", f"{path}/example")
    eventually(lambda: not bind.values(OWNER, "CNAME"), PATIENCE, "its end")
    eventually(lambda: not bind.values(registry, "TXT"), PATIENCE, "the end of whose it is")


def test_a_record_of_somebody_elses_stays(
    control_plane: ControlPlane, bind: Bind, namespace: str, external_dns: ExternalDns
) -> None:
    path = endpoints(namespace)
    control_plane.api("POST", path, endpoint("theirs", {THEIRS: OTHER}))
    eventually(
        lambda: "status" in control_plane.api("GET", f"{path}/theirs"), PATIENCE, "it is seen"
    )
    external_dns.wait_round()
    control_plane.api("DELETE", f"{path}/theirs")
    external_dns.wait_round()
    assert bind.values(THEIRS, "CNAME") == [f"{TARGET}."]
