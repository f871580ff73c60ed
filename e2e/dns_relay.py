# SPDX-License-Identifier: Apache-2.0
"""Port 53 of a loopback address, for a DNS server that has another one.

Those who follow a zone's NS records ask port 53, and BIND listens on addresses of interfaces
only, where that of 127.0.0.1 may be somebody else's.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from typing import Self

from e2e.dns_server import SocketAddress

_TIMEOUT = 10.0
_MAX = 65535


def _whole(stream: socket.socket) -> bytes:
    """Read a message as TCP carries it: its length in two bytes, and itself."""
    head = _exactly(stream, 2)
    return head + _exactly(stream, struct.unpack("!H", head)[0])


def _exactly(stream: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise ConnectionError("the other side has closed")
        data += more
    return data


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        question, back = self.request
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.settimeout(_TIMEOUT)
            out.sendto(question, self.server.upstream)  # type: ignore[attr-defined]
            back.sendto(out.recv(_MAX), self.client_address)


class _Tcp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.settimeout(_TIMEOUT)
        upstream = self.server.upstream  # type: ignore[attr-defined]
        with socket.create_connection(upstream, _TIMEOUT) as out:
            out.sendall(_whole(self.request))
            self.request.sendall(_whole(out))


class DnsRelay:
    """Brings each question to the server and its answer back, for the length of a with block."""

    def __init__(self, address: str, upstream: SocketAddress) -> None:
        """Take port 53 of the address."""
        where = (address, 53)
        self._servers: list[socketserver.BaseServer] = [
            socketserver.ThreadingUDPServer(where, _Udp),
            socketserver.ThreadingTCPServer(where, _Tcp),
        ]
        for each in self._servers:
            each.upstream = upstream  # type: ignore[attr-defined]

    def __enter__(self) -> Self:
        """Serve."""
        for each in self._servers:
            threading.Thread(target=each.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        for each in self._servers:
            each.shutdown()
            each.server_close()
