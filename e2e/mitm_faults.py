# SPDX-License-Identifier: Apache-2.0
"""The faults that mitmproxy puts between operator and API server; mitm.py runs it with this.

Each request belongs to a group. Some of a group's requests meet a fault: its kinds are dealt
like cards, all in an order of chance before any again. A seed gives the same order again.

  409, 429, 500, 503   it is answered here; the API server never sees it
  504                  the API server does its work, and what answers is this proxy
  drop                 the API server does its work, and the stream of the answer dies
  abort                the same, and the whole connection dies with it
  tear                 the same, after one half of the answer's first block
  split                the answer comes in crumbs

A watch that meets one of the last four is asked to end soon: it is cut then, or at an event.
GET /.faults returns what was done, PUT says how many of 100 requests shall meet a fault.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from random import Random
from typing import Any

from mitmproxy import connection, ctx, http
from mitmproxy.addonmanager import Loader

from e2e.verbs import describe

CONTROL = "/.faults"
WATCHES = "watches"
CRUMB = 7
CRUMBS = 200

REASONS = {
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}
_BEFORE = [str(status) for status in REASONS]
_AFTER = ["drop", "abort", "tear", "split"]
_KINDS = [*_BEFORE, "504", *_AFTER]
# An API server has no conflicts with who only reads, and nothing stands for a whole watch.
_NEVER = {"reads": {"409"}, WATCHES: {"409", "504"}}


def group_of(what: str) -> str:
    """Return the group of a request by its "verb resource"."""
    verb, resource = what.split(" ", 1)
    if resource == "leases":
        return "leases"
    if verb == "watch":
        return WATCHES
    if verb in ("get", "list"):
        return "reads"
    if resource == "secrets":
        return "writes"
    return "status" if resource.endswith("/status") else "others"


class Cards:
    """The fortune of one group."""

    def __init__(self, group: str, seed: str) -> None:
        """Shuffle by the seed."""
        self._kinds = [kind for kind in _KINDS if kind not in _NEVER.get(group, ())]
        self._random = Random(f"{seed} {group}")
        self._deck: list[str] = []

    def deal(self, percent: int) -> str:
        """Return the fault of the next request, or none."""
        if self._random.randrange(100) >= percent:
            return ""
        if not self._deck:
            self._deck = self._random.sample(self._kinds, len(self._kinds))
        return self._deck.pop()

    def take_back(self, kind: str) -> None:
        """Deal it once more, for nothing came of it."""
        self._deck.append(kind)


class Faults:
    """The add-on."""

    def __init__(self) -> None:
        """Nothing fails yet."""
        self._percent: dict[str, int] = {}
        self._cards: dict[str, Cards] = {}
        self._requests: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()
        self._upstream: Counter[str] = Counter()
        self._injected: dict[str, Counter[str]] = defaultdict(Counter)

    # what mitmproxy calls

    def load(self, loader: Loader) -> None:
        """Declare the option."""
        loader.add_option("faults_seed", str, "0", "the seed of all chance")

    def request(self, flow: http.HTTPFlow) -> None:
        """Deal a fault to the request, and answer it here if that is the fault."""
        if flow.request.path == CONTROL:
            self._control(flow)
            return
        group = group_of(describe(flow.request.method, *_target(flow.request)))
        self._requests[group] += 1
        self._versions[flow.request.http_version] += 1
        cards = self._cards.setdefault(group, Cards(group, ctx.options.faults_seed))
        kind = cards.deal(self._percent.get(group, self._percent.get("", 0)))
        flow.metadata.update(group=group, fault=kind)
        if kind in _BEFORE:
            flow.response = _refusal(flow.request, int(kind), self._requests[group] % 2 == 0)
            self._count(flow)
        elif kind and group == WATCHES:
            flow.request.query["timeoutSeconds"] = "1"

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Choose how the answer passes."""
        assert flow.response is not None
        group, kind = flow.metadata.get("group"), flow.metadata.get("fault")
        if group is None or kind in _BEFORE:
            return  # it was made here
        self._upstream[(flow.server_conn.alpn or b"").decode()] += 1
        if kind and flow.response.status_code >= 300:
            self._cards[group].take_back(kind)
            kind = flow.metadata["fault"] = ""
        if kind == "tear":
            flow.response.stream = Tear(lambda: self._count(flow))
        elif kind == "split":
            flow.response.stream = Split(lambda: self._count(flow))
        elif group == WATCHES:
            flow.response.stream = True

    def response(self, flow: http.HTTPFlow) -> None:
        """Lose the answer, or put another in its place."""
        kind = flow.metadata.get("fault")
        if kind == "504":
            flow.response = http.Response.make(504, "<html>upstream timed out</html>")
        if kind in ("504", "drop", "abort"):
            self._count(flow)
        if kind == "abort":
            _abort(flow.client_conn)
        if kind in ("drop", "abort", "tear"):
            flow.kill()

    def error(self, flow: http.HTTPFlow) -> None:
        """Deal again what came to nothing, for the fault of another request was faster."""
        group, kind = flow.metadata.get("group"), flow.metadata.get("fault")
        if group and kind and not flow.metadata.get("counted"):
            self._cards[group].take_back(kind)

    # how it is done

    def _count(self, flow: http.HTTPFlow) -> None:
        self._injected[flow.metadata["fault"]][flow.metadata["group"]] += 1
        flow.metadata["counted"] = True

    def _control(self, flow: http.HTTPFlow) -> None:
        if flow.request.method == "PUT":
            self._percent = json.loads(flow.request.get_content())
        figures = {
            "requests": self._requests,
            "versions": self._versions,
            "upstream": self._upstream,
            "injected": self._injected,
        }
        flow.response = _answer(200, figures)


class Tear:
    """Passes one half of the first block, and nothing after it."""

    def __init__(self, count: Callable[[], None]) -> None:
        """Call count() when something was torn."""
        self._count = count
        self._torn = False

    def __call__(self, block: bytes) -> bytes | list[bytes]:
        """Return what passes of a block."""
        if self._torn or len(block) < 2:
            return []
        self._torn = True
        self._count()
        return block[: len(block) // 2]


class Split:
    """Passes all in crumbs."""

    def __init__(self, count: Callable[[], None]) -> None:
        """Call count() when there is something to split."""
        self._count = count
        self._begun = False

    def __call__(self, block: bytes) -> list[bytes]:
        """Return the crumbs."""
        if len(block) > CRUMB and not self._begun:
            self._begun = True
            self._count()
        size = max(CRUMB, len(block) // CRUMBS)
        return [block[i : i + size] for i in range(0, len(block), size)]


def _target(request: http.Request) -> tuple[str, Any]:
    return request.path.partition("?")[0], request.query


def _refusal(request: http.Request, status: int, odd: bool) -> http.Response:
    """Return an answer of the API server's; every other one is as odd as some are."""
    exists = status == 409 and request.method == "POST"
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": "AlreadyExists" if exists else REASONS[status],
        "message": "so the test wants it",
        "code": status,
    }
    if odd and status >= 500:
        return http.Response.make(status, "upstream connect error", {"Content-Type": "text/plain"})
    answer = _answer(status, body)
    if odd and status == 429:
        answer.headers["Retry-After"] = "1"
    return answer


def _answer(status: int, body: Any) -> http.Response:
    return http.Response.make(status, json.dumps(body), {"Content-Type": "application/json"})


def _abort(client: connection.Client) -> None:
    """Close a client's connection at once; mitmproxy has no word for that."""
    for handler in ctx.master.addons.get("proxyserver").connections.values():
        if handler.client is client:
            handler.transports[client].writer.transport.abort()


addons = [Faults()]
