"""What lower bounds are made of: envelopes, and what rows cost outside of them.

    width 1     y0     y1     y2     y3      lower, upper of windows that begin at each row:
    width 2     y0-y1  y1-y2  y2-y3          those of twice the width are two of them joined,
    width 4     y0-y3                        until two cover the wanted width together

Series are (rows, features), one run of numbers to which all features are alike.
"""

from __future__ import annotations

import numpy as np

from avalign.dtw.compiled import EUCLIDEAN, MANHATTAN, helper, njit
from avalign.dtw.simd import vectors
from avalign.dtw.simd.vectors import extract, less, load, minimum, select, splat, store


@njit
def envelope_of(y, rows, radius):
    """Return the envelope (rows, D) of `y` (M, D) in the band of a radius, -1 for none."""
    columns, features = y.shape
    reach = max(rows, columns) if radius < 0 else radius
    back = min(reach + max(0, rows - columns), rows - 1)
    ahead = min(reach + max(0, columns - rows), columns - 1)
    lanes = vectors.BYTES // y.itemsize
    # Row i finds its window from row i on, which begins `back` rows before it.
    padded = (rows + back + ahead) * features
    lower = np.full(padded + lanes, np.inf, y.dtype)
    upper = np.full(padded + lanes, -np.inf, y.dtype)
    first = back * features
    for at in range(min(columns, rows + ahead) * features):
        lower[first + at] = upper[first + at] = y[at // features, at % features]
    width = 1
    while 2 * width <= back + ahead + 1:
        _join(lower, upper, width * features, padded)
        width *= 2
    _join(lower, upper, (back + ahead + 1 - width) * features, padded)
    count = rows * features
    return lower[:count].reshape(rows, features), upper[:count].reshape(rows, features)


@helper
def _join(lower, upper, shift, count):
    """Join each window with the one that begins `shift` numbers later, in place."""
    lanes = vectors.BYTES // lower.itemsize
    for at in range(0, count - shift, lanes):
        store(lower, at, minimum(load(lower, at), load(lower, at + shift)))
        store(upper, at, _maximum(load(upper, at), load(upper, at + shift)))


@helper(inline="always")
def _maximum(a, b):
    return select(less(a, b), b, a)


@njit
def outside(x, lower, upper, metric):
    """Return what the rows of `x` cost, at least, to any rows inside an envelope."""
    rows, features = x.shape
    total = 0.0
    if metric == EUCLIDEAN:
        for i in range(rows):
            cost = 0.0
            for feature in range(features):
                excess = _excess(x[i, feature], lower[i, feature], upper[i, feature])
                cost += excess * excess
            total += np.sqrt(cost)
        return total
    lanes = vectors.BYTES // x.itemsize
    nothing = splat(x.dtype.type(0))
    sums = nothing
    whole = x.size - x.size % lanes
    for at in range(0, whole, lanes):
        value = load(x, at)
        beyond = _maximum(value - load(upper, at), load(lower, at) - value)
        excess = _maximum(nothing, beyond)
        sums = sums + (excess if metric == MANHATTAN else excess * excess)
    for lane in range(lanes):
        total += extract(sums, lane)
    for at in range(whole, x.size):
        i, feature = at // features, at % features
        excess = _excess(x[i, feature], lower[i, feature], upper[i, feature])
        total += excess if metric == MANHATTAN else excess * excess
    return total


@helper(inline="always")
def _excess(value, low, high):
    return max(value - high, low - value, value - value)


@njit
def second_pass(x, y, lower, upper, metric, radius):
    """Return what `y` costs outside the envelope of `x` moved into that of `y`."""
    lanes = vectors.BYTES // x.itemsize
    twin = np.empty_like(x)
    whole = x.size - x.size % lanes
    for at in range(0, whole, lanes):
        store(twin, at, minimum(_maximum(load(x, at), load(lower, at)), load(upper, at)))
    features = x.shape[1]
    for at in range(whole, x.size):
        i, feature = at // features, at % features
        twin[i, feature] = min(max(x[i, feature], lower[i, feature]), upper[i, feature])
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
def ends(x, y, metric):
    """Return what the ends of any warping path cost: see :func:`avalign.dtw.lb_kim`."""
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


@helper
def _cost(x, i, y, j, metric):
    """Return the local cost of one cell."""
    total = x[i, 0] - x[i, 0]
    for feature in range(x.shape[1]):
        difference = x[i, feature] - y[j, feature]
        total += abs(difference) if metric == MANHATTAN else difference * difference
    return np.sqrt(total) if metric == EUCLIDEAN else total
