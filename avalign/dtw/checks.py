"""From what a caller passes to a checked problem: every refusal is one line with a remedy."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.arguments import choice, flag, whole
from avalign.dtw.compiled import MANHATTAN
from avalign.dtw.problem import METRIC_CODES, Problem
from avalign.dtw.steps import StepPattern, step_pattern
from avalign.errors import ParameterError
from avalign.processes import cores

_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def problem(
    x: ArrayLike,
    y: ArrayLike | None,
    metric: str = "sqeuclidean",
    radius: int | None = None,
    window: ArrayLike | None = None,
    pattern: str | StepPattern = "symmetric1",
    open_begin: bool = False,
    open_end: bool = False,
    weights: ArrayLike | None = None,
) -> Problem:
    """Check the arguments that all verbs share, and lay the series out for the engines."""
    if not (isinstance(metric, str) and metric in METRIC_CODES):
        choice(metric, "metric", METRIC_CODES)
    left = series(x, "x", forbids=metric == "precomputed")
    if metric == "precomputed":
        right = None
        if np.ndim(x) == 2:  # a single column stays one
            left = left.reshape(len(left), -1)
        if y is not None or left.ndim != 2:
            raise ParameterError(
                f"precomputed costs of shape {left.shape}, y {'' if y is None else 'not '}None",
                "pass the (N, M) matrix of local costs as x, and no y",
            )
    elif y is None:
        raise ParameterError("y is missing", "only metric='precomputed' goes without")
    else:
        left, right = _match_types(left, series(y, "y"))
        if metric == "cosine":
            left, right = _unit_rows(left, "x"), _unit_rows(right, "y")
    checked = Problem(
        left,
        right,
        metric,
        -1 if radius is None else whole(radius, "radius"),
        None,
        step_pattern(pattern),
        open_begin is not False and flag(open_begin, "open_begin"),
        open_end is not False and flag(open_end, "open_end"),
        None,
    )
    if weights is not None:
        checked.weights = _weights(weights, checked)
    if window is not None:
        if radius is not None:
            raise ParameterError(
                f"both a radius ({radius}) and a window are given",
                "pass one; windows.sakoe_chiba(N, M, radius) makes a window to change",
            )
        checked.window = _window(window, checked)
    return checked


def series(values: ArrayLike, name: str, *, forbids: bool = False) -> NDArray[Any]:
    """Return a series as a contiguous float array of one or two dimensions.

    With `forbids` it is a matrix of costs, whose infinite ones no path may meet.
    """
    if isinstance(values, np.ma.MaskedArray) and values.mask.any():
        raise ParameterError(f"{name} has masked values", "drop or interpolate such rows first")
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        # Tensors refuse by RuntimeError, over several lines.
        raise ParameterError(
            f"{name} is no array: {' '.join(str(error).split())}",
            "give numbers, in rows of equal length",
        ) from None
    if array.dtype != _SINGLE and array.dtype != _DOUBLE:
        if array.dtype.kind not in "fiub":
            raise ParameterError(
                f"{name} holds {array.dtype}", "give real numbers in one rectangular array"
            )
        array = array.astype(_DOUBLE)
    if array.ndim != 1:
        if array.ndim != 2:
            raise ParameterError(
                f"{name} has shape {array.shape}",
                "give (rows,) or (rows, features), time first",
            )
        if array.shape[1] == 1:
            array = array[:, 0]
    if array.size == 0:
        raise ParameterError(
            f"{name} is empty, of shape {array.shape}", "give at least one row of one feature"
        )
    if not array.flags.carray:
        # Kernels are compiled for contiguous, aligned, writable arrays, and only for them.
        array = np.array(array, order="C")
    flat = array.ravel()
    # Squares carry any NaN and infinity into their sum, and so does overflow: look twice.
    if not math.isfinite(flat.dot(flat)):
        usable = np.isfinite(flat)
        if forbids:
            usable |= flat == np.inf
        if not usable.all():
            at = int(np.argmin(usable))
            remedy = "drop or interpolate such rows first"
            raise ParameterError(
                f"{name} is {flat[at]} in row {at // (flat.size // len(array))}",
                "a cell that no path may meet costs inf" if forbids else remedy,
            )
    return array


def workers(n_jobs: object) -> int:
    """Return a number of threads: what was asked for, or one per usable core for -1."""
    if isinstance(n_jobs, int | np.integer) and n_jobs == -1:
        return cores()
    return whole(n_jobs, "n_jobs", least=1)


def check_all(several: object, name: str) -> list[NDArray[Any]]:
    """Return series as a list of checked arrays, at least one; an array holds one a row."""
    if type(several) is np.ndarray and several.ndim == 2 and several.flags.carray:
        # One look at all of them, where that finds no fault.
        flat = several.ravel()
        if several.dtype in (_SINGLE, _DOUBLE) and flat.size and math.isfinite(flat.dot(flat)):
            return list(several)
    try:
        members = iter(several)  # type: ignore[call-overload]
    except TypeError:  # also of arrays without dimensions
        members = iter(())
    found = [series(one, f"{name}[{at}]") for at, one in enumerate(members)]
    if not found:
        raise ParameterError(f"{name} holds no series", "give a sequence of arrays")
    return found


def _match_types(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both series in one type, if they have as many features."""
    if x.shape[1:] != y.shape[1:]:
        features = [1 if array.ndim == 1 else array.shape[1] for array in (x, y)]
        raise ParameterError(
            f"x has {features[0]} features a row, y {features[1]}", _suggest_transpose(x, y)
        )
    if x.dtype != y.dtype:
        return x.astype(_DOUBLE, copy=False), y.astype(_DOUBLE, copy=False)
    return x, y


def _suggest_transpose(x: NDArray[Any], y: NDArray[Any]) -> str:
    """Say which arrays seem to have features first, as librosa gives them."""
    wanted = "x.T or y.T, whichever has"
    if x.ndim == y.ndim == 2:
        swapped = x.shape[0] == y.shape[1], y.shape[0] == x.shape[1]
        if x.shape[0] == y.shape[0]:
            wanted = "x.T and y.T if both have"
        elif swapped != (True, True) and any(swapped):
            wanted = f"{'x.T if x has' if swapped[0] else 'y.T if y has'}"
    return f"time is the first axis: transpose, pass {wanted} features first"


def _unit_rows(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.ndim == 1:
        raise ParameterError(
            f"the cosine of {name}, which has one feature a row", "give two or more features"
        )
    # Scaled by their largest entry first, squares of rows neither overflow nor vanish.
    largest = np.abs(array).max(axis=1, keepdims=True)
    if not largest.all():
        raise ParameterError(
            f"row {int(np.argmin(largest))} of {name} is all zeros, which have no direction",
            "drop such rows, or take another metric than cosine",
        )
    rows = array / largest
    rows /= np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return rows


def _weights(weights: ArrayLike, checked: Problem) -> NDArray[Any]:
    array = series(weights, "weights")
    longest = max(checked.shape)
    if array.ndim != 1 or len(array) < longest or array.min() < 0:
        raise ParameterError(
            f"weights of shape {array.shape}, the least {array.min()}",
            f"give one weight, 0 or more, for each |i - j| of 0 to {longest - 1}",
        )
    if array.max() > np.finfo(checked.x.dtype).max:
        raise ParameterError(
            f"weights reach {array.max():.3g}, which overflows {checked.x.dtype}",
            "scale them down, or pass float64 series",
        )
    return array.astype(checked.x.dtype, copy=False)


def _window(window: ArrayLike, checked: Problem) -> NDArray[np.int64]:
    rows, columns = checked.shape
    try:
        array = np.asarray(window)
    except (ValueError, TypeError, RuntimeError, OverflowError):
        array = np.empty(0)
    if array.shape != (rows, 2) or array.dtype.kind not in "iu":
        raise ParameterError(
            f"a window of shape {array.shape} and type {array.dtype}",
            f"give integers of shape ({rows}, 2): the [first, stop) columns of each row",
        )
    array = array.astype(np.int64)
    first, stop = array[:, 0], array[:, 1]
    wrong = (first < 0) | (stop > columns) | (first >= stop)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ParameterError(
            f"row {row} of the window allows columns [{first[row]}, {stop[row]})",
            f"each row needs 0 <= first < stop <= {columns}",
        )
    return array


def no_path(checked: Problem) -> NoReturn:
    """Say why the distance came out infinite."""
    overflow(checked)
    rows, columns = checked.shape
    if checked.y is None and np.isinf(checked.x).any():
        raise ParameterError(
            f"no path of step pattern {checked.pattern.name} through the {rows} x {columns} "
            "costs goes round the infinite ones",
            "leave more cells finite, or let the pattern, the window or the ends allow more",
        )
    within = "the window" if checked.window is not None else f"{rows} x {columns} cells"
    if checked.radius >= 0:
        within += f" and radius {checked.radius}"
    raise ParameterError(
        f"no path of step pattern {checked.pattern.name} fits {within}",
        "widen the window, open an end, or take a pattern with steeper slopes",
    )


def overflow(checked: Problem) -> None:
    """Refuse costs that came out infinite, if the values are as large as that takes."""
    largest = scale = _largest(checked.x)
    if checked.y is not None:
        features = 1 if checked.x.ndim == 1 else checked.x.shape[1]
        largest = max(largest, _largest(checked.y))
        scale += _largest(checked.y)
        if checked.metric_code != MANHATTAN:  # the squares, even where a root follows
            scale *= scale
        scale *= features
    if checked.weights is not None:
        scale *= _largest(checked.weights)
    heaviest = max(weight for move in checked.pattern.moves for *_, weight in move)
    if scale * max(heaviest, 1) * sum(checked.shape) > np.finfo(checked.x.dtype).max:
        raise ParameterError(
            f"the costs overflow {checked.x.dtype}: values reach {largest:.3g}",
            "scale the series down" + ", or pass float64" * (checked.x.dtype == _SINGLE),
        )


def _largest(array: NDArray[Any]) -> float:
    """Return the largest size of a number; cells that no path may meet count as nothing."""
    largest = float(max(array.max(), -array.min()))
    if largest < math.inf:
        return largest
    return float(np.abs(array, where=np.isfinite(array), out=np.zeros_like(array)).max())


def memory(needed: int, what: str, remedy: str) -> None:
    """Refuse what would not fit into this machine's memory, before it is allocated."""
    available = _memory_bytes()
    if available is not None and needed > available:
        raise ParameterError(
            f"{what} needs {needed / 2**30:,.1f} GiB of the {available / 2**30:,.1f} GiB here",
            remedy,
        )


@cache
def _memory_bytes() -> int | None:
    """Return how much memory there is, as far as the system tells."""
    limits = []
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # a container's limit; "max" where there is none
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(limits, default=None)
