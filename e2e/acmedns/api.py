# SPDX-License-Identifier: Apache-2.0
"""The HTTP API: /register, /update, /health.

Imitates acme-dns 1.1 and 2.x, which do not differ here: status codes, bodies and
headers as seen on the wire, the order of checks in /update and its single 401, the
database's own words unescaped in the 500. Around it: the reverse proxy (proxy.py),
the gate and the faults (faults.py).

Left out: acme-dns' own certificate by ACME, HSTS, server timeouts.
"""

import uuid
from typing import Any

from aiohttp import web

from . import faults, gojson, passwords, proxy, routing, syntax
from .reply import Reply, hang_up, json_error, json_reply, send, trim_headers
from .state import World
from .store import Account, DatabaseError

_ROUTES = {"/register": "POST", "/update": "POST", "/health": "GET"}
_HIDDEN = ("X-Api-Key", "Authorization")
_MAX_BODY = 64 << 20


def make_app(world: World) -> web.Application:
    app = web.Application(client_max_size=_MAX_BODY)
    app.on_response_prepare.append(trim_headers)
    app.router.add_route("*", "/{path:.*}", _Api(world).serve)
    return app


class _Api:
    def __init__(self, world: World) -> None:
        self._world = world

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One request: journal, gate, faults, answer."""
        body = await request.read()
        entry = self._note(request, body)
        target = proxy.strip_prefix(request.raw_path, self._world.settings)
        path = (target or "").partition("?")[0]

        async def work() -> Reply:
            reply = await self._reply(request, target, body)
            entry["status"] = reply.status
            return reply

        gated = path == "/register" and request.method == "POST"
        if gated and not await self._world.gate.passes("before"):
            return hang_up(request)
        rule = self._world.rules.take(request.method, path)
        if rule:
            entry["fault"] = rule.kind
            return await faults.perform(self._case(rule, request, work))
        reply = await work()
        if gated and not await self._world.gate.passes("after"):
            return hang_up(request)
        return await _send(request, reply)

    def _case(self, rule: faults.Rule, request: web.Request, work: faults.Work) -> faults.Case:
        rules = self._world.rules
        return faults.Case(rule, request, work, self._undo, lambda: rules.holds(rule))

    def _undo(self, reply: Reply) -> None:
        if reply.status == 201:
            self._world.store.remove(gojson.decode_stream(reply.body).subdomain)

    def _note(self, request: web.Request, body: bytes) -> dict[str, Any]:
        peer = _peer(request)
        headers = {
            name: "(hidden)" if name.title() in _HIDDEN else value
            for name, value in request.headers.items()
        }
        return self._world.journal.request(
            method=request.method,
            path=request.raw_path.partition("?")[0],
            target=request.raw_path,
            peer=peer[0],
            port=peer[1],
            headers=headers,
            body=body[:4096].decode("utf-8", "replace"),
        )

    async def _reply(self, request: web.Request, target: str | None, body: bytes) -> Reply:
        if target is None:
            return proxy.not_found()
        refused = proxy.refuse(target, request.headers, self._world.settings)
        if refused:
            return refused
        preflight = routing.answer_preflight(request.method, request.headers)
        if preflight:
            return preflight
        reply = routing.answer_without_handler(request.method, target, self._routes())
        reply = reply or await self._handle(request, target, body)
        return routing.add_cors(reply, request.method, request.headers)

    def _routes(self) -> dict[str, str]:
        """A disabled registration is a route that does not exist."""
        disabled = self._world.settings.registration_disabled
        return {p: m for p, m in _ROUTES.items() if not (disabled and p == "/register")}

    async def _handle(self, request: web.Request, target: str, body: bytes) -> Reply:
        if request.method == "GET":
            return Reply(200)
        if target.partition("?")[0] == "/update":
            return await self._update(request, body)
        return await self._register(body)

    async def _register(self, body: bytes) -> Reply:
        try:
            payload = gojson.decode_document(body) if body else gojson.Payload()
        except gojson.Malformed:
            return json_error(400, "malformed_json_payload")
        cidrs = [syntax.strip_brackets(cidr) for cidr in payload.allowfrom]
        if any(syntax.parse_cidr(cidr) is None for cidr in cidrs):
            return json_error(400, "invalid_allowfrom_cidr")
        return await self._create(cidrs)

    async def _create(self, cidrs: list[str]) -> Reply:
        settings = self._world.settings
        password, username, subdomain = passwords.generate(), _uuid(), _uuid()
        digest = await self._world.hasher.make(password, settings.bcrypt_cost)
        try:
            self._world.store.add(username, digest, subdomain, cidrs)
        except DatabaseError as err:
            return json_error(500, str(err))
        listed = ",".join(f'"{cidr}"' for cidr in cidrs)
        return json_reply(
            201,
            f'{{"username":"{username}","password":"{password}",'
            f'"fulldomain":"{subdomain}.{settings.domain}",'
            f'"subdomain":"{subdomain}","allowfrom":[{listed}]}}',
        )

    async def _update(self, request: web.Request, body: bytes) -> Reply:
        account = await self._authenticate(request)
        if account is None or not self._may_come_from(request, account):
            return json_error(401, "forbidden")
        payload = gojson.decode_stream(body)
        if payload.subdomain != account.subdomain:
            return json_error(401, "forbidden")
        reply = self._write(payload)
        self._world.journal.update(
            subdomain=payload.subdomain, txt=payload.txt, status=reply.status
        )
        return reply

    def _write(self, payload: gojson.Payload) -> Reply:
        if not syntax.is_subdomain(payload.subdomain):
            return json_error(400, "bad_subdomain")
        if not syntax.is_txt(payload.txt):
            return json_error(400, "bad_txt")
        try:
            self._world.store.write(payload.subdomain, payload.txt)
        except DatabaseError:
            return json_error(500, "db_error")
        return json_reply(200, f'{{"txt": "{payload.txt}"}}')

    async def _authenticate(self, request: web.Request) -> Account | None:
        username = syntax.parse_uuid(request.headers.get("X-Api-User", ""))
        key = request.headers.get("X-Api-Key", "")
        if username is None or not syntax.is_key(key):
            return None
        account = self._find(username)
        if account is None:
            await self._world.hasher.waste(key, self._world.settings.bcrypt_cost)
            return None
        return account if await self._world.hasher.matches(key, account.digest) else None

    def _find(self, username: str) -> Account | None:
        """A database that cannot be read looks like an unknown user."""
        try:
            return self._world.store.find(username)
        except DatabaseError:
            return None

    def _may_come_from(self, request: web.Request, account: Account) -> bool:
        settings = self._world.settings
        if not settings.use_header:
            return syntax.is_allowed(_peer(request)[0], account.allowfrom)
        entries = request.headers.get(settings.header_name, "").split(",")
        ips = [entry.strip() for entry in entries if entry]
        return syntax.any_allowed(ips, account.allowfrom)


async def _send(request: web.Request, reply: Reply) -> web.StreamResponse:
    try:
        return await send(request, reply)
    except ConnectionError:  # the client has left
        return hang_up(request)


def _uuid() -> str:
    return str(uuid.uuid4())


def _peer(request: web.Request) -> tuple[str, int]:
    transport = request.transport
    peer = transport.get_extra_info("peername") if transport else None
    return (peer[0], peer[1]) if peer else ("", 0)
