# SPDX-License-Identifier: Apache-2.0
"""Stands between the operator and the API server, so that a test chooses what passes, and when.

A Relay passes the bytes of TCP connections: it counts them, cuts them, and can let them fall
silent. A Gateway ends TLS with a certificate of the test's CA and speaks HTTP/1.1 on both
sides: it holds single requests before or after the API server does its work, withholds their
answers, or answers by itself.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import ssl
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web

from e2e.cluster import ControlPlane, Object
from e2e.process import free_ports
from e2e.verbs import describe

_PATIENCE = 30.0
_BLOCK = 65536
# They belong to one connection, or aiohttp writes them itself.
_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


def behind(kubeconfig: Path, server: str) -> Path:
    """Write, beside a kubeconfig, another of the same credentials for another server."""
    config = yaml.safe_load(kubeconfig.read_text())
    for each in config["clusters"]:
        each["cluster"]["server"] = server
    path = kubeconfig.with_name(f"{kubeconfig.stem}-{server.rpartition(':')[2]}.kubeconfig")
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


class _Server:
    """Something asynchronous with a port of its own, run by a thread."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        """The base URL of the API behind it."""
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections, and end."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        done: concurrent.futures.Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(_PATIENCE)

    async def _open(self) -> None:
        raise NotImplementedError

    async def _close(self) -> None:
        raise NotImplementedError


# --- bytes ---


class Relay(_Server):
    """Passes TCP connections on to the API server."""

    def __init__(self, plane: ControlPlane) -> None:
        """Prepare it; `with` starts it."""
        super().__init__()
        self.accepted = 0
        self._target = plane.port
        self._pairs: set[asyncio.Task[None]] = set()
        self._silent: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Close all connections; new ones are welcome."""
        self._run(self._end_all())

    def silence(self) -> None:
        """Pass no byte of the connections there are, either way; new ones work."""
        self._run(self._silence())

    async def _open(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _close(self) -> None:
        self._listener.close()
        await self._end_all()

    async def _silence(self) -> None:
        self._silent |= self._pairs

    async def _end_all(self) -> None:
        pairs = list(self._pairs)
        for pair in pairs:
            pair.cancel()
        await asyncio.gather(*pairs, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        try:
            # Cancelled, it is cut.
            with contextlib.closing(writer), contextlib.suppress(asyncio.CancelledError):
                await self._connect(task, reader, writer)
        finally:
            self._pairs.discard(task)
            self._silent.discard(task)

    async def _connect(
        self, pair: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            with contextlib.closing(far_writer):
                await asyncio.gather(
                    self._pass(pair, reader, far_writer), self._pass(pair, far_reader, writer)
                )

    async def _pass(
        self, pair: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while block := await reader.read(_BLOCK):
            if pair in self._silent:
                continue
            writer.write(block)
            await writer.drain()
        if pair not in self._silent:
            writer.close()


# --- requests ---


class Hold:
    """Keeps one request waiting: `before` it is passed on, or `after` it was answered."""

    def __init__(self, what: str, stage: str, skip: int, loop: asyncio.AbstractEventLoop) -> None:
        """Take the request after so many others like it."""
        self.what = what
        self.stage = stage
        self.skip = skip
        self._loop = loop
        self._reached = threading.Event()
        self._passes: asyncio.Future[bool] = loop.create_future()

    def wait(self) -> None:
        """Wait until the request is there."""
        assert self._reached.wait(_PATIENCE), f"nobody came to {self.what}"

    def release(self) -> None:
        """Let it go on."""
        self._decide(True)

    def drop(self) -> None:
        """Close its connection: what is held before is never done, after is never known."""
        self._decide(False)

    def _decide(self, passes: bool) -> None:
        def decide() -> None:
            if not self._passes.done():
                self._passes.set_result(passes)

        self._loop.call_soon_threadsafe(decide)

    async def passes(self, stage: str) -> bool:
        """Be there; whether to go on."""
        if stage != self.stage:
            return True
        self._reached.set()
        return await asyncio.shield(self._passes)


class Answer:
    """Answers a number of requests in the API server's place."""

    def __init__(self, what: str, status: int, body: bytes, times: int) -> None:
        """Answer so often, with one body."""
        self.what = what
        self.status = status
        self.body = body
        self.times = times
        self._served = threading.Event()

    def wait(self) -> None:
        """Wait until it has answered as often as it shall."""
        assert self._served.wait(_PATIENCE), f"nobody came to {self.what}"

    def serve(self) -> web.Response:
        """Count one, and answer it."""
        self.times -= 1
        if self.times == 0:
            self._served.set()
        return web.Response(
            status=self.status, body=self.body, headers={"Content-Type": "application/json"}
        )


class Gateway(_Server):
    """Passes single requests on to the API server, or does not.

    A request is named as in the audit log: "create secrets", "patch widgets/status".
    """

    def __init__(self, plane: ControlPlane) -> None:
        """Prepare it; `with` starts it."""
        super().__init__()
        self._upstream = plane.server
        pair = plane.ca.server(f"gateway-{self.port}", ["127.0.0.1"])
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(pair.certificate, pair.key)
        self._upstream_tls = ssl.create_default_context(cafile=str(plane.ca_file))
        self._holds: list[Hold] = []
        self._answers: list[Answer] = []
        self._streams: list[web.Request] = []
        self.seen: list[str] = []

    # what shall happen

    def hold(self, what: str, stage: str, skip: int = 0) -> Hold:
        """Keep the next request of that name waiting, or the one after some."""
        assert stage in ("before", "after")
        return self._run(self._add_hold(what, stage, skip))

    def answer(self, what: str, status: int, body: Object | bytes, times: int = 1) -> Answer:
        """Answer the next requests of that name in the API server's place."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = Answer(what, status, content, times)
        self._answers.append(answer)
        return answer

    def cut_watches(self) -> None:
        """Close the connection of each watch."""
        self._run(self._cut())

    # how it is done

    async def _add_hold(self, what: str, stage: str, skip: int) -> Hold:
        self._holds.append(Hold(what, stage, skip, self._loop))
        return self._holds[-1]

    async def _cut(self) -> None:
        for request in self._streams:
            _hang_up(request)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            # It would ask for gzip by itself, which the API server has for long lists.
            skip_auto_headers=("Accept-Encoding",),
            connector=aiohttp.TCPConnector(ssl=self._upstream_tls, limit=0),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )
        app = web.Application(client_max_size=_BLOCK**2)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A request whose client is gone is not passed on any more.
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()

    async def _close(self) -> None:
        for hold in self._holds:
            hold.drop()
        await self._runner.cleanup()
        await self._session.close()

    def _take_hold(self, what: str) -> Hold | None:
        for hold in self._holds:
            if hold.what != what:
                continue
            if hold.skip == 0:
                self._holds.remove(hold)
                return hold
            hold.skip -= 1
        return None

    def _take_answer(self, what: str) -> Answer | None:
        return next((each for each in self._answers if each.what == what and each.times > 0), None)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        what = describe(request.method, request.path, request.query)
        self.seen.append(what)
        body = await request.read()
        answer = self._take_answer(what)
        if answer is not None:
            return answer.serve()
        hold = self._take_hold(what)
        if hold is not None and not await hold.passes("before"):
            return _hang_up(request)
        try:
            async with self._ask(request, body) as far:
                if what.startswith("watch "):
                    return await self._stream(request, far)
                response = web.Response(
                    status=far.status, headers=_end_to_end(far.headers), body=await far.read()
                )
        except aiohttp.ClientError:  # the API server is not there, or left
            return _hang_up(request)
        if hold is not None and not await hold.passes("after"):
            return _hang_up(request)
        return response

    @contextlib.asynccontextmanager
    async def _ask(
        self, request: web.Request, body: bytes
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self._upstream + request.raw_path
        headers = _end_to_end(request.headers)
        async with self._session.request(
            request.method, url, data=body or None, headers=headers
        ) as far:
            yield far

    async def _stream(
        self, request: web.Request, far: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=far.status, headers=_end_to_end(far.headers))
        await response.prepare(request)
        self._streams.append(request)
        try:
            async for block in far.content.iter_any():
                await response.write(block)
            await response.write_eof()
        except (aiohttp.ClientError, ConnectionError):  # one of both has left
            return _hang_up(request)
        finally:
            self._streams.remove(request)
        return response


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; the response returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
