# SPDX-License-Identifier: Apache-2.0
"""What the DNS servers of the tests have in common: BIND and unbound, as Debian builds them."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from e2e.peers import dns_servers
from e2e.process import Process, free_ports

ADDRESS = "127.0.0.1"
_READY_TIMEOUT = 20.0
_ANSWER_TIMEOUT = 10.0
# Where a server is: address and port.
SocketAddress = tuple[str, int]


class Query(NamedTuple):
    """A question that a server was asked: its name in lower case, without the final dot."""

    name: str
    type: str


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free for UDP and for TCP."""
    while True:
        (port,) = free_ports(1)
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
        ):
            probe.bind((ADDRESS, port))
            return port


class DnsServer:
    """A server on 127.0.0.1, UDP and TCP, that runs for the length of a with block.

    Its configuration, its data and its log are files of its directory.
    """

    # What the log says when it serves, and how it tells a question: name and type.
    _ready: ClassVar[str]
    _question: ClassVar[re.Pattern[str]]

    def __init__(self, program: str, directory: Path, *arguments: str | Path) -> None:
        """Choose the port; the arguments are the program's."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.address = ADDRESS
        self.port = free_port()
        self._begin = 0
        home = dns_servers()
        self.process = Process(
            program,
            [home / "bin" / program, *arguments],
            directory / f"{program}.log",
            {"LD_LIBRARY_PATH": str(home / "lib")},
        )

    def __enter__(self) -> Self:
        """Serve."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    @property
    def socket_address(self) -> SocketAddress:
        """Where it is."""
        return self.address, self.port

    def start(self) -> None:
        """Run it, with an empty cache, and wait until it serves."""
        begin = len(self._log())
        self.process.start()
        self.process.wait_ready(lambda: self._ready in self._log()[begin:], _READY_TIMEOUT)

    def stop(self) -> None:
        """End it; start() runs it again on the same port."""
        self.process.stop()

    def ask(self, name: str, kind: str, tcp: bool = False) -> dns.message.Message:
        """Return the answer to a question; a truncated one is asked again over TCP."""
        query = dns.message.make_query(name, kind)
        if tcp:
            return dns.query.tcp(query, self.address, _ANSWER_TIMEOUT, self.port)
        return dns.query.udp_with_fallback(query, self.address, _ANSWER_TIMEOUT, self.port)[0]

    def values(self, name: str, kind: str) -> list[str]:
        """Return the records of the type in the answer to a question, as a zone file has them."""
        wanted = dns.rdatatype.from_text(kind)
        sets = [each for each in self.ask(name, kind).answer if each.rdtype == wanted]
        return sorted(record.to_text() for each in sets for record in each)

    def rcode(self, name: str, kind: str) -> str:
        """Return the code of the answer to a question, e.g. "NXDOMAIN"."""
        return dns.rcode.to_text(self.ask(name, kind).rcode())

    def queries(self) -> list[Query]:
        """Return what it was asked since its first start, or forget_queries(), oldest first."""
        found = self._question.finditer(self._log()[self._begin :])
        return [Query(each["name"].rstrip(".").lower(), each["type"]) for each in found]

    def forget_queries(self) -> None:
        """Have queries() begin here."""
        self._begin = len(self._log())

    def _log(self) -> str:
        log = self.process.log
        return log.read_text(errors="replace") if log.exists() else ""
