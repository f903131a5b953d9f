"""Any program that listens on $HOST and $PORT is an app."""

from __future__ import annotations

import os
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Clock(BaseHTTPRequestHandler):
    """Answers with the time of day."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The time, as text."""
        body = f"{datetime.now().astimezone():%H:%M:%S %Z}, from process {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Clock).serve_forever()
