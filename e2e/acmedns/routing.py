# SPDX-License-Identifier: Apache-2.0
"""Which handler a request goes to, and the answers given without one.

Imitates julienschmidt/httprouter (a redirect for a path that would match without its
trailing slash, its double slashes or its capitals; 405 with Allow; OPTIONS) and
rs/cors with any origin, GET and POST. A preflight is answered 204 before routing;
a plain OPTIONS is answered 200 by the router.

Left out: rs/cors' own list of origins, encodings in Location.
"""

import posixpath
from collections.abc import Mapping
from urllib.parse import unquote

from multidict import CIMultiDict

from .reply import HTML, Reply, text_error

Routes = Mapping[str, str]  # path -> the one method it takes
_CORS_METHODS = ("GET", "POST", "OPTIONS")
_CORS_HEADERS = ("Origin", "Accept", "Content-Type", "X-Requested-With")


def answer_without_handler(method: str, target: str, routes: Routes) -> Reply | None:
    """None where a handler exists for the request."""
    raw, _, query = target.partition("?")
    path = unquote(raw)
    if routes.get(path) == method:
        return None
    if method in routes.values():
        better = _fixed_path(path, method, routes)
        if better:
            return _redirect(method, f"{better}?{query}" if query else better)
    if path in routes:
        return _other_method(method, routes[path])
    return text_error(404, "404 page not found")


def _fixed_path(path: str, method: str, routes: Routes) -> str | None:
    cleaned = posixpath.normpath("/" + path.lstrip("/")).lower()
    return cleaned if path != "/" and routes.get(cleaned) == method else None


def _redirect(method: str, location: str) -> Reply:
    if method != "GET":
        return Reply(307, b"", CIMultiDict({"Location": location}))
    page = f'<a href="{location}">Moved Permanently</a>.\n\n'
    return Reply(301, page.encode(), CIMultiDict({"Content-Type": HTML, "Location": location}))


def _other_method(method: str, allowed: str) -> Reply:
    allow = ", ".join(sorted({allowed, "OPTIONS"}))
    reply = Reply(200) if method == "OPTIONS" else text_error(405, "Method Not Allowed")
    reply.headers["Allow"] = allow
    return reply


def answer_preflight(method: str, headers: Mapping[str, str]) -> Reply | None:
    """The answer to a CORS preflight; None if the request is not one."""
    wanted = headers.get("Access-Control-Request-Method", "").upper()
    if method != "OPTIONS" or not wanted:
        return None
    reply = Reply(204)
    for name in ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"):
        reply.headers.add("Vary", name)
    asked = [
        name.strip().title()
        for name in headers.get("Access-Control-Request-Headers", "").split(",")
        if name.strip()
    ]
    if "Origin" in headers and wanted in _CORS_METHODS and set(asked) <= set(_CORS_HEADERS):
        reply.headers["Access-Control-Allow-Origin"] = "*"
        reply.headers["Access-Control-Allow-Methods"] = wanted
        if asked:
            reply.headers["Access-Control-Allow-Headers"] = ", ".join(asked)
    return reply


def add_cors(reply: Reply, method: str, headers: Mapping[str, str]) -> Reply:
    """What rs/cors adds to every other answer."""
    reply.headers.add("Vary", "Origin")
    if "Origin" in headers and method in _CORS_METHODS:
        reply.headers["Access-Control-Allow-Origin"] = "*"
    return reply
