# SPDX-License-Identifier: Apache-2.0
"""What deletionPolicy leaves and takes."""

from __future__ import annotations

import json

import pytest

from e2e.cluster import Object
from e2e.operator import Operator
from e2e.process import eventually
from e2e.scene import GROUP, KEY, SECRET, Scene, Site, account, registration

FINALIZER = f"{GROUP}/accounts"


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Look at each Secret once a second: what is changed there is seen without a watch."""
    return site.run("--leader-elect", "--secret-resync=1s")


def finalizers(obj: Object) -> list[str]:
    """Return the finalizers of an object."""
    found: list[str] = obj["metadata"].get("finalizers", [])
    return found


def wait_gone(scene: Scene, name: str = "example") -> None:
    """Wait until the object is gone."""
    path = scene.namespace

    def gone() -> bool:
        return scene.plane.find("adr", name, path) is None

    eventually(gone, 30, f"{name} is gone")


def our_records(scene: Scene) -> Object:
    """Return our records of the key."""
    found: Object = scene.own_document()["keys"].get(KEY, {})
    return found


def test_retain_leaves_everything(scene: Scene) -> None:
    obj = scene.register("example.com")
    assert finalizers(obj) == []
    secret = scene.secret()
    scene.delete()
    wait_gone(scene)
    assert scene.secret() == secret


def test_delete_takes_what_was_registered_for_the_object(scene: Scene) -> None:
    document = {"example.com": account(1), "foreign.example": account(2)}
    scene.put_secret({KEY: json.dumps(document), "README": "mine"})
    scene.register("example.com", "www.example.com", deletionPolicy="Delete")
    scene.register("example.org", name="other")
    others = scene.accounts()["example.org"]
    scene.delete()
    wait_gone(scene)
    assert scene.accounts() == document | {"example.org": others}
    assert our_records(scene).keys() == {"example.org"}
    assert list(scene.own_document()["owners"].values()) == ["other"]
    assert scene.value("README") == b"mine"
    assert len(scene.posts()) == 2


def test_the_finalizer_is_there_before_the_first_claim(scene: Scene) -> None:
    scene.create(registration(scene.server.url, "example.com", deletionPolicy="Delete"))
    obj = scene.wait_ready()
    assert finalizers(obj) == [FINALIZER]
    order = [
        (event["verb"], event["objectRef"]["resource"], event["objectRef"].get("subresource"))
        for event in scene.requests()
        if event["verb"] in ("create", "patch") and event["objectRef"]["resource"] != "events"
    ]
    assert order.index(("patch", "acmednsregistrations", None)) < order.index(
        ("create", "secrets", None)
    )


def test_domains_taken_from_the_spec_stay_or_go(scene: Scene) -> None:
    scene.register("example.com", "www.example.com")
    scene.change(domains=["example.com"])
    scene.wait_ready()
    scene.wait_looks(2)
    assert scene.accounts().keys() == {"example.com", "www.example.com"}
    scene.change(deletionPolicy="Delete")
    eventually(lambda: scene.accounts().keys() == {"example.com"}, 30, "the entry is removed")
    scene.wait_ready()
    assert our_records(scene).keys() == {"example.com"}
    scene.change(domains=["example.com", "www.example.com"])
    scene.wait_ready()
    assert scene.accounts().keys() == {"example.com", "www.example.com"}
    assert len(scene.posts()) == 3


def test_finalizers_of_others_are_kept(scene: Scene) -> None:
    obj = registration(scene.server.url, "example.com", deletionPolicy="Delete")
    obj["metadata"]["finalizers"] = ["example.com/other"]
    scene.create(obj)
    assert finalizers(scene.wait_ready()) == ["example.com/other", FINALIZER]
    scene.delete()
    eventually(lambda: finalizers(scene.get()) == ["example.com/other"], 30, "ours is gone")
    assert scene.accounts() == {}
    where = f"--namespace={scene.namespace}"
    none = json.dumps({"metadata": {"finalizers": None}})
    scene.plane.kubectl("patch", "adr", "example", where, "--type=merge", f"--patch={none}")
    wait_gone(scene)


UNUSABLE: dict[str, Object] = {
    "unreadable": {"data": {KEY: "W10="}},
    "immutable": {"immutable": True},
}


@pytest.mark.parametrize("change", UNUSABLE.values(), ids=UNUSABLE)
def test_a_secret_that_cannot_be_written_does_not_hold_the_object(
    scene: Scene, change: Object
) -> None:
    scene.register("example.com", deletionPolicy="Delete")
    scene.patch_secret(change)
    before = scene.secret()["data"]
    scene.delete()
    wait_gone(scene)
    scene.wait_event("EntriesNotDeleted")
    assert scene.secret()["data"] == before


def test_no_secret_does_not_hold_the_object(scene: Scene) -> None:
    scene.register("example.com", deletionPolicy="Delete")
    scene.delete_secret()
    scene.delete()
    wait_gone(scene)
    assert scene.plane.find("secret", SECRET, scene.namespace) is None


def test_a_suspended_object_is_deleted_all_the_same(scene: Scene) -> None:
    scene.register("example.com", deletionPolicy="Delete")
    scene.change(suspend=True)
    scene.delete()
    wait_gone(scene)
    assert scene.accounts() == {}


def test_deletion_while_the_operator_is_away_is_made_good(scene: Scene, site: Site) -> None:
    scene.register("example.com", deletionPolicy="Delete")
    site.vacate()
    scene.delete()
    assert finalizers(scene.get()) == [FINALIZER]
    site.run("--leader-elect", "--secret-resync=1s")
    wait_gone(scene)
    assert scene.accounts() == {}


def test_deletion_waits_for_a_registration_under_way(scene: Scene) -> None:
    scene.server.hold("after")
    scene.create(registration(scene.server.url, "example.com", deletionPolicy="Delete"))
    scene.server.wait_held()
    scene.delete()
    scene.server.release()
    wait_gone(scene)
    assert scene.accounts() == {}
    assert len(scene.server.accounts()) == 1
