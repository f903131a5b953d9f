"""
One app that was woken: what its machine decides is done here.

In:  `supervise.daemons` with wakes, probes, activity and changes; `supervise.running` with ends.
Out: calls on `Processes`, and words to the edges.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import define
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.ipc import Use, Woken
from hostedge.model.site import Account, App
from hostedge.supervise.ending import Timer
from hostedge.supervise.generations import DaemonCore
from hostedge.supervise.journal import Entry
from hostedge.supervise.launching import digest_of, reason_of
from hostedge.supervise.logs import app_log, last_line
from hostedge.supervise.machine import make_daemon
from hostedge.supervise.running import Processes
from hostedge.supervise.surroundings import Surroundings

IN_USE = 60.0  # seconds since the last request in which a daemon that died comes back by itself


@define(eq=False)
class Waiter:
    since: float
    host: str
    woken: Deferred[Woken]


class Supervised:
    """The ports of one app's machine."""

    log = Logger()

    def __init__(self, around: Surroundings, account: Account, app: App) -> None:
        self.name = f"{account.name}/{app.name}"
        self.account = account
        self.app = app
        self.core = DaemonCore(self)
        self.why = ""
        self.since = around.reactor.seconds()
        self.processes = Processes(around, self.name, self.ended)
        self.in_flight: dict[int, int] = {}
        self.last_use = self.since
        # it was taken out of service; only a wake brings it back
        self.gone = False
        self._around = around
        self._reactor = around.reactor
        self._waiters: list[Waiter] = []
        self._announced = 0
        self._host = ""
        self._prober: int | None = None
        self._daemon = make_daemon(self.core)
        self._configure(account, app)

    # what happens

    def wake(self, host: str) -> Deferred[Woken]:
        """Fires when it is ready, or with a refusal; cancel it to wait no longer."""
        woken: Deferred[Woken] = Deferred(self._wait_no_longer)
        self.gone = False
        self.last_use = self._reactor.seconds()
        self._waiters.append(Waiter(self.last_use, host, woken))
        self._host = host
        self._daemon.wake()
        return woken

    def _wait_no_longer(self, woken: Deferred[Woken]) -> None:
        self._waiters = [each for each in self._waiters if each.woken is not woken]

    def token(self) -> None:
        self._daemon.token()

    def ready(self, generation: int) -> None:
        self._daemon.ready(generation)

    def failed(self, generation: int, cause: str) -> None:
        if generation == self.core.coming:
            self.why = f"no probe was answered: {cause}"
        self._daemon.unready(generation)

    def active(self, edge: int, use: Use) -> None:
        """What one edge does with it."""
        if use.in_flight:
            self.in_flight[edge] = use.in_flight
        else:
            self.in_flight.pop(edge, None)
        self.last_use = max(self.last_use, self._reactor.seconds() - use.age)

    def edge_came(self) -> None:
        lasting = self.core.lasting
        if lasting is not None:
            # an edge that knows where the app is needs no keeper to send requests there
            self._around.edges.moved(self.name, lasting, self._address(lasting))
        if self._prober is None:
            self._probe()

    def edge_gone(self, edge: int) -> None:
        self.in_flight.pop(edge, None)
        if self._prober == edge:
            self._probe()

    def change(self, account: Account, app: App) -> None:
        """Take over another configuration; only what concerns the launch replaces the daemon."""
        same = digest_of(app) == digest_of(self.app)
        self._configure(account, app)
        if same:
            self._daemon.review()
        else:
            self._daemon.changed()

    def _configure(self, account: Account, app: App) -> None:
        self.account, self.app = account, app
        self.core.start_timeout = app.start_timeout
        self.core.stop_timeout = app.stop_timeout
        limits = self._around.settings.limits
        self.core.drain, self.core.drain_websockets = limits.drain, limits.drain_websockets

    def restart(self) -> None:
        """Replace the daemon, or forget that it failed."""
        self._daemon.changed()

    def dismiss(self, cause: str, drain: float) -> None:
        """End it; who waits is refused."""
        self.gone = True
        self.refuse(cause, 0.0, True)
        self._daemon.dismiss(drain)
        self._rest_if_over()

    def kill(self) -> None:
        """No more patience."""
        for generation in self.processes:
            self.signal(generation, "KILL")

    def take_back(self, entry: Entry, serves: bool) -> None:
        """
        Take charge of a process of an earlier keeper: as the one that serves, or to end it.

        Raises:
            ProcessLookupError: it has ended.
        """
        self.processes.take_back(entry)
        if not serves:
            self.core.end(entry.generation)
            return
        self._announced = entry.generation
        self._daemon.taken_back(entry.generation)
        if entry.digest != digest_of(self.app):
            self._daemon.changed()

    def ended(self, generation: int, how: Failure) -> None:
        """The process and its group are gone."""
        expected = generation in self.core.endings
        if not expected:
            self.why = reason_of(how.value, last_line(self._log_file()))
            self.log.warn(
                "{app}: generation {generation}: {why}",
                app=self.name,
                generation=generation,
                why=self.why,
            )
        if generation == self.core.coming and self._prober is not None:
            self._around.edges.stop_probe(self._prober, self.name)
            self._prober = None
        last = {self.core.serving, self.core.coming} - {None} == {generation}
        self.processes.bury(generation, last)
        self._daemon.exited(generation)
        self._rest_if_over()

    def _rest_if_over(self) -> None:
        if self.core.state == "COLD" and not self.processes and not self._waiters:
            self._around.rested(self)

    def describe(self) -> dict[str, object]:
        now = self._reactor.seconds()
        generation = self.core.serving or self.core.coming or 0
        running = self.processes.get(generation)
        reason = f"the old one serves on: {self.why}" if self.core.degraded else self.why
        return {
            "app": self.name,
            "state": self.core.state,
            "reason": reason,
            "generation": generation,
            "pid": running.process.pid if running and running.process else 0,
            "since": now - self.since,
            "in_flight": sum(self.in_flight.values()),
            "idle": now - self.last_use,
        }

    # the ports of the machine

    def seconds(self) -> float:
        now: float = self._reactor.seconds()
        return now

    def call_later(self, seconds: float, what: Callable[[], None]) -> Timer:
        later: Timer = self._reactor.callLater(seconds, what)
        return later

    def random(self) -> float:
        return self._around.random()

    def number(self) -> int:
        return self._around.journal.number()

    def ask_token(self) -> None:
        self._around.ask_token(self)

    def release_token(self) -> None:
        self._around.release_token(self)

    def spawn(self, generation: int) -> None:
        self.processes.launch(generation, self.account, self.app)
        self._probe()

    def _address(self, generation: int) -> str:
        running = self.processes.get(generation)
        return "" if running is None else running.entry.address

    def _log_file(self) -> Path:
        return app_log(self._around.settings.logs, self.account.name, self.app.name)

    def _probe(self) -> None:
        running = self.processes.get(self.core.coming)
        if running is None or running.process is None:
            return
        self._prober = self._around.edges.probe(
            self._prober,
            self.name,
            running.entry.generation,
            running.entry.address,
            self._host,
            running.held is not None,
        )

    def signal(self, generation: int, name: str) -> None:
        self.processes.signal(generation, name)

    def announce(self, generation: int) -> None:
        running = self.processes.get(generation)
        if running is None or running.lives is None:
            # whoever waits was refused there already; the next generation is for them
            return
        if generation != self._announced:
            self._announced = generation
            self._prober = None
            self.why = ""
            self.processes.note(generation, ready=True)
            self._around.edges.moved(self.name, generation, running.entry.address)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            self._answer(waiter, Woken(generation, running.entry.address))

    def refuse(self, cause: str, retry: float, everyone: bool) -> None:
        if cause == "start_timeout":
            self.why = f"it did not answer within {self.app.start_timeout:g} s"
        patience = self._around.settings.limits.hold_timeout
        until = self._reactor.seconds() + retry
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if everyone or waiter.since + patience < until:
                self._answer(waiter, Woken(refusal=cause, retry=max(retry, 0.0)))
            else:
                self._waiters.append(waiter)

    def _answer(self, waiter: Waiter, woken: Woken) -> None:
        # in a turn of its own: this is the middle of a transition, and who is answered may ask
        def answer() -> None:
            if not waiter.woken.called:
                waiter.woken.callback(woken)

        self._reactor.callLater(0, answer)

    def retire(self, generation: int, deadline: float) -> None:
        self._around.edges.retire(self.name, generation, deadline)

    def quiesce(self, generation: int, question: int) -> None:
        answer = self._around.edges.quiesce(self.name, generation)
        answer.addErrback(self._no_answer).addCallback(self._answered, question)

    def _no_answer(self, failure: Failure) -> bool:
        self.log.failure("{app}: asking the edges", failure, app=self.name)
        return False

    def _answered(self, idle: bool, question: int) -> None:
        if not idle:
            self.last_use = self._reactor.seconds()
        self._daemon.quiesced(question, idle)

    def waited_for(self) -> bool:
        if self.gone:
            return False
        return bool(self._waiters) or self.processes.has_waiting()

    def in_use(self) -> bool:
        if self.gone:
            return False
        return bool(self.in_flight) or self._reactor.seconds() - self.last_use < IN_USE

    def idle_left(self) -> float | None:
        if self.app.idle <= 0:
            return None
        if any(self.in_flight.values()):
            return self.app.idle
        left: float = self.last_use + self.app.idle - self.seconds()
        return left

    def entered(self, state: str) -> None:
        self.since = self._reactor.seconds()
        self.log.info("{app} is {state}", app=self.name, state=state)
        if state in ("COLD", "FAILED"):
            self.processes.close_left()
        self._rest_if_over()
