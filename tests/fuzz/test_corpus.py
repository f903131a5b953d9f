"""Every input that fuzzing has found worth keeping, once more."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.corpus import read
from tests.fuzz.targets.known import TARGETS


class CorpusTests(SynchronousTestCase):
    """What has to hold for any bytes holds for these."""

    def test_corpus(self) -> None:
        """No kept input breaks its target, and no target is without inputs."""
        for target in TARGETS.values():
            inputs = read(target.name)
            self.assertGreater(len(inputs), 10, target.name)
            for data in inputs:
                try:
                    target.check(data)
                except Exception as error:
                    error.add_note(f"{target.name}: {data.hex()}")
                    raise
