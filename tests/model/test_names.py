"""
Tests for `hostedge.model.names`.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model import names


class NamesTests(SynchronousTestCase):
    """Each check gives the one normal form or says what is wanted."""

    def check(
        self, read: Callable[[object], object], good: dict[object, object], bad: list[object]
    ) -> None:
        for value, wanted in good.items():
            self.assertEqual(read(value), wanted)
        for value in bad:
            error = self.assertRaises(ValueError, read, value)
            self.assertRegex(str(error), "want")
            self.assertLess(len(str(error)), 200)

    def test_objectName(self) -> None:
        """
        Names are small letters, digits and hyphens, at most 32.
        """
        good = {name: name for name in ("a", "0", "a-b", "a" * 32)}
        bad = ["", "-a", "A", "a_b", "a.b", "a/b", "a" * 33, "ä", "a\n", 1, None, ["a"]]
        self.check(names.object_name, good, bad)

    def test_plainText(self) -> None:
        """
        Any characters, but whole ones: half of a pair can be neither stored nor handed over.
        """
        good: dict[object, object] = {text: text for text in ("", "a\nb", "é", "\U0001f600")}
        self.check(names.plain_text, good, [7, None, "a\0b", "x" * 65_537, "a\ud800b", "\udc80"])

    def test_siteName(self) -> None:
        """
        A domain is a host name or a wildcard of one label.
        """
        good = {"A.example": "a.example", "*.A.example.": "*.a.example", "::": None}
        del good["::"]
        bad = ["*", "*.", "*.*.example", "a.*.example", "*a.example", "*.192.0.2.1", "*.[::1]", 1]
        bad.append("*." + ".".join(["a" * 63] * 3 + ["b" * 60]))
        self.check(names.site_name, good, bad)

    def test_duration(self) -> None:
        """
        A duration is a number of seconds or has a unit; nothing is endless or negative.
        """
        good = {0: 0.0, 1.5: 1.5, "90s": 90.0, "30m": 1800.0, "1h": 3600.0, "1.5d": 129_600.0}
        bad = [-1, True, "30", "m", "1 h", "1w", "-1s", None, float("nan"), float("inf"), 1e10]
        self.check(names.duration, good, bad)
        self.check(names.above_zero, {1: 1.0}, [0, "0s"])

    @given(st.floats(0, names.MAX_DURATION) | st.integers(0, 10**8).map(float))
    def test_durationReadsBack(self, seconds: float) -> None:
        """
        What a duration is written as is the same duration.
        """
        self.assertEqual(names.duration(names.duration_document(seconds)), seconds)

    def test_durationIsShort(self) -> None:
        """
        The largest unit that fits is used.
        """
        for seconds, text in ((0.0, 0), (1800.0, "30m"), (90.0, "90s"), (86_400.0, "1d")):
            self.assertEqual(names.duration_document(seconds), text)

    def test_size(self) -> None:
        """
        A size is a number of bytes or has a unit; the document has the largest that fits.
        """
        good = {0: 0, 500: 500, "500": 500, "64k": 65_536, "2g": 2**31, "0m": 0}
        bad = [-1, True, 1.5, "1 k", "1K", "1t", "-1k", "k", "", None, "9" * 16]
        self.check(names.size, good, bad)
        for number, text in ((0, 0), (1000, 1000), (65_536, "64k"), (2**31, "2g"), (2**20, "1m")):
            self.assertEqual(names.size_document(number), text)

    @given(st.integers(0, 10**15))
    def test_sizeReadsBack(self, number: int) -> None:
        """
        What a size is written as is the same size.
        """
        self.assertEqual(names.size(names.size_document(number)), number)

    def test_relativePath(self) -> None:
        """
        Paths stay below the home, as far as their text says.
        """
        good = {"a/b": "a/b", "a//b/": "a/b", "./a": "a", ".": ".", "..a/b..": "..a/b.."}
        bad = ["", "/", "/a", "..", "a/../b", "a/..", "../a", "a\0", "a" * 1025, 1, None]
        self.check(names.relative_path, good, bad)

    def test_pathPrefix(self) -> None:
        """
        A prefix is whole segments; a slash at the end makes no difference.
        """
        good = {"/": "/", "/a": "/a", "/a/": "/a", "/a/b.c": "/a/b.c", "/...": "/..."}
        bad = ["", "a", "//", "/a//b", "/a//", "/.", "/a/../b", "/a?b", "/a#", "/a b", "/\\", "/\n"]
        self.check(names.path_prefix, good, [*bad, "/" + "a" * 1024, 1, None])

    def test_serverAddress(self) -> None:
        """
        A server is a host with its port or a socket's absolute path.
        """
        good = {
            "A.example:80": "a.example:80",
            "192.0.2.1:080": "192.0.2.1:80",
            "[::1]:8080": "[::1]:8080",
            "unix:/run/x.sock": "unix:/run/x.sock",
        }
        bad = ["a", "a:", ":80", "a:0", "a:65536", "::1:80", "a:b", "http://a:80", "a:٣", 80]
        bad += ["unix:x", "unix:/", "unix:/" + "a" * 107]
        self.check(names.server_address, good, bad)

    def test_hostWanted(self) -> None:
        """
        A name in its normal form, with a port or without, or one of the two words.
        """
        good = {
            "keep": "keep",
            "server": "server",
            "A.Test.": "a.test",
            "a:080": "a:80",
            "münchen.test": "xn--mnchen-3ya.test",
            "[::1]": "[::1]",
            "[0::1]:81": "[::1]:81",
            "10.0.0.1:81": "10.0.0.1:81",
        }
        bad = ["", "a:", "a:0", "a:65536", "::1", "a b", "a/b", "u@a", "a\r\nX: 1", "*.a", 1, None]
        self.check(names.host_wanted, good, bad)

    def test_keptFields(self) -> None:
        """
        Only names that need it, and none that an app could take for the node's word.
        """
        self.assertEqual(names.kept_fields(["X_A", "x.b", "x_a"]), ("x_a", "x.b"))
        mistaken = ["X_Forwarded_For", "x-real_ip", "Content_Length", "X_Hostedge_Reason"]
        for wrong in ("X-A", "a b", "a:", "", "ä_", "x_" * 99, 1, None, *mistaken):
            self.assertRaises(ValueError, names.kept_fields, [wrong])
        for wrong in ("x_a", {"x_a": 1}, [f"x_{n}" for n in range(65)]):
            self.assertRaises(ValueError, names.kept_fields, wrong)

    def test_environment(self) -> None:
        """
        Owners set their own variables, not those that steer how a process is started.
        """
        self.assertEqual(names.environment({"A_1": "x\ny"}), {"A_1": "x\ny"})
        for name in ("LD_PRELOAD", "LISTEN_FDS", "NOTIFY_SOCKET", "HOSTEDGE_APP", "A=B", "1", ""):
            self.assertRaises(ValueError, names.environment, {name: "x"})
        for value in (1, True, None, "a\0b"):
            error = self.assertRaises(ValueError, names.environment, {"A": value})
            self.assertIn("A: want a text", str(error))
        self.assertRaises(ValueError, names.environment, ["A=1"])

    def test_numbersAndWords(self) -> None:
        """
        Numbers have bounds, true is not one of them; words come from a list.
        """
        self.check(names.between(1, 3), {1: 1, 3: 3}, [0, 4, True, "2", 2.0, None])
        self.check(names.one_of("a", "b"), {"a": "a"}, ["c", None, ["a"]])

    def test_errorsAreShort(self) -> None:
        """
        A wrong value is shown, not repeated at length.
        """
        self.assertLess(len(names.shown("x" * 1000)), 70)
        self.assertEqual(names.shown(None), "nothing")
