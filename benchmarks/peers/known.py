"""
The peers, in the order of the table; nginx first, because the ratios are to it.

In:  `__main__`.
Out: `PEERS`.
"""

from __future__ import annotations

from benchmarks.peers.caddy import Caddy
from benchmarks.peers.haproxy import HAProxy
from benchmarks.peers.hostedge import Hostedge
from benchmarks.peers.kind import Peer
from benchmarks.peers.nginx import Nginx
from benchmarks.peers.twisted_proxy import TwistedProxy

PEERS: tuple[Peer, ...] = (Nginx(), HAProxy(), Hostedge(), Caddy(), TwistedProxy())
