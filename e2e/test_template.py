# SPDX-License-Identifier: Apache-2.0
"""spec.secretTemplate: which labels and annotations the Secret gets, and when they go again."""

from __future__ import annotations

import json

import pytest

from e2e.cluster import Object
from e2e.operator import Operator
from e2e.process import eventually
from e2e.scene import KEY, SECRET, Scene, Site, account, condition, is_write, registration

MANAGED = {"app.kubernetes.io/managed-by": "acme-dns-operator"}
MINE: Object = {"labels": {"team": "a"}, "annotations": {"example.com/note": "two words"}}


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Look at each Secret once a second: what is changed there is seen without a watch."""
    return site.run("--leader-elect", "--secret-resync=1s")


def tags(scene: Scene) -> Object:
    """Return labels and annotations of the Secret, but for the operator's own label."""
    metadata = scene.secret()["metadata"]
    labels = {k: v for k, v in metadata.get("labels", {}).items() if k not in MANAGED}
    return {"labels": labels, "annotations": metadata.get("annotations", {})}


def wait_tags(scene: Scene, wanted: Object) -> None:
    """Wait until the Secret has these."""
    eventually(lambda: tags(scene) == wanted, 30, f"the Secret has {wanted}")


def labels(**wanted: str) -> Object:
    """Return a template, or the tags, of these labels only."""
    return {"labels": wanted, "annotations": {}}


def conflict(scene: Scene, name: str = "example") -> str:
    """Wait until the conflict is told, with everything Ready, and return the message."""
    told = "True/TemplateConflict"
    found = condition(scene.wait(name, Ready=told, SecretReady=told, Registered="True"), "Ready")
    assert found is not None
    return str(found["message"])


def secret_writes(scene: Scene, since: int) -> int:
    """Count the operator's writes of Secrets."""
    events = scene.requests(since=since)
    return sum(is_write(e) and e["objectRef"]["resource"] == "secrets" for e in events)


# --- one object ---


def test_the_write_that_makes_the_secret_carries_it(scene: Scene) -> None:
    scene.register("example.com", secretTemplate=MINE)
    assert scene.secret()["metadata"]["labels"] == MANAGED | MINE["labels"]
    assert tags(scene) == MINE
    requests = scene.requests()
    assert secret_writes(scene, scene.mark) == 2
    assert len(requests) <= 6, [event["verb"] for event in requests]


def test_a_change_is_one_write_and_back_again_ends_where_it_began(scene: Scene) -> None:
    scene.register("example.com")
    before = (scene.own_document(), tags(scene))
    mark = scene.plane.audit_mark()
    scene.change(secretTemplate=MINE)
    wait_tags(scene, MINE)
    scene.wait_ready()
    assert secret_writes(scene, mark) == 1
    scene.change(secretTemplate={"labels": {"team": "b"}, "annotations": None})
    wait_tags(scene, labels(team="b"))
    scene.change(secretTemplate=None)
    wait_tags(scene, labels())
    scene.wait_ready()
    assert (scene.own_document(), tags(scene)) == before
    assert secret_writes(scene, mark) == 3
    assert len(scene.posts()) == 1


def test_it_makes_no_secret(scene: Scene) -> None:
    scene.create(registration("http://[::1]", "example.com", secretTemplate=MINE))
    scene.wait(Ready="False/HostAddressRefused")
    assert scene.plane.find("secret", SECRET, scene.namespace) is None


def test_a_removed_label_comes_back_and_a_changed_one_stays_changed(scene: Scene) -> None:
    scene.register("example.com", secretTemplate=MINE)
    scene.patch_secret({"metadata": {"labels": {"team": None}}})
    wait_tags(scene, MINE)
    scene.patch_secret({"metadata": {"labels": {"team": "x"}}})
    assert "the label team was set otherwise by somebody else" in conflict(scene)
    assert tags(scene)["labels"] == {"team": "x"}
    scene.change(secretTemplate=None)
    wait_tags(scene, labels(team="x"))
    assert "template" not in scene.own_document()


def test_a_key_of_a_person_is_left_as_it_is(scene: Scene) -> None:
    scene.register("example.com")
    scene.patch_secret({"metadata": {"labels": {"team": "x", "same": "s"}}})
    scene.change(secretTemplate={"labels": {"team": "a", "same": "s", "new": "n"}})
    assert "the label team" in conflict(scene)
    assert tags(scene) == labels(team="x", same="s", new="n")
    scene.patch_secret({"metadata": {"labels": {"team": None}}})
    wait_tags(scene, labels(team="a", same="s", new="n"))
    scene.wait(Ready="True/Ready")
    scene.change(secretTemplate=None)
    wait_tags(scene, labels(same="s"))


def test_an_adopted_secret_gets_nothing_and_that_is_said(scene: Scene) -> None:
    scene.put_secret({KEY: json.dumps({"example.com": account()})})
    scene.register("example.com", secretTemplate=MINE)
    assert "was not made by this operator" in conflict(scene)
    assert scene.secret()["metadata"].get("labels", {}) == {}
    assert "template" not in scene.own_document()
    event = scene.wait_event("TemplateConflict")
    assert event["type"] == "Warning"


# --- several objects ---


def two(scene: Scene, second: str) -> None:
    """Make an object with a label, and another that wants this value of it."""
    scene.register("example.com", secretTemplate={"labels": {"team": "a"}})
    second_template = {"labels": {"team": second, "more": "m"}}
    scene.register("example.org", name="second", secretTemplate=second_template)


def test_the_first_owner_wins_until_it_wants_the_key_no_more(scene: Scene) -> None:
    two(scene, "b")
    assert "by the AcmeDnsRegistration example" in conflict(scene, "second")
    assert tags(scene) == labels(team="a", more="m")
    scene.change(secretTemplate=None)
    wait_tags(scene, labels(team="b", more="m"))
    scene.wait("second", Ready="True/Ready")


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_the_next_takes_the_key_of_an_object_that_is_gone(scene: Scene, policy: str) -> None:
    two(scene, "b")
    conflict(scene, "second")
    scene.change(deletionPolicy=policy)
    scene.wait_ready()
    scene.delete()
    wait_tags(scene, labels(team="b", more="m"))
    scene.wait("second", Ready="True/Ready")


def test_who_wants_the_same_value_puts_it_back(scene: Scene) -> None:
    two(scene, "a")
    scene.wait("second", Ready="True/Ready")
    scene.change(secretTemplate=None)
    scene.wait_ready()
    wait_tags(scene, labels(team="a", more="m"))
    scene.change("second", secretTemplate=None)
    wait_tags(scene, labels())


def test_deletion_leaves_or_takes_them(scene: Scene) -> None:
    scene.register("example.com", secretTemplate={"labels": {"kept": "k"}})
    scene.delete()
    spec: Object = {"secretTemplate": {"labels": {"team": "a"}}, "deletionPolicy": "Delete"}
    scene.register("example.org", name="second", **spec)
    assert tags(scene) == labels(kept="k", team="a")
    scene.delete("second")
    wait_tags(scene, labels(kept="k"))


def test_members_that_we_do_not_know_are_kept(scene: Scene) -> None:
    scene.register("example.com", secretTemplate={"labels": {"team": "a"}})
    own = scene.own_document()
    own["template"]["later"] = {"x": 1}
    own["template"]["labels"]["team"]["later"] = [2]
    scene.set_value(json.dumps(own), "acme-dns-operator.json")
    scene.change(secretTemplate={"labels": {"team": "b"}})
    wait_tags(scene, labels(team="b"))
    assert scene.own_document()["template"]["labels"]["team"]["later"] == [2]
    scene.change(secretTemplate=None)
    wait_tags(scene, labels())
    assert scene.own_document()["template"] == {"later": {"x": 1}}


# --- accountPolicy Shared ---


def test_more_than_two_names_of_a_shared_account_are_warned_of(scene: Scene) -> None:
    two_names = ["example.com", "*.example.com"]
    scene.register(*two_names, accountPolicy="Shared")
    scene.wait(Ready="True/Ready")
    scene.change(domains=[*two_names, "www.example.com"])
    scene.wait(Ready="True/TooManyNames", Registered="True")
    assert scene.wait_event("TooManyNames")["type"] == "Warning"
    scene.wait_looks(2)
    assert [e["reason"] for e in scene.events()].count("TooManyNames") == 1
    scene.change(domains=two_names)
    scene.wait(Ready="True/Ready")
