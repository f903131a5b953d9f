"""
What a call of the API brings, and what it is answered with.

In:  the other modules of `api`, with requests that were let in.
Out: checked values; JSON; `Refused` for a call that is written wrongly.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import IO, Any, TypeVar

from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.web.server import Request

from hostedge.api.guard import JSON
from hostedge.errors import ConfigError

T = TypeVar("T")

_TYPES = {
    list: "a list",
    dict: "an object",
    bool: "true or false",
    int: "a number",
    str: "a text",
}


class Refused(Exception):
    """A call that is answered with an error of this status."""

    def __init__(self, status: int, where: str, problem: str) -> None:
        super().__init__(f"{status} {where}: {problem}")
        self.status = status
        self.where = where
        self.problem = problem


def read_call(body: bytes, known: dict[str, type], required: str) -> dict[str, Any]:
    """
    The keys and values of a body.

    Raises:
        Refused: it is no JSON object, or has other keys or values of other types.
    """
    try:
        call = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "body", f"is not JSON: {error}") from None
    if not isinstance(call, dict):
        raise Refused(400, "body", "want an object")
    for key, value in call.items():
        if key not in known:
            raise Refused(400, f"body: {key}", f"is not known here; known: {', '.join(known)}")
        if type(value) is not known[key]:
            raise Refused(400, f"body: {key}", f"want {_TYPES[known[key]]}")
    if required not in call:
        raise Refused(400, f"body: {required}", "is missing")
    return call


def query(request: Request, name: str) -> str:
    """
    One parameter of the query; empty when it is not there.

    Raises:
        Refused: it is there twice or is not UTF-8.
    """
    values = request.args.get(name.encode(), [])
    if len(values) > 1:
        raise Refused(400, name, "is given twice")
    try:
        return values[0].decode() if values else ""
    except UnicodeDecodeError:
        raise Refused(400, name, "want UTF-8") from None


async def asked(asking: Awaitable[T]) -> T:
    """
    What another role answers.

    Raises:
        Refused: it is not there, or does not answer in time.
    """
    try:
        return await asking
    except ConfigError as error:
        raise Refused(503, error.where, error.problem) from None
    except DeferredTimeout:
        raise Refused(503, "node", "a process of the node does not answer; try again") from None


def json_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def reply(request: Request, value: object) -> bytes:
    request.setHeader(b"content-type", JSON)
    return json_line(value).encode()


def read_body(request: Request) -> bytes:
    content: IO[bytes] = request.content  # type: ignore[assignment]
    return content.read()
