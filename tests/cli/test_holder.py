"""
Tests for `hostedge.cli.holder`.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.holder import holder


class HolderTests(SynchronousTestCase):
    """Sockets of this very process, and of nobody."""

    def setUp(self) -> None:
        self.me = f"{Path('/proc/self/comm').read_text().strip()}, pid {os.getpid()}"

    def test_names(self) -> None:
        """
        Whoever has an address is named, for UDP and TCP, IPv4 and IPv6, or all addresses.
        """
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            for family, host, asked in (
                (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
                (socket.AF_INET, "", "127.0.0.1"),
                (socket.AF_INET6, "::1", "::1"),
            ):
                with socket.socket(family, kind) as bound:
                    try:
                        bound.bind((host, 0))
                    except OSError:
                        # no IPv6 here
                        continue
                    if kind == socket.SOCK_STREAM:
                        bound.listen()
                    port = bound.getsockname()[1]
                    self.assertEqual(holder(kind, asked, port), self.me)

    def test_nobody(self) -> None:
        """
        A free address, a socket of the other kind, a connection: nobody has it.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
            bound.bind(("127.0.0.1", 0))
            port = bound.getsockname()[1]
            self.assertEqual(holder(socket.SOCK_DGRAM, "127.0.0.1", port), "")
            # it does not listen
            self.assertEqual(holder(socket.SOCK_STREAM, "127.0.0.1", port), "")

    def test_unreadable(self) -> None:
        """
        Where /proc says nothing, nobody is named.
        """
        empty = Path(self.mktemp())
        empty.mkdir()
        self.assertEqual(holder(socket.SOCK_DGRAM, "127.0.0.1", 53, empty), "")
