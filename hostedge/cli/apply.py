"""
`hostedge apply FILE`: make accounts have exactly what a site file says.

In:  `cli.main`.
Out: calls of the API, some hundred accounts each; a list of what has changed.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import define, field

from hostedge.cli.client import ApiClient
from hostedge.cli.sites import Prepared, read_sites
from hostedge.cli.table import table
from hostedge.cli.words import words
from hostedge.errors import ConfigError
from hostedge.settings import read_settings

BATCH = 300  # accounts a call
BATCH_BYTES = 16 * 1024 * 1024
KEYS = 1000  # private keys a call
SHOWN = 60  # changes beyond which only deletions are listed one by one


@define
class Applied:
    """What all batches together have changed."""

    revision: int = 0
    changes: list[dict[str, str]] = field(factory=list)

    def count(self, what: str) -> int:
        return sum(each["what"] == what for each in self.changes)


def apply(options: Namespace) -> int:
    """Check the whole file, then send it."""
    settings = read_settings(Path(options.settings))
    prepared = [each for _, each in read_sites(options.file, words())]
    with ApiClient(settings) as client:
        applied = send(client, prepared, options.dry_run)
    if options.json:
        answer = {"revision": applied.revision, "dry_run": options.dry_run}
        print(json.dumps({**answer, "changes": applied.changes}, ensure_ascii=False))
    else:
        for line in shown(applied, options.dry_run):
            print(line)
    return 0


def send(client: ApiClient, prepared: Sequence[Prepared], dry_run: bool = False) -> Applied:
    """
    Send every account; each batch is one transaction, its private keys go before it.

    Raises:
        ConfigError: the node has refused a batch, which says which accounts are applied.
    """
    applied = Applied()
    done = 0
    stored: set[str] = set()
    for batch in _batches(prepared):
        keys = {reference: pem for each in batch for reference, pem in each.keys.items()}
        _upload(client, [pem for reference, pem in keys.items() if reference not in stored])
        stored.update(keys)
        documents = b",".join(each.encoded for each in batch)
        flag = b"true" if dry_run else b"false"
        body = b'{"sites":[' + documents + b'],"dry_run":' + flag + b"}"
        try:
            answer = client.call("POST", "/v1/apply", body)
        except ConfigError as error:
            if not done or dry_run:
                raise
            problem = f"{error.problem} ({done} of {len(prepared)} accounts are applied)"
            raise ConfigError(error.where, problem) from None
        done += len(batch)
        applied.revision = answer["revision"]
        applied.changes += answer["changes"]
    return applied


def _batches(prepared: Sequence[Prepared]) -> Iterator[list[Prepared]]:
    batch: list[Prepared] = []
    size = 0
    for each in prepared:
        if batch and (len(batch) >= BATCH or size + len(each.encoded) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += len(each.encoded)
    if batch:
        yield batch


def _upload(client: ApiClient, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), KEYS):
        client.call("PUT", "/v1/secrets", {"values": keys[start : start + KEYS]})


def shown(applied: Applied, dry_run: bool = False) -> Iterator[str]:
    """What has changed; of very many changes the deletions only, and how many others."""
    listed = applied.changes
    if len(listed) > SHOWN:
        listed = [each for each in listed if each["what"] == "deleted"]
    if listed:
        yield from table(("CHANGE", "OBJECT"), [(each["what"], each["key"]) for each in listed])
    counts = [
        f"{count} {what}"
        for what in ("created", "changed", "deleted")
        if (count := applied.count(what))
    ]
    if not counts:
        yield f"Nothing to change; the store is at revision {applied.revision}."
    elif dry_run:
        yield f"This would be {', '.join(counts)}; nothing was changed."
    else:
        yield f"Live at revision {applied.revision}: {', '.join(counts)}."
