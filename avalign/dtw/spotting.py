"""Cost and start of the best match of a query that ends at each place of a longer series.

A strip of the query's rows (see :mod:`avalign.dtw.strips`) walks along the series. Above the
matrix all costs are zero, for a match may begin anywhere; beside each cost, the column in
which its path began goes the same way through registers of its own.
"""

from __future__ import annotations

from typing import Any

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
    step_and_spot,
    store_state,
)

__all__ = ["last_row"]

# Steps after which the next strip takes over, an even number: their columns stay in a near
# cache. Each strip leans back against the one above by its height, so that all it needs is
# there.
SLAB = 2048


def last_row(
    query: npt.NDArray[Any], series: npt.NDArray[Any], metric: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return how well a query matches, wherever in a series the match ends.

    Parameters
    ----------
    query : numpy.ndarray, shape (N,), float64 or float32
        What to look for: finite, contiguous, writable, not empty.
    series : numpy.ndarray, shape (M,), of the same type
        Where to look for it.
    metric : int
        Code of the local cost, from :mod:`avalign.dtw.compiled`.

    Returns
    -------
    costs : numpy.ndarray, shape (M,), of the same type
        Cost of the best path of the whole query that ends in each column.
    starts : numpy.ndarray, shape (M,), int64 or, for float32, int32
        Column in which that path begins. Of equal paths it is the one that, followed
        backwards, goes diagonally if it can, and else rather along the query.
    """
    kernel = _last_row_squared if metric == SQEUCLIDEAN else _last_row_absolute
    starts = np.empty(0, np.int64 if series.itemsize == 8 else np.int32)
    return kernel(query, series, starts)


@njit
def _last_row_squared(query: Any, series: Any, starts: Any) -> Any:
    return _last_row(query, series, starts, SquaredDifference())


@njit
def _last_row_absolute(query: Any, series: Any, starts: Any) -> Any:
    return _last_row(query, series, starts, AbsoluteDifference())


@helper(inline="always")
def _last_row(query: Any, series: Any, like: Any, metric: Any) -> Any:
    """Run the strips; `like` is empty, and of the type of the starts."""
    rows = layout.height(series)
    columns = layout.lay_out_columns(series)
    boundary = layout.empty_boundary(series.size, series)
    starts = layout.aligned(boundary.size, like)
    # The rows are a whole number of strips: above the query, as many are added as it takes,
    # which cost nothing. A path goes through them diagonally, as ties do.
    added = -query.size % rows
    boundary[:] = 0
    for place in range(starts.size):
        starts[place] = place - rows + 1 + added
    count = (query.size + added) // rows
    size = STATE * rows // VECTORS
    states = layout.aligned(count * size, series).reshape(count, size)
    began = layout.aligned(count * size, like).reshape(count, size)
    values = layout.aligned(rows, series)
    counted = layout.aligned(rows, like)
    last = series.size + rows
    for slab in range(0, last + count * rows, SLAB):
        for strip in range(count):
            first = strip * rows - added
            begin, stop = max(0, slab - strip * rows), min(last, slab + SLAB - strip * rows)
            if begin >= stop:
                continue
            for row in range(rows):
                place = layout.lane_of(row, rows // VECTORS)
                inside = first + row >= 0
                values[place] = query[first + row] if inside else series.dtype.type(0)
                counted[place] = -1 if inside else 0
            state, firsts = states[strip], began[strip]
            if begin == 0:
                _enter(state, firsts, boundary, starts, -first, added)
            _run(values, counted, columns, boundary, starts, state, firsts, begin, stop, metric)
    return boundary[rows : rows + series.size], starts[rows : rows + series.size]


@helper
def _enter(state: Any, began: Any, boundary: Any, starts: Any, free: Any, added: Any) -> None:
    """Set what a strip has before its first step, when its first `free` rows cost nothing.

    Each of these has been on its way down from the boundary, with a start for every cell.
    """
    lanes = state.size // STATE
    rows = VECTORS * lanes
    state[:] = np.inf
    began[:] = 0
    for row in range(min(free, rows)):
        place = layout.lane_of(row, lanes)
        for age in range(2):
            state[age * rows + place] = 0
            began[age * rows + place] = added - 2 * row - 1 - age
        if row % VECTORS == VECTORS - 1 and place > rows - lanes:
            state[2 * rows + place - rows + lanes - 1] = 0
            began[2 * rows + place - rows + lanes - 1] = added - 2 * row - 2
    state[-1] = boundary[rows - 1]
    began[-1] = starts[rows - 1]


@helper
def _run(
    values: Any,
    counted: Any,
    columns: Any,
    boundary: Any,
    starts: Any,
    state: Any,
    began: Any,
    begin: Any,
    end: Any,
    metric: Any,
) -> None:
    rows, mask = load_rows(values), load_rows(counted)
    costs, firsts = load_state(state), load_state(began)
    for t in range(begin, end, 2):
        costs, firsts = step_and_spot(
            costs, firsts, rows, mask, columns, boundary, starts, t, metric
        )
        costs, firsts = step_and_spot(
            costs, firsts, rows, mask, columns, boundary, starts, t + 1, metric
        )
    store_state(state, costs)
    store_state(began, firsts)
