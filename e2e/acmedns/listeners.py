# SPDX-License-Identifier: Apache-2.0
"""Sockets: addresses as text, a pair of UDP and TCP on one port, silent hosts."""

import asyncio
import errno
import random
import socket
from typing import Any

_FREE_PORTS = range(20000, 32000)
_TRIES = 50
_BACKLOG = 1024


def parse_address(text: str) -> tuple[str, int]:
    """``127.0.0.1:0``, ``[::1]:53``."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"not host:port: {text}")
    return host.strip("[]"), int(port)


def format_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def socket_address(sock: socket.socket) -> str:
    return format_address(*sock.getsockname()[:2])


def _candidates(port: int) -> list[int]:
    """The port itself; for 0, ports at random below those that the kernel hands out.

    A port of the kernel's own range could go to some outgoing connection while a
    stand-in that had it is being restarted.
    """
    return [port] if port else random.sample(_FREE_PORTS, _TRIES)


def _bind(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _first(host: str, port: int, kinds: list[socket.SocketKind]) -> list[socket.socket]:
    """Sockets of these kinds, all on the first candidate that is free."""
    candidates = _candidates(port)
    for candidate in candidates:
        bound: list[socket.socket] = []
        try:
            for kind in kinds:
                bound.append(_bind(host, candidate, kind))
            return bound
        except OSError as err:
            for sock in bound:
                sock.close()
            if err.errno != errno.EADDRINUSE or candidate == candidates[-1]:
                raise
    raise AssertionError("unreachable")


def listen_tcp(host: str, port: int) -> socket.socket:
    return _first(host, port, [socket.SOCK_STREAM])[0]


def listen_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """UDP and TCP on one port."""
    udp, tcp = _first(host, port, [socket.SOCK_DGRAM, socket.SOCK_STREAM])
    return udp, tcp


class _Mute(asyncio.Protocol):
    """Takes a connection and never reads from it."""

    def __init__(self, host: "SilentHost") -> None:
        self._host = host

    def connection_made(self, transport: asyncio.Transport) -> None:
        transport.pause_reading()
        self._host.accepted += 1
        self._host.transports.append(transport)


class SilentHost:
    """A listener that accepts connections and stays silent, TLS or not."""

    def __init__(self) -> None:
        self.accepted = 0
        self.address = ""
        self.transports: list[asyncio.Transport] = []
        self._server: asyncio.Server | None = None

    async def start(self, address: str) -> None:
        sock = listen_tcp(*parse_address(address))
        self.address = socket_address(sock)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Mute(self), sock=sock)

    def stop(self) -> None:
        """Close the listener and what it accepted."""
        if self._server is not None:
            self._server.close()
        for transport in self.transports:
            transport.abort()

    def describe(self) -> dict[str, Any]:
        return {"address": self.address, "accepted": self.accepted}
