# SPDX-License-Identifier: Apache-2.0
"""What acme-dns answers to /update: each case holds for the stand-in and the real one."""

import json

import pytest

from .conftest import Account, Target

JSON = "application/json"
TXT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ_-01234"
OTHER_UUID = "2f1c9b1e-6a53-4f0e-9c53-0a6f1f0e2d11"
FORBIDDEN = b'{"error": "forbidden"}'
BAD_TXT = b'{"error": "bad_txt"}'


@pytest.fixture(scope="module")
def account(target: Target) -> Account:
    return target.register()


def test_update(target: Target) -> None:
    account = target.register()
    answer = target.update(account, TXT)
    assert (answer.status, answer.body) == (200, f'{{"txt": "{TXT}"}}'.encode())
    assert answer.headers["content-type"] == JSON
    assert target.values(account) == [TXT]


UPDATE_BODIES = {
    "names in capitals": ('{"SUBDOMAIN":"@","TXT":"%"}', 200),
    "unknown names": ('{"subdomain":"@","txt":"%","x":[]}', 200),
    "text after the value": ('{"subdomain":"@","txt":"%"} rubbish', 200),
    "null keeps the txt": ('{"subdomain":"@","txt":"%","Txt":null}', 200),
    "allowfrom of a wrong type": ('{"allowfrom":1,"subdomain":"@","txt":"%"}', 200),
    "username a number": ('{"username":1,"subdomain":"@","txt":"%"}', 200),
    "username no UUID, at the end": ('{"subdomain":"@","txt":"%","username":"x"}', 200),
    "username no UUID, in front": ('{"username":"x","subdomain":"@","txt":"%"}', 401),
    "txt missing": ('{"subdomain":"@"}', 400),
    "txt empty": ('{"subdomain":"@","txt":""}', 400),
    "txt null": ('{"subdomain":"@","txt":null}', 400),
    "txt a number": ('{"subdomain":"@","txt":1}', 400),
    "txt of 42": ('{"subdomain":"@","txt":"' + TXT[1:] + '"}', 400),
    "txt of 44": ('{"subdomain":"@","txt":"' + TXT + 'a"}', 400),
    "txt padded": ('{"subdomain":"@","txt":"' + TXT[1:] + '="}', 400),
    "txt of standard base64": ('{"subdomain":"@","txt":"' + TXT[1:] + '+"}', 400),
    "subdomain in capitals": ('{"subdomain":"^","txt":"%"}', 401),
    "subdomain missing": ('{"txt":"%"}', 401),
    "subdomain of another": ('{"subdomain":"' + OTHER_UUID + '","txt":"%"}', 401),
    "subdomain a number": ('{"subdomain":1,"txt":"%"}', 401),
    "no body": ("", 401),
    "null": ("null", 401),
    "array": ("[]", 401),
    "no JSON": ("subdomain=@&txt=%", 401),
    "cut short": ('{"subdomain":"@","txt":"%"', 401),
}


@pytest.mark.parametrize("case", UPDATE_BODIES)
def test_update_body(target: Target, account: Account, case: str) -> None:
    text, status = UPDATE_BODIES[case]
    text = text.replace("@", account.subdomain).replace("^", account.subdomain.upper())
    answer = target.call("POST", "/update", text.replace("%", TXT).encode(), account.credentials)
    wanted = {200: f'{{"txt": "{TXT}"}}'.encode(), 400: BAD_TXT, 401: FORBIDDEN}[status]
    assert (answer.status, answer.body) == (status, wanted)
    assert answer.headers["content-type"] == JSON


@pytest.mark.parametrize("txt", ["", TXT[1:]])
def test_bad_txt_writes_nothing(target: Target, txt: str) -> None:
    account = target.register()
    assert target.update(account, TXT).status == 200
    assert target.update(account, txt).status == 400
    assert target.values(account) == [TXT]


def test_probe_of_the_operator(target: Target) -> None:
    """What pkg/acmedns sends, byte for byte, and the answers by which it tells life from death."""
    live, other = target.register(), target.register()
    barred = target.register(allowfrom=["192.0.2.0/24"])
    kinds = {"Content-Type": JSON, "Accept": JSON}

    def probe(account: Account, **changed: str) -> tuple[int, bytes]:
        body = f'{{"subdomain":"{changed.pop("subdomain", account.subdomain)}","txt":""}}'
        headers = {**account.credentials, **kinds, **changed}
        answer = target.call("POST", "/update", body.encode(), headers)
        return answer.status, answer.body

    assert probe(live) == (400, BAD_TXT)
    assert probe(live, **{"X-Api-Key": other.password}) == (401, FORBIDDEN)
    assert probe(live, **{"X-Api-User": OTHER_UUID}) == (401, FORBIDDEN)
    assert probe(live, subdomain=other.subdomain) == (401, FORBIDDEN)
    assert probe(barred) == (401, FORBIDDEN)
    assert target.values(live) == target.values(other) == []


CREDENTIALS = {
    "as given": (lambda a: (a.username, a.password), 200),
    "user in capitals": (lambda a: (a.username.upper(), a.password), 200),
    "user without dashes": (lambda a: (a.username.replace("-", ""), a.password), 200),
    "user as a URN": (lambda a: (f"urn:uuid:{a.username}", a.password), 200),
    "user in braces": (lambda a: (f"{{{a.username}}}", a.password), 200),
    "user of another": (lambda a: (OTHER_UUID, a.password), 401),
    "user no UUID": (lambda a: ("nobody", a.password), 401),
    "user empty": (lambda a: ("", a.password), 401),
    "user is the subdomain": (lambda a: (a.subdomain, a.password), 401),
    "key of 40, wrong": (lambda a: (a.username, "A" * 40), 401),
    "key too short": (lambda a: (a.username, a.password[1:]), 401),
    "key too long": (lambda a: (a.username, a.password + "A"), 401),
    "key empty": (lambda a: (a.username, ""), 401),
    "key swapped": (lambda a: (a.username, a.password.swapcase()), 401),
}


@pytest.mark.parametrize("case", CREDENTIALS)
def test_credentials(target: Target, account: Account, case: str) -> None:
    spell, status = CREDENTIALS[case]
    user, key = spell(account)
    body = json.dumps({"subdomain": account.subdomain, "txt": TXT}).encode()
    answer = target.call("POST", "/update", body, {"X-Api-User": user, "X-Api-Key": key})
    assert answer.status == status
    assert status == 200 or answer.body == FORBIDDEN


@pytest.mark.parametrize("missing", ["X-Api-User", "X-Api-Key"])
def test_absent_credentials(target: Target, account: Account, missing: str) -> None:
    headers = {k: v for k, v in account.credentials.items() if k != missing}
    body = json.dumps({"subdomain": account.subdomain, "txt": TXT}).encode()
    answer = target.call("POST", "/update", body, headers)
    assert (answer.status, answer.body) == (401, FORBIDDEN)


def test_foreign_subdomain(target: Target, account: Account) -> None:
    other = target.register()
    body = json.dumps({"subdomain": other.subdomain, "txt": TXT}).encode()
    answer = target.call("POST", "/update", body, account.credentials)
    assert (answer.status, answer.body) == (401, FORBIDDEN)
    assert target.values(other) == []


def test_address_outside_allowfrom(target: Target) -> None:
    account = target.register(allowfrom=["192.0.2.0/24"])
    answer = target.update(account, TXT)
    assert (answer.status, answer.body) == (401, FORBIDDEN)
    assert target.values(account) == []


def test_address_is_checked_before_the_txt(target: Target) -> None:
    account = target.register(allowfrom=["192.0.2.0/24"])
    assert target.update(account, "").status == 401


@pytest.mark.parametrize("nets", [["0.0.0.0/0", "::/0"], ["192.0.2.0/24", "[::]/0", "0.0.0.0/0"]])
def test_address_within_allowfrom(target: Target, nets: list[str]) -> None:
    assert target.update(target.register(allowfrom=nets), TXT).status == 200


def test_own_address_in_allowfrom(target: Target) -> None:
    local = target.call("GET", "/health").local
    if not local.startswith("127."):
        pytest.skip("the server may see another address than ours")
    assert target.update(target.register(allowfrom=[f"{local}/32"]), TXT).status == 200
    assert target.update(target.register(allowfrom=[f"::ffff:{local}/128"]), TXT).status == 200
    assert target.update(target.register(allowfrom=["::/0"]), TXT).status == 401


def test_forwarded_header_is_ignored(target: Target) -> None:
    account = target.register(allowfrom=["192.0.2.0/24"])
    body = json.dumps({"subdomain": account.subdomain, "txt": TXT}).encode()
    headers = {**account.credentials, "X-Forwarded-For": "192.0.2.1"}
    assert target.call("POST", "/update", body, headers).status == 401
