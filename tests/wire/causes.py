"""What a rule refuses with, for tables of bad input."""

from collections.abc import Callable

from hostedge.errors import BadRequest


def cause_of(rule: Callable[..., object], *arguments: object) -> str | None:
    """Give the cause of the refusal, or None when the rule took it."""
    try:
        rule(*arguments)
    except BadRequest as refusal:
        return refusal.cause
    return None
