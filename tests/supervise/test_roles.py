"""
Tests for `hostedge.supervise.roles`.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.settings import Accounts, Settings
from hostedge.supervise.roles import Roles, for_edges, make_folders, read_roles

# two users that every Debian has
CONTROL, EDGE = pwd.getpwnam("daemon"), pwd.getpwnam("www-data")


class RolesTests(SynchronousTestCase):
    """Who the node's own processes are."""

    def setUp(self) -> None:
        self.settings = Settings(Path("n.toml"), Path(self.mktemp()), Path())

    def named(self, control: str, edge: str, users: str = "own") -> Settings:
        accounts = Accounts(users, control=control, edge=edge)
        return evolve(self.settings, accounts=accounts)

    def test_keepers(self) -> None:
        """
        Without users of their own all are who the keeper is.
        """
        roles = read_roles(self.settings)
        self.assertEqual(roles, Roles())
        self.assertEqual(roles.uids, {os.geteuid()})
        self.assertEqual(roles.edge_uid, os.geteuid())

    def test_named(self) -> None:
        """
        Users are looked up; all of them may link to each other.
        """
        roles = read_roles(self.named("daemon", "www-data"))
        self.assertEqual(roles.control, (CONTROL.pw_uid, CONTROL.pw_gid))
        self.assertEqual(roles.edge, (EDGE.pw_uid, EDGE.pw_gid))
        self.assertEqual(roles.uids, {os.geteuid(), CONTROL.pw_uid, EDGE.pw_uid})
        self.assertEqual(roles.edge_uid, EDGE.pw_uid)
        self.assertTrue(roles.may_be("control", CONTROL.pw_uid))
        self.assertTrue(roles.may_be("template", EDGE.pw_uid))
        self.assertFalse(roles.may_be("control", EDGE.pw_uid))
        self.assertFalse(roles.may_be("keeper", os.geteuid()))

    def test_mistakes(self) -> None:
        """
        What would not separate anything is refused, with what to do.
        """
        for settings, problem in (
            (self.named("daemon", ""), "edge: is missing"),
            (self.named("no-such-user", "daemon"), "make it: useradd --system"),
            (self.named("root", "daemon"), "control: want neither root nor"),
            (self.named("daemon", "daemon"), "edge: want another user"),
            (self.named("daemon", "www-data", "shared"), 'users: want "own"'),
        ):
            self.assertIn(problem, str(self.assertRaises(ConfigError, read_roles, settings)))

    def test_folders(self) -> None:
        """
        They are made closed to others.
        """
        make_folders(self.settings, Roles())
        for folder in (self.settings.state, self.settings.control, self.settings.run / "d"):
            self.assertEqual(stat.S_IMODE(folder.stat().st_mode) & 0o007, 0)

    def test_foldersOfTwo(self) -> None:
        """
        Each role can use what it has to: nobody but control writes the store, nobody but the keeper
        what it believes, and nobody but edges reaches apps.
        """
        if os.geteuid() != 0:
            # others can give nothing away, and are told so when they start the keeper
            return
        state = self.settings.state
        # once as it was before there were users
        make_folders(self.settings, Roles())
        make_folders(self.settings, read_roles(self.named("daemon", "www-data")))
        control, edge = CONTROL.pw_uid, EDGE.pw_uid
        for path, owner, group, mode in (
            (".", 0, 0, 0o711),
            ("control", control, EDGE.pw_gid, 0o2750),
            ("run", 0, CONTROL.pw_gid, 0o2751),
            ("run/d", 0, EDGE.pw_gid, 0o710),
            ("log", 0, EDGE.pw_gid, 0o1771),
            ("log/apps", 0, CONTROL.pw_gid, 0o2750),
            ("journal", 0, 0, 0o700),
            ("spool", edge, EDGE.pw_gid, 0o750),
        ):
            found = (state / path).stat()
            told = (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
            self.assertEqual(told, (owner, group, mode), path)
        shared = state / "run/connections"
        shared.touch(0o640)
        for_edges(shared, read_roles(self.named("daemon", "www-data")))
        self.assertEqual(shared.stat().st_gid, EDGE.pw_gid)
        self.assertEqual(stat.S_IMODE(shared.stat().st_mode), 0o660)
