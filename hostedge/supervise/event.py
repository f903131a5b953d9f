"""
One thing that has happened to an app.

In:  `supervise.events` makes them of what it is told.
Out: values for JSON, a line of bounded length. No Twisted in here.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen

LINE = 16_384  # bytes of one event
TEXT = 500  # characters of one fact: a reason may end with what a daemon said

# which begin and end a generation's processes; `crashed` comes beside an end
BEGINS = ("launched", "adopted")
ENDS = ("exited", "start_failed")


@frozen
class Event:
    """One thing that happened; `count`: how many of its kind it stands for."""

    time: float
    # `account/name`
    app: str
    # 0: of none
    generation: int
    event: str
    facts: dict[str, Any]
    number: int = 0
    count: int = 1

    def tell(self) -> dict[str, Any]:
        """As values for JSON, without what is not known."""
        told: dict[str, Any] = {"number": self.number, "time": round(self.time, 3), "app": self.app}
        if self.generation:
            told["generation"] = self.generation
        told["event"] = self.event
        told |= {name: fact for name, fact in self.facts.items() if fact not in (None, "")}
        if self.count > 1:
            told["count"] = self.count
        return told

    def line(self) -> bytes:
        """Its JSON, of bounded length whatever it was told with."""
        told = {name: _shortened(fact) for name, fact in self.tell().items()}
        while len(line := _json(told)) > LINE:
            told.pop(max(self.facts.keys() & told.keys(), key=lambda name: len(_json(told[name]))))
        return line


def _shortened(fact: Any) -> Any:
    return fact[:TEXT] if isinstance(fact, str) else fact


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=str).encode()
