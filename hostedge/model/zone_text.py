"""
Zone files of other servers into zones, and zones as zone files.

In:  `hostedge zone import`, `check` and `show`.
Out: `Zone` in the form of a site file; lines that any name server reads. `ConfigError` names the
     file and the line, or the record.
Spec: RFC 1035 section 5, RFC 2308 section 4 ($TTL).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import frozen
from dns.exception import DNSException
from dns.exception import SyntaxError as ZoneSyntaxError
from dns.name import Name, root
from dns.name import from_text as name_from_text
from dns.rdata import Rdata
from dns.rdataclass import IN
from dns.tokenizer import Token, Tokenizer
from dns.zonefile import Reader, UnknownOrigin

from hostedge.errors import ConfigError
from hostedge.model.names import shown
from hostedge.model.rdata import printed
from hostedge.model.records import MAX_RECORDS, TYPES, parse_zone, zone_name
from hostedge.model.shape import Document, Misfit
from hostedge.model.site import Record, Zone

_KNOWN = frozenset(TYPES)
_SHOWN = 5


@frozen
class ZoneFile:
    """What a file says, and what of it no zone of ours can hold: `name type`."""

    zone: Zone
    left_out: tuple[str, ...]


class _Words(Tokenizer):
    """Tells the line in which a word begins; dnspython's has counted the line end behind it."""

    _line = 1

    def get(self, want_leading: bool = False, want_comment: bool = False) -> Token:
        if self.ungotten_token is None:
            self._line = self._now()
        return super().get(want_leading, want_comment)

    def _now(self) -> int:
        return self.line_number - (self.ungotten_char == "\n")

    def where(self) -> tuple[str, int]:
        return self.filename, self._now() if self.multiline else self._line


class _Records:
    """Takes records from dnspython's reader, one by one and as they are written."""

    def __init__(self, origin: Name | None) -> None:
        self.records: list[tuple[Name, int, Rdata]] = []
        self.first_origin = origin
        self._origin = origin
        # the reader asks its transaction's manager
        self.manager = self

    def origin_information(self) -> tuple[Name | None, bool, None]:
        return self._origin, False, None

    def check_put_rdataset(self, _check: object) -> None:
        """What may stand beside what is checked by `model.zone_rules`."""

    def add(self, name: Name, ttl: int, data: Rdata) -> None:
        if len(self.records) >= MAX_RECORDS:
            raise ZoneSyntaxError(f"want at most {MAX_RECORDS} records")
        self.records.append((name, ttl, data))

    def add_unicode(self, _codec: str) -> None:
        """`$UNICODE` needs nothing more."""

    def _set_origin(self, origin: Name) -> None:
        self.first_origin = self.first_origin or origin


def read_zone_file(text: str, where: str, origin: str = "", skip: bool = False) -> ZoneFile:
    """
    Read a zone file; `origin` is what relative names are relative to, until the file itself says
    so. Types that are not served are refused, or left out with `skip`.

    Raises:
        ConfigError: naming the line, or the record that cannot be.
    """
    try:
        start = name_from_text(f"{zone_name(origin)}.") if origin else None
    except ValueError as error:
        raise ConfigError("--origin", str(error)) from None
    taken = _Records(start)
    reader = Reader(_Words(text, where), IN, taken)  # type: ignore[arg-type]
    # else records that lie elsewhere would be passed over in silence
    reader.zone_origin = root
    try:
        reader.read()
    except UnknownOrigin:
        problem = "the file does not say which zone it is: want --origin NAME"
        raise ConfigError(where, problem) from None
    except DNSException as error:
        raise _refused(str(error), where) from None
    name = _zone_name(taken, where)
    others = [each for each in taken.records if each[2].rdtype.name not in _KNOWN]
    left_out = tuple(dict.fromkeys(f"{owner} {data.rdtype.name}" for owner, _, data in others))
    if left_out and not skip:
        some = ", ".join(left_out[:_SHOWN]) + (", …" if len(left_out) > _SHOWN else "")
        raise ConfigError(
            where,
            f"has records of types that are not served here ({some}); "
            "--skip-unsupported leaves them out",
        )
    known = [each for each in taken.records if each[2].rdtype.name in _KNOWN]
    default = reader.default_ttl if reader.default_ttl_known else None
    if default is None or reader.default_ttl_from_soa:
        usual = Counter(ttl for _, ttl, _ in known).most_common(1)
        default = usual[0][0] if usual else 3600
    return ZoneFile(_zone(name, known, default, where), left_out)


def zone_lines(
    name: str, ttl: float, records: Iterable[Record], comments: Iterable[str] = ()
) -> Iterator[str]:
    """A zone as a zone file, comments at its end."""
    yield f"$ORIGIN {name}."
    yield f"$TTL {int(ttl)}"
    rows = [
        (each.name, str(int(ttl if each.ttl is None else each.ttl)), each.type, each.data)
        for each in records
    ]
    width = max((len(row[0]) for row in rows), default=0)
    before = ""
    for owner, seconds, kind, data in rows:
        given = "" if seconds == str(int(ttl)) else seconds
        first = owner if owner != before else ""
        yield f"{first:<{width}} {given:>7} IN {kind:<5} {data}"
        before = owner
    for comment in comments:
        yield f"; {comment}"


def _refused(text: str, where: str) -> ConfigError:
    """dnspython puts file and line before what it says."""
    place, colon, problem = text.removeprefix(f"{where}:").partition(": ")
    if colon and place.isdigit():
        if "$INCLUDE" in problem:
            problem = "$INCLUDE is not followed: want the zone in one file"
        elif problem == ZoneSyntaxError.__doc__:
            problem = "a value is not written as its type wants it"
        return ConfigError(f"{where}:{place}", f"is no zone file: {problem}")
    return ConfigError(where, f"is no zone file: {text}")


def _zone_name(taken: _Records, where: str) -> str:
    """The name of the zone: where its SOA stands, else the first origin."""
    owners = dict.fromkeys(owner for owner, _, data in taken.records if data.rdtype.name == "SOA")
    if len(owners) > 1:
        raise ConfigError(where, "has an SOA at more than one name: want one zone a file")
    owner = next(iter(owners), taken.first_origin)
    if owner is None or owner == root:
        raise ConfigError(where, "the file does not say which zone it is: want --origin NAME")
    try:
        return zone_name(owner.to_text(omit_final_dot=True))
    except ValueError as error:
        raise ConfigError(where, str(error)) from None


def _zone(name: str, taken: Sequence[tuple[Name, int, Rdata]], ttl: int, where: str) -> Zone:
    records: list[Document] = []
    for owner, seconds, data in taken:
        kind = data.rdtype.name
        record: Document = {
            "name": owner.to_text(),
            "type": kind,
            "data": printed(kind, data),
        }
        # the same record twice is one (RFC 2181 section 5)
        if seconds != ttl:
            record["ttl"] = seconds
        records.append(record)
    different: dict[tuple[Any, ...], Document] = {}
    for record in records:
        identity = str(record["name"]).lower(), record["type"], record["data"]
        different.setdefault(identity, record)
    kept = list(different.values())
    try:
        return parse_zone({"name": name, "ttl": ttl, "records": kept})
    except Misfit as error:
        raise _of_record(error, kept, where) from None


def _of_record(error: Misfit, records: Sequence[Document], where: str) -> ConfigError:
    """Name the record as it stands in the file, where no one has counted them."""
    steps = "".join(error.path)
    digits = steps.partition("[")[2].partition("]")[0]
    if not digits.isdigit():
        return ConfigError(where, error.problem)
    record = records[int(digits)]
    what = f"{record['name']} {record['type']} {shown(record['data'])}"
    problem = error.problem
    if problem.startswith("want the ttl of records["):
        problem = "want one ttl for all records of this name and type"
    return ConfigError(f"{where}: {what}", problem)
