"""
Tests for `hostedge.keeper`: its eye on the store, and an end that comes early; the keeper as a
whole is tested with nodes, in `tests.live`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.keeper import RECOVERY, Keeper, KeeperStore
from hostedge.links.keeper import KeeperLinks
from hostedge.model.site import Account
from hostedge.net.link import LinkServer
from hostedge.settings import Settings
from hostedge.supervise.inheritance import Inheritance, Relative
from tests.model.words import WORDS, site
from tests.store.stores import StoreTestCase


class KeeperStoreTests(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.told: list[list[str] | None] = []
        self.eye = KeeperStore(self.path, WORDS)
        self.eye.subscribe(self.told.append)

    def suspend(self, *accounts: str) -> None:
        for account in accounts:
            whole = evolve(site(account), account=Account(account, suspended=True))
            self.store.apply([whole], "me")

    def test_opened(self) -> None:
        """
        Once the store is there, everything in it is news, once.
        """
        nowhere = KeeperStore(Path(self.mktemp()) / "store.db", WORDS)
        nowhere.subscribe(self.told.append)
        self.assertEqual((nowhere.is_there(), nowhere.always_on(), self.told), (False, [], []))
        self.assertTrue(self.eye.is_there())
        self.eye.changed(self.reader.revision())
        self.assertEqual(self.told, [None])

    def test_alwaysOn(self) -> None:
        """
        A change that makes an app always on is told, and the app is found.
        """
        whole = site("demo", a_example=())
        self.store.apply([whole], "me")
        self.assertEqual(self.eye.always_on(), [])
        apps = tuple(evolve(app, always_on=True) for app in whole.apps)
        self.store.apply([evolve(whole, apps=apps)], "me")
        self.eye.changed(self.reader.revision())
        name = f"demo/{apps[0].name}"
        self.assertIn(f"app/{name}", self.told[-1] or [])
        self.assertIn(name, self.eye.always_on())

    def test_suspended(self) -> None:
        """
        Of named changes the suspended accounts are those named, of nameless ones those that run.
        """
        self.store.apply([site("one"), site("two"), site("three")], "me")
        self.assertEqual(self.eye.suspended(None, {"one"}), [])
        self.eye.is_there()
        self.suspend("one", "two")
        keys = ["account/two", "account/three", "app/one/x"]
        self.assertEqual(self.eye.suspended(keys, {"one"}), ["two"])
        self.assertEqual(self.eye.suspended(None, {"three", "one"}), ["one"])


class NoFamily:
    """Every process of it ends when it is told to."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def adopt(self, relatives: tuple[Relative, ...]) -> None:
        self.told.append("adopt")

    def living(self, role: str) -> int:
        return 0

    def when_empty(self) -> Deferred[None]:
        return succeed(None)

    def signal(self, role: str, number: int) -> None:
        pass

    def start(self) -> None:
        self.told.append("start")

    no_more = abandon = resume = start


class NotedDaemons:
    def __init__(self) -> None:
        self.told: list[str] = []

    def adopt(self) -> None:
        self.told.append("adopt")

    def stop(self, grace: float) -> Deferred[None]:
        self.told.append("stop")
        return succeed(None)


class KeeperTests(SynchronousTestCase):
    """A keeper's end, whenever that is."""

    def test_endedWhileItStarts(self) -> None:
        """
        A keeper that is told to end before it has taken the daemons back does that first: nothing
        of the node is left.
        """
        clock = MemoryReactorClock()
        settings = Settings(file=Path("x"), state=Path(self.mktemp()), homes=Path("/"))
        family, daemons = NoFamily(), NotedDaemons()
        links = KeeperLinks(clock, lambda revision: None)
        server = LinkServer(clock, settings.keeper_socket, links.make_peer, frozenset())
        keeper = Keeper(
            clock,
            settings,
            Inheritance(-1, (), (Relative("edge", 0, 1, 1),)),
            server,
            links,
            family,  # type: ignore[arg-type]
            daemons,
            lambda pid: False,
            lambda: False,
            family,
        )
        self.patch(sys.modules["hostedge.keeper"], "become_subreaper", lambda: None)
        keeper.startService()
        self.assertEqual((family.told, daemons.told), (["adopt"], []))
        stopped = keeper.stopService()
        assert stopped is not None
        self.successResultOf(stopped)
        self.assertEqual(daemons.told, ["adopt", "stop"])
        clock.pump([0.02] * int(2 * RECOVERY / 0.02))
        self.assertEqual(daemons.told, ["adopt", "stop"])
