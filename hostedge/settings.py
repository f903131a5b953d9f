"""
The node's settings file (TOML): what is fixed before the route store can be read.

In:  `tap.Options` and the command line, with the file's path.
Out: `Settings`, every path absolute; `ConfigError` names file and key.

Settings file::

    name = "localhost"             # this node; its certificate answers clients without SNI
    state = "../var"               # store, certificates, sockets, logs; relative to this file
    homes = "homes"                # account homes: <homes>/<account>
    user = "apps"                  # as whom apps run; default: the node's user, root's are nobody
    edges = 2                      # default: one per core
    tls = "default"                # TLS 1.2 and 1.3; "modern": 1.3 only
    default_site = "www.example.net"   # for HTTP/1.0 without Host; default: it is refused

    [listen]
    http = ["127.0.0.1:8080"]
    https = ["127.0.0.1:8443"]
    dns = ["127.0.0.1:8053"]       # UDP and TCP; one address each, no wildcard
    proxy_http = ["10.0.0.5:8081"]     # like http and https, but for proxies before this node:
    proxy_https = ["10.0.0.5:8444"]    # each connection begins with a PROXY header, v1 or v2

    [accounts]
    users = "own"                  # each account has a user of its own; default: "shared"
    first = 20000                  # the range of their uids and gids
    last = 59999
    control = "hostedge"           # the users of control and of edges, which need no rights;
    edge = "hostedge-edge"         # default: that of the keeper, root
    first_port = 20000             # of apps that bind a port: only edges reach them there
    last_port = 29999

    [trust]
    proxies = ["10.0.0.0/8"]       # who may say who the client is: there, and by X-Forwarded-*
    depth = 2                      # so many proxies, whatever their addresses; default: those named

    [dns]
    addresses = ["192.0.2.1"]      # where the node is reached: what domains are answered with
    nameservers = ["ns1.example.net"]  # NS of zones that name none; default: the node's name

    [console]
    ssh = "127.0.0.1:8022"         # the manhole over SSH; default: not at all
    keys = "operators.pub"         # authorized_keys; relative to this file

    [metrics]
    listen = "127.0.0.1:9100"      # for Prometheus, without a key; default: the API's socket alone
    sites = 200                    # active sites with series of their own
    backends = 200                 # apps and pools that have
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from math import inf
from pathlib import Path
from typing import Any, get_type_hints

from attrs import field, fields, frozen

from hostedge.errors import ConfigError
from hostedge.routes.hostname import is_address, parse_hostname
from hostedge.wire.forwarded import MAX_HOPS

# bind(2) takes 107 bytes for a UNIX address; the longest below the state folder is
# run/d/<12 hex digits>.<generation, to 11 digits>.sock
MAX_STATE = 107 - 36
# sites that an edge counts by name: observe.sites
MAX_SERIES = 4096
# users of the system itself lie below; above, uids are reserved or mean nobody
LEAST_UID, MAX_UID = 1000, 2**31


@frozen
class Listen:
    """Public addresses, `host:port`; port 0 lets the kernel choose."""

    http: tuple[str, ...] = ()
    https: tuple[str, ...] = ()
    # both UDP and TCP
    dns: tuple[str, ...] = ()
    # where a connection begins with a header of the PROXY protocol
    proxy_http: tuple[str, ...] = ()
    proxy_https: tuple[str, ...] = ()

    @property
    def streams(self) -> tuple[tuple[str, str], ...]:
        """Protocol and address of every listener but those for DNS, in the order of binding."""
        return (
            *(("http", address) for address in self.http),
            *(("https", address) for address in self.https),
            *(("proxy-http", address) for address in self.proxy_http),
            *(("proxy-https", address) for address in self.proxy_https),
        )


@frozen
class Accounts:
    """Whether customers are separate users of the machine."""

    # "shared": all apps run as one user; "own": each account has a uid, which needs root
    users: str = "shared"
    # uids, and gids of the same numbers, that accounts are given; never one twice
    first: int = 20_000
    last: int = 59_999
    # the users of control, and of edges and their template; empty: as the keeper
    control: str = ""
    edge: str = ""
    # of apps that bind a port: only edges reach them there, which needs nftables
    first_port: int = 20_000
    last_port: int = 29_999

    @property
    def ports(self) -> range | None:
        """The ports of apps; None: any."""
        return range(self.first_port, self.last_port + 1) if self.users == "own" else None


@frozen
class Trust:
    """Whom the node believes about others."""

    # addresses and networks of the proxies that stand before it
    proxies: tuple[str, ...] = ()
    # how many of them a request has passed, the one that connects included; 0: as their
    # addresses say
    depth: int = 0


@frozen
class Dns:
    """What the node says of itself in the zones that it serves."""

    # public addresses, IPv4 and IPv6, without ports
    addresses: tuple[str, ...] = ()
    # host names in normal form
    nameservers: tuple[str, ...] = ()


@frozen
class Console:
    """Who reaches the manhole over SSH; the UNIX socket is there without this."""

    # `host:port`; empty: nobody
    ssh: str = ""
    # the file of public keys that are let in
    keys: Path = Path()


@frozen
class Metrics:
    """Where counts are read over TCP; the API has them without this."""

    # `host:port`; empty: nowhere
    listen: str = ""
    # active sites that have series of their own
    sites: int = 200
    # apps and pools that have
    backends: int = 200


def _limit(default: Any, ceiling: float = inf, zero: bool = False) -> Any:
    """A limit that may be raised up to its ceiling; `zero`: or switched off by 0."""
    return field(default=default, metadata={"ceiling": ceiling, "zero": zero})


@frozen
class Limits:
    """Bounds on what a client may ask for, in bytes and seconds: docs/settings.md tells each."""

    proxy_timeout: float = _limit(5.0, 15)
    hello_timeout: float = _limit(5.0, 15)
    handshake_timeout: float = _limit(10.0, 30)
    header_timeout: float = _limit(10.0, 60)
    target_size: int = _limit(8192, 32_768)
    field_size: int = _limit(16_384, 32_768)
    head_size: int = _limit(32_768, 65_536)
    head_fields: int = _limit(128, 256)
    keepalive_timeout: float = _limit(60.0, 300)
    h2_keepalive_timeout: float = _limit(180.0, 600)
    connection_requests: int = _limit(10_000)
    connection_age: float = _limit(3600.0)
    h2_streams: int = _limit(100)
    body_timeout: float = _limit(30.0, 300)
    body_rate: float = _limit(500.0, zero=True)
    write_timeout: float = _limit(60.0, 600)
    read_rate: float = _limit(250.0, zero=True)
    connect_timeout: float = _limit(4.0, 30)
    upstream_keepalive: float = _limit(4.0, 60)
    response_timeout: float = _limit(60.0, 3600)
    response_idle: float = _limit(60.0, 3600)
    response_head_size: int = _limit(65_536, 262_144)
    request_timeout: float = _limit(0.0, zero=True)
    hold_timeout: float = _limit(30.0, 120)
    queue_timeout: float = _limit(15.0, 120)
    queue_requests: int = _limit(5000)
    queue_bodies: int = _limit(64 * 1024 * 1024)
    body_size: int = _limit(128 * 1024 * 1024, zero=True)
    ranges: int = _limit(8, 32)
    spool_memory: int = _limit(512 * 1024)
    spool_disk: int = _limit(64 * 1024 * 1024)
    spool_total: int = _limit(0, zero=True)
    connections: int = _limit(0, zero=True)
    memory: int = _limit(0, zero=True)
    source_connections: int = _limit(256)
    source_requests: int = _limit(200)
    source_handshakes: float = _limit(30.0)
    websocket_frame: int = _limit(16 * 1024 * 1024)
    websocket_message: int = _limit(64 * 1024 * 1024)
    websocket_idle: float = _limit(3600.0, 86_400)
    websocket_close: float = _limit(10.0, 60)
    websockets: int = _limit(4096)
    app_websockets: int = _limit(1000)
    dns_connections: int = _limit(256)
    dns_idle: float = _limit(10.0)
    drain: float = _limit(30.0, 600)
    drain_websockets: float = _limit(300.0, 600)


def check_limit(name: str, value: float) -> None:
    """
    Check that one of `Limits` may have this value.

    Raises:
        ValueError: saying what is wanted.
    """
    terms = getattr(fields(Limits), name).metadata
    # `not …` refuses NaN as well
    if not (0 < value < inf or (value == 0 and terms["zero"])):
        raise ValueError("want more than 0, and an end")
    if value > terms["ceiling"]:
        raise ValueError(f"want at most {terms['ceiling']}, not {value}")


@frozen
class Settings:
    """What one node is, and where."""

    file: Path
    state: Path
    homes: Path
    name: str = "localhost"
    # as whom apps run; empty: as the node, or as nobody when that is root
    user: str = ""
    edges: int = field(factory=lambda: os.cpu_count() or 1)
    # what TLS clients may use: one of `tls.contexts.POLICIES`
    tls: str = "default"
    # the domain that requests of HTTP/1.0 are for which name none; empty: they are refused
    default_site: str = ""
    listen: Listen = Listen()
    limits: Limits = Limits()
    dns: Dns = Dns()
    accounts: Accounts = Accounts()
    trust: Trust = Trust()
    console: Console = Console()
    metrics: Metrics = Metrics()

    @property
    def control(self) -> Path:
        """All that control writes, and nobody else."""
        return self.state / "control"

    @property
    def store(self) -> Path:
        return self.control / "store.db"

    @property
    def run(self) -> Path:
        """What the keeper writes, for as long as the node runs."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        return self.state / "log"

    @property
    def keeper_socket(self) -> Path:
        return self.run / "keeper.sock"

    @property
    def upgrade_record(self) -> Path:
        """How far the last upgrade has come."""
        return self.run / "upgrade.json"

    @property
    def control_socket(self) -> Path:
        """Where edges reach control, over AMP."""
        return self.control / "control.sock"

    @property
    def api_socket(self) -> Path:
        """Where the API listens, over HTTP."""
        return self.control / "api.sock"

    @property
    def manhole_socket(self) -> Path:
        """Where `hostedge manhole` attaches."""
        return self.control / "manhole.sock"

    @property
    def manhole_history(self) -> Path:
        """What was typed there."""
        return self.control / "manhole.history"

    @property
    def manhole_key(self) -> Path:
        """The host key of the manhole over SSH."""
        return self.control / "manhole.key"

    @property
    def console_note(self) -> Path:
        """Where the manhole over SSH listens, as the keeper notes its listeners."""
        return self.control / "console.json"

    @property
    def metrics_note(self) -> Path:
        """Where counts are read over TCP, noted in the same way."""
        return self.control / "metrics.json"

    @property
    def spool(self) -> Path:
        """Where bodies wait that are too large for memory; `/tmp` often is memory."""
        return self.state / "spool"

    @property
    def journal(self) -> Path:
        return self.state / "journal"

    @property
    def users(self) -> Path:
        """Which account has which uid."""
        return self.state / "users"

    @property
    def ca_certificate(self) -> Path:
        return self.control / "ca.pem"

    @property
    def ca_key(self) -> Path:
        return self.control / "ca.key"


def read_settings(file: Path) -> Settings:
    """
    Read and check a settings file.

    Raises:
        ConfigError: naming the file and the line or key, and what is wanted there.
    """
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(file), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(str(file), "is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(file), f"is not TOML: {error}") from None
    values = _checked(document, Settings, f"{file}", skip=("file",))
    folder = file.resolve().parent
    for key in ("state", "homes"):
        if key not in values:
            raise ConfigError(f"{file}: {key}", "is missing: want the path of a folder")
        values[key] = Path(os.path.normpath(folder / str(values[key])))
    for key in {"name", "default_site"} & values.keys():
        try:
            values[key] = parse_hostname(str(values[key]))
        except ValueError as error:
            raise ConfigError(f"{file}: {key}", str(error)) from None
    if "console" in values:
        values["console"] = _console(values["console"], folder, f"{file}: console")
    if "metrics" in values and values["metrics"].listen:
        parse_address(values["metrics"].listen, f"{file}: metrics: listen")
    settings = Settings(file=file.resolve(), **values)
    _bounded(settings, file)
    return settings


def _checked(
    document: dict[str, object], shape: type, where: str, skip: tuple[str, ...] = ()
) -> dict[str, Any]:
    known = {name: kind for name, kind in get_type_hints(shape).items() if name not in skip}
    values: dict[str, Any] = {}
    for key, value in document.items():
        here = f"{where}: {key}"
        if key not in known:
            raise ConfigError(here, f"is not a setting; known here: {', '.join(sorted(known))}")
        wanted = known[key]
        if wanted in _TABLES:
            if not isinstance(value, dict):
                raise ConfigError(here, f"want a table, [{key}]")
            values[key] = wanted(**_checked(value, wanted, here))
        elif wanted in _SCALARS:
            values[key] = _scalar(value, wanted, here)
        elif not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError(here, f"want a list, {_LISTS.get(key, _ENDPOINTS)[1]}")
        else:
            check = _LISTS.get(key, _ENDPOINTS)[0]
            values[key] = tuple(check(item, here) for item in value)
    return values


def _endpoint(text: str, where: str) -> str:
    parse_address(text, where)
    return text


def _dns_endpoint(text: str, where: str) -> str:
    host, _ = parse_address(text, where)
    address = _public_address(host, where)
    if ip_address(address).is_unspecified:
        # a datagram socket that is bound to all answers from whichever the kernel chooses
        raise ConfigError(where, f"want each address by itself, not {text}")
    return text


def _public_address(text: str, where: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ConfigError(where, f"want an IP address, not {text!r}") from None


def _network(text: str, where: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise ConfigError(where, f"want an IP address or a network: {error}") from None


def _host(text: str, where: str) -> str:
    try:
        name = parse_hostname(text)
    except ValueError as error:
        raise ConfigError(where, str(error)) from None
    if is_address(name):
        raise ConfigError(where, f"want a host name, not {text!r}")
    return name


_TABLES = (Listen, Limits, Dns, Accounts, Trust, Console, Metrics)
_ENDPOINTS = (_endpoint, '["127.0.0.1:8080"]')
# how the items of a list are read, and what one looks like; the others are endpoints
_LISTS: dict[str, tuple[Callable[[str, str], str], str]] = {
    "dns": (_dns_endpoint, '["192.0.2.1:53"]'),
    "addresses": (_public_address, '["192.0.2.1", "2001:db8::1"]'),
    "proxies": (_network, '["10.0.0.0/8", "192.0.2.1"]'),
    "nameservers": (_host, '["ns1.example.net"]'),
}
_SCALARS = {int: "a whole number", float: "a number", str: "a text", Path: "a path"}


def _scalar(value: object, wanted: type, where: str) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is float and number:
        return float(value)  # type: ignore[arg-type]
    if wanted is int and number and isinstance(value, int):
        return value
    if wanted in (str, Path) and isinstance(value, str) and value:
        return value
    raise ConfigError(where, f"want {_SCALARS[wanted]}, not {value!r}")


def _console(console: Console, folder: Path, where: str) -> Console:
    if not console.ssh:
        return console
    parse_address(console.ssh, f"{where}: ssh")
    keys = Path(os.path.normpath(folder / console.keys))
    if not keys.is_file():
        none = f"; {keys} is none" if console.keys.name else ""
        problem = f"want the file of the public keys that are let in{none}"
        raise ConfigError(f"{where}: keys", problem)
    return Console(console.ssh, keys)


def _bounded(settings: Settings, file: Path) -> None:
    if not 1 <= settings.edges <= 256:
        raise ConfigError(f"{file}: edges", f"want 1 to 256, not {settings.edges}")
    if settings.tls not in ("default", "modern"):
        raise ConfigError(f"{file}: tls", f"want default or modern, not {settings.tls!r}")
    if len(os.fsencode(settings.state)) > MAX_STATE:
        raise ConfigError(
            f"{file}: state",
            f"the path is over {MAX_STATE} bytes: UNIX sockets below it could not be bound",
        )
    accounts = settings.accounts
    if accounts.users not in ("shared", "own"):
        problem = f"want shared or own, not {accounts.users!r}"
        raise ConfigError(f"{file}: accounts: users", problem)
    if not LEAST_UID <= accounts.first <= accounts.last < MAX_UID:
        problem = f"want a range within {LEAST_UID} to {MAX_UID - 1}"
        raise ConfigError(f"{file}: accounts: first", problem)
    if not 1024 <= accounts.first_port <= accounts.last_port <= 65_535:
        raise ConfigError(f"{file}: accounts: first_port", "want a range within 1024 to 65535")
    listen = settings.listen
    if (listen.proxy_http or listen.proxy_https) and not settings.trust.proxies:
        problem = "is missing: want the proxies that may use the listeners for them"
        raise ConfigError(f"{file}: trust: proxies", problem)
    if not 0 <= settings.trust.depth <= MAX_HOPS:
        problem = f"want 0 to {MAX_HOPS}, not {settings.trust.depth}"
        raise ConfigError(f"{file}: trust: depth", problem)
    if settings.trust.depth and not settings.trust.proxies:
        problem = "is missing: want the proxies of which there are so many"
        raise ConfigError(f"{file}: trust: proxies", problem)
    for word in ("sites", "backends"):
        count = getattr(settings.metrics, word)
        if not 0 <= count <= MAX_SERIES:
            raise ConfigError(f"{file}: metrics: {word}", f"want 0 to {MAX_SERIES}, not {count}")
    if not settings.homes.is_dir():
        raise ConfigError(f"{file}: homes", f"want a folder; {settings.homes} is none")
    for each in fields(Limits):
        try:
            check_limit(each.name, getattr(settings.limits, each.name))
        except ValueError as error:
            raise ConfigError(f"{file}: limits: {each.name}", str(error)) from None


def parse_address(text: str, where: str) -> tuple[str, int]:
    """
    Split `host:port` or `[v6]:port`.

    Raises:
        ConfigError: naming `where`.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    good = colon and host and text.isascii() and port.isdigit() and int(port) <= 65535
    if not good:
        raise ConfigError(where, f"want host:port or [v6]:port, not {text!r}")
    return host, int(port)
