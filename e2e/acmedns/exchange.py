# SPDX-License-Identifier: Apache-2.0
"""One JSON request over HTTP and its answer, with the standard library alone."""

import http.client
import json
import ssl
from typing import Any

_TIMEOUT = 30.0


def exchange(
    address: str,
    method: str,
    target: str,
    body: Any,
    headers: dict[str, str],
    secure: ssl.SSLContext | None = None,
) -> tuple[int, bytes]:
    payload = None if body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT)
    if secure:
        connection = http.client.HTTPSConnection(address, timeout=_TIMEOUT, context=secure)
    try:
        connection.request(method, target, payload, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
