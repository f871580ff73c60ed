# SPDX-License-Identifier: Apache-2.0
"""The kinds of faults, one by one: what the client sees and what the server has done."""

import http.client
import json
import socket
import struct
import time

import pytest

from .client import AcmeDns
from .conftest import Answer, Target
from .listeners import parse_address


def _register(server: AcmeDns) -> Answer:
    return Target(server.url, server.dns).call("POST", "/register", b"{}")


def _count(server: AcmeDns) -> int:
    return len(server.accounts())


def test_times_and_skip(server: AcmeDns) -> None:
    server.fault("answer", status=503, skip=1, times=2)
    assert [_register(server).status for _ in range(4)] == [201, 503, 503, 201]
    assert [rule["hits"] for rule in server.faults()] == [2]
    assert [r["fault"] for r in server.requests()] == [None, "answer", "answer", None]


def test_path_and_method(server: AcmeDns) -> None:
    number = server.fault("answer", path="/health", method="GET", status=503)
    target = Target(server.url, server.dns)
    assert _register(server).status == 201
    assert target.call("POST", "/health").status == 405
    assert target.call("GET", "/health").status == 503
    server.unfault(number)
    assert target.call("GET", "/health").status == 200


def test_delay(server: AcmeDns) -> None:
    server.fault(delay=0.3, times=1)
    start = time.monotonic()
    assert _register(server).status == 201
    assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize("commit", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_drop(server: AcmeDns, commit: bool, reset: bool) -> None:
    before = _count(server)
    server.fault("drop", commit=commit, reset=reset, times=1)
    wanted = ConnectionResetError if reset else http.client.RemoteDisconnected
    with pytest.raises(wanted) as caught:
        _register(server)
    assert caught.type is wanted
    assert _count(server) == before + commit
    assert [r["status"] for r in server.requests()] == [201 if commit else None]


@pytest.mark.parametrize("commit", [False, True])
def test_answer(server: AcmeDns, commit: bool) -> None:
    before = _count(server)
    headers = {"Retry-After": "7"}
    server.fault(
        "answer", commit=commit, status=503, body="busy", content_type="text/html", headers=headers
    )
    answer = _register(server)
    assert (answer.status, answer.body) == (503, b"busy")
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["retry-after"] == "7"
    assert _count(server) == before + commit


@pytest.mark.parametrize("body", [{"username": 1}, [], {}])
def test_created_with_any_document(server: AcmeDns, body: object) -> None:
    server.fault("answer", status=201, body=body)
    answer = _register(server)
    assert (answer.status, answer.json()) == (201, body)
    assert answer.headers["content-type"] == "application/json"


def test_redirect_elsewhere(server: AcmeDns) -> None:
    server.fault("answer", status=302, headers={"Location": "http://192.0.2.1/register"})
    assert _register(server).headers["location"] == "http://192.0.2.1/register"


def test_mangle(server: AcmeDns) -> None:
    before = _count(server)
    server.fault("mangle", fields={"password": ""}, remove=["username"], times=1)
    answer = _register(server)
    assert answer.status == 201
    assert answer.json()["password"] == ""
    assert set(answer.json()) == {"password", "fulldomain", "subdomain", "allowfrom"}
    assert _count(server) == before + 1


def test_phantom(server: AcmeDns) -> None:
    before = _count(server)
    server.fault("phantom", times=1)
    answer = _register(server)
    assert answer.status == 201 and len(answer.json()) == 5
    assert _count(server) == before


def test_truncate(server: AcmeDns) -> None:
    before = _count(server)
    server.fault("truncate", times=1)
    with pytest.raises(http.client.IncompleteRead) as caught:
        _register(server)
    assert 0 < len(caught.value.partial) < 200
    assert _count(server) == before + 1


def test_truncate_given_body(server: AcmeDns) -> None:
    before = _count(server)
    server.fault("truncate", status=201, body="0123456789", keep=3, times=1)
    with pytest.raises(http.client.IncompleteRead) as caught:
        _register(server)
    assert (caught.value.partial, caught.value.expected) == (b"012", 7)
    assert _count(server) == before


@pytest.mark.parametrize("chunked", [False, True])
def test_huge(server: AcmeDns, chunked: bool) -> None:
    server.fault("huge", status=201, bytes=3_000_001, chunked=chunked, filler="ab")
    answer = _register(server)
    assert (answer.status, len(answer.body)) == (201, 3_000_001)
    assert ("content-length" in answer.headers) is not chunked


def test_huge_is_given_up_by_the_client(server: AcmeDns) -> None:
    server.fault("huge", bytes=1 << 40, times=1)
    with socket.create_connection(parse_address(server.apis[0])) as client:
        client.sendall(b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert client.recv(1000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert _register(server).status == 201


def test_drip(server: AcmeDns) -> None:
    server.fault("drip", status=201, body="0123456789", interval=0.05, times=1)
    start = time.monotonic()
    answer = _register(server)
    assert answer.body == b"0123456789"
    assert time.monotonic() - start >= 0.45


def test_drip_of_the_true_answer(server: AcmeDns) -> None:
    before = _count(server)
    server.fault("drip", interval=0, times=1)
    assert len(json.loads(_register(server).body)) == 5
    assert _count(server) == before + 1


@pytest.mark.parametrize("commit", [False, True])
def test_silent(server: AcmeDns, commit: bool) -> None:
    before = _count(server)
    server.fault("silent", commit=commit)
    connection = http.client.HTTPConnection(server.apis[0], timeout=0.4)
    connection.request("POST", "/register")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert _count(server) == before + commit


def test_silence_ends_with_its_rule(server: AcmeDns) -> None:
    server.fault("silent")
    connection = http.client.HTTPConnection(server.apis[0], timeout=5)
    connection.request("POST", "/register")
    server.wait_requests()
    server.unfault()
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()


def test_raw(server: AcmeDns) -> None:
    server.fault("raw", body="SSH-2.0-OpenSSH\r\n", times=1)
    with pytest.raises(http.client.BadStatusLine, match="SSH"):
        _register(server)


def test_raw_and_held(server: AcmeDns) -> None:
    server.fault("raw", body="HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{", hold=True)
    connection = http.client.HTTPConnection(server.apis[0], timeout=0.3)
    connection.request("POST", "/register")
    answer = connection.getresponse()
    assert (answer.status, answer.read(1)) == (201, b"{")
    with pytest.raises(TimeoutError):
        answer.read(1)
    connection.close()


def test_others_are_served_meanwhile(server: AcmeDns) -> None:
    server.fault("silent", times=1)
    connection = http.client.HTTPConnection(server.apis[0], timeout=5)
    connection.request("POST", "/register")
    server.wait_requests()
    assert _register(server).status == 201
    connection.close()
