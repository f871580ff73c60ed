# SPDX-License-Identifier: Apache-2.0
"""What the parts of the stand-in share: settings, the journal, the gate.

All of it lives on one event loop, so nothing is locked.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .faults import Rules
from .passwords import Hasher
from .store import Store


@dataclass
class Settings:
    """The server's configuration; tests may change it while it runs."""

    domain: str = "auth.test"
    bcrypt_cost: int = 10
    use_header: bool = False
    header_name: str = "X-Forwarded-For"
    registration_disabled: bool = False
    database_failure: str | None = None
    database_reads_fail: bool = False
    prefix: str = ""
    basic_auth: str | None = None
    required_headers: dict[str, str] = field(default_factory=dict)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Take new values over; ValueError names what is unknown or of another type."""
        for name, value in changes.items():
            if name not in _TYPES or not isinstance(value, _TYPES[name]):
                raise ValueError(f"bad setting: {name}")
        for name, value in changes.items():
            setattr(self, name, value)


_TYPES: dict[str, Any] = {
    "bcrypt_cost": int,
    "use_header": bool,
    "header_name": str,
    "registration_disabled": bool,
    "database_failure": str | None,
    "database_reads_fail": bool,
    "prefix": str,
    "basic_auth": str | None,
    "required_headers": dict,
}


@dataclass
class Journal:
    """Everything that was asked, in the order of arrival."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)

    def request(self, **entry: Any) -> dict[str, Any]:
        """Note a request; the caller fills in ``status`` and ``fault`` later."""
        return self._note(self.requests, {**entry, "status": None, "fault": None})

    def update(self, **entry: Any) -> None:
        self._note(self.updates, entry)

    def query(self, **entry: Any) -> None:
        self._note(self.queries, entry)

    def clear(self) -> None:
        self.requests.clear()
        self.updates.clear()
        self.queries.clear()

    @staticmethod
    def _note(log: list[dict[str, Any]], entry: dict[str, Any]) -> dict[str, Any]:
        entry["time"] = time.time()
        log.append(entry)
        return entry


class Gate:
    """Keeps registrations waiting, before their work or between work and answer."""

    def __init__(self) -> None:
        self.stage: str | None = None
        self.held = 0
        self._outcome: asyncio.Future[bool] | None = None

    def close(self, stage: str) -> None:
        if stage not in ("before", "after"):
            raise ValueError("stage is before or after")
        if self._outcome is None:
            self._outcome = asyncio.get_running_loop().create_future()
        self.stage = stage

    def release(self, discard: bool = False) -> None:
        if self._outcome is not None:
            self._outcome.set_result(not discard)
        self.stage = self._outcome = None

    async def passes(self, stage: str) -> bool:
        """Wait while the gate is closed at this stage; False: drop the request."""
        if self.stage != stage or self._outcome is None:
            return True
        self.held += 1
        try:
            return await asyncio.shield(self._outcome)
        finally:
            self.held -= 1


@dataclass
class World:
    """One running stand-in."""

    settings: Settings
    store: Store
    hasher: Hasher
    journal: Journal = field(default_factory=Journal)
    gate: Gate = field(default_factory=Gate)
    rules: Rules = field(default_factory=Rules)
    initial: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.initial = {name: asdict(self.settings)[name] for name in _TYPES}
        self.apply()

    def apply(self) -> None:
        """Hand the settings that concern the store to it."""
        self.store.failure = self.settings.database_failure
        self.store.reads_fail = self.settings.database_reads_fail

    def clear(self, logs: bool) -> None:
        """Back to how it was started; accounts stay."""
        self.rules.clear()
        self.gate.release()
        self.settings.change({**self.initial})
        self.apply()
        if logs:
            self.journal.clear()
