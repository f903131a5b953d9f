"""
Whether bytes that must go on do: neither silent for too long, nor slower than is allowed.

In:  connections, each time they look: how many bytes have gone by then.
Out: yes or no. A body that comes, or an answer that is taken, has one for as long as it goes on.
"""

from __future__ import annotations


class Pace:
    """
    One direction of one message. Times are of one clock, in seconds; amounts are bytes in all.

    With `grace`, so many seconds are not held against the rate.
    """

    __slots__ = ("_amount", "_moved", "_mark", "_since")

    def __init__(self, now: float, amount: int = 0, grace: float = 0.0) -> None:
        self._amount = self._mark = amount
        self._moved = now
        self._since = now + grace

    def rest(self, now: float, amount: int) -> None:
        """It was we who did not let it go on."""
        self._amount = self._mark = amount
        self._moved = self._since = now

    def lags(self, now: float, amount: int, patience: float, rate: float, window: float) -> bool:
        """
        Whether nothing has gone for `patience` seconds, or something at fewer than `rate` bytes
        a second over at least `window` seconds; a rate of 0 is any.
        """
        if amount == self._amount:
            return now - self._moved >= patience
        self._amount, self._moved = amount, now
        passed = now - self._since
        if passed < window:
            return False
        if amount - self._mark < rate * passed:
            return True
        self._mark, self._since = amount, now
        return False
