"""
Which user of the machine an account is.

In:  `compose.keeper` opens the list; `supervise.placement` asks before an account's first launch.
Out: uids, and gids of the same numbers; homes that belong to them. A number is given once and
     never again, also when its account is gone: what it has left behind must not become another's.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from pathlib import Path

from twisted.logger import Logger

from hostedge.errors import ConfigError
from hostedge.settings import Accounts

HOME_MODE = 0o750


class Users:
    """The file `users`, a line `account uid` for each account that had something launched."""

    log = Logger()

    def __init__(
        self, file: Path, accounts: Accounts, homes: Path, group: int | None = None
    ) -> None:
        """`group`: who may enter homes beside their owners; None: nobody."""
        self._file = file
        self._range = range(accounts.first, accounts.last + 1)
        self._homes = homes
        self._group = group
        # whose number is known, and whose home is known to be theirs
        self._noted = read_users(file)
        self._given: set[str] = set()
        self._next = max((uid + 1 for uid in self._noted.values()), default=0)

    def find(self, account: str) -> tuple[int, int] | None:
        """Uid and gid of an account; None: it has none yet, or its home not yet."""
        uid = self._noted.get(account)
        if uid is None:
            return None
        if account not in self._given:
            if owner_of(self._homes / account) != uid:
                # a keeper has ended in between
                return None
            self._given.add(account)
        return uid, uid

    def add(self, account: str) -> tuple[int, int]:
        """
        Give the account a uid of its own and its home to it, with all that is in there.

        It takes as long as the home is large: for a thread. What another thread adds meanwhile
        must be another account.

        Raises:
            OSError: the list or the home cannot be written.
            ConfigError: no number is left.
        """
        uid = self._noted.get(account)
        if uid is None:
            uid = self._free()
            # first: what belongs to a number that is not noted would be the next account's
            self._note(account, uid)
            self._noted[account] = uid
        give_home(self._homes / account, uid, self._group)
        self._given.add(account)
        self.log.info("{account} is uid {uid}", account=account, uid=uid)
        return uid, uid

    def _note(self, account: str, uid: int) -> None:
        line = f"{account} {uid}\n".encode()
        with self._file.open("a+b", buffering=0) as file:
            file.seek(0)
            # what the machine has cut short, when it stopped, is not read either
            end = file.read().rfind(b"\n") + 1
            file.truncate(end)
            try:
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._file))
                os.fsync(file.fileno())
            except OSError:
                # half a line would be another number
                file.truncate(end)
                raise

    def _free(self) -> int:
        for uid in range(max(self._next, self._range.start), self._range.stop):
            self._next = uid + 1
            if not is_known(uid):
                return uid
        raise ConfigError("accounts: last", "every uid of the range is given to an account")


def read_users(file: Path) -> dict[str, int]:
    """
    Uids by account. A last line without an end was being written when the machine stopped: nothing
    belongs to that number yet.

    Raises:
        ConfigError: a line is none; to go on would give numbers out twice.
    """
    try:
        lines = file.read_text().split("\n")[:-1]
    except FileNotFoundError:
        return {}
    uids = {}
    for number, line in enumerate(lines, 1):
        account, _, uid = line.partition(" ")
        if not (account and uid.isascii() and uid.isdigit()):
            raise ConfigError(
                f"{file}: line {number}", f"want an account and its uid, not {line!r}"
            )
        uids[account] = int(uid)
    return uids


def owner_of(home: Path) -> int:
    """Whose a home is; -1: there is none. Its owner is the last that `give_home` changes."""
    try:
        return home.lstat().st_uid
    except OSError:
        return -1


def is_known(number: int) -> bool:
    """Is this the uid or gid of somebody else on this machine?"""
    for find in (pwd.getpwuid, grp.getgrgid):
        try:
            find(number)
        except KeyError:
            continue
        return True
    return False


def give_home(home: Path, uid: int, group: int | None = None) -> None:
    """
    Have a home and everything in it belong to this user; others cannot enter, save this group.

    Links are given, never followed, and nothing is given that somebody else has another name of:
    a hard link from here could be to a file outside.

    Raises:
        OSError: it cannot be made, or is no folder.
    """
    home.mkdir(mode=HOME_MODE, exist_ok=True)
    top = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for _, folders, files, folder in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            for name in files:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if found.st_nlink == 1 or stat.S_ISLNK(found.st_mode):
                    os.chown(name, uid, uid, dir_fd=folder, follow_symlinks=False)
            for name in folders:
                os.chown(name, uid, uid, dir_fd=folder, follow_symlinks=False)
        # last: from here on its new owner can change what is in it
        os.fchown(top, uid, uid if group is None else group)
        os.fchmod(top, HOME_MODE)
    finally:
        os.close(top)
