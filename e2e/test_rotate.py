# SPDX-License-Identifier: Apache-2.0
"""New accounts on request, and the two ways out of HostChanged."""

from __future__ import annotations

import json
import re

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.cluster import Object
from e2e.operator import Operator
from e2e.process import eventually
from e2e.scene import GROUP, KEY, PATIENCE, Scene, Site, account, condition, records, registration

ROTATE = f"{GROUP}/rotate"


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Look at each Secret once a second: what is changed there is seen without a watch."""
    return site.run("--leader-elect", "--secret-resync=1s")


def rotate(scene: Scene, value: str | None) -> None:
    """Ask for a rotation; None takes the wish back."""
    scene.annotate("rotate", value)


def wait_rotated(scene: Scene, value: str, timeout: float = PATIENCE) -> Object:
    """Wait until a rotation is done, for all domains."""
    scene.wait_handled("rotate", value, timeout=timeout)
    return scene.wait_ready()


def record(scene: Scene, domain: str = "example.com") -> Object:
    """Return our record of a domain."""
    found: Object = scene.own_document()["keys"][KEY][domain]
    return found


def test_rotation_makes_before_it_breaks(scene: Scene) -> None:
    before = scene.register("example.com", "www.example.com")
    old = scene.accounts()
    rotate(scene, "2026-11-24")
    after = wait_rotated(scene, "2026-11-24")
    new = scene.accounts()
    assert len(scene.posts()) == len(scene.server.accounts()) == 4
    assert records(after).keys() == records(before).keys()
    for domain, entry in new.items():
        assert entry["subdomain"] != old[domain]["subdomain"]
        assert records(after)[domain] == entry["fulldomain"]
        assert record(scene, domain)["retired"] == {scene.server.url: old[domain]}
        scene.present(domain)
    assert scene.wait_event("Rotated")["type"] == "Normal"
    assert [each["reason"] for each in scene.events()] == ["Registered", "Rotated"]


def test_rotation_is_done_once_for_each_value(scene: Scene) -> None:
    scene.register("example.com")
    rotate(scene, "1")
    wait_rotated(scene, "1")
    rotate(scene, None)
    rotate(scene, "1")
    scene.wait_looks(2)
    assert len(scene.posts()) == 2
    rotate(scene, "2")
    wait_rotated(scene, "2")
    assert len(scene.posts()) == 3


def test_value_of_a_new_object_asks_for_nothing(scene: Scene) -> None:
    obj = registration(scene.server.url, "example.com")
    obj["metadata"]["annotations"] = {ROTATE: "1"}
    scene.create(obj)
    wait_rotated(scene, "1")
    assert len(scene.posts()) == 1


def test_the_accounts_serve_while_the_server_refuses(scene: Scene) -> None:
    before = scene.register("example.com")
    secret = scene.accounts()
    scene.server.settings(registration_disabled=True)
    rotate(scene, "1")
    scene.wait(Ready="True", Reconciling="True/ProgressingWithRetry")
    assert scene.accounts() == secret
    assert records(scene.get()) == records(before)
    scene.server.settings(registration_disabled=False)
    rotate(scene, None)
    eventually(lambda: condition(scene.get(), "Reconciling") is None, 30, "it is called off")
    assert scene.accounts() == secret
    assert len(scene.server.accounts()) == 1


def test_allow_from_changes_with_a_rotation(scene: Scene) -> None:
    scene.register("example.com")
    scene.change(allowFrom=["10.0.0.0/8"])
    scene.wait(Ready="True/RotationNeeded")
    scene.change(allowFrom=None)
    scene.wait(Ready="True/Ready")
    scene.change(allowFrom=["127.0.0.0/8", "::/0"])
    scene.wait(Ready="True/RotationNeeded")
    assert len(scene.posts()) == 1
    rotate(scene, "1")
    wait_rotated(scene, "1")
    scene.wait(Ready="True/Ready")
    assert scene.accounts()["example.com"]["allowfrom"] == ["127.0.0.0/8", "::/0"]


def test_policy_changes_with_a_rotation(scene: Scene) -> None:
    scene.register("example.com", "example.org")
    scene.change(accountPolicy="Shared")
    scene.wait(Ready="True/RotationNeeded")
    scene.change(accountPolicy=None)
    scene.wait(Ready="True/Ready")
    scene.change(accountPolicy="Shared")
    rotate(scene, "1")
    wait_rotated(scene, "1")
    scene.wait(Ready="True/Ready")
    assert len(scene.posts()) == 3
    assert len({each["subdomain"] for each in scene.accounts().values()}) == 1
    scene.change(accountPolicy="PerDomain")
    scene.wait(Ready="True/RotationNeeded")
    rotate(scene, "2")
    wait_rotated(scene, "2")
    assert len({each["subdomain"] for each in scene.accounts().values()}) == 2


def test_rotation_to_another_host_and_back(scene: Scene) -> None:
    scene.register("example.com")
    old = scene.accounts()["example.com"]
    with AcmeDns() as another:
        scene.change(host=another.url)
        scene.wait(Ready="False/HostChanged")
        rotate(scene, "1")
        wait_rotated(scene, "1")
        new = scene.accounts()["example.com"]
        assert new["server_url"] == another.url
        assert record(scene)["retired"] == {scene.server.url: old}
        scene.change(host=scene.server.url)
        scene.wait(Ready="False/HostChanged")
        rotate(scene, "2")
        wait_rotated(scene, "2")
        assert scene.accounts()["example.com"] == old
        assert record(scene)["retired"] == {another.url: new}
        assert len(another.accounts()) == 1
    assert len(scene.posts()) == 1
    scene.present("example.com")


def test_an_entry_of_another_host_is_replaced_when_asked(scene: Scene) -> None:
    entry = account(server_url="https://other.example.net")
    scene.put_secret({KEY: json.dumps({"example.com": entry, "other.example": account(2)})})
    scene.create(registration(scene.server.url, "example.com"))
    scene.wait(Ready="False/HostChanged")
    rotate(scene, "1")
    wait_rotated(scene, "1")
    assert record(scene)["retired"] == {"https://other.example.net": entry}
    assert scene.accounts()["other.example"] == account(2)
    scene.present("example.com")


def test_the_same_server_under_another_address(scene: Scene) -> None:
    scene.register("example.com")
    old = scene.accounts()["example.com"]
    other = scene.server.url.replace("127.0.0.1", "localhost")
    scene.change(host=other)
    changed = condition(scene.wait(Ready="False/HostChanged"), "Ready")
    assert changed
    told = dict(re.findall(r'(\S+)="([^"]+)"', changed["message"]))
    assert told == {f"{GROUP}/same-server": f"{scene.server.url} {other}"}
    scene.patch_secret({"metadata": {"annotations": told}})
    scene.wait_ready()
    assert scene.accounts()["example.com"] == old | {"server_url": other}
    assert len(scene.posts()) == 1
    scene.present("example.com")
