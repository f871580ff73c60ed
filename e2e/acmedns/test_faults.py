# SPDX-License-Identifier: Apache-2.0
"""The stand-in's own side: control API, faults, what a real acme-dns shows only when
configured otherwise (a disabled registration, a failing database, use_header, TLS).
"""

import http.client
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from .client import AcmeDns
from .conftest import Account, Answer, Target
from .listeners import parse_address

TXT = "x" * 43


def _target(server: AcmeDns) -> Target:
    return Target(server.url, server.dns)


def _register(server: AcmeDns, headers: dict[str, str] | None = None) -> Answer:
    return _target(server).call("POST", "/register", b"{}", headers)


def _account(fields: dict) -> Account:
    return Account(**{k: v for k, v in fields.items() if k != "allowfrom"})


def _eventually(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- what acme-dns does when configured or failing


def test_registration_disabled(server: AcmeDns) -> None:
    server.settings(registration_disabled=True)
    for method, path in (("POST", "/register"), ("GET", "/register"), ("POST", "/register/")):
        answer = _target(server).call(method, path)
        assert (answer.status, answer.body) == (404, b"404 page not found\n")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert _target(server).call("GET", "/health").status == 200


@pytest.mark.parametrize("text", ["database or disk is full", 'near "x": syntax error'])
def test_database_failure(server: AcmeDns, text: str) -> None:
    account, before = _account(server.register()), len(server.accounts())
    server.settings(database_failure=text)
    answer = _register(server)
    assert (answer.status, answer.body) == (500, f'{{"error": "{text}"}}'.encode())
    assert answer.headers["content-type"] == "application/json"
    answer = _target(server).update(account, TXT)
    assert (answer.status, answer.body) == (500, b'{"error": "db_error"}')
    assert _target(server).update(account, "").status == 400
    assert _target(server).call("GET", "/health").status == 200
    assert len(server.accounts()) == before


def test_unreadable_database_looks_like_dead_credentials(server: AcmeDns) -> None:
    account = _account(server.register())
    server.settings(database_failure="connection refused", database_reads_fail=True)
    answer = _target(server).update(account, "")
    assert (answer.status, answer.body) == (401, b'{"error": "forbidden"}')


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("192.0.2.1", 200),
        ("198.51.100.1, 192.0.2.1", 200),
        ("192.0.2.1,,198.51.100.1", 200),
        ("198.51.100.1", 401),
        ("nonsense", 401),
        ("", 401),
        (None, 401),
    ],
)
def test_use_header(server: AcmeDns, value: str | None, status: int) -> None:
    server.settings(use_header=True)
    account = _account(server.register(["192.0.2.0/24"]))
    headers = {} if value is None else {"X-Forwarded-For": value}
    body = json.dumps({"subdomain": account.subdomain, "txt": TXT}).encode()
    answer = _target(server).call("POST", "/update", body, {**headers, **account.credentials})
    assert answer.status == status


def test_basic_auth_in_front(server: AcmeDns) -> None:
    server.settings(basic_auth="user:pa:ss")
    answer = _register(server)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="acme-dns"'
    assert answer.headers["content-type"].startswith("text/html")
    assert _register(server, {"Authorization": "Basic dXNlcjp3cm9uZw=="}).status == 401
    assert _register(server, {"Authorization": "Basic dXNlcjpwYTpzcw=="}).status == 201
    assert _target(server).update(_account(server.register()), TXT).status == 200


def test_required_headers_in_front(server: AcmeDns) -> None:
    server.settings(required_headers={"X-Token": "s3cret"})
    assert _register(server).status == 403
    assert _register(server, {"x-token": "s3cret"}).status == 201
    assert server.register()["subdomain"]


def test_secret_prefix(server: AcmeDns) -> None:
    server.settings(prefix="/s3cret/")
    assert _register(server).status == 404
    assert _register(server).headers["content-type"].startswith("text/html")
    answer = _target(server).call("POST", "/s3cret/register")
    assert answer.status == 201
    answer = _target(server).call("POST", "/s3cret/register/")
    assert (answer.status, answer.headers["location"]) == (307, "/register")
    assert server.register()["subdomain"]


# --- the control API


def test_accounts(server: AcmeDns) -> None:
    first, second = server.register(["10.0.0.1/8"]), server.register()
    listed = server.accounts()[-2:]
    assert [a["subdomain"] for a in listed] == [first["subdomain"], second["subdomain"]]
    assert listed[0]["seq"] + 1 == listed[1]["seq"]
    assert listed[0]["allowfrom"] == ["10.0.0.1/8"]
    assert listed[0]["fulldomain"] == first["fulldomain"]
    assert not any("pass" in name or "digest" in name for name in listed[0])
    server.forget(first["subdomain"])
    assert _target(server).update(_account(first), "").status == 401
    assert _target(server).update(_account(second), "").status == 400


def test_logs(server: AcmeDns) -> None:
    account = _account(server.register())
    _target(server).update(account, TXT)
    _target(server).update(account, "")
    _target(server).call("GET", "/register?x=y")
    _target(server).query(account.fulldomain, "CNAME", tcp=True)
    assert [r["status"] for r in server.requests("/register")] == [201, 405]
    (post,) = server.requests("/register", method="POST")
    assert post["peer"] == "127.0.0.1" and post["port"] > 0 and post["body"] == "{}"
    assert server.requests("/update")[0]["headers"]["X-Api-Key"] == "(hidden)"
    assert [(u["txt"], u["status"]) for u in server.updates()] == [(TXT, 200), ("", 400)]
    (query,) = server.queries()
    assert (query["name"], query["type"]) == (f"{account.fulldomain}.", "CNAME")
    assert (query["rcode"], query["transport"]) == ("NXDOMAIN", "tcp")
    server.clear()
    assert server.requests() == server.updates() == server.queries() == []


def test_clear_keeps_accounts(server: AcmeDns) -> None:
    subdomain = server.register()["subdomain"]
    server.fault("drop", path="*")
    server.settings(registration_disabled=True, bcrypt_cost=5)
    server.hold()
    server.clear()
    assert server.faults() == []
    assert server.settings()["bcrypt_cost"] == 4
    assert _register(server).status == 201
    assert subdomain in [a["subdomain"] for a in server.accounts()]


@pytest.mark.parametrize(
    "bad", [{"domain": "x"}, {"nope": 1}, {"bcrypt_cost": "4"}, {"database_failure": 1}]
)
def test_bad_setting_is_refused(server: AcmeDns, bad: dict) -> None:
    with pytest.raises(RuntimeError, match="400"):
        server.settings(**bad)


@pytest.mark.parametrize("bad", [{"kind": "nope"}, {"kind": "drop", "tmies": 1}])
def test_bad_fault_is_refused(server: AcmeDns, bad: dict) -> None:
    with pytest.raises(RuntimeError, match="400"):
        server.fault(**bad)


def test_hold_before(server: AcmeDns) -> None:
    server.hold()
    before = len(server.accounts())
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(_register, server) for _ in range(3)]
        server.wait_held(3)
        assert len(server.accounts()) == before
        server.release()
        assert [each.result().status for each in held] == [201] * 3
    assert (server.held(), len(server.accounts())) == (0, before + 3)


def test_hold_after(server: AcmeDns) -> None:
    server.hold("after")
    before = len(server.accounts())
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(_register, server)
        server.wait_held()
        assert len(server.accounts()) == before + 1
        server.release()
        assert held.result().status == 201


def test_hold_and_discard(server: AcmeDns) -> None:
    server.hold()
    before = len(server.accounts())
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(_register, server)
        server.wait_held()
        server.release(discard=True)
        with pytest.raises(ConnectionError):
            held.result()
    assert len(server.accounts()) == before
    assert _register(server).status == 201


def test_a_client_that_leaves_is_served_all_the_same(server: AcmeDns) -> None:
    """As in a Go server, whose handler goes on without its client."""
    server.hold()
    before = len(server.accounts())
    with socket.create_connection(parse_address(server.apis[0])) as client:
        client.sendall(b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        server.wait_held()
    server.release()
    _eventually(lambda: len(server.accounts()) == before + 1)


def test_silent_host(server: AcmeDns) -> None:
    address = server.silent_host("127.0.0.3:0")
    connection = http.client.HTTPConnection(address, timeout=0.3)
    connection.request("POST", "/register")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert server.silent_hosts() == [{"address": address, "accepted": 1}]
    server.clear()
    assert server.silent_hosts() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(parse_address(address))
