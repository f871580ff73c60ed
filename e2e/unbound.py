# SPDX-License-Identifier: Apache-2.0
"""unbound as a user's resolver, which remembers denials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from e2e.dns_server import DnsServer, SocketAddress

# A minimised query of type A before the one that was asked would be told from none of the
# operator's in a zone's own log, so there is none; what the resolver was asked is in its log.
_SERVER = """\
server:
    directory: "{directory}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    interface: {address}
    port: {port}
    access-control: 127.0.0.0/8 allow
    do-ip6: no
    do-not-query-localhost: no
    module-config: "iterator"
    qname-minimisation: {minimised}
    log-queries: yes
    log-tag-queryreply: yes
    log-servfail: yes
{zones}
remote-control:
    control-enable: no
"""

# unbound has zones of its own, "test." for one, that are no place for others.
_LOCAL_ZONE = '    local-zone: "{zone}." transparent\n'
_STUB = '\nstub-zone:\n    name: "{zone}"\n    stub-addr: {address}@{port}\n'
# Nothing serves this port, which TCP tells at once: without it unbound would ask the servers
# of the Internet's root for all that is in no stub.
_ROOT = '\nstub-zone:\n    name: "."\n    stub-addr: 127.0.0.1@1\n    stub-tcp-upstream: yes\n'


class Unbound(DnsServer):
    """A caching resolver that finds the zones of its stubs, and nothing else."""

    _ready = "start of service"
    _question = re.compile(r" query: \S+ (?P<name>\S+) (?P<type>\S+) \S+$", re.M)

    def __init__(
        self, directory: Path, stubs: Mapping[str, SocketAddress], *, minimised: bool = False
    ) -> None:
        """Describe it: zones and where their servers are; whether it minimises names."""
        configuration = directory / "unbound.conf"
        super().__init__("unbound", directory, "-d", "-c", configuration)
        local = [_LOCAL_ZONE.format(zone=zone) for zone in stubs]
        found = [
            _STUB.format(zone=zone, address=address, port=port)
            for zone, (address, port) in stubs.items()
        ]
        configuration.write_text(
            _SERVER.format(
                directory=directory,
                address=self.address,
                port=self.port,
                minimised="yes" if minimised else "no",
                zones="".join([*local, *found, _ROOT]),
            )
        )
