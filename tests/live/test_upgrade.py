"""
A node that goes on as other code while everybody asks it for something.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rcode
from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import connect

from hostedge.cli.client import ApiClient
from hostedge.settings import read_settings
from tests.http.h2_parts import HELLO as PREFACE
from tests.http.h2_parts import Heard, asked, block, frame
from tests.live.node import PATIENCE, ROOT, TWISTD, Answer, Node, load, wait_for

HELLO = """
import os, time

def app(environ, start_response):
    if environ["QUERY_STRING"] == "long":
        with open("begun", "w"):
            time.sleep(8)
    answer = str(os.getppid()).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""

# takes longer to start than the new code takes to be looked at
SLOW = f"""
import time
with open("starts", "a") as starts:
    starts.write("x")
time.sleep(3)
{HELLO}
"""

ECHO = """
import asyncio, os
from websockets.asyncio.server import serve

async def echo(socket):
    async for message in socket:
        await socket.send(message)

async def main():
    async with serve(echo, os.environ["HOST"], int(os.environ["PORT"])) as server:
        await server.serve_forever()

asyncio.run(main())
"""

SIZE = 16_000_000


def site(account: str = "one") -> dict[str, Any]:
    wsgi = {"runtime": "wsgi"}
    echo = {"runtime": "command", "command": [sys.executable, "echo.py"]}
    mappings: list[dict[str, Any]] = [
        {"path": "/", "app": "hello"},
        {"path": "/slow", "app": "slow"},
        {"path": "/cold", "app": "cold"},
        {"path": "/files", "static": "files"},
        {"path": "/echo", "app": "echo", "websocket": True},
    ]
    return {
        "account": account,
        "apps": [
            {"name": "hello", "module": "hello:app", "threads": 4, **wsgi},
            {"name": "cold", "module": "hello:app", **wsgi},
            {"name": "slow", "module": "slow:app", **wsgi},
            {"name": "echo", **echo},
        ],
        "domains": [
            {"name": f"{account}.localhost", "mappings": mappings},
            # nobody has asked for it yet, so there is no certificate
            {"name": f"new.{account}.localhost", "mappings": mappings},
        ],
    }


def environment(pid: int) -> bytes:
    """What the process was given, when it last became another program."""
    return Path(f"/proc/{pid}/environ").read_bytes()


class Reply:
    """An answer over HTTP/2."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.text = body.decode()


class Multiplexed:
    """
    Asks over one HTTP/2 connection, and over another once the node has said goodbye there. What
    it says it has not looked at is asked again (RFC 9113, section 6.8); all else has to come.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._client: ssl.SSLSocket | None = None

    def ask(self) -> Reply:
        while True:
            client = self._client or self._connect()
            self._stream += 2
            fields = dict(asked("GET", "/"))
            fields[b":scheme"], fields[b":authority"] = b"https", b"one.localhost"
            head = frame("HEADERS", 0x5, self._stream, block(list(fields.items())))
            reply = self._sent(client, head)
            if reply is None or self._heard.goodbyes:
                client.close()
                self._client = None
            if reply is not None:
                return reply

    def _connect(self) -> ssl.SSLSocket:
        context = self._node.tls_context()
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(self._node.address("https"), PATIENCE)
        self._client = client = context.wrap_socket(plain, server_hostname="one.localhost")
        self._heard, self._rest, self._stream = Heard(), b"", -1
        client.sendall(PREFACE)
        return client

    def _sent(self, client: ssl.SSLSocket, head: bytes) -> Reply | None:
        """The answer to a request; None: it was not looked at."""
        heard, stream = self._heard, self._stream
        try:
            client.sendall(head)
            while stream not in heard.ended and stream not in heard.reset:
                self._take(client)
        except OSError as error:
            if heard.goodbyes and heard.goodbyes[-1][1] < stream:
                return None
            raise ConnectionError(f"{error}, stream {stream}, heard {heard.words()}") from None
        if stream in heard.reset:
            return None if heard.reset[stream] == "REFUSED_STREAM" else Reply(0, b"reset")
        return Reply(heard.statuses[stream][-1], heard.bodies.get(stream, b""))

    def _take(self, client: ssl.SSLSocket) -> None:
        data = client.recv(65536)
        if not data:
            raise ConnectionError("ended")
        self._rest += data
        while len(self._rest) >= 9 + (size := int.from_bytes(self._rest[:3], "big")):
            whole, self._rest = self._rest[: 9 + size], self._rest[9 + size :]
            for kind, flags, _, payload in self._heard.take(whole):
                if kind in ("SETTINGS", "PING") and not flags & 1:
                    client.sendall(frame(kind, 1, 0, payload if kind == "PING" else b""))


class CopiedNode(Node):
    """A node that runs a copy of the code, so that there can be other code from one moment on."""

    def __init__(self) -> None:
        super().__init__(edges=2, settings='dns = ["127.0.0.1:0"]\n')
        self.code = self.folder / "code"
        skipped = shutil.ignore_patterns("__pycache__", "dropin.cache")
        for name in ("hostedge", "twisted"):
            shutil.copytree(ROOT / name, self.code / name, ignore=skipped)

    def change(self, path: str, change: Callable[[str], str]) -> None:
        file = self.code / path
        before = file.read_text()
        after = change(before)
        if before == after:
            raise AssertionError(f"{path} is as it was")
        file.write_text(after)

    def set_version(self, version: str) -> None:
        text = f'"""Which hostedge this is."""\n\nVERSION = "{version}"\n'
        self.change("hostedge/version.py", lambda _: text)

    def record(self) -> dict[str, Any]:
        """How far the last upgrade has come."""
        try:
            found: dict[str, Any] = json.loads((self.state / "run/upgrade.json").read_text())
        except OSError:
            return {"state": "", "step": ""}
        return found

    def family(self) -> dict[str, Any]:
        """The pids of all that is not leaving, by role; the keeper's too."""
        noted = json.loads((self.state / "run/family.json").read_text())
        assert self.keeper is not None
        found: dict[str, Any] = {"keeper": [self.keeper.pid]}
        for each in noted:
            if not each["leaving"]:
                found.setdefault(each["role"], []).append(each["pid"])
        return found

    def versions(self) -> set[str]:
        listed = json.loads(self.command("status", "--json").stdout)
        return {each["version"] for each in listed["processes"]}

    def is_whole(self) -> bool:
        """One of each and as many edges as there are to be, all of them linked."""
        family = self.family()
        counts = {role: len(pids) for role, pids in family.items()}
        if counts != {"keeper": 1, "template": 1, "control": 1, "edge": 2}:
            return False
        try:
            edges = self.status()["edges"]
        except (OSError, http.client.HTTPException, AssertionError):
            return False
        linked = {each["pid"] for each in edges if each["linked"] and not each.get("leaving")}
        return linked == set(family["edge"])


class UpgradeTests(SynchronousTestCase):
    """One node a test; every process that a test starts ends with it."""

    def setUp(self) -> None:
        self.node = CopiedNode()
        self.addCleanup(self.node.stop)
        self.node.write("one/hello.py", HELLO)
        self.node.write("one/slow.py", SLOW)
        self.node.write("one/echo.py", ECHO)
        self.node.write("one/files/large", "x" * SIZE)
        self.node.start()
        self.node.apply(site())
        # the certificate, and the daemons that are to go on
        self.daemon = self.node.get("one.localhost", tls=True).text

    def get(self) -> Answer:
        return self.node.get("one.localhost")

    @contextlib.contextmanager
    def kept_alive(self, tls: bool) -> Iterator[list[Any]]:
        """
        Keep asking over one connection. When it has been closed between two requests a client
        makes another, as RFC 9112, section 9.3.1 has it; on a new one nothing may fail.
        """
        held: list[Any] = []

        def ask() -> Answer:
            used = bool(held)
            if not used:
                held.append(self.node.connection("one.localhost", tls=tls))
            try:
                held[0].request("GET", "/")
                answer = Answer(held[0].getresponse())
            except (http.client.RemoteDisconnected, ConnectionError):
                held.pop().close()
                if not used:
                    raise
                return ask()
            if answer.headers["Connection"] == "close":
                held.pop().close()
            return answer

        with load(ask, clients=1) as wrong:
            yield wrong
        for connection in held:
            connection.close()

    def download(self, over: threading.Event, wrong: list[Any]) -> None:
        """Read one long answer as slowly as it takes until everything else is done."""
        with self.node.connect() as client:
            client.sendall(b"GET /files/large HTTP/1.1\r\nHost: one.localhost\r\n\r\n")
            got = client.recv(1000)
            while b"\r\n\r\n" not in got:
                got += client.recv(1000)
            size = len(got.partition(b"\r\n\r\n")[2])
            while size < SIZE:
                over.wait(0.05)
                piece = client.recv(1_000_000 if over.is_set() else 10_000)
                if not piece:
                    break
                size += len(piece)
            if size != SIZE:
                wrong.append(("download", size))

    @contextlib.contextmanager
    def in_thread(self, work: Callable[..., None], *arguments: Any) -> Iterator[None]:
        thread = threading.Thread(target=work, args=arguments)
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def resolve(self) -> Reply:
        """Ask a question over UDP; an answer that is not there in time is asked for no more."""
        question = dns.message.make_query("one.localhost", "A")
        port = self.node.address("dns-udp")[1]
        answer = dns.query.udp(question, "127.0.0.1", port=port, timeout=PATIENCE)
        return Reply(200 if answer.rcode() == dns.rcode.REFUSED else 0, str(answer).encode())

    def change(self) -> Answer:
        """Change something, as an operator does: a call that is not answered has failed."""
        with ApiClient(read_settings(self.node.settings)) as client:
            client.call("POST", "/v1/apply", {"sites": [site("two")]})
            client.call("POST", "/v1/apply", {"sites": [{"account": "two"}]})
        return self.get()

    def ask_at(self, step: str, path: str, wrong: list[Any], name: str = "one.localhost") -> None:
        """Ask for this when the upgrade has come to the step; any other name over TLS."""
        wait_for(step, lambda: self.node.record()["step"] == step)
        try:
            answer = self.node.get(name, path, tls=name != "one.localhost")
        except OSError as error:
            wrong.append((name, path, error))
            return
        if answer.status != 200:
            wrong.append((name, path, answer.status, answer.text))

    def test_nothingFails(self) -> None:
        """
        Twice in a row every process but the daemons goes on as new code, the keeper with its
        pid; nobody who asks for anything is refused or cut off.
        """
        before = self.node.family()
        wrong: list[Any] = []
        over = threading.Event()
        with contextlib.ExitStack() as running:
            loads = [
                running.enter_context(load(self.resolve, clients=1)),
                running.enter_context(load(Multiplexed(self.node).ask, clients=1)),
                running.enter_context(load(self.change, clients=1)),
                running.enter_context(load(self.get, clients=2)),
                running.enter_context(self.kept_alive(tls=False)),
                running.enter_context(self.kept_alive(tls=True)),
            ]
            running.enter_context(self.in_thread(self.download, over, wrong))
            running.callback(over.set)
            talking = running.enter_context(
                connect(
                    "ws://one.localhost/echo",
                    sock=self.node.connect(),
                    open_timeout=PATIENCE,
                    close_timeout=PATIENCE,
                )
            )
            for version, step, path in (("8.1", "check", "/slow"), ("8.2", "keeper", "/cold")):
                self.node.set_version(version)
                with (
                    self.in_thread(self.ask_at, step, path, wrong),
                    self.in_thread(self.ask_at, "control", "/", wrong, "new.one.localhost"),
                ):
                    done = self.node.command("upgrade")
                self.assertEqual((done.returncode, done.stderr), (0, ""), self.node.log())
                self.assertIn(version, done.stdout)
                talking.send(version)
                self.assertEqual(talking.recv(PATIENCE), version)
                wait_for("the node is whole", self.node.is_whole)
                after = self.node.family()
                self.assertEqual(after["keeper"], before["keeper"])
                for role in ("template", "control", "edge"):
                    self.assertFalse(set(after[role]) & set(before[role]), role)
                before = after
        self.assertEqual([each for every in (wrong, *loads) for each in every], [])
        self.assertEqual(self.get().text, self.daemon)
        # with the WebSocket and the download nothing holds the old edges any more
        wait_for("the old edges have left", lambda: len(self.node.pids("edge")) == 2)
        self.assertEqual(self.node.versions(), {"8.2"})
        # it was waited for, not started once more
        self.assertEqual((self.node.homes / "one/starts").read_text(), "x")
        assert self.node.keeper is not None
        self.assertIsNone(self.node.keeper.poll())

    def test_finishesWhatRuns(self) -> None:
        """
        A request that an app's former processes still work at is answered by them.
        """
        wrong: list[Any] = []

        def ask() -> None:
            answer = self.node.get("one.localhost", "/?long")
            if (answer.status, answer.text) != (200, self.daemon):
                wrong.append((answer.status, answer.text))

        with self.in_thread(ask):
            wait_for("it has begun", lambda: (self.node.homes / "one/begun").exists())
            self.node.api("POST", "/v1/apps/one/hello/restart")
            wait_for("another serves", lambda: self.get().text != self.daemon)
            self.assertEqual(self.node.command("upgrade").stderr, "")
        self.assertEqual(wrong, [])
        # daemons are children of the keeper as before: it learns how they end
        os.kill(self.node.apps()["one/hello"]["pid"], signal.SIGKILL)
        log = self.node.folder / "keeper.log"
        wait_for("it is known", lambda: "ended by signal 9" in log.read_text())

    def test_toldToEndMeanwhile(self) -> None:
        """
        A node that is told to end while the keeper becomes other code ends, in order.
        """
        keeper = self.node.keeper
        assert keeper is not None
        self.node.api("POST", "/v1/upgrade")
        # this image is gone, and the next one has no handlers yet
        wait_for("the exec", lambda: b"HOSTEDGE_HANDOVER" in environment(keeper.pid))
        keeper.terminate()
        self.assertEqual(keeper.wait(PATIENCE), 0)
        self.assertEqual(self.node.processes(), [])

    def test_brokenCode(self) -> None:
        """
        Code that cannot run is refused with what is wrong with it, and nothing has changed.
        """
        before = self.node.family()
        self.node.change("hostedge/edge.py", lambda text: text + "\nwith\n")
        done = self.node.command("upgrade")
        self.assertEqual(done.returncode, 1)
        self.assertIn("stopped at check: the new code cannot run this node", done.stderr)
        self.assertIn("SyntaxError", done.stderr)
        self.node.change("hostedge/edge.py", lambda text: text.removesuffix("\nwith\n"))
        self.node.change(
            "hostedge/store/reader.py", lambda text: text.replace("\nSCHEMA = ", '\nSCHEMA = "9" ')
        )
        done = self.node.command("upgrade")
        self.assertRegex(done.stderr, r"this node: \S+: has tables of version \w+, want 9")
        self.assertEqual(self.node.family(), before)
        self.assertEqual(self.get().text, self.daemon)

    def test_brokenEdges(self) -> None:
        """
        When new edges end as they begin, the old ones stay; with whole code it goes on later.
        """
        before = self.node.family()
        mistake = "    limits, dns = settings.limits, settings.dns\n"
        path = "hostedge/compose.py"
        self.node.change(path, lambda text: text.replace(mistake, mistake + "    settings.none\n"))
        with load(self.get) as wrong:
            done = self.node.command("upgrade", "--json")
            self.assertEqual(done.returncode, 1)
            record = json.loads(done.stdout)
            self.assertEqual((record["state"], record["step"]), ("stopped", "edge 2"))
            self.assertIn("edge 2 has ended as it began", record["reason"])
            self.assertEqual(self.node.family()["edge"], before["edge"])
            # the old template follows an old edge that ends
            os.kill(before["edge"][0], signal.SIGKILL)
            wait_for("the node is whole", self.node.is_whole)
            self.node.change(path, lambda text: text.replace("    settings.none\n", ""))
            done = self.node.command("upgrade")
            self.assertEqual((done.returncode, done.stderr), (0, ""), self.node.log())
        # what the killed edge had in its hands
        self.assertLessEqual(len(wrong), 4)
        self.assertFalse(set(self.node.family()["edge"]) & set(before["edge"]))

    def test_brokenKeeper(self) -> None:
        """
        New code that cannot be a keeper leaves everything else as it was; repaired it goes on.
        """
        before = self.node.family()
        path, mistake = "hostedge/keeper.py", "        self._family.adopt(relatives)\n"
        self.node.change(path, lambda text: text.replace(mistake, mistake + "        1 / 0\n"))
        with load(self.get) as wrong:
            done = self.node.command("upgrade")
            self.assertEqual(done.returncode, 1)
            self.assertIn("the keeper has ended as the new code", done.stderr)
            keeper = self.node.keeper
            assert keeper is not None
            self.assertEqual(keeper.wait(PATIENCE), 1)
            self.assertEqual(self.node.family(), before)
            text = mistake + "        1 / 0\n"
            self.node.change(path, lambda broken: broken.replace(text, mistake))
            self.node.launch()
            wait_for("the upgrade is over", lambda: self.node.record()["state"] == "done")
            wait_for("the node is whole", self.node.is_whole)
        self.assertEqual(wrong, [])
        self.assertEqual(self.get().text, self.daemon)

    def test_keeperKilledMeanwhile(self) -> None:
        """
        A keeper that is killed in the middle takes nothing with it; the next one goes on.
        """
        before = self.node.family()
        self.node.set_version("8.1")
        with load(self.get) as wrong:
            self.node.api("POST", "/v1/upgrade")
            wait_for("edges", lambda: self.node.record()["step"] in ("template", "edge 2"))
            keeper = self.node.keeper
            assert keeper is not None
            keeper.kill()
            keeper.wait()
            self.node.launch()
            wait_for("the upgrade is over", lambda: self.node.record()["state"] == "done")
            wait_for("the node is whole", self.node.is_whole)
        self.assertEqual(wrong, [])
        after = self.node.family()
        for role in ("template", "control", "edge"):
            self.assertFalse(set(after[role]) & set(before[role]), role)
        self.assertEqual(self.node.versions(), {"8.1"})
        self.assertEqual(self.get().text, self.daemon)


class DaemonizedTests(SynchronousTestCase):
    """A node that twistd has sent into the background."""

    def test_pidFile(self) -> None:
        """
        The pid file says the truth all the time, the log goes on, and the end removes it.
        """
        node = Node(edges=1)
        self.addCleanup(node.stop)
        options = ("--pidfile=node.pid", "--logfile=node.log", "hostedge", "--settings=node.toml")
        subprocess.run(
            [*TWISTD, *options],
            cwd=node.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
        )
        pid_file, log = node.folder / "node.pid", node.folder / "node.log"

        def is_up() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
                return any(each["linked"] for each in node.status()["edges"])
            return False

        wait_for("the node is up", is_up)
        before, size = pid_file.read_text(), log.stat().st_size
        session = os.getsid(int(before))
        read: set[str] = set()
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                read.add(pid_file.read_text() if pid_file.exists() else "there is none")

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            done = node.command("upgrade")
        finally:
            over.set()
            watching.join()
        self.assertEqual((done.returncode, done.stderr), (0, ""), log.read_text()[-4000:])
        self.assertEqual(read - {before, ""}, set())
        self.assertEqual(os.getsid(int(before)), session)
        self.assertGreater(log.stat().st_size, size)
        os.kill(int(before), signal.SIGTERM)
        wait_for("nothing is left", lambda: not node.processes())
        self.assertFalse(pid_file.exists())
