"""Checks of what families are built with."""

from __future__ import annotations

from avalign.errors import ParameterError

__all__ = ["checked_count"]


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
