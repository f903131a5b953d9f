"""
The keys of objects, and which objects a domain's mappings name.

In:  the store and its host cache; `model.parse` for its cross checks.
Out: texts like `app/demo/hello`, the same in `changes`, in API paths and in caches; references of
     private keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from typing import Any

from attrs import fields

from hostedge.model.site import Domain

# A field of a mapping's value class that is called so names an object of the same account.
REFERENCES = {"app": "app", "fallthrough": "app", "pool": "pool"}
# …and one that is called so is a path below the account's home.
HOME_PATHS = ("directory", "static")


def account_key(name: str) -> str:
    return f"account/{name}"


def domain_key(name: str) -> str:
    return f"domain/{name}"


def zone_key(name: str) -> str:
    return f"zone/{name}"


def name_key(name: str) -> str:
    """Not an object: what this host name leads to, or whether it leads anywhere, has changed."""
    return f"name/{name}"


def owned_key(kind: str, account: str, name: str) -> str:
    """The key of an app, pool or certificate."""
    return f"{kind}/{account}/{name}"


def secret_reference(pem: str) -> str:
    """
    What stands for a private key in site files: made of its contents, so that the same key has
    the same reference everywhere, and who knows the key need not ask for it.
    """
    return f"sha256-{sha256(pem.encode()).hexdigest()}"


def names_of(domain: Domain) -> tuple[str, ...]:
    """Every name that a domain answers to."""
    return (domain.name, *domain.aliases)


@cache
def _reference_fields(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple((a.name, REFERENCES[a.name]) for a in fields(value) if a.name in REFERENCES)


def named_by(to: object) -> Iterator[tuple[str, str, str]]:
    """What a mapping's value names: field, `app` or `pool`, and the name."""
    value: Any = type(to)
    for field, kind in _reference_fields(value):
        name = getattr(to, field)
        if name:
            yield field, kind, name


def keys_named_by(domain: Domain, account: str) -> set[str]:
    """The keys of all apps and pools that a domain's mappings name, there or not."""
    return {
        owned_key(kind, account, name)
        for mapping in domain.mappings
        for _, kind, name in named_by(mapping.to)
    }
