"""
Tests for `hostedge.supervise.report`.
"""

import os

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hostedge.supervise.report import LaunchFailed, Report, read_report


class ReadTests(SynchronousTestCase):
    def test_stages(self):
        """
        Silence is success, and so is a view that was entered; one that was not is a failure.
        """
        for said, step in ((b"", None), (b"view\ninside\n", None), (b"view\n", "view")):
            failed = read_report(said)
            self.assertEqual(failed and failed[0], step)

    def test_failed(self):
        """
        Step, errno and line are told apart, whatever is in them.
        """
        for said, wanted in (
            (b"failed 2 command\tx: a\tb\nc\n", ("command", 2, "x: a\tb\nc")),
            (b"view\ninside\nfailed 13 directory\t/x\n", ("directory", 13, "/x")),
            (b"failed 22 limit nofile\tno\n", ("limit nofile", 22, "no")),
            (b"failed ", ("", 0, "")),
            (b"failed 1 x\t\xff\n", ("x", 1, "\udcff")),
        ):
            self.assertEqual(read_report(said), wanted)

    def test_reason(self):
        """
        The failure reads as the owner's line and has what a process's end has.
        """
        failed = LaunchFailed("command", 2, "command not found: x", 127)
        self.assertEqual((str(failed), failed.exitCode), ("command not found: x", 127))


class ReportTests(SynchronousTestCase):
    def setUp(self):
        self.reactor = MemoryReactorClock()
        reading, self.writing = os.pipe()
        self.report = Report(self.reactor, reading)
        verifyObject(IReadDescriptor, self.report)

    def end(self):
        os.close(self.writing)

    def test_executed(self):
        """
        The end of the pipe is the moment at which the daemon began; nothing stays open.
        """
        told = []
        self.report.told = lambda: told.append(self.report.executed)
        self.reactor.advance(5)
        self.report.doRead()
        self.assertIsNone(self.report.executed)
        self.end()
        # of a pipe that is at its end the reactor says only this
        self.report.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.report.executed, told), (5, [5]))
        self.assertEqual((self.report.fileno(), self.reactor.getReaders()), (-1, []))
        self.assertIsNone(self.report.finish())

    def test_failed(self):
        """
        What was said last is read when the process has ended, if the reactor did not come to it.
        """
        os.write(self.writing, b"failed 2 command\tnot found\n")
        self.end()
        self.assertEqual(self.report.finish(), ("command", 2, "not found"))
        self.assertIsNone(self.report.executed)
        self.assertEqual(self.reactor.getReaders(), [])

    def test_heldOpen(self):
        """
        Somebody who keeps the pipe is not waited for.
        """
        self.addCleanup(self.end)
        self.assertIsNone(self.report.finish())
        self.assertEqual((self.report.fileno(), self.reactor.getReaders()), (-1, []))

    def test_tooMuch(self):
        """
        No more is kept than a launcher says.
        """
        os.write(self.writing, b"x" * 60_000)
        self.end()
        self.report.finish()
        self.assertLess(len(self.report._said), 10_000)
