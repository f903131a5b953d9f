"""
Tests for `hostedge.console.keys`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from unittest import SkipTest

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import SSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.keys import LONGEST, KeyFile, Operator, host_key, read_keys

ED25519 = Key(ed25519.Ed25519PrivateKey.generate())
STRANGER = Key(ed25519.Ed25519PrivateKey.generate())
EC = Key(ec.generate_private_key(ec.SECP256R1()))
RSA = Key(rsa.generate_private_key(65537, 2048))
SMALL = Key(rsa.generate_private_key(65537, 1024))

SIGNED = b"what the client signs"


def line(key: Key) -> str:
    return key.public().toString("OPENSSH").decode()


class ReadTests(SynchronousTestCase):
    """What the file says."""

    def test_keys(self) -> None:
        """
        A key a line; comments and empty lines between them.
        """
        text = f"# ours\n\n{line(ED25519)} ann@desk\n  {line(RSA)}\n"
        self.assertEqual(read_keys(text), ({ED25519.blob(), RSA.blob()}, []))

    def test_strange(self) -> None:
        """
        What is no key lets nobody in, nor does one with options, of another kind or cut short.
        """
        text = "\n".join(
            [
                f'command="true" {line(ED25519)}',
                "ssh-ed25519",
                "ssh-ed25519 !!!",
                line(ED25519).replace("ssh-ed25519", "ssh-rsa", 1),
                "ssh-dss AAAAB3NzaC1kc3M=",
                "\u00fc\u20ac x",
            ]
        )
        self.assertEqual(read_keys(text), (frozenset(), [1, 2, 3, 4, 5, 6]))


class KeyFileTests(SynchronousTestCase):
    """Who comes in."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text("\n".join(map(line, (ED25519, EC, RSA, SMALL))))
        self.file = KeyFile(self.path)

    def login(
        self, key: Key, algorithm: bytes, signed: bytes = SIGNED, user: bytes = b"ann"
    ) -> Operator:
        signature = key.sign(signed, signatureType=algorithm)
        offered = SSHPrivateKey(user, algorithm, key.blob(), SIGNED, signature)
        checked: Operator = self.successResultOf(self.file.requestAvatarId(offered))
        return checked

    def refused(self, *offered: object) -> None:
        checking = self.file.requestAvatarId(SSHPrivateKey(*offered))
        self.failureResultOf(checking, UnauthorizedLogin)

    def test_kinds(self) -> None:
        """
        ed25519, ECDSA and RSA with SHA-2 come in, by any name, which is kept with the key's.
        """
        self.assertEqual(self.login(ED25519, b"ssh-ed25519").user, "ann")
        self.login(EC, b"ecdsa-sha2-nistp256")
        self.login(RSA, b"rsa-sha2-256")
        who = str(self.login(RSA, b"rsa-sha2-512", user=b"bob\n\x1b" + b"x" * 100))
        self.assertTrue(who.startswith("bob \ufffdxx"), who)
        self.assertIn("(SHA256:", who)
        self.assertTrue(who.isprintable())
        self.assertLess(len(who), LONGEST + 60)

    def test_offered(self) -> None:
        """
        A client that only asks whether a key is known gets that answer, and is not in.
        """
        offered = SSHPrivateKey(b"ann", b"ssh-ed25519", ED25519.blob(), None, None)
        self.failureResultOf(self.file.requestAvatarId(offered), ValidPublicKey)
        self.refused(b"ann", b"ssh-ed25519", STRANGER.blob(), None, None)

    def test_signatures(self) -> None:
        """
        Nothing but a signature of this text with this key lets in.
        """
        blob = ED25519.blob()
        other = STRANGER.sign(SIGNED, signatureType=b"ssh-ed25519")
        wrong = ED25519.sign(b"another text", signatureType=b"ssh-ed25519")
        for signature in (other, wrong, b"x", NS(b"ssh-ed25519"), NS(b"ssh-ed25519") + NS(b"x")):
            self.refused(b"ann", b"ssh-ed25519", blob, SIGNED, signature)

    def test_sha1(self) -> None:
        """
        RSA with SHA-1 is refused, also when it is called something better.
        """
        signature = RSA.sign(SIGNED, signatureType=b"ssh-rsa")
        self.refused(b"ann", b"ssh-rsa", RSA.blob(), SIGNED, signature)
        self.refused(b"ann", b"rsa-sha2-256", RSA.blob(), SIGNED, signature)

    def test_smallKey(self) -> None:
        """
        RSA below 2048 bits is refused, whatever the file says.
        """
        signature = SMALL.sign(SIGNED, signatureType=b"rsa-sha2-256")
        self.refused(b"ann", b"rsa-sha2-256", SMALL.blob(), SIGNED, signature)

    def test_garbage(self) -> None:
        """
        What is no key at all is refused like a wrong one.
        """
        for blob in (b"", b"x", NS(b"ssh-ed25519"), NS(b"nonsense") + NS(b"x")):
            self.refused(b"ann", b"ssh-ed25519", blob, SIGNED, b"x")

    def test_rereads(self) -> None:
        """
        Who is struck from the file does not come in again; without a file nobody does.
        """
        self.login(ED25519, b"ssh-ed25519")
        self.path.write_text(line(RSA))
        self.refused(b"ann", b"ssh-ed25519", ED25519.blob(), None, None)
        self.path.unlink()
        self.refused(b"ann", b"rsa-sha2-256", RSA.blob(), None, None)

    def test_writable(self) -> None:
        """
        A file that others may write lets nobody in, until they may not.
        """
        for mode in (0o664, 0o646):
            self.path.chmod(mode)
            self.refused(b"ann", b"ssh-ed25519", ED25519.blob(), None, None)
        self.path.chmod(0o644)
        self.login(ED25519, b"ssh-ed25519")

    def test_owned(self) -> None:
        """
        So does a file of somebody else.
        """
        if os.geteuid():
            raise SkipTest("only root can give a file away")
        os.chown(self.path, 65534, -1)
        self.refused(b"ann", b"ssh-ed25519", ED25519.blob(), None, None)


class HostKeyTests(SynchronousTestCase):
    """What the node shows."""

    def test_made(self) -> None:
        """
        It is made once, for the node's user alone.
        """
        path = Path(self.mktemp())
        made = host_key(path)
        self.assertEqual(made.type(), "Ed25519")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(host_key(path), made)

    def test_broken(self) -> None:
        """
        One that cannot be read is not replaced: clients know it.
        """
        path = Path(self.mktemp())
        path.write_text("no key")
        path.chmod(0o600)
        self.assertIn("no key that can be read", str(self.assertRaises(ValueError, host_key, path)))
        self.assertEqual(path.read_text(), "no key")

    def test_exposed(self) -> None:
        """
        One that others may have read is not shown to anybody.
        """
        path = Path(self.mktemp())
        host_key(path)
        path.chmod(0o640)
        self.assertIn("mode 0640", str(self.assertRaises(ValueError, host_key, path)))
