"""
An app's generations: what can happen to them, what can be done, and where each one is.

In:  `supervise.machine`, whose states share one `DaemonCore`.
Out: calls on `DaemonPorts`. No Twisted in here.

A *generation* is one launched process and is in one place at a time: `coming` until it is ready,
`serving` until it is replaced or ends, `endings` while it is brought to its end. At most one is
coming and at most two live; who is stuck in the kernel is ending, and counts. What is said about a
generation that is in no place is late, and ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from hostedge.supervise.alarm import Alarm
from hostedge.supervise.ending import Ending, EndingCore, EndingPorts, make_ending

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

    def renew(self, generation: int, signal: str) -> None:
        """Tell its main process by this signal to take over what is new by itself."""

    def renewed(self, generation: int) -> bool:
        """Has it done so, as far as its processes show?"""

    def probe(self, generation: int) -> None:
        """Find out whether this one, which serves, still answers; `ready` or `unready` follows."""

    def freeze(self, generation: int) -> None:
        """Have its processes stand still, without any loss."""

    def thaw(self, generation: int) -> None:
        """Have them go on."""

    def strategy(self) -> str:
        """How the next one takes over now: "swap", "hold" or the name of a signal."""

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
        """Does anybody wait for this app now, or does it run without having been asked for?"""

    def in_use(self) -> bool:
        """Was it used so lately that it should come back by itself?"""

    def idle_left(self) -> float | None:
        """Seconds until it counts as idle; None: never."""

    def freeze_left(self) -> float | None:
        """Seconds until its processes may stand still; None: not while things are as they are."""

    def has_served(self, generation: int) -> bool:
        """Has it ever answered a visitor?"""

    def tell(self, event: str, generation: int = 0, **facts: object) -> None:
        """Something that its owner may want to know has happened."""

    def forgiven(self) -> None:
        """Its failures count no longer, and nothing is left of it."""

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

    def stuck(self, generation: int) -> None:
        """It was killed, and something of it will not go."""

    def squatted(self, generation: int) -> None:
        """Where it should listen somebody else does."""

    def changed(self) -> None:
        """Its configuration is another one, or an operator wants it new."""

    def review(self) -> None:
        """When it counts as idle may have changed."""

    def evict(self) -> None:
        """Others need its memory more."""

    def dismiss(self, drain: float, patience: float | None, stay: bool) -> None:
        """
        It has to go: requests may finish for `drain` seconds, KILL follows TERM after `patience`
        or its own time to stop. It stays away until it is allowed again (`stay`) or woken.
        """

    def allow(self) -> None:
        """It may run again."""

    def taken_back(self, generation: int) -> None:
        """A generation launched by an earlier keeper serves."""

    def _alarm(self) -> None:
        """The time of the present state is up."""

    def _coming_ready(self) -> None: ...

    def _coming_failed(self) -> None: ...

    def _coming_ended(self) -> None: ...

    def _serving_ready(self) -> None: ...

    def _serving_failed(self) -> None: ...

    def _serving_squatted(self) -> None: ...

    def _serving_ended(self) -> None: ...

    def _ending_ended(self) -> None: ...

    def _all_idle(self) -> None: ...

    def _not_idle(self) -> None: ...

    def _dismissed(self) -> None: ...

    # where to go next, decided by a look at the core or the world
    def _queue(self) -> None: ...

    def _start(self) -> None: ...

    def _rest(self) -> None: ...

    def _serve(self) -> None: ...

    def _ask_idle(self) -> None: ...

    def _reload(self) -> None: ...

    def _back_off(self) -> None: ...

    def _give_up(self) -> None: ...

    def _hold(self) -> None: ...

    def _renew(self) -> None: ...

    def _disable(self) -> None: ...

    def _stick(self) -> None: ...

    def _stop(self) -> None: ...

    def _freeze(self) -> None: ...


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
    # of those that are ending, who survived KILL
    stuck: set[int] = field(default_factory=set)
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
    # why that is asked: idle_stop, evicted or frozen
    purpose: str = ""
    # seconds in which changes become one replacement, and when a replacement has to be over
    settle: float = 2.0
    deadline: float = 0.0
    # the start that is under way is the second half of a replacement
    held: bool = False
    # the generation that ended last had answered visitors
    proven: bool = False
    # it is switched off as soon as nothing of it is left
    disabled: bool = False
    dismiss_drain: float = 0.0
    dismiss_patience: float | None = None
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
        lasts = self.state in ("READY", "RELOADING") and self.serving not in self.endings
        return self.serving if lasts else None

    @property
    def room(self) -> bool:
        """May one more live? An app that is replaced by hold never has two."""
        alive = len({self.serving, self.coming, *self.endings} - {None})
        return alive < (1 if self.ports.strategy() == "hold" else 2)

    def enter(self, state: str, token: bool = False) -> None:
        if self.state == "FROZEN" != state and self.serving is not None:
            # before anything else is done with it: who stands still hears no signal
            self.ports.thaw(self.serving)
            self.ports.tell("thawed", self.serving)
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

    def end(
        self,
        generation: int | None,
        drain: float = 0.0,
        patience: float | None = None,
        lasting: bool = True,
    ) -> None:
        """Bring it to its end, once; without `lasting`, WebSockets have no longer than others."""
        if generation is None or generation in self.endings:
            return
        if patience is None:
            patience = self.stop_timeout
        longer = self.drain_websockets if lasting else 0.0
        core = EndingCore(self.ports, generation, drain, patience, self.ask, longer)
        ending = make_ending(core)
        self.endings[generation] = (ending, core)
        if drain > 0:
            ending.drain()
        else:
            ending.tell()

    def hurry(self, drain: float, patience: float | None) -> None:
        """No more patience with anything that is ending than these two."""
        until = self.ports.seconds() + drain
        for ending, core in list(self.endings.values()):
            core.deadline = min(core.deadline, until)
            if patience is not None:
                core.stop_timeout = min(core.stop_timeout, patience)
            if drain <= 0:
                ending.hurry()

    def fail(self, daemon: Daemon) -> None:
        """Count a failed start, and go where that leads."""
        now = self.ports.seconds()
        self.held = False
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
        if wanted and not self.disabled:
            daemon._queue()
        else:
            self.rest(daemon)

    def rest(self, daemon: Daemon) -> None:
        """Nothing of it serves or starts."""
        self.held = False
        if self.stuck:
            daemon._stick()
        elif self.disabled:
            daemon._disable()
        else:
            daemon._rest()
