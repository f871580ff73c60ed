# SPDX-License-Identifier: Apache-2.0
"""A user who never rests: creates, edits and deletes objects by chance, and Secrets at times.

All that is chosen comes from one Random, so a seed gives the same wishes again. Each life of
an object has an allowFrom of its own, by which its accounts are known at the server.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from e2e.cluster import ApiError, ControlPlane, Object
from e2e.history import History
from e2e.operator import USER
from e2e.process import eventually
from e2e.scene import GROUP, condition, is_write, records, registration, secret_documents

# Between the end of all wishes and the last event about them, and long enough for a write.
AT_REST = 4.0
_ROTATE = f"{GROUP}/rotate"
_POLICIES = ("PerDomain", "PerDomain", "Shared")
_DELETIONS = ("Retain", "Delete")


class Stream:
    """Objects by number, in namespaces and Secrets of which some are shared by many."""

    def __init__(
        self,
        plane: ControlPlane,
        history: History,
        namespaces: Sequence[str],
        hosts: Sequence[str],
        random: Random,
        count: int = 200,
    ) -> None:
        """Prepare; there is no object yet."""
        self.done = 0
        self._count = count
        self._plane = plane
        self._history = history
        self._namespaces = namespaces
        self._hosts = hosts
        self._random = random
        self._alive: set[int] = set()
        self._lives = 0
        self._backups: dict[str, Object] = {}
        self._acts: list[tuple[Callable[[int], object], int]] = [
            (self._change_domains, 25),
            (self._rotate, 15),
            (self._suspend, 12),
            (self._change_policies, 10),
            (self._delete, 15),
            (self._replace, 8),
            (self._back_up, 3),
            (self._restore, 1),
            (self._lose_entry, 1),
        ]

    def step(self) -> None:
        """Do one thing."""
        number = self._random.randrange(self._count)
        act: Callable[[int], object] = self._create
        if number in self._alive:
            acts, weights = zip(*self._acts, strict=True)
            (act,) = self._random.choices(acts, weights)
        # It may be gone, or be there still.
        with _any_of(404, 409):
            act(number)
        self.done += 1

    def fill(self) -> None:
        """Create all objects that there are not."""
        for number in set(range(self._count)) - self._alive:
            with _any_of(409):
                self._create(number)

    def unrest(self) -> list[str]:
        """Return why not all is as it should be; rotates what is for a person to rotate."""
        return [
            f"{namespace}/{each['metadata']['name']}: {why}"
            for namespace in self._namespaces
            for each in self._objects(namespace)
            if (why := self._why_not(namespace, each))
        ]

    def wait_rest(self, timeout: float, meanwhile: Callable[[], None]) -> None:
        """Wait until all is as it should be."""
        last: list[str] = []

        def rests() -> bool:
            meanwhile()
            last[:] = self.unrest()
            return not last

        try:
            eventually(rests, timeout, "rest")
        except AssertionError as error:
            raise AssertionError(f"{error}: {len(last)} are not: {last[:10]}") from None

    def writes(self) -> list[str]:
        """Return what the operator writes at rest, but its lease."""
        time.sleep(AT_REST)
        mark = self._plane.audit_mark()
        time.sleep(AT_REST)
        writes = [each for each in self._plane.audit(mark, user=USER) if is_write(each)]
        return [each["requestURI"] for each in writes if "leases" not in each["requestURI"]]

    def served(self) -> Iterator[tuple[str, Object]]:
        """Return the objects that should be Ready, with their namespaces."""
        for namespace in self._namespaces:
            for each in self._objects(namespace):
                if not each["spec"].get("suspend"):
                    yield namespace, each

    # objects

    def _create(self, number: int) -> None:
        self._lives += 1
        obj = registration(
            self._hosts[number % len(self._hosts)],
            *self._domains(number),
            name=f"object-{number}",
            accountSecretRef={"name": _secret(number)},
            allowFrom=["127.0.0.0/8", f"10.{self._lives >> 8}.{self._lives & 255}.0/24"],
            accountPolicy=self._random.choice(_POLICIES),
            deletionPolicy=self._random.choice(_DELETIONS),
        )
        self._plane.api("POST", self._path(number).rpartition("/")[0], obj)
        self._alive.add(number)

    def _domains(self, number: int) -> list[str]:
        domains = [f"{host}.o{number}.example.com" for host in ("www", "api", "mail")]
        return self._random.sample(domains, self._random.randint(1, 3))

    def _change(self, number: int, **spec: Any) -> None:
        self._plane.api("PATCH", self._path(number), {"spec": spec})

    def _change_domains(self, number: int) -> None:
        self._change(number, domains=self._domains(number))

    def _rotate(self, number: int) -> None:
        self._ask_rotation(self._path(number))

    def _ask_rotation(self, path: str) -> None:
        value = f"{self._random.randrange(1 << 30)}"
        self._plane.api("PATCH", path, {"metadata": {"annotations": {_ROTATE: value}}})

    def _suspend(self, number: int) -> None:
        self._change(number, suspend=self._random.random() < 0.2)

    def _change_policies(self, number: int) -> None:
        policy, deletion = self._random.choice(_POLICIES), self._random.choice(_DELETIONS)
        self._change(number, accountPolicy=policy, deletionPolicy=deletion)

    def _delete(self, number: int) -> None:
        self._alive.discard(number)
        self._plane.api("DELETE", self._path(number))

    def _replace(self, number: int) -> None:
        self._delete(number)
        self._create(number)

    # Secrets

    def _back_up(self, number: int) -> None:
        path = self._secret_path(number)
        self._backups[path] = self._plane.api("GET", path)["data"]

    def _restore(self, number: int) -> None:
        path = self._secret_path(number)
        if path in self._backups:
            data = {"data": self._backups.pop(path)}
            self._history.mine(self._plane.api("PATCH", path, data))

    def _lose_entry(self, number: int) -> None:
        """Delete the whole Secret if few objects share it."""
        if number % 4 == 3:
            self._plane.api("DELETE", self._secret_path(number))

    # how it ends

    def _why_not(self, namespace: str, obj: Object) -> str:
        if "deletionTimestamp" in obj["metadata"]:
            return "it is being deleted"
        if obj["spec"].get("suspend"):
            return ""
        ready = condition(obj, "Ready")
        if ready is None or ready["status"] != "True":
            reason = "no condition" if ready is None else ready["reason"]
            if reason == "SecretContested" and not self._asks(obj):
                name = obj["metadata"]["name"]
                self._ask_rotation(f"{_objects_path(namespace)}/{name}")
            return reason
        if self._asks(obj):
            return "a rotation is asked for"
        return self._why_records(namespace, obj)

    def _why_records(self, namespace: str, obj: Object) -> str:
        ref = obj["spec"]["accountSecretRef"]
        entries: Object = {}
        # A Secret that was deleted comes back with a claim first.
        with _any_of(404), contextlib.suppress(KeyError):
            entries = secret_documents(self._plane, namespace, ref["name"], ref["key"])
        should = {name: entries.get(name, {}).get("fulldomain") for name in obj["spec"]["domains"]}
        return "" if records(obj) == should else f"{records(obj)} are not {should}"

    @staticmethod
    def _asks(obj: Object) -> bool:
        wanted = obj["metadata"].get("annotations", {}).get(_ROTATE)
        return wanted not in (None, obj["status"].get("lastHandled", {}).get("rotate"))

    # where it is

    def _objects(self, namespace: str) -> list[Object]:
        found: list[Object] = self._plane.api("GET", _objects_path(namespace))["items"]
        return found

    def _namespace(self, number: int) -> str:
        return self._namespaces[number % len(self._namespaces)]

    def _path(self, number: int) -> str:
        return f"{_objects_path(self._namespace(number))}/object-{number}"

    def _secret_path(self, number: int) -> str:
        return f"/api/v1/namespaces/{self._namespace(number)}/secrets/{_secret(number)}"


def _secret(number: int) -> str:
    """Return the Secret of an object: one for many, or for a few."""
    return f"few-{number % 16}" if number % 4 == 3 else "many"


def _objects_path(namespace: str) -> str:
    return f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/acmednsregistrations"


@contextlib.contextmanager
def _any_of(*statuses: int) -> Iterator[None]:
    """Let those answers pass."""
    try:
        yield
    except ApiError as error:
        if error.status not in statuses:
            raise
