"""
Tests for `hostedge.supervise.daemons` with real daemons; the edges are played by a small probe.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest

from hostedge.ipc import Use
from hostedge.model.site import Account
from hostedge.net.identity import process_started
from hostedge.runtimes.command import Command
from hostedge.runtimes.wsgi import Wsgi
from tests.live.keeping import DaemonsCase, get


class DaemonsTests(DaemonsCase):
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
        self.assertEqual(row["reason"], "command not found: no-such-command")
        self.assertFalse(woken.called)
        self.apps[name] = evolve(self.apps[name], run=Command(("python", "server.py")))
        # the mended app is started without waiting for the pause
        self.daemons.changed([f"app/{name}"])
        self.assertEqual((await woken).refusal, "")

    async def test_cannotBeNoted(self) -> None:
        """
        What cannot be written down is not launched, and leaves no group behind; the next try does.
        """
        groups = self.daemons._around.placement._containment._groups
        if groups is None:
            raise SkipTest("needs control groups")
        name = self.command("python", "server.py")
        note = self.settings.journal / "numbers"
        note.mkdir()
        woken = self.daemons.wake(name, "demo.localhost")
        row = await self.until(name, "BACKOFF")
        self.assertIn("could not be launched", row["reason"])
        self.assertEqual(groups.strangers(()), [])
        note.rmdir()
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
        self.assertEqual(row["reason"], "it never listened on $PORT within 0.5 s")
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
        while Path(first.address[5:]).exists():
            await deferLater(reactor, 0.01)

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
        self.assertIn("the old one serves on: module not importable", row["reason"])
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
        # the second time it is known how long it takes
        [(_, _, expected)] = [told for told in self.edges.told if told[0] == "expect"]
        self.assertGreater(expected, 0.0)

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
