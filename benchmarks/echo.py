"""
What stands behind every peer's WebSocket door: an echo server that costs next to nothing.

A load generator sends the same message again and again. So the first message of a size is
unmasked and its answer remembered, and later ones of this size are answered with it. A message
in the very bytes of the one before is the same message; of those that a proxy has masked anew,
one in `SAMPLE` is unmasked and compared. A difference ends the connection, and with it the
measurement.

In:  `__main__` starts it on its stage, on the load generator's core.
Out: the port it listens on; run as a program, it is the server.
"""

from __future__ import annotations

import re
import select
import socket
import sys
from collections.abc import Sequence

from benchmarks import frames
from benchmarks.stage import Stage, free_ports

SAMPLE = 64
# a 16 KiB message goes out at once, whatever the kernel thinks of a new connection
BUFFER = 1 << 20

KEY = re.compile(rb"\r\nsec-websocket-key: *([^\r ]+)", re.IGNORECASE)
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)


class Echo:
    """One connection: what has come of the current message, and the answer that it gets."""

    def __init__(self) -> None:
        self.open = True
        self._upgraded = False
        self._data = b""
        self._last = b""
        self._payload = b""
        self._answer = b""
        self._count = 0

    def receive(self, data: bytes) -> bytes:
        """Take what has come; give what is to be sent."""
        if data == self._last and not self._data:
            return self._answer
        self._data += data
        if not self._upgraded:
            return self._upgrade()
        if len(self._data) == len(self._last) and self._data[:2] == self._last[:2]:
            self._count += 1
            if self._count % SAMPLE:
                self._data = b""
                return self._answer
        message = frames.read_message(self._data)
        return b"" if message is None else self._reply(message)

    def _upgrade(self) -> bytes:
        if b"\r\n\r\n" not in self._data:
            return b""
        key = KEY.search(self._data)
        if key is None:
            raise ValueError("not a WebSocket handshake")
        self._upgraded = True
        self._data = b""
        return ANSWER % frames.accept(key[1])

    def _reply(self, message: frames.Message) -> bytes:
        raw, self._data = self._data[: message.size], self._data[message.size :]
        if self._data:
            raise ValueError("more came before the answer")
        if message.opcode == frames.CLOSE:
            self.open = False
        elif len(raw) == len(self._last) and message.payload != self._payload:
            raise ValueError("a message has another content than the one before")
        self._last, self._payload = raw, message.payload
        self._answer = frames.frame(message.opcode, message.payload)
        return self._answer


def serve(listener: socket.socket) -> None:
    """Answer until ended."""
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    door = listener.fileno()
    sockets: dict[int, socket.socket] = {}
    echoes: dict[int, Echo] = {}
    while True:
        for number, _ in poller.poll():
            if number == door:
                accepted, _ = listener.accept()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                accepted.setblocking(False)
                poller.register(accepted, select.EPOLLIN)
                sockets[accepted.fileno()], echoes[accepted.fileno()] = accepted, Echo()
                continue
            connected, echo = sockets[number], echoes[number]
            try:
                data = connected.recv(65536)
                answer = echo.receive(data) if data else b""
                if answer and connected.send(answer) < len(answer):
                    raise ValueError("the answer does not fit into the socket's buffer")
            except (OSError, ValueError) as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                data = b""
            if not data or not echo.open:
                connected.close()
                del sockets[number], echoes[number]


def start_echo(stage: Stage) -> int:
    """
    Start it and give its port.

    Raises:
        NotMeasured: if it does not come up.
    """
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.echo", str(port)]
    process = stage.spawn("echo", command, stage.cores.load)
    stage.await_port("echo", process, port)
    return port


def main(arguments: Sequence[str]) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    listener.bind(("127.0.0.1", int(arguments[0])))
    listener.listen(1024)
    try:
        serve(listener)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
