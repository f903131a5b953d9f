"""
Tests for `hostedge.supervise.inheritance`.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.net.identity import process_started
from hostedge.net.listener import wanted
from hostedge.settings import Listen, Settings
from hostedge.supervise.inheritance import (
    Inheritance,
    Relative,
    bind_all,
    note_family,
    read_family,
    take_over,
)


class TakeOverTests(SynchronousTestCase):
    """What a keeper finds."""

    def setUp(self) -> None:
        homes = Path(self.mktemp()).resolve()
        homes.mkdir(parents=True)
        self.settings = Settings(
            file=homes / "node.toml",
            state=homes / "state",
            homes=homes,
            listen=Listen(http=("127.0.0.1:0",), https=("127.0.0.1:0",)),
        )

    def take_over(self, settings: Settings) -> Inheritance:
        inheritance = take_over(settings)
        self.addCleanup(os.close, inheritance.lock)
        for listener in inheritance.listeners:
            self.addCleanup(listener.socket.close)
        return inheritance

    def me(self) -> Relative:
        return Relative("edge", 0, os.getpid(), process_started(os.getpid()))

    def test_emptyPlace(self) -> None:
        """
        Where nobody lives the listeners are bound at once.
        """
        inheritance = self.take_over(self.settings)
        self.assertEqual([each.protocol for each in inheritance.listeners], ["http", "https"])
        self.assertEqual(inheritance.relatives, ())
        for listener in inheritance.listeners:
            host, _, port = listener.address.rpartition(":")
            socket.create_connection((host, int(port)), 5).close()

    def test_secondKeeper(self) -> None:
        """
        A keeper does not start over a living one, and says which one that is.
        """
        self.take_over(self.settings)
        error = self.assertRaises(ConfigError, take_over, self.settings)
        self.assertIn(f"already, pid {os.getpid()}", str(error))

    def test_addressInUse(self) -> None:
        """
        An address that somebody else has is named; nothing else stays bound.
        """
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = evolve(self.settings, listen=Listen(http=(address,)))
        error = self.assertRaises(ConfigError, take_over, settings)
        self.assertEqual(
            str(error),
            f"{settings.file}: listen: http: cannot listen on {address}: Address already in use",
        )

    def test_dnsIsBoundTwice(self) -> None:
        """
        An address for DNS is a UDP and a TCP listener at one port, also a port of the kernel's.
        """
        listen = Listen(http=("127.0.0.1:0",), dns=("127.0.0.1:0", "127.0.0.1:0"))
        settings = evolve(self.settings, listen=listen)
        http, *both = self.take_over(settings).listeners
        self.assertEqual(
            [(each.protocol, each.asked) for each in (http, *both)],
            wanted(settings),
        )
        for udp, tcp in (both[:2], both[2:]):
            self.assertEqual(
                (udp.protocol, udp.socket.type, tcp.protocol, tcp.socket.type),
                ("dns-udp", socket.SOCK_DGRAM, "dns-tcp", socket.SOCK_STREAM),
            )
            self.assertEqual(udp.address, tcp.address)

    def test_dnsPortInUse(self) -> None:
        """
        A port that somebody else has for one of the two is not taken for the other either.
        """
        for kind, said in ((socket.SOCK_STREAM, " over TCP"), (socket.SOCK_DGRAM, "")):
            taken = socket.socket(socket.AF_INET, kind)
            self.addCleanup(taken.close)
            taken.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            settings = evolve(self.settings, listen=Listen(dns=(address,)))
            error = self.assertRaises(ConfigError, bind_all, settings)
            self.assertEqual(
                str(error),
                f"{settings.file}: listen: dns: cannot listen on {address}{said}: "
                "Address already in use",
            )

    def test_livingRelatives(self) -> None:
        """
        While a process of the last keeper lives, nothing is bound: it holds the listeners.
        """
        self.take_over(self.settings)
        dead = Relative("control", 0, os.getpid(), 1)
        note_family(self.settings, [self.me(), dead])
        other = evolve(self.settings, file=Path("x"))
        os.unlink(other.run / "keeper.lock")
        inheritance = self.take_over(other)
        self.assertEqual((inheritance.listeners, inheritance.relatives), ((), (self.me(),)))

    def test_unreadableNote(self) -> None:
        """
        A note that is missing or damaged means that nobody is known.
        """
        self.take_over(self.settings)
        self.assertEqual(read_family(self.settings), [])
        (self.settings.run / "family.json").write_text('[{"role": 1}]')
        self.assertEqual(read_family(self.settings), [])

    def test_lockThatCannotBeHad(self) -> None:
        """
        A state folder that is not ours to write is a sentence, not a traceback.
        """
        (self.settings.run / "keeper.lock").mkdir(parents=True)
        error = self.assertRaises(ConfigError, take_over, self.settings)
        self.assertIn("keeper.lock cannot be written: Is a directory", str(error))
