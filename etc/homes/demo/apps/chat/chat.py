"""A chat: a page, and a WebSocket below it at `live`. Everybody sees what anybody says."""

from __future__ import annotations

import itertools
import os
from collections import deque
from pathlib import Path
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import File

LONGEST = 500  # characters of one message
REMEMBERED = 50  # messages that who comes later still sees

guests: dict[Guest, str] = {}
numbers = itertools.count(1)
said: deque[bytes] = deque(maxlen=REMEMBERED)


def say(text: str) -> None:
    """Send to everybody, and keep it for those who are not here yet."""
    line = text.encode()
    said.append(line)
    for guest in list(guests):
        guest.sendMessage(line)


class Guest(WebSocketServerProtocol):
    """One browser window."""

    def onOpen(self) -> None:
        for line in said:
            self.sendMessage(line)
        guests[self] = f"Guest {next(numbers)}"
        say(f"{guests[self]} has come.")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        text = "" if isBinary else payload.decode().strip()[:LONGEST]
        if text:
            say(f"{guests[self]}: {text}")

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        name = guests.pop(self, None)
        if name is not None:
            say(f"{name} has left.")


def site() -> Site:
    """The page at `/chat`, the socket at `/chat/live`."""
    sockets = WebSocketServerFactory()
    sockets.protocol = Guest
    sockets.setProtocolOptions(maxMessagePayloadSize=4 * LONGEST, autoPingInterval=30)
    page: Any = File(str(Path(__file__).with_name("chat.html")))
    page.isLeaf = False
    page.putChild(b"live", WebSocketResource(sockets))
    root = Resource()
    root.putChild(b"chat", page)
    return Site(root)


if __name__ == "__main__":
    listening: Any = reactor
    listening.listenTCP(int(os.environ["PORT"]), site(), interface=os.environ["HOST"])
    listening.run()
