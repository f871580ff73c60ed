# SPDX-License-Identifier: Apache-2.0
"""Faults: rules that turn an answer into something else.

A rule is made from a JSON object. Which requests it takes:

  path     request path as the server sees it ("/register"), or "*"; default "*"
  method   only this method; default any
  skip     let so many matching requests pass first; default 0
  times    end after so many hits; default null, for ever

and what it does with them, after a delay:

  delay    seconds to wait before anything else
  commit   do the server's own work first (an account is made, a value written)
  kind     none      only the delay, then the true answer
           drop      close the connection without an answer (reset: by RST)
           answer    answer with status, body, content_type, headers
           truncate  declare the whole body's length, send ``keep`` bytes (half), close
           huge      send ``bytes`` bytes (chunked: without a length) of ``filler``
           drip      the body a byte each ``interval`` seconds
           silent    answer nothing until the client leaves or the rule is cleared
           mangle    the true answer with ``fields`` replaced and ``remove`` taken out
           phantom   the true answer of a registration that is not stored
           raw       write ``body`` as it is, no HTTP around it, and close (hold: only
                     when the client leaves or the rule is cleared)

``body`` may be a string or any JSON value (then application/json). truncate and drip
without a body cut up the true answer. An unknown member is refused.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from .reply import JSON, TEXT, Reply, hang_up, open_response, send

Work = Callable[[], Awaitable[Reply]]
Undo = Callable[[Reply], None]
_CHUNK = 65536


@dataclass
class Rule:
    """One fault, see the module's text for the members."""

    kind: str = "none"
    path: str = "*"
    method: str | None = None
    skip: int = 0
    times: int | None = None
    delay: float = 0.0
    commit: bool = False
    reset: bool = False
    status: int = 200
    body: Any = None
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    keep: int | None = None
    hold: bool = False
    bytes: int = 1 << 20
    chunked: bool = False
    filler: str = "x"
    interval: float = 0.1
    fields: dict[str, Any] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    hits: int = 0
    id: int = 0

    def matches(self, method: str, path: str) -> bool:
        return self.path in ("*", path) and self.method in (None, method)

    def given_reply(self) -> Reply:
        """The answer that the rule spells out."""
        structured = self.body is not None and not isinstance(self.body, str)
        text = json.dumps(self.body) if structured else (self.body or "")
        kind = self.content_type or (JSON if structured else TEXT)
        headers = CIMultiDict({"Content-Type": kind, **self.headers})
        return Reply(self.status, text.encode(), headers)


_MEMBERS = {each.name for each in fields(Rule)} - {"hits", "id"}


class Rules:
    """The rules in force; the first that matches takes the request."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._ids = itertools.count(1)

    def add(self, spec: dict[str, Any]) -> Rule:
        unknown = set(spec) - _MEMBERS
        if unknown or spec.get("kind", "none") not in _KINDS:
            raise ValueError(f"bad fault: {sorted(unknown) or spec.get('kind')}")
        rule = Rule(**spec, id=next(self._ids))
        self._rules.append(rule)
        return rule

    def take(self, method: str, path: str) -> Rule | None:
        """The rule for this request, counted as hit."""
        for rule in self._rules:
            if rule.matches(method, path) and rule.times != 0:
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                rule.hits += 1
                rule.times = rule.times and rule.times - 1
                return rule
        return None

    def listing(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self._rules]

    def holds(self, rule: Rule) -> bool:
        return any(each.id == rule.id for each in self._rules)

    def remove(self, number: int) -> bool:
        before = len(self._rules)
        self._rules = [rule for rule in self._rules if rule.id != number]
        return len(self._rules) < before

    def clear(self) -> None:
        self._rules = []


@dataclass
class Case:
    """A request in the hands of a rule."""

    rule: Rule
    request: web.Request
    work: Work
    undo: Undo
    in_force: Callable[[], bool]

    async def base(self) -> Reply:
        """The answer to play with: the rule's own, or the true one."""
        if self.rule.body is None:
            return await self.work()
        if self.rule.commit:
            await self.work()
        return self.rule.given_reply()

    async def commit(self) -> None:
        if self.rule.commit:
            await self.work()


async def perform(case: Case) -> web.StreamResponse:
    await asyncio.sleep(case.rule.delay)
    try:
        return await _KINDS[case.rule.kind](case)
    except ConnectionError:  # the client has left
        return hang_up(case.request)


async def _none(case: Case) -> web.StreamResponse:
    return await send(case.request, await case.work())


async def _drop(case: Case) -> web.StreamResponse:
    await case.commit()
    return hang_up(case.request, case.rule.reset)


async def _answer(case: Case) -> web.StreamResponse:
    await case.commit()
    return await send(case.request, case.rule.given_reply())


async def _truncate(case: Case) -> web.StreamResponse:
    reply = await case.base()
    size = len(reply.body)
    keep = size // 2 if case.rule.keep is None else case.rule.keep
    response = open_response(reply, size)
    await response.prepare(case.request)
    await response.write(reply.body[:keep])
    return hang_up(case.request)


async def _huge(case: Case) -> web.StreamResponse:
    await case.commit()
    rule = case.rule
    chunk = (rule.filler.encode() * _CHUNK)[:_CHUNK]
    response = open_response(rule.given_reply(), None if rule.chunked else rule.bytes)
    await response.prepare(case.request)
    for start in range(0, rule.bytes, _CHUNK):
        await response.write(chunk[: rule.bytes - start])
    await response.write_eof()
    return response


async def _drip(case: Case) -> web.StreamResponse:
    reply = await case.base()
    response = open_response(reply, len(reply.body))
    await response.prepare(case.request)
    for byte in reply.body:
        await response.write(bytes([byte]))
        await asyncio.sleep(case.rule.interval)
    await response.write_eof()
    return response


async def _wait_for_the_end(case: Case) -> None:
    while case.in_force() and case.request.transport is not None:
        await asyncio.sleep(0.05)


async def _silent(case: Case) -> web.StreamResponse:
    await case.commit()
    await _wait_for_the_end(case)
    return hang_up(case.request)


async def _mangle(case: Case) -> web.StreamResponse:
    reply = await case.work()
    document = {**json.loads(reply.body), **case.rule.fields}
    for name in case.rule.remove:
        document.pop(name, None)
    reply.body = json.dumps(document).encode()
    return await send(case.request, reply)


async def _phantom(case: Case) -> web.StreamResponse:
    reply = await case.work()
    case.undo(reply)
    return await send(case.request, reply)


async def _raw(case: Case) -> web.StreamResponse:
    await case.commit()
    if case.request.transport is not None:
        case.request.transport.write(case.rule.given_reply().body)
    if case.rule.hold:
        await _wait_for_the_end(case)
    return hang_up(case.request)


_KINDS: dict[str, Callable[[Case], Awaitable[web.StreamResponse]]] = {
    "none": _none,
    "drop": _drop,
    "answer": _answer,
    "truncate": _truncate,
    "huge": _huge,
    "drip": _drip,
    "silent": _silent,
    "mangle": _mangle,
    "phantom": _phantom,
    "raw": _raw,
}
