"""
When an app's daemon is started, replaced, left alone, and brought to its end.

In:  `supervise.supervised` with wakes, tokens, readiness, exits, idleness and changes.
Out: calls on `DaemonPorts`. No Twisted in here.

A *generation* is one launched process and is in one place at a time: `coming` until it is ready,
`serving` until it is replaced or ends, `endings` while it is brought to its end. At most one is
coming and at most two live. What is said about a generation that is in no place is late, and
ignored.

Every transition into a state is made by the one function that belongs to that state; it calls
`DaemonCore.enter`, which forgets the timer of the state before and gives back the start token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder

from hostedge.supervise.ending import Alarm, Ending, EndingCore, EndingPorts, make_ending

PAUSE_FIRST = 1.0
PAUSE_MAX = 60.0
JITTER = 0.2
MIN_UPTIME = 10.0  # who served and lived that long is started again at once
STEADY = 60.0  # who served that long has its failures forgotten
FAILURE_WINDOW = 600.0
FAILURES_MAX = 5
HALF_OPEN_FIRST = 60.0
HALF_OPEN_MAX = 300.0
UNWANTED_AFTER = 5.0  # a queued app that nobody waits for any more leaves the queue
ANSWER_GUARD = 5.0  # the edges answer within 1 s, or something is wrong with the answer


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
    drain: float = 30.0
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
    alarm: Alarm = field(init=False)

    def __post_init__(self) -> None:
        self.alarm = Alarm(self.ports)

    @property
    def answering(self) -> int:
        """The serving generation, in a state that has one."""
        if self.serving is None:
            raise AssertionError(f"nothing serves in {self.state}")
        return self.serving

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
        core = EndingCore(self.ports, generation, drain, self.stop_timeout, self.ask)
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


# what the states do when they are entered


def _rest(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("COLD")


def _queue(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("QUEUED", token=True)
    core.alarm.set(UNWANTED_AFTER, daemon._alarm)
    core.ports.ask_token()


def _start(daemon: Daemon, core: DaemonCore) -> None:
    _go_on_starting(daemon, core)
    core.launch()


def _go_on_starting(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("STARTING", token=True)
    core.alarm.set(core.start_timeout, daemon._alarm)


def _serve(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("READY")
    _watch_idleness(daemon, core)


def _watch_idleness(daemon: Daemon, core: DaemonCore) -> None:
    left = core.ports.idle_left()
    if left is None:
        core.alarm.clear()
    else:
        # not at once: who was found busy is asked again after a second at the earliest
        core.alarm.set(max(left, 1.0), daemon._alarm)


def _ask_idle(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("DRAINING")
    core.alarm.set(ANSWER_GUARD, daemon._alarm)
    core.question = core.ask()
    core.ports.quiesce(core.answering, core.question)


def _reload(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("RELOADING", token=True)
    _ask_if_room(daemon, core)


def _ask_if_room(daemon: Daemon, core: DaemonCore) -> None:
    # two generations live at most: one that was replaced before has to be gone
    if not core.endings:
        core.ports.ask_token()


def _start_beside(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("RELOADING", token=True)
    core.alarm.set(core.start_timeout, daemon._alarm)
    core.launch()


def _end_beside(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("RELOADING")
    core.end(core.coming)


def _stop(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("STOPPING")
    core.end(core.coming)
    core.end(core.serving)


def _back_off(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("BACKOFF")
    pause = core.pause()
    core.retry_at = core.ports.seconds() + pause
    core.alarm.set(pause, daemon._alarm)
    core.ports.refuse("crash_loop", pause, False)


def _give_up(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("FAILED")
    pause = min(HALF_OPEN_FIRST * 2.0 ** min(core.given_up, 8), HALF_OPEN_MAX)
    core.given_up += 1
    core.retry_at = core.ports.seconds() + pause
    core.ports.refuse("crash_loop", pause, True)


def _build() -> Callable[[DaemonCore], Daemon]:
    builder = TypeMachineBuilder(Daemon, DaemonCore)

    cold = builder.state("cold")
    queued = builder.state("queued")
    starting = builder.state("starting")
    ready = builder.state("ready")
    reload_queued = builder.state("reload_queued")
    reload_starting = builder.state("reload_starting")
    reload_ending = builder.state("reload_ending")
    asking = builder.state("asking")
    stopping = builder.state("stopping")
    backoff = builder.state("backoff")
    failed = builder.state("failed")

    reloading = (reload_queued, reload_starting, reload_ending)
    up = (ready, asking, *reloading)
    down = (cold, queued, starting, stopping, backoff, failed)
    everywhere = (*down, *up)

    def announce(daemon: Daemon, core: DaemonCore) -> None:
        core.ports.announce(core.answering)

    # from the first wake to the first answer
    cold.upon(Daemon.wake).to(queued)(_queue)
    queued.upon(Daemon.token).to(starting)(_start)

    @starting.upon(Daemon._coming_ready).to(ready)
    def arrive(daemon: Daemon, core: DaemonCore) -> None:
        core.promote()
        _serve(daemon, core)
        announce(daemon, core)

    @queued.upon(Daemon._alarm).loop()
    def still_wanted(daemon: Daemon, core: DaemonCore) -> None:
        if core.ports.waited_for() or core.ports.in_use():
            core.alarm.set(UNWANTED_AFTER, daemon._alarm)
        else:
            daemon._rest()

    # a start that fails
    @starting.upon(Daemon._alarm).to(stopping)
    def too_slow(daemon: Daemon, core: DaemonCore) -> None:
        core.blamed = True
        core.ports.refuse("start_timeout", core.pause(), True)
        _stop(daemon, core)

    @starting.upon(Daemon._coming_failed).to(stopping)
    def blame(daemon: Daemon, core: DaemonCore) -> None:
        core.blamed = True
        _stop(daemon, core)

    starting.upon(Daemon._coming_ended).loop()(lambda daemon, core: core.fail(daemon))

    @backoff.upon(Daemon._alarm).loop()
    def pause_over(daemon: Daemon, core: DaemonCore) -> None:
        core.again_or_rest(daemon, core.ports.waited_for() or core.ports.in_use())

    @backoff.upon(Daemon.wake).loop()
    def not_yet(daemon: Daemon, core: DaemonCore) -> None:
        core.ports.refuse("crash_loop", core.retry_at - core.ports.seconds(), False)

    @failed.upon(Daemon.wake).loop()
    def half_open(daemon: Daemon, core: DaemonCore) -> None:
        left = core.retry_at - core.ports.seconds()
        if left <= 0:
            daemon._queue()
        else:
            core.ports.refuse("crash_loop", left, True)

    # idle
    @ready.upon(Daemon._alarm).loop()
    def look(daemon: Daemon, core: DaemonCore) -> None:
        left = core.ports.idle_left()
        if left is not None and left <= 0:
            daemon._ask_idle()
        else:
            _watch_idleness(daemon, core)

    ready.upon(Daemon._ask_idle).to(asking)(_ask_idle)
    asking.upon(Daemon._all_idle).to(stopping)(_stop)
    asking.upon(Daemon._not_idle).to(ready)(_serve)
    asking.upon(Daemon._alarm).to(ready)(_serve)

    @asking.upon(Daemon.wake).to(ready)
    def wanted_after_all(daemon: Daemon, core: DaemonCore) -> None:
        _serve(daemon, core)
        announce(daemon, core)

    # replaced: the old generation serves until the new one is ready
    ready.upon(Daemon.changed).to(reload_queued)(_reload)
    asking.upon(Daemon.changed).to(reload_queued)(_reload)
    reload_queued.upon(Daemon.token).to(reload_starting)(_start_beside)

    @reload_starting.upon(Daemon._coming_ready).to(ready)
    def swap(daemon: Daemon, core: DaemonCore) -> None:
        old = core.serving
        core.promote()
        _serve(daemon, core)
        announce(daemon, core)
        core.end(old, core.drain)

    @reload_starting.upon(Daemon.changed).to(reload_ending)
    def superseded(daemon: Daemon, core: DaemonCore) -> None:
        core.again = True
        _end_beside(daemon, core)

    reload_starting.upon(Daemon._alarm).to(reload_ending)(_end_beside)
    reload_starting.upon(Daemon._coming_failed).to(reload_ending)(_end_beside)

    @reload_starting.upon(Daemon._coming_ended).to(ready)
    def keep_old(daemon: Daemon, core: DaemonCore) -> None:
        core.degraded = True
        _serve(daemon, core)

    @reload_ending.upon(Daemon.changed).loop()
    def once_more(daemon: Daemon, core: DaemonCore) -> None:
        core.again = True

    @reload_ending.upon(Daemon._coming_ended).loop()
    def next_or_old(daemon: Daemon, core: DaemonCore) -> None:
        core.degraded = not core.again
        if core.again:
            daemon._reload()
        else:
            daemon._serve()

    reload_ending.upon(Daemon._reload).to(reload_queued)(_reload)
    reload_ending.upon(Daemon._serve).to(ready)(_serve)

    # changed while nothing serves: what failed before may work now
    @starting.upon(Daemon.changed).to(stopping)
    def start_anew(daemon: Daemon, core: DaemonCore) -> None:
        core.forgive()
        _stop(daemon, core)

    @backoff.upon(Daemon.changed).loop()
    def try_now(daemon: Daemon, core: DaemonCore) -> None:
        core.forgive()
        core.again_or_rest(daemon, core.ports.waited_for() or core.ports.in_use())

    @failed.upon(Daemon.changed).loop()
    def mended(daemon: Daemon, core: DaemonCore) -> None:
        core.forgive()
        core.again_or_rest(daemon, core.ports.waited_for())

    stopping.upon(Daemon.changed).loop()(lambda daemon, core: core.forgive())
    for state in (cold, queued, reload_queued):
        state.upon(Daemon.changed).loop().returns(None)

    # it died
    @ready.upon(Daemon._serving_ended).loop()
    def crash(daemon: Daemon, core: DaemonCore) -> None:
        if core.ports.seconds() - core.launched_at >= MIN_UPTIME:
            core.again_or_rest(daemon, core.ports.waited_for() or core.ports.in_use())
        else:
            core.fail(daemon)

    @asking.upon(Daemon._serving_ended).loop()
    def died_idle(daemon: Daemon, core: DaemonCore) -> None:
        core.again_or_rest(daemon, core.ports.waited_for())

    reload_queued.upon(Daemon._serving_ended).to(queued)(_queue)
    reload_starting.upon(Daemon._serving_ended).to(starting)(_go_on_starting)
    reload_ending.upon(Daemon._serving_ended).to(stopping)(_stop)

    @stopping.upon(Daemon._serving_ended).loop()
    def settle(daemon: Daemon, core: DaemonCore) -> None:
        if core.serving is not None or core.coming is not None:
            return
        if core.blamed:
            core.blamed = False
            core.fail(daemon)
        else:
            core.again_or_rest(daemon, core.ports.waited_for())

    stopping.upon(Daemon._coming_ended).loop()(settle)
    reload_queued.upon(Daemon._ending_ended).loop()(_ask_if_room)

    # dismissed
    def dismissed(daemon: Daemon, core: DaemonCore) -> None:
        core.blamed = False
        core.enter("DRAINING" if core.dismiss_drain > 0 else "STOPPING")
        core.end(core.coming)
        core.end(core.serving, core.dismiss_drain)

    for state in (starting, *up):
        state.upon(Daemon._dismissed).to(stopping)(dismissed)
    for state in (queued, backoff, failed):
        state.upon(Daemon._dismissed).to(cold)(_rest)
    stopping.upon(Daemon._dismissed).loop()(lambda daemon, core: core.forgive())
    cold.upon(Daemon._dismissed).loop().returns(None)

    # decided
    for state in (starting, ready, asking, stopping, backoff, failed):
        state.upon(Daemon._queue).to(queued)(_queue)
    for state in (queued, ready, asking, stopping, backoff, failed):
        state.upon(Daemon._rest).to(cold)(_rest)
    for state in (starting, ready, stopping):
        state.upon(Daemon._back_off).to(backoff)(_back_off)
        state.upon(Daemon._give_up).to(failed)(_give_up)

    # taken back from an earlier keeper
    @cold.upon(Daemon.taken_back).loop()
    def take_back(daemon: Daemon, core: DaemonCore, generation: int) -> None:
        core.serving = generation
        core.launched_at = core.ready_at = core.ports.seconds()
        daemon._serve()

    cold.upon(Daemon._serve).to(ready)(_serve)

    # wakes that find it there, or coming
    for state in (ready, *reloading):
        state.upon(Daemon.wake).loop()(announce)
    for state in (queued, starting, stopping):
        state.upon(Daemon.wake).loop().returns(None)

    # idle times
    ready.upon(Daemon.review).loop()(_watch_idleness)
    for state in everywhere:
        if state is not ready:
            state.upon(Daemon.review).loop().returns(None)

    # which generation is meant
    def sort_ready(daemon: Daemon, core: DaemonCore, generation: int) -> None:
        if generation == core.coming and generation not in core.endings:
            daemon._coming_ready()

    def sort_unready(daemon: Daemon, core: DaemonCore, generation: int) -> None:
        if generation == core.coming and generation not in core.endings:
            daemon._coming_failed()

    def sort_exit(daemon: Daemon, core: DaemonCore, generation: int) -> None:
        ending, _ = core.endings.pop(generation, (None, None))
        if ending is not None:
            ending.exited()
        if generation == core.coming:
            core.coming = None
            daemon._coming_ended()
        elif generation == core.serving:
            core.serving = None
            if core.ports.seconds() - core.ready_at >= STEADY:
                core.forgive()
            if ending is None:
                core.ports.retire(generation, core.drain)
            daemon._serving_ended()
        elif ending is not None:
            daemon._ending_ended()

    def sort_answer(daemon: Daemon, core: DaemonCore, question: int, idle: bool) -> None:
        if question == core.question:
            if idle:
                daemon._all_idle()
            else:
                daemon._not_idle()
        for ending, of in list(core.endings.values()):
            if idle and question == of.question:
                ending.finished()

    def sort_dismissal(daemon: Daemon, core: DaemonCore, drain: float) -> None:
        core.dismiss_drain = drain
        if drain <= 0:
            core.hurry()
        daemon._dismissed()

    for state in everywhere:
        state.upon(Daemon.ready).loop()(sort_ready)
        state.upon(Daemon.unready).loop()(sort_unready)
        state.upon(Daemon.exited).loop()(sort_exit)
        state.upon(Daemon.quiesced).loop()(sort_answer)
        state.upon(Daemon.dismiss).loop()(sort_dismissal)
        if state is not reload_queued:
            state.upon(Daemon._ending_ended).loop().returns(None)
        if state not in (queued, reload_queued):
            # the line was left, but the turn had come already
            state.upon(Daemon.token).loop()(lambda daemon, core: core.ports.release_token())

    return builder.build()


make_daemon = _build()
