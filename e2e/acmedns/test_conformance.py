# SPDX-License-Identifier: Apache-2.0
"""What acme-dns answers over HTTP, but for /update.

Each case holds for the stand-in and the real one: only what a server with the
configuration of conftest.py can show. The rest (a disabled registration, a failing
database, use_header) is in test_faults.py.
"""

import json
import re

import pytest

from .conftest import Target

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
OTHER_UUID = "2f1c9b1e-6a53-4f0e-9c53-0a6f1f0e2d11"
MALFORMED = b'{"error": "malformed_json_payload"}'
BAD_CIDR = b'{"error": "invalid_allowfrom_cidr"}'
UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
CREATED = re.compile(
    rf'{{"username":"(?P<user>{UUID4})","password":"(?P<key>[A-Za-z0-9_-]{{40}})",'
    rf'"fulldomain":"(?P<full>{UUID4}\.[a-z0-9.-]*[a-z0-9])",'
    rf'"subdomain":"(?P<sub>{UUID4})","allowfrom":(?P<allow>\[.*\])}}'
)

ACCEPTED = {
    "no body": (None, []),
    "empty body": (b"", []),
    "empty object": (b"{}", []),
    "null": (b"null", []),
    "space around": (b" {} \r\n\t", []),
    "allowfrom null": (b'{"allowfrom":null}', []),
    "allowfrom empty": (b'{"allowfrom":[]}', []),
    "host bits, brackets": (
        b'{"allowfrom":["10.0.0.1/8","[::1]/128"]}',
        ["10.0.0.1/8", "::1/128"],
    ),
    "spelling kept": (b'{"allowfrom":["2001:DB8::/032"]}', ["2001:DB8::/032"]),
    "v4 in v6": (b'{"allowfrom":["::ffff:10.0.0.1/104"]}', ["::ffff:10.0.0.1/104"]),
    "upper-case name": (b'{"ALLOWFROM":["10.0.0.0/8"]}', ["10.0.0.0/8"]),
    "mixed-case name": (b'{"AllowFrom":["10.0.0.0/8"]}', ["10.0.0.0/8"]),
    "last duplicate": (b'{"allowfrom":["1.0.0.0/8"],"Allowfrom":["2.0.0.0/8"]}', ["2.0.0.0/8"]),
    "null after list": (b'{"allowfrom":["1.0.0.0/8"],"allowfrom":null}', []),
    "unknown names": (b'{"foo":{"bar":[1e999]},"fulldomain":1,"value":2}', []),
    "ignored fields": (b'{"password":"x","subdomain":"mine","txt":"y"}', []),
    "null fields": (b'{"password":null,"subdomain":null,"txt":null,"username":null}', []),
    "a UUID as username": (f'{{"username":"{OTHER_UUID}"}}'.encode(), []),
    "a URN as username": (f'{{"username":"urn:uuid:{OTHER_UUID}"}}'.encode(), []),
    "bytes that are no UTF-8": (b'{"a":"\xff"}', []),
}

REFUSED = {
    "array": (b"[]", MALFORMED),
    "string": (b'"x"', MALFORMED),
    "number": (b"1", MALFORMED),
    "true": (b"true", MALFORMED),
    "cut short": (b"{", MALFORMED),
    "lone space": (b" ", MALFORMED),
    "trailing comma": (b'{"a":1,}', MALFORMED),
    "text after": (b"{} x", MALFORMED),
    "two values": (b"{}{}", MALFORMED),
    "BOM": (b"\xef\xbb\xbf{}", MALFORMED),
    "NaN": (b'{"a":NaN}', MALFORMED),
    "leading zero": (b'{"a":01}', MALFORMED),
    "control character": (b'{"a":"\x01"}', MALFORMED),
    "allowfrom a string": (b'{"allowfrom":"10.0.0.0/8"}', MALFORMED),
    "allowfrom an object": (b'{"allowfrom":{}}', MALFORMED),
    "allowfrom of numbers": (b'{"allowfrom":[1]}', MALFORMED),
    "username no UUID": (b'{"username":"x"}', MALFORMED),
    "username empty": (b'{"username":""}', MALFORMED),
    "username a number": (b'{"Username":1}', MALFORMED),
    "subdomain a number": (b'{"subdomain":1}', MALFORMED),
    "txt a list": (b'{"TXT":[]}', MALFORMED),
    "no mask": (b'{"allowfrom":["10.0.0.1"]}', BAD_CIDR),
    "empty entry": (b'{"allowfrom":[""]}', BAD_CIDR),
    "null entry": (b'{"allowfrom":[null]}', BAD_CIDR),
    "mask too long": (b'{"allowfrom":["10.0.0.0/33"]}', BAD_CIDR),
    "v6 mask too long": (b'{"allowfrom":["::/129"]}', BAD_CIDR),
    "dotted mask": (b'{"allowfrom":["10.0.0.0/255.0.0.0"]}', BAD_CIDR),
    "leading zero in address": (b'{"allowfrom":["010.0.0.0/8"]}', BAD_CIDR),
    "zone": (b'{"allowfrom":["fe80::1%eth0/64"]}', BAD_CIDR),
    "space": (b'{"allowfrom":[" 10.0.0.0/8"]}', BAD_CIDR),
    "one bad of two": (b'{"allowfrom":["10.0.0.0/8","x/8"]}', BAD_CIDR),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_register(target: Target, case: str) -> None:
    body, allowfrom = ACCEPTED[case]
    answer = target.call("POST", "/register", body)
    assert (answer.status, answer.headers["content-type"]) == (201, JSON)
    assert answer.headers["content-length"] == str(len(answer.body))
    match = CREATED.fullmatch(answer.body.decode())
    assert match, answer.body
    assert json.loads(match["allow"]) == allowfrom
    assert match["full"].startswith(match["sub"] + ".") and match["user"] != match["sub"]


@pytest.mark.parametrize("case", REFUSED)
def test_register_refuses(target: Target, case: str) -> None:
    body, error = REFUSED[case]
    answer = target.call("POST", "/register", body)
    assert (answer.status, answer.body) == (400, error)
    assert answer.headers["content-type"] == JSON


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "nonsense"])
def test_register_looks_at_no_content_type(target: Target, kind: str) -> None:
    body = b'{"allowfrom":["10.0.0.0/8"]}'
    answer = target.call("POST", "/register", body, {"Content-Type": kind})
    assert (answer.status, answer.json()["allowfrom"]) == (201, ["10.0.0.0/8"])


def test_each_registration_is_a_new_account(target: Target) -> None:
    accounts = [target.register() for _ in range(3)]
    assert len({a.username for a in accounts} | {a.subdomain for a in accounts}) == 6
    assert len({a.password for a in accounts}) == 3


WRONG_METHOD = {
    ("GET", "/register"): "OPTIONS, POST",
    ("PUT", "/register"): "OPTIONS, POST",
    ("DELETE", "/register"): "OPTIONS, POST",
    ("GET", "/update"): "OPTIONS, POST",
    ("POST", "/health"): "GET, OPTIONS",
}


@pytest.mark.parametrize(("method", "path"), WRONG_METHOD)
def test_wrong_method(target: Target, method: str, path: str) -> None:
    answer = target.call(method, path)
    assert (answer.status, answer.body) == (405, b"Method Not Allowed\n")
    assert answer.headers["allow"] == WRONG_METHOD[method, path]
    assert answer.headers["content-type"] == TEXT
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/register/", "/register"),
        ("//register", "/register"),
        ("//register?a=b", "/register?a=b"),
        ("/Register", "/register"),
        ("/update/", "/update"),
    ],
)
def test_redirect(target: Target, path: str, location: str) -> None:
    answer = target.call("POST", path, b"{}")
    assert (answer.status, answer.body) == (307, b"")
    assert answer.headers["location"].endswith(location)
    assert "content-type" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", "/"), ("GET", "/nope"), ("POST", "/nope"), ("GET", "/register/")],
)
def test_unknown_path(target: Target, method: str, path: str) -> None:
    answer = target.call(method, path)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")
    assert answer.headers["content-type"] == TEXT
    assert "allow" not in answer.headers


def test_health(target: Target) -> None:
    answer = target.call("GET", "/health")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == "0"
    assert "content-type" not in answer.headers


def test_plain_options(target: Target) -> None:
    answer = target.call("OPTIONS", "/register")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["allow"] == "OPTIONS, POST"


def test_preflight(target: Target) -> None:
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    answer = target.call("OPTIONS", "/register", None, headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "POST"


def test_preflight_of_another_method(target: Target) -> None:
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    answer = target.call("OPTIONS", "/register", None, headers)
    assert answer.status == 204
    assert "access-control-allow-origin" not in answer.headers


def test_origin_is_answered(target: Target) -> None:
    answer = target.call("GET", "/health", None, {"Origin": "https://a.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["vary"] == "Origin"
