"""
How public listeners travel over a link, in both directions.

In:  the keeper answers a new template; a template or an edge answers a new keeper.
Out: duplicates of the listening sockets, in the order of the settings.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks

from hostedge.ipc import TakeListener
from hostedge.net.listener import Listener


def give(listeners: Sequence[Listener], index: int) -> dict[str, Any]:
    """The answer to `TakeListener`; past the last one the protocol is empty."""
    if index >= len(listeners):
        return {"protocol": "", "address": ""}
    listener = listeners[index]
    return {
        "protocol": listener.protocol,
        "address": listener.asked,
        "listener": listener.socket.fileno(),
    }


def received(answer: dict[str, Any]) -> Listener | None:
    """The listener in an answer to `TakeListener`; None after the last one."""
    if not answer["protocol"]:
        return None
    os.set_inheritable(answer["listener"], False)
    taken = socket.socket(fileno=answer["listener"])
    taken.setblocking(False)
    return Listener(answer["protocol"], answer["address"], taken)


@inlineCallbacks
def take(call: Callable[..., Deferred[Any]]) -> Any:
    """Ask for one listener after the other; fires with all of them."""
    listeners: list[Listener] = []
    while True:
        listener = received((yield call(TakeListener, index=len(listeners))))
        if listener is None:
            return tuple(listeners)
        listeners.append(listener)
