# SPDX-License-Identifier: Apache-2.0
"""The DNS servers that other tests run against do what those tests rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dns.query
import dns.rcode
import dns.tsig
import dns.update
import dns.xfr
import dns.zone
import pytest

from e2e.acmedns.client import AcmeDns
from e2e.bind import Bind, UpdateRefused
from e2e.dns_server import Query
from e2e.process import eventually
from e2e.unbound import Unbound

OWNER = "_acme-challenge.example.test"
TOKEN = "x" * 43


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Bind]:
    """BIND as primary of two zones, one under the other, and no recursion."""
    zones = {"example.test": ["www A 192.0.2.1"], "sub.example.test": []}
    with Bind(tmp_path / "bind", zones) as bind:
        yield bind


def test_bind_takes_updates_with_its_key(bind: Bind) -> None:
    bind.update(f"add {OWNER} 60 CNAME a.auth.test", "add x.example.test 60 TXT hello")
    bind.update("add _acme-challenge.sub.example.test. 60 CNAME b.auth.test.")
    assert bind.values(OWNER, "CNAME") == ["a.auth.test."]
    assert bind.values("_acme-challenge.sub.example.test", "CNAME") == ["b.auth.test."]
    assert bind.values("x.example.test", "TXT") == ['"hello"']
    assert bind.values("www.example.test", "A") == ["192.0.2.1"]
    bind.update(f"delete {OWNER}", "delete x.example.test TXT hello", "delete www.example.test A")
    assert bind.rcode(OWNER, "CNAME") == bind.rcode("x.example.test", "TXT") == "NXDOMAIN"
    with pytest.raises(UpdateRefused, match="NOTZONE"):
        bind.update(f"add {OWNER} 60 CNAME a.auth.test", "add other.test 60 TXT hello")


def test_bind_refuses_those_without_the_key(bind: Bind) -> None:
    update = dns.update.UpdateMessage("example.test")
    update.add("x", 60, "TXT", "hello")
    answer = dns.query.udp(update, bind.address, 10, bind.port)
    assert answer.rcode() == dns.rcode.REFUSED
    transfer, _ = dns.xfr.make_query(dns.zone.Zone("example.test"))
    assert dns.query.tcp(transfer, bind.address, 10, bind.port).rcode() == dns.rcode.REFUSED


def test_bind_transfers_to_those_with_the_key(bind: Bind) -> None:
    bind.update(f"add {OWNER} 60 CNAME a.auth.test")
    zone = dns.zone.Zone("example.test")
    key = dns.tsig.Key(bind.key_name, bind.key_secret, bind.key_algorithm)
    transfer, _ = dns.xfr.make_query(zone, keyring=key)
    dns.query.inbound_xfr(bind.address, zone, transfer, bind.port, 10)
    assert zone.find_rdataset("_acme-challenge", "CNAME")


def test_bind_knows_its_zones_alone(bind: Bind) -> None:
    assert bind.rcode("other.test", "A") == "REFUSED"
    assert bind.ask("www.example.test", "A", tcp=True).answer


def test_bind_keeps_its_zones_over_a_restart(bind: Bind) -> None:
    bind.update(f"add {OWNER} 60 CNAME a.auth.test")
    bind.stop()
    bind.start()
    assert bind.values(OWNER, "CNAME") == ["a.auth.test."]


def test_bind_finds_what_is_delegated_and_soon_forgets_a_denial(
    primary: Bind, acme_dns: AcmeDns
) -> None:
    account = acme_dns.register()
    primary.update(f"add {OWNER} 60 CNAME {account['fulldomain']}")
    assert primary.rcode(OWNER, "TXT") == "NXDOMAIN"
    acme_dns.update(account, TOKEN)
    eventually(lambda: primary.values(OWNER, "TXT") == [f'"{TOKEN}"'], 2, "it is shown")
    assert primary.values(OWNER, "CNAME") == [f"{account['fulldomain']}."]
    assert primary.rcode("example.org", "A") == "NXDOMAIN"
    primary.forget_queries()
    primary.ask(OWNER.upper(), "CNAME")
    primary.ask("www.example.test", "TYPE65", tcp=True)
    assert primary.queries() == [(OWNER, "CNAME"), ("www.example.test", "HTTPS")]


def test_unbound_remembers_the_denial_of_a_target(
    resolver: Unbound, primary: Bind, acme_dns: AcmeDns
) -> None:
    account = acme_dns.register()
    primary.update(f"add {OWNER} 60 CNAME {account['fulldomain']}")
    assert resolver.values(OWNER, "CNAME") == [f"{account['fulldomain']}."]
    assert resolver.rcode(OWNER, "TXT") == "NXDOMAIN"
    acme_dns.update(account, TOKEN)
    assert resolver.rcode(OWNER, "TXT") == "NXDOMAIN"
    resolver.stop()
    resolver.start()
    assert resolver.values(OWNER, "TXT") == [f'"{TOKEN}"']
    assert resolver.queries() == [Query(OWNER, kind) for kind in ("CNAME", "TXT", "TXT", "TXT")]


def test_unbound_is_not_troubled_by_a_question_for_the_cname(
    resolver: Unbound, primary: Bind, acme_dns: AcmeDns
) -> None:
    account = acme_dns.register()
    primary.update(f"add {OWNER} 60 CNAME {account['fulldomain']}")
    assert resolver.values(OWNER, "CNAME")
    acme_dns.update(account, TOKEN)
    assert resolver.values(OWNER, "TXT") == [f'"{TOKEN}"']


def test_unbound_finds_nothing_but_its_stubs(resolver: Unbound, primary: Bind) -> None:
    assert resolver.rcode("example.org", "A") == "SERVFAIL"
    assert primary.queries() == []
