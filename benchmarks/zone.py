"""
The zone that every DNS peer serves, and the questions that are asked about it.

A question is what a resolver sends: no recursion wanted, EDNS with 1232 bytes and the DNSSEC OK
bit, no cookie.

In:  `__main__` writes the zone, the DNS cases the questions; `probe` asks them one by one.
Out: a zone file; records for a site file; files of questions as dnsperf reads them with `-B`.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from pathlib import Path

ZONE = "bench.example"
NAMES = 1000

FILE = """\
$ORIGIN {zone}.
$TTL 3600
@ SOA ns1 hostmaster 1 7200 3600 1209600 3600
@ NS ns1
ns1 A 192.0.2.1
{records}"""

# a resolver's header but for the id; one question, one record (OPT)
HEADER = struct.pack("!6H", 0, 0, 1, 0, 0, 1)
OPT = b"\0" + struct.pack("!2HIH", 41, 1232, 0x8000, 0)
# all that follows a question's first label: the zone's name, IN A, OPT
LABELS = b"".join(b"%c%b" % (len(each), each.encode()) for each in ZONE.split("."))
REST = LABELS + b"\0" + struct.pack("!2H", 1, 1) + OPT


def label(number: int) -> str:
    return f"shop-{number}"


def address(number: int) -> str:
    """Give what a name is answered with: each has its own, so that no answer fits another."""
    return f"198.18.{number // 256}.{number % 256}"


def zone_text() -> str:
    """Give the zone file."""
    records = "".join(f"{label(each)} A {address(each)}\n" for each in range(NAMES))
    return FILE.format(zone=ZONE, records=records)


def site_records() -> str:
    """Give the same records for the site file of an account, indented as below `records:`."""
    found = [("@", "NS", f"ns1.{ZONE}."), ("ns1", "A", "192.0.2.1")]
    found += [(label(each), "A", address(each)) for each in range(NAMES)]
    line = '      - {{name: "{}", type: {}, data: "{}"}}\n'
    return "".join(line.format(*each) for each in found)


def question(first: str) -> bytes:
    """Ask for the address of the name that begins with this label."""
    return b"%b%c%b%b" % (HEADER, len(first), first.encode(), REST)


def random_labels(count: int, seed: int) -> list[str]:
    """Give labels that nobody has; with 64 bits, none comes twice, whatever the seeds."""
    digits = random.Random(f"labels {seed}").randbytes(8 * count).hex()
    return [digits[at : at + 16] for at in range(0, 16 * count, 16)]


def write_questions(file: Path, labels: Iterable[str]) -> None:
    """Write questions one after the other, each behind its length."""
    asked = map(question, labels)
    file.write_bytes(b"".join([len(each).to_bytes(2, "big") + each for each in asked]))


def write_known(file: Path) -> None:
    """Write a question for each name of the zone, in an order without order."""
    numbers = list(range(NAMES))
    random.Random("order").shuffle(numbers)
    write_questions(file, map(label, numbers))
