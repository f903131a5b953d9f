"""
What one node needs: its settings, its state folder, its store, its addresses.

In:  `cli.doctor`, whether the node runs or not.
Out: `Finding`s.
"""

from __future__ import annotations

import errno
import os
import pwd
import socket
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from hostedge.cli.client import ApiClient
from hostedge.cli.finding import Finding
from hostedge.cli.holder import holder
from hostedge.cli.running import listeners
from hostedge.errors import ConfigError
from hostedge.routes.hostname import ordered, wildcard_of
from hostedge.settings import Console, Settings, parse_address, read_settings
from hostedge.store.reader import open_read_only
from hostedge.supervise.user import app_owner, can_reach
from hostedge.supervise.users import read_users


def check_node(file: Path) -> Iterator[Finding]:
    """Everything that hangs on the settings file."""
    try:
        settings = read_settings(file)
    except ConfigError as error:
        yield Finding("fail", "settings", str(error), "name the right file with --settings")
        return
    yield Finding("ok", "settings", str(settings.file))
    node = running(settings)
    yield node
    yield apps_user(settings)
    yield from folder(settings)
    yield from store(settings.store)
    yield from default_site(settings)
    yield from operators(settings.console)
    yield from addresses(settings, runs=node.level == "ok")


def running(settings: Settings) -> Finding:
    """Call the node; whether it runs decides whose the addresses may be."""
    try:
        with ApiClient(settings) as client:
            report = client.call("GET", "/v1/status")
    except ConfigError as error:
        return Finding("warn", "node", error.problem)
    return Finding("ok", "node", f"{report['name']} runs, revision {report['revision']}")


def apps_user(settings: Settings) -> Finding:
    """As whom customers' programs run."""
    try:
        owner = app_owner(settings)
    except ConfigError as error:
        return Finding("fail", "user", str(error), "name another one, or none")
    if settings.accounts.users == "own":
        return _own_users(settings)
    uid = os.geteuid() if owner is None else owner[0]
    if uid:
        return Finding("ok", "user", f"apps run as {_name(uid)}")
    text = "apps run as root: nobody could not reach the interpreter or the homes"
    if settings.user:
        text = "apps run as root, as the settings say"
    return Finding("warn", "user", text, "start the node as a user of its own")


def _own_users(settings: Settings) -> Finding:
    """Accounts have users of their own, who have to reach what apps are run with."""
    accounts = settings.accounts
    try:
        known = read_users(settings.users)
    except ConfigError as error:
        return Finding("fail", "users", str(error), "bring the line back: numbers must not repeat")
    told = f"{len(known)} accounts have uids, of {accounts.first} to {accounts.last}"
    needed = (Path(sys.executable).resolve(), settings.homes)
    for path in needed:
        if not can_reach(path, accounts.last, accounts.last):
            todo = "open the folders above it to others (chmod o+x), or use another"
            return Finding("warn", "users", f"{told}; they cannot reach {path}", todo)
    return Finding("ok", "users", told)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def folder(settings: Settings) -> Iterator[Finding]:
    """The state folder, and the files in it that hold private keys."""
    state = settings.state
    try:
        mode = stat.S_IMODE(state.stat().st_mode)
    except FileNotFoundError:
        parent = next(each for each in state.parents if each.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield Finding("ok", "state", f"{state} will be made when the node starts")
        else:
            todo = f"make it, or let this user write in {parent}"
            yield Finding("fail", "state", f"{state} is not there and cannot be made", todo)
        return
    except OSError as error:
        todo = "run this as root or as the node's own user"
        yield Finding("fail", "state", f"{state}: {error.strerror}", todo)
        return
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        todo = "run this, and the node, as the folder's owner"
        yield Finding("fail", "state", f"{state} is not this user's to write", todo)
    elif mode & (0o006 if settings.accounts.edge else 0o007):
        todo = f"chmod o= {state}"
        yield Finding("warn", "state", f"{state} has mode {mode:04o}: others may enter", todo)
    else:
        yield Finding("ok", "state", f"{state}, mode {mode:04o}")
    for path, too_much in (
        *((settings.store, 0o007), (settings.ca_key, 0o077)),
        (settings.manhole_key, 0o077),
    ):
        yield from _kept_close(path, too_much)


def _kept_close(path: Path, too_much: int) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return
    if mode & too_much:
        todo = f"chmod {mode & ~too_much:04o} {path}, and think of the keys in it as known"
        yield Finding("fail", path.name, f"has mode {mode:04o}: private keys lie in it", todo)


def operators(console: Console) -> Iterator[Finding]:
    """The keys that open the manhole over SSH."""
    if not console.ssh:
        return
    status = console.keys.stat()
    # as `console.keys` has it
    if status.st_mode & 0o022:
        text = f"others may write {console.keys}: it lets nobody in"
        yield Finding("fail", "keys", text, f"chmod go-w {console.keys}")
    else:
        yield Finding("ok", "keys", f"{console.keys} says who comes in over SSH")


def store(path: Path) -> Iterator[Finding]:
    """Open the store and have SQLite look at every page."""
    if not path.exists():
        yield Finding("ok", "store", "is made when the node starts for the first time")
        return
    try:
        with closing(open_read_only(path)) as connection:
            problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            count = connection.execute("SELECT count(*) FROM accounts").fetchone()[0]
    except (ConfigError, sqlite3.Error) as error:
        todo = "stop the node and put a backup in its place"
        yield Finding("fail", "store", str(error), todo)
        return
    if problem != "ok":
        todo = "stop the node and put a backup in its place"
        yield Finding("fail", "store", f"is damaged: {problem}", todo)
    else:
        yield Finding("ok", "store", f"whole; {count} account{'' if count == 1 else 's'}")


def default_site(settings: Settings) -> Iterator[Finding]:
    """Whether the site exists that requests without a name are for."""
    name = settings.default_site
    if not name or not settings.store.exists():
        return
    wanted = ordered(name), ordered(wildcard_of(name) or name)
    try:
        with closing(open_read_only(settings.store)) as connection:
            found = connection.execute("SELECT 1 FROM names WHERE name IN (?, ?)", wanted)
            is_there = found.fetchone() is not None
    except (ConfigError, sqlite3.Error):
        # the store has its own line
        return
    if is_there:
        yield Finding("ok", "default_site", name)
    else:
        todo = "apply a site with it, or take it out of the settings"
        yield Finding("warn", "default_site", f"no account has {name}", todo)


def addresses(settings: Settings, runs: bool) -> Iterator[Finding]:
    """Whether each address can be listened on, or is held by this very node."""
    bound = listeners(settings) if runs else []
    held = {(each["protocol"], each["address"]) for each in bound}
    listen, console, metrics = settings.listen, settings.console, settings.metrics
    for protocol, address in (
        *listen.streams,
        *((protocol, each) for each in listen.dns for protocol in ("dns-udp", "dns-tcp")),
        *((("ssh", console.ssh),) if console.ssh else ()),
        *((("metrics", metrics.listen),) if metrics.listen else ()),
    ):
        if (protocol, address) in held:
            yield Finding("ok", protocol, f"{address} is held by this node")
        else:
            yield _bindable(protocol, address)
    if listen.dns and not settings.dns.addresses:
        text = "[dns] addresses is empty: domains in zones are answered without an address"
        todo = f"say in {settings.file} where this node is reached"
        yield Finding("warn", "dns", text, todo)


def _bindable(protocol: str, address: str) -> Finding:
    host, port = parse_address(address, protocol)
    wanted = socket.SOCK_DGRAM if protocol == "dns-udp" else socket.SOCK_STREAM
    try:
        family, kind, number, _, target = socket.getaddrinfo(
            host, port, type=wanted, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, number) as probe:
            if wanted == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
            if wanted == socket.SOCK_STREAM:
                # with SO_REUSEADDR two may bind, but only one may listen
                probe.listen(1)
    except socket.gaierror as error:
        text = f"{address}: {error.strerror}"
        return Finding("fail", protocol, text, "want an address of this machine")
    except OSError as error:
        todo = {
            errno.EADDRINUSE: "end the program that listens there, or choose another port",
            errno.EACCES: "ports below 1024 need root, or the unit's AmbientCapabilities=",
            errno.EADDRNOTAVAIL: "want an address of this machine",
        }.get(error.errno or 0, "choose another address")
        text = f"{address}: {error.strerror}"
        if error.errno == errno.EADDRINUSE and (who := holder(wanted, host, port)):
            text += f" by {who}"
        return Finding("fail", protocol, text, todo)
    return Finding("ok", protocol, f"{address} is free")
