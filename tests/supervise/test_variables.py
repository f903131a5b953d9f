"""
Tests for `hostedge.supervise.variables`.
"""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.variables import VariableRefused, check_owner, daemon_environment


class VariableTests(SynchronousTestCase):
    def test_nodeOnly(self):
        """
        What steers the loader, the sockets or the identity is refused, and named.
        """
        for name in (
            *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"),
            *("NOTIFY_SOCKET", "HOSTEDGE_APP", "HOSTEDGE_UNIT", "LD_\n"),
        ):
            error = self.assertRaises(VariableRefused, check_owner, {"A": "1", name: "x"})
            self.assertEqual(error.name, name)
            self.assertIn("the node's to set", str(error))

    def test_nobodys(self):
        """
        What would be another variable in the environment is no variable.
        """
        for name, value in (("", "x"), ("A=B", "x"), ("A\0B", "x"), ("A", "x\0LD_PRELOAD=y")):
            self.assertRaises(VariableRefused, check_owner, {name: value})

    def test_owners(self):
        """
        Names that only look alike are the owner's.
        """
        check_owner({"OLD_X": "1", "LISTEN": "1", "ld_preload": "1", "MY_NOTIFY_SOCKET": "1"})

    def test_precedence(self):
        """
        The node's words count before the owner's, his before the white list; folders are
        looked through once.
        """
        made = daemon_environment(
            "demo", "/h/demo", ("/a:/b", "/c", "/c"), {"LANG": "C", "PORT": "1"}, {"PORT": "2"}
        )
        self.assertEqual((made["LANG"], made["PORT"], made["PATH"]), ("C", "2", "/a:/b:/c"))
        self.assertEqual(set(made), {*"HOME USER LOGNAME SHELL PATH LANG TMPDIR PORT".split()})
