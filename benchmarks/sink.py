"""
What takes uploads behind every peer: it reads a body to its end and says how long it was.

With `?sum` in the target it tells the body's CRC-32 as well; so a check sees every byte, and a
measurement does not pay for it.

In:  `__main__` starts it on its stage, on the load generator's core.
Out: the port it listens on; run as a program, it is the server.
"""

from __future__ import annotations

import re
import socket
import sys
import zlib
from collections.abc import Sequence
from threading import Thread

from benchmarks.stage import Stage, free_ports

PIECE = 256 * 1024

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


def serve(connected: socket.socket) -> None:
    """Take one upload after the other until the peer leaves."""
    with connected:
        room = memoryview(bytearray(PIECE))
        data = b""
        while True:
            while (end := data.find(b"\r\n\r\n")) < 0:
                more = connected.recv(65536)
                if not more:
                    return
                data += more
            length = LENGTH.search(data, 0, end + 2)
            if length is None:
                raise ValueError("an upload without Content-Length")
            summed = b"?sum" in data[: data.index(b"\r\n")]
            begun = data[end + 4 :]
            if len(begun) > int(length[1]):
                raise ValueError("more came than was announced")
            result = take(connected, int(length[1]), begun, summed, room)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(result)}\r\n\r\n"
            connected.sendall(head.encode() + result)
            data = b""


def take(
    connected: socket.socket, length: int, begun: bytes, summed: bool, room: memoryview
) -> bytes:
    """Read what is missing of a body of `length` bytes; give what is answered."""
    checksum = zlib.crc32(begun) if summed else 0
    missing = length - len(begun)
    while missing:
        if summed:
            got = connected.recv_into(room, min(missing, PIECE))
            checksum = zlib.crc32(room[:got], checksum)
        else:
            # the kernel drops what nobody looks at
            got = connected.recv_into(room, min(missing, PIECE), socket.MSG_TRUNC)
        if not got:
            raise ValueError(f"{missing} bytes of an upload never came")
        missing -= got
    return b"%d %08x" % (length, checksum)


def start_sink(stage: Stage) -> int:
    """
    Start it and give its port.

    Raises:
        NotMeasured: if it does not come up.
    """
    (port,) = free_ports(1)
    process = stage.spawn(
        "sink", [sys.executable, "-m", "benchmarks.sink", str(port)], stage.cores.load
    )
    stage.await_port("sink", process, port)
    return port


def main(arguments: Sequence[str]) -> None:
    with socket.create_server(("127.0.0.1", int(arguments[0])), backlog=1024) as listener:
        try:
            while True:
                accepted, _ = listener.accept()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Thread(target=serve, args=(accepted,), daemon=True).start()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main(sys.argv[1:])
