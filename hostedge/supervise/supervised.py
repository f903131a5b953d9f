"""
One app that was woken: what its machine decides is done here.

In:  `supervise.daemons` with wakes, probes, activity and changes; `supervise.running` with ends.
Out: calls on `Processes`, words to the edges, events.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import asdict
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.ipc import Use, Woken
from hostedge.model.site import Account, App
from hostedge.supervise import bound, reasons
from hostedge.supervise.alarm import Timer
from hostedge.supervise.demand import Demand
from hostedge.supervise.generations import DaemonCore
from hostedge.supervise.journal import Entry
from hostedge.supervise.launching import digest_of
from hostedge.supervise.machine import make_daemon
from hostedge.supervise.next_timer import next_timer
from hostedge.supervise.probing import Binding, Probing
from hostedge.supervise.renewal import Renewal
from hostedge.supervise.running import Processes
from hostedge.supervise.surroundings import Surroundings
from hostedge.supervise.telling import Telling
from hostedge.supervise.waiting import Waiting

# of these its owner is told why
EXPLAINED = frozenset({"unready", "backoff", "failed", "reload_kept_old"})


class Supervised:
    """The ports of one app's machine."""

    log = Logger()

    def __init__(self, around: Surroundings, account: Account, app: App) -> None:
        self.name = f"{account.name}/{app.name}"
        self.account = account
        self.app = app
        self.why = ""
        self.since = around.reactor.seconds()
        self.processes = Processes(around, self.name, self)
        self.demand = Demand(self.since)
        # it was taken out of service; only a wake brings it back
        self.gone = False
        self._around = around
        self._reactor = around.reactor
        self._waiting = Waiting(around.reactor)
        self._probing = Probing(around.edges, self.name, self.processes)
        self._telling = Telling(around, self.name)
        self._announced = 0
        # ports of the machine that others are
        self.seconds: Callable[[], float] = around.reactor.seconds
        self.call_later: Callable[[float, Callable[[], None]], Timer] = around.reactor.callLater
        self.random = around.random
        self.number = around.journal.number
        self.probe = self._probing.begin
        self.renew, self.renewed = self.processes.renew, self.processes.renewed
        self.freeze, self.thaw = self.processes.freeze, self.processes.thaw
        self.has_served = self.demand.has_served
        self.forgiven = self._rest_if_over
        self._renewal = Renewal(self, self.processes.memory)
        self._binding = Binding(self, self.processes, self._bound)
        self.core = DaemonCore(self)
        self._daemon = make_daemon(self.core)
        self._configure(account, app)

    # what happens

    def wake(self, host: str) -> Deferred[Woken]:
        """Fires when it is ready, or with a refusal; cancel it to wait no longer."""
        self.gone = False
        self.demand.last = self._reactor.seconds()
        self._probing.host = host
        self._telling.wanted("request")
        self._look_for_touch(now=True)
        if self.core.state in ("READY", "FROZEN", "RELOADING"):
            # an edge that knew where it was has not come through
            self._stands(self.core.serving)
        woken = self._waiting.add()
        self._daemon.wake()
        return woken

    def keep(self) -> None:
        """Start it unasked, if it is one that runs unasked and does not."""
        self.gone = False
        if self.core.state == "COLD":
            self._telling.wanted("always_on")
            self._daemon.wake()

    def token(self) -> None:
        self._telling.token()
        self._daemon.token()

    def ready(self, generation: int) -> None:
        self._probing.over(generation)
        # the answer may have come from somebody else
        if self._stands(generation):
            if generation == self.core.coming:
                self._binding.answered(generation)
            self._daemon.ready(generation)

    def _stands(self, generation: int | None) -> bool:
        """Is it the one who listens in its place? If not, its machine is told."""
        if generation is None or self.processes.get(generation) is None:
            return True
        place = self.processes.place(generation)
        if place == "others":
            self.why = "something else listens in its place"
            self.log.error("{app}: {why}", app=self.name, why=self.why)
            self._daemon.squatted(generation)
        elif place == "nobody" and generation == self.core.coming:
            self.failed(generation, "nobody listens there")
        else:
            return True
        return False

    def failed(self, generation: int, cause: str) -> None:
        if generation in (self.core.coming, self._probing.generation):
            self.why = f"no probe was answered: {cause}"
        self._daemon.unready(generation)

    def active(self, edge: int, use: Use) -> None:
        """What one edge does with it."""
        self.demand.note(edge, use, self._reactor.seconds())
        self._look_for_touch(now=False)

    def _look_for_touch(self, now: bool) -> None:
        """What its owner touches to have it new: looked at while it is used."""
        if self._renewal.is_touched(now):
            self.tell("restart_file", self.core.serving or 0)
            self._daemon.changed()

    def _outgrown(self, size: int, grown: bool) -> None:
        self.tell("outgrown", self.core.serving or 0, bytes=size, most=self.app.memory)
        if grown:
            self._daemon.changed()

    def edge_came(self) -> None:
        lasting = self.core.lasting
        if lasting is not None:
            # an edge that knows where the app is needs no keeper to send requests there
            self._around.edges.moved(self.name, lasting, self._address(lasting))
        self._probing.edge_came()

    def edge_gone(self, edge: int) -> None:
        self.demand.edge_gone(edge)
        self._probing.edge_gone(edge)

    def change(self, account: Account, app: App) -> None:
        """Take over another configuration; only what concerns the launch replaces the daemon."""
        same = digest_of(app) == digest_of(self.app)
        self.gone = False
        if account != self.account:
            self._around.placement.limit(account)
        self._configure(account, app)
        self._daemon.allow()
        if same:
            self._daemon.review()
        else:
            self._telling.wanted("change")
            self._daemon.changed()
        self._rest_if_over()

    def _configure(self, account: Account, app: App) -> None:
        self.account, self.app = account, app
        self.core.start_timeout = app.start_timeout
        self.core.stop_timeout = app.stop_timeout
        limits = self._around.settings.limits
        self.core.drain, self.core.drain_websockets = limits.drain, limits.drain_websockets
        home = self._around.settings.homes / account.name
        file = home / app.restart_file if app.restart_file else None
        self._renewal.configure(int(app.memory), file)

    def restart(self) -> None:
        """Replace the daemon, or forget that it failed."""
        self._telling.wanted("restart")
        self._daemon.changed()

    @property
    def expected(self) -> float:
        """Seconds until the start that is under way may be over; 0: nobody knows."""
        expected = self._around.starts.expect(self.name)
        if self.core.state == "STARTING" and expected:
            passed: float = self._reactor.seconds() - self.core.launched_at
            return max(expected - passed, 1.0)
        return expected

    @property
    def idle(self) -> float:
        """Seconds for which nobody has used it, if others' starts may end it; else 0."""
        if self.core.state not in ("READY", "FROZEN") or self.app.always_on or self.in_use():
            return 0.0
        idle: float = self._reactor.seconds() - self.demand.last
        return idle

    def evict(self) -> None:
        """Others need its memory more, if nobody is using it."""
        self._daemon.evict()

    def dismiss(
        self, cause: str, drain: float, patience: float | None = None, stay: bool = False
    ) -> None:
        """
        End it; who waits is refused. KILL comes `patience` seconds after TERM, or when the app
        says. With `stay` it is kept in mind as switched off.
        """
        self.gone = True
        if stay and not self.core.disabled:
            self.tell(cause, self.core.serving or 0)
        self.refuse(cause, 0.0, True)
        self._daemon.dismiss(drain, patience, stay)
        self._rest_if_over()

    def kill(self) -> None:
        """No more patience."""
        self.core.hurry(0.0, 0.0)
        for generation in self.processes:
            if generation not in self.core.endings:
                self.signal(generation, "KILL")

    @property
    def remains(self) -> bool:
        """Does anything of it live that can be ended?"""
        return any(generation not in self.core.stuck for generation in self.processes)

    def take_back(self, entry: Entry, serves: bool, finishes: bool = False) -> None:
        """
        Take charge of a process of an earlier keeper: as the one that serves, or to end it; with
        `finishes` once what runs on it is done.

        Raises:
            ProcessLookupError: it has ended.
        """
        self.processes.take_back(entry)
        self.tell("adopted", entry.generation, pid=entry.pid)
        # the keeper before may have frozen it
        self.processes.thaw(entry.generation)
        if not serves:
            self.core.end(entry.generation, self.core.drain if finishes else 0.0)
            return
        self._announced = entry.generation
        self._daemon.taken_back(entry.generation)
        if entry.digest != digest_of(self.app):
            self._daemon.changed()

    def executed(self, generation: int) -> None:
        """What was to be run runs."""
        if generation == self.core.coming:
            self._telling.executed(generation)
            self._binding.begin(generation)

    def _bound(self, generation: int) -> None:
        # whoever it is: an edge that asks would be answered by a stranger
        if generation == self.core.coming and self._stands(generation):
            self._telling.bound(generation)

    def ended(self, generation: int, how: Failure) -> None:
        """The process and its group are gone."""
        self._binding.over(generation)
        expected = generation in self.core.endings
        running = self.processes.get(generation)
        oom = running is not None and running.ran_out
        found = reasons.of_end(how.value, [] if expected else self.processes.said(generation), oom)
        if not expected:
            self.why = found.text
            self.log.warn(
                "{app}: generation {generation}: {why}",
                app=self.name,
                generation=generation,
                why=self.why,
            )
        pid = running.entry.pid if running else 0
        served = generation == self.core.serving
        self._telling.ended(generation, pid, how, found, oom, expected, served)
        self._probing.stop(generation)
        last = {self.core.serving, self.core.coming} - {None} == {generation}
        self.processes.bury(generation, last)
        self._daemon.exited(generation)
        self.demand.forget(generation)
        self._rest_if_over()

    def stuck(self, generation: int) -> None:
        """It was killed, and something of it does not go: nobody can end it."""
        self.why = "killed, but still there: it sits in the kernel"
        self.log.error(
            "{app}: generation {generation}: {why}",
            app=self.name,
            generation=generation,
            why=self.why,
        )
        self._daemon.stuck(generation)
        self._around.rested(self)

    def _rest_if_over(self) -> None:
        if self.core.state == "COLD" and not self.processes and not self._waiting:
            self._around.rested(self)

    def describe(self) -> dict[str, object]:
        now = self._reactor.seconds()
        generation = self.core.serving or self.core.coming or 0
        running = self.processes.get(generation)
        reason = f"the old one serves on: {self.why}" if self.core.degraded else self.why
        used = None if running is None else self.processes.used(generation)
        takes = {} if used is None else asdict(used)
        return {
            **takes,
            "app": self.name,
            "state": self.core.state,
            "reason": reason,
            "generation": generation,
            "pid": running.process.pid if running and running.process else 0,
            "since": now - self.since,
            "in_flight": self.demand.in_flight,
            "idle": now - self.demand.last,
            "next": self._next(now),
        }

    def _next(self, now: float) -> dict[str, object] | None:
        core = self.core
        lasts = core.state in ("READY", "FROZEN")
        return next_timer(
            core.state,
            now,
            retry_at=core.retry_at,
            start_ends=core.launched_at + core.start_timeout,
            idle_left=self.idle_left() if lasts else None,
            freeze_left=self.freeze_left() if lasts else None,
        )

    # the ports of the machine

    def ask_token(self) -> None:
        self._around.ask_token(self)

    def release_token(self) -> None:
        self._around.release_token(self)

    def spawn(self, generation: int) -> None:
        self._renewal.launched()
        self.processes.launch(generation, self.account, self.app)
        expected = self._around.starts.expect(self.name)
        if expected and self.core.state == "STARTING":
            self._around.edges.expect(self.name, expected)
        running = self.processes.get(generation)
        if running is not None and running.process is not None:
            self._telling.launched(generation, running.entry.pid)
            self._probing.begin(generation)

    def strategy(self) -> str:
        wanted = self.app.reload
        if wanted in ("swap", "hold"):
            return wanted
        running = self.processes.get(self.core.serving)
        # a signal cannot bring another command, folder or environment into a process
        same = running is not None and running.entry.digest == digest_of(self.app)
        return wanted if same else "swap"

    def signal(self, generation: int, name: str) -> None:
        if name == "KILL" and generation not in self.core.stuck:
            self.tell("killed", generation)
        self.processes.signal(generation, name)

    def announce(self, generation: int) -> None:
        running = self.processes.get(generation)
        if running is None or running.lives is None:
            # whoever waits was refused there already; the next generation is for them
            return
        if generation != self._announced:
            self._announced = generation
            self.why = ""
            self.processes.note(generation, ready=True)
            self._telling.ready(generation)
            taken = self._reactor.seconds() - self.core.launched_at
            self._around.starts.note(self.name, taken)
            self._around.edges.moved(self.name, generation, running.entry.address)
        self._waiting.answer(Woken(generation, running.entry.address))

    def refuse(self, cause: str, retry: float, everyone: bool) -> None:
        patience = self._around.settings.limits.hold_timeout
        self._waiting.refuse(cause, retry, patience, everyone)

    def retire(self, generation: int, deadline: float) -> None:
        self._around.edges.retire(self.name, generation, deadline)

    def quiesce(self, generation: int, question: int) -> None:
        answer = self._around.edges.quiesce(self.name, generation)
        answer.addErrback(self._no_answer).addCallback(self._answered, question)

    def _no_answer(self, failure: Failure) -> bool:
        self.log.failure("{app}: asking the edges", failure, app=self.name)
        return False

    def _answered(self, idle: bool, question: int) -> None:
        # who is busy with visitors says so by itself; programs only put the next question off
        self._daemon.quiesced(question, idle)

    def waited_for(self) -> bool:
        if self.gone:
            return False
        return bool(self._waiting) or self.app.always_on or self.processes.has_waiting()

    def in_use(self) -> bool:
        return not self.gone and self.demand.lately(self._reactor.seconds())

    def idle_left(self) -> float | None:
        if self.app.always_on:
            return None
        return self.demand.idle_left(self.app.idle, self._reactor.seconds())

    def freeze_left(self) -> float | None:
        return self.demand.freeze_left(self.app.freeze, self._reactor.seconds())

    def tell(self, event: str, generation: int = 0, **facts: object) -> None:
        if event == "queued":
            self._telling.queued(len(self._waiting))
        elif event == "start_timeout":
            found = self._silence(generation)
            self.why = found.text
            self._telling.tell(event, generation, reason=found.text, cause=found.code, **facts)
        elif event in EXPLAINED:
            self._telling.tell(event, generation, reason=self.why, **facts)
        else:
            self._telling.tell(event, generation, **facts)

    def _silence(self, generation: int) -> reasons.Reason:
        """Why it has not answered in time."""
        running = self.processes.get(generation)
        pid, address = (running.entry.pid, running.entry.address) if running else (0, "")
        listens = None if address.startswith("unix:") else bound.listens(pid)
        return reasons.of_silence(self.app.start_timeout, address, listens)

    def entered(self, state: str) -> None:
        self.since = self._reactor.seconds()
        self.log.info("{app} is {state}", app=self.name, state=state)
        if state == "READY":
            self._renewal.watch(self.core.answering, self._outgrown)
        else:
            self._renewal.pause()
        if state in ("COLD", "FAILED", "DISABLED", "STUCK"):
            self.processes.close_left()
        self._rest_if_over()

    def _address(self, generation: int) -> str:
        running = self.processes.get(generation)
        return "" if running is None else running.entry.address
