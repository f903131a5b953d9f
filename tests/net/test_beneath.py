"""Both ways of `hostedge.net.beneath`, held to one contract with real links."""

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hostedge.net.beneath import by_components, by_openat2, open_beneath


class Contract:
    """What every way of opening keeps; `follows` says whether links inside are followed."""

    follows: bool
    opener: Callable[[int, bytes, int], int]

    def setUp(self: "SynchronousTestCase") -> None:
        root = Path(self.mktemp()).resolve()
        (root / "inside" / "deep").mkdir(parents=True)
        (root / "secret").write_text("secret")
        (root / "inside" / "file").write_text("file")
        (root / "inside" / "deep" / "file").write_text("deep")
        for name, target in (
            ("up", ".."),
            ("absolute", str(root / "inside" / "file")),
            ("secret", "../secret"),
            ("near", "deep/file"),
            ("folder", "deep"),
            ("loop", "loop"),
            ("proc", f"/proc/{os.getpid()}/root"),
        ):
            (root / "inside" / name).symlink_to(target)
        os.mkfifo(root / "inside" / "fifo")
        self.folder = os.open(root / "inside", os.O_PATH | os.O_DIRECTORY)
        self.addCleanup(os.close, self.folder)

    def read(self, path: bytes) -> bytes:
        opened = type(self).opener(self.folder, path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(opened, 100)
        finally:
            os.close(opened)

    def code(self, path: bytes) -> int | None:
        try:
            self.read(path)
        except OSError as error:
            return error.errno
        return None

    def test_inside(self) -> None:
        """
        What lies below is opened, doubled slashes or not.
        """
        self.assertEqual(self.read(b"file"), b"file")
        self.assertEqual(self.read(b"deep/file"), b"deep")
        self.assertEqual(self.read(b"deep//./file"), b"deep")

    def test_outside(self) -> None:
        """
        No way leads out: not `..`, not an absolute path, not a link.
        """
        for path in (
            b"../secret", b"deep/../../secret", b"/etc/passwd", b"up/secret", b"secret",
            b"absolute", b"proc/etc/passwd",
        ):  # fmt: skip
            self.assertIn(self.code(path), (errno.EXDEV, errno.ELOOP, errno.ENOTDIR), path)
        self.assertEqual(self.code(b"loop"), errno.ELOOP)

    def test_links(self) -> None:
        """
        Links that stay inside are followed by the kernel's way only.
        """
        for path in (b"near", b"folder/file"):
            if self.follows:
                self.assertEqual(self.read(path), b"deep")
            else:
                self.assertIn(self.code(path), (errno.ELOOP, errno.ENOTDIR))

    def test_notThere(self) -> None:
        """
        What is not there is told as everywhere.
        """
        self.assertEqual(self.code(b"none"), errno.ENOENT)
        self.assertEqual(self.code(b"none/file"), errno.ENOENT)
        self.assertEqual(self.code(b"file/"), errno.ENOTDIR)
        self.assertEqual(self.code(b"file/x"), errno.ENOTDIR)
        self.assertEqual(self.code(b"deep/"), errno.EISDIR)

    def test_nothingLeaks(self) -> None:
        """
        No descriptor is left behind, whatever happens.
        """
        before = len(os.listdir("/proc/self/fd"))
        for path in (b"deep/file", b"deep/none", b"none/none", b"deep/../../secret", b"near"):
            self.code(path)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class KernelTests(Contract, SynchronousTestCase):
    """openat2(2)."""

    follows = True
    opener = staticmethod(by_openat2)

    def setUp(self) -> None:
        super().setUp()
        try:
            self.read(b"file")
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.EPERM):
                raise SkipTest("this kernel has no openat2") from None
            raise


class ComponentTests(Contract, SynchronousTestCase):
    """One component after the other."""

    follows = False
    opener = staticmethod(by_components)


class OpenTests(Contract, SynchronousTestCase):
    """Whichever of the two this machine has."""

    opener = staticmethod(open_beneath)

    @property
    def follows(self) -> bool:  # type: ignore[override]
        return self.code(b"near") is None

    def test_fifoDoesNotBlock(self) -> None:
        """
        A FIFO that nobody writes to is opened at once; what it is can be asked then.
        """
        self.assertEqual(self.read(b"fifo"), b"")

    def test_folders(self) -> None:
        """
        A folder can be opened as a place to open from, and a file cannot.
        """
        flags = os.O_PATH | os.O_DIRECTORY
        inner = open_beneath(self.folder, b"deep", flags)
        self.addCleanup(os.close, inner)
        os.close(open_beneath(inner, b"file", os.O_RDONLY))
        self.assertRaises(NotADirectoryError, open_beneath, self.folder, b"file", flags)

    def test_closedOnExec(self) -> None:
        """
        No daemon inherits a file.
        """
        opened = open_beneath(self.folder, b"file", os.O_RDONLY)
        self.addCleanup(os.close, opened)
        self.assertFalse(os.get_inheritable(opened))

    def test_noDescriptorLeft(self) -> None:
        """
        With no descriptor to be had the error says so.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            code = self.code(b"file")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(code, errno.EMFILE)
