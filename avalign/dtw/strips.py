"""DTW distance of two univariate series, one strip of rows after the other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from avalign.dtw import layout
from avalign.dtw.compiled import SQEUCLIDEAN, helper, njit
from avalign.dtw.wavefront import (
    STATE,
    VECTORS,
    AbsoluteDifference,
    SquaredDifference,
    load_rows,
    load_state,
    put_row,
    step,
    store_state,
)

__all__ = ["Workspace", "distance", "enter", "outcome", "reach", "run", "span", "workspace"]


class Workspace(NamedTuple):
    """What the strips of one matrix work with, one after the other.

    Parameters
    ----------
    rows : array, shape (height,)
        Values of the current strip's rows, laid out.
    inside : array, shape (height,)
        The same, infinite where a row is outside of the band.
    columns : array
        The other series, laid out.
    boundary : array
        Row of the matrix above the strip; in its place, the strip leaves its bottom row.
    state : array
        Registers of the strip between two runs.
    """

    rows: Any
    inside: Any
    columns: Any
    boundary: Any
    state: Any


def distance(x: npt.NDArray[Any], y: npt.NDArray[Any], radius: int, metric: int) -> float:
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
    # The distance is symmetric; the fewer strips, the less is wasted on their ends.
    if x.size > y.size:
        x, y = y, x
    kernel = _distance_squared if metric == SQEUCLIDEAN else _distance_absolute
    return float(kernel(x, y, radius))


@njit
def _distance_squared(x: Any, y: Any, radius: Any) -> Any:
    return _distance(x, y, radius, SquaredDifference())


@njit
def _distance_absolute(x: Any, y: Any, radius: Any) -> Any:
    return _distance(x, y, radius, AbsoluteDifference())


@helper(inline="always")
def _distance(x: Any, y: Any, radius: Any, metric: Any) -> Any:
    before, after = reach(x.size, y.size, radius)
    work = workspace(x, y)
    rows = work.rows.size
    for first in range(0, x.size, rows):
        begin, end = span(first, x.size, y.size, rows, before, after)
        layout.lay_out_rows(x, first, work.rows)
        enter(work, begin)
        run(work, first, begin, end, before, after, metric)
    return outcome(work, x.size - 1 - first, end - begin)


@helper
def workspace(x: Any, y: Any) -> Any:
    """Allocate what the strips of a matrix work with, and lay out its columns."""
    rows = layout.height(x)
    return Workspace(
        layout.aligned(rows, x),
        layout.aligned(rows, x),
        layout.lay_out_columns(y),
        layout.empty_boundary(y.size, x),
        layout.aligned(STATE * rows // VECTORS, x),
    )


@helper
def reach(rows: Any, columns: Any, radius: Any) -> Any:
    """Return how far a row reaches before and after its own number, in columns."""
    if radius < 0:
        return rows, columns
    return radius + max(0, rows - columns), radius + max(0, columns - rows)


@helper
def span(first: Any, total: Any, columns: Any, rows: Any, before: Any, after: Any) -> Any:
    """Return the first step of a strip, an even one, and the one after its last.

    A strip begins with its first column. It ends when its bottom row has left one column
    behind the band in the boundary, where the row below reads infinity; the last strip of
    all, when it has computed the last cell of the matrix.
    """
    begin = max(0, first - before)
    end = min(columns, first + rows + after + 1) + rows
    if first + rows >= total:
        end = columns + total - 1 - first
    return begin - begin % 2, end


@helper
def enter(work: Any, begin: Any) -> None:
    """Set the state before a strip's first step."""
    work.state[:] = np.inf
    work.state[-1] = work.boundary[begin - 1 + work.rows.size]


@helper
def outcome(work: Any, row: Any, steps: Any) -> Any:
    """Return what a row of the strip had at the last of `steps` steps.

    Steps are run in pairs, so the state may be one step ahead.
    """
    lanes = work.rows.size // VECTORS
    return work.state[steps % 2 * VECTORS * lanes + layout.lane_of(row, lanes)]


@helper(inline="always")
def run(
    work: Any, first: Any, begin: Any, end: Any, before: Any, after: Any, metric: Any
) -> None:
    """Run a strip over steps ``begin <= t < end``, and one more if their number is odd.

    Where the band cuts off part of its rows, at both ends, these cost infinity.
    """
    # Row r is inside the band from step `opening + 2 r` to before step `closing + 2 r`.
    opening, closing = first - before, first + after + 1
    all_in = min(max(begin, opening + 2 * work.rows.size - 2), end)
    all_in += (all_in - begin) % 2
    some_out = min(end, closing)
    some_out -= (some_out - begin) % 2
    if all_in < some_out:
        _run_ramp(work, begin, all_in, opening, closing, metric)
        _run_body(work, all_in, some_out, metric)
        begin = some_out
    _run_ramp(work, begin, end, opening, closing, metric)


@helper
def _run_body(work: Any, begin: Any, end: Any, metric: Any) -> None:
    columns, boundary = work.columns, work.boundary
    rows = load_rows(work.rows)
    state = load_state(work.state)
    for t in range(begin, end, 2):
        state = step(state, rows, columns, boundary, t, metric)
        state = step(state, rows, columns, boundary, t + 1, metric)
    store_state(work.state, state)


@helper
def _run_ramp(work: Any, begin: Any, end: Any, opening: Any, closing: Any, metric: Any) -> None:
    if begin >= end:
        return
    rows, inside, columns, boundary, _ = work
    keep_inside(work, begin, opening, closing)
    state = load_state(work.state)
    for pair in range(begin, end, 2):
        for t in range(pair, pair + 2):
            # In this loop, calls that take arrays would cost more than the step.
            entering, leaving = t - opening, t - closing
            if entering % 2 == 0 and 0 <= entering < 2 * rows.size:
                row = entering // 2
                put_row(inside, row, rows[layout.lane_of(row, rows.size // VECTORS)])
            if leaving % 2 == 0 and 0 <= leaving < 2 * rows.size:
                put_row(inside, leaving // 2, inside.dtype.type(np.inf))
            state = step(state, load_rows(inside), columns, boundary, t, metric)
    store_state(work.state, state)


@helper
def keep_inside(work: Any, begin: Any, opening: Any, closing: Any) -> None:
    """Select the rows that are inside the band right before step `begin`."""
    rows = work.rows.size
    for row in range(rows):
        place = layout.lane_of(row, rows // VECTORS)
        if opening + 2 * row < begin <= closing + 2 * row:
            work.inside[place] = work.rows[place]
        else:
            work.inside[place] = np.inf
