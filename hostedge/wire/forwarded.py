"""
Who the client is when proxies stand before us, and what an upstream is told about it.

In:  the server protocol, once for a connection and once for a request that came over a proxy.
Out: an address as text.
Spec: RFC 7239 section 5.2 for the syntax of addresses; the walk is our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# more hops than any chain has; bounds what one request costs
MAX_HOPS = 32


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """
    Read the peers that an operator trusts.

    Raises:
        ValueError: one is neither an address nor a network.
    """
    return tuple(ip_network(text) for text in texts)


def client_address(peer: str, lines: Sequence[bytes], trusted: tuple[Network, ...]) -> str:
    """
    Find the client: the last address, read from the right, that no trusted peer has.

    `lines` are the values of all `X-Forwarded-For` fields in their order. What stands left of
    the first untrusted address, or of one that is none, was written by somebody we do not
    believe, and does not count.
    """
    if not lines or not _is_trusted(peer, trusted):
        return peer
    client = peer
    hops = b",".join(lines).rsplit(b",", MAX_HOPS)[-MAX_HOPS:]
    for hop in reversed(hops):
        address = _address(hop.strip(b" \t"))
        if address is None:
            return client
        client = address
        if not _is_trusted(client, trusted):
            return client
    return client


@lru_cache(maxsize=4096)
def _is_trusted(text: str, trusted: tuple[Network, ...]) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        # a UNIX socket's peer
        return False
    return any(address in network for network in trusted)


def _address(hop: bytes) -> str | None:
    text = hop.decode("latin-1").strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
