"""The check that an IP address is public."""

from __future__ import annotations

import ipaddress

from django.conf import settings

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # relays of 6to4
        "::/96",  # IPv4-compatible
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b:1::/48",  # NAT64 of a local network
        "100::/64",  # discarded
        "100:0:0:1::/64",
        "2001::/23",  # protocol assignments, and Teredo
        "2001:db8::/32",  # documentation
        "3fff::/20",
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local
    )
)
"""Ranges that are not public, in addition to the private ranges of every Python version (from
IANA's registries of special-purpose addresses).
"""


def is_allowed_address(text: str) -> bool:
    """Return True if an address is public, or loopback if a setting allows that.

    An IPv4 address inside an IPv6 address is checked too, because a gateway would call it.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if address.is_loopback:
        return bool(settings.HTTP_REQUEST_ALLOW_LOOPBACK)
    if isinstance(address, ipaddress.IPv6Address):
        last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = last
        if inner is not None:
            return is_allowed_address(str(inner))
        if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP and not is_allowed_address(str(last)):
            return False
    if any(address.version == row.version and address in row for row in _NOT_PUBLIC):
        return False
    return address.is_global and not (
        address.is_private
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
