"""
`static`: answer with files.

In:  `routes.compile` with the mapping, requests from the server protocol.
Out: files of the account, or whatever else the mapping falls through to.
Spec: RFC 9110 sections 9.3.1, 13, 14; RFC 9111 section 5.2.2.1.

Site file::

    - {path: /static, static: apps/hello/static, expires: 1h, fallthrough: hello, index: index.html}
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from enum import Enum
from typing import Any

from attrs import Attribute, field, frozen

from hostedge.http.exchange import MOUTHFUL, Exchange, Fields, Leaf, OfApp
from hostedge.mappings.parts import Parts
from hostedge.model.limits import MappingLimits
from hostedge.model.site import Found
from hostedge.net.beneath import open_beneath
from hostedge.net.descriptors import NONE_LEFT, Files
from hostedge.net.file_body import PIECE, FileBody, Part
from hostedge.settings import Limits
from hostedge.wire.conditional import Validators, Verdict, judge, range_applies, read_asked
from hostedge.wire.date import format_date
from hostedge.wire.media_type import media_type
from hostedge.wire.ranges import Span, parse_range, part_heads
from hostedge.wire.safe_path import file_name


def _check_index(value: object, attribute: Attribute[Any], name: str) -> None:
    if "/" in name or name.startswith(".") or "\0" in name:
        raise ValueError('want the name of a file, "index.html", or "" for none', attribute)


@frozen
class Static:
    """What a `static` mapping says."""

    # a folder, relative to the account's home
    static: str
    # for how long a client may keep a file without asking; None: it decides itself
    expires: float | None = None
    # the app that answers where no file does
    fallthrough: str | None = None
    index: str = field(default="index.html", validator=_check_index)
    # where they differ from the node's; also for the app in `fallthrough`
    limits: MappingLimits | None = None


class StaticKind:
    """The word `static`."""

    word = "static"
    value = Static

    def compile(self, value: object, prefix: bytes, found: Found, parts: Parts) -> Leaf:
        """
        Make the leaf.

        Raises:
            KeyError: there is no app of the name in `fallthrough`.
        """
        assert isinstance(value, Static)  # noqa: S101
        account = found.account
        fallthrough = None
        if value.fallthrough is not None:
            fallthrough = parts.relay_to_app(account, found.apps[value.fallthrough], value.limits)
        lasting: Fields = []
        if value.expires is not None:
            lasting.append((b"Cache-Control", b"max-age=%d" % value.expires))
        return StaticLeaf(
            folder=Folder(
                os.fsencode(parts.home(account.name)),
                os.fsencode(value.static),
                parts.owner(account.name),
            ),
            index=os.fsencode(value.index),
            skip=len(prefix),
            lasting=lasting,
            fallthrough=fallthrough,
            limits=parts.limits(value.limits),
            next_turn=parts.next_turn,
            files=parts.files,
        )


class Missing(Enum):
    """Why there is no file to send."""

    NOT_THERE = "not_found"
    NOT_ALLOWED = "forbidden"
    # the edge, or the machine, can open no more
    NO_ROOM = "descriptors"
    # it is a folder with an index, and was asked for without the slash
    FOLDER = "folder"


@frozen
class OpenFile:
    """An open regular file of the right owner."""

    file: io.FileIO
    size: int
    name: bytes
    validators: Validators


_NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG))
# a link that leads out, a file for others' eyes, a socket
_NOT_ALLOWED = frozenset((errno.EXDEV, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO))
_PLACE = os.O_PATH | os.O_DIRECTORY


@frozen
class Folder:
    """
    A folder of an account.

    It is opened anew for each request, from the account's home on: a deployment that puts a new
    folder in its place, or turns a link round, is seen at once, and no descriptor is held.
    """

    home: bytes
    path: bytes
    owner: int

    def open(self, name: bytes, index: bytes) -> OpenFile | Missing:
        """Open a file, or the index of a folder when the name ends with a slash."""
        try:
            home = os.open(self.home, _PLACE | os.O_CLOEXEC)
            try:
                folder = open_beneath(home, self.path, _PLACE)
            finally:
                os.close(home)
            try:
                return self._open(folder, name, index)
            finally:
                os.close(folder)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return Missing.NOT_THERE
            if error.errno in _NOT_ALLOWED:
                return Missing.NOT_ALLOWED
            if error.errno in NONE_LEFT:
                return Missing.NO_ROOM
            raise

    def _open(self, folder: int, name: bytes, index: bytes) -> OpenFile | Missing:
        if not name or name.endswith(b"/"):
            return self._take(folder, name + index) if index else Missing.NOT_THERE
        taken = self._take(folder, name)
        if taken is Missing.FOLDER:
            inside = self._take(folder, name + b"/" + index) if index else Missing.NOT_THERE
            if isinstance(inside, OpenFile):
                inside.file.close()
                return taken
            return Missing.NOT_THERE
        return taken

    def _take(self, folder: int, name: bytes) -> OpenFile | Missing:
        descriptor = open_beneath(folder, name, os.O_RDONLY)
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != self.owner:
            os.close(descriptor)
            return Missing.FOLDER if stat.S_ISDIR(about.st_mode) else Missing.NOT_ALLOWED
        etag = b'"%x-%x"' % (about.st_mtime_ns, about.st_size)
        return OpenFile(
            io.FileIO(descriptor), about.st_size, name, Validators(etag, int(about.st_mtime))
        )


@frozen
class StaticLeaf:
    """Files below one folder, for GET and HEAD; the rest is for `fallthrough`."""

    folder: Folder
    index: bytes
    skip: int
    lasting: Fields
    fallthrough: Leaf | None
    limits: Limits
    next_turn: Callable[[Callable[[], None]], None]
    files: Files

    def answer(self, exchange: Exchange) -> None:
        if exchange.method not in (b"GET", b"HEAD"):
            self._pass_on(exchange, "method")
            return
        name = file_name(exchange.path[self.skip :])
        found = Missing.NOT_THERE if name is None else self._find(exchange.path, name)
        if isinstance(found, OpenFile):
            self._send(exchange, found)
        elif found is Missing.FOLDER:
            exchange.respond(308, [(b"Location", _with_slash(exchange))], b"")
        elif found is Missing.NOT_ALLOWED or found is Missing.NO_ROOM:
            exchange.refuse(found.value)
        else:
            self._pass_on(exchange, "not_found")

    @property
    def app(self) -> str:
        """The app that answers where no file is; empty: none does."""
        return self.fallthrough.app if isinstance(self.fallthrough, OfApp) else ""

    def explain(self) -> list[str]:
        folder = os.fsdecode(os.path.join(self.folder.home, self.folder.path))
        lines = [f"files of uid {self.folder.owner} below {folder}"]
        if self.fallthrough is not None:
            lines.append("where no file is, the app answers")
            lines += self.fallthrough.explain()
        return lines

    def _find(self, path: bytes, name: bytes) -> OpenFile | Missing:
        if not name and not path.endswith(b"/"):
            # the mapping's own path without a slash is a folder
            found = self.folder.open(b"", self.index)
            if isinstance(found, OpenFile):
                found.file.close()
                return Missing.FOLDER
            return found
        return self.folder.open(name, self.index)

    def _pass_on(self, exchange: Exchange, cause: str) -> None:
        if self.fallthrough is not None:
            self.fallthrough.answer(exchange)
        else:
            exchange.refuse(cause)

    def _send(self, exchange: Exchange, found: OpenFile) -> None:
        asked = read_asked(exchange.fields)
        fields: Fields = [
            (b"ETag", found.validators.etag),
            (b"Last-Modified", format_date(found.validators.modified)),
            *self.lasting,
        ]
        verdict = judge(asked.conditions, found.validators)
        if verdict is not Verdict.SEND:
            found.file.close()
            if verdict is Verdict.FAILED:
                exchange.refuse("precondition")
            else:
                exchange.respond(304, fields, b"")
            return
        fields.append((b"Accept-Ranges", b"bytes"))
        spans = None
        if asked.range and exchange.method == b"GET":
            if range_applies(asked.if_range, found.validators):
                spans = parse_range(asked.range, found.size, self.limits.ranges)
        if spans is None:
            fields.append((b"Content-Type", media_type(found.name)))
            self._send_parts(exchange, found, 200, fields, [Part(0, found.size)])
        elif not spans:
            found.file.close()
            exchange.refuse("range", fields=[(b"Content-Range", b"bytes */%d" % found.size)])
        else:
            self._send_spans(exchange, found, fields, spans)

    def _send_spans(
        self, exchange: Exchange, found: OpenFile, fields: Fields, spans: tuple[Span, ...]
    ) -> None:
        media = media_type(found.name)
        if len(spans) == 1:
            fields.append((b"Content-Type", media))
            fields.append((b"Content-Range", spans[0].content_range(found.size)))
            parts = [Part(spans[0].start, spans[0].end)]
            self._send_parts(exchange, found, 206, fields, parts)
            return
        boundary = exchange.id.encode("ascii")
        fields.append((b"Content-Type", b"multipart/byteranges; boundary=" + boundary))
        heads, tail = part_heads(spans, found.size, media, boundary)
        parts = [Part(s.start, s.end, head) for s, head in zip(spans, heads, strict=True)]
        self._send_parts(exchange, found, 206, fields, parts, tail)

    def _send_parts(
        self,
        exchange: Exchange,
        found: OpenFile,
        status: int,
        fields: Fields,
        parts: list[Part],
        tail: bytes = b"",
    ) -> None:
        length = sum(len(part.head) + part.end - part.start for part in parts) + len(tail)
        if exchange.method == b"HEAD" or length == 0:
            found.file.close()
            exchange.begin(status, fields, length)
            exchange.finish()
            return
        at_once = length <= MOUTHFUL or (length <= PIECE and not exchange.crowded)
        if len(parts) == 1 and at_once:
            data = os.pread(found.file.fileno(), length, parts[0].start)
            found.file.close()
            if len(data) == length:
                exchange.respond(status, fields, data)
                return
            # it was cut off since we asked for its size
            exchange.refuse("internal")
            return
        exchange.begin(status, fields, length)
        FileBody(exchange, found.file, parts, tail, self.next_turn, self.files).start()


def _with_slash(exchange: Exchange) -> bytes:
    # one slash in front: `//evil.example` would be another host
    location = b"/" + exchange.path.lstrip(b"/") + b"/"
    return location if exchange.query is None else location + b"?" + exchange.query
