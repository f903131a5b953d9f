"""
Server cookies: how a client shows that it has heard from us at this address before.

In:  `dns.responder`, with a client's cookie and address.
Out: our cookie for both, and whether one that came back is ours.
Spec: RFC 7873 sections 4 and 5, RFC 9018 section 4.

The layout is that of RFC 9018; the hash in it is BLAKE2s, which Python has in C, instead of
SipHash-2-4, which it has not. Only who makes a cookie ever checks it.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2s

CLIENT = 8  # bytes
SERVER = 16  # bytes of ours; those of others may have 8 to 32
LONGEST = 40
# seconds; RFC 9018 section 4.3
OLDEST = 3600
AHEAD = 300

_VERSION = b"\1\0\0\0"


class Cookies:
    """Makes and checks; all edges of a node have the same secret, of 32 bytes at most."""

    def __init__(self, secret: bytes, seconds: Callable[[], float]) -> None:
        # With the secret as BLAKE2's key it would take a block more, and two thirds more time. What
        # comes first in the text serves as well: this hash cannot be gone on with by others.
        self._begun = blake2s(secret, digest_size=8)
        self._seconds = seconds
        self._now = -1
        self._stamp = b""

    def make(self, client_cookie: bytes, client: bytes) -> bytes:
        """Our cookie for a client that is at this address now."""
        now = int(self._seconds())
        if now != self._now:
            self._now = now
            self._stamp = _VERSION + (now & 0xFFFFFFFF).to_bytes(4)
        stamp = self._stamp
        hashing = self._begun.copy()
        hashing.update(client_cookie + stamp + client)
        return stamp + hashing.digest()

    def check(self, client_cookie: bytes, server_cookie: bytes, client: bytes) -> bool:
        """Say whether this is a cookie of ours for that client, and not an old one."""
        stamp, hashed = server_cookie[:8], server_cookie[8:]
        if len(server_cookie) != SERVER or stamp[:4] != _VERSION:
            return False
        # serial number arithmetic: what is ahead of us is a small number below zero
        age = (int(self._seconds()) - int.from_bytes(stamp[4:])) & 0xFFFFFFFF
        if age > OLDEST and age < 2**32 - AHEAD:
            return False
        hashing = self._begun.copy()
        hashing.update(client_cookie + stamp + client)
        return hashing.digest() == hashed
