# SPDX-License-Identifier: Apache-2.0
"""Judges whether accounts were lost or doubled in all that has happened.

A claim is the right to one account at most, and each was in a Secret. So of the accounts that
were made and never stored there must be as many claims at least whose outcome our documents
count: in `uncertain` when the claim ended, with the record when that was removed, or still to
be counted, by the claim that stands. Objects are told apart by the allowFrom of their accounts.
What was stored once goes only for a reason: its object or domain under deletionPolicy Delete,
a newer one retired, or the user's own hand; an entry is replaced only when a rotation is asked.
And status names only what was stored before, and never again what it had left behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from e2e.cluster import Object
from e2e.history import History, Slot, Step, Version


@dataclass
class Verdict:
    """Sets of subdomains and nonces, and what is wrong in words."""

    made: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)  # claims, as the next two
    standing: set[str] = field(default_factory=set)
    reset: set[str] = field(default_factory=set)  # by the user
    claims: dict[str, str] = field(default_factory=dict)  # nonce -> uid
    removed: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)  # by the user
    rotated: int = 0
    lost: list[str] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """All that is wrong."""
        return self.lost + self.uncounted + self.misnamed

    def __str__(self) -> str:
        """Return the figures in a line."""
        figures = (
            f"{len(self.made)} accounts made with {len(self.claims)} claims",
            f"{len(self.made & self.stored)} stored",
            f"{len(self.made - self.stored)} not",
            f"{len(self.counted)} outcomes counted",
            f"{len(self.standing)} claims standing",
            f"{len(self.reset)} reset by the user",
            f"{self.rotated} rotated",
            f"{len(self.removed)} removed under Delete",
            f"{len(self.taken)} taken by the user",
            f"{len(self.lost)} lost",
            f"{len(self.uncounted)} uncounted",
            f"{len(self.misnamed)} misnamed in status",
        )
        return ", ".join(figures)


def judge(history: History, accounts: Sequence[Object]) -> Verdict:
    """Judge what has happened, by the accounts that the server has; catch_up() comes first."""
    versions: dict[str, list[Version]] = defaultdict(list)
    for each in sorted(history.versions, key=lambda version: version.version):
        versions[each.uid].append(each)
    verdict = Verdict(made={each["subdomain"] for each in accounts})
    steps = sorted(history.steps, key=lambda step: step.version)
    for step in steps:
        _judge_step(verdict, step, versions, step.gone or step.version in history.by_user)
    verdict.standing = {facts.nonce for _, facts in history.facts()} - {""}
    _judge_counts(verdict, accounts, versions)
    _judge_records(verdict, steps, versions)
    return verdict


# --- a step ---


def _judge_step(
    verdict: Verdict, step: Step, versions: dict[str, list[Version]], by_user: bool
) -> None:
    before, after = step.before, step.after
    ended = {before.nonce} - {"", after.nonce}
    missing = before.accounts - after.accounts
    removed = bool(before.owner and not after.owner)
    if after.nonce:
        verdict.claims[after.nonce] = after.claimant
    verdict.stored |= after.accounts
    if by_user:
        verdict.reset |= ended
        verdict.taken |= missing
        return
    past = [each for each in versions[before.owner] if each.version < step.version]
    if removed or after.uncertain > before.uncertain:
        verdict.counted |= ended
    if removed and _may_remove(past, step.slot.domain):
        verdict.removed |= missing
        return
    verdict.lost += [f"{each} of {step}" for each in missing if not _is_followed(step, each)]
    if before.entry and after.entry not in ("", before.entry):
        verdict.rotated += 1
        if after.rotate == before.rotate or after.rotate not in _values(step, versions):
            verdict.lost.append(f"the entry, unasked: {step}")


def _may_remove(past: Sequence[Version], domain: str) -> bool:
    return any(each.delete and (each.deleting or domain not in each.domains) for each in past)


def _is_followed(step: Step, account: str) -> bool:
    """Whether it was retired, and is replaced by what was the entry or next then."""
    hosts = [host for host, each in step.before.retired.items() if each == account]
    newer = {step.before.entry, step.before.next} - {""}
    return any(step.after.retired.get(host) in newer for host in hosts)


def _values(step: Step, versions: dict[str, list[Version]]) -> set[str]:
    """Return the rotations that the owner has ever asked for."""
    return {each.rotate for each in versions[step.after.owner] if each.version < step.version}


# --- the counts ---


def _judge_counts(
    verdict: Verdict, accounts: Sequence[Object], versions: dict[str, list[Version]]
) -> None:
    groups = _groups(versions)
    excuses: dict[str, int] = defaultdict(int)
    for nonce in verdict.counted | verdict.standing | verdict.reset:
        excuses[groups.get(verdict.claims.get(nonce, ""), "")] += 1
    of = {each.allow_from: groups[each.uid] for every in versions.values() for each in every}
    unstored: dict[str, list[str]] = defaultdict(list)
    for each in accounts:
        if each["subdomain"] not in verdict.stored:
            unstored[of.get(tuple(each["allowfrom"]), "")].append(each["subdomain"])
    for group, some in unstored.items():
        more = len(some) - excuses[group]
        verdict.uncounted += [f"one of {some} of the object {group}"] * more


def _groups(versions: dict[str, list[Version]]) -> dict[str, str]:
    """Return for each object one that stands for all with the same allowFrom."""
    groups = {uid: uid for uid in versions}
    of: dict[tuple[str, ...], str] = {}
    for uid, every in versions.items():
        for each in every:
            other = groups[of.setdefault(each.allow_from, uid)]
            mine = groups[uid]
            if other != mine:
                groups.update({u: other for u, group in groups.items() if group == mine})
    return groups


# --- status ---


def _judge_records(
    verdict: Verdict, steps: Iterable[Step], versions: dict[str, list[Version]]
) -> None:
    entries: dict[Slot, list[tuple[int, str]]] = defaultdict(list)
    for step in steps:
        entries[step.slot].append((step.version, step.after.entry))
    for every in versions.values():
        told: dict[str, tuple[int, str]] = {}
        for each in every:
            for domain, account in each.records.items():
                slot = Slot(each.namespace, each.secret, each.key, domain)
                since, last = told.get(domain, (0, ""))
                if account == last:
                    continue
                told[domain] = (each.version, account)
                if not _was_entry(entries[slot], account, since, each.version):
                    verdict.misnamed.append(f"{account} of {slot} in {each}")


def _was_entry(entries: Sequence[tuple[int, str]], account: str, since: int, until: int) -> bool:
    """Whether a slot's entry was this account at some time between two versions."""
    ends = [version for version, _ in entries[1:]] + [until]
    return any(
        entry == account and begin < until and end > since
        for (begin, entry), end in zip(entries, ends, strict=True)
    )
