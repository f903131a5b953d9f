"""
Tests for `hostedge.supervise.users`.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.settings import Accounts, Settings
from hostedge.supervise.user import app_owner
from hostedge.supervise.users import Users, give_home, is_known, read_users

# root gives homes away; anybody can give what is theirs to themselves
ROOT = os.geteuid() == 0


class UsersTests(SynchronousTestCase):
    """Who is whom."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.homes = self.folder / "homes"
        self.homes.mkdir(parents=True)
        self.file = self.folder / "users"

    def users(self, first: int = 30_000, last: int = 30_002) -> Users:
        if not ROOT:
            first = last = os.geteuid()
            self.patch(Users, "_free", lambda _: os.geteuid())
        return Users(self.file, Accounts("own", first, last), self.homes)

    def test_neverTwice(self) -> None:
        """
        Each account has a number, kept over restarts; one that was given is not given again.
        """
        users = self.users()
        self.assertIsNone(users.find("one"))
        one = users.add("one")
        self.assertEqual(self.users().find("one"), one)
        if ROOT:
            two = self.users().add("two")
            self.assertEqual((one, two), ((30_000, 30_000), (30_001, 30_001)))
            self.assertEqual(self.file.read_text(), "one 30000\ntwo 30001\n")

    def test_halfGiven(self) -> None:
        """
        A keeper that ended before the home was given leaves the number to its account, which
        gets the home when it is asked for again.
        """
        uid = 30_000 if ROOT else os.geteuid()
        self.file.write_text(f"one {uid}\n")
        users = self.users()
        self.assertIsNone(users.find("one"))
        self.assertEqual(users.add("one"), (uid, uid))
        self.assertEqual(users.find("one"), (uid, uid))
        self.assertEqual(self.file.read_text(), f"one {uid}\n")

    def test_cutShort(self) -> None:
        """
        A line that has no end is none, and is not what the next one begins with.
        """
        self.file.write_text("one 30000\ntwo 3")
        self.assertEqual(read_users(self.file), {"one": 30_000})
        users = self.users()
        _, uid = users.add("three")
        self.assertEqual(read_users(self.file), {"one": 30_000, "three": uid})

    def test_noRoom(self) -> None:
        """
        On a disk that is full nobody gets a number, and the list stays as it was.
        """
        self.file.write_text("one 30000\n")
        users = self.users()

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "no room")

        self.patch(os, "fsync", full)
        self.assertRaises(OSError, users.add, "two")
        self.assertEqual(self.file.read_text(), "one 30000\n")
        self.assertFalse((self.homes / "two").exists())

    def test_noneLeft(self) -> None:
        """
        A range that is used up is the operator's to widen; nobody gets another's number.
        """
        if not ROOT:
            return
        users = self.users(last=30_000)
        users.add("one")
        error = self.assertRaises(ConfigError, users.add, "two")
        self.assertIn("every uid of the range", str(error))
        self.assertIsNone(users.find("two"))

    def test_numbersOfOthers(self) -> None:
        """
        A number that means somebody on this machine already is left out.
        """
        self.assertTrue(is_known(0))
        self.assertFalse(is_known(2**31 - 2))
        if ROOT:
            nobody = pwd.getpwnam("nobody").pw_uid
            users = self.users(nobody, nobody + 1)
            self.assertEqual(users.add("one"), (nobody + 1, nobody + 1))

    def test_brokenList(self) -> None:
        """
        A line that cannot be read stops the node: what it said must not be given to another.
        """
        self.file.write_text("one 30000\ntwo\n")
        error = self.assertRaises(ConfigError, read_users, self.file)
        self.assertIn("line 2: want an account and its uid, not 'two'", str(error))

    def test_home(self) -> None:
        """
        The home and what is in it is given, and closed to others; links lead nowhere.
        """
        uid = 30_000 if ROOT else os.geteuid()
        outside = self.folder / "outside"
        outside.mkdir()
        (outside / "file").write_text("not yours")
        home = self.homes / "one"
        (home / "apps").mkdir(parents=True)
        (home / "apps/app.py").write_text("")
        (home / "link").symlink_to(outside)
        (home / "apps/file").symlink_to(outside / "file")
        (home / "hard").hardlink_to(outside / "file")
        give_home(home, uid)
        for path in (home, home / "apps", home / "apps/app.py", home / "link"):
            found = path.lstat()
            self.assertEqual((found.st_uid, found.st_gid), (uid, uid if ROOT else found.st_gid))
        self.assertEqual(stat.S_IMODE(home.stat().st_mode), 0o750)
        for path in (outside, outside / "file"):
            self.assertEqual(path.stat().st_uid, os.geteuid())

    def test_homeIsALink(self) -> None:
        """
        A link in place of a home is not followed.
        """
        (self.folder / "outside").mkdir()
        (self.homes / "one").symlink_to(self.folder / "outside")
        self.assertRaises(OSError, give_home, self.homes / "one", os.geteuid())

    def test_homeIsMade(self) -> None:
        """
        An account without a home gets one.
        """
        give_home(self.homes / "new", os.geteuid())
        self.assertTrue((self.homes / "new").is_dir())

    def test_needsRoot(self) -> None:
        """
        Users of their own are root's to give, and exclude one user for all.
        """
        settings = Settings(Path("n.toml"), self.folder, self.homes, accounts=Accounts("own"))
        if ROOT:
            self.assertIsNone(app_owner(settings))
        else:
            error = self.assertRaises(ConfigError, app_owner, settings)
            self.assertIn("accounts: users: only root", str(error))
        both = Settings(
            Path("n.toml"), self.folder, self.homes, user="nobody", accounts=Accounts("own")
        )
        error = self.assertRaises(ConfigError, app_owner, both)
        self.assertIn("each account has its own user", str(error))
