"""
`hostedge logs` and `events`: what daemons say and what happens to them, as it comes.

In:  `cli.main`.
Out: lines as they come; with --json an object a line. What daemons say is shown to a terminal
     without what could move its cursor; into a file or a pipe it goes as it is.

Who follows goes on when the node was away: one that is replaced is back within seconds.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlencode

from hostedge.cli.client import ApiClient
from hostedge.cli.daemons import path_of
from hostedge.cli.output import as_json
from hostedge.cli.table import printable
from hostedge.cli.times import clock, moment
from hostedge.errors import ConfigError
from hostedge.settings import read_settings

AGAIN = 1.0  # seconds until a node that was away is asked again
TRIES = 30  # in a row

_pause = Event().wait
_FIRST = ("number", "time", "app", "generation", "event")


def logs(options: Namespace) -> int:
    """Print what an app has written last, and with -f what it writes from now on."""
    path = path_of(options.app, "/log")
    first = {"lines": str(options.lines), "wait": "1" if options.follow else "0"}
    shown = _as_it_is if options.json or not sys.stdout.isatty() else printable
    with ApiClient(read_settings(Path(options.settings))) as client:
        answer = client.call("GET", f"{path}?{urlencode(first)}")
        if not answer["lines"] and options.lines and not options.follow:
            print(f"hostedge: {options.app} has written nothing yet", file=sys.stderr)
        for each in _answers(client, path, {}, answer, options.follow):
            if each.get("cut"):
                print("hostedge: the log was cut; lines may be missing here", file=sys.stderr)
            for line in each["lines"]:
                told = {"app": options.app, "line": line}
                print(as_json(told) if options.json else shown(line))
            sys.stdout.flush()
    return 0


def events(options: Namespace) -> int:
    """Print what has happened to apps, and with -f what happens from now on."""
    app = options.app
    words = {"app": app if "/" in app or not app else f"{app}/"}
    # whoever follows begins with a few, whoever looks back wants all
    first = {"since": moment(options.since)} if options.since else {"last": str(options.lines)}
    with ApiClient(read_settings(Path(options.settings))) as client:
        answer = client.call("GET", f"/v1/events?{urlencode({**words, **first})}")
        if not answer["events"] and not options.follow and not options.json:
            print("Nothing has happened that the keeper knows of.")
        for each in _answers(client, "/v1/events", words, answer, options.follow):
            for event in each["events"]:
                print(as_json(event) if options.json else event_line(event))
            sys.stdout.flush()
    return 0


def _answers(
    client: ApiClient, path: str, words: dict[str, str], answer: dict[str, Any], follow: bool
) -> Iterator[dict[str, Any]]:
    """The first answer, and for who follows all later ones, without an end."""
    yield answer
    while follow:
        query = urlencode({**words, "after": answer["next"], "wait": "1"})
        answer = patiently(lambda: client.call("GET", f"{path}?{query}"))  # noqa: B023
        yield answer


def patiently(
    ask: Callable[[], dict[str, Any]], pause: Callable[[float], object] = _pause
) -> dict[str, Any]:
    """
    An answer, also from a node that has to come back first.

    Raises:
        ConfigError: it has not come back.
    """
    for _ in range(TRIES):
        try:
            return ask()
        except ConfigError:
            pause(AGAIN)
    return ask()


def event_line(event: dict[str, Any]) -> str:
    """When, which app, what, and all that is known beside it."""
    generation = f"#{event['generation']}" if event.get("generation") else ""
    # what is usual is not worth a word, nor what a reason says that is told
    hidden = {*_FIRST, *(name for name, value in event.items() if value is False)}
    reason = str(event.get("reason") or "")
    hidden |= {"cause"} if reason else set()
    hidden |= {"exit"} if reason.startswith(f"exit status {event.get('exit')}") else set()
    facts = [_fact(name, value) for name, value in event.items() if name not in hidden]
    beside = f"  {', '.join(facts)}" if facts else ""
    return printable(f"{clock(event['time'])} {event['app']}{generation} {event['event']}{beside}")


def _fact(name: str, value: Any) -> str:
    if name == "reason":
        return str(value)
    if value is True:
        return name
    if name == "count":
        return f"{value} times"
    if name == "in_flight":
        return f"it worked on {'; '.join(map(_request, value)) or 'nothing'}"
    return f"{name} {value}"


def _request(told: dict[str, Any]) -> str:
    return f"{told['method']} {told['host']}{told['path']} for {told['seconds']} s ({told['id']})"


def _as_it_is(line: str) -> str:
    return line
