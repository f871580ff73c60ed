# SPDX-License-Identifier: Apache-2.0
"""An answer as a value, and its way onto the wire.

Imitates the header set of a Go server: Date and Content-Length, a Content-Type only
where the handler sets one, no Server header.
"""

import socket
import struct
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDict

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass
class Reply:
    """A status, its headers and the body."""

    status: int
    body: bytes = b""
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)


def json_reply(status: int, body: str) -> Reply:
    return Reply(status, body.encode(), CIMultiDict({"Content-Type": JSON}))


def json_error(status: int, message: str) -> Reply:
    """As acme-dns writes it: a blank after the colon, the message not escaped."""
    return json_reply(status, f'{{"error": "{message}"}}')


def text_error(status: int, message: str) -> Reply:
    """Go's http.Error."""
    headers = CIMultiDict({"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"})
    return Reply(status, f"{message}\n".encode(), headers)


def html_reply(status: int, title: str, **headers: str) -> Reply:
    """An error page in the manner of a reverse proxy."""
    page = f"<html><head><title>{status} {title}</title></head><body>{title}</body></html>\r\n"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, page.encode(), CIMultiDict({"Content-Type": HTML, **named}))


async def trim_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Before the headers go out: nothing that a Go server would not send."""
    response.headers.popall("Server", None)
    if response.content_type == "application/octet-stream":
        response.headers.popall("Content-Type", None)


def open_response(reply: Reply, length: int | None) -> web.StreamResponse:
    """The head of an answer; a length of None means chunks."""
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    if length is None:
        response.enable_chunked_encoding()
    else:
        response.content_length = length
    return response


async def send(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.Response(status=reply.status, headers=reply.headers, body=reply.body)
    await response.prepare(request)
    await response.write_eof()
    return response


def hang_up(request: web.Request, reset: bool = False) -> web.StreamResponse:
    """Close the connection (by RST if asked); the response returned goes nowhere."""
    transport = request.transport
    if transport is not None:
        if reset:
            linger = struct.pack("ii", 1, 0)
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()
        else:
            transport.close()
    return web.Response()
