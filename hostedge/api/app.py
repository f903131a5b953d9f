"""
The calls of the API: what each takes, whom it asks, what it answers.

In:  `api.server` with requests that were let in; the `hostedge` command makes them.
Out: JSON; `{"error": {"where": …, "problem": …}}` when a call is refused.

    POST /v1/apply     {"sites": […], "dry_run": false}   revision and changes, once live
    PUT  /v1/zones/NAME {"account": …, "zone": {…}, "dry_run": false}  the same
    GET  /v1/zones/NAME                                   a zone, and what is served of it
    POST /v1/undo      {"revision": N, "dry_run": false}  the same
    GET  /v1/export    ?account=                          a site a line
    GET  /v1/changes   ?since=&key=                       a change a line
    GET  /v1/diff      ?from=&to=&key=                    an object a line
    PUT  /v1/secrets   {"values": [PEM, …]}               the references that stand for them
    GET  /v1/backup                                       the store as one SQLite file
    GET  /v1/sites                                        what active sites do, by edge
    GET  /v1/status  /v1/apps  /v1/explain?url=&method=&at=
    GET  /v1/apps/ACCOUNT/APP                             one app, and its last start that failed
    GET  /v1/apps/ACCOUNT/APP/journey  /v1/apps/ACCOUNT/APP/log?lines=&after=&wait=
    GET  /v1/events    ?app=&last=&since=&after=&wait=    what has happened to apps
    GET  /v1/refused   ?cause=&site=&id=                  requests that were refused
    POST /v1/apps/ACCOUNT/APP/restart
    POST /v1/accounts/ACCOUNT/suspend  /v1/accounts/ACCOUNT/resume
    POST /v1/upgrade                                      begin one
    GET  /v1/upgrade                                      how far the last one has come
    GET  /metrics                                         what is counted, for Prometheus
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException

from hostedge.api import explanation, history, refusals, zones
from hostedge.api.calls import Refused, asked, json_line, query, read_body, read_call, reply
from hostedge.api.daemons import DaemonCalls
from hostedge.api.guard import JSON, error_body
from hostedge.api.metrics import Scrapes
from hostedge.api.parts import Caller, History, InThread, Node, Outcome, Store, Zones
from hostedge.api.stream import Lines, Stream, file_pieces
from hostedge.errors import CAUSES, ConfigError, Conflict
from hostedge.model.chain import public_key_of
from hostedge.model.names import plain_text
from hostedge.model.parse import Words, parse_site, site_document
from hostedge.observe.sites import BOUNDS
from hostedge.settings import Metrics

JSON_LINES = b"application/jsonl"

# SQLite's words for a disk that is full or broken, and for files that others hold or have closed
_OF_THE_DISK = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
}

# Writes what a body says, in the name of somebody; whether it was a dry run, and what came of it.
Write = Callable[[bytes, str], tuple[bool, Outcome]]


@frozen
class Threads:
    """Where blocking work is done: all writing in one thread, in order; reading in any."""

    writing: InThread
    reading: InThread


class Api:
    """One for each control process."""

    log = Logger()
    app = Klein()

    def __init__(
        self,
        store: Store,
        past: History,
        served: Zones,
        node: Node,
        words: Words,
        threads: Threads,
        caller: Caller,
        folder: Path,
        metrics: Metrics | None = None,
        *,
        logs: Path,
        clock: Any,
    ) -> None:
        self._store = store
        self._history = past
        self._zones = served
        self._node = node
        self._words = words
        self._threads = threads
        self._caller = caller
        # where a backup lies while it is sent
        self._folder = folder
        self._scrapes = Scrapes(node, metrics or Metrics())
        self._daemons = DaemonCalls(node, store, threads.reading, logs, clock)

    def resource(self) -> IResource:
        return self.app.resource()

    @app.route("/v1/apply", methods=["POST"])
    async def apply(self, request: Request) -> bytes:
        return await self._write(request, self._apply)

    @app.route("/v1/undo", methods=["POST"])
    async def undo(self, request: Request) -> bytes:
        return await self._write(request, self._undo)

    async def _write(self, request: Request, write: Write) -> bytes:
        writing = self._written(write, read_body(request), self._caller(request))
        return reply(request, await _to_the_end(writing))

    async def _written(self, write: Write, body: bytes, who: str) -> dict[str, Any]:
        dry_run, outcome = await self._threads.writing(write, body, who)
        if not dry_run:
            # Also without a change: the one who made it may not have waited until it was live.
            await self._node.announce(outcome.revision)
        return {
            "revision": outcome.revision,
            "dry_run": dry_run,
            "changes": [{"key": c.key, "what": history.what(c)} for c in outcome.changes],
        }

    def _apply(self, body: bytes, who: str) -> tuple[bool, Outcome]:
        call = read_call(body, {"sites": list, "dry_run": bool}, required="sites")
        sites = [
            parse_site(document, f"sites[{number}]", self._words)
            for number, document in enumerate(call["sites"])
        ]
        dry_run = call.get("dry_run", False)
        return dry_run, self._store.apply(sites, who, dry_run)

    def _undo(self, body: bytes, who: str) -> tuple[bool, Outcome]:
        call = read_call(body, {"revision": int, "dry_run": bool}, required="revision")
        revision, dry_run = call["revision"], call.get("dry_run", False)
        history.check_there("revision", revision, self._history.newest())
        return dry_run, self._store.undo(revision, who, dry_run)

    @app.route("/v1/zones/<name>", methods=["PUT"])
    async def put_zone(self, request: Request, name: str) -> bytes:
        return await self._write(request, partial(zones.put, self._store, self._words, name))

    @app.route("/v1/zones/<name>", methods=["GET"])
    async def zone(self, request: Request, name: str) -> bytes:
        return reply(request, await self._threads.reading(zones.show, self._zones, name))

    @app.route("/v1/secrets", methods=["PUT"])
    async def put_secrets(self, request: Request) -> bytes:
        storing = self._threads.writing(self._keep, read_body(request))
        return reply(request, {"references": await _to_the_end(storing)})

    def _keep(self, body: bytes) -> list[str]:
        values = read_call(body, {"values": list}, required="values")["values"]
        for number, value in enumerate(values):
            try:
                public_key_of(plain_text(value))
            except ValueError:
                # what is wrong with it might quote it
                problem = "want an unencrypted private key in PEM"
                raise ConfigError(f"values[{number}]", problem) from None
        return self._store.put_secrets(values)

    @app.route("/v1/export", methods=["GET"])
    async def export(self, request: Request) -> None:
        account = query(request, "account")
        lines = self._sites(account or None)
        if account:
            line = await self._threads.reading(next, lines, None)
            if line is None:
                raise Refused(404, "account", f"there is no account {account}")
            lines = iter([line])
        await self._send_lines(request, lines)

    def _sites(self, account: str | None) -> Iterator[str]:
        for site in self._store.export(account):
            yield json_line(site_document(site, self._words))

    @app.route("/v1/changes", methods=["GET"])
    async def changes(self, request: Request) -> None:
        since, key = query(request, "since"), query(request, "key")
        await self._send_lines(request, history.changes(self._history, since, key))

    @app.route("/v1/diff", methods=["GET"])
    async def diff(self, request: Request) -> None:
        since, until, key = (query(request, name) for name in ("from", "to", "key"))
        await self._send_lines(request, history.difference(self._history, since, until, key))

    @app.route("/v1/backup", methods=["GET"])
    async def backup(self, request: Request) -> None:
        path = self._folder / f"backup-{secrets.token_hex(8)}"
        try:
            await self._threads.reading(self._store.backup, path)
            file = path.open("rb")
        except ConfigError as error:
            # nothing that the caller could have asked for differently
            raise Refused(503, error.where, error.problem) from None
        finally:
            path.unlink(missing_ok=True)
        request.setHeader(b"content-type", b"application/vnd.sqlite3")
        request.setHeader(b"content-length", b"%d" % os.fstat(file.fileno()).st_size)
        await self._send(request, file_pieces(file))

    @app.route("/v1/status", methods=["GET"])
    async def status(self, request: Request) -> bytes:
        return reply(request, await asked(self._node.status()))

    @app.route("/metrics", methods=["GET"])
    async def metrics(self, request: Request) -> bytes:
        accept = request.getHeader(b"accept") or b""
        body, media_type = await asked(self._scrapes.answer(accept.decode("latin-1")))
        request.setHeader(b"content-type", media_type.encode())
        return body

    @app.route("/v1/sites", methods=["GET"])
    async def sites(self, request: Request) -> bytes:
        edges = await asked(self._node.sites())
        return reply(request, {"bounds": BOUNDS, "edges": edges})

    @app.route("/v1/refused", methods=["GET"])
    async def refused(self, request: Request) -> bytes:
        cause, site, error_id = (query(request, name) for name in ("cause", "site", "id"))
        found = await asked(refusals.find(self._node, cause, site, error_id))
        return reply(request, {"refused": found})

    @app.route("/v1/apps", methods=["GET"])
    async def apps(self, request: Request) -> bytes:
        return reply(request, {"apps": await asked(self._node.daemons())})

    @app.route("/v1/apps/<account>/<app>", methods=["GET"])
    async def one_app(self, request: Request, account: str, app: str) -> bytes:
        return reply(request, await self._daemons.one(account, app))

    @app.route("/v1/apps/<account>/<app>/journey", methods=["GET"])
    async def journey(self, request: Request, account: str, app: str) -> bytes:
        return reply(request, await self._daemons.journey(account, app))

    @app.route("/v1/apps/<account>/<app>/log", methods=["GET"])
    async def log_of_app(self, request: Request, account: str, app: str) -> bytes:
        return reply(request, await self._daemons.log(request, account, app))

    @app.route("/v1/events", methods=["GET"])
    async def events(self, request: Request) -> bytes:
        return reply(request, await self._daemons.events(request))

    @app.route("/v1/accounts/<account>/suspend", methods=["POST"])
    async def suspend(self, request: Request, account: str) -> bytes:
        return await self._suspend(request, account, True)

    @app.route("/v1/accounts/<account>/resume", methods=["POST"])
    async def resume(self, request: Request, account: str) -> bytes:
        return await self._suspend(request, account, False)

    async def _suspend(self, request: Request, account: str, suspended: bool) -> bytes:
        suspending = self._suspended(account, suspended, self._caller(request))
        return reply(request, await _to_the_end(suspending))

    async def _suspended(self, account: str, suspended: bool, who: str) -> dict[str, Any]:
        try:
            running = await self._daemons.running(account) if suspended else []
        except Refused:
            # without a keeper it is suspended all the same
            running = None

        def write(_: bytes, who: str) -> tuple[bool, Outcome]:
            return False, self._daemons.suspend(account, suspended, who)

        told = {"account": account, "suspended": suspended, "stopped": running}
        return {**told, **await self._written(write, b"", who)}

    @app.route("/v1/apps/<account>/<app>/restart", methods=["POST"])
    async def restart(self, request: Request, account: str, app: str) -> bytes:
        name = f"{account}/{app}"
        why_not = await asked(self._node.restart(name))
        if why_not == "not_configured":
            raise Refused(404, name, "there is no such app")
        if why_not:
            cause = CAUSES.get(why_not)
            raise Refused(cause.status if cause else 409, name, cause.reason if cause else why_not)
        return reply(request, {"app": name, "restarted": True})

    @app.route("/v1/upgrade", methods=["POST"])
    async def upgrade(self, request: Request) -> bytes:
        why_not = await asked(self._node.upgrade())
        if why_not:
            raise Refused(409, "upgrade", why_not)
        return reply(request, {"upgrade": self._node.upgraded()})

    @app.route("/v1/upgrade", methods=["GET"])
    def upgraded(self, request: Request) -> bytes:
        return reply(request, {"upgrade": self._node.upgraded()})

    @app.route("/v1/explain", methods=["GET"])
    async def explain(self, request: Request) -> bytes:
        url, method, at = (query(request, name) for name in ("url", "method", "at"))
        explain = partial(explanation.explain, self._node, self._history, self._threads.reading)
        return reply(request, await explain(url, method or "GET", at))

    async def _send_lines(self, request: Request, lines: Iterator[str]) -> None:
        request.setHeader(b"content-type", JSON_LINES)
        await self._send(request, Lines(lines, self._threads.reading).pieces())

    async def _send(self, request: Request, pieces: Any) -> None:
        try:
            await Stream(request).send(pieces)
        except CancelledError:
            raise
        except Exception as error:
            if not request.startedWriting:
                raise
            # The head is gone, so only a broken connection can tell that this is not all.
            self._failed(request, Failure(error))
            transport: Any = request.channel.transport
            transport.abortConnection()

    @app.handle_errors(Exception)
    def answer_error(self, request: Any, failure: Failure) -> bytes:
        """The one place where a call that did not go well becomes an answer."""
        error: object = failure.value
        if isinstance(error, Conflict):
            return _error(request, 409, error.where, error.problem)
        if isinstance(error, ConfigError):
            return _error(request, 422, error.where, error.problem)
        if isinstance(error, Refused):
            return _error(request, error.status, error.where, error.problem)
        if isinstance(error, HTTPException):
            return _no_such_call(request, error)
        if problem := _of_the_disk(error):
            self.log.error("the store: {problem}", problem=problem)
            return _error(request, 503, "store", problem)
        error_id = self._failed(request, failure)
        problem = f"this call failed; the log says why under {error_id}"
        return _error(request, 500, "node", problem, error_id)

    def _failed(self, request: Request, failure: Failure) -> str:
        error_id = secrets.token_hex(4)
        self.log.failure(
            "API call {method} {path} failed [{error_id}]",
            failure,
            method=request.method.decode(),
            path=request.path.decode(),
            error_id=error_id,
        )
        return error_id


def _of_the_disk(error: object) -> str:
    """What SQLite says when it is its surroundings that fail it; empty: it is none of that."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.OperationalError):
        code = getattr(cause, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in _OF_THE_DISK:
            return str(cause)
    return ""


def _to_the_end(work: Any) -> Deferred[Any]:
    """
    What the work comes to, for one who may stop waiting: the work itself goes on, so that
    what was written is announced even if its caller has hung up.
    """
    waiting: Deferred[Any] = Deferred(lambda _: None)
    running: Deferred[Any] = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
    running.addBoth(lambda result: None if waiting.called else waiting.callback(result))
    return waiting


def _no_such_call(request: Request, error: HTTPException) -> bytes:
    path = request.path.decode()
    allowed = set(getattr(error, "valid_methods", None) or ()) - {"HEAD"}
    if not allowed:
        return _error(request, 404, path, "there is no such call")
    names = ", ".join(sorted(allowed))
    request.setHeader(b"allow", names.encode())
    return _error(request, 405, path, f"want {names}, not {request.method.decode()}")


def _error(request: Request, status: int, where: str, problem: str, error_id: str = "") -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", JSON)
    return error_body(where, problem, error_id)
