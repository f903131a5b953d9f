"""
An app's generations: what can happen to them, what can be done, and where each one is.

In:  `supervise.machine`, whose states share one `DaemonCore`.
Out: calls on `DaemonPorts`. No Twisted in here.

A *generation* is one launched process and is in one place at a time: `coming` until it is ready,
`serving` until it is replaced or ends, `endings` while it is brought to its end. At most one is
coming and at most two live. What is said about a generation that is in no place is late, and
ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hostedge.supervise.ending import Alarm, Ending, EndingCore, EndingPorts, make_ending

PAUSE_FIRST = 1.0
PAUSE_MAX = 60.0
JITTER = 0.2
STEADY = 60.0  # who served that long has its failures forgotten
FAILURE_WINDOW = 600.0
FAILURES_MAX = 5


class DaemonPorts(EndingPorts, Protocol):
    """Everything the machine may do to the world."""

    def random(self) -> float:
        """Evenly between 0 and 1."""

    def number(self) -> int:
        """A generation that never was before."""

    def spawn(self, generation: int) -> None:
        """Launch this generation; `exited` follows exactly once, in any case."""

    def ask_token(self) -> None:
        """Stand in line for a start; `token` follows unless it is released."""

    def release_token(self) -> None:
        """Give the token back or leave the line; nothing if neither is the case."""

    def announce(self, generation: int) -> None:
        """This generation answers: whoever waits may go there, and later ones too."""

    def refuse(self, cause: str, retry: float, everyone: bool) -> None:
        """
        Send away who waits and cannot be served within `retry` seconds, or everyone.
        """

    def waited_for(self) -> bool:
        """Does anybody wait for this app now?"""

    def in_use(self) -> bool:
        """Was it used so lately that it should come back by itself?"""

    def idle_left(self) -> float | None:
        """Seconds until it counts as idle; None: never."""

    def entered(self, state: str) -> None:
        """The app is now in this state."""


class Daemon(Protocol):
    """Inputs: everything that can happen to an app's daemon."""

    def wake(self) -> None:
        """Somebody wants it."""

    def token(self) -> None:
        """It is this app's turn to start."""

    def ready(self, generation: int) -> None:
        """A probe was answered."""

    def unready(self, generation: int) -> None:
        """A probe found that this will never answer."""

    def exited(self, generation: int) -> None:
        """The process and its group are gone."""

    def quiesced(self, question: int, idle: bool) -> None:
        """All edges have answered."""

    def changed(self) -> None:
        """Its configuration is another one, or an operator wants it new."""

    def review(self) -> None:
        """When it counts as idle may have changed."""

    def dismiss(self, drain: float) -> None:
        """It has to go, and stay away until the next wake; requests may finish first."""

    def taken_back(self, generation: int) -> None:
        """A generation launched by an earlier keeper serves."""

    def _alarm(self) -> None:
        """The time of the present state is up."""

    def _coming_ready(self) -> None: ...

    def _coming_failed(self) -> None: ...

    def _coming_ended(self) -> None: ...

    def _serving_ended(self) -> None: ...

    def _ending_ended(self) -> None: ...

    def _all_idle(self) -> None: ...

    def _not_idle(self) -> None: ...

    def _dismissed(self) -> None: ...

    # where to go next, decided by a look at the core or the world
    def _queue(self) -> None: ...

    def _rest(self) -> None: ...

    def _serve(self) -> None: ...

    def _ask_idle(self) -> None: ...

    def _reload(self) -> None: ...

    def _back_off(self) -> None: ...

    def _give_up(self) -> None: ...


@dataclass
class DaemonCore:
    """What the states share."""

    ports: DaemonPorts
    start_timeout: float = 60.0
    stop_timeout: float = 10.0
    # seconds for requests, and for WebSockets, on a generation that has to go
    drain: float = 30.0
    drain_websockets: float = 0.0
    state: str = "COLD"
    serving: int | None = None
    coming: int | None = None
    endings: dict[int, tuple[Ending, EndingCore]] = field(default_factory=dict)
    launched_at: float = 0.0
    ready_at: float = 0.0
    failures: list[float] = field(default_factory=list)
    # how often in a row it was given up, and when the next wake is a new try
    given_up: int = 0
    retry_at: float = 0.0
    # the coming generation was launched with a configuration that is no longer valid
    again: bool = False
    # the generation that is being ended failed to start
    blamed: bool = False
    # the last replacement did not come up; the old generation serves on
    degraded: bool = False
    # the question to the edges whose answer the present state waits for
    question: int | None = None
    questions: int = 0
    dismiss_drain: float = 0.0
    # told of a generation that survives KILL; it is in its place until `exited`
    stuck: Callable[[int], None] = lambda generation: None
    alarm: Alarm = field(init=False)

    def __post_init__(self) -> None:
        self.alarm = Alarm(self.ports)

    @property
    def answering(self) -> int:
        """The serving generation, in a state that has one."""
        if self.serving is None:
            raise AssertionError(f"nothing serves in {self.state}")
        return self.serving

    @property
    def lasting(self) -> int | None:
        """The generation that any edge may use; none while it is asked about or has to go."""
        return self.serving if self.state in ("READY", "RELOADING") else None

    def enter(self, state: str, token: bool = False) -> None:
        self.alarm.clear()
        self.question = None
        if not token:
            self.ports.release_token()
        if state != self.state:
            self.state = state
            self.ports.entered(state)

    def ask(self) -> int:
        self.questions += 1
        return self.questions

    def launch(self) -> None:
        self.coming = self.ports.number()
        self.launched_at = self.ports.seconds()
        self.again = False
        self.ports.spawn(self.coming)

    def promote(self) -> None:
        """The coming generation is the serving one."""
        self.serving, self.coming = self.coming, None
        self.ready_at = self.ports.seconds()
        self.degraded = False

    def end(self, generation: int | None, drain: float = 0.0) -> None:
        """Bring it to its end, once."""
        if generation is None or generation in self.endings:
            return
        lasting = self.drain_websockets
        core = EndingCore(
            *(self.ports, generation, drain, self.stop_timeout, self.ask),
            lasting=lasting,
            stuck=self.stuck,
        )
        ending = make_ending(core)
        self.endings[generation] = (ending, core)
        if drain > 0:
            ending.drain()
        else:
            ending.tell()

    def hurry(self) -> None:
        """No more patience with anything that is ending."""
        for ending, _ in list(self.endings.values()):
            ending.tell()

    def fail(self, daemon: Daemon) -> None:
        """Count a failed start, and go where that leads."""
        now = self.ports.seconds()
        self.failures = [t for t in self.failures if t > now - FAILURE_WINDOW] + [now]
        if self.given_up or len(self.failures) >= FAILURES_MAX:
            daemon._give_up()
        else:
            daemon._back_off()

    def forgive(self) -> None:
        self.failures.clear()
        self.given_up = 0
        self.blamed = False

    def pause(self) -> float:
        """Seconds before the next try: doubling, never the same for two apps."""
        doubled: float = PAUSE_FIRST * 2.0 ** max(len(self.failures) - 1, 0)
        return min(doubled, PAUSE_MAX) * (1 + JITTER * (2 * self.ports.random() - 1))

    def again_or_rest(self, daemon: Daemon, wanted: bool) -> None:
        if wanted:
            daemon._queue()
        else:
            daemon._rest()
