"""
Networks that an operator names, and whether an address is in one of them.

In:  the settings, as text; whoever has a peer's address.
Out: yes or no; an address is looked at once, not for each request.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from attrs import field, frozen

Network = IPv4Network | IPv6Network


@frozen
class Networks:
    """Some networks; none at first."""

    networks: tuple[Network, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.networks)

    def __contains__(self, address: str) -> bool:
        """`address` is a peer's, as the kernel tells it; what is no address is in no network."""
        return bool(self.networks) and _contains(self.networks, address)


def parse_networks(texts: Iterable[str]) -> Networks:
    """
    Read addresses and networks, `192.0.2.1` or `10.0.0.0/8`.

    Raises:
        ValueError: one is neither; the message names it.
    """
    return Networks(tuple(map(ip_network, texts)))


@lru_cache(maxsize=4096)
def _contains(networks: tuple[Network, ...], text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        # a UNIX socket's peer
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
