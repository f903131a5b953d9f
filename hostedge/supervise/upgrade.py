"""
The upgrade of a running node: every process goes on as the code that is on the disk now.

In:  `links.keeper` when control asks for one; `keeper` at its start, which goes on with one that
     the exec, or a keeper's death, has left half done.
Out: `run/upgrade.json`, written at every step: `hostedge upgrade` shows it.

    check       the new code is started beside the node and looks whether it could run it
    keeper      execs the new code: same pid, same children
    template    a second one is started
    edge N      one after the other: a new one has linked before an old one is told to leave
    control     is ended, and started again

Whatever does not come up stops the upgrade: what was there before stays.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from attrs import Factory, asdict, define
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hostedge.supervise.family import CONTROL, Place
from hostedge.supervise.handover import quiet
from hostedge.supervise.inheritance import Relative
from hostedge.supervise.notes import replace_file

LOOK = 0.02  # seconds between two looks at who has come
PATIENCE = 30.0  # seconds that a new process has to link
# seconds that apps have to come up before the keeper becomes another
SETTLE = 10.0
# seconds that control has to end what it is asked, before it is ended
CONTROL_END = 10.0
# keepers that may go on with the same upgrade; one more, and it is the upgrade that ends them
KEEPERS = 3


@define
class Record:
    """How far an upgrade has come."""

    # `running`, `done` or `stopped`
    state: str
    # when it was ordered: in clock ticks after boot, as processes begin, and as UNIX time
    began: int
    ordered: float
    # which step is under way, and since when
    step: str
    since: float
    # why it was stopped
    reason: str = ""
    # that have gone on with it
    keepers: int = 0
    # `step` and `seconds` of those that are done
    steps: list[dict[str, Any]] = Factory(list)


class Stopped(Exception):
    """The upgrade does not go on; the text says why."""


class Family(Protocol):
    """What there is to be replaced: `supervise.family.Family`."""

    def add(self, role: str) -> Place: ...

    def holder(self, place: Place) -> Relative | None: ...

    def is_there(self, place: Place) -> bool: ...

    def is_linked(self, place: Place) -> bool: ...

    def template_place(self) -> Place: ...

    def use(self, place: Place) -> None: ...

    def confirm(self, place: Place) -> None: ...

    def leave(self, place: Place, patience: float = 0.0) -> None: ...

    def edge_places(self) -> list[Place]: ...

    def aged(self) -> list[Place]: ...

    def signal_one(self, place: Place, number: int) -> None: ...


def read_record(path: Path) -> Record | None:
    """What was written last; None if there is nothing that can be read."""
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


class Upgrade:
    """
    One upgrade at a time. It never has fewer edges take requests than there were.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        family: Family,
        let_go: Callable[[int], None],
        leaving: float,
        edges: int,
        ticks: Callable[[], int],
        check: Callable[[], Awaitable[str]],
        is_settled: Callable[[], bool],
        hand_over: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._family = family
        # tells an edge to leave, which has so many seconds then
        self._let_go = let_go
        self._leaving = leaving
        self._edges = edges
        self._ticks = ticks
        self._check = check
        # no app is being started
        self._is_settled = is_settled
        self._hand_over = hand_over
        self._record: Record | None = None
        self._work: Deferred[None]

    def order(self) -> str:
        """Begin; empty, or why not."""
        if self._record is not None:
            return f"an upgrade is under way, at the step {self._record.step}"
        now = self._reactor.seconds()
        self._record = Record("running", self._ticks(), now, "check", now)
        self._run(self._prepare())
        return ""

    def resume(self) -> None:
        """Go on with one that is not over."""
        record = read_record(self._path)
        if record is None or record.state != "running":
            return
        self._record = record
        record.keepers += 1
        self._note(record)
        self._run(self._replace_all())

    def abandon(self) -> None:
        """The node is to end, as whatever code it is."""
        if self._record is not None:
            self._work.cancel()

    def _run(self, work: Any) -> None:
        self._work = Deferred.fromCoroutine(work)
        self._work.addErrback(self._broke)

    def _broke(self, failure: Any) -> None:
        reason = str(failure.value)
        if failure.check(CancelledError):
            reason = "the node was told to end"
        elif failure.check(Stopped, OSError) is None:
            self.log.failure("the upgrade broke off", failure)
            reason = f"a fault of the keeper, which its log has: {failure.getErrorMessage()}"
        self._end("stopped", reason)

    def _end(self, state: str, reason: str = "") -> None:
        record, self._record = self._record, None
        if record is None:
            raise AssertionError("there is no upgrade to end")
        record.state, record.reason = state, reason
        self._note(record)
        if reason:
            self.log.error("upgrade stopped at {step}: {reason}", step=record.step, reason=reason)
        else:
            self.log.info("upgrade done")

    def _write(self, record: Record) -> None:
        """
        Raises:
            OSError: new code would not know that it has to go on.
        """
        replace_file(self._path, json.dumps(asdict(record)))

    def _note(self, record: Record) -> None:
        """What is there to be replaced is seen without the record; only who watches is misled."""
        try:
            self._write(record)
        except OSError as error:
            self.log.error("the record of the upgrade is old: {error}", error=error)

    def _begin(self, step: str) -> None:
        """The step before is done."""
        record = self._record
        if record is None:
            raise AssertionError("there is no upgrade")
        if record.step != step:
            self._step(record, step)
            self._note(record)

    def _step(self, record: Record, step: str) -> None:
        now = self._reactor.seconds()
        if record.step:
            record.steps.append({"step": record.step, "seconds": now - record.since})
        record.step, record.since = step, now

    async def _prepare(self) -> None:
        record = self._record
        if record is None:
            raise AssertionError("there is no upgrade")
        self._write(record)
        problem = await self._check()
        if problem:
            where = "all of it is in run/upgrade.log"
            raise Stopped(f"the new code cannot run this node: {problem}; {where}")
        self._step(record, "keeper")
        self._write(record)
        # an app that is being started would be started once more
        await self._until(self._is_settled, SETTLE)
        with quiet():
            # what a signal has set off already comes first, and may abandon this
            await deferLater(self._reactor, 0)
            try:
                self._hand_over()
            except OSError as error:
                raise Stopped(f"the new code could not be executed: {error.strerror}") from None

    async def _replace_all(self) -> None:
        record = self._record
        if record is None:
            raise AssertionError("there is no upgrade")
        if record.step == "check":
            raise Stopped("the keeper ended while the new code was being checked")
        if record.keepers > KEEPERS:
            raise Stopped(f"the keeper has ended {KEEPERS} times while it was under way")
        before = self._family.template_place()
        after = await self._new_template(record.began)
        try:
            await self._new_edges()
        except Stopped:
            if after != before:
                # who is left of the older ones is followed by its like
                self._family.use(before)
                self._family.leave(after)
            raise
        if after != before:
            self._family.leave(before)
        await self._new_control(record.began)
        self._begin("")
        self._end("done")

    async def _new_template(self, began: int) -> Place:
        """The place of a template that has begun since then."""
        self._begin("template")
        present = self._family.template_place()
        holder = self._family.holder(present)
        if holder is not None and holder.started >= began:
            return present
        place = self._add("template")
        await self._linked(place, "template")
        self._family.confirm(place)
        self._family.use(place)
        return place

    async def _new_edges(self) -> None:
        family = self._family
        while aged := family.aged():
            place = aged[0]
            # fewer are needed where the settings want fewer than there were
            if len(family.edge_places()) <= self._edges:
                new = self._add("edge")
                self._begin(f"edge {new[1]}")
                await self._linked(new, f"edge {new[1]}")
                family.confirm(new)
            family.leave(place, self._leaving)
            self._let_go(place[1])

    async def _new_control(self, began: int) -> None:
        family = self._family
        self._begin("control")
        before = family.holder(CONTROL)
        if before is not None and before.started < began:
            family.signal_one(CONTROL, signal.SIGTERM)
            if not await self._until(lambda: family.holder(CONTROL) != before, CONTROL_END):
                family.signal_one(CONTROL, signal.SIGKILL)
        if not await self._until(lambda: self._has_followed(began), PATIENCE):
            raise Stopped(f"control has not come up in {PATIENCE:.0f} s; log/control.log says why")

    def _has_followed(self, began: int) -> bool:
        now = self._family.holder(CONTROL)
        return now is not None and now.started >= began and self._family.is_linked(CONTROL)

    def _add(self, role: str) -> Place:
        try:
            return self._family.add(role)
        except OSError as error:
            raise Stopped(f"a new {role} could not be started: {error}") from None

    async def _linked(self, place: Place, name: str) -> None:
        """
        Return when whoever is at this place has linked; a new one that does not is ended.

        Raises:
            Stopped: it has ended or takes too long.
        """
        family = self._family
        await self._until(lambda: family.is_linked(place) or not family.is_there(place), PATIENCE)
        if family.is_linked(place):
            return
        if not family.is_there(place):
            raise Stopped(f"the new {name} has ended as it began; log/edge.log says why")
        family.leave(place)
        raise Stopped(f"the new {name} has not come up in {PATIENCE:.0f} s; log/edge.log says why")

    async def _until(self, condition: Callable[[], bool], patience: float) -> bool:
        deadline = self._reactor.seconds() + patience
        while not condition():
            if self._reactor.seconds() >= deadline:
                return False
            await deferLater(self._reactor, LOOK)
        return True
