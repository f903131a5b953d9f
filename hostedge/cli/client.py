"""
The API as the command line calls it: HTTP over the node's UNIX socket.

In:  every word of the command line that needs the node.
Out: what the API answered; ConfigError with its own words when it refused.

http.client, not treq: nothing here waits for two things at once, and Twisted's reactor would
take longer to import than most calls take.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any

from hostedge.errors import ConfigError
from hostedge.settings import Settings

CONNECT = 5.0  # seconds
# seconds without a byte: a batch of changes is answered once it is live on every edge
PATIENCE = 300.0

COPY = 256 * 1024


class _Connection(HTTPConnection):
    """A connection whose socket is a UNIX one; its Host is the name that the API wants."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
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
        self._connection = _Connection(settings.api_socket)

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
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return json.loads(self._read(self._send(method, path, data)))

    def lines(self, path: str) -> Iterator[Any]:
        """Values that are answered one a line, as they come."""
        response = self._send("GET", path, None)
        try:
            for line in response:
                yield json.loads(line)
        except (HTTPException, OSError, ValueError):
            raise ConfigError("node", "broke its answer off; its log says why") from None

    def copy(self, path: str, file: IO[bytes]) -> int:
        """Write an answer into a file; answers its size."""
        response = self._send("GET", path, None)
        size = 0
        while True:
            try:
                piece = response.read(COPY)
            except (HTTPException, OSError):
                raise ConfigError("node", "broke its answer off; its log says why") from None
            if not piece:
                break
            size += file.write(piece)
        if response.length:
            raise ConfigError("node", "broke its answer off; its log says why")
        return size

    def _send(self, method: str, path: str, data: bytes | None) -> HTTPResponse:
        """The answer to a call that went well."""
        headers = {"Content-Type": "application/json"} if method != "GET" else {}
        try:
            response = self._exchange(method, path, data, headers)
        except (FileNotFoundError, ConnectionRefusedError):
            raise ConfigError(
                str(self._settings.api_socket),
                f"the node does not run; start it: twistd -n hostedge --settings "
                f"{os.path.relpath(self._settings.file)}",
            ) from None
        except PermissionError:
            raise ConfigError(
                str(self._settings.api_socket),
                "only root and the node's own user may call the node",
            ) from None
        except TimeoutError:
            raise ConfigError("node", f"has not answered within {PATIENCE:.0f} s") from None
        except (HTTPException, OSError) as error:
            problem = f"broke the call off ({error or type(error).__name__}); its log says why"
            raise ConfigError("node", problem) from None
        if response.status == 200:
            return response
        raise _refused(response.status, self._read(response))

    def _exchange(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> HTTPResponse:
        used = self._connection.sock is not None
        try:
            self._connection.request(method, path, data, headers)
        except BrokenPipeError:
            # refused before the end of the request: the answer lies in the socket
            pass
        try:
            return self._connection.getresponse()
        except ConnectionError:
            self._connection.close()
            if not used or method == "POST":
                raise
        # an idle connection that the node has closed meanwhile
        self._connection.request(method, path, data, headers)
        return self._connection.getresponse()

    def _read(self, response: HTTPResponse) -> bytes:
        try:
            return response.read()
        except (HTTPException, OSError):
            raise ConfigError("node", "broke its answer off; its log says why") from None


def _refused(status: int, body: bytes) -> ConfigError:
    try:
        error = json.loads(body)["error"]
        return ConfigError(str(error["where"]), str(error["problem"]))
    except (ValueError, KeyError, TypeError):
        return ConfigError("node", f"answered {status} without saying why")
