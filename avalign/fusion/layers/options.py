"""Checks of what families are built with."""

from __future__ import annotations

from avalign.errors import ParameterError

__all__ = ["checked_count", "checked_dropout", "checked_width"]


def checked_count(count: int, what: str) -> int:
    """Check a number of things of which there must be at least one.

    Parameters
    ----------
    count : int
        The number.
    what : str
        Name of the option, for the message.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ParameterError
        If it is not an integer above 0.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ParameterError(f"{what} is {count!r}", "give an integer above 0")
    return count


def checked_width(width: int | None, default: int, what: str = "hidden") -> int:
    """Check the width of a layer that has a default.

    Parameters
    ----------
    width : int or None
        The width; None asks for the default.
    default : int
        The width by default.
    what : str
        Name of the option, for the message.

    Returns
    -------
    int
        The width to build with.

    Raises
    ------
    ParameterError
        If it is not an integer above 0.
    """
    return default if width is None else checked_count(width, what)


def checked_dropout(dropout: float) -> float:
    """Check a share of values to drop.

    Parameters
    ----------
    dropout : float
        The share.

    Returns
    -------
    float
        The share.

    Raises
    ------
    ParameterError
        If it is not at least 0 and below 1.
    """
    if not 0 <= dropout < 1:
        raise ParameterError(f"dropout is {dropout}", "give a share of at least 0 and below 1")
    return dropout
