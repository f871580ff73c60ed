# SPDX-License-Identifier: Apache-2.0
"""The syntax rules of acme-dns' API: UUIDs, keys, TXT values, CIDRs.

Imitates what the Go libraries accept, which is wider than one expects: a UUID may
be bare, without dashes, a URN, or in braces (of which only the length is looked
at); a CIDR keeps its host bits and may write its prefix length with zeros in front.
"""

import ipaddress
import re
import uuid

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DASHED = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
_BARE = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_SUBDOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_PREFIX_LENGTH = re.compile(r"[0-9]+", re.ASCII)
_URN = "urn:uuid:"
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def parse_uuid(text: str) -> str | None:
    """The canonical form of any spelling that the server takes, or None."""
    if len(text) == 36 + len(_URN) and text.lower().startswith(_URN):
        text = text[len(_URN) :]
    elif len(text) == 38:
        text = text[1:37]
    if _DASHED.fullmatch(text) or _BARE.fullmatch(text):
        return str(uuid.UUID(text))
    return None


def is_key(text: str) -> bool:
    return len(text) == 40 and _BASE64URL.fullmatch(text) is not None


def is_txt(text: str) -> bool:
    return len(text) == 43 and _BASE64URL.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    return _SUBDOMAIN.fullmatch(text) is not None


def strip_brackets(cidr: str) -> str:
    return cidr.replace("[", "").replace("]", "")


def parse_cidr(text: str) -> _Network | None:
    """The network of a CIDR without brackets, or None if Go would not read it."""
    address, slash, length = text.partition("/")
    if not slash or "%" in address or not _PREFIX_LENGTH.fullmatch(length):
        return None
    try:
        return ipaddress.ip_network(f"{address}/{int(length)}", strict=False)
    except ValueError:
        return None


def is_allowed(ip: str, cidrs: list[str]) -> bool:
    """Is the address within one of the networks (an empty list allows all)?"""
    if not cidrs:
        return True
    address = _parse_address(ip)
    if address is None:
        return False
    return any(_contains(parse_cidr(cidr), address) for cidr in cidrs)


def any_allowed(ips: list[str], cidrs: list[str]) -> bool:
    return any(is_allowed(ip, cidrs) for ip in ips or [""])


def _parse_address(ip: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return None if address.scope_id else (address.ipv4_mapped or address)
    return address


def _contains(network: _Network | None, address: _Address) -> bool:
    """Go compares v4-mapped networks as IPv4, and never one family with the other."""
    if network is None:
        return False
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        inner = int(network.network_address) & 0xFFFFFFFF
        network = ipaddress.IPv4Network((inner, network.prefixlen - 96))
    return address in network
