"""What stands behind one end when there is no other one."""

from __future__ import annotations

from autobahn.websocket.protocol import WebSocketProtocol
from twisted.internet.testing import StringTransport

from hostedge.ws.ends import End


class Heard:
    """Bridge and other end in one: keeps what it is told."""

    websocket_extensions_in_use: list[object] = []
    state = WebSocketProtocol.STATE_OPEN

    def __init__(self) -> None:
        self.transport = StringTransport()
        self.log: list[object] = []
        # how often it has ended
        self.ends = 0

    def begin(self, is_binary: bool) -> None:
        self.log.append(("begin", is_binary))

    def send(self, payload: bytes, last: bool) -> None:
        self.log.append((payload, last))

    def sendPing(self, payload: bytes) -> None:
        self.log.append(("ping", payload))

    def close_came(self, end: End, code: int | None, reason: bytes) -> None:
        self.ends += 1
        self.log.append(("close", code, reason))

    def flooded(self, end: End) -> None:
        self.broke(end)

    def broke(self, end: End) -> None:
        self.ends += 1
        self.log.append("broke")

    def sendPong(self, payload: bytes) -> None:
        self.log.append(("pong", payload))

    def be_free(self) -> None:
        self.log.append("free")

    def too_much(self, end: End) -> None:
        self.log.append("too much")
