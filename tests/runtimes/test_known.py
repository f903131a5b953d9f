"""
Tests for `hostedge.runtimes.known`.
"""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.model.parse import Words, parse_site, site_document
from hostedge.runtimes.known import KINDS

WORDS = Words(mappings=(), runtimes=KINDS)


def site(**app):
    return {"account": "demo", "apps": [{"name": "x", **app}]}


class KnownTests(SynchronousTestCase):
    def test_siteFile(self):
        """
        The examples of the runtimes can be read, and written back the same.
        """
        for app in (
            {"runtime": "wsgi", "directory": "apps/x", "module": "hello:app", "threads": 4},
            {"runtime": "command", "command": ["python", "chat.py"], "listen": "socket"},
        ):
            document = site(**app)
            self.assertEqual(site_document(parse_site(document, "f", WORDS), WORDS), document)

    def test_mistakes(self):
        """
        A wrong option is named with what is wanted.
        """
        for app, key in (
            ({"runtime": "wsgi", "module": "hello"}, "module"),
            ({"runtime": "wsgi", "module": "a:b", "threads": 0}, "threads"),
            ({"runtime": "command", "command": []}, "command"),
            ({"runtime": "command", "command": ["x"], "listen": "udp"}, "listen"),
            ({"runtime": "cobol"}, "runtime"),
        ):
            error = self.assertRaises(ConfigError, parse_site, site(**app), "f", WORDS)
            self.assertIn(key, error.where)
