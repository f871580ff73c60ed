# SPDX-License-Identifier: Apache-2.0
"""Peers that are ruder than the acme-dns stand-in: below HTTP, and in DNS."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.rcode

from e2e.operator import binary

# The roots that libcurl is built to trust, on Debian.
_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
_CONNECTIONS = 4


@contextlib.contextmanager
def full_queue() -> Iterator[str]:
    """Listen without accepting, the queue full: the kernel ignores further connections."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(_CONNECTIONS):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def name_server(silent: str) -> Iterator[str]:
    """Deny that any name exists, and never answer for those that end in `silent`."""
    over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        # c-ares takes no port from resolv.conf; some loopback address has it free.
        server.bind((f"127.53.{random.randrange(1, 255)}.{random.randrange(1, 255)}", 53))
        server.settimeout(0.1)
        thread = threading.Thread(target=_deny, args=(server, silent, over))
        thread.start()
        yield server.getsockname()[0]
        over.set()
        thread.join()


def _deny(server: socket.socket, silent: str, over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(TimeoutError, dns.exception.DNSException):
            question, client = server.recvfrom(512)
            query = dns.message.from_wire(question)
            if not query.question[0].name.to_text(omit_final_dot=True).endswith(silent):
                answer = dns.message.make_response(query)
                answer.set_rcode(dns.rcode.NXDOMAIN)
                server.sendto(answer.to_wire(), client)


def confined(directory: Path, resolver: str, ca_file: Path) -> list[str | Path]:
    """Return how to run the operator with this name server and these roots, and no others."""
    resolv = directory / "resolv.conf"
    resolv.write_text(f"nameserver {resolver}\n")
    script = f'mount --bind "{resolv}" /etc/resolv.conf && mount --bind "{ca_file}" {_ROOTS}'
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", *user, "sh", "-c", f'{script} && exec "$@"', "sh", binary()]
