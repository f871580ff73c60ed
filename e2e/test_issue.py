# SPDX-License-Identifier: Apache-2.0
"""From one object to a certificate, with the CNAMEs made by hand at the primary."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.bind import Bind
from e2e.dns_server import Query
from e2e.operator import Operator
from e2e.pebble import NotIssued, Pebble
from e2e.scene import Scene, Site
from e2e.test_verify import OF_THE_ZONE, VERIFY, run
from e2e.unbound import Unbound

NAMES = ("example.test", "*.example.test", "www.example.test")


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Run it as users do."""
    return site.run("--leader-elect")


def test_one_object_leads_to_a_certificate(scene: Scene, primary: Bind, pebble: Pebble) -> None:
    primary.publish(scene.register(*NAMES))
    certificate = scene.issue(pebble, *NAMES)
    assert certificate.names == set(NAMES)
    assert "Pebble Intermediate CA" in certificate.issuer
    assert len(scene.posts()) == 2
    updates = [each["subdomain"] for each in scene.server.updates()]
    accounts = scene.accounts()
    apex, www = (accounts[name]["subdomain"] for name in ("example.test", "www.example.test"))
    assert sorted(updates) == sorted([apex, apex, www])


def test_it_is_renewed_again_and_again(scene: Scene, primary: Bind, pebble: Pebble) -> None:
    primary.publish(scene.register("example.test"))
    for _ in range(3):
        assert scene.issue(pebble, *NAMES[:2]).names == set(NAMES[:2])


def test_a_shared_account_serves_a_name_and_its_wildcard(
    scene: Scene, primary: Bind, pebble: Pebble
) -> None:
    primary.publish(scene.register(*NAMES[:2], accountPolicy="Shared"))
    assert scene.issue(pebble, *NAMES[:2]).names == set(NAMES[:2])


def test_without_its_cname_there_is_no_certificate(
    scene: Scene, primary: Bind, pebble: Pebble
) -> None:
    obj = scene.register("example.test")
    with pytest.raises(NotIssued, match="did not appear") as failed:
        scene.issue(pebble, "example.test", patience=1)
    assert failed.value.stage == "resolver"
    primary.publish(obj)
    assert scene.issue(pebble, "example.test").names == {"example.test"}


def test_each_name_needs_its_account(scene: Scene, primary: Bind, pebble: Pebble) -> None:
    with pytest.raises(NotIssued, match="not found") as failed:
        scene.issue(pebble, "example.test")
    assert failed.value.stage == "secret"
    primary.publish(scene.register("example.test"))
    with pytest.raises(NotIssued, match="account credentials not found") as failed:
        scene.issue(pebble, *NAMES)
    assert failed.value.stage == "solver"


def test_a_question_too_early_spoils_it_at_a_resolver_that_remembers_denials(
    scene: Scene, primary: Bind, resolver: Unbound, tmp_path: Path
) -> None:
    primary.publish(scene.register("example.test", "www.example.test"))
    assert resolver.rcode("_acme-challenge.www.example.test", "TXT") == "NXDOMAIN"
    with Pebble(tmp_path / "pebble", resolver.socket_address) as pebble:
        assert scene.issue(pebble, "example.test").names == {"example.test"}
        with pytest.raises(NotIssued) as failed:
            scene.issue(pebble, "www.example.test", patience=3)
    assert failed.value.stage == "resolver"


def test_looking_from_the_start_spoils_nothing_there(
    scene: Scene, site: Site, primary: Bind, resolver: Unbound, tmp_path: Path
) -> None:
    run(site, resolver)
    obj = scene.register(*NAMES, **VERIFY)
    scene.wait(CNAMEReady="False/CNAMEMissing")
    primary.publish(obj)
    scene.wait(CNAMEReady="True/CNAMEFound")
    owners = {Query(f"_acme-challenge.{name}", "CNAME") for name in (NAMES[0], NAMES[2])}
    with Pebble(tmp_path / "pebble", resolver.socket_address) as pebble:
        assert set(resolver.queries()) - OF_THE_ZONE == owners
        assert scene.issue(pebble, *NAMES, patience=3).names == set(NAMES)
