# SPDX-License-Identifier: Apache-2.0
"""The reverse proxy that people put in front of acme-dns.

Imitates, when configured: a secret path prefix (only what is below it reaches
acme-dns, which sees it without the prefix and so answers redirects without it), HTTP
basic authentication and required headers in front of /register alone. Its own errors
are HTML pages, as those of nginx are.
"""

import base64
import hmac
from collections.abc import Mapping

from .reply import Reply, html_reply
from .state import Settings


def strip_prefix(target: str, settings: Settings) -> str | None:
    """The target that acme-dns sees; None outside the prefix."""
    prefix = settings.prefix.rstrip("/")
    if not prefix:
        return target
    return target[len(prefix) :] if target.startswith(prefix + "/") else None


def not_found() -> Reply:
    return html_reply(404, "Not Found")


def refuse(target: str, headers: Mapping[str, str], settings: Settings) -> Reply | None:
    """The proxy's refusal of a registration, or None."""
    if target.partition("?")[0] != "/register":
        return None
    if settings.basic_auth is not None and not _authorized(headers, settings.basic_auth):
        challenge = 'Basic realm="acme-dns"'
        return html_reply(401, "Authorization Required", WWW_Authenticate=challenge)
    for name, value in settings.required_headers.items():
        if not hmac.compare_digest(headers.get(name, "").encode(), value.encode()):
            return html_reply(403, "Forbidden")
    return None


def _authorized(headers: Mapping[str, str], wanted: str) -> bool:
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    expected = base64.b64encode(wanted.encode())
    return scheme.lower() == "basic" and hmac.compare_digest(given.strip().encode(), expected)
