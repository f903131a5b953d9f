"""
As whom apps run while accounts have no users of their own.

In:  `compose.keeper`, once.
Out: uid and gid for every launch, or None: as the node itself, or as `supervise.users` says.

A node that root has started must not run customers' programs as root: they are `nobody`, unless
nobody could not even reach the interpreter or the homes. Then `hostedge doctor` says so.
"""

from __future__ import annotations

import os
import pwd
import stat
import sys
from pathlib import Path

from hostedge.errors import ConfigError
from hostedge.settings import Settings

NOBODY = "nobody"


def app_owner(settings: Settings) -> tuple[int, int] | None:
    """
    The uid and gid that apps are launched with.

    Raises:
        ConfigError: the settings name a user that does not exist or that only root could become;
            or each account is to have its own, which only root can give.
    """
    if settings.accounts.users == "own":
        _check_own(settings)
        return None
    where = f"{settings.file}: user"
    if settings.user:
        try:
            user = pwd.getpwnam(settings.user)
        except KeyError:
            raise ConfigError(
                where, f"want a user of this machine, not {settings.user!r}"
            ) from None
        if user.pw_uid == os.geteuid():
            return None
        if os.geteuid() != 0:
            raise ConfigError(where, f"only root can run apps as {settings.user}")
        return user.pw_uid, user.pw_gid
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam(NOBODY)
    except KeyError:
        return None
    owner = nobody.pw_uid, nobody.pw_gid
    needed = (Path(sys.executable), Path(sys.executable).resolve(), settings.homes)
    return owner if all(can_reach(path, *owner) for path in needed) else None


def _check_own(settings: Settings) -> None:
    where = f"{settings.file}: accounts: users"
    if settings.user:
        raise ConfigError(
            where, f"each account has its own user: leave out user, {settings.user!r}"
        )
    if os.geteuid() != 0:
        raise ConfigError(where, "only root can run each account's apps as a user of its own")


def can_reach(path: Path, uid: int, gid: int) -> bool:
    """Whether this user can enter or execute the path and every folder above it."""
    for each in (path, *path.parents):
        try:
            found = each.stat()
        except OSError:
            return False
        if found.st_uid == uid:
            needed = stat.S_IXUSR
        elif found.st_gid == gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not found.st_mode & needed:
            return False
    return True
