"""How many `hostedge.net.descriptors` lets there be."""

from __future__ import annotations

import resource
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.descriptors import MOST, connections_for

RAISED = """
import resource
from hostedge.net.descriptors import raise_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
print(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


class DescriptorsTests(SynchronousTestCase):
    """From descriptors to connections."""

    def test_connections(self) -> None:
        """Two descriptors each, a fifth left free, and a reserve for everything else."""
        self.assertEqual(connections_for(1024), 204)
        self.assertEqual(connections_for(65_536), 26_009)
        self.assertEqual(connections_for(65_536, 8192), 8192)
        # no more than there is room for, whatever was asked for
        self.assertEqual(connections_for(1024, 8192), 204)
        self.assertEqual(connections_for(100), 1)

    def test_raised(self) -> None:
        """A process may raise what it was started with, up to what the kernel allows it."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        done = subprocess.run(
            [sys.executable, "-c", RAISED], capture_output=True, text=True, check=True
        )
        wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
        self.assertEqual(done.stdout.split(), [str(wanted)] * 2)
