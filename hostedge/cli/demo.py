"""
`hostedge demo FILE`: start a node, apply a site file, show what there is to open.

In:  `make run`.
Out: this process becomes the node; a watcher of it applies the file, waits until everything
     answers, prints what to open, and ends.

The node is this very process, so that the terminal's signals are its own. The watcher is no
child of it (forked twice): to the node, it is nobody.
"""

from __future__ import annotations

import os
import select
import signal
import ssl
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from shutil import which
from socket import create_connection
from time import monotonic

from attrs import frozen

from hostedge.cli.apply import send
from hostedge.cli.client import ApiClient, shortest
from hostedge.cli.running import listeners
from hostedge.cli.sites import Prepared, read_sites
from hostedge.cli.table import WIDTH, table
from hostedge.cli.words import words
from hostedge.errors import ConfigError
from hostedge.model.site import Mapping, Site
from hostedge.settings import Settings, parse_address, read_settings

PATIENCE = 90.0  # seconds until everything answers, on a slow machine
LOOK = 0.1
ASK = 30.0  # an app that is being started keeps its first request waiting

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what stands there is replaced


@frozen
class Page:
    """Something to open: the URL, what answers, and where its listener really is."""

    scheme: str
    name: str
    host: str
    port: int
    path: str
    what: str
    # whether a WebSocket answers there, to who asks for one
    websocket: bool = False

    @property
    def url(self) -> str:
        scheme = self.scheme.replace("http", "ws") if self.websocket else self.scheme
        return f"{scheme}://{self.name}:{self.port}{self.path}"


def demo(options: Namespace) -> int:
    """Check both files, leave a watcher behind, become the node."""
    file = Path(options.settings)
    settings = read_settings(file)
    sites = list(read_sites(options.file, words()))
    refuse_second(settings, options.file)
    sys.stdout.flush()
    watched = os.pidfd_open(os.getpid())
    child = os.fork()
    if not child:
        if os.fork():
            os._exit(0)
        os._exit(_watch(settings, sites, watched))
    os.waitpid(child, 0)
    os.close(watched)
    command = node_command(settings)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


def refuse_second(settings: Settings, file: str) -> None:
    """
    Look for a node that has this state folder already.

    Raises:
        ConfigError: there is one.
    """
    try:
        with ApiClient(settings) as client:
            client.call("GET", "/v1/status")
    except ConfigError:
        return
    problem = f"the node runs already; to change it: {program()} apply {file}"
    raise ConfigError(str(settings.file), problem)


def node_command(settings: Settings) -> list[str]:
    """What the node is started with; its log goes into a file, so that the table stays seen."""
    return [
        sys.executable,
        "-c",
        "from twisted.scripts.twistd import run; run()",
        "--nodaemon",
        "--pidfile=",
        f"--logfile={settings.logs / 'keeper.log'}",
        "hostedge",
        "--settings",
        str(settings.file),
    ]


def _watch(settings: Settings, sites: list[tuple[Site, Prepared]], node: int) -> int:
    """The watcher's whole life; answers its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        pages = bring_up(settings, sites, lambda: has_ended(node))
        questions = list(questions_of([site for site, _ in sites], listeners(settings)))
        for line in guide(settings, pages, questions, program()):
            print(line)
        sys.stdout.flush()
    except ConfigError as error:
        print(f"hostedge: {error}", file=sys.stderr, flush=True)
        return 1
    except BrokenPipeError:
        return 1
    return 0


def has_ended(node: int, wait: float = LOOK) -> bool:
    """Wait a little, and say whether the process of this pidfd has ended."""
    looking = select.poll()
    looking.register(node, select.POLLIN)
    return bool(looking.poll(wait * 1000))


def bring_up(
    settings: Settings, sites: Sequence[tuple[Site, Prepared]], ended: Callable[[], bool]
) -> list[Page]:
    """
    Apply the sites as soon as the node can be called, and wait until each page answers.

    Raises:
        ConfigError: the node has ended, has refused, or takes too long.
    """
    deadline = monotonic() + PATIENCE
    with ApiClient(settings) as client:
        _until(lambda: _answers(client), "the node", settings, ended, deadline)
        send(client, [prepared for _, prepared in sites])
    pages = list(pages_of([site for site, _ in sites], listeners(settings)))
    for page in pages:
        _until(partial(responds, page, settings), page.url, settings, ended, deadline)
    return pages


def _until(
    done: Callable[[], bool],
    what: str,
    settings: Settings,
    ended: Callable[[], bool],
    deadline: float,
) -> None:
    while not done():
        if ended():
            log = shortest(settings.logs / "keeper.log")
            raise ConfigError("node", f"has ended before {what} answered; its log: {log}")
        if monotonic() >= deadline:
            logs = shortest(settings.logs)
            raise ConfigError(what, f"has not answered in {PATIENCE:.0f} s; the logs: {logs}")


def _answers(client: ApiClient) -> bool:
    try:
        return bool(client.call("GET", "/v1/status"))
    except ConfigError:
        return False


def pages_of(sites: Sequence[Site], bound: Sequence[dict[str, str]]) -> Iterator[Page]:
    """Every mapping of every domain, over HTTPS when the node has it."""
    scheme = "https" if any(each["protocol"] == "https" for each in bound) else "http"
    address = next((each["address"] for each in bound if each["protocol"] == scheme), "")
    if not address:
        return
    host, port = parse_address(address, "listeners")
    for site in sites:
        for domain in site.domains:
            if domain.name.startswith("*."):
                continue
            for mapping in domain.mappings:
                what = _described(mapping)
                websocket = getattr(mapping.to, "websocket", False)
                where = (_ANY.get(host, host), port)
                yield Page(scheme, domain.name, *where, mapping.path, what, websocket)


def _described(mapping: Mapping) -> str:
    word = words().words[type(mapping.to)]
    return f"{word} {getattr(mapping.to, word)}"


def responds(page: Page, settings: Settings) -> bool:
    """Whether a request is answered, with anything but a failure of ours."""
    connection: HTTPConnection
    try:
        if page.scheme == "https":
            context = ssl.create_default_context(cafile=str(settings.ca_certificate))
            connection = HTTPSConnection(page.name, page.port, timeout=ASK, context=context)
            plain = create_connection((page.host, page.port), ASK)
            connection.sock = context.wrap_socket(plain, server_hostname=page.name)
        else:
            connection = HTTPConnection(page.name, page.port, timeout=ASK)
            connection.sock = create_connection((page.host, page.port), ASK)
    except OSError:
        return False
    try:
        connection.request("GET", page.path)
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def program() -> str:
    """What to type for this command: its name, or where it is when a shell does not find it."""
    called = Path(sys.argv[0])
    found = called.name != "hostedge" or which("hostedge") == str(called.resolve())
    return "hostedge" if found else shortest(called)


def questions_of(sites: Sequence[Site], bound: Sequence[dict[str, str]]) -> Iterator[str]:
    """A `dig` line for each zone, when the node answers DNS."""
    address = next((each["address"] for each in bound if each["protocol"] == "dns-udp"), "")
    if not address:
        return
    host, port = parse_address(address, "listeners")
    for site in sites:
        for zone in site.zones:
            kind = zone.records[0].type if zone.records else "SOA"
            owner = zone.records[0].name if zone.records else "@"
            name = zone.name if owner == "@" else f"{owner}.{zone.name}"
            yield f"dig @{host} -p {port} {name} {kind}"


def guide(
    settings: Settings, pages: Sequence[Page], questions: Sequence[str], program: str
) -> Iterator[str]:
    """What to open, how to ask from a shell, how to stop."""
    authority = shortest(settings.ca_certificate)
    yield "hostedge runs."
    yield ""
    yield from table(("OPEN", "ANSWERED BY"), [(page.url, page.what) for page in pages])
    yield ""
    for page in pages:
        if not page.websocket:
            yield from curl(page, authority)
    yield from questions
    yield ""
    yield f"Local CA certificate, for browsers and curl: {authority}"
    yield f"Logs: {shortest(settings.logs)}/"
    yield "Look around:"
    yield f"  {program} status"
    yield f"  {program} apps"
    for page in pages[:1]:
        yield f"  {program} explain {page.url}"
    yield f"  {program} manhole"
    yield "Stop: Ctrl-C; a second one ends everything at once"


def curl(page: Page, authority: str) -> Iterator[str]:
    """The command that asks for a page, in two lines if one is too long."""
    words = ["curl"]
    if page.scheme == "https":
        words += ["--cacert", authority]
    # curl(1) knows without DNS where *.localhost is
    if page.name != "localhost" and not page.name.endswith(".localhost"):
        words += ["--resolve", f"{page.name}:{page.port}:{page.host}"]
    line = " ".join([*words, page.url])
    if len(line) <= WIDTH:
        yield line
    else:
        yield " ".join([*words, "\\"])
        yield f"  {page.url}"
