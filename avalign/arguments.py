"""Checks of single arguments: numbers, switches and names; a refusal is one line."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from operator import index
from typing import SupportsFloat

import numpy as np

from avalign.errors import ParameterError

# More rows than any memory holds. Kernels add lengths to a radius, which must not overflow.
_ENOUGH = 2**48
# Characters of a value that a message repeats.
_LONGEST = 60
_LARGEST = sys.float_info.max


def whole(
    number: object,
    name: str,
    *,
    least: int = 0,
    most: int | None = None,
    otherwise: str = "",
) -> int:
    """Return a whole number that is large enough, or as large as makes any difference."""
    try:
        value = None if isinstance(number, bool) else index(number)  # type: ignore[arg-type]
    except TypeError:
        value = None
    if value is None or value < least or (most is not None and value > most):
        upper = "or more" if most is None else f"to {most}"
        hint = f"give a whole number, {least} {upper}{otherwise and '; '}{otherwise}"
        raise ParameterError(f"{name} is {abbreviate(number)}", hint)
    return min(int(value), _ENOUGH)


def real(
    number: object,
    name: str,
    *,
    least: float = 0.0,
    most: float = _LARGEST,
    above: bool = False,
    below: bool = False,
    otherwise: str = "",
) -> float:
    """Return a real number from a range, without the ends that `above` and `below` exclude."""
    value = math.nan
    # Text and complex numbers are refused even where float() takes them.
    if isinstance(number, SupportsFloat) and not isinstance(
        number, bool | complex | np.complexfloating
    ):
        try:
            value = float(number)
        except (TypeError, ValueError, OverflowError):
            value = math.nan
    excluded = (above and value == least) or (below and value == most)
    if excluded or not least <= value <= most:
        kind = "finite number" if most == _LARGEST else "number"
        lower = f"above {least:g}" if above else f"{least:g}"
        if most >= _LARGEST:
            upper = "" if above else " or more"
        else:
            upper = f" and below {most:g}" if below else f" to {most:g}"
        hint = f"give a {kind}, {lower}{upper}{otherwise and '; '}{otherwise}"
        raise ParameterError(f"{name} is {abbreviate(number)}", hint)
    return value


def flag(value: object, name: str) -> bool:
    """Return a switch, which nothing but a boolean can set."""
    if not isinstance(value, bool | np.bool_):
        raise ParameterError(f"{name} is {abbreviate(value)}", "give True or False")
    return bool(value)


def choice(value: object, what: str, names: Collection[str]) -> str:
    """Return one of several names."""
    if not isinstance(value, str) or value not in names:
        raise ParameterError(
            f"no {what} {abbreviate(value)}", f"take one of {', '.join(names)}"
        )
    return value


def abbreviate(value: object) -> str:
    """Return a value as it looks in Python, in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
