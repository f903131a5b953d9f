"""
A daemon manager without its keeper: real daemons, edges that are played by a small probe.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, TimeoutError, succeed
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
)
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from hostedge.ipc import Woken
from hostedge.keeper import become_subreaper
from hostedge.model.site import Account, App
from hostedge.runtimes.command import Command
from hostedge.runtimes.known import KINDS
from hostedge.runtimes.wsgi import Wsgi
from hostedge.settings import Limits, Settings
from hostedge.supervise.cgroup import look
from hostedge.supervise.containment import Containment
from hostedge.supervise.daemons import Daemons
from hostedge.supervise.ladder import rung
from hostedge.supervise.placement import Placement
from hostedge.supervise.pressure import Pressure

HELLO = """
import os, time
VERSION = os.environ.get("VERSION", "1")
def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.5)
    words = [str(os.getppid()), VERSION, environ["wsgi.url_scheme"], os.environ["HOSTEDGE_APP"]]
    body = " ".join(words).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

SERVER = """
import http.server, os, subprocess, sys
HOARD = []
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/grow":
            HOARD.append(b"x" * 100_000_000)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get("VERSION", "1").encode())
if "child" in sys.argv:
    print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
address = os.environ["HOST"], int(os.environ["PORT"])
http.server.HTTPServer(address, Answer).serve_forever()
"""


class Got(Protocol):
    """One request, its whole answer."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._received = b""
        self.answer: Deferred[str] = Deferred(lambda _: self.transport.abortConnection())

    def connectionMade(self) -> None:
        head = f"GET {self._path} HTTP/1.1\r\nHost: demo.localhost\r\n"
        self.transport.write(
            f"{head}X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n".encode()
        )

    def dataReceived(self, data: bytes) -> None:
        self._received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        head, _, body = self._received.partition(b"\r\n\r\n")
        if self.answer.called:
            return
        if b" 200 " in head:
            self.answer.callback(body.decode())
        else:
            self.answer.errback(ConnectError(string=repr(self._received[:80])))


async def get(address: str, path: str = "/", patience: float = 20.0) -> str:
    kind, _, rest = address.partition(":")
    endpoint = (
        UNIXClientEndpoint(reactor, rest)
        if kind == "unix"
        else TCP4ClientEndpoint(reactor, kind, int(rest))
    )
    got = await connectProtocol(endpoint, Got(path))
    return await got.answer.addTimeout(patience, reactor)


class ProbingEdges:
    """Edges that probe for real and keep what they are told."""

    def __init__(self) -> None:
        self.daemons: Daemons
        self.told: list[tuple[Any, ...]] = []
        self.idle = True
        self.over = False
        self.probes = True
        self.probing: list[Deferred[None]] = []
        # requests of a generation
        self.in_flight: dict[int, int] = {}

    def probe(
        self, edge: int | None, app: str, generation: int, address: str, host: str, held: bool
    ) -> int | None:
        self.told.append(("probe", app, generation, held))
        if self.probes:
            self.probing.append(Deferred.fromCoroutine(self._probe(app, generation, address)))
        return 0

    async def _probe(self, app: str, generation: int, address: str) -> None:
        for _ in range(200):
            try:
                await get(address)
            except (ConnectError, ConnectionClosed, TimeoutError):
                await deferLater(reactor, 0.025)
                if self.over:
                    return
            else:
                self.daemons.ready(app, generation)
                return

    def stop_probe(self, edge: int, app: str) -> None:
        """A probe gives up by itself here."""

    def quiesce(self, app: str, generation: int) -> Deferred[bool]:
        self.told.append(("quiesce", app, generation))
        return succeed(self.idle and not self.in_flight.get(generation))

    def moved(self, app: str, generation: int, address: str) -> None:
        self.told.append(("moved", app, generation, address))

    def expect(self, app: str, seconds: float) -> None:
        self.told.append(("expect", app, seconds))

    def retire(self, app: str, generation: int, deadline: float) -> None:
        self.told.append(("retire", app, generation))


class DaemonsCase(TestCase):
    """A daemon manager with real daemons and a home to run them in."""

    timeout = 60

    def setUp(self) -> None:
        # not a fixture of the class: trial runs none
        become_subreaper()
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        state = self.folder / "var"
        self.settings = Settings(
            self.folder / "settings", state, self.folder / "homes", limits=Limits(drain=1.0)
        )
        for folder in (self.settings.run / "d", self.settings.journal, self.settings.logs):
            folder.mkdir(parents=True)
        home = self.settings.homes / "demo"
        home.mkdir(parents=True)
        (home / "hello.py").write_text(HELLO)
        (home / "server.py").write_text(SERVER)
        self.account = Account("demo")
        self.apps: dict[str, App] = {}
        self.pressure = Pressure()
        self.events: list[tuple[str, int, dict[str, Any]]] = []
        self.edges = ProbingEdges()
        self.daemons = self.edges.daemons = self.make_daemons()
        self.addCleanup(self.stop_all)

    def make_daemons(self) -> Daemons:
        return Daemons(
            reactor,
            self.settings,
            self.find,
            self.edges,
            KINDS,
            self,
            Placement(Containment.on(reactor, rung(look()), str(self.folder)), self.settings.homes),
            places=2,
            pressure=lambda: self.pressure,
            always_on=lambda: [name for name, app in self.apps.items() if app.always_on],
        )

    def tell(self, event: str, app: str, generation: int = 0, **facts: Any) -> None:
        self.events.append((event, generation, facts))

    def find(self, name: str) -> tuple[Account, App] | None:
        app = self.apps.get(name)
        return None if app is None else (self.account, app)

    async def stop_all(self) -> None:
        await self.daemons.stop(3.0)
        self.edges.over = True
        await DeferredList(self.edges.probing)
        self.assertEqual(list((self.settings.run / "d").iterdir()), [])
        self.assertEqual(list(self.settings.journal.glob("*.json")), [])

    def add(self, app: App) -> str:
        name = f"demo/{app.name}"
        self.apps[name] = app
        return name

    def wsgi(self, **options: Any) -> str:
        return self.add(App("hello", "wsgi", Wsgi("hello:app"), stop_timeout=3.0, **options))

    def command(self, *words: str, **options: Any) -> str:
        return self.add(App("server", "command", Command(words), stop_timeout=3.0, **options))

    async def wake(self, name: str) -> Woken:
        return await self.daemons.wake(name, "demo.localhost")

    def row(self, name: str) -> dict[str, Any]:
        rows = [row for row in self.daemons.describe("", 100) if row["app"] == name]
        return rows[0] if rows else {"state": "COLD", "pid": 0, "reason": "", "generation": 0}

    async def until(self, name: str, *states: str) -> dict[str, Any]:
        while (row := self.row(name))["state"] not in states:
            await deferLater(reactor, 0.01)
        return row

    async def dead(self, pid: int) -> None:
        while Path(f"/proc/{pid}").exists():
            await deferLater(reactor, 0.01)

    def lost_keeper(self) -> None:
        """What this keeper knew is gone; its processes and listeners stay as they are."""
        self.daemons._around.placement.close()
        for supervised in self.daemons._supervised.values():
            supervised.core.alarm.clear()
            for generation in supervised.processes:
                running = supervised.processes.get(generation)
                assert running is not None
                assert running.process is not None
                reactor.removeReader(running.process._exit)
                os.close(running.process._pidfd)
                if running.held is not None:
                    running.held._listener.close()
        self.daemons = self.edges.daemons = self.make_daemons()
