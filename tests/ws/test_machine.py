"""How WebSockets end."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from hostedge.ws.machine import ClosingCore, make_closing

PATIENCE = 7.0


class Ports:
    """Keeps what it was told to do."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.told: dict[str, int | None] = {}
        self.going: set[str] = set()
        self.alarm = False
        self.is_over = 0

    def _tell(self, whom: str, code: int | None, reason: bytes) -> None:
        self.done.append((whom, code, reason))
        self.told.setdefault(whom, code)

    def tell_client(self, code: int | None, reason: bytes) -> None:
        self._tell("client", code, reason)

    def tell_app(self, code: int | None, reason: bytes) -> None:
        self._tell("app", code, reason)

    def drop_client(self) -> None:
        self.done.append("drop client")
        self.going.add("client")

    def drop_app(self) -> None:
        self.done.append("drop app")
        self.going.add("app")

    def abort_client(self) -> None:
        self.done.append("abort client")
        self.going.add("client")

    def abort_app(self) -> None:
        self.done.append("abort app")
        self.going.add("app")

    def set_alarm(self, seconds: float) -> None:
        assert seconds == PATIENCE
        self.alarm = True

    def over(self) -> None:
        self.is_over += 1


class ClosingTests(SynchronousTestCase):
    """One story each."""

    def setUp(self) -> None:
        self.ports = Ports()
        self.closing = make_closing(ClosingCore(self.ports, PATIENCE))

    def test_clientCloses(self) -> None:
        """The app's answer, not the client's own word, goes back."""
        self.closing.client_closed(4001, b"bye")
        self.assertEqual(self.ports.done, [("app", 4001, b"bye")])
        self.closing.app_closed(4002, b"so long")
        self.assertEqual(
            self.ports.done[1:], [("client", 4002, b"so long"), "drop client", "drop app"]
        )
        self.closing.app_lost()
        self.closing.client_lost()
        self.assertEqual(self.ports.is_over, 1)

    def test_appCloses(self) -> None:
        """The same from the other side."""
        self.closing.app_closed(None, b"")
        self.closing.client_closed(None, b"")
        self.assertEqual(
            self.ports.done, [("client", None, b""), ("app", None, b""), "drop app", "drop client"]
        )

    def test_appEndsWithoutAnswer(self) -> None:
        """A client that has closed gets its own word back."""
        self.closing.client_closed(1000, b"x")
        self.closing.app_lost()
        self.assertEqual(self.ports.done[1:], [("client", 1000, b"x"), "drop client"])

    def test_silence(self) -> None:
        """Who does not answer is aborted, the other one is answered in its place."""
        self.closing.client_closed(1000, b"")
        self.closing.late()
        self.assertEqual(self.ports.done[1:], [("client", 1000, b""), "drop client", "abort app"])
        self.closing.late()
        self.assertEqual(self.ports.done[-2:], ["abort client", "abort app"])

    def test_lost(self) -> None:
        """An app that is gone is a restart, a client that is gone goes away."""
        self.closing.app_lost()
        self.assertEqual(self.ports.done, [("client", 1012, b"")])
        self.closing.client_closed(1012, b"")
        self.assertEqual(self.ports.done[1:], ["drop client"])
        other = Ports()
        make_closing(ClosingCore(other, PATIENCE)).client_lost()
        self.assertEqual(other.done, [("app", 1001, b"")])

    def test_broke(self) -> None:
        """Who has broken the protocol knows it already; the other one is told."""
        self.closing.client_broke()
        self.assertEqual(self.ports.done, [("app", 1001, b""), "drop client"])
        other = Ports()
        make_closing(ClosingCore(other, PATIENCE)).app_broke()
        self.assertEqual(other.done, [("client", 1011, b""), "drop app"])

    def test_stop(self) -> None:
        """The node's word goes to both; each may go once it has answered."""
        self.closing.stop(1008, b"suspended")
        self.assertEqual(
            self.ports.done, [("client", 1008, b"suspended"), ("app", 1008, b"suspended")]
        )
        self.closing.app_closed(1008, b"")
        self.closing.client_closed(1008, b"")
        self.assertEqual(self.ports.done[2:], ["drop app", "drop client"])

    def test_stopWhileOneWaits(self) -> None:
        """Only who has not been told is told."""
        self.closing.client_closed(1000, b"")
        self.closing.stop(1001, b"")
        self.assertEqual(self.ports.done[1:], [("client", 1001, b""), "drop client"])


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: both are told once, and both go in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.ports = Ports()
        self.closing = make_closing(ClosingCore(self.ports, PATIENCE))
        self.silent: set[str] = set()
        self.lost: set[str] = set()

    def alive(self, side: str) -> bool:
        return side not in self.silent and side not in self.lost

    @precondition(lambda self: self.alive("client"))
    @rule(code=st.sampled_from((None, 1000, 4999)))
    def client_closed(self, code: int | None) -> None:
        self.silent.add("client")
        self.closing.client_closed(code, b"")

    @precondition(lambda self: self.alive("app"))
    @rule(code=st.sampled_from((None, 1000, 4999)))
    def app_closed(self, code: int | None) -> None:
        self.silent.add("app")
        self.closing.app_closed(code, b"")

    @precondition(lambda self: self.alive("client"))
    @rule()
    def client_broke(self) -> None:
        self.silent.add("client")
        # the end has told it
        self.ports.told.setdefault("client", 1002)
        self.closing.client_broke()

    @precondition(lambda self: self.alive("app"))
    @rule()
    def app_broke(self) -> None:
        self.silent.add("app")
        self.ports.told.setdefault("app", 1002)
        self.closing.app_broke()

    @precondition(lambda self: "client" not in self.lost)
    @rule()
    def client_lost(self) -> None:
        self.lost.add("client")
        self.closing.client_lost()

    @precondition(lambda self: "app" not in self.lost)
    @rule()
    def app_lost(self) -> None:
        self.lost.add("app")
        self.closing.app_lost()

    @rule()
    def stop(self) -> None:
        self.closing.stop(1001, b"")

    @precondition(lambda self: self.ports.alarm)
    @rule()
    def late(self) -> None:
        self.closing.late()

    @invariant()
    def over_when_both_are_lost(self) -> None:
        assert self.ports.is_over == (len(self.lost) == 2)

    @invariant()
    def an_alarm_once_anything_happened(self) -> None:
        assert self.ports.alarm or not (self.silent or self.lost or self.ports.done)

    @invariant()
    def who_waits_was_told(self) -> None:
        for side, other in (("client", "app"), ("app", "client")):
            if other in self.silent | self.lost and side in self.silent - self.lost:
                assert side in self.ports.told, (side, self.ports.done)

    def teardown(self) -> None:
        """Whoever is there after two alarms is on its way out."""
        if self.ports.alarm:
            self.closing.late()
            self.closing.late()
            assert self.ports.going | self.lost == {"client", "app"}, self.ports.done


class MachineTests(SynchronousTestCase):
    """The machine as a whole."""

    def test_anyOrder(self) -> None:
        """No order of events leaves a side untold or the bridge unfinished."""
        run_state_machine_as_test(AnyOrder)
