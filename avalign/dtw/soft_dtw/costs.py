"""Costs of the cells in a block of anti-diagonals, and what they add to gradients.

Channels come first, and one of the series runs backwards: cells of an anti-diagonal, next to
each other in a row of a block, find their values next to each other.

    x, channel c       | MARGIN |  x0    x1    x2    x3   ..    | 2 * MARGIN |
    y, channel c       | MARGIN |  y3    y2    y1    y0         | 2 * MARGIN |
    anti-diagonal 3               (0,3) (1,2) (2,1) (3,0)
"""

from __future__ import annotations

import numpy as np

from avalign.dtw.compiled import EUCLIDEAN, MANHATTAN, njit
from avalign.dtw.problem import PRECOMPUTED
from avalign.dtw.simd.vectors import absolute, fused_multiply_add, less, load, select, store

# Room on both sides of a row for vectors that stick out of it; one vector of float32.
MARGIN = 16
# Channels that a kernel holds in registers; the number of channels is rounded up to it.
CHANNELS = 4


@njit
def channels_first(series, channels, backwards):
    """Copy (N, D) to (D rounded up, margin + N + margin), zero where there is no value."""
    rows = len(series)
    padded = -(-channels // CHANNELS) * CHANNELS
    out = np.zeros((padded, rows + 3 * MARGIN), series.dtype)
    for row in range(rows):
        position = MARGIN + (rows - 1 - row if backwards else row)
        for channel in range(channels):
            out[channel, position] = series[row, channel]
    return out


@njit
def rows_first(gradient, backwards, factor, out):
    """Copy a gradient back to (N, D), times a factor."""
    rows, channels = out.shape
    for row in range(rows):
        position = MARGIN + (rows - 1 - row if backwards else row)
        for channel in range(channels):
            out[row, channel] = factor * gradient[channel, position]


@njit
def fill_costs(
    costs, x, x_channels, y_channels, first, last, start, stop, base, columns, metric
):
    """Fill a block with costs: those given in `x`, or those between two series."""
    if metric == PRECOMPUTED:
        _gather_costs(costs, x, first, last, start, stop, base)
    else:
        _compute_costs(
            costs, x_channels, y_channels, first, last, start, stop, base, columns, metric
        )


@njit
def _gather_costs(costs, matrix, first, last, start, stop, base):
    for d in range(start, stop):
        for i in range(first[d], last[d] + 1):
            costs[d - start, i - base] = matrix[i, d - i]


@njit
def _compute_costs(costs, x, y, first, last, start, stop, base, columns, metric):
    """Fill a block with costs; `y` runs backwards, so that its index grows with the row."""
    lanes = 64 // costs.itemsize
    width, x_width, y_width = costs.shape[1], x.shape[1], y.shape[1]
    begin = first[start] // lanes * lanes
    for c in range(0, x.shape[0], CHANNELS):
        for i in range(begin, last[stop - 1] + 1, lanes):
            at = c * x_width + i + MARGIN
            x0, x1 = load(x, at), load(x, at + x_width)
            x2, x3 = load(x, at + 2 * x_width), load(x, at + 3 * x_width)
            for d in range(start, stop):
                if i + lanes <= first[d] or i > last[d]:
                    continue
                at = c * y_width + i + columns - 1 - d + MARGIN
                d0, d1 = x0 - load(y, at), x1 - load(y, at + y_width)
                d2, d3 = x2 - load(y, at + 2 * y_width), x3 - load(y, at + 3 * y_width)
                if metric == MANHATTAN:
                    cost = (absolute(d0) + absolute(d1)) + (absolute(d2) + absolute(d3))
                else:
                    cost = fused_multiply_add(d0, d0, d1 * d1) + fused_multiply_add(
                        d2, d2, d3 * d3
                    )
                at = (d - start) * width + i - base
                if c > 0:
                    cost = cost + load(costs, at)
                store(costs, at, cost)
    if metric == EUCLIDEAN:
        for d in range(start, stop):
            row = costs[d - start, first[d] - base : last[d] - base + 1]
            for i in range(row.size):
                row[i] = np.sqrt(row[i])


@njit
def scatter_fractions(fractions, alignment, first, last, start, stop, base):
    """Copy the fractions of a block to where their cells are in the matrix."""
    for d in range(start, stop):
        for i in range(first[d], last[d] + 1):
            alignment[i, d - i] = fractions[d - start, i - base]


@njit
def divide_by_cost(fractions, costs, first, last, start, stop, base):
    """Take the root into account, whose derivative is 0 here where the cost is."""
    for d in range(start, stop):
        for i in range(first[d] - base, last[d] + 1 - base):
            cost = costs[d - start, i]
            fractions[d - start, i] = fractions[d - start, i] / cost if cost > 0 else 0


@njit
def add_gradient(
    gradient, own, other, fractions, first, last, start, stop, base, columns, skew, metric
):
    """Add what a block contributes to the gradient of one series, halved if squared."""
    # Both series are in the order of the rows of x; `skew` is 0 to differentiate by x, and 1
    # by y, whose index is larger by columns - 1 - d on anti-diagonal d.
    lanes = 64 // fractions.itemsize
    width, own_width, other_width = fractions.shape[1], own.shape[1], other.shape[1]
    if skew:
        begin = first[stop - 1] + columns - stop
        end = last[start] + columns - 1 - start
    else:
        begin, end = first[start], last[stop - 1]
    begin = begin // lanes * lanes
    for c in range(0, own.shape[0], CHANNELS):
        for k in range(begin, end + 1, lanes):
            at = c * own_width + k + MARGIN
            x0, x1 = load(own, at), load(own, at + own_width)
            x2, x3 = load(own, at + 2 * own_width), load(own, at + 3 * own_width)
            g0, g1 = load(gradient, at), load(gradient, at + own_width)
            g2, g3 = load(gradient, at + 2 * own_width), load(gradient, at + 3 * own_width)
            for d in range(start, stop):
                ahead = columns - 1 - d
                i = k - skew * ahead
                if i + lanes <= first[d] or i > last[d]:
                    continue
                fraction = load(fractions, (d - start) * width + i - base)
                at_other = c * other_width + i + (1 - skew) * ahead + MARGIN
                d0 = x0 - load(other, at_other)
                d1 = x1 - load(other, at_other + other_width)
                d2 = x2 - load(other, at_other + 2 * other_width)
                d3 = x3 - load(other, at_other + 3 * other_width)
                if metric == MANHATTAN:
                    g0, g1 = g0 + _signed(fraction, d0), g1 + _signed(fraction, d1)
                    g2, g3 = g2 + _signed(fraction, d2), g3 + _signed(fraction, d3)
                else:
                    g0 = fused_multiply_add(fraction, d0, g0)
                    g1 = fused_multiply_add(fraction, d1, g1)
                    g2 = fused_multiply_add(fraction, d2, g2)
                    g3 = fused_multiply_add(fraction, d3, g3)
            store(gradient, at, g0)
            store(gradient, at + own_width, g1)
            store(gradient, at + 2 * own_width, g2)
            store(gradient, at + 3 * own_width, g3)


@njit(forceinline=True)
def _signed(fraction, difference):
    zero = difference - difference
    positive = select(less(zero, difference), fraction, zero)
    return select(less(difference, zero), zero - fraction, positive)
