"""
What accounts have when some of their objects are replaced.

In:  `store.writer`, with the rows as they are and the objects that shall be there or gone.
Out: whole sites, checked as those of a site file are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from hostedge.errors import ConfigError
from hostedge.model.keys import account_key
from hostedge.model.parse import Object, Words, whole_site
from hostedge.model.site import Account, Site
from hostedge.store.reader import object_of_row

# account -> key -> the object that it shall have there; None: none
Edits = Mapping[str, Mapping[str, Object | None]]


def owner_of(key: str, body: str) -> str:
    """The account that has the object of this row."""
    kind, _, rest = key.partition("/")
    if kind in ("domain", "zone"):
        return str(json.loads(body)["account"])
    return rest.partition("/")[0]


def amended(current: Mapping[str, str], edits: Edits, words: Words) -> list[Site]:
    """
    The sites of these accounts with the edits made. `current` holds the rows of everything
    that they have. An account that shall be gone has none, and must have nothing left.

    Raises:
        ConfigError: an account is not there, or what it would have does not fit together.
    """
    owned: dict[str, dict[str, str]] = {account: {} for account in edits}
    for key, body in current.items():
        owned[owner_of(key, body)][key] = body
    sites = []
    for name, edit in edits.items():
        bodies = owned[name]
        parts: dict[str, Object | None] = {
            key: object_of_row(key, body, words) for key, body in bodies.items() if key not in edit
        }
        parts.update(edit)
        account = parts.pop(account_key(name), None)
        objects = [each for each in parts.values() if each is not None]
        where = f"account {name}"
        if isinstance(account, Account):
            sites.append(whole_site(account, objects, where))
        elif account_key(name) not in bodies:
            raise ConfigError(where, "there is no such account")
        elif objects:
            raise ConfigError(where, "cannot go while it has apps, pools, domains or zones")
    return sites
