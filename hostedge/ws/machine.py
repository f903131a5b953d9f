"""
How an open WebSocket comes to its end on both sides.

In:  `ws.bridge` with close frames, breaches, lost connections, and what the node wants.
Out: calls on `BridgePorts`. No Twisted in here.

A close frame is passed on and its answer passed back, so that both sides see each other's code.
Whoever does not play along has `patience` seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import define
from automat import TypeMachineBuilder

GOING_AWAY = 1001
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012

Code = int | None


class BridgePorts(Protocol):
    """Everything that it may do to the world."""

    def tell_client(self, code: Code, reason: bytes) -> None:
        """Send the client a close frame; None: an empty one. Only the first one is sent."""

    def tell_app(self, code: Code, reason: bytes) -> None: ...

    def drop_client(self) -> None:
        """End its connection when it has got everything."""

    def drop_app(self) -> None: ...

    def abort_client(self) -> None:
        """End its connection now."""

    def abort_app(self) -> None: ...

    def set_alarm(self, seconds: float) -> None:
        """Call `late` after that time; instead of an alarm that was set before."""

    def over(self) -> None:
        """Both connections are gone."""


class Closing(Protocol):
    """Everything that can happen to an open WebSocket."""

    def client_closed(self, code: Code, reason: bytes) -> None:
        """The client has sent a close frame."""

    def app_closed(self, code: Code, reason: bytes) -> None:
        """The app has sent one."""

    def client_broke(self) -> None:
        """The client has broken the protocol, and was told."""

    def app_broke(self) -> None:
        """The app has."""

    def client_lost(self) -> None:
        """The client's connection is gone."""

    def app_lost(self) -> None:
        """The app's is."""

    def stop(self, code: int, reason: bytes) -> None:
        """The node wants it ended."""

    def late(self) -> None:
        """Whoever should have answered by now does not."""


@define
class ClosingCore:
    """Whom it works for, and the close frame that waits for its answer."""

    ports: BridgePorts
    # seconds for the rest of a closing handshake
    patience: float
    code: Code = None
    reason: bytes = b""

    def keep(self, code: Code, reason: bytes) -> None:
        self.code, self.reason = code, reason
        self.ports.set_alarm(self.patience)

    def finish_client(self) -> None:
        """Answer its close frame in the place of the app, with what it has sent itself."""
        self.ports.tell_client(self.code, self.reason)
        self.ports.drop_client()
        self.ports.set_alarm(self.patience)

    def finish_app(self) -> None:
        self.ports.tell_app(self.code, self.reason)
        self.ports.drop_app()
        self.ports.set_alarm(self.patience)


def _build() -> Callable[[ClosingCore], Closing]:
    builder = TypeMachineBuilder(Closing, ClosingCore)

    opened = builder.state("opened")
    # the client has closed, the app was told
    client_waits = builder.state("client_waits")
    # the app has closed, the client was told
    app_waits = builder.state("app_waits")
    # both have been told
    ending = builder.state("ending")
    # one is gone, the other has been told
    client_left = builder.state("client_left")
    app_left = builder.state("app_left")
    over = builder.state("over")

    # one closes, the other answers
    @opened.upon(Closing.client_closed).to(client_waits)
    def ask_app(closing: Closing, core: ClosingCore, code: Code, reason: bytes) -> None:
        core.keep(code, reason)
        core.ports.tell_app(code, reason)

    @client_waits.upon(Closing.app_closed).to(ending)
    def answer_client(closing: Closing, core: ClosingCore, code: Code, reason: bytes) -> None:
        core.ports.tell_client(code, reason)
        core.ports.drop_client()
        core.ports.drop_app()

    @opened.upon(Closing.app_closed).to(app_waits)
    def ask_client(closing: Closing, core: ClosingCore, code: Code, reason: bytes) -> None:
        core.keep(code, reason)
        core.ports.tell_client(code, reason)

    @app_waits.upon(Closing.client_closed).to(ending)
    def answer_app(closing: Closing, core: ClosingCore, code: Code, reason: bytes) -> None:
        core.ports.tell_app(code, reason)
        core.ports.drop_app()
        core.ports.drop_client()

    # the other does not answer
    client_waits.upon(Closing.app_lost).to(app_left)(lambda _, core: core.finish_client())
    app_waits.upon(Closing.client_lost).to(client_left)(lambda _, core: core.finish_app())

    @client_waits.upon(Closing.late).to(ending)
    def app_silent(closing: Closing, core: ClosingCore) -> None:
        core.finish_client()
        core.ports.abort_app()

    @app_waits.upon(Closing.late).to(ending)
    def client_silent(closing: Closing, core: ClosingCore) -> None:
        core.finish_app()
        core.ports.abort_client()

    @client_waits.upon(Closing.app_broke).to(ending)
    def app_broke_late(closing: Closing, core: ClosingCore) -> None:
        core.finish_client()
        core.ports.drop_app()

    @app_waits.upon(Closing.client_broke).to(ending)
    def client_broke_late(closing: Closing, core: ClosingCore) -> None:
        core.finish_app()
        core.ports.drop_client()

    # one breaks the protocol, or is gone
    @opened.upon(Closing.client_broke).to(ending)
    def leave_app(closing: Closing, core: ClosingCore) -> None:
        core.keep(GOING_AWAY, b"")
        core.ports.tell_app(GOING_AWAY, b"")
        core.ports.drop_client()

    @opened.upon(Closing.app_broke).to(ending)
    def excuse_app(closing: Closing, core: ClosingCore) -> None:
        core.keep(INTERNAL_ERROR, b"")
        core.ports.tell_client(INTERNAL_ERROR, b"")
        core.ports.drop_app()

    @opened.upon(Closing.client_lost).to(client_left)
    def client_vanished(closing: Closing, core: ClosingCore) -> None:
        core.keep(GOING_AWAY, b"")
        core.ports.tell_app(GOING_AWAY, b"")

    @opened.upon(Closing.app_lost).to(app_left)
    def app_vanished(closing: Closing, core: ClosingCore) -> None:
        core.keep(SERVICE_RESTART, b"")
        core.ports.tell_client(SERVICE_RESTART, b"")

    # the node wants it ended
    @opened.upon(Closing.stop).to(ending)
    def stop(closing: Closing, core: ClosingCore, code: int, reason: bytes) -> None:
        core.keep(code, reason)
        core.ports.tell_client(code, reason)
        core.ports.tell_app(code, reason)

    @client_waits.upon(Closing.stop).to(ending)
    def stop_client(closing: Closing, core: ClosingCore, code: int, reason: bytes) -> None:
        core.ports.tell_client(code, reason)
        core.ports.drop_client()

    @app_waits.upon(Closing.stop).to(ending)
    def stop_app(closing: Closing, core: ClosingCore, code: int, reason: bytes) -> None:
        core.ports.tell_app(code, reason)
        core.ports.drop_app()

    # both have been told: whoever answers may go
    def drop_client(closing: Closing, core: ClosingCore, code: Code, reason: bytes) -> None:
        core.ports.drop_client()

    def drop_app(closing: Closing, core: ClosingCore, code: Code, reason: bytes) -> None:
        core.ports.drop_app()

    def abort_all(closing: Closing, core: ClosingCore) -> None:
        core.ports.abort_client()
        core.ports.abort_app()

    for state in (ending, app_left):
        state.upon(Closing.client_closed).loop()(drop_client)
        state.upon(Closing.client_broke).loop()(lambda _, core: core.ports.drop_client())
    for state in (ending, client_left):
        state.upon(Closing.app_closed).loop()(drop_app)
        state.upon(Closing.app_broke).loop()(lambda _, core: core.ports.drop_app())
    for state in (ending, client_left, app_left):
        state.upon(Closing.late).loop()(abort_all)
        state.upon(Closing.stop).loop().returns(None)

    # one connection is gone, and then the other
    for state in (client_waits, ending):
        state.upon(Closing.client_lost).to(client_left).returns(None)
    for state in (app_waits, ending):
        state.upon(Closing.app_lost).to(app_left).returns(None)
    client_left.upon(Closing.app_lost).to(over)(lambda _, core: core.ports.over())
    app_left.upon(Closing.client_lost).to(over)(lambda _, core: core.ports.over())

    # a bridge lets its alarm go when it is over, but the wheel may be looking at it just now
    over.upon(Closing.late).loop().returns(None)
    over.upon(Closing.stop).loop().returns(None)
    return builder.build()


make_closing = _build()
