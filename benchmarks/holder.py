"""
Connections that only stay: idle ones over TLS, and readers that have stopped reading.

`idle` opens TLS connections, each with one answered request, after the line on standard input.
`stalled` and `stalled-h2` ask for the large file on each connection before they are `ready`, and
take none of it: with HTTP/1.1 the socket is full, with HTTP/2 the stream's window is used up.

In:  `load.held` and `load.stalled` start it as a program, on the load generator's core.
Out: `ready`, and after a line on standard input one line of JSON: connections and seconds.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import ssl
import sys
import time
from collections.abc import Sequence

from hpack import Encoder

from benchmarks.body_generator import connect as connect_plain
from benchmarks.generator import connect

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
# HEADERS with END_HEADERS and END_STREAM on stream 1
HEADERS = b"\x01\x05\x00\x00\x00\x01"
# until what a peer has in its buffers has come to rest
SETTLED = 1.0


def stalled(port: int, host: str) -> socket.socket:
    """Ask for the large file and take nothing."""
    connected = connect_plain(port)
    connected.sendall(f"GET /large HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return connected


def stalled_h2(port: int, host: str) -> socket.socket:
    """Ask for the large file over HTTP/2 and give no window for it beyond the first 64 KiB."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # the certificate was made for this run
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    connected = context.wrap_socket(connect_plain(port), server_hostname=host)
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", "/large")]
    block = Encoder().encode(fields, huffman=False)
    connected.sendall(PREFACE + NO_SETTINGS + len(block).to_bytes(3, "big") + HEADERS + block)
    return connected


READERS = {"stalled": stalled, "stalled-h2": stalled_h2}


def await_answers(connections: Sequence[socket.socket]) -> None:
    """
    Return when something has come for everyone.

    Raises:
        ValueError: if nothing comes for one of them.
    """
    for each in connections:
        if not select.select([each], (), (), 10)[0]:
            raise ValueError("no answer for 10 s")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--kind", choices=["idle", *READERS], required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    options = parser.parse_args(arguments)
    count = options.connections
    request = f"GET / HTTP/1.1\r\nHost: {options.host}\r\n\r\n".encode()
    held: list[object] = []
    try:
        if options.kind != "idle":
            open_one = READERS[options.kind]
            readers = [open_one(options.port, options.host) for _ in range(count)]
            await_answers(readers)
            select.select((), (), (), SETTLED)
            held.append(readers)
        print("ready", flush=True)
        sys.stdin.readline()
        start = time.monotonic()
        if options.kind == "idle":
            held += [connect(options.port, options.host, True, request) for _ in range(count)]
        else:
            select.select((), (), (), options.seconds)
        seconds = time.monotonic() - start
    except (OSError, ValueError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    print(json.dumps({"requests": count, "seconds": seconds, "p50": 0.0, "p99": 0.0}), flush=True)
    # stay until the reader has taken its second look at the proxy
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1:])
