"""
What has to change so that accounts have exactly what their sites say.

In:  `store.writer`, with the rows as they are and the sites as they shall be.
Out: the changes, and which host names move; nothing is written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from hostedge.errors import ConfigError
from hostedge.model.keys import account_key, domain_key, names_of, owned_key, zone_key
from hostedge.model.parse import Object, Words, object_document
from hostedge.model.site import Certificate, Domain, Site, Zone

# `json.dumps` would make an encoder for each of them
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@frozen
class Change:
    """One object before and after, as JSON; None: it was not there, or is not any more."""

    key: str
    before: str | None
    after: str | None

    @property
    def kind(self) -> str:
        return self.key.partition("/")[0]


# The domain that a host name leads to, and the account that has both.
Holder = tuple[str, str]


@frozen
class Moves:
    """Which host names are taken away, and which are given to whom."""

    # name -> who has it now
    lost: dict[str, Holder]
    # name -> who gets it
    gained: dict[str, Holder]


def objects_of(site: Site) -> Iterator[tuple[str, Object]]:
    """All objects of a site with their keys, in the order in which a site is read."""
    account = site.account.name
    yield account_key(account), site.account
    for app in site.apps:
        yield owned_key("app", account, app.name), app
    for pool in site.pools:
        yield owned_key("pool", account, pool.name), pool
    for domain in site.domains:
        yield domain_key(domain.name), domain
    for certificate in site.certificates:
        yield owned_key("certificate", account, certificate.name), certificate
    for zone in site.zones:
        yield zone_key(zone.name), zone


def body_of(value: Object, account: str, words: Words) -> str:
    """An object as its row; one object has one text, so that texts can be compared."""
    document = object_document(value, words)
    if isinstance(value, Domain | Zone):
        document = {"account": account, **document}
    return _ENCODE(document)


def plan(
    sites: Sequence[Site], current: Mapping[str, str], words: Words
) -> tuple[list[Change], dict[str, Certificate]]:
    """
    Compare. `current` holds the rows of all objects of these sites' accounts, by key. The
    certificates among what is new come along, by key.

    Raises:
        ConfigError: two of these sites claim the same account, domain or name.
    """
    wanted: dict[str, str] = {}
    certificates: dict[str, Certificate] = {}
    claimed: dict[str, str] = {}
    for site in sites:
        account = site.account.name
        for key, value in objects_of(site):
            if key in wanted:
                raise ConfigError(f"account {account}", f"{key} is given twice")
            wanted[key] = body_of(value, account, words)
            if isinstance(value, Certificate):
                certificates[key] = value
            elif isinstance(value, Domain):
                _claim(claimed, value, account)
    changes = [Change(key, body, None) for key, body in current.items() if key not in wanted]
    for key, body in wanted.items():
        before = current.get(key)
        if before != body:
            changes.append(Change(key, before, body))
    fresh = {c.key: certificates[c.key] for c in changes if c.key in certificates}
    return changes, fresh


def _claim(claimed: dict[str, str], domain: Domain, account: str) -> None:
    for name in names_of(domain):
        if name in claimed:
            raise taken(account, name, claimed[name])
        claimed[name] = account


def taken(account: str, name: str, other: str) -> ConfigError:
    """The refusal of a name that another account has."""
    return ConfigError(f"account {account}", f"{name} is a name of account {other} already")


def moves(changes: Iterable[Change]) -> Moves:
    """Which host names the changed domains lose and gain."""
    old: dict[str, Holder] = {}
    new: dict[str, Holder] = {}
    for change in changes:
        if change.kind == "domain":
            _names(change.before, old)
            _names(change.after, new)
    return Moves(
        {name: holder for name, holder in old.items() if new.get(name) != holder},
        {name: holder for name, holder in new.items() if old.get(name) != holder},
    )


def _names(body: str | None, names: dict[str, Holder]) -> None:
    if body is not None:
        document: dict[str, Any] = json.loads(body)
        holder = document["name"], document["account"]
        for name in (document["name"], *document.get("aliases", ())):
            names[name] = holder
