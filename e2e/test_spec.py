# SPDX-License-Identifier: Apache-2.0
"""Each field of the spec that can change: a change does something, and back again undoes it."""

from __future__ import annotations

import pytest

from e2e.cluster import Object
from e2e.operator import Operator
from e2e.process import eventually
from e2e.scene import SECRET, Scene, Site, records, registration


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Run the operator as the Deployment does."""
    return site.run("--leader-elect")


def types(obj: Object) -> dict[str, str]:
    """Return the status of each condition."""
    return {each["type"]: each["status"] for each in obj["status"].get("conditions", [])}


def observed(scene: Scene) -> Object:
    """Wait until the operator has seen the object as it is now."""

    def seen() -> bool:
        obj = scene.get()
        return bool(obj["status"]["observedGeneration"] == obj["metadata"]["generation"])

    eventually(seen, 30, "observedGeneration follows")
    return scene.get()


# --- suspend ---


def test_a_suspended_object_is_seen_and_nothing_is_done(scene: Scene) -> None:
    scene.create(registration(scene.server.url, "example.com", suspend=True))
    scene.wait(Ready="Unknown/Suspended", CNAMEReady="Unknown/Suspended")
    assert scene.posts() == []
    assert scene.plane.find("secret", SECRET, scene.namespace) is None
    assert "get secrets" not in scene.counts()
    scene.change(suspend=False)
    scene.wait_ready()
    assert len(scene.posts()) == 1


def test_suspend_keeps_what_status_says_and_holds_up_what_is_new(scene: Scene) -> None:
    before = scene.register("example.com")
    scene.change(suspend=True, domains=["example.com", "example.org"])
    suspended = observed(scene)
    assert types(suspended) == types(before)
    assert records(suspended) == records(before)
    assert len(scene.posts()) == 1
    scene.change(suspend=False)
    assert records(scene.wait_ready()).keys() == {"example.com", "example.org"}
    assert len(scene.posts()) == 2


def test_suspend_there_and_back_changes_nothing(scene: Scene) -> None:
    before = scene.register("example.com")
    secret = scene.secret()
    scene.change(suspend=True)
    observed(scene)
    scene.change(suspend=None)
    after = scene.wait_ready()
    assert (types(after), records(after)) == (types(before), records(before))
    assert scene.secret() == secret
    assert len(scene.posts()) == 1
