# SPDX-License-Identifier: Apache-2.0
"""The judge of accounts finds what it is for, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from e2e.accounts import Verdict, judge
from e2e.cluster import Cluster
from e2e.history import NOTHING, Facts, History, Slot, Step, Version

SLOT = Slot("ns", "secret", "key", "example.com")
HOST = "https://auth.test"
OBJECT = Version(1, "uid", *SLOT[:3], frozenset({SLOT.domain}), (), False, "", {})
CLAIMED = Facts(owner="uid", nonce="n1", claimant="uid")
STORED = Facts(owner="uid", entry="a")
AGAIN = replace(CLAIMED, nonce="n2", uncertain=1)
ROTATING = replace(STORED, nonce="n2", claimant="uid")
WAITING = replace(STORED, next="b")
ROTATED = replace(STORED, entry="b", retired={HOST: "a"}, rotate="1")
TWICE = replace(STORED, entry="c", retired={HOST: "b"}, rotate="2")


def told(*facts: Facts, objects: tuple[Version, ...] = (OBJECT,), by_user: int = -1) -> History:
    """Return a history of one slot, by the operator but for one version."""
    history = History(Cluster(Path()))
    pairs = zip((NOTHING, *facts), facts, strict=False)
    history.steps = [Step(10 + i, SLOT, *pair) for i, pair in enumerate(pairs)]
    history.versions = list(objects)
    history.by_user = {by_user}
    history._secrets = {SLOT[:2]: {SLOT[2:]: facts[-1]}}
    return history


def verdict(history: History, *made: str) -> Verdict:
    """Judge it, with those accounts at the server."""
    return judge(history, [{"subdomain": each, "allowfrom": []} for each in made])


ASKED = (OBJECT, replace(OBJECT, version=2, rotate="1"), replace(OBJECT, version=3, rotate="2"))
DELETED = (OBJECT, replace(OBJECT, version=2, delete=True, deleting=True))
GOOD = {
    "registered": (told(CLAIMED, STORED), "a"),
    "made and not known": (told(CLAIMED), "a"),
    "counted": (told(CLAIMED, AGAIN, replace(STORED, uncertain=1)), "ab"),
    "rotated": (told(CLAIMED, STORED, WAITING, ROTATED, objects=ASKED), "ab"),
    "rotated twice": (told(CLAIMED, STORED, WAITING, ROTATED, TWICE, objects=ASKED), "abc"),
    "removed": (told(CLAIMED, STORED, NOTHING, objects=DELETED), "a"),
    "removed with a claim": (told(CLAIMED, STORED, ROTATING, NOTHING, objects=DELETED), "ab"),
    "taken": (told(CLAIMED, STORED, NOTHING, by_user=12), "a"),
    "reset": (told(CLAIMED, NOTHING, by_user=11), "a"),
}
BAD = {
    "two of one claim": (told(CLAIMED, STORED), "ab", (0, 1)),
    "a claim taken for unused": (told(CLAIMED, replace(AGAIN, uncertain=0), STORED), "ab", (0, 1)),
    "none counted": (told(CLAIMED, AGAIN, STORED), "abc", (0, 1)),
    "vanished": (told(CLAIMED, STORED, replace(STORED, entry="")), "a", (1, 0)),
    "removed under Retain": (told(CLAIMED, STORED, NOTHING), "a", (1, 0)),
    "replaced": (told(CLAIMED, STORED, replace(STORED, entry="b")), "ab", (2, 0)),
    "rotated unasked": (told(CLAIMED, STORED, WAITING, ROTATED), "ab", (1, 0)),
    "forgot the retired": (
        told(CLAIMED, STORED, WAITING, ROTATED, replace(ROTATED, retired={}), objects=ASKED),
        "ab",
        (1, 0),
    ),
}


@pytest.mark.parametrize("what", GOOD)
def test_what_the_rule_allows_is_right(what: str) -> None:
    history, made = GOOD[what]
    found = verdict(history, *made)
    assert not found.wrong, found
    assert len(found.made) == len(made)


@pytest.mark.parametrize("what", BAD)
def test_what_breaks_the_rule_is_found(what: str) -> None:
    history, made, counts = BAD[what]
    found = verdict(history, *made)
    assert (len(found.lost), len(found.uncounted)) == counts, found


def test_one_object_does_not_excuse_another() -> None:
    other = replace(OBJECT, uid="other", allow_from=("10.0.0.0/8",))
    history = told(CLAIMED, AGAIN, replace(STORED, uncertain=1), objects=(OBJECT, other))
    made = [{"subdomain": "a", "allowfrom": []}, {"subdomain": "b", "allowfrom": ["10.0.0.0/8"]}]
    assert len(judge(history, made).uncounted) == 1


@pytest.mark.parametrize(
    ("at", "records"), [(10, ("a",)), (20, ("b",)), (20, ("a", "b")), (13, ("a",))]
)
def test_status_may_name_what_was_stored(at: int, records: tuple[str, ...]) -> None:
    assert bool(misnamed(at, records)) == (at == 10)


def test_status_put_back_is_found() -> None:
    assert misnamed(20, ("b", "a"))


def misnamed(at: int, records: tuple[str, ...]) -> list[str]:
    """Judge status that named those accounts one after the other, the entry being a, then b."""
    named = [
        replace(OBJECT, version=at + i, records={SLOT.domain: each})
        for i, each in enumerate(records)
    ]
    history = told(CLAIMED, STORED, WAITING, ROTATED, objects=(*ASKED, *named))
    return verdict(history, "a", "b").misnamed
