# SPDX-License-Identifier: Apache-2.0
"""BIND as the primary of the tests' zones: the DNS where a user has the CNAME made."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.tsig
import dns.update

from e2e.dns_server import ADDRESS, DnsServer, SocketAddress

_TIMEOUT = 10.0

# Addresses at names with an underscore, as other servers have them, are no mistake here.
_OPTIONS = """\
options {{
    directory "{directory}";
    listen-on port {port} {{ {address}; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    lock-file none;
    session-keyfile none;
    geoip-directory none;
    querylog yes;
    notify no;
    recursion {recursion};
    dnssec-validation no;
    qname-minimization off;
    empty-zones-enable no;
    max-ncache-ttl 0;
    check-names primary ignore;
    max-cache-size 16m;
    allow-transfer {{ key "{key}"; }};
}};
controls {{ }};
key "{key}" {{ algorithm {algorithm}; secret "{secret}"; }};
"""

_PRIMARY = """\
zone "{zone}" {{ type primary; file "{file}"; allow-update {{ key "{key}"; }}; }};
"""

_FORWARD = """\
zone "{zone}" {{ type forward; forward only; forwarders {{ {address} port {port}; }}; }};
"""

_ZONE = """\
$ORIGIN {zone}.
$TTL 60
@ 3600 SOA ns1 nobody 1 3600 600 86400 {negative_ttl}
@ NS ns1
ns1 A {address}
"""

# All that recursion finds: the zones that are forwarded. Without it BIND would ask the
# servers of the Internet's root for everything else.
_ROOT = """\
$TTL 60
. SOA ns. nobody. 1 3600 600 86400 60
. NS ns.
ns. A 127.0.0.1
"""
_DELEGATION = "{zone}. NS ns.{zone}.\nns.{zone}. A 127.0.0.1\n"


class UpdateRefused(RuntimeError):
    """BIND did not take an update; the message is the code of its answer."""


class Bind(DnsServer):
    """A BIND that is the primary of zones, with updates and transfers for those with its key.

    With recursion it asks the servers of the zones that it forwards, too, as when they were
    delegated, and finds nothing else. It remembers denials until the second is over, no longer.
    """

    _ready = " running\n"
    _question = re.compile(r" query: (?P<name>\S+) IN (?P<type>\S+) ")

    key_name = "e2e-key"
    key_algorithm = "hmac-sha256"

    def __init__(
        self,
        directory: Path,
        zones: Mapping[str, Sequence[str]],
        *,
        forward: Mapping[str, SocketAddress] | None = None,
        recursion: bool = False,
        negative_ttl: int = 60,
        ns_address: str = ADDRESS,
    ) -> None:
        """Describe it: the zones, each with records as lines of a zone file.

        forward: zones and where their servers are; implies recursion. negative_ttl: how long
        others may remember that something is not in a zone. ns_address: where the zones' NS
        records lead to, see dns_relay.py.
        """
        configuration = directory / "named.conf"
        super().__init__("named", directory, "-g", "-4", "-n", "1", "-c", configuration)
        self.key_secret = base64.b64encode(secrets.token_bytes(32)).decode()
        self._key = dns.tsig.Key(self.key_name, self.key_secret, self.key_algorithm)
        self._zones = [dns.name.from_text(zone) for zone in zones]
        forward = forward or {}
        recursion = recursion or bool(forward)
        parts = [self._options(recursion)]
        for zone, records in zones.items():
            head = _ZONE.format(zone=zone, negative_ttl=negative_ttl, address=ns_address)
            parts.append(self._primary(zone, head + "\n".join([*records, ""])))
        if recursion:
            delegations = [_DELEGATION.format(zone=zone) for zone in forward]
            parts.append(self._primary(".", _ROOT + "".join(delegations)))
        for zone, (address, port) in forward.items():
            parts.append(_FORWARD.format(zone=zone, address=address, port=port))
        configuration.touch(mode=0o600)
        configuration.write_text("".join(parts))

    def update(self, *lines: str) -> None:
        """Change one zone at once, signed with the key; raises UpdateRefused.

        A line is "add NAME TTL TYPE DATA" or "delete NAME [TYPE [DATA]]". All names are
        absolute, with or without the final dot.
        """
        update = dns.update.UpdateMessage(self._zone_of(lines), keyring=self._key)
        for line in lines:
            verb, name, *rest = line.split(None, 4 if line.startswith("add ") else 3)
            if verb == "add":
                ttl, kind, data = rest
                update.add(dns.name.from_text(name), int(ttl), _data(kind, data))
            elif len(rest) == 2:
                update.delete(dns.name.from_text(name), _data(*rest))
            else:
                update.delete(dns.name.from_text(name), *rest)
        answer = dns.query.tcp(update, self.address, _TIMEOUT, self.port)
        if answer.rcode() != dns.rcode.NOERROR:
            raise UpdateRefused(dns.rcode.to_text(answer.rcode()))

    def publish(self, obj: Mapping[str, Any]) -> None:
        """Do what an object's status asks for: make its records, in the place of those before."""
        for each in obj["status"]["records"]:
            self.put(each["name"], each["type"], each["value"])

    def put(self, name: str, kind: str, data: str) -> None:
        """Make a record, in the place of those of its name and type."""
        self.update(f"delete {name} {kind}", f"add {name} 60 {kind} {data}")

    def _zone_of(self, lines: Sequence[str]) -> dns.name.Name:
        name = dns.name.from_text(lines[0].split()[1])
        return max((zone for zone in self._zones if name.is_subdomain(zone)), key=len)

    def _options(self, recursion: bool) -> str:
        return _OPTIONS.format(
            directory=self.directory,
            address=self.address,
            port=self.port,
            recursion="yes" if recursion else "no",
            key=self.key_name,
            algorithm=self.key_algorithm,
            secret=self.key_secret,
        )

    def _primary(self, zone: str, text: str) -> str:
        file = f"{zone.strip('.') or 'root'}.zone"
        (self.directory / file).write_text(text)
        return _PRIMARY.format(zone=zone, file=file, key=self.key_name)


def _data(kind: str, text: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text("IN", kind, text, origin=dns.name.root, relativize=False)
