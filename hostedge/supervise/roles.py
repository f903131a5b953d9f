"""
As whom the node's own processes run, and whose its folders are.

In:  `compose`, `supervise.own` and `supervise.inheritance` of the keeper.
Out: uids and gids; folders that each role can use as far as it has to.

    keeper    root          run, log, journal, users: what it believes when it starts again
    control   its user      control: the store, keys, its sockets
    edges     their user    read control; write spool and access.log

Without users for them all are the keeper's, and the folders as well.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from attrs import frozen

from hostedge.errors import ConfigError
from hostedge.settings import Settings

Owner = tuple[int, int]


@frozen
class Roles:
    """Uid and gid of a role; None: those of the keeper."""

    control: Owner | None = None
    edge: Owner | None = None

    @property
    def uids(self) -> frozenset[int]:
        """All who may link to each other."""
        named = (each[0] for each in (self.control, self.edge) if each is not None)
        return frozenset((os.geteuid(), *named))

    def may_be(self, role: str, uid: int) -> bool:
        """Whether a process of this user can be of this role."""
        users = {"control": self.control, "template": self.edge, "edge": self.edge}
        if role not in users:
            return False
        user = users[role]
        return uid == (os.geteuid() if user is None else user[0])

    @property
    def edge_gid(self) -> int | None:
        """Whose group may enter homes, to read what is served from there; None: root may."""
        return None if self.edge is None else self.edge[1]

    @property
    def edge_uid(self) -> int:
        """Who connects to apps."""
        return os.geteuid() if self.edge is None else self.edge[0]


def read_roles(settings: Settings) -> Roles:
    """
    Look up the users that the settings name.

    Raises:
        ConfigError: one does not exist, is root or could be a customer's; or only one is named.
    """
    accounts = settings.accounts
    if not accounts.control and not accounts.edge:
        return Roles()
    where = f"{settings.file}: accounts"
    if accounts.users != "own":
        raise ConfigError(f"{where}: users", 'want "own": control and edge are users beside them')
    found = {}
    for role in ("control", "edge"):
        name = getattr(accounts, role)
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            raise ConfigError(f"{where}: {role}", _no_user(name)) from None
        if user.pw_uid == 0 or accounts.first <= user.pw_uid <= accounts.last:
            problem = f"want neither root nor a uid that an account may have: {name}"
            raise ConfigError(f"{where}: {role}", problem)
        found[role] = (user.pw_uid, user.pw_gid)
    if found["control"][0] == found["edge"][0]:
        raise ConfigError(
            f"{where}: edge", "want another user than control's, who writes the store"
        )
    return Roles(**found)


def _no_user(name: str) -> str:
    if not name:
        return "is missing: control and edges have users of their own, or neither"
    return f"there is no user {name}; make it: useradd --system --user-group {name}"


def make_folders(settings: Settings, roles: Roles) -> None:
    """
    Make the folders of the state, or bring those that are there to what they have to be.

    Raises:
        ConfigError: one cannot be made.
    """
    root = (os.geteuid(), os.getegid())
    control, edge = roles.control or root, roles.edge or root
    apart = roles.edge is not None
    for folder, uid, gid, mode in (
        # to be passed through by both
        (settings.state, root[0], root[1], 0o711 if apart else 0o750),
        # what is made in there is for the edges to read
        (settings.control, control[0], edge[1], 0o2750 if apart else 0o750),
        (settings.run, root[0], control[1], 0o2751 if apart else 0o750),
        # who cannot enter cannot connect to an app
        (settings.run / "d", root[0], edge[1], 0o710 if apart else 0o750),
        # edges begin access.log anew when it was taken away, and cannot take anything away
        (settings.logs, root[0], edge[1], 0o1771 if apart else 0o750),
        (settings.logs / "apps", root[0], control[1], 0o2750 if apart else 0o750),
        (settings.journal, *root, 0o700 if apart else 0o750),
        (settings.spool, *edge, 0o750),
    ):
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            if apart:
                os.chown(folder, uid, gid)
                folder.chmod(mode)
        except OSError as error:
            problem = f"{error.filename} cannot be made: {error.strerror}"
            raise ConfigError(f"{settings.file}: state", problem) from None


def for_edges(path: Path, roles: Roles) -> None:
    """Let edges write a file of the keeper's."""
    if roles.edge is not None:
        os.chown(path, -1, roles.edge[1])
        path.chmod(0o660)
