# SPDX-License-Identifier: Apache-2.0
"""Names requests to the API server as its audit log does."""

from __future__ import annotations

from collections.abc import Mapping

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}


def describe(method: str, path: str, query: Mapping[str, str]) -> str:
    """Return "verb resource" of a request, with the subresource behind a slash."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if len(parts) > 2 and parts[0] == "namespaces":
        parts = parts[2:]
    verb = _VERBS[method]
    if verb == "get" and len(parts) == 1:
        verb = "watch" if "watch" in query else "list"
    return f"{verb} {'/'.join([*parts[:1], *parts[2:]])}"
