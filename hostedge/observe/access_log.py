"""
One line of JSON for each request, written in batches.

In:  protocols call `record` when an answer has ended.
Out: whole lines at the end of a file that several edges write to.

    {"time": "2026-11-22T19:13:20.123Z", "method": "GET", "path": "/", "query": "a=1",
     "status": 200, "bytes": 1024, "received": 17,
     "seconds": {"total": 0.3021, "first_byte": 0.0018, "body": 0.0001, "start": 0.2998},
     "id": "0198…", "host": "demo.localhost", "client": "127.0.0.1", "scheme": "https",
     "protocol": "HTTP/2", "upstream": "demo/hello#3", "attempts": 1, "revision": 12,
     "state": "--"}

What each value means exactly: docs/access-log.md. `state` says in two letters who has ended it and
where: `observe.ending`. `query` and `received` are there when the request has one and a body;
`cause` when it was refused, or upgraded (status 101) and then not ended by one of its sides;
`"whole": false` when the client did not get all of the answer; `omitted` where it stands for
others, see `SAMPLED`. Status 499: the client left before the answer began.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from time import gmtime, strftime
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hostedge.memo import Memo
from hostedge.observe.ending import WHOLE, ending

FLUSH_EVERY = 0.2
# who asks for names that nobody has, or for more than he may, could fill a disk with it, as could
# who sends heads that are refused as such: of each cause of these one a second is written, with how
# many were not. All are counted, and the last are kept by `observe.refused`
SAMPLED = frozenset(("unknown_host", "misdirected", "source_busy", "rate_limited"))
SAMPLE_EVERY = 1.0
FLUSH_SIZE = 65536
LOOK_EVERY = 5.0  # seconds after which the file may have been renamed by a rotation
MAX_PATH = 1024

# what a request's time has gone to, in the order in which it comes
PARTS = ("tls", "header", "body", "start", "queue", "connect", "answer")


class Answered(Protocol):
    """An exchange that has ended."""

    method: bytes
    target: bytes
    query: bytes | None
    host: str
    scheme: bytes
    protocol: str
    client: str
    id: str
    revision: int
    upstream: str
    retries: int
    # seconds, by `PARTS`; None: none of them took any
    spent: Mapping[Any, float] | None
    first_byte: float
    status: int
    sent: int

    @property
    def received(self) -> int:
        """Bytes of the request's body."""

    total: float
    cause: str
    complete: bool
    whole: bool
    # lines of the head that continue a trace; empty: it has begun here, with the id
    trace: bytes
    # whether it was refused for its head; without a method, that was not to be read
    turned_away: bool


def format_line(answered: Answered, moment: float, omitted: int = 0) -> str:
    """
    Write one line; `moment` is in seconds since 1970, `omitted` how many like it were not written.
    """
    path, mark, query = answered.target.partition(b"?")
    received, spent = answered.received, answered.spent
    extra = ""
    if answered.cause:
        extra = f', "cause": "{answered.cause}"'
    if not answered.whole:
        extra += ', "whole": false'
    if omitted:
        extra += f', "omitted": {omitted}'
    about = _lasting[
        answered.host,
        answered.client,
        answered.scheme,
        answered.protocol,
        answered.upstream,
        answered.retries,
        answered.revision,
        ending(answered) if extra else WHOLE,
    ]
    return (
        f'{{"time": "{_moments[int(moment * 1000)]}Z", '
        f'"method": "{_methods[answered.method]}", "path": "{quoted(path)}", '
        f'{_query(query) if mark else ""}"status": {answered.status}, "bytes": {answered.sent}, '
        f"{_received(received) if received else ''}"
        f'"seconds": {{"total": {answered.total:.4f}, "first_byte": {answered.first_byte:.4f}'
        f"{'' if spent is None else _parts(spent)}}}, "
        f'"id": "{answered.id}"{about}{extra}{_trace(answered.trace) if answered.trace else ""}}}\n'
    )


def _parts(spent: Mapping[Any, float]) -> str:
    """Most parts of most requests take no time, and no room here."""
    return "".join([f', "{part}": {spent[part]:.4f}' for part in PARTS if part in spent])


def _about(facts: tuple[str, str, bytes, str, str, int, int, str]) -> str:
    host, client, scheme, protocol, upstream, retries, revision, state = facts
    attempts = retries + 1 if upstream or retries else 0
    return (
        f', "host": {json.dumps(host)}, "client": {json.dumps(client)}, '
        f'"scheme": "{scheme.decode()}", "protocol": "{protocol}", '
        f'"upstream": {json.dumps(upstream)}, "attempts": {attempts}, '
        f'"revision": {revision}, "state": "{state}"'
    )


# what is the same for many requests is written once
_lasting: Memo[tuple[str, str, bytes, str, str, int, int, str], str] = Memo(_about)
_methods: Memo[bytes, str] = Memo(lambda method: quoted(method))
_seconds: Memo[int, str] = Memo(lambda second: strftime("%Y-%m-%dT%H:%M:%S", gmtime(second)), 4)
_moments: Memo[int, str] = Memo(lambda moment: f"{_seconds[moment // 1000]}.{moment % 1000:03d}", 4)


def _trace(lines: bytes) -> str:
    """The id of a trace that has begun elsewhere: `traceparent: 00-ID-PARENT-FLAGS`."""
    return f', "trace": "{lines.split(b"-")[1].decode()}"'


def _received(count: int) -> str:
    return f'"received": {count}, '


def _query(query: bytes) -> str:
    return f'"query": "{quoted(query)}", '


def quoted(value: bytes) -> str:
    """Escape bytes of a client for the inside of a JSON string, cut to `MAX_PATH`."""
    text = value[:MAX_PATH].decode("latin-1")
    # tests/observe/test_access_log.py fails without this
    if '"' in text or "\\" in text or not text.isascii() or not text.isprintable():
        return json.dumps(text)[1:-1]
    return text


class AccessLog:
    """
    A file that only grows; a line is written whole or counted as lost.

    `clock` also gives the time of day. Nothing here raises: a full disk costs lines, not requests.
    """

    def __init__(self, path: Path, clock: IReactorTime, counters: dict[str, int]) -> None:
        self._path = path
        self._clock = clock
        self._seconds: Callable[[], float] = clock.seconds
        self._counters = counters
        self._lines: list[str] = []
        self._size = 0
        self._call: IDelayedCall | None = None
        self._file = -1
        self._looked = -LOOK_EVERY
        self._torn = False
        # of causes that are sampled: when one was written last, how many were not since
        self._sampled: dict[str, tuple[float, int]] = {}

    def record(self, answered: Answered) -> None:
        """Note an exchange that has ended."""
        now, omitted, cause = self._seconds(), 0, answered.cause
        if cause and (answered.turned_away or cause in SAMPLED):
            if not answered.method:
                # there is no line to be had of what is not HTTP
                return
            then, omitted = self._sampled.get(cause, (-SAMPLE_EVERY, 0))
            if 0 <= now - then < SAMPLE_EVERY:
                self._sampled[cause] = then, omitted + 1
                self._counters["access_log_omitted"] += 1
                return
            self._sampled[cause] = now, 0
        line = format_line(answered, now, omitted)
        self._lines.append(line)
        self._size += len(line)
        if self._size >= FLUSH_SIZE:
            self.flush()
        elif self._call is None:
            self._call = self._clock.callLater(FLUSH_EVERY, self._flush_later)

    def close(self) -> None:
        """Write what is left."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.flush()
        self._release()

    def flush(self) -> None:
        """Write all lines now."""
        if not self._lines:
            return
        block = "".join(self._lines).encode()
        count = len(self._lines)
        self._lines, self._size = [], 0
        try:
            self._write(block)
        except OSError:
            self._counters["access_log_lost"] += count

    def _flush_later(self) -> None:
        self._call = None
        self.flush()

    def _write(self, block: bytes) -> None:
        self._reopen()
        if self._torn:
            block = b"\n" + block
        written = os.write(self._file, block)
        # a full disk takes a part: the next line must not be glued to it
        self._torn = 0 < written < len(block) and block[written - 1 : written] != b"\n"
        if written < len(block):
            self._counters["access_log_lost"] += block.count(b"\n", written)

    def _reopen(self) -> None:
        now = self._seconds()
        if self._file >= 0 and 0 <= now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            there = None
        if self._file >= 0:
            here = os.fstat(self._file)
            if there is not None and (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                return
            self._release()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o640)
        self._torn = False

    def _release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
