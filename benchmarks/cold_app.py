"""
The smallest app that tells when it lived: what remains of a cold start is the node's.

In:  `daemons`, as a command app of a node, or started by itself, with $PORT or a listener as
     descriptor 3.
Out: answers whose body is two times of the monotonic clock in nanoseconds: when its first line
     ran, and when it took its first connection.
"""

import time

BEGUN = time.monotonic_ns()

import os  # noqa: E402 - what is imported is part of its own start
import socket  # noqa: E402


def main() -> None:
    if os.environ.get("LISTEN_FDS"):
        listener = socket.socket(fileno=3)
    else:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])))
        listener.listen(64)
    first = 0
    while True:
        connection, _ = listener.accept()
        first = first or time.monotonic_ns()
        asked = b""
        while b"\r\n\r\n" not in asked:
            piece = connection.recv(4096)
            if not piece:
                break
            asked += piece
        else:
            body = b"%d %d" % (BEGUN, first)
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            connection.sendall(head % len(body) + body)
        connection.close()


if __name__ == "__main__":
    main()
