"""
What an app's states do when they are entered.

In:  `supervise.machine`: every transition into a state ends in the one function here that
     belongs to it.
Out: calls on `DaemonPorts`. No Twisted in here.

`DaemonCore.enter` forgets the timer of the state before and gives back the start token.
"""

from __future__ import annotations

from hostedge.supervise.generations import FAILURE_WINDOW, Daemon, DaemonCore

HALF_OPEN_FIRST = 60.0
HALF_OPEN_MAX = 300.0
UNWANTED_AFTER = 5.0  # a queued app that nobody waits for any more leaves the queue
ANSWER_GUARD = 5.0  # the edges answer within 1 s, or something is wrong with the answer
RENEWAL_LOOK = 0.25  # between two looks whether a daemon that was told to renew itself has


def rest(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("COLD")
    if core.failures:
        core.alarm.set(FAILURE_WINDOW, daemon._alarm)


def disable(daemon: Daemon, core: DaemonCore) -> None:
    core.forgive()
    core.enter("DISABLED")


def stick(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("STUCK")


# from the first wake to the first answer


def queue(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("QUEUED", token=True)
    core.ports.tell("queued")
    core.alarm.set(UNWANTED_AFTER, daemon._alarm)
    ask_if_room(daemon, core)


def ask_if_room(daemon: Daemon, core: DaemonCore) -> None:
    if core.room:
        core.ports.ask_token()


def start(daemon: Daemon, core: DaemonCore) -> None:
    go_on_starting(daemon, core)
    core.launch()


def go_on_starting(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("STARTING", token=True)
    core.alarm.set(core.start_timeout, daemon._alarm)


def serve(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("READY")
    watch_idleness(daemon, core)


def watch_idleness(daemon: Daemon, core: DaemonCore) -> None:
    times = core.ports.idle_left(), core.ports.freeze_left()
    left = [each for each in times if each is not None]
    if left:
        # not at once: who was found busy is asked again after a second at the earliest
        core.alarm.set(max(min(left), 1.0), daemon._alarm)
    else:
        core.alarm.clear()


# idle


def ask_idle(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("DRAINING")
    core.alarm.set(ANSWER_GUARD, daemon._alarm)
    core.question = core.ask()
    core.ports.quiesce(core.answering, core.question)


def freeze(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("FROZEN")
    core.ports.freeze(core.answering)
    core.ports.tell("frozen", core.answering)
    left = core.ports.idle_left()
    if left is not None:
        core.alarm.set(max(left, 1.0), daemon._alarm)


def stop(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("STOPPING")
    core.end(core.coming)
    core.end(core.serving)


# replaced


def reload(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("RELOADING", token=True)
    # what changes meanwhile is taken over by the same replacement
    core.alarm.set(core.settle, daemon._alarm)


def start_beside(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("RELOADING", token=True)
    core.alarm.set(core.start_timeout, daemon._alarm)
    core.launch()


def end_beside(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("RELOADING")
    core.end(core.coming)


def hold(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("RELOADING")
    core.held = True
    core.end(core.serving, core.drain, lasting=False)


def renew(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("RELOADING")
    core.deadline = core.ports.seconds() + core.start_timeout
    core.alarm.set(RENEWAL_LOOK, daemon._alarm)
    core.ports.renew(core.answering, core.ports.strategy())


def ask_renewed(daemon: Daemon, core: DaemonCore) -> None:
    core.alarm.set(core.deadline - core.ports.seconds(), daemon._alarm)
    core.ports.probe(core.answering)


def keep_old(daemon: Daemon, core: DaemonCore) -> None:
    core.degraded = True
    core.ports.tell("reload_kept_old", core.answering)
    serve(daemon, core)


# failed


def back_off(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("BACKOFF")
    pause = core.pause()
    core.retry_at = core.ports.seconds() + pause
    core.alarm.set(pause, daemon._alarm)
    core.ports.tell("backoff", failures=len(core.failures), seconds=round(pause, 1))
    core.ports.refuse("crash_loop", pause, False)


def give_up(daemon: Daemon, core: DaemonCore) -> None:
    core.enter("FAILED")
    pause = min(HALF_OPEN_FIRST * 2.0 ** min(core.given_up, 8), HALF_OPEN_MAX)
    core.given_up += 1
    core.retry_at = core.ports.seconds() + pause
    core.ports.tell("failed", failures=len(core.failures), seconds=pause)
    core.ports.refuse("crash_loop", pause, True)
    # who runs unasked is tried unasked; what nobody asks for is forgotten
    again = core.ports.waited_for()
    core.alarm.set(pause if again else FAILURE_WINDOW, daemon._alarm)


# taken out of service


def dismiss(daemon: Daemon, core: DaemonCore) -> None:
    core.forgive()
    core.held = False
    core.enter("DRAINING" if core.dismiss_drain > 0 else "STOPPING")
    if core.serving is not None and core.dismiss_drain <= 0:
        core.ports.retire(core.serving, 0.0)
    core.end(core.coming, patience=core.dismiss_patience)
    core.end(core.serving, core.dismiss_drain, core.dismiss_patience, lasting=False)
