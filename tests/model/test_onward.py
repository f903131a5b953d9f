"""What mappings say otherwise than the app or pool that they name."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.mappings.app import ToApp
from hostedge.mappings.pool import ToPool
from hostedge.model.onward import OWN, as_mapped, same_servers, told
from hostedge.model.site import App, Pool, Server

POOL = Pool("p", (Server("10.0.0.7:80"),), forwarded=True)


class MappedTests(SynchronousTestCase):
    """An app or pool as a mapping wants it."""

    def test_silent(self) -> None:
        """A mapping that says nothing changes nothing."""
        app = App("a", "wsgi", None, forwarded=True)
        self.assertIs(as_mapped(app, ToApp("a")), app)
        self.assertIs(as_mapped(POOL, ToPool("p")), POOL)

    def test_said(self) -> None:
        """What it says goes before, also that something is not wanted."""
        app = as_mapped(App("a", "wsgi", None), ToApp("a", buffer="stream", forwarded=True))
        self.assertEqual((app.buffer, app.forwarded), ("stream", True))
        self.assertFalse(as_mapped(POOL, ToPool("p", forwarded=False)).forwarded)

    def test_told(self) -> None:
        """Whoever asks hears what is unusual."""
        self.assertEqual(told(App("a", "wsgi", None)), [])
        self.assertEqual(
            told(App("a", "wsgi", None, forwarded=True, keep=("x_a", "b.c"))),
            ["`Forwarded` is sent as well", "kept: x_a, b.c"],
        )
        for host, said in (("server", "the server's address"), ("b.test:1", "b.test:1")):
            pool = evolve(POOL, forwarded=False, host=host)
            self.assertEqual(told(pool), [f"`Host` says {said}"])

    def test_sameServers(self) -> None:
        """Pools differ in their servers and places, not in what mappings say for themselves."""
        other = evolve(POOL, **{name: "other" for name in OWN})
        self.assertTrue(same_servers(POOL, other))
        self.assertFalse(same_servers(POOL, evolve(other, maxconn=1)))
