"""What tests of HTTP/2 share: a scene, frames by hand, and cases in a small language."""

from __future__ import annotations

from pathlib import Path
from struct import iter_unpack, pack, unpack

from hpack import Decoder, Encoder
from hpack.struct import NeverIndexedHeaderTuple

from hostedge.http.h2 import H2
from tests.http.parts import ClientEnd, Scene

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
KINDS = (
    *("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY"),
    *("WINDOW_UPDATE", "CONTINUATION"),
)
CODES = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"),
    *("STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR"),
    *("CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)
FLAGS = {"end": 0x1, "ack": 0x1, "whole": 0x4, "padded": 0x8, "prioritised": 0x20}
# whose kind is no name here
Frame = tuple[str, int, int, bytes]


def frame(kind: str | int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    number = KINDS.index(kind) if isinstance(kind, str) else kind
    return pack(">L", len(payload))[1:] + pack(">BBL", number, flags, stream) + payload


def block(fields: list[tuple[bytes, bytes]]) -> bytes:
    """A block that needs no table on the other side, and leaves none."""
    return Encoder().encode([NeverIndexedHeaderTuple(*item) for item in fields])


def asked(
    method: str = "GET", path: str = "/", *more: tuple[str, str]
) -> list[tuple[bytes, bytes]]:
    fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a.test")]
    return [(name.encode(), value.encode()) for name, value in (*fields, *more)]


def request(stream: int, *args: str, end: bool = True) -> bytes:
    return frame("HEADERS", 0x5 if end else 0x4, stream, block(asked(*args)))


HELLO = PREFACE + frame("SETTINGS", 0, 0)


def split_frames(data: bytes) -> list[Frame]:
    frames = []
    while data:
        size = int.from_bytes(data[:3], "big")
        number, flags, stream = unpack(">BBL", data[3:9])
        assert len(data) >= 9 + size and size <= 16384
        frames.append((KINDS[number], flags, stream, data[9 : 9 + size]))
        data = data[9 + size :]
    return frames


class Heard:
    """What a client has been sent: answers by stream, resets, and the rest in words."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.fields: dict[int, list[tuple[bytes, bytes]]] = {}
        self.statuses: dict[int, list[int]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.reset: dict[int, str] = {}
        self.goodbyes: list[tuple[str, int]] = []
        self.updates: dict[int, int] = {}
        self.others: list[str] = []
        # what it may do, by the number of the setting
        self.settings: dict[int, int] = {}
        self._rest = b""

    def take(self, data: bytes) -> list[Frame]:
        frames = split_frames(data)
        for kind, flags, stream, payload in frames:
            if kind == "HEADERS":
                assert stream not in self.ended and stream not in self.reset
                self._rest = payload
            elif kind == "CONTINUATION":
                self._rest += payload
            elif kind == "DATA":
                assert stream not in self.ended and stream not in self.reset
                assert stream in self.statuses
                self.bodies[stream] = self.bodies.get(stream, b"") + payload
            elif kind == "RST_STREAM":
                self.reset[stream] = CODES[int.from_bytes(payload, "big")]
            elif kind == "GOAWAY":
                last, code = unpack(">LL", payload)
                self.goodbyes.append((CODES[code], last))
            elif kind == "WINDOW_UPDATE":
                more = int.from_bytes(payload, "big")
                self.updates[stream] = self.updates.get(stream, 0) + more
            elif not (kind == "SETTINGS" and flags & 1):
                self.others.append(kind)
            if kind == "SETTINGS":
                self.settings |= {key: value for key, value in iter_unpack(">HL", payload)}
            if kind in ("HEADERS", "CONTINUATION") and flags & 0x4:
                fields = list(self.decoder.decode(self._rest, raw=True))
                self.fields[stream] = fields  # type: ignore[assignment]
                self.statuses.setdefault(stream, []).append(int(fields[0][1]))
            if kind in ("HEADERS", "DATA") and flags & 0x1:
                self.ended.add(stream)
        return frames

    def words(self) -> list[str]:
        """In the language of case files."""
        words = []
        if len(self.reset) > 100:
            return [f"all reset {code}" for code in sorted({*self.reset.values()})] + [
                f"goodbye {code}" for code, _ in self.goodbyes
            ]
        for stream in sorted({*self.statuses, *self.reset}):
            for status in self.statuses.get(stream, []):
                word = f"{stream} {status}"
                if status >= 200:
                    reason = dict(self.fields[stream]).get(b"x-hostedge-reason")
                    said = reason if reason else self.bodies.get(stream, b"")
                    word += f" {said.decode()}" + ("" if stream in self.ended else " ...")
                words.append(word)
            if stream in self.reset:
                words.append(f"{stream} reset {self.reset[stream]}")
        return words + [f"goodbye {code}" for code, _ in self.goodbyes]


class H2Scene(Scene):
    """A scene whose clients speak HTTP/2."""

    def meet(self, hello: bytes = HELLO) -> tuple[H2, ClientEnd, Heard]:
        protocol = H2(self.entrance)
        transport = ClientEnd()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        heard = Heard()
        if hello:
            protocol.dataReceived(hello)
            self.hear(transport, heard)
        return protocol, transport, heard

    @staticmethod
    def hear(transport: ClientEnd, heard: Heard) -> list[Frame]:
        data = transport.value()
        transport.clear()
        return heard.take(data)


def read_case(path: Path) -> tuple[bytes, list[str]]:
    """
    The bytes to send, and what has to come of them, a line each.

    HELLO                          preface and empty settings; `PREFACE` alone
    GET 1 /path                    a request without a body
    HEADERS 1 end whole a=b | c=d  after the four usual pseudo-fields; `only` leaves these out
    HEADERS 1 hex 8286             a block by its octets
    DATA 1 end text                `*100` stands for so many bytes
    PING 0 ack 0000000000000000    any other frame; its payload in hexadecimal digits
    100x GET + / ; RST_STREAM + 00000008    again and again, each time on the next stream
    """
    asked, _, wanted = path.read_text().partition("\n==>\n")
    number = 1
    raw = b""
    for line in asked.split("\n")[1:]:
        times, mark, steps = line.partition("x ")
        if not mark or not times.isdigit():
            times, steps = "1", line
        for _ in range(int(times)):
            for step in steps.split(" ; "):
                raw += _step(step.replace(" + ", f" {number} ", 1))
            if " + " in steps:
                number += 2
    return raw, wanted.splitlines()


def _step(step: str) -> bytes:
    kind, _, rest = step.partition(" ")
    if kind == "HELLO":
        return HELLO
    if kind == "PREFACE":
        return PREFACE
    if kind == "BYTES":
        return _octets(rest)
    stream, _, rest = rest.partition(" ")
    if kind == "GET":
        return request(int(stream), "GET", rest)
    flags = 0
    words = {"only": False, "hex": False}
    while rest.partition(" ")[0] in (*FLAGS, *words):
        word, _, rest = rest.partition(" ")
        flags |= FLAGS.get(word, 0)
        if word in words:
            words[word] = True
    if kind == "DATA" and not words["hex"]:
        payload = b"x" * int(rest[1:]) if rest[:1] == "*" else _octets(rest)
    elif kind == "HEADERS" and not words["hex"]:
        fields = [] if words["only"] else asked()
        for item in rest.split(" | ") if rest else ():
            name, _, value = item.partition("=")
            pair = _octets(name), _octets(value)
            names = [each for each, _ in fields]
            if name[:1] == ":" and not words["only"] and pair[0] in names:
                fields[names.index(pair[0])] = pair
            else:
                fields.append(pair)
        payload = block(fields)
    else:
        payload = bytes.fromhex(rest)
    return frame(int(kind) if kind.isdigit() else kind, flags, int(stream), payload)


def _octets(text: str) -> bytes:
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")
