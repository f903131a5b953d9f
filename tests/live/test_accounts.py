"""
A node whose customers, control and edges are all users of their own, as root starts it.

Each customer's app does what it is asked to: what one can do to another is tried by the other.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.firewall import find_nft
from tests.live.everybody import Everybody
from tests.live.node import Node, wait_for

# users that every Debian has
CONTROL, EDGE = "daemon", "www-data"
FIRST = 40_000

# evaluates what it is asked for, as the customer it belongs to
APP = """
import ast, http.server, json, os, pathlib, signal, socket, subprocess, urllib.parse
def attempt(code):
    try:
        return eval(code)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(attempt(urllib.parse.unquote(self.path.partition("?")[2]))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
if os.environ.get("LISTEN_FDS"):
    class Server(http.server.HTTPServer):
        def server_bind(self):
            self.socket = socket.socket(fileno=3)
            self.server_name, self.server_port = "", 0
        def server_activate(self):
            pass
    # the address of a UNIX socket is no pair
    Answer.address_string = lambda self: ""
    Answer.client_address = ("", 0)
    server = Server(("", 0), Answer)
    server.get_request = lambda: (server.socket.accept()[0], ("", 0))
else:
    server = http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Answer)
server.serve_forever()
"""
# what stays behind when its parent ends, in a session and group of its own
LEAVER = (
    "subprocess.Popen(['sh', '-c', 'setsid sleep 600 >/dev/null & echo $!'],"
    " stdout=subprocess.PIPE, text=True).communicate()[0].strip()"
)


class AccountsNode(Node):
    """With a user for each of everybody."""

    def __init__(self, roles: bool = True) -> None:
        super().__init__(edges=2)
        lines = [x for x in self.settings.read_text().splitlines() if not x.startswith("user")]
        lines += ["[accounts]", 'users = "own"', f"first = {FIRST}", f"last = {FIRST + 99}"]
        if roles:
            lines += [f'control = "{CONTROL}"', f'edge = "{EDGE}"']
        self.settings.write_text("\n".join([*lines, ""]))
        # to be passed through by everybody
        self.folder.chmod(0o711)
        self.everybody = Everybody(self.folder)

    def launch(self) -> None:
        self.keeper = subprocess.Popen(
            [
                *(*self.everybody.twistd, "-n", "--pidfile=", "hostedge"),
                *("--settings", str(self.settings)),
            ],
            cwd="/",
            env=self.everybody.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def add(self, account: str, view: str = "all") -> None:
        """A customer with an app that binds a port and one whose listener is held."""
        self.write(f"{account}/app.py", APP)
        self.write(f"{account}/secret", f"of {account}")
        (self.homes / account / "secret").chmod(0o600)
        self.write(f"{account}/public/page.html", "for all")
        command = {"runtime": "command", "command": ["/usr/bin/python3", "app.py"]}
        self.apply(
            {
                "account": {"name": account, "view": view},
                "apps": [
                    {"name": "port", **command},
                    {"name": "held", "listen": "socket", **command},
                ],
                "domains": [
                    {
                        "name": f"{account}.localhost",
                        "mappings": [
                            {"path": "/", "app": "port"},
                            {"path": "/held", "app": "held"},
                            {"path": "/public", "static": "public"},
                        ],
                    }
                ],
            }
        )

    def ask(self, account: str, code: str, path: str = "/") -> Any:
        """What comes of this when the account's app does it."""
        answer = self.get(f"{account}.localhost", f"{path}?{quote(code)}")
        if answer.status != 200:
            raise AssertionError(f"{code}: {answer.status} {answer.text}")
        return json.loads(answer.body)

    def users(self, role: str) -> set[str]:
        return {pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name for pid in self.pids(role)}


class AccountsTests(SynchronousTestCase):
    """Who can do what to whom."""

    def setUp(self) -> None:
        if os.geteuid() != 0:
            # only root can give users: that it is refused is held by tests.supervise.test_users
            self.skipTest("needs root")
        self.node = AccountsNode()
        self.addCleanup(self.node.stop)
        self.node.start()
        for account in ("one", "two"):
            self.node.add(account)

    def test_usersOfTheNode(self) -> None:
        """
        Control and edges have no rights of root; the store is control's alone, and read by edges.
        """
        node = self.node
        self.assertEqual(node.users("control"), {CONTROL})
        self.assertEqual(node.users("edge") | node.users("template"), {EDGE})
        self.assertEqual(node.get("one.localhost", "/public/page.html").text, "for all")
        # what edges write, they can
        wait_for("a line of the log", lambda: len(node.access_log()) == 1)
        store = node.state / "control/store.db"
        self.assertEqual(pwd.getpwuid(store.stat().st_uid).pw_name, CONTROL)
        tried = f"open({str(store)!r}, 'ab')"
        line = ["setpriv", "--reuid", EDGE, "--regid", EDGE, "--clear-groups"]
        done = subprocess.run([*line, "/usr/bin/python3", "-c", tried], capture_output=True)
        self.assertIn(b"PermissionError", done.stderr)

    def test_strangers(self) -> None:
        """
        What a customer's process is: its own user, no groups, no capabilities, and no way back.
        """
        node = self.node
        for number, account in enumerate(("one", "two")):
            for path in ("/", "/held"):
                who = node.ask(account, "[*os.getresuid(), *os.getresgid()]", path)
                self.assertEqual(who, [FIRST + number] * 6)
                self.assertEqual(node.ask(account, "os.getgroups()", path), [])
                status = node.ask(account, "pathlib.Path('/proc/self/status').read_text()", path)
                told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
                for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                    self.assertEqual(int(told[name], 16), 0, name)
                self.assertEqual(told["NoNewPrivs"], "1")
        self.assertEqual(len((node.state / "users").read_text().splitlines()), 2)

    def test_eachOther(self) -> None:
        """
        One reads neither the files nor the environment of the other, reaches neither its socket
        nor its port, and cannot signal it.
        """
        node = self.node
        pid = node.ask("two", "os.getpid()")
        port = node.ask("two", "int(os.environ['PORT'])")
        held = node.ask("two", "os.getpid()", "/held")
        home = node.homes / "two"
        socket = next((node.state / "run/d").glob("two.held.*"))
        for code in (
            f"pathlib.Path({str(home / 'secret')!r}).read_text()",
            f"os.listdir({str(home)!r})",
            f"pathlib.Path('/proc/{pid}/environ').read_bytes().decode()",
            f"os.kill({pid}, 0)",
            f"os.kill({held}, signal.SIGTERM)",
            f"socket.socket(socket.AF_UNIX).connect({str(socket)!r})",
            f"os.listdir({str(node.state / 'run/d')!r})",
            f"os.listdir({str(node.state / 'control')!r})",
            f"pathlib.Path({str(node.state / 'log/apps/two/port.log')!r}).read_text()",
        ):
            self.assertIn("PermissionError", str(node.ask("one", code)), code)
        if find_nft() is not None:
            code = f"socket.socket().connect(('127.0.0.1', {port}))"
            self.assertIn("ConnectionRefusedError", str(node.ask("one", code)))
        # its own are its own
        secret = f"pathlib.Path({str(home / 'secret')!r}).read_text()"
        self.assertEqual(node.ask("two", secret), "of two")

    def test_suspended(self) -> None:
        """
        One call ends everything of an account, also what has left its parents; and another brings
        it back. The other account does not notice.
        """
        node = self.node
        left = int(node.ask("one", LEAVER))
        pids = [node.ask("one", "os.getpid()", path) for path in ("/", "/held")]
        other = node.ask("two", "os.getpid()")
        done = node.command("suspend", "one")
        self.assertEqual(done.returncode, 0, done.stderr)
        for pid in (left, *pids):
            wait_for(f"{pid} is gone", lambda pid=pid: not os.path.exists(f"/proc/{pid}"))
        self.assertEqual(node.get("one.localhost").status, 503)
        self.assertEqual(node.get("one.localhost", "/public/page.html").status, 503)
        self.assertEqual(node.ask("two", "os.getpid()"), other)
        self.assertEqual(node.command("resume", "one").returncode, 0)
        self.assertEqual(node.ask("one", "os.getuid()"), FIRST)

    def test_log(self) -> None:
        """
        What an app says is in its log, which the command line shows.
        """
        node = self.node
        node.ask("one", "os.write(2, b'well now\\n')")
        self.assertIn("well now", node.command("logs", "one/port").stdout)

    def test_upgraded(self) -> None:
        """
        An upgrade keeps everybody who they are.
        """
        node = self.node
        before = node.ask("one", "os.getpid()")
        edges = node.pids("edge")
        done = node.command("upgrade")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + node.log())
        wait_for("the edges are others", lambda: not {*edges} & {*node.pids("edge")})
        self.assertEqual(node.users("control"), {CONTROL})
        self.assertEqual(node.users("edge") | node.users("template"), {EDGE})
        self.assertEqual(node.ask("one", "os.getpid()"), before)
        self.assertEqual(node.ask("two", "os.getuid()"), FIRST + 1)


class ViewTests(SynchronousTestCase):
    """A customer that sees only its own."""

    def test_view(self) -> None:
        """
        Other homes and processes are not there at all, and `/tmp` is its own; it is served, told
        to end, and ends.
        """
        if os.geteuid() != 0:
            self.skipTest("needs root")
        node = AccountsNode(roles=False)
        self.addCleanup(node.stop)
        node.start()
        node.add("one")
        node.add("two", view="own")
        first = node.ask("one", "os.getpid()")
        for path in ("/", "/held"):
            self.assertEqual(node.ask("two", f"os.listdir({str(node.homes)!r})", path), ["two"])
            # where the homes are in there, save for the way to them
            there = node.ask("two", "os.listdir('/tmp')", path)
            self.assertLessEqual({*there}, {node.folder.name, node.everybody.folder.name})
            seen = node.ask("two", "[p for p in os.listdir('/proc') if p.isdigit()]", path)
            self.assertLess(len(seen), 5)
            self.assertIn("Error", str(node.ask("two", f"os.kill({first}, 0)", path)))
        self.assertEqual(node.ask("two", "os.getuid()"), FIRST + 1)
        pids = [node.apps()[f"two/{app}"]["pid"] for app in ("port", "held")]
        node.command("suspend", "two")
        for pid in pids:
            wait_for(f"{pid} is gone", lambda pid=pid: not os.path.exists(f"/proc/{pid}"))
