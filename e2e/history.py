# SPDX-License-Identifier: Apache-2.0
"""Records every version of the Secrets and objects in a cluster, as far as accounts go.

Both kinds are watched as admin from a moment on, so nothing that was ever stored is missed.
Of a Secret only what changes from version to version is kept, of an account only its
subdomain. Resource versions are revisions of etcd, which order the versions of both kinds.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, NamedTuple

from e2e.cluster import Cluster, Object
from e2e.process import eventually
from e2e.scene import GROUP, KEY, OWN_KEY

_SECRETS = "/api/v1/secrets"
_OBJECTS = f"/apis/{GROUP}/v1alpha1/acmednsregistrations"
_PATIENCE = 60.0


class Slot(NamedTuple):
    """A place for an account."""

    namespace: str
    secret: str
    key: str
    domain: str


@dataclass(frozen=True)
class Facts:
    """What the two documents of a Secret say of a domain; accounts are subdomains."""

    entry: str = ""
    owner: str = ""
    next: str = ""
    retired: dict[str, str] = field(default_factory=dict)
    nonce: str = ""
    claimant: str = ""
    uncertain: int = 0
    rotate: str = ""

    @property
    def accounts(self) -> set[str]:
        """Return all accounts that are kept."""
        return {self.entry, self.next, *self.retired.values()} - {""}


NOTHING = Facts()


@dataclass(frozen=True)
class Step:
    """A version of a Secret in which a slot is not what it was; gone: with the Secret."""

    version: int
    slot: Slot
    before: Facts
    after: Facts
    gone: bool = False


@dataclass(frozen=True)
class Version:
    """A version of an object."""

    version: int
    uid: str
    namespace: str
    secret: str
    key: str
    domains: frozenset[str]
    allow_from: tuple[str, ...]
    delete: bool  # deletionPolicy
    rotate: str
    records: dict[str, str]  # domain -> subdomain
    deleting: bool = False
    gone: bool = False


class History:
    """All versions from `with` on."""

    def __init__(self, cluster: Cluster) -> None:
        """Prepare to watch all namespaces."""
        self.steps: list[Step] = []
        self.versions: list[Version] = []
        self.by_user: set[int] = set()
        self._cluster = cluster
        self._secrets: dict[tuple[str, str], dict[tuple[str, str], Facts]] = {}
        self._seen: dict[str, dict[str, str]] = {_SECRETS: {}, _OBJECTS: {}}
        self._ended = threading.Event()
        self._problem: Exception | None = None

    def __enter__(self) -> History:
        """Read what there is, and begin to watch."""
        since = {path: self._read(path) for path in self._seen}
        # What was there before is nothing that has happened.
        self.by_user |= {step.version for step in self.steps}
        self.versions = [replace(each, records={}) for each in self.versions]
        for start in since.items():
            threading.Thread(target=self._watch, args=start, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no more."""
        self._ended.set()

    def mine(self, written: Object) -> Object:
        """Tell of a Secret that the test itself has written, by the API server's answer."""
        self.by_user.add(_version(written))
        return written

    def catch_up(self) -> None:
        """Wait until all is recorded that has happened by now."""
        for path in self._seen:
            items = self._cluster.api("GET", path)["items"]
            now = {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in items}
            eventually(lambda p=path, n=now: self._is_at(p, n), _PATIENCE, f"{path} is recorded")

    def facts(self) -> Iterator[tuple[Slot, Facts]]:
        """Return what the Secrets say now."""
        for where, slots in list(self._secrets.items()):
            for which, facts in slots.items():
                yield Slot(*where, *which), facts

    def _is_at(self, path: str, now: dict[str, str]) -> bool:
        if self._problem is not None:
            raise self._problem
        seen = self._seen[path]
        return seen.keys() == now.keys() and all(int(seen[u]) >= int(now[u]) for u in now)

    def _read(self, path: str) -> str:
        found = self._cluster.api("GET", path)
        for each in found["items"]:
            self._note(path, "ADDED", each)
        return found["metadata"]["resourceVersion"]

    def _watch(self, path: str, since: str) -> None:
        """Follow one kind; the watch may end, as each does some time."""
        try:
            while not self._ended.is_set():
                with contextlib.suppress(OSError):
                    for event in self._cluster.watch(path, since):
                        since = event["object"]["metadata"]["resourceVersion"]
                        self._note(path, event["type"], event["object"])
                self._ended.wait(0.1)
        except Exception as problem:  # for the thread that asks
            self._problem = problem

    def _note(self, path: str, what: str, found: Object) -> None:
        if what == "BOOKMARK":
            return
        gone = what == "DELETED"
        if path == _SECRETS:
            self._note_secret(found, gone)
        else:
            self.versions.append(read_object(found, gone))
        metadata = found["metadata"]
        if gone:
            self._seen[path].pop(metadata["uid"], None)
        else:
            self._seen[path][metadata["uid"]] = metadata["resourceVersion"]

    def _note_secret(self, secret: Object, gone: bool) -> None:
        where = (secret["metadata"]["namespace"], secret["metadata"]["name"])
        before, after = self._secrets.get(where, {}), {} if gone else read_secret(secret)
        for which in before.keys() | after.keys():
            was, now = before.get(which, NOTHING), after.get(which, NOTHING)
            if was != now:
                step = Step(_version(secret), Slot(*where, *which), was, now, gone)
                self.steps.append(step)
        self._secrets[where] = after


def read_secret(secret: Object) -> dict[tuple[str, str], Facts]:
    """Return what a Secret says of each key and domain."""
    documents = {key: _document(value) for key, value in secret.get("data", {}).items()}
    ours = documents.pop(OWN_KEY, {}).get("keys", {})
    return {
        (key, domain): _facts(entries.get(domain, {}), ours.get(key, {}).get(domain, {}))
        for key, entries in ({key: {} for key in ours} | documents).items()
        for domain in entries.keys() | ours.get(key, {}).keys()
    }


def read_object(found: Object, gone: bool = False) -> Version:
    """Return what matters of an AcmeDnsRegistration."""
    metadata, spec = found["metadata"], found["spec"]
    records = found.get("status", {}).get("records", [])
    return Version(
        version=_version(found),
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        secret=spec["accountSecretRef"]["name"],
        key=spec["accountSecretRef"].get("key", KEY),
        domains=frozenset(spec["domains"]),
        allow_from=tuple(spec.get("allowFrom", [])),
        delete=spec.get("deletionPolicy") == "Delete",
        rotate=metadata.get("annotations", {}).get(f"{GROUP}/rotate", ""),
        records={each["domain"]: each["value"].partition(".")[0] for each in records},
        deleting="deletionTimestamp" in metadata,
        gone=gone,
    )


def _document(value: str) -> Object:
    """Return a value of a Secret as JSON; what a user made unreadable says nothing."""
    try:
        found = json.loads(base64.b64decode(value))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _facts(entry: Object, record: Object) -> Facts:
    claim = record.get("claim", {})
    retired = record.get("retired", {})
    return Facts(
        entry=_subdomain(entry),
        owner=record.get("owner", ""),
        next=_subdomain(record.get("next", {})),
        retired={host: _subdomain(account) for host, account in retired.items()},
        nonce=claim.get("nonce", ""),
        claimant=claim.get("owner", ""),
        uncertain=record.get("uncertain", 0),
        rotate=record.get("rotate", ""),
    )


def _subdomain(account: Any) -> str:
    return account.get("subdomain", "") if isinstance(account, dict) else ""


def _version(found: Object) -> int:
    return int(found["metadata"]["resourceVersion"])
