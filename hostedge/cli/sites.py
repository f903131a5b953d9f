"""
Site files on their way to the node: read, checked, made ready to be sent.

In:  `cli.apply` and `cli.demo` with the name of a file.
Out: `Prepared`, one an account, as they are read; ConfigError names the file, the line or key,
     and what is wanted.

`chain: file:cert.pem` and `key: file:key.pem` of a certificate are files beside the site file;
the text takes the place of the former, the key's reference that of the latter.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO

from attrs import field, frozen

from hostedge.errors import ConfigError
from hostedge.model.chain import public_key_of, read_chain
from hostedge.model.documents import read_documents
from hostedge.model.keys import names_of, secret_reference
from hostedge.model.parse import Words, parse_site
from hostedge.model.site import Site

FILE = "file:"
MAX_PEM = 1024 * 1024

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@frozen
class Prepared:
    """One account's document as JSON; the node has to have the private keys before it."""

    account: str
    encoded: bytes
    # PEM by reference; many accounts may have the same one
    keys: dict[str, str] = field(factory=dict, repr=False)


def read_sites(name: str, words: Words) -> Iterator[tuple[Site, Prepared]]:
    """
    Every account of a file, `-` being stdin.

    Raises:
        ConfigError: at the first one that is wrong.
    """
    if name == "-":
        yield from _read(sys.stdin.buffer, "stdin", Path(), words)
        return
    try:
        with open(name, "rb") as stream:
            yield from _read(stream, name, Path(name).parent, words)
    except OSError as error:
        raise ConfigError(name, f"cannot be read: {error.strerror}") from None


def _read(
    stream: IO[bytes], name: str, folder: Path, words: Words
) -> Iterator[tuple[Site, Prepared]]:
    files = _Files(folder)
    accounts: set[str] = set()
    owners: dict[str, str] = {}
    for number, document in enumerate(read_documents(stream, name), 1):
        where = name if number == 1 else f"{name}: document {number}"
        keys = files.put_in(document, where)
        site = parse_site(document, where, words)
        account = site.account.name
        if account in accounts:
            raise ConfigError(f"{where}: account", f"{account} stands in this file twice")
        accounts.add(account)
        for domain in site.domains:
            for host in names_of(domain):
                if owners.setdefault(host, account) != account:
                    problem = f"{host} stands at account {owners[host]} already"
                    raise ConfigError(f"{where}: domains ({domain.name})", problem)
        yield site, Prepared(account, _ENCODE(document).encode(), keys)
    if not accounts:
        raise ConfigError(name, "is empty: want at least `account: NAME`")


class _Files:
    """The files that a site file names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # all certificates of an import may have the same key
        self._text = lru_cache(maxsize=256)(self._read)

    def put_in(self, document: object, where: str) -> dict[str, str]:
        """Put chains and the references of keys into their places; answers the keys by those."""
        keys: dict[str, str] = {}
        certificates = document.get("certificates") if isinstance(document, dict) else None
        if not isinstance(certificates, list):
            return keys
        for number, certificate in enumerate(certificates):
            if not isinstance(certificate, dict):
                continue
            here = f"{where}: certificates[{number}] ({certificate.get('name')})"
            if chain := self._named(certificate.get("chain"), f"{here}: chain"):
                certificate["chain"] = chain
            if pem := self._named(certificate.get("key"), f"{here}: key"):
                _check_fits(certificate.get("chain"), pem, here)
                reference = certificate["key"] = secret_reference(pem)
                keys[reference] = pem
        return keys

    def _named(self, value: object, where: str) -> str:
        """The text of the file that a value names; empty when it names none."""
        if not isinstance(value, str) or not value.startswith(FILE):
            return ""
        try:
            return self._text(value.removeprefix(FILE))
        except ValueError as error:
            raise ConfigError(where, str(error)) from None

    def _read(self, name: str) -> str:
        """
        The text of a file.

        Raises:
            ValueError: it is not there, or not PEM.
        """
        path = self._folder / name
        try:
            with path.open(encoding="ascii") as file:
                text = file.read(MAX_PEM + 1)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not PEM") from None
        if not text.strip() or len(text) > MAX_PEM:
            raise ValueError(f"{path} is not PEM")
        return text


def _check_fits(chain: object, pem: str, where: str) -> None:
    try:
        leaf = read_chain(str(chain))
    except ValueError as error:
        raise ConfigError(f"{where}: chain", str(error)) from None
    try:
        fits = public_key_of(pem) == leaf.public_key
    except ValueError as error:
        raise ConfigError(f"{where}: key", str(error)) from None
    if not fits:
        raise ConfigError(f"{where}: key", "want the private key of this certificate")
