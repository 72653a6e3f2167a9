"""Checks of what families are built with."""

from __future__ import annotations

from avalign.errors import ParameterError


def checked_count(count: int, what: str) -> int:
    """Return a number of things, or raise ParameterError if it is not an integer above 0."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ParameterError(f"{what} is {count!r}", "give an integer above 0")
    return count


def checked_width(width: int | None, default: int, what: str = "hidden") -> int:
    """Return the width of a layer, `default` where it is None; see `checked_count`."""
    return default if width is None else checked_count(width, what)


def checked_dropout(dropout: float) -> float:
    """Return a fraction of values to drop, or raise ParameterError if it is not in [0, 1)."""
    if not 0 <= dropout < 1:
        raise ParameterError(f"dropout is {dropout}", "give a share of at least 0 and below 1")
    return dropout
