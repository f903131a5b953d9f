"""
Tests for `hostedge.supervise.user`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.settings import Settings
from hostedge.supervise.user import app_owner, can_reach

NOBODY = pwd.getpwnam("nobody")


class AppOwnerTests(SynchronousTestCase):
    """Who apps are."""

    def setUp(self) -> None:
        self.homes = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.homes)

    def owner(self, user: str) -> tuple[int, int] | None:
        return app_owner(Settings(Path("n.toml"), self.homes / "s", self.homes, user=user))

    def test_ownUserNeedsNothing(self) -> None:
        """
        The node's own user, named, is whoever the node runs as.
        """
        self.assertIsNone(self.owner(pwd.getpwuid(os.geteuid()).pw_name))

    def test_unknownUser(self) -> None:
        """
        A user that does not exist is refused, naming the setting.
        """
        error = self.assertRaises(ConfigError, self.owner, "no-such-user")
        self.assertEqual(
            str(error), "n.toml: user: want a user of this machine, not 'no-such-user'"
        )

    def test_anotherUser(self) -> None:
        """
        Root can run apps as anybody, others only as themselves.
        """
        if os.geteuid() == 0:
            self.assertEqual(self.owner("nobody"), (NOBODY.pw_uid, NOBODY.pw_gid))
        else:
            error = self.assertRaises(ConfigError, self.owner, "nobody")
            self.assertIn("only root", str(error))

    def test_nobodyWhereNobodyCanWork(self) -> None:
        """
        Root's apps are nobody's only where nobody reaches what they need.
        """
        # mkdtemp makes it for its owner only
        self.assertIsNone(self.owner(""))

    def test_reach(self) -> None:
        """
        One closed folder on the way is enough; the owner's permission counts for the owner.
        """
        inner = self.homes / "a"
        inner.mkdir(mode=0o755)
        self.assertFalse(can_reach(inner, 65533, 65533))
        self.homes.chmod(0o711)
        self.assertTrue(can_reach(inner, 65533, 65533))
        self.assertTrue(can_reach(inner, os.geteuid(), os.getegid()))
        self.assertFalse(can_reach(inner / "nowhere", 65533, 65533))
