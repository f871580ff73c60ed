# SPDX-License-Identifier: Apache-2.0
"""A forward proxy as companies have them: it alone looks names up, and may refuse to connect."""

from __future__ import annotations

import http.client
import socketserver
import threading
from typing import Self
from urllib.parse import urlsplit


class _Handler(socketserver.StreamRequestHandler):
    server: _Listener

    def handle(self) -> None:
        method, target, _ = self.rfile.readline().decode().split()
        headers = http.client.parse_headers(self.rfile)
        self.server.asked.append(f"{method} {target}")
        origin = self.server.names.get(urlsplit(target).netloc)
        if method == "CONNECT":
            self._answer(self.server.refusal, b"")
        elif origin is None:
            self._answer(502, b"<html>no such name</html>")
        else:
            body = self.rfile.read(int(headers["Content-Length"] or 0))
            self._answer(*_exchange(origin, method, urlsplit(target).path, headers, body))

    def _answer(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} Proxied\r\nContent-Length: {len(body)}\r\n"
        self.wfile.write(f"{head}Connection: close\r\n\r\n".encode() + body)


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    asked: list[str]
    names: dict[str, str]
    refusal: int


def _exchange(
    origin: str, method: str, path: str, headers: http.client.HTTPMessage, body: bytes
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(origin, timeout=10)
    connection.request(method, path, body, {"Content-Type": headers["Content-Type"] or ""})
    answer = connection.getresponse()
    return answer.status, answer.read()


class ForwardProxy:
    """Passes plain requests on to where it thinks that names are; refuses each CONNECT."""

    def __init__(self, names: dict[str, str], refusal: int = 403) -> None:
        """Describe it: the address of each host[:port], and the answer to CONNECT."""
        self._listener = _Listener(("127.0.0.1", 0), _Handler)
        self._listener.names = names
        self._listener.refusal = refusal
        self._listener.asked = self.asked = []
        self.url = f"http://127.0.0.1:{self._listener.server_address[1]}"

    def __enter__(self) -> Self:
        """Serve."""
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._listener.shutdown()
        self._listener.server_close()
