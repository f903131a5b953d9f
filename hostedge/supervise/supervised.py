"""
One app that was woken: what its machine decides is done here.

In:  `supervise.daemons` with wakes, probes, activity and changes; its processes with their ends.
Out: processes, listeners, journal entries, and words to the edges.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from attrs import define, evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.ipc import Use, Woken
from hostedge.model.site import Account, App
from hostedge.runtimes.start import Runtime
from hostedge.settings import Settings
from hostedge.supervise import bound, reasons
from hostedge.supervise.ending import Timer
from hostedge.supervise.generations import DaemonCore
from hostedge.supervise.held import Held, free_port, hold, socket_path, take_back
from hostedge.supervise.journal import Entry, Journal
from hostedge.supervise.launching import digest_of, environment
from hostedge.supervise.logs import app_log, read_tail, size_of
from hostedge.supervise.machine import make_daemon
from hostedge.supervise.process import Launch, Process, spawn

PORT_HOST = "127.0.0.1"
IN_USE = 60.0  # seconds since the last request in which a daemon that died comes back by itself


class Edges(Protocol):
    """What the daemon manager says to the edges; `links.keeper` carries it."""

    def probe(
        self, edge: int | None, app: str, generation: int, address: str, host: str, held: bool
    ) -> int | None:
        """Have this edge probe, or any if it is gone; which one does, None if there is none."""

    def stop_probe(self, edge: int, app: str) -> None:
        """What this edge probes has ended."""

    def quiesce(self, app: str, generation: int) -> Deferred[bool]:
        """Ask all; True if every one is idle. Silence is busy, a dead edge is idle."""

    def moved(self, app: str, generation: int, address: str) -> None: ...

    def retire(self, app: str, generation: int, deadline: float) -> None: ...


class Events(Protocol):
    """Who is told what happens to apps: `supervise.chronicle.Chronicle`."""

    def tell(self, event: str, app: str, generation: int = 0, **facts: Any) -> None: ...


@frozen
class Surroundings:
    """What all apps of a keeper share."""

    reactor: Any
    settings: Settings
    edges: Edges
    events: Events
    journal: Journal
    runtimes: dict[str, Runtime]
    random: Callable[[], float]
    # uid and gid of daemons; None: those of this process
    owner: tuple[int, int] | None
    ask_token: Callable[[Supervised], None]
    release_token: Callable[[Supervised], None]
    # the app is down and nothing of it is left
    rested: Callable[[Supervised], None]


@define
class Running:
    """A generation from its launch until its group is gone."""

    entry: Entry
    held: Held | None
    process: Process | None = None
    # where the log was when it was launched
    offset: int = 0


@define(eq=False)
class Waiter:
    since: float
    host: str
    woken: Deferred[Woken]


class _Watch(ProcessProtocol):
    """The end of one generation's process."""

    def __init__(self, supervised: Supervised, generation: int) -> None:
        self._supervised = supervised
        self._generation = generation

    def processEnded(self, reason: Failure) -> None:
        self._supervised.ended(self._generation, reason)


class Supervised:
    """
    The ports of one app's machine.

    `held` is a listener that no living generation owns but the next one may take over, with the
    requests that wait in it; it is closed as soon as no next one is sure to come.
    """

    log = Logger()

    def __init__(self, around: Surroundings, account: Account, app: App) -> None:
        self.name = f"{account.name}/{app.name}"
        self.account = account
        self.app = app
        self.core = DaemonCore(self)
        self.why = ""
        self.since = around.reactor.seconds()
        self.running: dict[int, Running] = {}
        self.in_flight: dict[int, int] = {}
        self.last_use = self.since
        # it was taken out of service; only a wake brings it back
        self.gone = False
        self._around = around
        self._reactor = around.reactor
        self._waiters: list[Waiter] = []
        self._held: Held | None = None
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
        self.tell("token")
        self._daemon.token()

    def tell(self, event: str, generation: int = 0, **facts: Any) -> None:
        self._around.events.tell(event, self.name, generation, **facts)

    def ready(self, generation: int) -> None:
        self._daemon.ready(generation)

    def failed(self, generation: int, cause: str) -> None:
        if generation == self.core.coming:
            self.why = f"no probe was answered: {cause}"
            self.tell("unready", generation, reason=self.why)
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
            self._around.edges.moved(self.name, lasting, self.running[lasting].entry.address)
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
        for generation in list(self.running):
            self.signal(generation, "KILL")

    def take_back(self, entry: Entry, serves: bool, finishes: bool = False) -> None:
        """
        Take charge of a process of an earlier keeper: as the one that serves, or to end it, when
        it has finished what it does or at once.

        Raises:
            ProcessLookupError: it has ended.
        """
        kind, _, path = entry.address.partition(":")
        held = take_back(entry.pid, entry.inode, Path(path)) if kind == "unix" else None
        running = self.running[entry.generation] = Running(entry, held)
        try:
            watch = _Watch(self, entry.generation)
            running.process = Process.adopt(self._reactor, watch, entry.pid, entry.started)
        except ProcessLookupError:
            del self.running[entry.generation]
            if held is not None:
                held.close()
            raise
        if not serves:
            self.core.end(entry.generation, self.core.drain if finishes else 0.0)
            return
        self._announced = entry.generation
        self.tell("adopted", entry.generation, pid=entry.pid)
        self._daemon.taken_back(entry.generation)
        if entry.digest != digest_of(self.app):
            self._daemon.changed()

    def ended(self, generation: int, how: Failure) -> None:
        """The process and its group are gone."""
        running = self.running.pop(generation)
        self._around.journal.forget(generation)
        expected = generation in self.core.endings
        said = [] if expected else read_tail(self._log_file(), running.offset)
        found = reasons.of_end(how.value, said)
        self.tell(
            "exited" if running.process is not None else "start_failed",
            generation,
            pid=running.entry.pid,
            exit=getattr(how.value, "exitCode", None),
            signal=getattr(how.value, "signal", None),
            expected=expected,
            reason=found.text,
            cause=found.code,
        )
        if not expected:
            self.why = found.text
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
        if running.held is None:
            # a port, or a socket that could not be taken back from an earlier keeper
            if running.entry.address.startswith("unix:"):
                Path(running.entry.address[5:]).unlink(missing_ok=True)
        elif last and self._held is None:
            self._held = running.held
        else:
            running.held.close()
        self._daemon.exited(generation)
        self._rest_if_over()

    def _rest_if_over(self) -> None:
        if self.core.state == "COLD" and not self.running and not self._waiters:
            self._around.rested(self)

    def describe(self) -> dict[str, object]:
        now = self._reactor.seconds()
        generation = self.core.serving or self.core.coming or 0
        running = self.running.get(generation)
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
        try:
            self._launch(generation)
        except OSError as error:
            running = self.running.get(generation)
            if running is None:
                entry = Entry(self._around.journal.boot, self.name, generation, "", "")
                self.running[generation] = Running(entry, None)
            # later, as every other end: the machine is told of a launch before of its end
            self._reactor.callLater(0, self.ended, generation, Failure(error))

    def _launch(self, generation: int) -> None:
        around, settings = self._around, self._around.settings
        home = settings.homes / self.account.name
        runtime = around.runtimes[self.app.runtime]
        start = runtime.launch(self.app.run, self.app, home)
        held, self._held = self._held, None
        if start.listen == "socket":
            folder = settings.run / "d"
            held = held or hold(socket_path(folder, self.account.name, self.app.name, generation))
            address = f"unix:{held.path}"
        else:
            if held is not None:
                held.close()
                held = None
            address = f"{PORT_HOST}:{free_port(PORT_HOST)}"
        entry = Entry(
            boot=around.journal.boot,
            app=self.name,
            generation=generation,
            address=address,
            digest=digest_of(self.app),
            inode=held.inode if held else 0,
        )
        offset = size_of(self._log_file())
        running = self.running[generation] = Running(entry, held, offset=offset)
        around.journal.write(entry)
        launch = Launch(
            argv=start.argv,
            environment=environment(settings, self.account, self.app, generation, start, address),
            cwd=home / self.app.directory,
            listeners=(held.fileno(),) if held else (),
            log=self._log_file(),
            owner=around.owner,
        )
        running.process = spawn(self._reactor, _Watch(self, generation), launch)
        self._note(running, pid=running.process.pid or 0, started=running.process.started)
        self.tell("launched", generation, pid=running.process.pid)
        self._probe()

    def _note(self, running: Running, **changes: Any) -> None:
        running.entry = evolve(running.entry, **changes)
        try:
            self._around.journal.write(running.entry)
        except OSError:
            # the daemon runs; only a next keeper would not know of it
            self.log.failure("{app}: journal", app=self.name)

    def _log_file(self) -> Path:
        return app_log(self._around.settings.logs, self.account.name, self.app.name)

    def _probe(self) -> None:
        running = self.running.get(self.core.coming or 0)
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
        running = self.running.get(generation)
        if running is None or running.process is None:
            return
        try:
            running.process.signalProcess(name)
        except ProcessExitedAlready:
            # its end is on the way
            return

    def announce(self, generation: int) -> None:
        running = self.running[generation]
        if running.process is not None and running.process.has_ended():
            # whoever waits was refused there already; the next generation is for them
            return
        if generation != self._announced:
            self._announced = generation
            self._prober = None
            self.why = ""
            self._note(running, ready=True)
            self.tell("ready", generation)
            self._around.edges.moved(self.name, generation, running.entry.address)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            self._answer(waiter, Woken(generation, running.entry.address))

    def refuse(self, cause: str, retry: float, everyone: bool) -> None:
        if cause == "start_timeout":
            self._tell_silence()
        patience = self._around.settings.limits.hold_timeout
        until = self._reactor.seconds() + retry
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if everyone or waiter.since + patience < until:
                self._answer(waiter, Woken(refusal=cause, retry=max(retry, 0.0)))
            else:
                self._waiters.append(waiter)

    def _tell_silence(self) -> None:
        running = self.running.get(self.core.coming or 0)
        if running is None:
            return
        listens = bound.listens(running.entry.pid)
        found = reasons.of_silence(self.app.start_timeout, running.entry.address, listens)
        self.why = found.text
        told = {"reason": found.text, "cause": found.code}
        self.tell("start_timeout", running.entry.generation, **told)

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
        elif self.core.state == "DRAINING":
            self.tell("idle_stop", self.core.serving or 0)
        self._daemon.quiesced(question, idle)

    def waited_for(self) -> bool:
        if self.gone:
            return False
        return bool(self._waiters) or (self._held is not None and self._held.has_waiting())

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
        if state == "QUEUED":
            by = "request" if self._waiters else "change"
            self.tell("queued", waiters=len(self._waiters), by=by)
        elif state in ("BACKOFF", "FAILED"):
            self.tell(state.lower(), reason=self.why)
        if state in ("COLD", "FAILED") and self._held is not None:
            # no next generation: who waits in it has to learn that
            held, self._held = self._held, None
            held.close()
        self._rest_if_over()
