"""
The API as the command line calls it: HTTP over the node's UNIX socket.

In:  every word of the command line that needs the node.
Out: what the API answered; ConfigError with its own words when it refused.

http.client, not treq: nothing here waits for two things at once, and Twisted's reactor would
take longer to import than most calls take.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected
from pathlib import Path
from threading import Event
from time import monotonic
from typing import IO, Any

from hostedge.errors import ConfigError
from hostedge.settings import Settings

CONNECT = 5.0  # seconds
# seconds without a byte: a batch of changes is answered once it is live on every edge
PATIENCE = 300.0

# seconds in which control comes back after its end, and between two tries to reach it
AWAY = 10.0
AGAIN = 0.05

PIECE = 256 * 1024


class _Connection(HTTPConnection):
    """A connection whose socket is a UNIX one; its Host is the name that the API wants."""

    def __init__(self, path: Path, lock: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path
        self._lock = lock

    def connect(self) -> None:
        deadline = monotonic() + AWAY
        while True:
            try:
                self._connect()
            except (FileNotFoundError, ConnectionRefusedError):
                # nothing was sent, so whatever it is may be sent again
                if monotonic() >= deadline or not is_held(self._lock):
                    raise
                Event().wait(AGAIN)
            else:
                return

    def _connect(self) -> None:
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connecting.settimeout(CONNECT)
        try:
            connecting.connect(str(self._path))
        except BaseException:
            connecting.close()
            raise
        connecting.settimeout(PATIENCE)
        self.sock = connecting


class ApiClient:
    """One connection, kept open from call to call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection = _Connection(settings.api_socket, settings.run / "keeper.lock")

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """
        Make one call; `body` is an object, or JSON as bytes.

        Raises:
            ConfigError: the node does not run, or has refused.
        """
        return self.ask(method, path, body)()

    def ask(self, method: str, path: str, body: object = None) -> Callable[[], Any]:
        """
        Make a call whose answer is waited for later, by calling what this returns: meanwhile
        the node works. Nothing else may be asked in between.

        Raises:
            ConfigError: as `call`; also when its answer is waited for.
        """
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = self._send(method, path, data)
        return lambda: json.loads(b"".join(self._pieces(answer())))

    def lines(self, path: str) -> Iterator[Any]:
        """Values that are answered one a line, as they come."""
        rest = b""
        for piece in self._pieces(self._send("GET", path, None)()):
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(json.loads, lines)

    def copy(self, path: str, file: IO[bytes]) -> int:
        """Write an answer into a file; answers its size."""
        return sum(map(file.write, self._pieces(self._send("GET", path, None)())))

    def _pieces(self, response: HTTPResponse) -> Iterator[bytes]:
        """
        The body of an answer.

        Raises:
            ConfigError: it ended before it was whole, which http.client tells in two ways.
        """
        try:
            while piece := response.read(PIECE):
                yield piece
            if not response.length:
                return
        except (HTTPException, OSError):
            pass
        self._connection.close()
        raise ConfigError("node", "broke its answer off; its log says why")

    def _send(self, method: str, path: str, data: bytes | None) -> Callable[[], HTTPResponse]:
        """Send a call; what comes back waits for the answer, if that is a good one."""
        headers = {"Content-Type": "application/json"} if method != "GET" else {}
        with self._told():
            answer = self._exchange(method, path, data, headers)

        def awaited() -> HTTPResponse:
            with self._told():
                response = answer()
            if response.status == 200:
                return response
            raise _refused(response.status, b"".join(self._pieces(response)))

        return awaited

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Where no answer comes, say what is wrong."""
        try:
            yield
        except (HTTPException, OSError) as error:
            # whatever state the connection is in, the next call begins anew
            self._connection.close()
            raise self._without_answer(error) from None

    def _without_answer(self, error: Exception) -> ConfigError:
        """What is wrong when there was no answer, and what to do."""
        if isinstance(error, FileNotFoundError | ConnectionRefusedError):
            start = f"twistd -n hostedge --settings {shortest(self._settings.file)}"
            problem = f"the node does not run; start it: {start}"
            return ConfigError(shortest(self._settings.api_socket), problem)
        if isinstance(error, PermissionError):
            problem = "only root and the node's own user may call the node"
            return ConfigError(shortest(self._settings.api_socket), problem)
        if isinstance(error, TimeoutError):
            return ConfigError("node", f"has not answered within {PATIENCE:.0f} s")
        reason = str(error) or type(error).__name__
        return ConfigError("node", f"broke the call off ({reason}); its log says why")

    def _exchange(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> Callable[[], HTTPResponse]:
        used = self._connection.sock is not None
        if used and select.select([self._connection.sock], [], [], 0)[0]:
            # nothing is being answered, so this is its end: the node waits only so long
            self._connection.close()
            used = False
        whole = True
        try:
            self._connection.request(method, path, data, headers)
        except BrokenPipeError:
            # refused before the end of the request: the answer lies in the socket
            whole = False

        def answer() -> HTTPResponse:
            try:
                return self._connection.getresponse()
            except ConnectionError as error:
                self._connection.close()
                # a UNIX socket is reset when its other end has left something unread
                was_read = whole and isinstance(error, RemoteDisconnected)
                if was_read and (not used or method == "POST"):
                    raise
            # nobody has looked at it, or an idle connection was closed meanwhile
            with suppress(BrokenPipeError):
                self._connection.request(method, path, data, headers)
            return self._connection.getresponse()

        return answer


def _refused(status: int, body: bytes) -> ConfigError:
    try:
        error = json.loads(body)["error"]
        return ConfigError(str(error["where"]), str(error["problem"]))
    except (ValueError, KeyError, TypeError):
        return ConfigError("node", f"answered {status} without saying why")


def is_held(lock: Path) -> bool:
    """Whether a keeper has this lock: then control, if it is away, is on its way back."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def shortest(path: Path) -> str:
    """The path from here, or from the root when that is shorter."""
    return min(os.path.relpath(path), str(path), key=len)
