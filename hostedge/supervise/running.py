"""
The generations of one app as processes: launched, signalled, taken back, buried.

In:  `supervise.supervised`, where its app's machine wants something done; processes that end.
Out: processes, listeners, journal entries; an `ended` for each generation.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Literal, Protocol

from attrs import define, evolve
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.model.site import Account, App
from hostedge.runtimes.start import Start
from hostedge.supervise.cgroup import Used
from hostedge.supervise.containment import Placed
from hostedge.supervise.gauge import (
    children,
    descendants,
    environment_of,
    holders,
    holds,
    main_of,
)
from hostedge.supervise.held import (
    Held,
    free_port,
    hold,
    remove_name,
    socket_path,
    take_back,
)
from hostedge.supervise.journal import Entry
from hostedge.supervise.launching import digest_of, environment
from hostedge.supervise.logs import app_log, read_tail, size_of
from hostedge.supervise.process import Launch, Process, spawn
from hostedge.supervise.surroundings import Surroundings
from hostedge.supervise.usage import used_by

PORT_HOST = "127.0.0.1"


@define
class Running:
    """A generation from its launch until its group is gone."""

    entry: Entry
    held: Held | None
    process: Process | None = None
    # where the log was when it was launched
    offset: int = 0
    leaf: Placed | None = None

    @property
    def lives(self) -> Process | None:
        """Its process, unless that has ended, told or not."""
        process = self.process
        return None if process is None or process.has_ended() else process

    @property
    def ran_out(self) -> bool:
        """Was something of it killed because its memory was full?"""
        return self.leaf is not None and self.leaf.events.oom_kill > 0


class _Watch(ProcessProtocol):
    """The end of one generation's process."""

    def __init__(self, processes: Processes, generation: int) -> None:
        self._processes = processes
        self._generation = generation

    def processEnded(self, reason: Failure) -> None:
        self._processes.told.ended(self._generation, reason)

    def process_executed(self) -> None:
        """What was to be run runs."""
        self._processes.told.executed(self._generation)

    def process_stuck(self, reason: Failure) -> None:
        """It has ended; something that it started was killed and will not go."""
        self._processes.told.stuck(self._generation)


class Told(Protocol):
    """Who hears what becomes of a generation: `supervise.supervised.Supervised`."""

    def executed(self, generation: int) -> None:
        """What was to be run runs."""

    def ended(self, generation: int, how: Failure) -> None:
        """The process and its group are gone."""

    def stuck(self, generation: int) -> None:
        """It was killed, and something of it will not go."""


class Processes:
    """
    All that live of one app.

    `left` is a listener that no living generation owns but the next one may take over, with the
    requests that wait in it; it is closed as soon as no next one is sure to come.
    """

    log = Logger()

    def __init__(
        self,
        around: Surroundings,
        name: str,
        told: Told,
    ) -> None:
        self._around = around
        self._name = name
        self.told = told
        # what the leader had below itself when it was told to renew itself
        self._before: dict[int, frozenset[int]] = {}
        self._running: dict[int, Running] = {}
        self.left: Held | None = None

    def __bool__(self) -> bool:
        return bool(self._running)

    def __iter__(self) -> Any:
        return iter(list(self._running))

    def entries(self) -> list[Entry]:
        """What a next keeper would have to know of each."""
        return [running.entry for running in self._running.values()]

    def get(self, generation: int | None) -> Running | None:
        return self._running.get(generation or 0)

    def launch(self, generation: int, account: Account, app: App) -> None:
        """
        Start its process; `ended` follows exactly once, in any case.
        """
        try:
            self._launch(generation, account, app)
        except (OSError, ValueError) as error:
            # ValueError: a word that no program can be given, a name that no group can have
            if generation not in self._running:
                entry = Entry(self._around.journal.boot, self._name, generation, "", "")
                self._running[generation] = Running(entry, None)
            leaf = self._leaf(generation)
            if leaf is not None:
                # nobody has come into it
                leaf.remove()
            # later, as every other end: the machine is told of a launch before of its end
            self._around.reactor.callLater(0, self.told.ended, generation, Failure(error))

    def _launch(self, generation: int, account: Account, app: App) -> None:
        around, settings = self._around, self._around.settings
        home = settings.homes / account.name
        start = around.runtimes[app.runtime].launch(app.run, app, home)
        held, address = self._listener(generation, account, app, start)
        entry = Entry(
            boot=around.journal.boot,
            app=self._name,
            generation=generation,
            address=address,
            digest=digest_of(app),
            inode=held.inode if held else 0,
            uid=around.placement.uid(account.name),
        )
        log = app_log(settings.logs, account.name, app.name)
        running = self._running[generation] = Running(entry, held, offset=size_of(log))
        leaf = running.leaf = around.placement.place(account, app.name, generation, start)
        if leaf is not None:
            running.entry = entry = evolve(entry, leaf=str(leaf.path), leaf_inode=leaf.inode)
        around.journal.write(entry)
        launch = Launch(
            argv=start.argv,
            environment=environment(settings, account, app, generation, start, address),
            cwd=home / app.directory,
            listeners=(held.fileno(),) if held else (),
            log=log,
            owner=around.placement.owner(account.name),
            confinement=around.placement.confinement(account),
            leaf=leaf,
        )
        process = spawn(around.reactor, _Watch(self, generation), launch)
        running.process = process
        self.note(generation, pid=process.pid or 0, started=process.started)

    def _listener(
        self, generation: int, account: Account, app: App, start: Start
    ) -> tuple[Held | None, str]:
        held, self.left = self.left, None
        if start.listen == "socket":
            folder = self._around.settings.run / "d"
            held = held or hold(socket_path(folder, account.name, app.name, generation))
            return held, f"unix:{held.path}"
        if held is not None:
            held.close()
        return None, f"{PORT_HOST}:{free_port(PORT_HOST, self._around.placement.ports)}"

    def take_back(self, entry: Entry) -> None:
        """
        Take charge of a process of an earlier keeper.

        Raises:
            ProcessLookupError: it has ended.
        """
        kind, _, path = entry.address.partition(":")
        held = None
        if kind == "unix":
            # out of the daemon only where it was not handed over: the kernel may forbid it
            held = self._around.handed.take(entry.inode, Path(path))
            held = held or take_back(entry.pid, entry.inode, Path(path))
        leaf = self._around.placement.find(entry)
        running = self._running[entry.generation] = Running(entry, held, leaf=leaf)
        watch = _Watch(self, entry.generation)
        reactor = self._around.reactor
        try:
            running.process = Process.adopt(reactor, watch, entry.pid, entry.started, leaf)
        except ProcessLookupError:
            del self._running[entry.generation]
            if held is not None:
                held.close()
            raise

    def listeners(self) -> list[int]:
        """Descriptors of those that are held for them."""
        return [each.held.fileno() for each in self._running.values() if each.held is not None]

    def said(self, generation: int) -> list[str]:
        """The last lines of what it has written, without those of others before it."""
        running = self._running[generation]
        account, _, app = self._name.partition("/")
        return read_tail(app_log(self._around.settings.logs, account, app), running.offset)

    def note(self, generation: int, **changes: Any) -> None:
        """Write down for a next keeper what is new of it."""
        running = self._running[generation]
        running.entry = evolve(running.entry, **changes)
        try:
            self._around.journal.write(running.entry)
        except OSError as error:
            # the daemon runs; only a next keeper would not know of it
            self.log.error("{app}: journal: {error}", app=self._name, error=error)

    def signal(self, generation: int, name: str) -> None:
        """To its process group; nothing if that is gone."""
        running = self.get(generation)
        if running is None or running.process is None:
            return
        try:
            running.process.signalProcess(name)
        except ProcessExitedAlready:
            # its end is on the way
            return

    def _pid(self, generation: int) -> int:
        """Its main process; 0 if that has ended."""
        running = self.get(generation)
        process = running.lives if running else None
        return 0 if process is None else process.pid or 0

    def renew(self, generation: int, name: str) -> None:
        """Signal the daemon's main process, and only that: it is up to it what follows."""
        main = main_of(self._pid(generation))
        if not main:
            return
        try:
            pidfd = os.pidfd_open(main)
        except ProcessLookupError:
            # its end is on the way
            return
        try:
            if main == main_of(self._pid(generation)):
                # asked after the pidfd was opened: it is this one that is signalled, or nobody
                self._before[generation] = children(main)
                signal.pidfd_send_signal(pidfd, getattr(signal, f"SIG{name}"))
        except ProcessLookupError:
            return
        finally:
            os.close(pidfd)

    def renewed(self, generation: int) -> bool:
        """Has it a child that it had not before? Who has none does everything by itself."""
        pid = self._pid(generation)
        before = self._before.get(generation, frozenset())
        return bool(pid) and (not before or not children(main_of(pid)) <= before)

    def _leaf(self, generation: int) -> Placed | None:
        running = self.get(generation)
        return None if running is None else running.leaf

    def memory(self, generation: int) -> int:
        """Bytes that it takes: all of its cgroup, or of its processes as far as they are known."""
        leaf = self._leaf(generation)
        pid = self._pid(generation)
        try:
            return used_by(descendants(pid)).memory or 0 if leaf is None else leaf.written()
        except OSError:
            # it is looked at again
            return 0

    def used(self, generation: int) -> Used | None:
        """What it takes now; None where nothing of it runs, or nothing can be read."""
        leaf = self._leaf(generation)
        pid = self._pid(generation)
        try:
            if leaf is not None:
                return leaf.used()
            return used_by(descendants(pid)) if pid else None
        except OSError:
            return None

    def freeze(self, generation: int) -> None:
        """Have it stand still: its cgroup, or as far as its process group goes."""
        leaf = self._leaf(generation)
        if leaf is not None:
            try:
                leaf.freeze()
            except OSError:
                self.log.failure("{app}: freezing", app=self._name)
            else:
                return
        self.signal(generation, "STOP")

    def thaw(self, generation: int) -> None:
        leaf = self._leaf(generation)
        if leaf is not None:
            try:
                leaf.thaw()
            except OSError:
                self.log.failure("{app}: thawing", app=self._name)
        self.signal(generation, "CONT")

    def place(self, generation: int) -> Literal["ours", "nobody", "others"]:
        """
        Who listens where this generation should. A port that it was told of was free, until
        somebody took it.
        """
        running = self._running[generation]
        if running.entry.address.startswith("unix:"):
            # the socket was ours before anybody could ask for it
            return "ours"
        host, _, port = running.entry.address.rpartition(":")
        found = self._around.listener_at(host, int(port))
        if found is None:
            return "nobody"
        if self._around.settings.accounts.users == "own":
            return "ours" if found.uid == running.entry.uid else "others"
        return "ours" if self._is_of_app(generation, found.inode) else "others"

    def _is_of_app(self, generation: int, inode: int) -> bool:
        """Where all have one user, by the processes that have the listener open."""
        if any(holds(pid, inode) for pid in descendants(self._pid(generation))):
            return True
        # one that left its parents behind
        return any(environment_of(pid).get("HOSTEDGE_APP") == self._name for pid in holders(inode))

    def bury(self, generation: int, last: bool) -> None:
        """
        It is gone. The listener of the `last` one that could answer is left to the next one.
        """
        running = self._running.pop(generation)
        self._before.pop(generation, None)
        self._around.journal.forget(generation)
        if running.held is None:
            # a port, or a socket that could not be taken back from an earlier keeper
            if running.entry.address.startswith("unix:"):
                remove_name(Path(running.entry.address[5:]))
        elif last and self.left is None:
            self.left = running.held
        else:
            running.held.close()

    def has_waiting(self) -> bool:
        """Has somebody connected to the listener that is left?"""
        return self.left is not None and self.left.has_waiting()

    def close_left(self) -> None:
        """No next one comes: who waits has to learn that."""
        held, self.left = self.left, None
        if held is not None:
            held.close()
