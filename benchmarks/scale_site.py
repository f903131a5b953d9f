"""
Many accounts as one site file, each domain with two mappings and a certificate of its own.

In:  `scale`.
Out: a file of YAML documents, and the names in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

from attrs import frozen
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.stage import key_text, make_certificate

DOCUMENT = """\
---
account: {account}
pools:
  - name: origin
    servers: [{{address: "127.0.0.1:{origin}"}}]
domains:
{domains}certificates:
{certificates}"""

DOMAIN = """\
  - name: {name}
    mappings:
      - {{path: /, pool: origin}}
      - {{path: /old, redirect: "https://{name}/new", status: 308}}
"""

CERTIFICATE = """\
  - name: {label}
    names: [{name}]
    key: "file:{key}"
    chain: |
{chain}"""


@frozen
class Crowd:
    """So many accounts with so many domains each."""

    accounts: int
    domains_each: int

    @property
    def domains(self) -> int:
        return self.accounts * self.domains_each

    def account(self, number: int) -> str:
        return f"a{number:05}"

    def name(self, number: int) -> str:
        """Give the domain of this number; it belongs to account number // domains_each."""
        return f"shop-{number}.example.net"


def text_of(crowd: Crowd, number: int, origin: int, key: Path) -> str:
    """Give the document of one account."""
    secret = serialization.load_pem_private_key(key.read_bytes(), password=None)
    assert isinstance(secret, ec.EllipticCurvePrivateKey)
    first = number * crowd.domains_each
    names = [crowd.name(each) for each in range(first, first + crowd.domains_each)]
    certificates = []
    for label, name in enumerate(names):
        lines = make_certificate([name], secret).decode().splitlines()
        chain = "".join(f"      {line}\n" for line in lines)
        certificates.append(CERTIFICATE.format(label=f"c{label}", name=name, key=key, chain=chain))
    return DOCUMENT.format(
        account=crowd.account(number),
        origin=origin,
        domains="".join(DOMAIN.format(name=name) for name in names),
        certificates="".join(certificates),
    )


def _texts(work: tuple[Crowd, range, int, Path]) -> str:
    crowd, numbers, origin, key = work
    return "".join(text_of(crowd, number, origin, key) for number in numbers)


def write_sites(crowd: Crowd, origin: int, key: ec.EllipticCurvePrivateKey, folder: Path) -> Path:
    """Write the site file, and beside it the one key of all certificates; on every core."""
    key_file = folder / "sites-key.pem"
    key_file.write_bytes(key_text(key))
    file = folder / "sites.yaml"
    step = 200

    def pieces() -> Iterator[tuple[Crowd, range, int, Path]]:
        for first in range(0, crowd.accounts, step):
            yield crowd, range(first, min(first + step, crowd.accounts)), origin, key_file

    with file.open("w") as out, get_context("spawn").Pool(os.cpu_count()) as pool:
        for text in pool.imap(_texts, pieces()):
            out.write(text)
    return file
