"""
`hostedge zone show`, `import` and `check`: zones in the form of zone files.

In:  `cli.main`.
Out: a zone file; a zone written by the API, and what is different in it; doubts about zones,
     exit status 1 when one of them is an error.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from attrs import asdict, evolve

from hostedge.cli.client import ApiClient
from hostedge.cli.output import as_json
from hostedge.cli.table import paragraph
from hostedge.errors import ConfigError
from hostedge.model.records import zone_document, zone_name, zone_of_row
from hostedge.model.site import Record, Zone
from hostedge.model.zone_check import Doubt, check_zone_sense
from hostedge.model.zone_text import ZoneFile, read_zone_file, zone_lines
from hostedge.settings import read_settings

MAX_FILE = 16 * 1024 * 1024
SHOWN = 60  # changed records beyond which only their number is told

WHERE = 28  # columns of level and record before the finding


def show(options: Namespace) -> int:
    """Print what is served: the zone's records, the node's, and which hosts are answered."""
    with _client(options) as client:
        answer = client.call("GET", _path(options.name))
    if options.json:
        print(as_json(answer))
        return 0
    records = [Record(**record) for record in answer["records"]]
    name, ttl = answer["zone"]["name"], answer["ttl"]
    print(f"; account {answer['account']}, revision {answer['revision']}")
    for line in zone_lines(name, ttl, records, _host_comments(answer)):
        print(line)
    return 0


def import_zone(options: Namespace) -> int:
    """Read a zone file and make it a zone of an account, in place of what was there."""
    text, where = _text(options.file)
    read = read_zone_file(text, where, options.origin, options.skip_unsupported)
    with _client(options) as client:
        before = _stored(client, options.account, read.zone.name)
        # a zone file has no word for this
        zone = evolve(read.zone, shared=before.shared)
        body = {"account": options.account, "zone": zone_document(zone)}
        answer = client.call("PUT", _path(zone.name), {**body, "dry_run": options.dry_run})
    if options.json:
        left_out = {"zone": zone.name, "left_out": list(read.left_out)}
        print(as_json({**answer, **left_out}))
        return 0
    for line in _told(before, evolve(read, zone=zone), answer):
        print(line)
    return 0


def check(options: Namespace) -> int:
    """Look for what is most likely not meant, in a file, in one zone or in all."""
    findings = list(_findings(options))
    if options.json:
        listed = [
            {"name": zone.name, "findings": [asdict(each) for each in doubts]}
            for zone, doubts in findings
        ]
        print(as_json({"zones": listed}))
    else:
        for line in _report(findings):
            print(line)
    return 1 if any(each.level == "error" for _, doubts in findings for each in doubts) else 0


def _client(options: Namespace) -> ApiClient:
    return ApiClient(read_settings(Path(options.settings)))


def _path(name: str) -> str:
    try:
        return f"/v1/zones/{quote(zone_name(name), safe='')}"
    except ValueError as error:
        raise ConfigError(name, str(error)) from None


def _text(file: str) -> tuple[str, str]:
    """The text of a zone file, and how to call it."""
    where = "stdin" if file == "-" else file
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with open(file, "rb") as stream:
                data = stream.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise ConfigError(where, f"want at most {MAX_FILE} bytes")
        return data.decode(), where
    except OSError as error:
        raise ConfigError(where, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(where, "is no zone file: want UTF-8") from None


def _stored(client: ApiClient, account: str, name: str) -> Zone:
    """The zone as the account has it; one without records if it has none."""
    for site in client.lines(_export(account)):
        for document in site.get("zones", ()):
            if document["name"] == name:
                return zone_of_row(document)
    return Zone(name)


def _export(account: str) -> str:
    return f"/v1/export?account={quote(account, safe='')}" if account else "/v1/export"


def _host_comments(answer: Any) -> Iterator[str]:
    addresses = " ".join(answer["addresses"]) or "no addresses: the settings have none"
    for host in answer["hosts"]:
        yield f"{host}. is a domain: {addresses}"
    if answer["more_hosts"]:
        yield f"… and more than {len(answer['hosts'])} other names of domains"


def _told(before: Zone, read: ZoneFile, answer: Any) -> Iterator[str]:
    """What is different now, record by record."""
    zone = read.zone
    if read.left_out:
        yield f"Left out: {', '.join(read.left_out)}."
    old, new = _lines_of(before), _lines_of(zone)
    gone = [f"- {line}" for line in old if line not in new]
    come = [f"+ {line}" for line in new if line not in old]
    if len(gone) + len(come) <= SHOWN:
        yield from (*gone, *come)
    if not answer["changes"]:
        yield f"Nothing to change; the store is at revision {answer['revision']}."
        return
    what = answer["changes"][0]["what"]
    counts = f"{len(come)} records new, {len(gone)} gone"
    if answer["dry_run"]:
        yield f"Zone {zone.name} would be {what}: {counts}; nothing was changed."
    else:
        yield f"Live at revision {answer['revision']}: zone {zone.name} {what}, {counts}."


def _lines_of(zone: Zone) -> dict[str, None]:
    return {
        f"{r.name} {int(zone.ttl if r.ttl is None else r.ttl)} {r.type} {r.data}": None
        for r in zone.records
    }


def _findings(options: Namespace) -> Iterator[tuple[Zone, list[Doubt]]]:
    asked = options.zone
    if asked == "-" or (asked and os.path.isfile(asked)):
        text, where = _text(asked)
        zone = read_zone_file(text, where, options.origin, skip=True).zone
        # which names are domains, only a node knows
        yield zone, list(check_zone_sense(zone, None))
        return
    zones: dict[str, tuple[str, Zone]] = {}
    owners: dict[str, str] = {}
    with _client(options) as client:
        account, wanted = "", ""
        if asked:
            found = client.call("GET", _path(asked))
            wanted = found["zone"]["name"]
            # names of other accounts are those of a shared zone as well
            account = "" if found["zone"].get("shared") else found["account"]
        for site in client.lines(_export(account)):
            owner = site["account"]
            owner = owner if isinstance(owner, str) else owner["name"]
            for domain in site.get("domains", ()):
                owners.update(dict.fromkeys((domain["name"], *domain.get("aliases", ())), owner))
            for document in site.get("zones", ()):
                if wanted in ("", document["name"]):
                    zones[document["name"]] = owner, zone_of_row(document)
    hosts = _hosts_of(zones, owners)
    for name in sorted(zones):
        zone = zones[name][1]
        yield zone, list(check_zone_sense(zone, hosts.get(name, ())))


def _hosts_of(zones: dict[str, tuple[str, Zone]], owners: dict[str, str]) -> dict[str, list[str]]:
    """The host names that each zone answers for."""
    found: dict[str, list[str]] = {}
    for name, owner in owners.items():
        above = name
        while above:
            if above in zones:
                account, zone = zones[above]
                if zone.shared or account == owner:
                    found.setdefault(above, []).append(name)
            above = above.partition(".")[2]
    return found


def _report(findings: Iterable[tuple[Zone, list[Doubt]]]) -> Iterator[str]:
    checked = 0
    for zone, doubts in findings:
        checked += 1
        if doubts:
            yield f"{zone.name}:"
        for doubt in doubts:
            yield from paragraph(f"  {doubt.level:<8} {doubt.where} ", doubt.text, WHERE)
    yield f"Checked: {checked} zone{'' if checked == 1 else 's'}."
