# SPDX-License-Identifier: Apache-2.0
"""A name server of a tenant's, who may change its answers, and an operator that asks it."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from e2e.operator import binary

_ADDRESS = "127.0.0.154"


class _Handler(socketserver.BaseRequestHandler):
    server: _Listener

    def handle(self) -> None:
        wire, reply_socket = self.request
        reply_socket.sendto(self.server.names.answer(wire), self.client_address)


class _Listener(socketserver.UDPServer):
    allow_reuse_address = True
    names: NameServer


class NameServer:
    """Answers questions for A records, each name with one list of addresses after another.

    The last list of a name stays. resolv.conf names no port, so this one serves port 53 of an
    address of the loopback, and the operator runs with a resolv.conf of its own; both take root.
    """

    def __init__(self, directory: Path, answers: dict[str, Sequence[list[str]]]) -> None:
        """Describe it: the answers by name, and where the resolv.conf goes."""
        self.asked: list[str] = []
        self._answers = {name: list(lists) for name, lists in answers.items()}
        self._resolv = directory / "resolv.conf"
        self._resolv.write_text(f"nameserver {_ADDRESS}\n")

    @property
    def program(self) -> list[str | Path]:
        """How to run the operator so that it asks this server."""
        script = f'mount --bind {self._resolv} /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "--", "sh", "-c", script, "operator", binary()]

    def __enter__(self) -> Self:
        """Serve."""
        self._listener = _Listener((_ADDRESS, 53), _Handler)
        self._listener.names = self
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._listener.shutdown()
        self._listener.server_close()

    def answer(self, wire: bytes) -> bytes:
        """Return the answer to a question."""
        query = dns.message.from_wire(wire)
        reply = dns.message.make_response(query)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        lists = self._answers.get(name)
        if lists is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            self.asked.append(name)
            addresses = lists.pop(0) if len(lists) > 1 else lists[0]
            reply.answer = [dns.rrset.from_text(question.name, 0, "IN", "A", *addresses)]
        return reply.to_wire()
