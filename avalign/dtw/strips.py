"""DTW distance of two univariate series, one strip of rows after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import literally

from avalign.dtw import layout
from avalign.dtw.compiled import MANHATTAN, SQEUCLIDEAN, njit
from avalign.dtw.wavefront import (
    STATE,
    VECTORS,
    load_rows,
    load_state,
    put_row,
    step,
    store_state,
)

__all__ = ["distance"]


def distance(x: Any, y: Any, radius: int, metric: int) -> float:
    """Return the DTW distance of two univariate series (steps (1, 1), (1, 0), (0, 1)).

    The result is that of the plain recurrence to the last bit: nothing is reordered or
    fused.

    Parameters
    ----------
    x : numpy.ndarray, shape (N,), float64 or float32
        One series: finite, contiguous, writable, not empty.
    y : numpy.ndarray, shape (M,), of the same type
        The other.
    radius : int
        Sakoe-Chiba radius in cells, widened by the difference in length; negative for none.
    metric : int
        Code of the local cost, from :mod:`avalign.dtw.compiled`.

    Returns
    -------
    float
        Sum of the costs along the best path.
    """
    # The distance is symmetric; the fewer columns, the less is wasted on the skew.
    if x.size < y.size:
        x, y = y, x
    kernel = _distance_squared if metric == SQEUCLIDEAN else _distance_absolute
    return float(kernel(x, y, radius))


@njit
def _distance_squared(x: Any, y: Any, radius: Any) -> Any:
    return _distance(x, y, radius, SQEUCLIDEAN)


@njit
def _distance_absolute(x: Any, y: Any, radius: Any) -> Any:
    return _distance(x, y, radius, MANHATTAN)


@njit
def reach(rows: Any, columns: Any, radius: Any) -> Any:
    """Return how far a row reaches before and after its own number, in columns."""
    if radius < 0:
        return rows, columns
    return radius + max(0, rows - columns), radius + max(0, columns - rows)


@njit
def _distance(x: Any, y: Any, radius: Any, metric: Any) -> Any:
    literally(metric)
    rows = layout.height(x)
    before, after = reach(x.size, y.size, radius)
    columns = layout.lay_out_columns(y)
    boundary = layout.empty_boundary(y.size, x)
    strip, inside = layout.aligned(rows, x), layout.aligned(rows, x)
    state = layout.aligned(STATE * rows // VECTORS, x)
    for first in range(0, x.size, rows):
        layout.lay_out_rows(x, first, strip)
        begin, end = span(first, rows, y.size, before, after)
        last = min(first + rows, x.size) - 1
        if last == x.size - 1:
            end = y.size + last - first
        enter(state, boundary, begin, rows)
        run(strip, inside, columns, boundary, state, first, begin, end, before, after, metric)
    # The number of steps is even, so the last may be one beyond the end of the matrix.
    bank = (end - begin) % 2
    return state[bank * rows + layout.lane_of(last - first, rows // VECTORS)]


@njit
def span(first: Any, rows: Any, columns: Any, before: Any, after: Any) -> Any:
    """Return the steps of a strip: from its first column on, until its last row is out."""
    begin = max(0, first - before)
    return begin, min(columns, first + rows + after) + rows


@njit
def enter(state: Any, boundary: Any, begin: Any, rows: Any) -> None:
    """Set the state before a strip's first step."""
    state[:] = np.inf
    state[-1] = boundary[begin - 1 + rows]


@njit
def run(
    strip: Any,
    inside: Any,
    columns: Any,
    boundary: Any,
    state: Any,
    first: Any,
    begin: Any,
    end: Any,
    before: Any,
    after: Any,
    metric: Any,
) -> None:
    """Run a strip over steps ``begin <= t < end``, one more if their number is odd.

    Where the band cuts off part of its rows, at both ends, these cost infinity; `inside` is
    room for the rows that remain.
    """
    literally(metric)
    rows = strip.size
    # Row r is inside the band from step `opening + 2 r` to before step `closing + 2 r`.
    opening, closing = first - before, first + after + 1
    ramp_end = min(max(begin, opening + 2 * rows - 2), end)
    body_end = max(ramp_end, min(end, closing))
    ramp_end += (ramp_end - begin) % 2
    body_end -= (body_end - begin) % 2
    if ramp_end < body_end:
        _run_ramp(
            strip, inside, columns, boundary, state, begin, ramp_end, opening, closing, metric
        )
        _run_body(strip, columns, boundary, state, ramp_end, body_end, metric)
        begin = body_end
    _run_ramp(strip, inside, columns, boundary, state, begin, end, opening, closing, metric)


@njit
def _run_body(
    strip: Any, columns: Any, boundary: Any, state: Any, begin: Any, end: Any, metric: Any
) -> None:
    literally(metric)
    values = load_rows(strip)
    registers = load_state(state)
    for t in range(begin, end, 2):
        registers = step(registers, values, columns, boundary, t, metric)
        registers = step(registers, values, columns, boundary, t + 1, metric)
    store_state(state, registers)


@njit
def _run_ramp(
    strip: Any,
    inside: Any,
    columns: Any,
    boundary: Any,
    state: Any,
    begin: Any,
    end: Any,
    opening: Any,
    closing: Any,
    metric: Any,
) -> None:
    literally(metric)
    rows = strip.size
    outside = strip.dtype.type(np.inf)
    for row in range(rows):
        place = layout.lane_of(row, rows // VECTORS)
        now = opening + 2 * row < begin < closing + 2 * row
        inside[place] = strip[place] if now else outside
    registers = load_state(state)
    for pair in range(begin, end, 2):
        for t in range(pair, pair + 2):
            entering, leaving = t - opening, t - closing
            if entering % 2 == 0 and 0 <= entering < 2 * rows:
                row = entering // 2
                put_row(inside, row, strip[layout.lane_of(row, rows // VECTORS)])
            if leaving % 2 == 0 and 0 <= leaving < 2 * rows:
                put_row(inside, leaving // 2, outside)
            registers = step(registers, load_rows(inside), columns, boundary, t, metric)
    store_state(state, registers)
