# SPDX-License-Identifier: Apache-2.0
"""Accounts that vanish from the Secret are made again, once."""

from __future__ import annotations

import json

import pytest

from e2e.operator import Operator
from e2e.scene import Scene, Site, records
from e2e.test_rotate import rotate, wait_rotated


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Look often, and wait little."""
    return site.run("--leader-elect", "--secret-resync=1s", "--lost-account-grace=2s")


def lose(scene: Scene) -> None:
    """Take all entries from the public document."""
    scene.set_value("{}")


@pytest.mark.parametrize("whole", [True, False], ids=["the Secret", "the entries"])
def test_lost_accounts_are_made_again(scene: Scene, whole: bool) -> None:
    before = scene.register("example.com", "www.example.com")
    if whole:
        scene.delete_secret()
    else:
        lose(scene)
    missing = scene.wait(Ready="False/AccountMissing")
    assert records(missing) == records(before)
    assert missing["status"]["lastAccountLossTime"]
    after = scene.wait_ready()
    assert len(scene.posts()) == len(scene.server.accounts()) == 4
    assert records(after) == {k: v["fulldomain"] for k, v in scene.accounts().items()}
    assert not records(after).items() & records(before).items()
    scene.wait_event("AccountMissing")
    scene.present("example.com")


def test_what_comes_back_in_time_stays(scene: Scene, site: Site) -> None:
    site.run("--leader-elect", "--secret-resync=1s", "--lost-account-grace=1h")
    before = scene.register("example.com")
    value = scene.value()
    lose(scene)
    scene.wait(Ready="False/AccountMissing")
    scene.set_value(value)
    assert records(scene.wait_ready()) == records(before)
    assert len(scene.posts()) == 1


def test_a_second_loss_within_a_day_is_for_a_person(scene: Scene) -> None:
    scene.register("example.com")
    lose(scene)
    scene.wait(Ready="False/AccountMissing")
    scene.wait_ready()
    lose(scene)
    scene.wait(Ready="False/SecretContested", Stalled="True/SecretContested")
    scene.wait_looks(4)
    assert json.loads(scene.value()) == {}
    assert len(scene.posts()) == 2
    rotate(scene, "again")
    wait_rotated(scene, "again")
    assert len(scene.posts()) == 3
    scene.present("example.com")
