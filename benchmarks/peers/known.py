"""
The peers, in the order of the table; first those that the ratios are to.

In:  `__main__`.
Out: `PEERS`.
"""

from __future__ import annotations

from benchmarks.peers.bind import Bind
from benchmarks.peers.caddy import Caddy
from benchmarks.peers.haproxy import HAProxy
from benchmarks.peers.hostedge import Hostedge
from benchmarks.peers.kind import Peer
from benchmarks.peers.knot import Knot
from benchmarks.peers.nginx import Nginx
from benchmarks.peers.twisted_proxy import TwistedProxy

PEERS: tuple[Peer, ...] = (
    Nginx(),
    HAProxy(),
    Bind(),
    Knot(),
    Hostedge(),
    Caddy(),
    TwistedProxy(),
)
