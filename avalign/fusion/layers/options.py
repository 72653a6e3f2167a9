"""Checks of what families are built with."""

from __future__ import annotations

from avalign.arguments import real, whole


def checked_width(width: int | None, default: int, what: str = "hidden") -> int:
    """Return the width of a layer, `default` where it is None."""
    return default if width is None else whole(width, what, least=1)


def checked_dropout(dropout: float) -> float:
    """Return a fraction of values to drop, or raise ParameterError if it is not in [0, 1)."""
    return real(dropout, "dropout", most=1.0, below=True)
