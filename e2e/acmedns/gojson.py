# SPDX-License-Identifier: Apache-2.0
"""Decoding of JSON as a Go server does it, for the one structure acme-dns reads.

Imitates encoding/json filling acme-dns' account structure: names are matched
whatever their case (the Kelvin sign and the long s included), unknown names are
skipped, null leaves a field alone (and empties a list), a value of the wrong type
is remembered as an error while the rest is still filled in, and a user name that
is no UUID ends the filling on the spot. What was filled before an error stays, so
/update goes on with it.

Left out: Go accepts 10,000 levels of nesting, this stops at Python's recursion
limit and calls the rest malformed.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from .syntax import parse_uuid

_FOLD = {0x17F: "s", 0x212A: "k"}
_SPACE = " \t\r\n"


class Malformed(ValueError):
    """The text is not JSON, or does not fit the structure."""


class _Members(list[tuple[str, Any]]):
    """The members of an object in the order of the text, duplicates kept."""


@dataclass
class Payload:
    """What a request body set; ``error`` tells that some value did not fit."""

    subdomain: str = ""
    txt: str = ""
    password: str = ""
    allowfrom: list[str] = field(default_factory=list)
    error: bool = False


def decode_document(body: bytes) -> Payload:
    """The whole body is one JSON value, as json.Unmarshal wants it."""
    value, rest = _first_value(body)
    if rest.strip(_SPACE):
        raise Malformed("text after the value")
    payload = _fill(value)
    if payload.error:
        raise Malformed("a value does not fit")
    return payload


def decode_stream(body: bytes) -> Payload:
    """The first JSON value counts and errors stay local, as with json.Decoder."""
    try:
        value, _ = _first_value(body)
    except Malformed:
        return Payload(error=True)
    return _fill(value)


def _refuse_constant(name: str) -> None:
    raise Malformed(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_Members, parse_constant=_refuse_constant)


def _first_value(body: bytes) -> tuple[Any, str]:
    text = body.decode("utf-8", errors="replace").lstrip(_SPACE)
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as err:
        raise Malformed(str(err)) from err
    return value, text[end:]


def _fill(value: Any) -> Payload:
    payload = Payload()
    if value is None:
        return payload
    if not isinstance(value, _Members):
        payload.error = True
        return payload
    for name, item in value:
        if not _set(payload, name.translate(_FOLD).lower(), item):
            break
    return payload


def _set(payload: Payload, name: str, item: Any) -> bool:
    """Set one field; False ends the filling."""
    if name == "username":
        return _check_username(payload, item)
    if name == "allowfrom":
        _set_list(payload, item)
    elif name in ("subdomain", "txt", "password"):
        if isinstance(item, str):
            setattr(payload, name, item)
        elif item is not None:
            payload.error = True
    return True


def _check_username(payload: Payload, item: Any) -> bool:
    if isinstance(item, str):
        if parse_uuid(item) is None:
            payload.error = True
            return False
    elif item is not None:
        payload.error = True
    return True


def _set_list(payload: Payload, item: Any) -> None:
    if item is None:
        payload.allowfrom = []
        return
    if not isinstance(item, list) or isinstance(item, _Members):
        payload.error = True
        return
    before = payload.allowfrom
    filled = [_element(payload, each, before, place) for place, each in enumerate(item)]
    payload.allowfrom = filled


def _element(payload: Payload, item: Any, before: list[str], place: int) -> str:
    """null leaves what an earlier duplicate of the list put at this place."""
    if isinstance(item, str):
        return item
    if item is not None:
        payload.error = True
    return before[place] if place < len(before) else ""
