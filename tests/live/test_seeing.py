"""
What an operator sees of daemons: a whole node, apps that fail in every way, and the command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hostedge.supervise.log_bounds import FILES, LAST_WORDS, ROOM, SIZE
from tests.live.node import PATIENCE, ROOT, Answer, Node, UnixConnection, wait_for

SERVER = """
import http.server, os, sys, time
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked for", self.path, flush=True)
        if self.path.startswith("/slow") and os.environ["HOSTEDGE_GENERATION"] == "1":
            time.sleep(600)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
"""
GOOD = (
    SERVER
    + 'http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()'
)
ELSEWHERE = SERVER + 'http.server.HTTPServer(("127.0.0.1", 0), Answer).serve_forever()'
# a print would fail as every write does
QUIET = "import os, sys\nsys.stdout = sys.stderr = open(os.devnull, 'w')\n"
UNIMPORTABLE = "import no_such_module\n\ndef app(environ, start_response):\n    pass\n"
FULL = 'print("before", flush=True)\nopen("full/file", "w").write("x" * 1_000_000)\n'
FLOOD = (
    """
import os, sys
line = b"y" * 99 + b"\\n"
for _ in range(80):
    os.write(1, line * 10_000)
os.write(1, b"the end\\n")
"""
    + GOOD
)


def app(name: str, command: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    if not more.get("runtime"):
        more |= {"runtime": "command", "command": list(command)}
    return {"name": name, **more}


def site(*apps: dict[str, Any]) -> dict[str, Any]:
    """An account whose apps answer at `APP.localhost`."""
    domains = [
        {"name": f"{each['name']}.localhost", "mappings": [{"path": "/", "app": each["name"]}]}
        for each in apps
    ]
    return {"account": "demo", "apps": list(apps), "domains": domains}


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Node(edges=1, settings="[limits]\nhold_timeout = 2\n")
        self.addCleanup(self.node.stop)
        self.node.start()

    def failing(self, *apps: dict[str, Any]) -> str:
        """What a visitor is told of an app that cannot start."""
        self.node.apply(site(*apps))
        answer = self.node.get(f"{apps[-1]['name']}.localhost")
        self.assertIn(answer.status, (502, 503, 504))
        return answer.text

    def journey(self, name: str) -> dict[str, Any]:
        """The app's last start that failed, once one has."""

        def look() -> Any:
            return self.node.api("GET", f"/v1/apps/demo/{name}")["journey"]

        journey: dict[str, Any] = wait_for(f"a start of {name} has failed", look)
        return journey

    def told(self, *words: str) -> str:
        done = self.node.command(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in done.stdout.splitlines():
            self.assertLessEqual(len(line), 200)
        return done.stdout


class FailingTests(Case):
    """An app that cannot start gives its owner the reason in one line, and nobody else."""

    def test_noCommand(self) -> None:
        """
        A command that is not there is named; each step has its time, the log its last words.
        """
        self.node.home("demo")
        page = self.failing(app("missing", ["no-such-command"]))
        journey = self.journey("missing")
        self.assertEqual(journey["cause"], "command_not_found")
        self.assertEqual(journey["reason"], "command not found: no-such-command")
        steps = [each["step"] for each in journey["steps"]]
        self.assertEqual(steps, ["queued", "token", "launched", "exited"])
        self.assertEqual(journey["exit"], 127)
        self.assertEqual(len(journey["stderr"]), 1)
        self.assertNotIn("no-such-command", page)
        shown = self.told("apps", "demo/missing")
        self.assertIn("why         command not found: no-such-command", shown)
        self.assertIn("exit status 127", shown)
        self.assertIn("  command not found: no-such-command", self.told("apps"))

    def test_noModule(self) -> None:
        """
        A module that gunicorn cannot import is named, although gunicorn says much more.
        """
        self.node.write("demo/hello.py", UNIMPORTABLE)
        page = self.failing(app("hello", runtime="wsgi", module="hello:app"))
        journey = self.journey("hello")
        self.assertEqual(journey["cause"], "module_not_importable")
        self.assertIn("No module named 'no_such_module'", journey["reason"])
        self.assertTrue(any("no_such_module" in line for line in journey["stderr"]))
        self.assertNotIn("no_such_module", page)

    def test_neverBound(self) -> None:
        """
        One that never listens on $PORT is told so, and one that listens elsewhere where.
        """
        self.node.write("demo/elsewhere.py", ELSEWHERE)
        asleep = app("asleep", ["sleep", "600"], start_timeout="1s")
        elsewhere = app("elsewhere", ["python3", "elsewhere.py"], start_timeout="4s")
        self.failing(elsewhere, asleep)
        journey = self.journey("asleep")
        self.assertEqual(journey["reason"], "it never listened on $PORT within 1 s")
        self.assertEqual(
            [each["step"] for each in journey["steps"]][-2:], ["start_timeout", "exited"]
        )
        self.node.get("elsewhere.localhost")
        journey = self.journey("elsewhere")
        self.assertRegex(journey["reason"], r"^it listens on 127\.0\.0\.1:\d+, not on \$HOST")

    def test_fullDisk(self) -> None:
        """
        A disk that is full is named as such; what the node keeps is somewhere else.
        """
        full = self.node.home("demo") / "full"
        full.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)])
        if mounted.returncode:
            raise SkipTest("nothing can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", str(full)], check=True)
        self.node.write("demo/full.py", FULL)
        self.failing(app("full", ["python3", "full.py"]))
        journey = self.journey("full")
        self.assertEqual(journey["cause"], "disk_quota")
        self.assertIn("No space left on device", journey["reason"])
        self.assertEqual(journey["stderr"][0], "before")

    def test_fullLogs(self) -> None:
        """
        Where the disk of the logs is full, an app starts and answers all the same; lines that
        could not be written are counted.
        """
        logs = self.node.state / "log/apps/demo"
        logs.mkdir(parents=True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(logs)])
        if mounted.returncode:
            raise SkipTest("nothing can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", str(logs)], check=True)
        (logs / "filler").write_bytes(b"x" * 4096)
        self.node.write("demo/good.py", QUIET + GOOD)
        self.node.apply(site(app("good", ["python3", "good.py"])))
        self.assertEqual(self.node.get("good.localhost").status, 200)
        connection = self.node.api("GET", "/v1/events")
        self.assertIn("ready", [each["event"] for each in connection["events"]])
        self.assertGreater(self.metric("hostedge_daemon_events_dropped_total"), 0)

    def metric(self, name: str) -> float:
        connection = UnixConnection(self.node.state / "control" / "api.sock")
        connection.request("GET", "/metrics")
        text = Answer(connection.getresponse()).text
        connection.close()
        [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(line.split()[1])


class Following:
    """A command that goes on until it is ended; its lines as they come."""

    def __init__(self, node: Node, *words: str) -> None:
        command = [sys.executable, "-m", "hostedge.cli.main", "--settings", str(node.settings)]
        self.process = subprocess.Popen(
            [*command, *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, part: str) -> str:
        """The first line that has this in it."""
        found: str = wait_for(
            f"a line with {part!r}", lambda: next((x for x in self.lines if part in x), "")
        )
        return found

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


class SeeingTests(Case):
    """An app that runs, and who looks at it."""

    def setUp(self) -> None:
        super().setUp()
        self.node.write("demo/good.py", GOOD)
        self.node.apply(site(app("good", ["python3", "good.py"])))

    def follow(self, *words: str) -> Following:
        following = Following(self.node, *words)
        self.addCleanup(following.stop)
        return following

    def test_follow(self) -> None:
        """
        What it says and what happens to it comes to who follows, also from a second keeper.
        """
        events = self.follow("events", "demo", "-f")
        logs = self.follow("logs", "demo/good", "-f")
        self.assertEqual(self.node.get("good.localhost", "/one").status, 200)
        logs.wait_for("asked for /one")
        line = events.wait_for(" ready")
        self.assertRegex(line, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ demo/good#\d+ ready")
        self.assertIn("asked for /one", self.told("logs", "demo/good", "-n", "5"))
        # however its lines are broken
        shown = " ".join(self.told("apps", "demo/good").split())
        steps = "token .*, fork .*, exec .*, bind .*, first response "
        self.assertRegex(shown, f"last start .*, took .*: {steps}")
        self.assertIn("demo/good  READY", self.told("apps", "demo"))
        assert self.node.keeper is not None
        os.kill(self.node.keeper.pid, 9)
        self.node.keeper.wait()
        self.node.start()
        events.wait_for(" adopted")
        self.assertEqual(self.node.get("good.localhost", "/two").status, 200)
        logs.wait_for("asked for /two")
        self.assertIsNone(events.process.poll())
        told = [
            json.loads(line) for line in self.told("--json", "events", "demo/good").splitlines()
        ]
        self.assertEqual([each["event"] for each in told], ["adopted"])
        written = (self.node.state / "log/apps/demo/good.events").read_text().splitlines()
        kept = [json.loads(line)["event"] for line in written]
        start = ["queued", "token", "launched", "exec", "bound", "ready"]
        self.assertEqual(kept, [*start, "adopted"])

    def test_diedUnderRequest(self) -> None:
        """
        An edge knows which request was on a daemon that was killed: method, host and path.
        """
        asking = threading.Thread(target=self.node.get, args=("good.localhost", "/slow?key=1"))
        asking.start()

        def pid_at_work() -> Any:
            app = self.node.apps().get("demo/good", {})
            return app.get("in_flight") and app.get("pid")

        os.kill(wait_for("a request is in flight", pid_at_work), 9)
        asking.join()
        source = "backends.last_requests('demo/good', 1)"
        told = self.told("manhole", "-c", f'edge(0)("{source}")')
        self.assertIn("'path': '/slow'", told)
        self.assertIn("'host': 'good.localhost'", told)
        self.assertIn("exited  pid", self.told("events", "demo/good"))

    def test_suspend(self) -> None:
        """
        An account is suspended by one call, which says what it has stopped; and back.
        """
        self.assertEqual(self.node.get("good.localhost").status, 200)
        pid = self.node.apps()["demo/good"]["pid"]
        shown = self.told("suspend", "demo")
        self.assertIn("demo is suspended from revision", shown)
        self.assertRegex(shown, rf"demo/good +READY +\d+ +{pid}")
        self.assertEqual(self.node.get("good.localhost").status, 503)
        wait_for("its daemon has ended", lambda: not Path(f"/proc/{pid}").exists())
        self.assertIn("nothing has changed", self.told("suspend", "demo"))
        self.assertIn("demo is served from revision", self.told("resume", "demo"))
        self.assertEqual(self.node.get("good.localhost").status, 200)
        self.assertIn("account/demo", self.told("changes", "account/demo"))
        self.assertEqual(self.node.command("suspend", "nobody").returncode, 1)

    def test_flood(self) -> None:
        """
        However fast a daemon writes, its log is bounded, it waits for nobody, and what it said
        last is there.
        """
        self.node.write("demo/flood.py", FLOOD)
        self.node.apply(site(app("flood", ["python3", "flood.py"])))
        self.assertEqual(self.node.get("flood.localhost").status, 200)
        folder = self.node.state / "log/apps/demo"
        most = SIZE + SIZE // ROOM + LAST_WORDS

        def bounded() -> bool:
            sizes = [path.stat().st_size for path in folder.glob("flood.log*")]
            return len(sizes) > 1 and max(sizes) <= most and len(sizes) <= FILES

        wait_for("the log is within its bounds", bounded)
        self.assertIn("the end", self.told("logs", "demo/flood", "-n", "99"))
