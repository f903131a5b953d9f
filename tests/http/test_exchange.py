"""The contract of exchanges, and who keeps it."""

from __future__ import annotations

import inspect

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.exchange import Exchange
from tests.http.parts import Scene, Waiting


class ContractTests(SynchronousTestCase):
    """A leaf may rely on every name."""

    def test_everyFactAndMethod(self) -> None:
        """The exchange of a connection has what the contract names, with the same arguments."""
        leaf = Waiting()
        protocol, _ = Scene(leaf).connect()
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        exchange = leaf.exchanges[0]
        for name in Exchange.__annotations__:
            self.assertTrue(hasattr(exchange, name), name)
        for name, method in inspect.getmembers(Exchange, inspect.isfunction):
            if not name.startswith("_"):
                mine = getattr(type(exchange), name)
                self.assertEqual(inspect.signature(mine), inspect.signature(method), name)
