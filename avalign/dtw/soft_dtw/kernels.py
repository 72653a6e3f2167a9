"""Soft-DTW and its gradient along anti-diagonals, in blocks of them.

    w[i, j] = exp(-cost[i, j] / gamma)
    k[i, j] = w[i, j] * (k[i-1, j-1] + k[i-1, j] + k[i, j-1])    the paths to a cell
    g[i, j] = the same from the far end                          what is left of them
    distance = -gamma * log(k[N-1, M-1])
    k * g / w / k[N-1, M-1] = fraction of the paths through a cell = gradient by its cost

Both sums run in scaled arithmetic. Cells of an anti-diagonal d = i + j do not depend on each
other; a row of a block holds one of them, the cell of row i of x at i - base:

    d - 2    .  a  .  .      the two anti-diagonals in front of each block are what the pass
    d - 1    .  b  c  .      forth caches; the pass back repeats a block from them
    --------------------
    d        .  .  *  .      a = (i-1, j-1), b = (i-1, j), c = (i, j-1)
"""

from __future__ import annotations

import numpy as np

from avalign.dtw.compiled import EUCLIDEAN, SQEUCLIDEAN, njit
from avalign.dtw.problem import PRECOMPUTED
from avalign.dtw.simd.vectors import load, splat, store
from avalign.dtw.soft_dtw.costs import (
    MARGIN,
    add_gradient,
    channels_first,
    divide_by_cost,
    fill_costs,
    rows_first,
    scatter_fractions,
)
from avalign.dtw.soft_dtw.scaled import exp2, normalise, power_of_two, sum_of_three


@njit
def _diagonals(rows, columns, radius):
    """Return the first and the last row of `x` on each anti-diagonal, inside the band."""
    count = rows + columns - 1
    first, last = np.empty(count, np.int64), np.empty(count, np.int64)
    reach = rows + columns if radius < 0 else radius
    low = -reach - max(0, rows - columns)
    high = reach + max(0, columns - rows)
    for d in range(count):
        # Column minus row is d - 2 * row.
        first[d] = max(0, d - columns + 1, -((high - d) // 2) if d > high else 0)
        last[d] = min(rows - 1, d, (d - low) // 2)
    return first, last


@njit
def _forth(k, k_exponent, costs, first, last, start, stop, base, scale):
    """Fill a block with the sums over the paths to its cells, from two rows above it."""
    lanes = 64 // costs.itemsize
    width = costs.shape[1]
    per_cost = splat(scale)
    for d in range(start, stop):
        row = (d - start) * width
        begin = first[d] // lanes * lanes - base
        for at in range(row + begin, row + last[d] + 1 - base, lanes):
            weight, exponent = exp2(load(costs, at) * per_cost)
            # The block of sums has two rows more, so this cell is at `at + 2 * width`.
            total, total_exponent = sum_of_three(
                load(k, at - 1), load(k_exponent, at - 1),
                load(k, at + width - 1), load(k_exponent, at + width - 1),
                load(k, at + width), load(k_exponent, at + width),
            )  # fmt: skip
            total, exponent = normalise(total * weight, total_exponent + exponent)
            store(k, at + 2 * width, total)
            store(k_exponent, at + 2 * width, exponent)
        _close(k, k_exponent, d - start + 2, first[d] - base - 1, last[d] - base + 1)


@njit(forceinline=True)
def _close(mantissa, exponent, row, before, after):
    """Put zeros around the cells of an anti-diagonal."""
    mantissa[row, before] = 0
    mantissa[row, after] = 0
    exponent[row, before] = -np.inf
    exponent[row, after] = -np.inf


@njit
def _back(
    g, g_exponent, k, k_exponent, costs, fractions, first, last, start, stop, base, scale,
    whole, whole_exponent,
):  # fmt: skip
    """Fill a block with the fractions of the paths that visit its cells."""
    # `g` has three rows for anti-diagonals d, d + 1 and d + 2 in turn, from row 0 of x on.
    lanes = 64 // costs.itemsize
    width, g_width = costs.shape[1], g.shape[1]
    per_cost = splat(scale)
    per_path, all_exponent = splat(costs.dtype.type(1) / whole), splat(whole_exponent)
    for d in range(stop - 1, start - 1, -1):
        row = (d - start) * width
        here = d % 3 * g_width + MARGIN
        next_one = (d + 1) % 3 * g_width + MARGIN
        next_two = (d + 2) % 3 * g_width + MARGIN
        for i in range(first[d] // lanes * lanes, last[d] + 1, lanes):
            at = row + i - base
            weight, exponent = exp2(load(costs, at) * per_cost)
            total, total_exponent = sum_of_three(
                load(g, next_two + i + 1), load(g_exponent, next_two + i + 1),
                load(g, next_one + i + 1), load(g_exponent, next_one + i + 1),
                load(g, next_one + i), load(g_exponent, next_one + i),
            )  # fmt: skip
            through = load(k_exponent, at + 2 * width) + total_exponent - all_exponent
            fraction = load(k, at + 2 * width) * total * per_path
            store(fractions, at, fraction * power_of_two(through))
            total, exponent = normalise(total * weight, total_exponent + exponent)
            store(g, here + i, total)
            store(g_exponent, here + i, exponent)
        _close(g, g_exponent, d % 3, first[d] - 1 + MARGIN, last[d] + 1 + MARGIN)
        for i in range(first[d] - lanes, first[d]):
            fractions[d - start, i - base] = 0
        for i in range(last[d] + 1, last[d] + 1 + lanes):
            fractions[d - start, i - base] = 0


@njit
def soft_pair(x, y, metric, radius, scale, block, gradient_x, gradient_y, alignment):
    """Return mantissa and exponent of the sum over all paths; fill the gradients not empty."""
    # With PRECOMPUTED, x is the (N, M) cost matrix and y of shape (0, 0). `scale` is
    # -1 / (gamma * log(2)); `block` is how many anti-diagonals to cache at a time; `alignment`
    # is empty, or zeros of shape (N, M).
    kind = x.dtype
    rows = len(x)
    columns = x.shape[1] if metric == PRECOMPUTED else len(y)
    first, last = _diagonals(rows, columns, radius)
    bases, width = _blocks(first, last, block)
    channels = y.shape[1]
    x_channels = channels_first(x, channels, False)
    y_channels = channels_first(y, channels, True)
    with_gradient, with_alignment = gradient_x.size > 0, alignment.size > 0

    costs = np.zeros((block, width), kind)
    k = np.zeros((block + 2, width), kind)
    k_exponent = np.full((block + 2, width), -np.inf, kind)
    # Paths enter from a cell before the first.
    k[0, MARGIN - 1], k_exponent[0, MARGIN - 1] = 1, 0
    heads = np.zeros((len(bases) if with_gradient or with_alignment else 0, 2, 2, width), kind)
    for b, base in enumerate(bases):
        if b > 0:
            _copy_two(k, k, block, base - bases[b - 1], 0.0)
            _copy_two(k_exponent, k_exponent, block, base - bases[b - 1], -np.inf)
        if len(heads):
            _copy_two(heads[b, 0], k, 0, 0, 0.0)
            _copy_two(heads[b, 1], k_exponent, 0, 0, 0.0)
        start, stop = b * block, min(len(first), b * block + block)
        fill_costs(
            costs, x, x_channels, y_channels, first, last, start, stop, base, columns, metric
        )
        _forth(k, k_exponent, costs, first, last, start, stop, base, scale)
    end = (len(first) - 1) % block + 2, rows - 1 - bases[-1]
    whole, whole_exponent = k[end], k_exponent[end]
    if not len(heads):
        return np.float64(whole), np.float64(whole_exponent)

    x_gradient, y_gradient = np.zeros_like(x_channels), np.zeros_like(y_channels)
    fractions = np.zeros((block, width), kind)
    g = np.zeros((3, rows + 3 * MARGIN), kind)
    g_exponent = np.full((3, rows + 3 * MARGIN), -np.inf, kind)
    # Paths leave to a cell behind the last.
    beyond = (rows + columns) % 3, rows + MARGIN
    g[beyond], g_exponent[beyond] = 1, 0
    for b in range(len(bases) - 1, -1, -1):
        base, start, stop = bases[b], b * block, min(len(first), b * block + block)
        if b < len(bases) - 1:
            _copy_two(k, heads[b, 0], 0, 0, 0.0)
            _copy_two(k_exponent, heads[b, 1], 0, 0, 0.0)
            fill_costs(
                costs, x, x_channels, y_channels, first, last, start, stop, base, columns,
                metric,
            )  # fmt: skip
            _forth(k, k_exponent, costs, first, last, start, stop, base, scale)
        _back(
            g, g_exponent, k, k_exponent, costs, fractions, first, last, start, stop, base,
            scale, whole, whole_exponent,
        )  # fmt: skip
        if with_alignment:
            scatter_fractions(fractions, alignment, first, last, start, stop, base)
        if with_gradient:
            if metric == EUCLIDEAN:
                divide_by_cost(fractions, costs, first, last, start, stop, base)
            add_gradient(
                x_gradient, x_channels, y_channels, fractions, first, last, start, stop, base,
                columns, 0, metric,
            )  # fmt: skip
            add_gradient(
                y_gradient, y_channels, x_channels, fractions, first, last, start, stop, base,
                columns, 1, metric,
            )  # fmt: skip
    if with_gradient:
        factor = 2 if metric == SQEUCLIDEAN else 1
        rows_first(x_gradient, False, factor, gradient_x)
        rows_first(y_gradient, True, factor, gradient_y)
    return np.float64(whole), np.float64(whole_exponent)


@njit
def _blocks(first, last, block):
    """Return the row of `x` at which each block of anti-diagonals begins, and their width."""
    bases = np.empty(-(-len(first) // block), np.int64)
    width = 0
    for b in range(len(bases)):
        bases[b] = first[b * block] // MARGIN * MARGIN - MARGIN
        stop = min(len(first), b * block + block)
        width = max(width, last[stop - 1] - bases[b] + 2 * MARGIN)
    return bases, width


@njit
def _copy_two(target, source, row, moved, nothing):
    """Copy two anti-diagonals to the head of a block that begins `moved` further on."""
    # Loops, as assigning slices takes longer to compile than all the rest.
    width = target.shape[1]
    for two in range(2):
        for at in range(width - moved):
            target[two, at] = source[row + two, at + moved]
        for at in range(width - moved, width):
            target[two, at] = nothing
