"""Tests of `hostedge.cli.apply`; the command as a whole is in `tests.live.test_api`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.apply import BATCH, KEYS, SHOWN, Applied, send, shown
from hostedge.cli.sites import Prepared
from hostedge.errors import ConfigError


class Calls:
    """The part of the client that sending needs; refuses the call of that number."""

    def __init__(self, refuse: int = -1) -> None:
        self.sent: list[Any] = []
        self.keys: list[list[str]] = []
        # asked, and the answer is not waited for yet
        self.under_way: list[Any] = []
        self._refuse = refuse

    def call(self, method: str, path: str, body: Any = None) -> Any:
        self.keys.append(body["values"])
        return {"references": []}

    def ask(self, method: str, path: str, body: Any = None) -> Callable[[], Any]:
        self.under_way.append(json.loads(body))
        return self.answer

    def answer(self) -> Any:
        (call,) = self.under_way
        self.under_way.clear()
        if len(self.sent) == self._refuse:
            raise ConfigError("sites[0]", "is taken")
        self.sent.append(call)
        accounts = [each["account"] for each in call["sites"]]
        changes = [{"key": f"account/{name}", "what": "created"} for name in accounts]
        return {"revision": len(self.sent), "changes": changes}


def accounts(count: int, size: int = 0) -> list[Prepared]:
    return [
        Prepared(f"a{n}", json.dumps({"account": f"a{n}", "x": "y" * size}).encode())
        for n in range(count)
    ]


class SendTests(SynchronousTestCase):
    """From many accounts to few calls."""

    def test_batches(self) -> None:
        """
        Each call has a few hundred accounts; the answers are put together.
        """
        client = Calls()
        applied = send(client, accounts(2 * BATCH + 1))
        self.assertEqual([len(each["sites"]) for each in client.sent], [BATCH, BATCH, 1])
        self.assertEqual((applied.revision, applied.count("created")), (3, 2 * BATCH + 1))
        self.assertFalse(client.sent[0]["dry_run"])

    def test_keys(self) -> None:
        """
        A private key goes before the first account that needs it, and once; many go in few calls.
        """
        first = [evolve(each, keys={"one": "ONE"}) for each in accounts(BATCH)]
        many = {str(number): f"{number}" for number in range(KEYS + 1)}
        client = Calls()
        send(client, [*first, *(evolve(each, keys=many) for each in first[:2])])
        self.assertEqual([len(each) for each in client.keys], [1, KEYS, 1])
        self.assertEqual(client.keys[0], ["ONE"])

    def test_largeAccounts(self) -> None:
        """
        No call is larger than the node takes.
        """
        client = Calls()
        send(client, accounts(5, 9 * 1024 * 1024))
        self.assertEqual([len(each["sites"]) for each in client.sent], [1] * 5)

    def test_dryRun(self) -> None:
        """
        A dry run is said in every call.
        """
        client = Calls()
        send(client, accounts(BATCH + 1), dry_run=True)
        self.assertEqual([each["dry_run"] for each in client.sent], [True, True])

    def test_refused(self) -> None:
        """
        The first batch is refused whole; later ones say what stands already.
        """
        with self.assertRaises(ConfigError) as caught:
            send(Calls(refuse=0), accounts(5))
        self.assertEqual(str(caught.exception), "sites[0]: is taken")
        with self.assertRaises(ConfigError) as caught:
            send(Calls(refuse=1), accounts(BATCH + 5))
        self.assertEqual(
            str(caught.exception), f"sites[0]: is taken ({BATCH} accounts are applied)"
        )

    def test_readAhead(self) -> None:
        """
        While one batch is on its way the next is read; a third is not.
        """
        client = Calls()
        read: list[tuple[int, int]] = []

        def reading() -> Iterator[Prepared]:
            for number, each in enumerate(accounts(2 * BATCH + 2), 1):
                read.append((len(client.under_way), len(client.sent)))
                if number == 2 * BATCH + 2:
                    raise ConfigError("document", "is wrong")
                yield each

        with self.assertRaises(ConfigError) as caught:
            send(client, reading())
        self.assertEqual(read[BATCH], (0, 0))
        self.assertEqual(read[BATCH + 1 : 2 * BATCH], [(1, 0)] * (BATCH - 1))
        self.assertEqual(read[-1], (1, 1))
        self.assertEqual(
            str(caught.exception), f"document: is wrong ({2 * BATCH} accounts are applied)"
        )

    def test_wrongWithinTheFirst(self) -> None:
        """
        Nothing is sent when the mistake is in the first batch.
        """

        def reading() -> Iterator[Prepared]:
            yield from accounts(BATCH)
            raise ConfigError("document", "is wrong")

        client = Calls()
        with self.assertRaises(ConfigError) as caught:
            send(client, reading())
        self.assertEqual(str(caught.exception), "document: is wrong")
        self.assertEqual((client.sent, client.under_way), ([], []))

    def test_twoMistakes(self) -> None:
        """
        Of a refusal and a later mistake in the file, the refusal is told.
        """

        def reading() -> Iterator[Prepared]:
            yield from accounts(2 * BATCH)
            raise ConfigError("document", "is wrong")

        with self.assertRaises(ConfigError) as caught:
            send(Calls(refuse=0), reading())
        self.assertEqual(str(caught.exception), "sites[0]: is taken")


class ShownTests(SynchronousTestCase):
    """What the operator reads."""

    def test_changes(self) -> None:
        """
        Each change is a row, all together a sentence.
        """
        changes = [
            {"key": "domain/x.test", "what": "deleted"},
            {"key": "app/a/b", "what": "created"},
        ]
        self.assertEqual(
            list(shown(Applied(7, changes))),
            [
                "CHANGE   OBJECT",
                "deleted  domain/x.test",
                "created  app/a/b",
                "Live at revision 7: 1 created, 1 deleted.",
            ],
        )
        self.assertEqual(
            list(shown(Applied(7, changes), dry_run=True))[-1],
            "This would be 1 created, 1 deleted; nothing was changed.",
        )

    def test_nothing(self) -> None:
        """
        No change is said too.
        """
        self.assertEqual(
            list(shown(Applied(7))), ["Nothing to change; the store is at revision 7."]
        )

    def test_veryMany(self) -> None:
        """
        Of an import, deletions are listed and the rest is counted.
        """
        changes = [{"key": f"account/a{n}", "what": "created"} for n in range(SHOWN)]
        changes.append({"key": "account/gone", "what": "deleted"})
        self.assertEqual(
            list(shown(Applied(7, changes))),
            [
                "CHANGE   OBJECT",
                "deleted  account/gone",
                f"Live at revision 7: {SHOWN} created, 1 deleted.",
            ],
        )
