"""
Which public keys may enter over SSH, and the key that the node shows in return.

In:  `console.ssh`, at each login; the file is OpenSSH's authorized_keys, without options.
Out: who has signed, as user name and fingerprint; nothing else lets anybody in.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode
from pathlib import Path
from typing import Any

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.keys import BadKeyError, EncryptedKeyError, FingerprintFormats, Key
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from zope.interface import implementer

from hostedge.console.layout import printable

# the kinds of key, and with what each may sign: nothing with SHA-1
KINDS = {
    b"ssh-ed25519": (b"ssh-ed25519",),
    b"ecdsa-sha2-nistp256": (b"ecdsa-sha2-nistp256",),
    b"ecdsa-sha2-nistp384": (b"ecdsa-sha2-nistp384",),
    b"ecdsa-sha2-nistp521": (b"ecdsa-sha2-nistp521",),
    b"ssh-rsa": (b"rsa-sha2-512", b"rsa-sha2-256"),
}
ALGORITHMS = [algorithm for several in KINDS.values() for algorithm in several]
RSA_BITS = 2048
MOST = 1024 * 1024  # bytes of the file
WRITABLE = 0o022  # by others than its owner, which has to be root or the node's own user
READABLE = 0o077
LONGEST = 32  # characters of a user name that are shown


@frozen
class Operator:
    """Who has come in; anybody may call himself `user`, the key is what counts."""

    user: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.user} ({self.fingerprint})"


def read_keys(text: str) -> tuple[frozenset[bytes], list[int]]:
    """
    The keys of a file, and the numbers of the lines that are none.

    A line with options is none: options would restrict what the key may do.
    """
    blobs: set[bytes] = set()
    strange: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            kind, blob = words[0].encode(), b64decode(words[1], validate=True)
            good = kind in KINDS and blob.startswith(NS(kind))
        except (IndexError, ValueError, binascii.Error):
            good = False
        if good:
            blobs.add(blob)
        else:
            strange.append(number)
    return frozenset(blobs), strange


@implementer(ICredentialsChecker)
class KeyFile:
    """Reads the file at each login: whoever is struck from it does not come in again."""

    log = Logger()
    credentialInterfaces = (ISSHPrivateKey,)

    def __init__(self, path: Path) -> None:
        self._path = path

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        try:
            return succeed(self._check(credentials))
        except (ValidPublicKey, UnauthorizedLogin) as error:
            return fail(error)
        except Exception as error:  # noqa: BLE001 - whatever a signature of theirs does to a parser
            return fail(UnauthorizedLogin(type(error).__name__))

    def _check(self, offered: Any) -> Operator:
        kind = getNS(offered.blob)[0]
        if offered.algName not in KINDS.get(kind, ()) or offered.blob not in self._known():
            raise UnauthorizedLogin("no such key")
        key = Key.fromString(offered.blob)
        if kind == b"ssh-rsa" and key.size() < RSA_BITS:
            raise UnauthorizedLogin(f"want RSA of {RSA_BITS} bits")
        if not offered.signature:
            raise ValidPublicKey
        # the signature names its algorithm too
        if getNS(offered.signature)[0] != offered.algName:
            raise UnauthorizedLogin("signed with another algorithm")
        if not key.verify(offered.signature, offered.sigData):
            raise UnauthorizedLogin("not signed with this key")
        user = printable(offered.username.decode(errors="replace").replace("\n", " "))
        digest = key.fingerprint(FingerprintFormats.SHA256_BASE64).rstrip("=")
        return Operator(user[:LONGEST], f"SHA256:{digest}")

    def _known(self) -> frozenset[bytes]:
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                status = os.fstat(file.fileno())
                known, strange = read_keys(file.read(MOST))
        except OSError as error:
            self.log.warn("{path} cannot be read: {error}", path=self._path, error=error)
            return frozenset()
        if status.st_mode & WRITABLE or status.st_uid not in (0, os.geteuid()):
            # whoever writes it lets himself in
            self.log.warn("{path} lets nobody in: others may write it", path=self._path)
            return frozenset()
        if strange:
            self.log.warn("{path}: no keys in lines {lines}", path=self._path, lines=strange)
        return known


def host_key(path: Path) -> Key:
    """
    The node's key, made when there is none; its file is the node's own user's.

    Raises:
        OSError: it cannot be read or written.
        ValueError: there is a file, but no key in it, or others may read it.
    """
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        part = path.with_name(f"{path.name}.part")
        part.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, path)
    mode = path.stat().st_mode
    if mode & READABLE:
        known = "think of the key in it as known, and remove the file"
        raise ValueError(f"{path} has mode {mode & 0o777:04o}: {known}")
    try:
        key: Key = Key.fromString(path.read_bytes())
    except (BadKeyError, EncryptedKeyError):
        # not replaced: clients know the one that was there
        raise ValueError(f"{path} holds no key that can be read") from None
    return key
