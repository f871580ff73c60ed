# SPDX-License-Identifier: Apache-2.0
"""The whole way with no hand in between: from one object to a certificate, and to the next one.

The operator hands the CNAMEs over in a DNSEndpoint, external-dns makes them in BIND, cert-manager's
own solver reads the Secret, and pebble asks BIND.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.bind import Bind
from e2e.cluster import ControlPlane, Object
from e2e.external_dns import ExternalDns
from e2e.operator import Operator
from e2e.pebble import Pebble
from e2e.peers import ROOT
from e2e.process import eventually
from e2e.scene import Scene, Site, records, registration
from e2e.test_rotate import rotate, wait_rotated
from e2e.test_rotate_by_dns import follow

NAMES = ("example.test", "*.example.test", "www.example.test")
DOMAINS = (NAMES[0], NAMES[2])
RBAC = ROOT / "manifests/dns-endpoint"
# external-dns looks every two seconds, the operator every few.
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def operator(
    site: Site, scene: Scene, primary: Bind, dns_endpoints: ControlPlane, tmp_path: Path
) -> Iterator[Operator]:
    """Run it with the optional rights, and external-dns beside it."""
    dns_endpoints.kubectl("apply", "-k", RBAC)
    with ExternalDns(site.plane, tmp_path / "external-dns", primary, scene.namespace, NAMES[0]):
        yield site.run(
            "--leader-elect",
            f"--dns-resolvers={primary.address}:{primary.port}",
            f"--dns-endpoint-domains={','.join(DOMAINS)}",
        )
    site.vacate()
    dns_endpoints.kubectl("delete", "-k", RBAC)


def challenge(domain: str) -> str:
    """Return the name of a domain's CNAME."""
    return f"_acme-challenge.{domain}"


def handed_over(scene: Scene) -> dict[str, str]:
    """Return the target by domain that the DNSEndpoint asks for."""
    endpoint = scene.plane.get("dnsendpoint", "example", scene.namespace)
    targets = {each["dnsName"]: each["targets"] for each in endpoint["spec"]["endpoints"]}
    return {domain: ",".join(targets[challenge(domain)]) for domain in DOMAINS}


def published(primary: Bind) -> dict[str, str]:
    """Return the target by domain that DNS shows."""
    shown = {domain: primary.values(challenge(domain), "CNAME") for domain in DOMAINS}
    return {domain: values[0].rstrip(".") for domain, values in shown.items() if values}


def stored(scene: Scene) -> dict[str, str]:
    """Return the name of the account by domain that the Secret has."""
    return {domain: entry["fulldomain"] for domain, entry in scene.accounts().items()}


def subdomains(targets: dict[str, str]) -> list[str]:
    """Return the accounts that a certificate for NAMES uses: for a wildcard the apex's again."""
    used = [*targets.values(), targets[NAMES[0]]]
    return sorted(target.partition(".")[0] for target in used)


def used(scene: Scene, since: int) -> list[str]:
    """Return the accounts that the stand-in's updates were of."""
    return sorted(each["subdomain"] for each in scene.server.updates()[since:])


def switched(scene: Scene, primary: Bind, nexts: dict[str, str]) -> bool:
    """Tell whether the new accounts have their places; none has before its CNAME is there."""
    now = stored(scene)
    moved = {domain for domain in DOMAINS if now[domain] == nexts[domain]}
    shown = published(primary)
    assert all(shown[domain] == nexts[domain] for domain in moved)
    return moved == set(DOMAINS)


def test_one_object_leads_to_certificates_of_old_and_new_accounts(
    scene: Scene, primary: Bind, pebble: Pebble
) -> None:
    obj: Object = registration(scene.server.url, *NAMES, cname={"dnsEndpoint": {}})
    obj["metadata"]["namespace"] = scene.namespace
    scene.plane.apply(obj)
    old = records(scene.wait(Ready="True", CNAMEReady="True/CNAMEFound", timeout=PATIENCE))
    assert handed_over(scene) == published(primary) == stored(scene) == old
    assert scene.issue(pebble, *NAMES).names == set(NAMES)
    assert used(scene, 0) == subdomains(old)

    rotate(scene, "1")
    nexts = follow(scene)
    eventually(lambda: handed_over(scene) == nexts, PATIENCE, "the DNSEndpoint follows")
    eventually(lambda: switched(scene, primary, nexts), PATIENCE, "the accounts are switched")
    assert records(wait_rotated(scene, "1", PATIENCE)) == nexts
    scene.wait(CNAMEReady="True/CNAMEFound")
    assert handed_over(scene) == published(primary) == nexts
    before = len(scene.server.updates())
    assert scene.issue(pebble, *NAMES).names == set(NAMES)
    assert used(scene, before) == subdomains(nexts)
    assert not set(nexts.values()) & set(old.values())
    assert len(scene.posts()) == 4
