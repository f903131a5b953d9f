"""
Make or upgrade a store file, and open it for writing.

In:  `store.writer` in control, before anything else opens the file.
Out: an engine whose transactions lock for writing from their first statement.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from hostedge.errors import ConfigError

# Edges read the file as members of its group; nobody else may, private keys lie in it.
FILE_MODE = 0o640
FOLDER_MODE = 0o750

BUSY_TIMEOUT = 10.0  # longer than any import holds the lock; two writers overlap in an upgrade


def upgrade(path: Path) -> None:
    """
    Bring the file to the newest tables; make it, and its folder, when it is not there.

    Raises:
        ConfigError: it cannot be written, is no route store, or one of a later version.
    """
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
            path.parent.chmod(FOLDER_MODE)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            # the umask has its say in open(2) and mkdir(2), not here
            os.fchmod(descriptor, FILE_MODE)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}") from None
    engine = open_engine(path)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DatabaseError as error:
        raise ConfigError(str(path), f"is no route store: {error.orig}") from None
    except CommandError as error:
        raise ConfigError(str(path), f"is of a later version of hostedge: {error}") from None
    finally:
        engine.dispose()


def open_engine(path: Path) -> Engine:
    """An engine on the file."""
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT}, pool_size=1, max_overflow=0
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    # Transactions are begun by `_begin`, not by the driver at its first INSERT.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # In WAL mode NORMAL would lose the last commits when the power fails. Who was told that a
    # change is live must find it after that; the sync costs 0.3 ms a call, not a row.
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    # What a transaction reads is what it then writes over; a lock taken only at the first write
    # could be refused after the reading.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
