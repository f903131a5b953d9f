"""
Tests for `hostedge.supervise` with real daemons: switched off, always on, frozen, reloaded.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, gatherResults
from twisted.internet.task import deferLater

from hostedge.errors import ConfigError
from hostedge.ipc import Use
from hostedge.model.names import Size
from hostedge.model.site import Account
from hostedge.runtimes.wsgi import Wsgi
from hostedge.supervise import daemons, ending, renewal
from hostedge.supervise.gauge import children
from hostedge.supervise.pressure import Pressure
from tests.live.keeping import HELLO, DaemonsCase, get

STUBBORN = "trap '' TERM; python server.py & wait; wait; wait"


def stands_still(pid: int) -> bool:
    """By a signal, or by its group's word."""
    if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
        return True
    groups = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    [own] = [line[3:] for line in groups if line.startswith("0::")]
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    base = next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), Path("/none"))
    events = base / own.lstrip("/") / "cgroup.events"
    return events.exists() and "frozen 1" in events.read_text()


class WakeTests(DaemonsCase):
    async def test_fiveHundred(self) -> None:
        """
        500 who want an app that is down make one start, and all are answered.
        """
        name = self.wsgi()
        asked = [self.daemons.wake(name, "demo.localhost") for _ in range(500)]
        answers = await gatherResults(asked)
        self.assertEqual(len(set(answers)), 1)
        self.assertEqual(answers[0].refusal, "")
        self.assertEqual(len([told for told in self.edges.told if told[0] == "probe"]), 1)

    async def test_slowStart(self) -> None:
        """
        Who waits for an app that takes its time is kept until it is there.
        """
        (self.settings.homes / "demo" / "slow.py").write_text(
            f"import time\ntime.sleep(3)\n{HELLO}"
        )
        name = self.wsgi()
        self.apps[name] = evolve(self.apps[name], run=Wsgi("slow:app"))
        answers = await gatherResults([self.wake_later(name) for _ in range(20)])
        self.assertEqual({answer.refusal for answer in answers}, {""})

    async def test_events(self) -> None:
        """
        A start, a memory that was full, and a crash are told, each step with its time.
        """
        name = self.wsgi()
        first = await self.wake(name)
        self.daemons.oom(name, first.generation, 1)
        pid = self.row(name)["pid"]
        os.kill(pid, signal.SIGKILL)
        await self.until(name, "BACKOFF")
        told = [event for event, _, _ in self.events]
        start = ["queued", "token", "launched", "exec", "ready"]
        self.assertEqual(told, [*start, "oom", "exited", "crashed", "backoff"])
        facts = self.events[4][2]
        steps = ("token_ms", "launched_ms", "exec_ms", "ready_ms")
        self.assertEqual(sorted(facts), sorted(("ms", *steps)))
        self.assertTrue(all(facts[step] <= facts["ms"] for step in steps), facts)
        crash = self.events[-2][2]
        self.assertEqual((crash["pid"], crash["signal"]), (pid, signal.SIGKILL))

    async def test_bound(self) -> None:
        """
        Of a daemon that finds a port by itself it is told when it listens.
        """
        await self.wake(self.command("python", "server.py"))
        told = [event for event, _, _ in self.events]
        self.assertEqual(told, ["queued", "token", "launched", "exec", "bound", "ready"])

    def wake_later(self, name: str) -> Deferred[Any]:
        return deferLater(reactor, 0.05, self.daemons.wake, name, "demo.localhost")

    async def test_drainingCancelled(self) -> None:
        """
        Who comes while edges are asked whether an app is idle gets the daemon that is there.
        """
        name = self.wsgi(idle=0.2)
        first = await self.wake(name)
        answer: Deferred[bool] = Deferred()
        self.edges.quiesce = lambda app, generation: answer  # type: ignore[method-assign]
        await self.until(name, "DRAINING")
        self.assertEqual(await self.wake(name), first)
        answer.callback(True)
        self.assertEqual(self.row(name)["state"], "READY")
        del self.edges.quiesce


class SquatTests(DaemonsCase):
    async def test_squatted(self) -> None:
        """
        Whoever listens on a daemon's port before the daemon does gets none of its requests.
        """
        name = self.command("python", "late.py")
        late = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)\n"
        home = self.settings.homes / "demo"
        (home / "late.py").write_text(late + (home / "server.py").read_text())
        woken = self.daemons.wake(name, "demo.localhost")
        row = await self.until(name, "STARTING")
        running = self.daemons._supervised[name].processes.get(row["generation"])
        assert running is not None
        host, _, port = running.entry.address.partition(":")
        squatter = subprocess.Popen(
            [sys.executable, str(home / "server.py")],
            env={"HOST": host, "PORT": port, "VERSION": "stolen"},
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(squatter.wait)
        self.addCleanup(squatter.kill)
        self.assertEqual((await woken).refusal, "squatted")
        row = await self.until(name, "BACKOFF")
        self.assertEqual(row["reason"], "something else listens in its place")
        self.assertNotIn("moved", [told[0] for told in self.edges.told])
        (home / "go").touch()
        answer = await self.wake(name)
        self.assertEqual(await get(answer.address), "1")


class SwitchTests(DaemonsCase):
    async def test_suspended(self) -> None:
        """
        Two seconds after a suspension nothing of the account runs, however it clings to life.
        """
        name = self.command("sh", "-c", STUBBORN)
        await self.wake(name)
        pid = self.row(name)["pid"]
        # a request that would be waited for, were it not for the suspension
        self.edges.in_flight[self.row(name)["generation"]] = 1
        self.account = Account("demo", suspended=True)
        before = reactor.seconds()
        self.daemons.changed(None)
        await self.dead(pid)
        row = await self.until(name, "DISABLED")
        self.assertLess(reactor.seconds() - before, 2.0)
        self.assertEqual(row["pid"], 0)
        self.assertEqual((await self.wake(name)).refusal, "suspended")

    async def test_switchedOff(self) -> None:
        """
        An app that its owner switches off ends and answers nobody, until it is switched on.
        """
        name = self.wsgi()
        await self.wake(name)
        pid = self.row(name)["pid"]
        self.apps[name] = evolve(self.apps[name], enabled=False)
        self.daemons.changed([f"app/{name}"])
        self.assertEqual((await self.wake(name)).refusal, "disabled")
        await self.dead(pid)
        await self.until(name, "DISABLED")
        self.apps[name] = evolve(self.apps[name], enabled=True)
        self.daemons.changed([f"app/{name}"])
        self.assertEqual(self.row(name)["state"], "COLD")
        self.assertEqual((await self.wake(name)).refusal, "")

    async def test_alwaysOn(self) -> None:
        """
        An app that is always on starts with the keeper and by a change, comes back when it dies,
        and is not stopped when it is idle.
        """
        name = self.wsgi(always_on=True, idle=0.1)
        self.daemons.changed(None)
        # not before it is known what an earlier keeper has left
        self.assertEqual(self.row(name)["state"], "COLD")
        self.daemons.adopt()
        pid = (await self.until(name, "READY"))["pid"]
        await deferLater(reactor, 1.5)
        self.assertEqual(self.row(name)["pid"], pid)
        os.kill(pid, signal.SIGKILL)
        await self.until(name, "BACKOFF")
        self.assertNotEqual((await self.until(name, "READY"))["pid"], pid)
        self.apps[name] = evolve(self.apps[name], always_on=False)
        self.daemons.changed([f"app/{name}"])
        await self.until(name, "COLD")
        self.apps[name] = evolve(self.apps[name], always_on=True)
        self.daemons.changed(["account/demo"])
        await self.until(name, "READY")

    async def test_noUserYet(self) -> None:
        """
        An app that is always on, whose account can be given no user, is tried again unasked; what
        is wrong is one line in the log. Who asks meanwhile and leaves changes nothing.
        """
        self.patch(daemons, "NO_USER", 0.05)
        placement = self.daemons._around.placement
        answers: list[Deferred[Any] | None] = [
            fail(NotADirectoryError(20, "no folder", "/homes/demo")),
            fail(ConfigError("accounts: last", "every uid is given")),
        ]
        self.patch(placement, "prepare", lambda account: answers.pop(0) if answers else None)
        name = self.wsgi(always_on=True)
        self.daemons.adopt()
        await self.until(name, "READY")
        self.assertEqual(
            [facts["reason"] for event, _, facts in self.events if event == "start_failed"],
            [
                f"the account could not be given a user: {why}"
                for why in (
                    "[Errno 20] no folder: '/homes/demo'",
                    "accounts: last: every uid is given",
                )
            ],
        )
        answers.append(Deferred())
        asked = self.daemons.wake(name, "demo.localhost")
        before = len(self.events)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(len(self.events), before)


class StuckTests(DaemonsCase):
    async def test_keeperEnds(self) -> None:
        """
        What sits in the kernel and cannot be killed does not keep the keeper from its end.
        """
        self.patch(ending, "KILL_AGAIN", 0.2)
        name = self.command("python", "server.py")
        await self.wake(name)
        running = self.daemons._supervised[name].processes.get(self.row(name)["generation"])
        assert running is not None and running.process is not None
        process = running.process
        # as if the kernel did not come round to it
        self.patch(process, "signalProcess", lambda name: None)
        await self.daemons.stop(0.1)
        self.assertEqual(self.row(name)["state"], "STUCK")
        self.assertIn("stuck", [event for event, _, _ in self.events])
        os.kill(running.entry.pid, signal.SIGKILL)
        while self.daemons.describe("", 9):
            await deferLater(reactor, 0.01)


class FreezeTests(DaemonsCase):
    async def test_frozen(self) -> None:
        """
        An app that nobody uses stands still, answers when it is woken, and ends as any other.
        """
        name = self.wsgi(freeze=0.2)
        first = await self.wake(name)
        self.daemons.activity(0, [Use(name, first.generation, 1, 0.0, sockets=1)])
        self.daemons.activity(0, [Use(name, first.generation, 0, 0.0)])
        pid = (await self.until(name, "FROZEN"))["pid"]
        while not all(stands_still(each) for each in (pid, *children(pid))):
            await deferLater(reactor, 0.01)
        self.assertEqual(await self.wake(name), first)
        self.assertEqual((await get(first.address)).split()[0], str(pid))
        await self.until(name, "FROZEN")
        self.apps[name] = evolve(self.apps[name], idle=0.1)
        self.daemons.changed([f"app/{name}"])
        await self.until(name, "COLD")
        await self.dead(pid)


class PressureTests(DaemonsCase):
    async def test_evicted(self) -> None:
        """
        While memory is short nothing starts, and who was idle for longest makes room.
        """
        idle, used = self.wsgi(), self.add(evolve(self.apps["demo/hello"], name="used"))
        await self.wake(idle)
        await self.wake(used)
        pid = self.row(idle)["pid"]
        self.daemons._supervised[idle].demand.last -= 100.0
        self.pressure = Pressure(stalled=30.0)
        name = self.command("python", "server.py")
        woken = self.daemons.wake(name, "demo.localhost")
        await self.dead(pid)
        await self.until(idle, "COLD")
        self.assertEqual(self.row(used)["state"], "READY")
        self.assertEqual(self.row(name)["state"], "QUEUED")
        self.pressure = Pressure()
        self.assertEqual((await woken).refusal, "")


class RenewalTests(DaemonsCase):
    async def test_touched(self) -> None:
        """
        Who touches the app's restart file gets a new daemon with the next request.
        """
        name = self.wsgi(restart_file="tmp/restart.txt")
        await self.wake(name)
        pid = self.row(name)["pid"]
        folder = self.settings.homes / "demo" / "tmp"
        folder.mkdir()
        (folder / "restart.txt").touch()
        self.assertEqual((await self.wake(name)).generation, self.row(name)["generation"])
        self.assertEqual(self.row(name)["state"], "RELOADING")
        await self.dead(pid)
        self.assertEqual(self.row(name)["state"], "READY")

    async def test_outgrown(self) -> None:
        """
        A daemon that has come to take more memory than it should is replaced by a new one.
        """
        self.patch(renewal, "LOOK_EVERY", 0.1)
        name = self.command("python", "server.py", memory=Size(80_000_000))
        first = await self.wake(name)
        pid = self.row(name)["pid"]
        await deferLater(reactor, 0.5)
        self.assertEqual(self.row(name)["state"], "READY")
        await get(first.address, "/grow")
        await self.until(name, "RELOADING")
        await self.dead(pid)
        self.assertEqual(self.row(name)["state"], "READY")


class ReloadTests(DaemonsCase):
    async def ask(self, name: str, answers: list[str]) -> None:
        """As an edge does it: where the app is, then the request, counted."""
        while not self.edges.over:
            woken = await self.wake(name)
            if woken.refusal:
                answers.append(woken.refusal)
                return
            counts = self.edges.in_flight
            counts[woken.generation] = counts.get(woken.generation, 0) + 1
            try:
                answers.append((await get(woken.address)).split()[1])
            except Exception as error:  # noqa: BLE001 - whatever it was, somebody has seen it
                answers.append(repr(error))
            counts[woken.generation] -= 1

    async def reload(self, strategy: str) -> tuple[int, int]:
        """The master's pid before and after a reload under load that nobody has noticed."""
        name = self.wsgi(reload=strategy)
        await self.wake(name)
        before = self.row(name)["pid"]
        answers: list[str] = []
        asking = [Deferred.fromCoroutine(self.ask(name, answers)) for _ in range(8)]
        home = self.settings.homes / "demo"
        # of another length: Python would not see a change within the same second
        (home / "hello.py").write_text(HELLO.replace('"VERSION", "1"', '"VERSION",  "2"'))
        self.daemons.restart(name)
        while "2" not in answers:
            await deferLater(reactor, 0.01)
        await self.until(name, "READY")
        self.edges.over = True
        await DeferredList(asking)
        self.assertEqual(set(answers), {"1", "2"})
        return before, self.row(name)["pid"]

    async def test_swap(self) -> None:
        """
        The next one starts beside the one that serves.
        """
        before, after = await self.reload("swap")
        self.assertNotEqual(before, after)

    async def test_hold(self) -> None:
        """
        The next one starts when the one before is gone; requests wait for it.
        """
        before, after = await self.reload("hold")
        self.assertNotEqual(before, after)

    async def test_signal(self) -> None:
        """
        The daemon takes the new program over by itself.
        """
        before, after = await self.reload("HUP")
        self.assertEqual(before, after)

    async def test_signalBroken(self) -> None:
        """
        A daemon that its own reload ends has crashed, and is started again.
        """
        name = self.command("python", "server.py", reload="USR1")
        await self.wake(name)
        pid = self.row(name)["pid"]
        self.daemons.restart(name)
        await self.until(name, "BACKOFF")
        self.assertIn("signal 10", self.row(name)["reason"])
        self.assertNotEqual((await self.until(name, "READY"))["pid"], pid)

    async def test_signalCannot(self) -> None:
        """
        Another environment cannot be signalled into a process: the next one starts beside.
        """
        name = self.wsgi(reload="HUP")
        await self.wake(name)
        pid = self.row(name)["pid"]
        self.apps[name] = evolve(self.apps[name], environment={"VERSION": "2"})
        self.daemons.changed([f"app/{name}"])
        await self.dead(pid)
        self.assertEqual((await get((await self.wake(name)).address)).split()[1], "2")
