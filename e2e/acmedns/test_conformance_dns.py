# SPDX-License-Identifier: Apache-2.0
"""What acme-dns answers over DNS: each case holds for the stand-in and the real one."""

import time
from collections.abc import Callable

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest

from .conftest import Account, Target

A, B, C, D = ("abcd"[n] * 43 for n in range(4))
CHALLENGE = "_acme-challenge"


@pytest.fixture(scope="module")
def fresh(target: Target) -> Account:
    """Registered, never updated."""
    return target.register()


@pytest.fixture(scope="module")
def updated(target: Target) -> Account:
    """Registered, updated once with A."""
    account = target.register()
    assert target.update(account, A).status == 200
    return account


@pytest.fixture(scope="module")
def domain(fresh: Account) -> str:
    return fresh.fulldomain.partition(".")[2]


def _check_nxdomain(answer: dns.message.Message, domain: str) -> None:
    """NXDOMAIN with the SOA that makes a resolver keep it for an hour and more."""
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert answer.flags & dns.flags.AA
    assert not answer.answer and not answer.additional
    (soa,) = answer.authority
    assert (soa.rdtype, soa.name.to_text(), soa.ttl) == (dns.rdatatype.SOA, f"{domain}.", 3600)
    assert soa[0].minimum == 86400


@pytest.mark.parametrize("kind", ["TXT", "A", "AAAA", "CNAME", "SOA", "NS", "ANY"])
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_never_updated(target: Target, fresh: Account, domain: str, kind: str, tcp: bool) -> None:
    _check_nxdomain(target.query(fresh.fulldomain, kind, tcp), domain)


@pytest.mark.parametrize("kind", ["A", "AAAA", "CNAME", "SOA", "NS", "CAA", "ANY"])
def test_every_other_type_stays_denied(
    target: Target, updated: Account, domain: str, kind: str
) -> None:
    _check_nxdomain(target.query(updated.fulldomain, kind), domain)


@pytest.mark.parametrize("kind", ["TXT", "A", "CNAME"])
def test_unknown_name(target: Target, domain: str, kind: str) -> None:
    _check_nxdomain(target.query(f"nobody.{domain}", kind), domain)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_value(target: Target, updated: Account, tcp: bool) -> None:
    answer = target.query(updated.fulldomain, "TXT", tcp)
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert not answer.flags & dns.flags.RA
    (txt,) = answer.answer
    assert (txt.name.to_text(), txt.ttl) == (f"{updated.fulldomain}.", 1)
    assert [row.strings for row in txt] == [(A.encode(),)]
    assert not answer.authority and not answer.additional


def test_name_in_mixed_case(target: Target, updated: Account) -> None:
    name = updated.fulldomain.upper()
    answer = target.query(name, "TXT")
    assert answer.flags & dns.flags.AA
    assert answer.answer[0].name.to_text() == f"{name}."
    assert answer.answer[0][0].strings == (A.encode(),)


@pytest.mark.parametrize("zone", ["other.example", "example", ""])
def test_any_zone_is_answered(target: Target, updated: Account, zone: str) -> None:
    answer = target.query(f"{updated.subdomain}.{zone}", "TXT")
    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.flags & dns.flags.AA
    assert answer.answer[0][0].strings == (A.encode(),)


def test_denial_in_another_zone(target: Target, fresh: Account) -> None:
    answer = target.query(f"{fresh.subdomain}.other.example", "TXT")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert not answer.flags & dns.flags.AA
    assert not answer.authority


def test_first_label_counts(target: Target, updated: Account, domain: str) -> None:
    answer = target.query(f"{updated.subdomain}.deeper.{domain}", "TXT")
    assert answer.answer[0][0].strings == (A.encode(),)


@pytest.mark.parametrize("label", [CHALLENGE, "x"])
def test_deeper_names_are_not_answered(
    target: Target, updated: Account, domain: str, label: str
) -> None:
    _check_nxdomain(target.query(f"{label}.{updated.fulldomain}", "TXT"), domain)


def test_two_values_the_older_goes(target: Target) -> None:
    account = target.register()
    for txt, values in ((A, [A]), (B, [A, B]), (C, [B, C]), (D, [C, D])):
        assert target.update(account, txt).status == 200
        assert target.values(account) == values
        time.sleep(1.05)


def test_within_one_second_the_first_row_is_taken(target: Target) -> None:
    """Ages are whole seconds: after two writes in one, the next two hit one row."""
    for _ in range(5):
        account = target.register()
        time.sleep(-time.time() % 1)
        start = int(time.time())
        for txt in (A, B, C, D):
            assert target.update(account, txt).status == 200
        if int(time.time()) == start:
            assert target.values(account) == [B, D]
            return
    pytest.skip("four updates took more than a second each time")


def test_same_value_twice(target: Target) -> None:
    """Two rows of one value: a set of one record, or the record twice."""
    account = target.register()
    assert target.update(account, A).status == 200
    assert target.update(account, A).status == 200
    assert set(target.values(account)) == {A}


def test_accounts_are_apart(target: Target, updated: Account) -> None:
    other = target.register()
    assert target.update(other, B).status == 200
    assert (target.values(updated), target.values(other)) == ([A], [B])


@pytest.mark.parametrize("case", [str.lower, str.upper], ids=["lower", "upper"])
def test_apex_soa(target: Target, domain: str, case: Callable[[str], str]) -> None:
    answer = target.query(case(domain), "SOA")
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    (soa,) = answer.answer
    assert soa.ttl == 3600
    numbers = (soa[0].refresh, soa[0].retry, soa[0].expire, soa[0].minimum)
    assert numbers == (28800, 7200, 604800, 86400)
    assert len(str(soa[0].serial)) == 10
    assert not answer.authority


@pytest.mark.parametrize("kind", ["A", "NS"])
def test_apex_records(target: Target, domain: str, kind: str) -> None:
    answer = target.query(domain, kind)
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert [each.rdtype for each in answer.answer] == [dns.rdatatype.from_text(kind)]
    assert answer.answer[0].ttl == 3600


@pytest.mark.parametrize("kind", ["MX", "TXT", "DS", "ANY"])
def test_apex_without_such_a_record(target: Target, domain: str, kind: str) -> None:
    answer = target.query(domain, kind)
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert not answer.answer and not answer.authority


def test_own_challenge(target: Target, domain: str) -> None:
    """The name for the server's own certificate: an empty TXT, no other type, never denied."""
    answer = target.query(f"{CHALLENGE}.{domain}", "TXT")
    assert answer.answer[0][0].strings == (b"",)
    answer = target.query(f"{CHALLENGE}.{domain}", "A")
    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.answer and not answer.authority


def test_root(target: Target) -> None:
    answer = target.query(".", "NS")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert not answer.flags & dns.flags.AA


def test_class_is_not_looked_at(target: Target, updated: Account) -> None:
    answer = target.query(updated.fulldomain, "TXT", rdclass="CH")
    assert answer.rcode() == dns.rcode.NOERROR
    assert len(answer.answer) == 1


def test_edns(target: Target, updated: Account) -> None:
    answer = target.query(updated.fulldomain, "TXT", payload=1232, want_dnssec=True)
    assert (answer.edns, answer.payload, answer.ednsflags) == (0, 512, 0)
    assert answer.rcode() == dns.rcode.NOERROR
    assert target.query(updated.fulldomain, "TXT").edns == -1


def test_edns_of_the_future(target: Target, updated: Account) -> None:
    answer = target.query(updated.fulldomain, "TXT", use_edns=1)
    assert answer.rcode() == dns.rcode.BADVERS
    assert not answer.answer


@pytest.mark.parametrize(
    ("opcode", "rcode"),
    [
        (dns.opcode.STATUS, dns.rcode.NOTIMP),
        (dns.opcode.UPDATE, dns.rcode.NOTIMP),
        (dns.opcode.NOTIFY, dns.rcode.NOERROR),
    ],
)
def test_opcode(
    target: Target, domain: str, opcode: dns.opcode.Opcode, rcode: dns.rcode.Rcode
) -> None:
    question = dns.message.make_query(domain, "A")
    question.set_opcode(opcode)
    answer = target.exchange(question)
    assert answer.rcode() == rcode
    assert not answer.answer


@pytest.mark.parametrize("count", [0, 2])
def test_question_count(target: Target, domain: str, count: int) -> None:
    question = dns.message.make_query(domain, "A")
    question.question = question.question * count
    answer = target.exchange(question)
    assert answer.rcode() == dns.rcode.FORMERR
    assert not answer.question


def test_flags_are_copied(target: Target, domain: str) -> None:
    question = dns.message.make_query(domain, "A", flags=dns.flags.CD)
    answer = target.exchange(question)
    assert answer.flags == dns.flags.QR | dns.flags.AA | dns.flags.CD
