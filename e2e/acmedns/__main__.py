# SPDX-License-Identifier: Apache-2.0
"""Runs the stand-in of acme-dns: ``python -m e2e.acmedns --help``.

It prints one line of JSON on standard output when all of it is ready,

  {"api": "http://127.0.0.1:41001", "apis": [...], "dns": "127.0.0.1:41002",
   "control": "http://127.0.0.1:41003", "silent": [...], "domain": "auth.test", "pid": 42}

and ends on SIGTERM, SIGINT, and with its parent if asked to. What it imitates and
leaves out stands in api.py and dns.py, its faults in faults.py, and what tests can
ask of it in control.py.
"""

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import signal
import ssl
import sys
from collections.abc import Callable
from typing import Any

from aiohttp import web

from . import api, dns
from .control import Control
from .listeners import listen_pair, listen_tcp, parse_address, socket_address
from .passwords import Hasher
from .state import Settings, World
from .store import Store

_PR_SET_PDEATHSIG = 1
_LAST_WORDS = 0.2  # seconds given to requests under way at the end


def _parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("e2e.acmedns", description="a stand-in of acme-dns")
    add = parser.add_argument
    add("--api", action="append", help="host:port of the HTTP API; repeatable")
    add("--dns", default="127.0.0.1:0", help="host:port of the DNS server, UDP and TCP")
    add("--control", default="127.0.0.1:0", help="host:port of the control API")
    add("--silent", action="append", default=[], help="host:port that never reads; repeatable")
    add("--domain", default="auth.test")
    add("--record", action="append", default=[], help="static record; default: A and NS")
    add("--db", default=":memory:", help="SQLite file")
    add("--bcrypt-cost", type=int, default=10)
    add("--workers", type=int, help="bcrypt threads (default: cores; acme-dns has 1)")
    add("--use-header", metavar="NAME", help="take the client's address from this header")
    add("--disable-registration", action="store_true")
    add("--tls-cert", help="PEM chain; the API then speaks TLS")
    add("--tls-key", help="PEM key")
    add("--prefix", default="", help="secret path in front of the API")
    add("--basic-auth", metavar="USER:PASS", help="wanted by /register")
    add("--require-header", action="append", default=[], metavar="NAME:VALUE")
    add("--die-with-parent", action="store_true", help="SIGTERM when the parent thread ends")
    add("--exit-on-eof", action="store_true", help="end when standard input is closed")
    return parser.parse_args(argv)


def _settings(args: argparse.Namespace) -> Settings:
    headers = (each.partition(":") for each in args.require_header)
    settings = Settings(
        domain=args.domain.lower().rstrip("."),
        bcrypt_cost=args.bcrypt_cost,
        use_header=args.use_header is not None,
        registration_disabled=args.disable_registration,
        prefix=args.prefix,
        basic_auth=args.basic_auth,
        required_headers={name.strip(): value.strip() for name, _, value in headers},
    )
    settings.header_name = args.use_header or settings.header_name
    return settings


def _tls(args: argparse.Namespace) -> ssl.SSLContext | None:
    if not args.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(args.tls_cert, args.tls_key)
    return context


async def _serve_http(
    app: web.Application, addresses: list[str], tls: ssl.SSLContext | None = None
) -> tuple[web.AppRunner, list[str]]:
    """The app on all the addresses; their URLs."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_WORDS)
    await runner.setup()
    urls = []
    for address in addresses:
        sock = listen_tcp(*parse_address(address))
        await web.SockSite(runner, sock, ssl_context=tls).start()
        urls.append(f"{'https' if tls else 'http'}://{socket_address(sock)}")
    return runner, urls


async def _serve_dns(responder: dns.Responder, address: str) -> str:
    udp, tcp = listen_pair(*parse_address(address))
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: dns.Udp(responder), sock=udp)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await dns.serve_stream(responder, reader, writer)

    await asyncio.start_server(connected, sock=tcp)
    return socket_address(udp)


def _watch_parent(args: argparse.Namespace, stop: Callable[[], Any]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if args.die_with_parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if args.exit_on_eof:
        loop.add_reader(sys.stdin.fileno(), lambda: os.read(0, 4096) or stop())


async def _start(
    args: argparse.Namespace, world: World, stack: contextlib.AsyncExitStack
) -> dict[str, Any]:
    """Open all listeners, their closing put on the stack; what to tell the parent."""
    control = Control(world)
    responder = dns.Responder(world, dns.Zone(world.settings.domain, args.record))
    apis, urls = await _serve_http(api.make_app(world), args.api or ["127.0.0.1:0"], _tls(args))
    stack.push_async_callback(apis.cleanup)
    controls, control_urls = await _serve_http(control.make_app(), [args.control])
    stack.push_async_callback(controls.cleanup)
    stack.callback(control.close)
    return {
        "api": urls[0],
        "apis": urls,
        "dns": await _serve_dns(responder, args.dns),
        "control": control_urls[0],
        "silent": [await control.open_silent(each) for each in args.silent],
        "domain": world.settings.domain,
        "pid": os.getpid(),
    }


async def _run(args: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    _watch_parent(args, stopped.set)
    world = World(_settings(args), Store(args.db), Hasher(args.workers))
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(world.store.close)
        stack.callback(world.hasher.close)
        print(json.dumps(await _start(args, world, stack)), flush=True)
        await stopped.wait()
        world.rules.clear()
        world.gate.release(discard=True)


def main() -> int:
    args = _parse()
    try:
        asyncio.run(_run(args))
    except (OSError, ValueError) as err:
        print(f"e2e.acmedns: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
