"""An approximate path for millions of rows, found coarse to fine, with proof of how good."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.arguments import flag, whole
from avalign.dtw import checks, dispatch, windows
from avalign.dtw.compiled import EUCLIDEAN, MANHATTAN, njit
from avalign.dtw.general import recurrence
from avalign.dtw.problem import Problem
from avalign.dtw.result import DtwResult
from avalign.errors import ParameterError

# Cells times features that are worth an exact solution, and worth a lower bound.
EXACT_COSTS = 1 << 27
BOUND_COSTS = 1 << 27


def multiscale_path(
    x: ArrayLike,
    y: ArrayLike,
    *,
    metric: str = "sqeuclidean",
    radius: int = 32,
    bounded: bool = True,
) -> DtwResult:
    """Return a path that is nearly the cheapest, in time and memory linear in the rows.

    Both series are halved, by the means of neighbouring rows, until the exact path is
    cheap to find. From level to level the path is then refined within `radius` rows of
    the coarser one. Its cost is an upper bound of the exact distance; `lower_bound` of
    the result is a proven lower one, so that their gap says how far off it can be.

    Parameters
    ----------
    x, y : array-like, shape (N,) or (N, D)
        The series, time first.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine"}
        The local cost.
    radius : int
        How many rows and columns each level looks around the path of the level below.
    bounded : bool
        Compute the lower bound; without it the bound is 0.

    Returns
    -------
    DtwResult
        Distance and path as found, and the lower bound.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    Notes
    -----
    The lower bound replaces runs of rows of one series by the box of values that they
    span, and costs by the least cost within the box. A path through the fine matrix
    passes each of the coarser cells along its way at least once, so the cheapest coarse
    path is no dearer. It is tight where series move slowly, and loose for noise.

    References
    ----------
    .. [1] S. Salvador and P. Chan, "Toward accurate dynamic time warping in linear time
       and space", Intelligent Data Analysis 11(5), 2007.

    Examples
    --------
    >>> import numpy as np
    >>> seconds = np.linspace(0, 60, 3000)
    >>> found = multiscale_path(np.sin(seconds), np.sin(seconds + 0.1 * np.sin(seconds)))
    >>> bool(found.lower_bound <= found.distance < 0.1)
    True
    """
    if metric == "precomputed":
        raise ParameterError(
            "multiscale_path takes no precomputed costs", "pass series, which it can halve"
        )
    problem = checks.problem(x, y, metric)
    radius = whole(radius, "radius")
    bounded = flag(bounded, "bounded")
    cost, path = _refine(problem, radius)
    if not cost < np.inf:
        checks.no_path(problem)
    least = cost
    if not _is_small(problem):
        least = min(_lower_bound(problem), cost) if bounded else 0.0
    return DtwResult(
        distance=cost * problem.scale,
        path=path,
        shape=problem.shape,
        metric=metric,
        step_pattern=problem.pattern,
        radius=radius,
        lower_bound=least * problem.scale,
        x=problem.x,
        y=problem.y,
    )


def _refine(problem: Problem, radius: int) -> tuple[float, NDArray[np.int32]]:
    if _is_small(problem):
        return dispatch.path(problem)
    rows, columns = problem.shape
    coarse = _replace_series(problem, _halve(problem.x), _halve(problem.y))
    _, path = _refine(coarse, radius)
    window = windows.around(path, rows, columns, radius, factor=2)
    return recurrence.path(_replace_series(problem, problem.x, problem.y, window))


def _is_small(problem: Problem) -> bool:
    """Whether the exact path is cheap, as it always is where one series has one row."""
    assert problem.y is not None
    return problem.x.size * len(problem.y) <= EXACT_COSTS or min(problem.shape) == 1


def _replace_series(
    problem: Problem, x: Any, y: Any, window: NDArray[np.int64] | None = None
) -> Problem:
    return Problem(x, y, problem.metric, -1, window, problem.pattern, False, False, None)


def _halve(series: Any) -> NDArray[Any]:
    """Return the means of neighbouring rows; an odd last row stands for itself."""
    even = len(series) // 2 * 2
    means = series[:even:2] / 2 + series[1:even:2] / 2
    return means if even == len(series) else np.concatenate([means, series[-1:]])


def _lower_bound(problem: Problem) -> float:
    """Return a cost that no path undercuts."""
    assert problem.y is not None
    x, y = (series.reshape(len(series), -1) for series in (problem.x, problem.y))
    bound = 0.0
    for rows, others in ((x, y), (y, x)):
        boxes = max(1, min(len(others), BOUND_COSTS // rows.size))
        edges = np.arange(boxes) * len(others) // boxes
        low = np.minimum.reduceat(others, edges, axis=0)
        high = np.maximum.reduceat(others, edges, axis=0)
        found = _box_distance(rows, _columns(low), _columns(high), problem.metric_code)
        bound = max(bound, float(found))
    # What rounding may have added, in both sums.
    slack = 4 * (len(x) + len(y) + x.shape[1]) * float(np.finfo(x.dtype).eps)
    return max(0.0, bound * (1 - slack))


def _columns(boxes: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(boxes.T)


@njit
def _box_distance(rows, low, high, metric):
    """DTW of rows against boxes, whose cost is the least of any point inside."""
    features, boxes = low.shape
    totals = np.full(boxes, np.inf, rows.dtype)
    costs = np.empty(boxes, rows.dtype)
    zero = rows.dtype.type(0)
    for i in range(rows.shape[0]):
        for k in range(boxes):
            costs[k] = zero
        for feature in range(features):
            value = rows[i, feature]
            for k in range(boxes):
                off = max(low[feature, k] - value, value - high[feature, k], zero)
                costs[k] += off if metric == MANHATTAN else off * off
        if metric == EUCLIDEAN:
            for k in range(boxes):
                costs[k] = np.sqrt(costs[k])
        diagonal = zero if i == 0 else totals.dtype.type(np.inf)
        last = totals.dtype.type(np.inf)
        for k in range(boxes):
            last = costs[k] + min(diagonal, totals[k], last)
            diagonal, totals[k] = totals[k], last
    return totals[-1]
