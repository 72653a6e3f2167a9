"""Checks of single arguments: numbers, switches and names."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from operator import index
from typing import SupportsFloat

import numpy as np

from avalign.errors import ParameterError
from avalign.processes import cores

# More rows than any memory holds. Kernels add lengths to a radius, which must not overflow.
_ENOUGH = 2**48
# Characters of a value that a message repeats.
_LONGEST = 60
_LARGEST = sys.float_info.max


def whole(number: object, name: str, *, least: int = 0) -> int:
    """Return a whole number that is large enough, or as large as makes any difference."""
    try:
        value = None if isinstance(number, bool) else index(number)  # type: ignore[arg-type]
    except TypeError:
        value = None
    if value is None or value < least:
        raise ParameterError(
            f"{name} is {abbreviate(number)}", f"give a whole number, {least} or more"
        )
    return min(int(value), _ENOUGH)


def real(
    number: object,
    name: str,
    *,
    least: float = 0.0,
    most: float = _LARGEST,
    otherwise: str = "",
) -> float:
    """Return a real number from a range, both ends of which belong to it."""
    value = math.nan
    # Text and complex numbers are refused even where float() takes them.
    if isinstance(number, SupportsFloat) and not isinstance(
        number, bool | complex | np.complexfloating
    ):
        try:
            value = float(number)
        except (TypeError, ValueError, OverflowError):
            value = math.nan
    if not least <= value <= most:
        upper = "or more" if most >= _LARGEST else f"to {most:g}"
        kind = "finite number" if most == _LARGEST else "number"
        hint = f"give a {kind}, {least:g} {upper}{otherwise and '; '}{otherwise}"
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


def workers(n_jobs: object) -> int:
    """Return a number of threads: what was asked for, or one per usable core for -1."""
    if isinstance(n_jobs, int | np.integer) and n_jobs == -1:
        return cores()
    return whole(n_jobs, "n_jobs", least=1)


def abbreviate(value: object) -> str:
    """Return a value as it looks in Python, in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
