"""
Site files on their way to the node: read, checked, made whole.

In:  `cli.apply` and `cli.demo` with the name of a file.
Out: `Prepared`, one an account; ConfigError names the file, the line or key, and what is
     wanted. Nothing has been sent by then.

`chain: file:cert.pem` and `key: file:key.pem` of a certificate are files beside the site file;
the text takes the place of the former, the reference of the stored key that of the latter.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from attrs import field, frozen

from hostedge.errors import ConfigError
from hostedge.model.chain import public_key_of, read_chain
from hostedge.model.documents import read_documents
from hostedge.model.keys import names_of
from hostedge.model.parse import Words, parse_site
from hostedge.model.site import Site

FILE = "file:"
MAX_PEM = 1024 * 1024

Upload = Callable[[str], str]


@frozen
class Prepared:
    """One account's document, as JSON unless private keys have to be stored first."""

    account: str
    encoded: bytes
    document: dict[str, Any] | None = None
    # certificates of the document that wait for the reference of this key
    keys: list[tuple[dict[str, Any], str]] = field(factory=list)

    def made_whole(self, upload: Upload) -> bytes:
        """The document as JSON, its private keys stored."""
        if self.document is None:
            return self.encoded
        for certificate, pem in self.keys:
            certificate["key"] = upload(pem)
        return _encoded(self.document)


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
    accounts: set[str] = set()
    owners: dict[str, str] = {}
    for number, document in enumerate(read_documents(stream, name), 1):
        where = name if number == 1 else f"{name}: document {number}"
        keys = _take_files(document, where, folder)
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
        if isinstance(document, dict) and keys:
            yield site, Prepared(account, b"", document, keys)
        else:
            yield site, Prepared(account, _encoded(document))
    if not accounts:
        raise ConfigError(name, "is empty: want at least `account: NAME`")


def _encoded(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _take_files(document: object, where: str, folder: Path) -> list[tuple[dict[str, Any], str]]:
    """Put chains into their places; answers the certificates whose key is to be stored."""
    waiting: list[tuple[dict[str, Any], str]] = []
    certificates = document.get("certificates") if isinstance(document, dict) else None
    if not isinstance(certificates, list):
        return waiting
    for number, certificate in enumerate(certificates):
        if not isinstance(certificate, dict):
            continue
        here = f"{where}: certificates[{number}] ({certificate.get('name')})"
        if chain := _file_text(certificate.get("chain"), f"{here}: chain", folder):
            certificate["chain"] = chain
        if pem := _file_text(certificate.get("key"), f"{here}: key", folder):
            _check_fits(certificate.get("chain"), pem, here)
            waiting.append((certificate, pem))
    return waiting


def _file_text(value: object, where: str, folder: Path) -> str:
    """The text of the file that a value names; empty when it names none."""
    if not isinstance(value, str) or not value.startswith(FILE):
        return ""
    path = folder / value.removeprefix(FILE)
    try:
        with path.open(encoding="ascii") as file:
            text = file.read(MAX_PEM + 1)
    except OSError as error:
        raise ConfigError(where, f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(where, f"{path} is not PEM") from None
    if not text.strip() or len(text) > MAX_PEM:
        raise ConfigError(where, f"{path} is not PEM")
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
