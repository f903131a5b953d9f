"""
Plain HTTP on a port that speaks HTTPS only: refused like any other request.

In:  `net.handshake`, with the first bytes of what is no hello.
Out: the answer; whoever asked is in the log and among the refused, as far as it could be read.
"""

from __future__ import annotations

from typing import Any, cast

from hostedge.http.entrance import Entrance
from hostedge.http.h1_exchange import H1Exchange, H1TurnedAway
from hostedge.wire.broken_head import read_broken


class PlainClient:
    """What an exchange needs of its connection, where there is none of any protocol."""

    server_name = local_host = ""
    handshake = 0.0

    def __init__(self, entrance: Entrance, client: tuple[Any, ...], port: int) -> None:
        self.entrance = entrance
        self.client, self.client_port = client[:2]
        self.local_port = port
        self.answer = b""

    def put(self, data: bytes) -> None:
        self.answer += data

    def answered(self, exchange: H1Exchange) -> None:
        """Nothing follows."""


def answer_plain(entrance: Entrance, data: bytes, client: tuple[Any, ...], port: int) -> bytes:
    """
    Refuse what has come to that port from that address. The page is the node's, whoever is asked
    for: it is sent in one piece, and must be small.
    """
    connection = PlainClient(entrance, client, port)
    H1TurnedAway(cast(Any, connection), read_broken(data), data).refuse("tls_plain")
    return connection.answer
