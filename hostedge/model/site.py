"""
The objects of the route store as frozen values.

In:  `model.parse` makes them of site files, API bodies and rows.
Out: the store writes them, `routes.compile` and the daemon manager read them.
"""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

from hostedge.model.names import Size


@frozen
class Account:
    """A customer: the owner of everything below; home is `<homes>/<name>`."""

    name: str
    suspended: bool = False
    # what its daemons may take together, in bytes; 0: as much as there is
    memory: Size = Size(0)
    # processes and threads
    pids: int = 256
    # its share of the CPUs beside other accounts, of disks as well
    weight: int = 100
    # time on the CPUs, 100 is one of them; 0: no bound
    cpu_percent: int = 0
    # bytes that one file may have; 0: no bound
    file_size: Size = Size(0)
    # apps that may start at the same time, and requests that may wait for its apps on each edge
    starts: int = 1
    queue: int = 300
    # what its daemons see of the file system: "all", or with "own" nothing of other accounts
    view: str = "all"


@frozen
class App:
    """A daemon to be started by its first request; `run` holds the options of its runtime."""

    name: str
    runtime: str
    run: object
    directory: str = "."
    environment: dict[str, str] = field(factory=dict)
    # seconds without a request after which it is stopped; 0 = never
    idle: float = 1800.0
    # requests that may wait for it, on each edge
    queue: int = 100
    start_timeout: float = 60.0
    stop_timeout: float = 10.0
    # "spool": a request is complete before it takes a place; "stream": bytes pass as they come
    buffer: str = "spool"
    # whether `Forwarded` says who the client is as well
    forwarded: bool = False
    # fields with odd names that it gets nevertheless
    keep: tuple[str, ...] = ()
    # False: it answers nobody until its owner wants it again
    enabled: bool = True
    # it runs without having been asked for
    always_on: bool = False
    # seconds without a request after which its processes stand still; 0 = never
    freeze: float = 0.0
    # how a new one takes over: "swap" starts it beside the old one, "hold" after it, while
    # requests wait; HUP, USR1 or USR2: the daemon is told to do it by itself
    reload: str = "swap"
    # bytes above which it is replaced; 0: never
    memory: Size = Size(0)
    # a file whose change replaces it, below the home; empty: none
    restart_file: str = ""
    # browsers see a page that waits for it, not a page that loads
    waiting_page: bool = False


@frozen
class Server:
    """One member of a pool, `host:port` or `unix:/path`."""

    address: str
    weight: int = 1


@frozen
class Pool:
    """Servers that are not ours to start."""

    name: str
    servers: tuple[Server, ...]
    # requests in flight at one server, from each edge
    maxconn: int = 64
    queue: int = 1024
    buffer: str = "stream"
    forwarded: bool = False
    # what `Host` says there: "keep", as the client has it; "server", the server's address; or this
    host: str = "keep"
    keep: tuple[str, ...] = ()
    # whether a connection begins with a header of the PROXY protocol: "off", "v1" or "v2"
    proxy_protocol: str = "off"


@frozen
class Mapping:
    """What answers under a path prefix of a domain; `to` holds the options of its word."""

    path: str
    to: object


@frozen
class ErrorPage:
    """
    What visitors see where the node itself refuses with this status; `{{status}}`, `{{reason}}`
    and `{{id}}` in it are filled in.
    """

    # a number, `4xx` or `5xx`
    status: str
    # HTML
    page: str


def _within(least: float, most: float) -> Any:
    def check(rate: object, attribute: Attribute[Any], value: float) -> None:
        if not least <= value <= most:
            raise ValueError(f"want {least:g} to {most:g}, not {value:g}", attribute)

    return check


@frozen
class Rate:
    """How often one source, an IPv4 address or a /64 of IPv6, may ask a site."""

    requests: int = field(validator=_within(1, 1_000_000))
    # seconds
    per: float = field(default=1.0, validator=_within(0.1, 86_400))
    # at once; 0: as many as `requests`
    burst: int = field(default=0, validator=_within(0, 1_000_000))
    # nobody is refused, it is only counted and kept who would be
    dry_run: bool = False


YEAR = 365 * 86_400


def _is_for_good(hsts: Hsts, attribute: Attribute[Any], preload: bool) -> None:
    """What the lists of browsers ask of who wants to stand on them."""
    if preload and not (hsts.include_subdomains and hsts.max_age >= YEAR):
        raise ValueError("want include_subdomains and a max_age of 365d with it", attribute)


@frozen
class Hsts:
    """What browsers keep in mind: that this name is to be visited over TLS only (RFC 6797)."""

    # seconds; 0: they shall forget it
    max_age: float
    include_subdomains: bool = False
    preload: bool = field(default=False, validator=_is_for_good)


@frozen
class Domain:
    """A name, its aliases, and what answers under its paths."""

    name: str
    aliases: tuple[str, ...] = ()
    mappings: tuple[Mapping, ...] = ()
    errors: tuple[ErrorPage, ...] = ()
    # what becomes of a path that others may read as one for another mapping: "strictest" refuses
    # it, "allow" takes it as it came, "reject" refuses every escaped slash
    encoded_slash: str = "strictest"
    # how paths are matched: `//` as one slash; without regard to upper and lower case
    merge_slashes: bool = False
    ignore_case: bool = False
    # how often one address may ask for anything here; None: as often as it likes
    rate: Rate | None = None
    hsts: Hsts | None = None


@frozen
class Certificate:
    """A customer's own certificate; the private key is kept apart, under `key`."""

    name: str
    names: tuple[str, ...]
    # PEM, leaf first
    chain: str
    # reference of the private key among the store's secrets, never the key itself
    key: str


@frozen
class Record:
    """
    One DNS record; `data` is in presentation form, names in it absolute or relative to the zone.
    """

    # relative to the zone, `@` is its apex; lower case
    name: str
    # the mnemonic: MX, TXT, …
    type: str
    data: str
    # seconds; None: the zone's
    ttl: float | None = None


@frozen
class Zone:
    """
    A part of the DNS that this node is the authority for.

    The account's domains below it are answered with the node's addresses, unless a record says
    otherwise. What is missing at the apex (SOA, NS) is made of the node's settings.
    """

    name: str
    records: tuple[Record, ...] = ()
    # seconds, of records without one and of answers made of domains
    ttl: float = 3600.0
    # whether domains of other accounts are answered as well
    shared: bool = False


@frozen
class Site:
    """All that one account has: the whole truth about it."""

    account: Account
    apps: tuple[App, ...] = ()
    pools: tuple[Pool, ...] = ()
    domains: tuple[Domain, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    zones: tuple[Zone, ...] = ()


@frozen
class FoundZone:
    """A zone as the store has it."""

    zone: Zone
    account: str
    # the revision at which the zone, or a domain below it, has changed last
    serial: int
    # the store's revision it was read at
    revision: int


@frozen
class Found:
    """All that is needed to compile one host: its domain and what the domain's mappings name."""

    # the name asked for, or the wildcard that covers it
    name: str
    domain: Domain
    account: Account
    apps: dict[str, App]
    pools: dict[str, Pool]
    # the store's revision it was read at
    revision: int
