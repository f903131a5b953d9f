"""
Keeps what is told of apps.
"""

from typing import Any


class Told:
    """`supervise.supervised.Events` for a test: the words, in order, by app."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.facts: list[dict[str, Any]] = []

    def tell(self, event: str, app: str, generation: int = 0, **facts: Any) -> None:
        self.events.append((event, app))
        self.facts.append({"event": event, "generation": generation, **facts})

    def of(self, event: str) -> list[dict[str, Any]]:
        """The facts of each event of this kind."""
        return [each for each in self.facts if each["event"] == event]
