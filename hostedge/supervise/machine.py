"""
When an app's daemon is started, replaced, left alone, and brought to its end.

In:  `supervise.supervised` with wakes, tokens, readiness, exits, idleness and changes.
Out: calls on `DaemonPorts`, most of them by `supervise.entering`. No Twisted in here.
"""

from __future__ import annotations

from collections.abc import Callable

from automat import TypeMachineBuilder

from hostedge.supervise import entering as enter
from hostedge.supervise.generations import STEADY, Daemon, DaemonCore

MIN_UPTIME = 10.0  # who served and lived that long is started again at once


def _build() -> Callable[[DaemonCore], Daemon]:
    builder = TypeMachineBuilder(Daemon, DaemonCore)

    cold = builder.state("cold")
    queued = builder.state("queued")
    starting = builder.state("starting")
    ready = builder.state("ready")
    frozen = builder.state("frozen")
    # to be replaced: changes are collected, then one of three ways is taken
    reload_queued = builder.state("reload_queued")
    # swap: the next one starts beside; it is ended when it did not come up or is outdated
    reload_starting = builder.state("reload_starting")
    reload_ending = builder.state("reload_ending")
    # hold: the old one ends first
    reload_holding = builder.state("reload_holding")
    # a signal: it does it by itself, and is probed then
    reload_renewing = builder.state("reload_renewing")
    reload_probing = builder.state("reload_probing")
    asking = builder.state("asking")
    stopping = builder.state("stopping")
    backoff = builder.state("backoff")
    failed = builder.state("failed")
    stuck = builder.state("stuck")
    disabled = builder.state("disabled")

    renewing = (reload_renewing, reload_probing)
    serving_on = (reload_queued, reload_starting, reload_ending, *renewing)
    up = (ready, frozen, asking, *serving_on, reload_holding)
    at_rest = (cold, stuck, disabled)
    down = (*at_rest, queued, starting, stopping, backoff, failed)
    everywhere = (*down, *up)

    def announce(daemon: Daemon, core: DaemonCore) -> None:
        core.ports.announce(core.answering)

    # from the first wake to the first answer
    cold.upon(Daemon.wake).to(queued)(enter.queue)
    stuck.upon(Daemon.wake).to(queued)(enter.queue)
    queued.upon(Daemon._start).to(starting)(enter.start)
    queued.upon(Daemon._ending_ended).loop()(enter.ask_if_room)

    @starting.upon(Daemon._coming_ready).to(ready)
    def arrive(daemon: Daemon, core: DaemonCore) -> None:
        core.promote()
        enter.serve(daemon, core)
        announce(daemon, core)
        if core.held:
            core.held = False
            core.ports.tell("reload_ok", core.answering)

    @queued.upon(Daemon._alarm).loop()
    def still_wanted(daemon: Daemon, core: DaemonCore) -> None:
        if core.ports.waited_for():
            core.alarm.set(enter.UNWANTED_AFTER, daemon._alarm)
        else:
            core.rest(daemon)

    # a start that fails
    @starting.upon(Daemon._alarm).to(stopping)
    def too_slow(daemon: Daemon, core: DaemonCore) -> None:
        core.blamed = True
        core.ports.tell("start_timeout", core.coming or 0)
        core.ports.refuse("start_timeout", core.pause(), True)
        enter.stop(daemon, core)

    @starting.upon(Daemon._coming_failed).to(stopping)
    def blame(daemon: Daemon, core: DaemonCore) -> None:
        core.blamed = True
        enter.stop(daemon, core)

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
            core.ports.tell("half_open")
            daemon._queue()
        else:
            core.ports.refuse("crash_loop", left, True)

    @failed.upon(Daemon._alarm).loop()
    def unasked_or_forgotten(daemon: Daemon, core: DaemonCore) -> None:
        if core.ports.waited_for():
            core.ports.tell("half_open")
            daemon._queue()
        else:
            core.forgive()
            core.rest(daemon)

    @cold.upon(Daemon._alarm).loop()
    def forgiven(daemon: Daemon, core: DaemonCore) -> None:
        core.forgive()
        core.ports.forgiven()

    # idle
    @ready.upon(Daemon._alarm).loop()
    def look(daemon: Daemon, core: DaemonCore) -> None:
        idle, freeze = core.ports.idle_left(), core.ports.freeze_left()
        if idle is not None and idle <= 0:
            core.purpose = "idle_stop"
        elif freeze is not None and freeze <= 0:
            core.purpose = "frozen"
        else:
            enter.watch_idleness(daemon, core)
            return
        daemon._ask_idle()

    @asking.upon(Daemon._all_idle).loop()
    def idle(daemon: Daemon, core: DaemonCore) -> None:
        if core.purpose == "frozen":
            daemon._freeze()
        else:
            core.ports.tell(core.purpose, core.answering)
            daemon._stop()

    ready.upon(Daemon._ask_idle).to(asking)(enter.ask_idle)
    asking.upon(Daemon._stop).to(stopping)(enter.stop)
    asking.upon(Daemon._freeze).to(frozen)(enter.freeze)
    asking.upon(Daemon._not_idle).to(ready)(enter.serve)
    asking.upon(Daemon._alarm).to(ready)(enter.serve)

    @asking.upon(Daemon.wake).to(ready)
    def wanted_after_all(daemon: Daemon, core: DaemonCore) -> None:
        enter.serve(daemon, core)
        announce(daemon, core)

    # frozen: the edges have nothing in flight, and ask before they send anything
    frozen.upon(Daemon.wake).to(ready)(wanted_after_all)

    @frozen.upon(Daemon._alarm).loop()
    def idle_and_frozen(daemon: Daemon, core: DaemonCore) -> None:
        left = core.ports.idle_left()
        if left is None:
            core.alarm.clear()
        elif left > 0:
            core.alarm.set(max(left, 1.0), daemon._alarm)
        else:
            core.ports.tell("idle_stop", core.answering)
            daemon._stop()

    frozen.upon(Daemon.review).loop()(idle_and_frozen)

    frozen.upon(Daemon._stop).to(stopping)(enter.stop)

    # others need its memory
    @ready.upon(Daemon.evict).loop()
    def ask_to_evict(daemon: Daemon, core: DaemonCore) -> None:
        core.purpose = "evicted"
        daemon._ask_idle()

    @frozen.upon(Daemon.evict).loop()
    def evict(daemon: Daemon, core: DaemonCore) -> None:
        core.ports.tell("evicted", core.answering)
        daemon._stop()

    for state in everywhere:
        if state not in (ready, frozen):
            state.upon(Daemon.evict).loop().returns(None)

    # replaced
    for state in (ready, frozen, asking):
        state.upon(Daemon.changed).to(reload_queued)(enter.reload)

    @reload_queued.upon(Daemon._alarm).loop()
    def choose_way(daemon: Daemon, core: DaemonCore) -> None:
        strategy = core.ports.strategy()
        if strategy == "hold":
            daemon._hold()
        elif strategy == "swap":
            enter.ask_if_room(daemon, core)
        else:
            daemon._renew()

    reload_queued.upon(Daemon._ending_ended).loop()(
        # while changes are still collected the alarm will see to it
        lambda daemon, core: None if core.alarm.is_set else choose_way(daemon, core)
    )
    reload_queued.upon(Daemon._start).to(reload_starting)(enter.start_beside)
    reload_queued.upon(Daemon._hold).to(reload_holding)(enter.hold)
    reload_queued.upon(Daemon._renew).to(reload_renewing)(enter.renew)

    # by swap: the old generation serves until the new one is ready
    @reload_starting.upon(Daemon._coming_ready).to(ready)
    def swap(daemon: Daemon, core: DaemonCore) -> None:
        old = core.serving
        core.promote()
        enter.serve(daemon, core)
        announce(daemon, core)
        core.ports.tell("reload_ok", core.answering)
        core.end(old, core.drain)

    @reload_starting.upon(Daemon.changed).to(reload_ending)
    def superseded(daemon: Daemon, core: DaemonCore) -> None:
        core.again = True
        enter.end_beside(daemon, core)

    reload_starting.upon(Daemon._alarm).to(reload_ending)(enter.end_beside)
    reload_starting.upon(Daemon._coming_failed).to(reload_ending)(enter.end_beside)
    reload_starting.upon(Daemon._coming_ended).to(ready)(enter.keep_old)

    @reload_ending.upon(Daemon.changed).loop()
    def once_more(daemon: Daemon, core: DaemonCore) -> None:
        core.again = True

    @reload_ending.upon(Daemon._coming_ended).loop()
    def next_or_old(daemon: Daemon, core: DaemonCore) -> None:
        if core.again:
            daemon._reload()
        else:
            daemon._serve()

    reload_ending.upon(Daemon._reload).to(reload_queued)(enter.reload)
    reload_ending.upon(Daemon._serve).to(ready)(enter.keep_old)

    # by a signal: it has to show new processes, and to answer
    @reload_renewing.upon(Daemon._alarm).loop()
    def look_for_renewal(daemon: Daemon, core: DaemonCore) -> None:
        if core.ports.renewed(core.answering):
            daemon._ask_idle()
        elif core.ports.seconds() >= core.deadline:
            daemon._serve()
        else:
            core.alarm.set(enter.RENEWAL_LOOK, daemon._alarm)

    reload_renewing.upon(Daemon._ask_idle).to(reload_probing)(enter.ask_renewed)
    reload_renewing.upon(Daemon._serve).to(ready)(enter.keep_old)
    reload_probing.upon(Daemon._alarm).to(ready)(enter.keep_old)
    reload_probing.upon(Daemon._serving_failed).to(ready)(enter.keep_old)

    @reload_probing.upon(Daemon._serving_ready).to(ready)
    def renewed(daemon: Daemon, core: DaemonCore) -> None:
        core.degraded = False
        enter.serve(daemon, core)
        core.ports.tell("reload_ok", core.answering)

    for state in renewing:
        state.upon(Daemon.changed).to(reload_queued)(enter.reload)

    # changed while nothing serves: what failed before may work now
    @starting.upon(Daemon.changed).to(stopping)
    def start_anew(daemon: Daemon, core: DaemonCore) -> None:
        core.forgive()
        enter.stop(daemon, core)

    @backoff.upon(Daemon.changed).loop()
    def try_now(daemon: Daemon, core: DaemonCore) -> None:
        core.forgive()
        core.again_or_rest(daemon, core.ports.waited_for() or core.ports.in_use())

    @failed.upon(Daemon.changed).loop()
    def mended(daemon: Daemon, core: DaemonCore) -> None:
        core.forgive()
        core.again_or_rest(daemon, core.ports.waited_for())

    stopping.upon(Daemon.changed).loop()(lambda daemon, core: core.forgive())
    for state in (cold, queued, stuck, disabled, reload_queued, reload_holding):
        state.upon(Daemon.changed).loop().returns(None)

    # it died
    @ready.upon(Daemon._serving_ended).loop()
    def crash(daemon: Daemon, core: DaemonCore) -> None:
        if core.proven and core.ports.seconds() - core.launched_at >= MIN_UPTIME:
            core.again_or_rest(daemon, core.ports.waited_for() or core.ports.in_use())
        else:
            core.fail(daemon)

    for state in renewing:
        state.upon(Daemon._serving_ended).loop()(crash)

    @asking.upon(Daemon._serving_ended).loop()
    def died_idle(daemon: Daemon, core: DaemonCore) -> None:
        core.again_or_rest(daemon, core.ports.waited_for())

    frozen.upon(Daemon._serving_ended).loop()(died_idle)
    reload_queued.upon(Daemon._serving_ended).to(queued)(enter.queue)
    reload_starting.upon(Daemon._serving_ended).to(starting)(enter.go_on_starting)
    reload_ending.upon(Daemon._serving_ended).to(stopping)(enter.stop)
    reload_holding.upon(Daemon._serving_ended).to(queued)(enter.queue)

    @stopping.upon(Daemon._serving_ended).loop()
    def settle(daemon: Daemon, core: DaemonCore) -> None:
        if core.serving is not None or core.coming is not None:
            return
        if core.blamed and not core.disabled:
            core.blamed = False
            core.fail(daemon)
        else:
            core.again_or_rest(daemon, core.ports.waited_for())

    stopping.upon(Daemon._coming_ended).loop()(settle)

    # something that is not ours listens in its place
    def leave_to_squatter(daemon: Daemon, core: DaemonCore) -> None:
        core.blamed = True
        core.ports.retire(core.answering, 0.0)
        enter.stop(daemon, core)

    for state in up:
        state.upon(Daemon._serving_squatted).to(stopping)(leave_to_squatter)

    # dismissed
    def forget(daemon: Daemon, core: DaemonCore) -> None:
        core.forgive()
        core.rest(daemon)

    for state in (starting, *up):
        state.upon(Daemon._dismissed).to(stopping)(enter.dismiss)
    for state in (queued, backoff, failed, *at_rest):
        state.upon(Daemon._dismissed).loop()(forget)
    stopping.upon(Daemon._dismissed).loop()(lambda daemon, core: core.forgive())

    @disabled.upon(Daemon.allow).loop()
    def allowed(daemon: Daemon, core: DaemonCore) -> None:
        core.disabled = False
        core.again_or_rest(daemon, core.ports.waited_for())

    @disabled.upon(Daemon.wake).loop()
    def disabled_still(daemon: Daemon, core: DaemonCore) -> None:
        core.ports.refuse("disabled", 0.0, True)

    def allowed_before_it_ended(daemon: Daemon, core: DaemonCore) -> None:
        core.disabled = False

    for state in everywhere:
        if state is not disabled:
            state.upon(Daemon.allow).loop()(allowed_before_it_ended)

    # stuck in the kernel: what nobody can end is waited for
    @stuck.upon(Daemon._ending_ended).loop()
    def out_at_last(daemon: Daemon, core: DaemonCore) -> None:
        core.again_or_rest(daemon, core.ports.waited_for())

    # decided
    for state in (starting, ready, frozen, asking, *renewing, stopping, backoff, failed, stuck):
        state.upon(Daemon._queue).to(queued)(enter.queue)
    disabled.upon(Daemon._queue).to(queued)(enter.queue)
    for state in (queued, ready, frozen, asking, *renewing, stopping, backoff, failed, *at_rest):
        state.upon(Daemon._rest).to(cold)(enter.rest)
        state.upon(Daemon._disable).to(disabled)(enter.disable)
        state.upon(Daemon._stick).to(stuck)(enter.stick)
    for state in (starting, ready, *renewing, stopping):
        state.upon(Daemon._back_off).to(backoff)(enter.back_off)
        state.upon(Daemon._give_up).to(failed)(enter.give_up)

    # taken back from an earlier keeper
    @cold.upon(Daemon.taken_back).loop()
    def take_back(daemon: Daemon, core: DaemonCore, generation: int) -> None:
        core.serving = generation
        core.launched_at = core.ready_at = core.ports.seconds()
        daemon._serve()

    cold.upon(Daemon._serve).to(ready)(enter.serve)

    # wakes that find it there, or coming
    for state in (ready, *serving_on):
        state.upon(Daemon.wake).loop()(announce)
    for state in (queued, starting, stopping, reload_holding):
        state.upon(Daemon.wake).loop().returns(None)

    # idle times
    ready.upon(Daemon.review).loop()(enter.watch_idleness)
    for state in everywhere:
        if state not in (ready, frozen):
            state.upon(Daemon.review).loop().returns(None)

    # which generation is meant
    def sort_ready(daemon: Daemon, core: DaemonCore, generation: int) -> None:
        if generation in core.endings:
            return
        if generation == core.coming:
            daemon._coming_ready()
        elif generation == core.serving:
            daemon._serving_ready()

    def sort_unready(daemon: Daemon, core: DaemonCore, generation: int) -> None:
        if generation in core.endings:
            return
        if generation == core.coming:
            core.ports.tell("unready", generation)
            daemon._coming_failed()
        elif generation == core.serving:
            daemon._serving_failed()

    def sort_squatter(daemon: Daemon, core: DaemonCore, generation: int) -> None:
        if generation in core.endings or generation not in (core.coming, core.serving):
            return
        core.ports.tell("squatted", generation)
        if generation == core.coming:
            core.ports.refuse("squatted", core.pause(), core.serving is None)
            daemon._coming_failed()
        else:
            core.ports.refuse("squatted", core.pause(), True)
            daemon._serving_squatted()

    def leave_place(daemon: Daemon, core: DaemonCore, generation: int) -> bool:
        """The generation is in its place no more; False: it was in none."""
        if generation == core.coming:
            core.coming = None
            daemon._coming_ended()
        elif generation == core.serving:
            core.serving = None
            core.proven = core.ports.has_served(generation)
            if core.ports.seconds() - core.ready_at >= STEADY:
                core.forgive()
            daemon._serving_ended()
        else:
            return False
        return True

    def sort_exit(daemon: Daemon, core: DaemonCore, generation: int) -> None:
        core.stuck.discard(generation)
        ending, _ = core.endings.pop(generation, (None, None))
        if ending is not None:
            ending.exited()
        elif generation == core.serving:
            core.ports.retire(generation, core.drain)
        if not leave_place(daemon, core, generation) and ending is not None:
            daemon._ending_ended()

    def sort_stuck(daemon: Daemon, core: DaemonCore, generation: int) -> None:
        if generation in core.stuck:
            return
        if generation not in (core.coming, core.serving, *core.endings):
            return
        if generation not in core.endings:
            # the process is gone; what it has started is not
            core.ports.retire(generation, 0.0)
            core.end(generation)
        core.stuck.add(generation)
        core.ports.tell("stuck", generation)
        leave_place(daemon, core, generation)

    def sort_answer(daemon: Daemon, core: DaemonCore, question: int, idle: bool) -> None:
        if question == core.question:
            if idle:
                daemon._all_idle()
            else:
                daemon._not_idle()
        for ending, of in list(core.endings.values()):
            if idle and question == of.question:
                ending.finished()

    def sort_dismissal(
        daemon: Daemon, core: DaemonCore, drain: float, patience: float | None, stay: bool
    ) -> None:
        core.dismiss_drain, core.dismiss_patience, core.disabled = drain, patience, stay
        core.hurry(drain, patience)
        daemon._dismissed()

    for state in everywhere:
        state.upon(Daemon.ready).loop()(sort_ready)
        state.upon(Daemon.unready).loop()(sort_unready)
        state.upon(Daemon.squatted).loop()(sort_squatter)
        state.upon(Daemon.exited).loop()(sort_exit)
        state.upon(Daemon.stuck).loop()(sort_stuck)
        state.upon(Daemon.quiesced).loop()(sort_answer)
        state.upon(Daemon.dismiss).loop()(sort_dismissal)
        if state not in (queued, reload_queued, stuck):
            state.upon(Daemon._ending_ended).loop().returns(None)
        if state is not reload_probing:
            state.upon(Daemon._serving_ready).loop().returns(None)
            state.upon(Daemon._serving_failed).loop().returns(None)
        if state not in (queued, reload_queued):
            # the line was left, but the turn had come already
            state.upon(Daemon.token).loop()(lambda daemon, core: core.ports.release_token())

    def take_turn(daemon: Daemon, core: DaemonCore) -> None:
        if core.room:
            daemon._start()
        else:
            core.ports.release_token()

    for state in (queued, reload_queued):
        state.upon(Daemon.token).loop()(take_turn)

    return builder.build()


make_daemon = _build()
