"""
Tests for `hostedge.supervise.daemons` with real daemons; the edges are played by a small probe.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from attrs import evolve
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

from hostedge.ipc import Use, Woken
from hostedge.keeper import become_subreaper
from hostedge.model.site import Account, App
from hostedge.net.identity import process_started
from hostedge.runtimes.command import Command
from hostedge.runtimes.known import KINDS
from hostedge.runtimes.wsgi import Wsgi
from hostedge.settings import Limits, Settings
from hostedge.supervise.daemons import Daemons

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
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
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
        return succeed(self.idle)

    def moved(self, app: str, generation: int, address: str) -> None:
        self.told.append(("moved", app, generation, address))

    def retire(self, app: str, generation: int, deadline: float) -> None:
        self.told.append(("retire", app, generation))


class DaemonsTests(TestCase):
    timeout = 60

    @classmethod
    def setUpClass(cls) -> None:
        become_subreaper()

    def setUp(self) -> None:
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
        self.edges = ProbingEdges()
        self.daemons = self.edges.daemons = self.make_daemons()
        self.addCleanup(self.stop_all)

    def make_daemons(self) -> Daemons:
        return Daemons(reactor, self.settings, self.find, self.edges, KINDS, places=2)

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

    async def test_wsgi(self) -> None:
        """
        gunicorn is started once by many wakes, on the held listener; it believes the edges' word
        about https.
        """
        name = self.wsgi()
        woken = await DeferredList([self.daemons.wake(name, "demo.localhost") for _ in range(20)])
        [answer] = {answer for _, answer in woken}
        self.assertEqual(answer.refusal, "")
        path = self.settings.run / "d" / f"demo.hello.{answer.generation}.sock"
        self.assertEqual(answer.address, f"unix:{path}")
        pid, version, scheme, app = (await get(answer.address)).split()
        self.assertEqual((int(pid), version, scheme), (self.row(name)["pid"], "1", "https"))
        self.assertEqual(app, name)
        probes = [told for told in self.edges.told if told[0] == "probe"]
        self.assertEqual(probes, [("probe", name, answer.generation, True)])

    async def test_command(self) -> None:
        """
        A command finds `python` and its port; its output is in the app's log.
        """
        name = self.command("python", "server.py", "child")
        answer = await self.wake(name)
        self.assertEqual(answer.address.partition(":")[0], "127.0.0.1")
        self.assertEqual(await get(answer.address), "1")
        log = self.settings.logs / "apps/demo/server.log"
        child = int(log.read_text().split()[0])
        os.kill(self.row(name)["pid"], signal.SIGKILL)
        # the crash ends the rest of its group too
        await self.dead(child)
        await self.until(name, "BACKOFF", "QUEUED", "STARTING", "READY")

    async def test_crashAndBacklog(self) -> None:
        """
        A request that waits in the backlog of a daemon that dies is answered by the next one.
        """
        name = self.wsgi()
        answer = await self.wake(name)
        pid = self.row(name)["pid"]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        # nobody accepts any more
        for each in (pid, *map(int, children)):
            os.kill(each, signal.SIGSTOP)
        waiting = Deferred.fromCoroutine(get(answer.address))
        await deferLater(reactor, 0.05)
        os.kill(pid, signal.SIGKILL)
        served_by, *_ = (await waiting).split()
        row = await self.until(name, "READY")
        self.assertEqual(int(served_by), row["pid"])
        self.assertNotEqual(row["pid"], pid)
        self.assertIn(("retire", name, answer.generation), self.edges.told)

    async def test_backoff(self) -> None:
        """
        A command that cannot start is tried again; who waits is kept while the pauses are short,
        and the reason is there for the owner.
        """
        name = self.command("no-such-command")
        woken = self.daemons.wake(name, "demo.localhost")
        row = await self.until(name, "BACKOFF")
        self.assertEqual(
            row["reason"],
            "the command was not found: hostedge: cannot start: no-such-command: command not found",
        )
        self.assertFalse(woken.called)
        self.apps[name] = evolve(self.apps[name], run=Command(("python", "server.py")))
        # the mended app is started without waiting for the pause
        self.daemons.changed([f"app/{name}"])
        self.assertEqual((await woken).refusal, "")

    async def test_startTimeout(self) -> None:
        """
        A daemon that binds nothing is ended, with its group; visitors and operators are told.
        """
        name = self.command("sh", "-c", "sleep 600 & echo $!; wait", start_timeout=0.5)
        answer = await self.wake(name)
        self.assertEqual(answer.refusal, "start_timeout")
        child = int((self.settings.logs / "apps/demo/server.log").read_text().split()[0])
        row = await self.until(name, "BACKOFF", "COLD")
        self.assertEqual(row["reason"], "it did not answer within 0.5 s")
        await self.dead(child)

    async def test_swap(self) -> None:
        """
        A change of the app replaces it while requests go on; a change of anything else does not.
        """
        name = self.wsgi()
        first = await self.wake(name)
        self.daemons.changed([f"app/{name}", "domain/demo.localhost"])
        self.apps[name] = evolve(self.apps[name], idle=99.0, queue=7)
        self.daemons.changed(None)
        self.assertEqual(self.row(name)["state"], "READY")
        self.apps[name] = evolve(self.apps[name], environment={"VERSION": "2"})
        self.daemons.changed([f"app/{name}"])
        old = self.row(name)["pid"]
        self.assertEqual(self.row(name)["state"], "RELOADING")
        slow = Deferred.fromCoroutine(get(first.address, "/slow"))
        row = await self.until(name, "READY")
        moved = [told for told in self.edges.told if told[0] == "moved"][-1]
        self.assertEqual(moved[2], row["generation"])
        self.assertEqual((await get(moved[3])).split()[1], "2")
        self.assertEqual((await slow).split()[1], "1")
        await self.dead(old)
        self.assertFalse(Path(first.address[5:]).exists())

    async def test_brokenSwap(self) -> None:
        """
        When the new generation does not come up, the old one serves on.
        """
        name = self.wsgi()
        first = await self.wake(name)
        self.apps[name] = evolve(self.apps[name], run=Wsgi("no_such:app"))
        self.daemons.changed([f"app/{name}"])
        await self.until(name, "READY")
        row = self.row(name)
        self.assertEqual(row["generation"], first.generation)
        self.assertIn("the old one serves on: exit status", row["reason"])
        self.assertEqual((await get(first.address)).split()[1], "1")

    async def test_idleStop(self) -> None:
        """
        An idle daemon is ended when all edges are idle, and comes back with the next wake.
        """
        name = self.wsgi(idle=0.2)
        self.edges.idle = False
        first = await self.wake(name)
        pid = self.row(name)["pid"]
        while ("quiesce", name, first.generation) not in self.edges.told:
            await deferLater(reactor, 0.05)
        self.assertEqual(self.row(name)["state"], "READY")
        self.daemons.activity(0, [Use(name, first.generation, 1, 0.0)])
        self.edges.idle = True
        self.daemons.activity(0, [Use(name, first.generation, 0, 0.0)])
        await self.until(name, "COLD")
        await self.dead(pid)
        self.assertFalse(Path(first.address[5:]).exists())
        self.assertEqual(self.daemons.describe("", 10), [])
        second = await self.wake(name)
        self.assertGreater(second.generation, first.generation)

    async def test_deleted(self) -> None:
        """
        A deleted app is ended and cannot be woken; a suspended account's neither.
        """
        name = self.wsgi()
        await self.wake(name)
        pid = self.row(name)["pid"]
        app = self.apps.pop(name)
        self.daemons.changed([f"app/{name}"])
        self.assertEqual((await self.wake(name)).refusal, "not_configured")
        await self.dead(pid)
        self.apps[name] = app
        await self.wake(name)
        self.account = Account("demo", suspended=True)
        pid = self.row(name)["pid"]
        self.daemons.changed(["account/demo"])
        self.assertEqual((await self.wake(name)).refusal, "suspended")
        await self.dead(pid)

    async def test_edgeThatProbedDies(self) -> None:
        """
        When the probing edge dies another one has to probe.
        """
        name = self.wsgi()
        self.edges.probes = False
        woken = self.daemons.wake(name, "demo.localhost")
        await self.until(name, "STARTING")
        self.edges.probes = True
        self.daemons.edge_gone(0)
        self.assertEqual((await woken).refusal, "")

    async def test_cancelledWake(self) -> None:
        """
        A wake that is taken back is not answered, and does not stop the others'.
        """
        name = self.wsgi()
        first, second = (self.daemons.wake(name, "demo.localhost") for _ in range(2))
        first.addErrback(lambda _: None)
        first.cancel()
        self.assertEqual((await second).refusal, "")

    def lost_keeper(self) -> None:
        """What this keeper knew is gone; its processes and listeners stay as they are."""
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

    async def test_adopt(self) -> None:
        """
        A new keeper takes back a daemon with its listener; a request in its backlog survives the
        daemon's death, and numbers go on.
        """
        name = self.wsgi()
        first = await self.wake(name)
        pid = self.row(name)["pid"]
        (self.settings.run / "d" / "left.over.1.sock").touch()
        self.lost_keeper()
        self.daemons.adopt()
        self.assertEqual((self.row(name)["state"], self.row(name)["pid"]), ("READY", pid))
        self.assertEqual(await self.wake(name), first)
        self.assertEqual(
            [path.name for path in (self.settings.run / "d").iterdir()],
            [Path(first.address[5:]).name],
        )
        os.kill(pid, signal.SIGKILL)
        await self.until(name, "QUEUED", "STARTING", "BACKOFF")
        second = await self.wake(name)
        self.assertEqual(second.address, first.address)
        self.assertGreater(second.generation, first.generation)

    async def test_adoptChanged(self) -> None:
        """
        What changed while there was no keeper is made up for.
        """
        name = self.wsgi()
        first = await self.wake(name)
        self.lost_keeper()
        self.apps[name] = evolve(self.apps[name], environment={"VERSION": "2"})
        self.daemons.adopt()
        self.assertEqual(self.row(name)["state"], "RELOADING")
        while self.row(name)["generation"] == first.generation:
            await deferLater(reactor, 0.01)

    async def test_adoptStrangers(self) -> None:
        """
        A pid that was given out again is not signalled; an unfinished start is ended.
        """
        name = self.wsgi()
        self.edges.probes = False
        self.daemons.wake(name, "demo.localhost")
        pid = (await self.until(name, "STARTING"))["pid"]
        stranger = subprocess.Popen(["sleep", "600"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        [file] = self.settings.journal.glob("*.json")
        entry = json.loads(file.read_text())
        entry |= {"generation": 99, "pid": stranger.pid, "ready": True}
        entry["started"] = process_started(stranger.pid) - 1
        file.with_name("99.json").write_text(json.dumps(entry))
        self.lost_keeper()
        self.daemons.adopt()
        await self.dead(pid)
        self.assertIsNone(stranger.poll())
        self.edges.probes = True

    async def test_stopAtOnce(self) -> None:
        """
        Daemons that ignore TERM are killed when the grace is over; nothing is woken any more.
        """
        name = self.command("sh", "-c", "trap '' TERM; python server.py & wait; wait")
        await self.wake(name)
        pid = self.row(name)["pid"]
        before = reactor.seconds()
        await self.daemons.stop(0.3)
        self.assertLess(reactor.seconds() - before, 2.0)
        self.assertFalse(Path(f"/proc/{pid}").exists())
        self.assertEqual((await self.wake(name)).refusal, "keeper_down")
