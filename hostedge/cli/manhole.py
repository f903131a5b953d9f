"""
`hostedge manhole`: attach to the node with this terminal, or run lines of a pipe.

In:  `cli.main`; keys of the terminal, stdin, or the text after `-c`.
Out: what the manhole shows; the terminal is left as it was found, whatever happens.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
import termios
import tty
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hostedge.cli.client import CONNECT, shortest
from hostedge.errors import ConfigError
from hostedge.settings import Settings, read_settings

PIECE = 65536
LEAVE = b"\x1d"  # Ctrl-]: ends it from this side, whatever the node does
END = b"\0"
BROKEN = ConfigError("manhole", "the session broke off; control's log says why")


def manhole(options: Namespace) -> int:
    """A terminal's session when both ends are one, else lines."""
    settings = read_settings(Path(options.settings))
    stdin = None if options.command is not None else _stdin()
    if stdin is not None and os.isatty(stdin) and os.isatty(sys.stdout.fileno()):
        size = shutil.get_terminal_size()
        with attach(settings, {"terminal": [size.columns, size.lines]}) as node:
            return Session(node, stdin, sys.stdout.fileno()).run()
    with attach(settings, {"width": shutil.get_terminal_size().columns}) as node:
        return run_lines(node, stdin, options.command or "")


def _stdin() -> int:
    # a shell closes it with `<&-`; the number may be another's then
    if sys.stdin is None:
        raise ConfigError("manhole", "stdin is closed; want lines there, or -c SOURCE")
    return sys.stdin.fileno()


@contextmanager
def attach(settings: Settings, header: dict[str, object]) -> Iterator[socket.socket]:
    """
    A connection that the manhole has taken.

    Raises:
        ConfigError: there is no node, or it has refused.
    """
    path = settings.manhole_socket
    with socket.socket(socket.AF_UNIX) as node:
        node.settimeout(CONNECT)
        try:
            node.connect(str(path))
            # whoever is refused is told so before anything was read
            _send(node, json.dumps(header).encode() + b"\n")
            answer = json.loads(_line(node))
        except (FileNotFoundError, ConnectionRefusedError):
            start = f"twistd -n hostedge --settings {shortest(settings.file)}"
            problem = f"the node does not run; start it: {start}"
            raise ConfigError(shortest(path), problem) from None
        except PermissionError:
            problem = "only root and the node's own user may look inside"
            raise ConfigError(shortest(path), problem) from None
        except (OSError, ValueError) as error:
            raise ConfigError("manhole", f"control does not answer ({error})") from None
        if "error" in answer:
            raise ConfigError("manhole", str(answer["error"]))
        node.settimeout(None)
        yield node


def _line(node: socket.socket) -> bytes:
    """The first line; nothing behind it is taken off the socket."""
    line = b""
    while not line.endswith(b"\n"):
        byte = node.recv(1)
        if not byte:
            raise ConnectionResetError("it has hung up")
        line += byte
    return line


class Session:
    """This terminal and the node, joined until one of them ends."""

    def __init__(self, node: socket.socket, keys: int, screen: int) -> None:
        self._node = node
        self._keys = keys
        self._screen = screen

    def run(self) -> int:
        """
        Pass bytes both ways; answers the exit status.

        Raises:
            ConfigError: the node has gone in the middle of it.
        """
        with _raw(self._keys), _resized() as resized:
            try:
                whole = self._pass(resized)
            except OSError:
                whole = False
        if not whole:
            raise BROKEN
        return 0

    def _pass(self, resized: int) -> bool:
        """Whether the session has ended as it should."""
        while True:
            ready, _, _ = select.select([self._keys, self._node.fileno(), resized], [], [])
            if self._node.fileno() in ready:
                text = self._node.recv(PIECE)
                if not text:
                    return False
                _write(self._screen, text.removesuffix(END))
                if text.endswith(END):
                    return True
            if resized in ready:
                os.read(resized, PIECE)
                size = os.get_terminal_size(self._screen)
                self._node.sendall(b"\x1b[8;%d;%dt" % (size.lines, size.columns))
            if self._keys in ready:
                keys = os.read(self._keys, PIECE)
                if not keys or LEAVE in keys:
                    _write(self._screen, b"\r\n")
                    return True
                self._node.sendall(keys)


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """While this lasts every key is ours, also Ctrl-C; then the terminal is as before."""
    before = termios.tcgetattr(terminal)

    def ended(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    handlers = {each: signal.signal(each, ended) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setraw(terminal, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        for each, handler in handlers.items():
            signal.signal(each, handler)


@contextmanager
def _resized() -> Iterator[int]:
    """A descriptor that can be read after the terminal's size has changed."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def changed(*_: object) -> None:
        # full: it can be read already
        try:
            os.write(writing, b"\0")
        except BlockingIOError:
            return

    before = signal.signal(signal.SIGWINCH, changed)
    try:
        yield reading
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(reading)
        os.close(writing)


def _write(screen: int, text: bytes) -> None:
    while text:
        text = text[os.write(screen, text) :]


def run_lines(node: socket.socket, stdin: int | None, source: str) -> int:
    """
    Send stdin as it comes, or else a text, and print what it comes to; answers the exit status.

    Raises:
        ConfigError: the node has gone in the middle of it.
    """
    sources = [] if stdin is None else [stdin]
    if stdin is None:
        _send(node, source.encode(errors="replace"))
        _send(node, b"")
    rest = b""
    while True:
        ready, _, _ = select.select([node.fileno(), *sources], [], [])
        if stdin is not None and stdin in ready:
            piece = os.read(stdin, PIECE)
            _send(node, piece)
            if not piece:
                sources.clear()
        if node.fileno() in ready:
            *lines, rest = (rest + _received(node)).split(b"\n")
            for answer in map(json.loads, lines):
                if "ended" in answer:
                    return int(answer["ended"])
                _print(answer)


def _received(node: socket.socket) -> bytes:
    try:
        piece = node.recv(PIECE)
    except OSError:
        piece = b""
    if not piece:
        raise BROKEN
    return piece


def _send(node: socket.socket, piece: bytes) -> None:
    """Send this, or that nothing more comes; what the node had to say to it is still read."""
    with suppress(OSError):
        if piece:
            node.sendall(piece)
        else:
            node.shutdown(socket.SHUT_WR)


def _print(answer: dict[str, Any]) -> None:
    if "failed" in answer:
        sys.stdout.flush()
        print(answer["failed"], end="", file=sys.stderr, flush=True)
    else:
        print(answer["shown"], end="", flush=True)
