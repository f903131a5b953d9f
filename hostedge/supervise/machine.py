"""
When an app's daemon is started, replaced, left alone, and brought to its end.

In:  `supervise.supervised` with wakes, tokens, readiness, exits, idleness and changes.
Out: calls on `DaemonPorts`. No Twisted in here.

Every transition into a state is made by the one function that belongs to that state; it calls
`DaemonCore.enter`, which forgets the timer of the state before and gives back the start token.
"""

from __future__ import annotations

from collections.abc import Callable

from automat import TypeMachineBuilder

from hostedge.supervise.generations import STEADY, Daemon, DaemonCore

MIN_UPTIME = 10.0  # who served and lived that long is started again at once
HALF_OPEN_FIRST = 60.0
HALF_OPEN_MAX = 300.0
UNWANTED_AFTER = 5.0  # a queued app that nobody waits for any more leaves the queue
ANSWER_GUARD = 5.0  # the edges answer within 1 s, or something is wrong with the answer


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
