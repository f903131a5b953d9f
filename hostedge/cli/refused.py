"""
`hostedge refused`: the last requests that got no answer but a refusal.

In:  `cli.main`.
Out: a table; one request byte for byte when an error id names it; with --json what the API
     answered.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hostedge.cli.client import ApiClient
from hostedge.cli.output import as_json
from hostedge.cli.table import WIDTH, paragraph, span, table
from hostedge.cli.times import clock
from hostedge.errors import CAUSES, ConfigError
from hostedge.observe.counters import NAMES
from hostedge.settings import read_settings

SHORT = 8  # last characters of an error id, which differ even within a millisecond
LABEL = len("error id") + 2

_ESCAPES = {"\r": "\\r", "\n": "\\n", "\t": "\\t", "\\": "\\\\"}


def refused(options: Namespace) -> int:
    """List what was refused, or show one request."""
    asked = {"cause": options.cause, "site": options.site, "id": options.id}
    query = urlencode({name: value for name, value in asked.items() if value})
    with ApiClient(read_settings(Path(options.settings))) as client:
        answer = client.call("GET", f"/v1/refused?{query}")
    found = answer["refused"]
    if options.json:
        print(as_json(answer))
        return 0
    if options.id and not found:
        raise ConfigError(options.id, "is no error id of a request that is still kept")
    now = datetime.now(UTC).timestamp()
    lines = shown(found[0], now) if options.id and len(found) == 1 else listed(found, now)
    for line in lines:
        print(line)
    return 0


def listed(found: list[dict[str, Any]], now: float, width: int = WIDTH) -> Iterator[str]:
    """A line for each."""
    if not found:
        yield "Nothing of this kind was refused."
        return
    rows = [
        (span(now - each["time"]), each["cause"], each["client"], in_short(each), _end(each["id"]))
        for each in found
    ]
    yield from table(("AGO", "CAUSE", "CLIENT", "REQUEST", "ID"), rows, ("AGO",), width)


def _end(error_id: str) -> str:
    return error_id[-SHORT:]


def in_short(refused: dict[str, Any]) -> str:
    """Method, host and path, as far as they are known; else what is wrong."""
    lines = refused["request"].split("\r\n")
    fields = dict(line[1:].partition(": ")[::2] for line in lines if line[:1] == ":")
    if fields:
        method, target = fields.get("method", ""), fields.get("path", "")
        return f"{method} {refused['host'] or fields.get('authority', '')}{target}"
    method, blank, rest = lines[0].partition(" ")
    if not blank:
        return escaped(lines[0]) if lines[0] else refused["detail"]
    return escaped(f"{method} {refused['host']}{rest.rpartition(' HTTP/')[0] or rest}")


def shown(refused: dict[str, Any], now: float, width: int = WIDTH) -> Iterator[str]:
    """All that is kept of one."""
    cause = refused["cause"]
    answer = f"{CAUSES[cause].status}, {cause}" if cause in CAUSES else cause
    facts = {
        "refused": f"{clock(refused['time'])}, {span(now - refused['time'])} ago, by edge "
        f"{refused['edge']}",
        "answer": answer,
        "why": refused["detail"] or (CAUSES[cause].reason if cause in CAUSES else NAMES[cause]),
        "error id": refused["id"],
        "client": f"{refused['client']} port {refused['client_port']}",
        "listener": f"port {refused['port']}, {refused['scheme']}"
        + (f", {refused['protocol']}" if refused["protocol"] else ""),
        "host": refused["host"],
    }
    for name, value in facts.items():
        if value:
            yield from paragraph(name, value, LABEL, width)
    request, offset = refused["request"], refused["offset"]
    yield ""
    if not request:
        yield "Nothing of it can be shown."
        return
    way = "As it came" if refused["verbatim"] else "As it was read"
    yield f"{way}, its first {len(request)} bytes; secrets are stars:"
    yield from dumped(request, offset, width)


def dumped(request: str, marked: int | None, width: int = WIDTH) -> Iterator[str]:
    """
    Each line with the place of its first byte; below the byte that is `marked` stands a `^`.
    """
    digits = len(str(len(request)))
    room = width - digits - 2
    place = 0
    for line in _lines(request):
        rest = line
        while rest:
            piece = _fitting(rest, room)
            yield f"{place:>{digits}}  {escaped(piece)}"
            if marked is not None and place <= marked < place + len(piece):
                before = len(escaped(piece[: marked - place]))
                yield f"{'':{digits}}  {'':{before}}^ byte {marked}"
            place += len(piece)
            rest = rest[len(piece) :]


def _lines(request: str) -> Iterator[str]:
    # `str.splitlines` knows more ends of lines than HTTP does
    for line in request.encode("latin-1").splitlines(keepends=True):
        yield line.decode("latin-1")


def _fitting(text: str, room: int) -> str:
    """As much of a line as fits when it is escaped."""
    size = 0
    for place, character in enumerate(text):
        size += len(escaped(character))
        if size > room:
            return text[:place]
    return text


def escaped(text: str) -> str:
    """What a terminal may be sent, one way for each byte."""
    return "".join(_ESCAPES.get(c) or (c if " " <= c <= "~" else f"\\x{ord(c):02x}") for c in text)
