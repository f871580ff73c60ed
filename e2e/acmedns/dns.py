# SPDX-License-Identifier: Apache-2.0
"""The DNS server, on UDP and TCP.

Imitates acme-dns over miekg/dns: static records and a synthetic SOA (TTL 3600,
minimum 86400); TXT values by the first label, lower-cased, whatever zone follows
(without AA outside our own); NXDOMAIN for a name never updated and for every other
type; the SOA in the authority section of an authoritative NXDOMAIN only; the empty
TXT at _acme-challenge.<domain>; the class of a question is not looked at; EDNS with a
payload of 512, BADVERS above version 0; NOTIMP and FORMERR as bare headers.

Left out: truncation (no answer comes near 512 bytes), acme-dns' own ACME challenge.
"""

import asyncio
import re
import struct
import time

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from .state import World
from .store import DatabaseError

_HEADER = struct.Struct("!HHHHHH")
_NOT_IN_LABEL = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)
_TTL = 3600
_PAYLOAD = 512
Peer = tuple[str, int]


class Zone:
    """The static part: configured records and the SOA made up at start."""

    def __init__(self, domain: str, records: list[str]) -> None:
        self.apex = dns.name.from_text(domain.lower())
        serial = time.strftime("%Y%m%d%H")
        soa = f"{self.apex} SOA {self.apex} admin.{self.apex} {serial} 28800 7200 604800 86400"
        lines = records or [f"{self.apex} A 127.0.0.1", f"{self.apex} NS {self.apex}"]
        # the server lower-cases the records as a whole, values included
        self._sets = [_record(line.lower()) for line in [*lines, soa]]
        self._names = {each.name for each in self._sets}
        self.soa = next(each for each in self._sets if each.rdtype == dns.rdatatype.SOA)

    def has(self, name: dns.name.Name) -> bool:
        return name in self._names

    def contains(self, name: dns.name.Name) -> bool:
        """Is one of our names this one, or above it?"""
        return any(name.is_subdomain(each) for each in self._names)

    def is_own_challenge(self, name: dns.name.Name) -> bool:
        return name.labels[1:] == self.apex.labels and name.labels[0] == b"_acme-challenge"

    def records(self, name: dns.name.Name, kind: int) -> list[dns.rrset.RRset]:
        at_name = [each for each in self._sets if each.name == name]
        return [each for each in at_name if each.rdtype == kind] or [
            each for each in at_name if each.rdtype == dns.rdatatype.CNAME
        ]


class Responder:
    """Query in, answer out, as bytes."""

    def __init__(self, world: World, zone: Zone) -> None:
        self._world = world
        self._zone = zone

    def respond(self, wire: bytes, peer: Peer, transport: str) -> bytes | None:
        """None where there is nothing to answer."""
        if len(wire) < _HEADER.size:
            return None
        number, flags, questions, answers, authorities, additional = _HEADER.unpack_from(wire)
        opcode = dns.opcode.from_flags(flags)
        if flags & dns.flags.QR:
            return None
        if opcode not in (dns.opcode.QUERY, dns.opcode.NOTIFY):
            return _bare(number, flags, dns.rcode.NOTIMP)
        if questions != 1 or answers > 1 or authorities > 1 or additional > 2:
            return _bare(number, flags, dns.rcode.FORMERR)
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return _bare(number, flags, dns.rcode.FORMERR)
        reply = self._reply(query)
        self._note(query, reply, peer, transport)
        return reply.to_wire()

    def _reply(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.Message(id=query.id)
        reply.flags = dns.flags.QR
        reply.set_opcode(query.opcode())
        reply.question = list(query.question)
        if query.edns >= 0:
            reply.use_edns(0, payload=_PAYLOAD)
        if query.opcode() == dns.opcode.QUERY:
            reply.flags |= query.flags & (dns.flags.RD | dns.flags.CD)
            if query.edns > 0:
                reply.set_rcode(dns.rcode.BADVERS)
            else:
                self._fill(reply, query.question[0])
        return reply

    def _fill(self, reply: dns.message.Message, question: dns.rrset.RRset) -> None:
        lowered = dns.name.from_text(question.name.to_text().lower())
        zone = self._zone
        reply.answer = zone.records(lowered, question.rdtype)
        if question.rdtype == dns.rdatatype.TXT:
            reply.answer = reply.answer + self._dynamic(question.name, lowered)
        if zone.contains(lowered):
            reply.flags |= dns.flags.AA
        if reply.answer or zone.has(lowered) or zone.is_own_challenge(lowered):
            return
        reply.set_rcode(dns.rcode.NXDOMAIN)
        if reply.flags & dns.flags.AA:
            reply.authority = [zone.soa]

    def _dynamic(self, name: dns.name.Name, lowered: dns.name.Name) -> list[dns.rrset.RRset]:
        """TXT values by the first label, under the name as it was asked."""
        values = [""] if self._zone.is_own_challenge(lowered) else self._values(lowered)
        texts = [f'"{value}"' for value in values]
        return [dns.rrset.from_text(name, 1, "IN", "TXT", *texts)] if texts else []

    def _values(self, lowered: dns.name.Name) -> list[str]:
        first = lowered.labels[0].decode("latin-1").partition(".")[0]
        try:
            return self._world.store.values(_NOT_IN_LABEL.sub("", first))
        except DatabaseError:
            return []

    def _note(
        self, query: dns.message.Message, reply: dns.message.Message, peer: Peer, transport: str
    ) -> None:
        question = query.question[0]
        self._world.journal.query(
            name=question.name.to_text(),
            type=dns.rdatatype.to_text(question.rdtype),
            rcode=dns.rcode.to_text(reply.rcode()),
            transport=transport,
            peer=peer[0],
            port=peer[1],
        )


class Udp(asyncio.DatagramProtocol):
    """The responder on a datagram socket."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple) -> None:
        answer = self._responder.respond(data, addr[:2], "udp")
        if answer:
            self._transport.sendto(answer, addr)


async def serve_stream(
    responder: Responder, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One TCP connection: messages with their length in front, until it is closed."""
    peer = writer.get_extra_info("peername")[:2]
    try:
        while True:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            answer = responder.respond(await reader.readexactly(size), peer, "tcp")
            if answer:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _record(line: str) -> dns.rrset.RRset:
    """``name [ttl] [class] type data`` as one set."""
    name, *rest = line.split()
    ttl = int(rest.pop(0)) if rest[0].isdigit() else _TTL
    if rest[0] == "in":
        rest.pop(0)
    return dns.rrset.from_text(name, ttl, "IN", rest[0], " ".join(rest[1:]))


def _bare(number: int, flags: int, rcode: int) -> bytes:
    """A refusal: the header alone."""
    opcode = dns.opcode.to_flags(dns.opcode.from_flags(flags))
    kept = flags & dns.flags.RD if opcode == 0 or rcode == dns.rcode.NOTIMP else 0
    return _HEADER.pack(number, dns.flags.QR | opcode | kept | rcode, 0, 0, 0, 0)
