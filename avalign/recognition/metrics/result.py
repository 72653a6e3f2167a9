"""What all metrics share: conversion to plain values, and checks of arguments."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Metrics:
    """What all results can do."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """Turn the result into plain values that JSON can hold, one per field."""
        return asdict(self)  # type: ignore[call-overload]


def check_errors(*errors: float) -> None:
    """Refuse error rates that are negative or not finite."""
    for error in errors:
        if not (math.isfinite(error) and error >= 0):
            raise ParameterError(f"an error is {error}", "errors are 0 or more")


def check_pairs(what: str, n_true: int, n_found: int) -> None:
    """Refuse answers that are not as many as the truths."""
    if n_true != n_found:
        raise ParameterError(f"{n_true} true {what} against {n_found}", "pass them in pairs")


def check_numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Check finite numbers [N], at least one: float64 [N]."""
    checked = np.asarray(values, np.float64)
    if checked.ndim != 1 or not checked.size or not np.isfinite(checked).all():
        raise ParameterError(
            f"{name} has the shape {checked.shape}, or holds what is not finite",
            "pass one row of numbers",
        )
    return checked


def ratio(part: float, whole: float) -> float | None:
    """Divide; None where the whole is 0."""
    return float(part / whole) if whole else None
