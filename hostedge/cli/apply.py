"""
`hostedge apply FILE`: make accounts have exactly what a site file says.

In:  `cli.main`.
Out: calls of the API, some hundred accounts each; a list of what has changed.

The next accounts are read and checked while the node applies the last ones: an import takes as
long as the slower of the two, not as both. A mistake in an account ends it there, and what was
sent before is applied; of a file with fewer accounts than one call takes, nothing is.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field

from hostedge.cli.client import ApiClient
from hostedge.cli.output import as_json
from hostedge.cli.sites import Prepared, read_sites
from hostedge.cli.table import table
from hostedge.cli.words import words
from hostedge.errors import ConfigError
from hostedge.settings import read_settings

BATCH = 300  # accounts a call
BATCH_BYTES = 16 * 1024 * 1024
KEYS = 1000  # private keys a call
SHOWN = 60  # changes beyond which only deletions are listed one by one


class Client(Protocol):
    """What sending needs of `cli.client.ApiClient`."""

    def call(self, method: str, path: str, body: object = None) -> Any: ...

    def ask(self, method: str, path: str, body: object = None) -> Callable[[], Any]: ...


@define
class Applied:
    """What all batches together have changed."""

    revision: int = 0
    changes: list[dict[str, str]] = field(factory=list)
    accounts: int = 0

    def count(self, what: str) -> int:
        return sum(each["what"] == what for each in self.changes)


def apply(options: Namespace) -> int:
    """Check the file and send it."""
    settings = read_settings(Path(options.settings))
    prepared = (each for _, each in read_sites(options.file, words()))
    with ApiClient(settings) as client:
        applied = send(client, prepared, options.dry_run)
    if options.json:
        answer = {"revision": applied.revision, "dry_run": options.dry_run}
        print(as_json({**answer, "changes": applied.changes}))
    else:
        for line in shown(applied, options.dry_run):
            print(line)
    return 0


def send(client: Client, prepared: Iterable[Prepared], dry_run: bool = False) -> Applied:
    """
    Send every account; each batch is one transaction, its private keys go before it.

    Raises:
        ConfigError: an account is wrong or the node has refused a batch; of several, the first
            in the file. It says how many accounts are applied.
    """
    sending = _Sending(client, dry_run)
    try:
        try:
            for batch in _batches(prepared):
                sending.send(batch)
        except ConfigError:
            # what is on its way stands before this mistake
            sending.finish()
            raise
        sending.finish()
    except ConfigError as error:
        done = sending.applied.accounts
        if not done or dry_run:
            raise
        raise ConfigError(error.where, f"{error.problem} ({done} accounts are applied)") from None
    return sending.applied


@define
class _Sending:
    """At most one batch is on its way."""

    _client: Client
    _dry_run: bool
    applied: Applied = field(factory=Applied)
    _stored: set[str] = field(factory=set)
    _answer: Callable[[], Any] | None = None
    _accounts: int = 0

    def send(self, batch: Sequence[Prepared]) -> None:
        """Send a batch once the one before is answered."""
        self.finish()
        keys = {reference: pem for each in batch for reference, pem in each.keys.items()}
        self._upload([pem for reference, pem in keys.items() if reference not in self._stored])
        self._stored.update(keys)
        documents = b",".join(each.encoded for each in batch)
        flag = b"true" if self._dry_run else b"false"
        body = b'{"sites":[' + documents + b'],"dry_run":' + flag + b"}"
        self._answer, self._accounts = self._client.ask("POST", "/v1/apply", body), len(batch)

    def finish(self) -> None:
        """Wait for the answer to the last batch."""
        if self._answer is None:
            return
        awaited, self._answer = self._answer, None
        answer = awaited()
        self.applied.accounts += self._accounts
        self.applied.revision = answer["revision"]
        self.applied.changes += answer["changes"]

    def _upload(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), KEYS):
            self._client.call("PUT", "/v1/secrets", {"values": keys[start : start + KEYS]})


def _batches(prepared: Iterable[Prepared]) -> Iterator[list[Prepared]]:
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
