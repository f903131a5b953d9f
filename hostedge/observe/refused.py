"""
The last requests that were refused: what came, from whom, and why it got no better answer.

In:  entrances, for each refusal; control asks for a page of them.
Out: plain values for JSON; bounded memory, whatever comes.

What was read is kept as fields and written again as HTTP/1.1; what could not be read is kept as it
came, byte for byte.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from attrs import frozen

from hostedge.errors import CAUSES
from hostedge.observe.page import page_of

KEPT = 1000
FIRST = 2048  # bytes of a request

# what a request can be kept for: causes, and counters of what never got as far as those
REASONS = (*CAUSES, "h2_malformed", "h2_floods", "h2_broken")

# names of fields whose values are nobody's business
_SECRET = re.compile(rb"authorization|cookie|token|secret|api-?key", re.IGNORECASE)
# a field that lacks its colon
_BARE = re.compile(rb"\W*(?:(?:proxy-)?authorization|(?:set-)?cookie2?)\b", re.IGNORECASE)
_PRINTED = re.compile(rb"[!-~\x80-\xff]")


class Asking(Protocol):
    """Who asked for it: an exchange, or the connection of what never became one."""

    @property
    def client(self) -> str: ...

    @property
    def client_port(self) -> int: ...

    @property
    def local_port(self) -> int: ...

    @property
    def protocol(self) -> str: ...


@frozen
class Refused:
    """One of them. `number` counts all that this edge has refused."""

    number: int
    time: float
    cause: str
    id: str
    protocol: str
    scheme: str
    client: str
    client_port: int
    port: int
    # empty where the request was not read as far as that
    host: str
    detail: str
    # whether `request` is as it came
    verbatim: bool
    request: bytes


class Refusals:
    """
    At most `KEPT`. A flood of one cause makes room among its own: what is kept of the others stays
    until they are as many.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._count = 0
        self._kept = 0
        self._of: dict[str, deque[Refused]] = {}

    def keep(
        self,
        cause: str,
        asking: Asking,
        scheme: bytes,
        id: str,
        request: bytes,
        host: str = "",
        detail: str = "",
        verbatim: bool = False,
    ) -> None:
        """Note one more; `cause` is one of `REASONS`."""
        self._count += 1
        refused = Refused(
            number=self._count,
            time=self._now(),
            cause=cause,
            id=id,
            protocol=asking.protocol,
            scheme=scheme.decode(),
            client=asking.client,
            client_port=asking.client_port,
            port=asking.local_port,
            host=host,
            detail=detail,
            verbatim=verbatim,
            request=request[:FIRST],
        )
        self._of.setdefault(cause, deque()).append(refused)
        if self._kept < KEPT:
            self._kept += 1
        else:
            max(self._of.values(), key=len).popleft()

    def page(self, before: int, cause: str, site: str, id: str) -> bytes:
        """A JSON list of those that somebody asks for, as many as a message holds; empty: none."""
        newest = self.newest(before)
        return page_of(tell(each) for each in newest if concerns(each, cause, site, id))

    def newest(self, before: int = 0) -> Iterator[Refused]:
        """All of them, the newest first; `before`: only what came earlier than that number."""
        every = [each for kept in self._of.values() for each in kept]
        every.sort(key=lambda each: -each.number)
        return (each for each in every if not before or each.number < before)


def concerns(refused: Refused, cause: str, site: str, id: str) -> bool:
    """
    Whether somebody asks for this one. An empty word asks for nothing: `site` is a host name and
    all below it, `id` a whole error id or its end.
    """
    site = site.removeprefix("*.")
    return (
        (not cause or refused.cause == cause)
        and (not site or refused.host == site or refused.host.endswith(f".{site}"))
        and (not id or refused.id.endswith(id))
    )


def tell(refused: Refused) -> dict[str, Any]:
    """
    What may be said of it: no secret. Each character of `request` stands for one byte.
    """
    return {
        "number": refused.number,
        "time": refused.time,
        "cause": refused.cause,
        "id": refused.id,
        "protocol": refused.protocol,
        "scheme": refused.scheme,
        "client": refused.client,
        "client_port": refused.client_port,
        "port": refused.port,
        "host": refused.host,
        "detail": refused.detail,
        "verbatim": refused.verbatim,
        "request": without_secrets(refused.request).decode("latin-1"),
    }


def without_secrets(request: bytes) -> bytes:
    """
    The same bytes, with stars for each printed one of credentials and cookies.

    As long as before, so that a place in it is the same place; and what cannot stand in a field is
    still there to be seen.
    """
    told = []
    secret = goes_on = False
    for line in request.splitlines(keepends=True):
        name, colon, _ = line.partition(b":")
        bare = None if colon else _BARE.match(line)
        begins = len(name) + 1 if colon and _SECRET.search(name) else bare.end() if bare else 0
        if secret and (goes_on or line[:1] in (b" ", b"\t")):
            begins = 0
        else:
            secret = begins > 0
        told.append(line[:begins] + _PRINTED.sub(b"*", line[begins:]) if secret else line)
        # who takes a bare CR for the end of a line, and who does not
        goes_on = line.endswith(b"\r")
    return b"".join(told)


def written(first_line: bytes, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A head that was read, as text again, as much of it as is kept; HTTP/2 has no first line."""
    lines = [first_line] if first_line else []
    size = len(first_line)
    for name, value in fields:
        if size > FIRST:
            break
        lines.append(b"%b: %b" % (name, value))
        size += len(name) + len(value)
    return b"\r\n".join((*lines, b"", b""))[:FIRST]
