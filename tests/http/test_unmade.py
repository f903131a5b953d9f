"""Why a connection was not made."""

from __future__ import annotations

import errno
from unittest import TestCase

from hostedge.errors import CAUSES
from hostedge.http.unmade import cause_of


class UnmadeTests(TestCase):
    def test_causes(self) -> None:
        """What the kernel says, and where."""
        for error, local, cause in (
            (OSError(errno.EAGAIN, ""), True, "queue_full"),
            (OSError(errno.ECONNREFUSED, ""), True, "upstream_refused"),
            (OSError(errno.ENOENT, ""), True, "upstream_refused"),
            (TimeoutError("connect"), True, "queue_full"),
            (TimeoutError("connect"), False, "connect_timeout"),
            (OSError(errno.ETIMEDOUT, ""), False, "connect_timeout"),
        ):
            self.assertEqual(cause_of(error, local), cause, (error, local))
            self.assertIn(cause, CAUSES)
