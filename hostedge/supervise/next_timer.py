"""
What happens next to an app by itself, and when.

In:  `supervise.supervised` when it describes an app.
Out: a word and seconds, for `hostedge apps`; no Twisted in here.
"""

from __future__ import annotations

from typing import Any


def next_timer(
    state: str,
    now: float,
    retry_at: float = 0.0,
    start_ends: float = 0.0,
    idle_left: float | None = None,
    freeze_left: float | None = None,
) -> dict[str, Any] | None:
    """
    `what` and in how many `seconds`, None: nothing happens by itself.

    `retry_at` and `start_ends` are times as `now` is, the others seconds, None: never.
    """
    times: dict[str, float | None] = {}
    if state == "BACKOFF":
        times["retry"] = retry_at - now
    elif state == "FAILED":
        # only if somebody asks for it then
        times["may_retry"] = retry_at - now
    elif state in ("STARTING", "RELOADING"):
        times["give_up"] = start_ends - now if start_ends > now else None
    elif state in ("READY", "FROZEN"):
        times["idle_stop"] = idle_left
        times["freeze"] = freeze_left if state == "READY" else None
    known = {what: seconds for what, seconds in times.items() if seconds is not None}
    if not known:
        return None
    what = min(known, key=lambda each: known[each])
    return {"what": what, "seconds": round(max(known[what], 0.0), 1)}
