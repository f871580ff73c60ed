# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the stand-in's own tests.

The conformance suite asks the server named by --acmedns-api and --acmedns-dns (or
ACMEDNS_API, ACMEDNS_DNS); without them a stand-in is started. A real acme-dns must
have registration open, ``use_header`` off, corsorigins ["*"], SQLite, and the apex
records A and NS.
"""

import http.client
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import dns.query
import pytest
from dns.message import Message, make_query

from .client import AcmeDns
from .listeners import parse_address

_TIMEOUT = 10.0


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("acme-dns")
    group.addoption("--acmedns-api", help="URL of the acme-dns API to judge")
    group.addoption("--acmedns-dns", help="host:port of its DNS server")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names in lower case, repeated ones joined."""

    status: int
    body: bytes
    headers: dict[str, str]
    local: str

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Account:
    """A registered account and the headers that prove it."""

    username: str
    password: str
    subdomain: str
    fulldomain: str

    @property
    def credentials(self) -> dict[str, str]:
        return {"X-Api-User": self.username, "X-Api-Key": self.password}


@dataclass(frozen=True)
class Target:
    """A server under test: how to ask it over HTTP and DNS."""

    url: str
    dns: str

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own; no redirect is followed."""
        url = urlsplit(self.url)
        secure = url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(url.netloc, timeout=_TIMEOUT)
        try:
            connection.connect()
            local = connection.sock.getsockname()[0]
            connection.request(method, url.path.rstrip("/") + path, body, headers or {})
            response = connection.getresponse()
            joined: dict[str, str] = {}
            for name, value in response.getheaders():
                name = name.lower()
                joined[name] = f"{joined[name]}, {value}" if name in joined else value
            return Answer(response.status, response.read(), joined, local)
        finally:
            connection.close()

    def register(self, **body: Any) -> Account:
        answer = self.call("POST", "/register", json.dumps(body).encode())
        assert answer.status == 201, answer
        fields = answer.json()
        del fields["allowfrom"]
        return Account(**fields)

    def update(self, account: Account, txt: str) -> Answer:
        body = json.dumps({"subdomain": account.subdomain, "txt": txt}).encode()
        return self.call("POST", "/update", body, account.credentials)

    def query(self, name: str, kind: str, tcp: bool = False, **options: Any) -> Message:
        question = make_query(name, kind, **options)
        return self.exchange(question, tcp)

    def exchange(self, question: Message, tcp: bool = False) -> Message:
        host, port = parse_address(self.dns)
        ask = dns.query.tcp if tcp else dns.query.udp
        return ask(question, host, timeout=_TIMEOUT, port=port)

    def values(self, account: Account) -> list[str]:
        """The TXT values that are answered for the account, sorted."""
        answer = self.query(account.fulldomain, "TXT").answer
        return sorted(part.decode() for each in answer for row in each for part in row.strings)


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The server that the conformance suite judges."""
    config = request.config
    api = config.getoption("--acmedns-api", None) or os.environ.get("ACMEDNS_API")
    dns_address = config.getoption("--acmedns-dns", None) or os.environ.get("ACMEDNS_DNS")
    if api:
        if not dns_address:
            pytest.fail("an acme-dns API was given without its DNS address")
        yield Target(api, dns_address)
        return
    with AcmeDns() as server:
        yield Target(server.url, server.dns)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[AcmeDns]:
    with AcmeDns() as server:
        yield server


@pytest.fixture
def server(shared_server: AcmeDns) -> Iterator[AcmeDns]:
    """A stand-in without faults, settings or logs of an earlier test."""
    shared_server.clear()
    yield shared_server
    shared_server.clear()
