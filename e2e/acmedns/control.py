# SPDX-License-Identifier: Apache-2.0
"""The control API, for tests, on a port of its own. JSON in, JSON out.

  GET    /accounts            {count, accounts: [{seq, username, subdomain, fulldomain,
                              allowfrom, created}]}, in the order of creation
  DELETE /accounts/SUBDOMAIN  forget an account (its credentials become 401)
  GET    /requests            [{time, method, path, target, peer, port, headers, body,
                              status, fault}]; ?path= and ?method= select; the status is
                              that of the server's own work, null if none was done;
                              X-Api-Key and Authorization are hidden
  GET    /updates             [{time, subdomain, txt, status}], authenticated ones only
  GET    /queries             [{time, name, type, rcode, transport, peer, port}]
  POST   /faults              add a rule (faults.py) -> {id}
  GET    /faults              the rules, with their hits
  DELETE /faults              all rules; DELETE /faults/ID one
  POST   /hold                {stage: before|after}: registrations wait, before their
                              work (and any fault) or between their work and the
                              answer (where no fault took the request)
  GET    /held                {held: N}
  POST   /release             {discard: bool}: let them go on, or close them
  GET    /settings            the settings (state.py); POST changes those that are named
  POST   /silent              {address: "127.0.0.1:0"}: open a listener that accepts and
                              never reads -> {address}; GET lists, with connections taken
  POST   /clear               {logs: bool}: rules, gate and settings back to the start,
                              silent listeners closed; logs too by default

A bad request is answered 400 {error}.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from .listeners import SilentHost
from .state import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (ValueError, TypeError, OSError) as err:
        return web.json_response({"error": str(err)}, status=400)


async def _members(request: web.Request) -> dict[str, Any]:
    """The object in the body; none is an empty one."""
    given = await request.json() if request.can_read_body else {}
    if not isinstance(given, dict):
        raise ValueError("not an object")
    return given


class Control:
    """The handlers, one per line of the table above."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._silent: list[SilentHost] = []

    def make_app(self) -> web.Application:
        app = web.Application(middlewares=[_explain])
        routes = [
            web.get("/accounts", self._accounts),
            web.delete("/accounts/{subdomain}", self._forget),
            web.get("/requests", self._requests),
            web.get("/updates", self._updates),
            web.get("/queries", self._queries),
            web.get("/faults", self._faults),
            web.post("/faults", self._add_fault),
            web.delete("/faults", self._clear_faults),
            web.delete("/faults/{id}", self._remove_fault),
            web.post("/hold", self._hold),
            web.get("/held", self._held),
            web.post("/release", self._release),
            web.get("/settings", self._settings),
            web.post("/settings", self._change),
            web.get("/silent", self._silent_hosts),
            web.post("/silent", self._open_silent),
            web.post("/clear", self._clear),
        ]
        app.add_routes(routes)
        return app

    async def open_silent(self, address: str) -> str:
        host = SilentHost()
        await host.start(address)
        self._silent.append(host)
        return host.address

    def close(self) -> None:
        for host in self._silent:
            host.stop()
        self._silent.clear()

    async def _accounts(self, _: web.Request) -> web.Response:
        accounts = [asdict(account) for account in self._world.store.accounts()]
        for account in accounts:
            del account["digest"]
            account["fulldomain"] = f"{account['subdomain']}.{self._world.settings.domain}"
        return web.json_response({"count": len(accounts), "accounts": accounts})

    async def _forget(self, request: web.Request) -> web.Response:
        return _done(self._world.store.remove(request.match_info["subdomain"]))

    async def _requests(self, request: web.Request) -> web.Response:
        wanted = {k: v for k, v in request.query.items() if k in ("path", "method")}
        log = self._world.journal.requests
        return web.json_response([e for e in log if wanted.items() <= _flat(e).items()])

    async def _updates(self, _: web.Request) -> web.Response:
        return web.json_response(self._world.journal.updates)

    async def _queries(self, _: web.Request) -> web.Response:
        return web.json_response(self._world.journal.queries)

    async def _faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._world.rules.listing())

    async def _add_fault(self, request: web.Request) -> web.Response:
        rule = self._world.rules.add(await _members(request))
        return web.json_response({"id": rule.id})

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self._world.rules.clear()
        return _done(True)

    async def _remove_fault(self, request: web.Request) -> web.Response:
        return _done(self._world.rules.remove(int(request.match_info["id"])))

    async def _hold(self, request: web.Request) -> web.Response:
        self._world.gate.close((await _members(request)).get("stage", "before"))
        return _done(True)

    async def _held(self, _: web.Request) -> web.Response:
        return web.json_response({"held": self._world.gate.held})

    async def _release(self, request: web.Request) -> web.Response:
        self._world.gate.release(bool((await _members(request)).get("discard", False)))
        return _done(True)

    async def _settings(self, _: web.Request) -> web.Response:
        return web.json_response(asdict(self._world.settings))

    async def _change(self, request: web.Request) -> web.Response:
        self._world.settings.change(await _members(request))
        self._world.apply()
        return web.json_response(asdict(self._world.settings))

    async def _silent_hosts(self, _: web.Request) -> web.Response:
        return web.json_response([host.describe() for host in self._silent])

    async def _open_silent(self, request: web.Request) -> web.Response:
        address = (await _members(request)).get("address", "127.0.0.1:0")
        return web.json_response({"address": await self.open_silent(address)})

    async def _clear(self, request: web.Request) -> web.Response:
        self._world.clear(bool((await _members(request)).get("logs", True)))
        self.close()
        return _done(True)


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    """The members of a log entry that can be compared in a set."""
    return {name: entry[name] for name in ("path", "method")}


def _done(found: bool) -> web.Response:
    return web.json_response({"done": found}, status=200 if found else 404)
