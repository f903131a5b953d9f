"""
Case files: what a client and a server behind send, and what has to come of it.

In:  tests, the fuzzers' seeds; the files in `tests/cases`, but those of `dns` and `h2`.
Out: `Case`.

A file begins with lines of comment, `# C1: …`, then sections under a mark each; without a mark what
comes first is a `request`. The bytes of a section are its lines, each ended by CRLF unless it ends
with a backslash; `\\x7f` and the like are bytes, `<<ab x 1000>>` is that text so many times,
which may be within another one.

What is set up; all of it may be left out:

    <== routes              the mappings of a.test as in a site file, or all that stands there of a
                            domain, here with the pools `backend` and `other` and the folder
                            `files`; left out, all goes to `backend`
    <== peer 10.0.0.1       the client's address
    <== trusted 10.0.0.0/8  whom the node believes
    <== default a.test      for whom HTTP/1.0 without Host is
    <== proxied             the connection comes to a port for proxies
    <== buffer stream       only with pools that pass bytes as they come, or only with `spool`;
                            else the case holds for both

What happens, in this order:

    <== request             bytes from the client, in one piece and in two, cut anywhere
    <== response            the same from the server behind, on its newest connection; where there
                            is none in a file, it answers each whole request with 200.
                            `<the answer to the key sent>` is that of a WebSocket
    <== trickle 2           bytes from the client, each of them so many seconds after the one before
    <== wait 10.5           so many seconds pass
    <== end                 the server behind ends its newest connection
    <== silent              the server behind answers nothing; a file with a response needs none
    <== unread              from here on the client takes nothing

What has to come of it, however the bytes were cut:

    ==>                     a line for each answer: status; the cause of a refusal, where it leads
                            to, or its body; `close` if it says so. `...`: not all of it came,
                            and of a long one only the beginning is told.
                            `length 5` instead of a body: it is to HEAD. Then `closed` if the
                            connection has ended without being announced, `reset`, or `not read`.
                            After a 101 a line for each message: opcode, payload, and of
                            a close its code before that
    ==> backend             a line for each request that has reached it: method, target, bytes of
                            body. `cut off` for the last: it has begun and was broken off, or never
                            came; with `spool` it has not come. `closed`: this connection was ended.
                            Left out: what was answered with 200 as that server answers, no more
    ==> other               the same for the other pool
    ==> head                the heads of requests as they reached a server; a line of three dots
                            stands for what the node says itself of a client who is nobody else;
                            `<port>` for the port that it has connected to
    ==> answer              all bytes that the client has got
    ==> counters            what was counted beside the refusals, which are one for each answer that
                            tells of one; `?` behind a name: or not, as the bytes were cut
    ==> or                  other answers that may come where the bytes were cut; each of both does,
                            for some cut

`spool` or `stream` behind such a mark: then it is for that one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

CASES = Path(__file__).resolve().parent.parent / "cases"

BUFFERS = ("spool", "stream")
_BYTES = ("request", "trickle", "response")
_SETUP: dict[str, Callable[[str, list[str]], object]] = {
    "routes": lambda rest, under: "\n".join(under),
    "peer": lambda rest, under: rest,
    "trusted": lambda rest, under: tuple(rest.split()),
    "default": lambda rest, under: rest,
    "proxied": lambda rest, under: True,
    "buffer": lambda rest, under: (rest,),
}
_STEPS = (*_BYTES, "wait", "end", "silent", "unread")
_WANTED = ("", "or", "backend", "other", "head", "answer", "counters")
_MARK = re.compile(r"(<==|==>) ?(.*)")
# the innermost first
_REPEATED = re.compile(r"<<((?:(?!<<|>>).)+) x (\d+)>>")

# as long as the value that it stands for
ACCEPT = b"<the answer to the key sent>"
OURS = "...\r\n"
# what stands for three dots
SAID = (
    b"X-Forwarded-For: 192.168.1.1\r\nX-Real-IP: 192.168.1.1\r\nX-Forwarded-Proto: http\r\n"
    b"X-Forwarded-Port: 12345\r\nVia: 1.1 hostedge\r\nCDN-Loop: hostedge\r\n"
    b"X-Forwarded-Host: a.test\r\nX-Request-ID: the-id\r\ntraceparent: 00-theid--00\r\n"
)


@frozen
class Step:
    """Something that happens; `at` is where the bytes of a part begin in the `whole`."""

    kind: str
    data: bytes = b""
    seconds: float = 0.0
    whole: bytes = b""
    at: int = 0

    def part(self, start: int, end: int | None = None) -> Step:
        return Step(self.kind, self.data[start:end], self.seconds, self.data, start)


@frozen
class Case:
    """One file."""

    name: str
    steps: tuple[Step, ...]
    # by mark and buffer
    wanted: dict[tuple[str, str], list[str]]
    routes: str = "- {path: /, pool: backend}"
    peer: str = "192.168.1.1"
    trusted: tuple[str, ...] = ()
    default: str = ""
    proxied: bool = False
    buffer: tuple[str, ...] = BUFFERS

    @property
    def is_played(self) -> bool:
        """Whether the server behind does what the file says."""
        return any(step.kind in ("response", "end", "silent") for step in self.steps)

    @property
    def asked(self) -> bytes:
        """All that the client sends."""
        return b"".join(step.data for step in self.steps if step.kind in ("request", "trickle"))

    def lines(self, mark: str, buffer: str) -> list[str] | None:
        """The lines under a mark, for this buffer; None: there is no such mark."""
        return self.wanted.get((mark, buffer), self.wanted.get((mark, "")))

    def text(self, mark: str, buffer: str) -> bytes | None:
        """The same as bytes."""
        lines = self.lines(mark, buffer)
        return None if lines is None else octets(lines).replace(OURS.encode(), SAID)


def read_cases(folder: str) -> list[Case]:
    """Read the files of a folder below `tests/cases`."""
    return [read_case(path) for path in sorted((CASES / folder).glob("*.case"))]


def read_case(path: Path) -> Case:
    """Read one file."""
    lines = path.read_text().removesuffix("\n").split("\n")
    assert lines[0].startswith("# "), path
    while lines[0].startswith("# "):
        del lines[0]
    if not lines[0].startswith("<== "):
        lines.insert(0, "<== request")
    steps: list[Step] = []
    wanted: dict[tuple[str, str], list[str]] = {}
    setup: dict[str, Any] = {}
    for arrow, words, under in _sections(lines):
        name, _, rest = words.partition(" ")
        if arrow == "==>":
            if name in BUFFERS:
                name, rest = "", name
            assert name in _WANTED and rest in ("", *BUFFERS), (path, words)
            assert (name, rest) not in wanted, (path, words)
            wanted[name, rest] = under if name in ("head", "answer") else repeated(under)
        elif name in _SETUP:
            assert name not in setup, (path, words)
            setup[name] = _SETUP[name](rest, under)
        else:
            assert name in _STEPS and bool(under) is (name in _BYTES), (path, words)
            steps.append(Step(name, octets(under), float(rest or 0)))
    return Case(path.name, tuple(steps), wanted, **setup)


def _sections(lines: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Arrow, words behind it, lines below."""
    mark, under = _MARK.fullmatch(lines[0]), []
    for line in [*lines[1:], "<=="]:
        found = _MARK.fullmatch(line)
        if found is None:
            under.append(line)
            continue
        assert mark is not None
        yield mark[1], mark[2], under
        mark, under = found, []


def octets(lines: list[str]) -> bytes:
    """The bytes that lines stand for."""
    lines = repeated(lines)
    text = "".join(line[:-1] if line.endswith("\\") else line + "\\r\\n" for line in lines)
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def repeated(lines: list[str]) -> list[str]:
    """The lines with all that stands there so many times."""
    text, count = "\n".join(lines), 1
    while count:
        text, count = _REPEATED.subn(lambda found: found[1] * int(found[2]), text)
    return text.split("\n") if lines else []
