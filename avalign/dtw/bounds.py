"""Lower bounds of DTW, in time linear in the lengths of the series.

Every row of `x` is aligned with one of the rows of `y` inside the band, so it costs at
least what it lies outside their envelope. The bounds hold, up to rounding, for the distance
of the same metric and radius with the step pattern "symmetric1", whose weights are 1.
"""

# Numba infers the types of kernels.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.dtw import checks
from avalign.dtw.compiled import EUCLIDEAN, MANHATTAN, SQEUCLIDEAN, njit
from avalign.dtw.problem import Problem
from avalign.errors import ParameterError

__all__ = [
    "by_rows",
    "ends",
    "envelope",
    "envelope_of",
    "first_bounds",
    "lb_improved",
    "lb_keogh",
    "lb_kim",
    "outside",
    "second_pass",
]


def envelope(
    y: ArrayLike, radius: int | None = None, *, rows: int | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the least and the greatest value of `y` that each row may be aligned with.

    Parameters
    ----------
    y : array-like, shape (M,) or (M, D)
        A series.
    radius : int, optional
        Sakoe-Chiba radius in cells; without it, all rows may be aligned.
    rows : int, optional
        N, the length of the other series; as long as `y` if not given.

    Returns
    -------
    lower, upper : ndarray, shape (N,) or (N, D)
        The envelope, feature by feature.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    References
    ----------
    .. [1] D. Lemire, "Streaming maximum-minimum filter using no more than three comparisons
       per element", Nordic Journal of Computing 13(4), 2006.

    Examples
    --------
    >>> lower, upper = envelope([0.0, 3.0, 1.0, 2.0], radius=1)
    >>> lower.tolist(), upper.tolist()
    ([0.0, 0.0, 1.0, 1.0], [3.0, 3.0, 3.0, 2.0])
    """
    series = checks.series(y, "y")
    count = len(series) if rows is None else checks.whole(rows, "rows", least=1)
    reach = -1 if radius is None else checks.whole(radius, "radius")
    lower, upper = envelope_of(series.reshape(len(series), -1), count, reach)
    shape = (count, *series.shape[1:])
    return lower.reshape(shape), upper.reshape(shape)


def lb_kim(x: ArrayLike, y: ArrayLike, *, metric: str = "sqeuclidean") -> float:
    """Return what the ends of any warping path cost: a lower bound in constant time.

    Parameters
    ----------
    x : array-like, shape (N,) or (N, D)
        A series, time first.
    y : array-like, shape (M,) or (M, D)
        The other series.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine"}
        The local cost.

    Returns
    -------
    float
        The cost of the first cell and the last, and the least that the cells beside them
        can cost; the bound holds for any radius.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    References
    ----------
    .. [1] S.-W. Kim, S. Park and W. W. Chu, "An index-based approach for similarity search
       supporting time warping in large sequence databases", ICDE 2001.

    Examples
    --------
    >>> lb_kim([0.0, 1.0, 2.0], [1.0, 2.0, 4.0])
    5.0
    """
    checked = checks.problem(x, y, metric)
    if checked.y is None:
        raise ParameterError("bounds of precomputed costs", "pass the two series")
    return ends(*by_rows(checked), checked.metric_code) * checked.scale


def lb_keogh(
    x: ArrayLike, y: ArrayLike, *, radius: int | None = None, metric: str = "sqeuclidean"
) -> float:
    """Return what `x` costs outside the envelope of `y`: a lower bound in linear time.

    Parameters
    ----------
    x : array-like, shape (N,) or (N, D)
        A series, time first.
    y : array-like, shape (M,) or (M, D)
        The other series.
    radius : int, optional
        Sakoe-Chiba radius in cells. The narrower the band, the tighter the bound.
    metric : {"sqeuclidean", "manhattan", "cosine", "euclidean"}
        The local cost; "euclidean" for series of one feature only.

    Returns
    -------
    float
        The bound. It changes when the series are swapped, and the greater holds.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    References
    ----------
    .. [1] E. Keogh and C. A. Ratanamahatana, "Exact indexing of dynamic time warping",
       Knowledge and Information Systems 7(3), 2005.

    Examples
    --------
    >>> lb_keogh([0.0, 5.0, 2.0], [1.0, 2.0, 3.0], radius=0)
    11.0
    """
    checked = _separable(x, y, metric, radius)
    rows, others = by_rows(checked)
    lower, upper = envelope_of(others, len(rows), checked.radius)
    return outside(rows, lower, upper, checked.metric_code) * checked.scale


def lb_improved(
    x: ArrayLike, y: ArrayLike, *, radius: int | None = None, metric: str = "sqeuclidean"
) -> float:
    """Return :func:`lb_keogh`, and what `y` costs outside the envelope of its nearest twin.

    The twin is `x` moved into the envelope of `y`. What `x` costs outside, and what `y`
    costs to the twin, are different parts of the distance: together they are the tighter
    bound, at about three times the work.

    Parameters
    ----------
    x, y : array-like
        As in :func:`lb_keogh`.
    radius, metric
        As in :func:`lb_keogh`.

    Returns
    -------
    float
        The bound, at least that of :func:`lb_keogh`.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    References
    ----------
    .. [1] D. Lemire, "Faster retrieval with a two-pass dynamic-time-warping lower bound",
       Pattern Recognition 42(9), 2009.

    Examples
    --------
    >>> lb_improved([0.0, 5.0, 2.0], [1.0, 2.0, 9.0], radius=1)
    17.0
    """
    checked = _separable(x, y, metric, radius)
    rows, others = by_rows(checked)
    lower, upper = envelope_of(others, len(rows), checked.radius)
    code, reach = checked.metric_code, checked.radius
    first = outside(rows, lower, upper, code)
    return (first + second_pass(rows, others, lower, upper, code, reach)) * checked.scale


def by_rows(checked: Problem) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the two series of a problem as (N, D) and (M, D)."""
    assert checked.y is not None
    return checked.x.reshape(len(checked.x), -1), checked.y.reshape(len(checked.y), -1)


def _separable(x: ArrayLike, y: ArrayLike, metric: str, radius: int | None) -> Problem:
    """Check the arguments, and that the cost is a sum over features."""
    checked = checks.problem(x, y, metric, radius)
    if checked.metric_code not in (SQEUCLIDEAN, MANHATTAN):
        raise ParameterError(
            f"no lower bound for the metric {metric!r} of several features",
            "take sqeuclidean, manhattan or cosine",
        )
    return checked


@njit
def envelope_of(y, rows, radius):
    """Return the envelope (rows, D) of `y` (M, D) in the band of a radius, -1 for none."""
    columns, features = y.shape
    reach = max(rows, columns) if radius < 0 else radius
    back, ahead = reach + max(0, rows - columns), reach + max(0, columns - rows)
    lower, upper = np.empty((rows, features), y.dtype), np.empty((rows, features), y.dtype)
    # Candidates for the extreme of the window, the nearest to it first; each enters once.
    queue = np.empty(columns, np.int64)
    for feature in range(features):
        for largest in (False, True):
            head, tail, entered = 0, 0, 0
            for i in range(rows):
                while entered < min(columns, i + ahead + 1):
                    value = y[entered, feature]
                    while tail > head and (
                        y[queue[tail - 1], feature] <= value
                        if largest
                        else y[queue[tail - 1], feature] >= value
                    ):
                        tail -= 1
                    queue[tail] = entered
                    tail += 1
                    entered += 1
                while queue[head] < i - back:
                    head += 1
                if largest:
                    upper[i, feature] = y[queue[head], feature]
                else:
                    lower[i, feature] = y[queue[head], feature]
    return lower, upper


@njit
def outside(x, lower, upper, metric):
    """Return what the rows of `x` cost, at least, to any rows inside an envelope."""
    total = 0.0
    for i in range(len(x)):
        cost = x[i, 0] - x[i, 0]
        for feature in range(x.shape[1]):
            value = x[i, feature]
            excess = max(value - upper[i, feature], lower[i, feature] - value, value - value)
            cost += excess if metric == MANHATTAN else excess * excess
        total += np.sqrt(cost) if metric == EUCLIDEAN else cost
    return total


@njit
def second_pass(x, y, lower, upper, metric, radius):
    """Return what `y` costs outside the envelope of `x` moved into that of `y`."""
    twin = np.minimum(np.maximum(x, lower), upper)
    twin_lower, twin_upper = envelope_of(twin, len(y), radius)
    return outside(y, twin_lower, twin_upper, metric)


@njit
def first_bounds(query, rows, starts, stops, metric, radius):
    """Return LB_Kim and LB_Keogh of many series, which lie one after the other in `rows`."""
    kim, keogh = np.empty(len(starts)), np.empty(len(starts))
    lower, upper = envelope_of(query, 1, radius)
    for at in range(len(starts)):
        series = rows[starts[at] : stops[at]]
        if len(lower) != len(series):
            lower, upper = envelope_of(query, len(series), radius)
        kim[at] = ends(query, series, metric)
        keogh[at] = outside(series, lower, upper, metric)
    return kim, keogh


@njit
def _cost(x, i, y, j, metric):
    """Return the local cost of one cell."""
    total = x[i, 0] - x[i, 0]
    for feature in range(x.shape[1]):
        difference = x[i, feature] - y[j, feature]
        total += abs(difference) if metric == MANHATTAN else difference * difference
    return np.sqrt(total) if metric == EUCLIDEAN else total


@njit
def ends(x, y, metric):
    """Return what the ends of any warping path cost: see :func:`lb_kim`."""
    n, m = len(x), len(y)
    total = np.float64(_cost(x, 0, y, 0, metric))
    if n > 1 or m > 1:
        total += _cost(x, n - 1, y, m - 1, metric)
    if min(n, m) >= 4:
        # A path goes on, and comes in, by one of three cells; these six are different.
        total += min(
            _cost(x, 0, y, 1, metric),
            _cost(x, 1, y, 0, metric),
            _cost(x, 1, y, 1, metric),
        )
        total += min(
            _cost(x, n - 1, y, m - 2, metric),
            _cost(x, n - 2, y, m - 1, metric),
            _cost(x, n - 2, y, m - 2, metric),
        )
    return total
