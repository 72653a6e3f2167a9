"""Settings of an estimator that know what they accept; fields of its dataclass.

They are checked when an estimator is fitted, and again when it is loaded from a file,
which nobody has to trust.
"""

from __future__ import annotations

import sys
from dataclasses import field, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from avalign import arguments
from avalign.arguments import abbreviate, real, whole
from avalign.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

_LARGEST_WIDTH = 4096
_MOST_LAYERS = 8


def count(
    default: int | None, *, low: int = 1, high: int = 1_000_000, optional: bool = False
) -> Any:
    """Declare a whole number from `low` to `high`."""
    return _number(default, whole, optional, least=low, most=high)


def number(
    default: float | None,
    *,
    low: float = 0.0,
    high: float = sys.float_info.max,
    above: bool = False,
    optional: bool = False,
) -> Any:
    """Declare a finite number from `low`, or `above` it, to `high`."""
    return _number(default, real, optional, least=low, most=high, above=above)


def choice(default: str, *others: str) -> Any:
    """Declare one of a few words."""
    return _parameter(default, partial(arguments.choice, names=(default, *others)))


def widths(default: tuple[int, ...]) -> Any:
    """Declare the widths of the hidden layers of a network."""

    def check(value: object, name: str) -> None:
        if not isinstance(value, tuple | list) or len(value) > _MOST_LAYERS:
            raise ParameterError(
                f"{name} is {abbreviate(value)}",
                f"give at most {_MOST_LAYERS} widths",
            )
        for width in value:
            whole(width, f"a width in {name}", least=1, most=_LARGEST_WIDTH)

    return _parameter(default, check)


def instance(default: Any) -> Any:
    """Declare a group of settings that is a frozen dataclass of the type of its default."""
    kind = type(default)

    def check(value: object, name: str) -> None:
        if not isinstance(value, kind):
            raise ParameterError(f"{name} is {abbreviate(value)}", f"give a {kind.__name__}")

    return _parameter(default, check)


def check_parameters(estimator: Any) -> None:
    """Raise ParameterError for the first setting that an estimator cannot use."""
    for each in fields(estimator):
        if each.init and "check" in each.metadata:
            value = getattr(estimator, each.name)
            if value is not None or not each.metadata["optional"]:
                each.metadata["check"](value, each.name)


def _number(
    default: float | None, check: Callable[..., float], optional: bool, **bounds: Any
) -> Any:
    otherwise = "or None" if optional else ""
    return _parameter(default, partial(check, **bounds, otherwise=otherwise), optional)


def _parameter(
    default: Any, check: Callable[[object, str], object], optional: bool = False
) -> Any:
    return field(default=default, metadata={"check": check, "optional": optional})
