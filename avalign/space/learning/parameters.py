"""Settings of an estimator that know what they accept; fields of its dataclass.

They are checked when an estimator is fitted, and again when it is loaded from a file,
which nobody has to trust.
"""

from __future__ import annotations

import math
from dataclasses import field, fields
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

_LARGEST_WIDTH = 4096
_MOST_LAYERS = 8


def count(
    default: int | None, *, low: int = 1, high: int = 1_000_000, optional: bool = False
) -> Any:
    """Declare a whole number from `low` to `high`."""

    def accepts(value: object) -> bool:
        return (value is None and optional) or (_is_whole(value) and low <= value <= high)  # type: ignore[operator]

    return _parameter(default, accepts, f"a whole number from {low} to {high}", optional)


def number(
    default: float | None,
    *,
    low: float = 0.0,
    high: float = math.inf,
    above: bool = False,
    optional: bool = False,
) -> Any:
    """Declare a finite number from `low`, or `above` it, to `high`."""

    def accepts(value: object) -> bool:
        if value is None:
            return optional
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            return False
        size = float(value)
        return math.isfinite(size) and low <= size <= high and not (above and size == low)

    upper = "" if high == math.inf else f", {high:g} at most"
    lower = f"above {low:g}" if above else f"{low:g} or more"
    return _parameter(default, accepts, f"a finite number {lower}{upper}", optional)


def choice(default: str, *others: str) -> Any:
    """Declare one of a few words."""
    words = (default, *others)
    wanted = " or ".join(f'"{word}"' for word in words)
    return _parameter(default, lambda value: isinstance(value, str) and value in words, wanted)


def widths(default: tuple[int, ...]) -> Any:
    """Declare the widths of the hidden layers of a network."""

    def accepts(value: object) -> bool:
        return (
            isinstance(value, tuple | list)
            and len(value) <= _MOST_LAYERS
            and all(_is_whole(each) and 1 <= each <= _LARGEST_WIDTH for each in value)
        )

    wanted = f"at most {_MOST_LAYERS} widths from 1 to {_LARGEST_WIDTH}"
    return _parameter(default, accepts, wanted)


def instance(default: Any) -> Any:
    """Declare a group of settings that is a frozen dataclass of the type of its default."""
    kind = type(default)
    return _parameter(default, lambda value: isinstance(value, kind), f"a {kind.__name__}")


def check_parameters(estimator: Any) -> None:
    """Raise ParameterError for the first setting that an estimator cannot use."""
    for each in fields(estimator):
        accepts = each.metadata.get("accepts")
        value = getattr(estimator, each.name) if each.init else None
        if accepts is not None and not accepts(value):
            raise ParameterError(
                f"{each.name} is {str(value)[:60]!r}", f"give {each.metadata['wanted']}"
            )


def _parameter(
    default: Any, accepts: Callable[[object], bool], wanted: str, optional: bool = False
) -> Any:
    metadata = {"accepts": accepts, "wanted": wanted + (", or None" if optional else "")}
    return field(default=default, metadata=metadata)


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
