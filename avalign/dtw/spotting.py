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
from avalign.dtw.compiled import MANHATTAN, SQEUCLIDEAN, helper, njit
from avalign.dtw.registers import STATE, VECTORS, load_rows, load_state, store_state
from avalign.dtw.vectors import BYTES
from avalign.dtw.wavefront import step_and_spot

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
    height = VECTORS * BYTES // series.itemsize
    strips = -(-query.size // height)
    integer = np.int64 if series.itemsize == 8 else np.int32
    work = np.empty(layout.workspace_size(series.size, series.itemsize), series.dtype)
    states = np.empty((strips, STATE * height // VECTORS), series.dtype)
    began = np.empty(states.shape, integer)
    starts = np.empty(work.size, integer)
    costs = np.empty_like(series)
    _KERNELS[metric == SQEUCLIDEAN](query, series, work, states, began, starts, costs)
    return costs, starts[height : height + series.size]


def _make_kernel(metric: int) -> Any:
    @njit
    def spot(
        query: Any, series: Any, work: Any, states: Any, began: Any, starts: Any, costs: Any
    ) -> None:
        """Fill `costs`, and `starts` from the height of a strip on."""
        workspace = layout.divide(work, series.size)
        values, _, _, _, boundary, columns = workspace
        layout.lay_out(series, 0.0, workspace)
        rows, strips = values.size, states.shape[0]
        counted = np.empty(rows, starts.dtype)
        # The rows are a whole number of strips: above the query, as many are added as it
        # takes, which cost nothing. A path goes through them diagonally, as ties do.
        added = strips * rows - query.size
        for place in range(boundary.size):
            boundary[place] = 0
            starts[place] = place - rows + 1 + added
        last = series.size + rows
        for slab in range(0, last + strips * rows, SLAB):
            for strip in range(strips):
                begin, stop = slab - strip * rows, slab + SLAB - strip * rows
                begin, stop = max(0, begin), min(last, stop)
                if begin >= stop:
                    continue
                _lay_out_rows(query, strip * rows - added, values, counted)
                state, firsts = states[strip], began[strip]
                if begin == 0:
                    free = added - strip * rows
                    _enter(state, firsts, boundary, starts, free, added)
                loaded, mask = load_rows(values), load_rows(counted)
                running, running_firsts = load_state(state), load_state(firsts)
                for pair in range(begin, stop, 2):
                    for t in range(pair, pair + 2):
                        running, running_firsts = step_and_spot(
                            running, running_firsts, loaded, mask, columns, boundary, starts,
                            t, metric, 1,
                        )  # fmt: skip
                store_state(state, running)
                store_state(firsts, running_firsts)
        for column in range(costs.size):
            costs[column] = boundary[rows + column]

    return spot


_KERNELS = {
    squared: _make_kernel(SQEUCLIDEAN if squared else MANHATTAN) for squared in (True, False)
}


@helper
def _lay_out_rows(query: Any, first: Any, values: Any, counted: Any) -> None:
    """Write the rows from ``query[first]`` on; those before the query cost nothing."""
    lanes = values.size // VECTORS
    for row in range(values.size):
        place = layout.place_of(row, lanes)
        inside = first + row >= 0
        values[place] = query[first + row] if inside else 0.0
        counted[place] = -1 if inside else 0


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
        place = layout.place_of(row, lanes)
        for age in range(2):
            state[age * rows + place] = 0
            began[age * rows + place] = added - 2 * row - 1 - age
        if row % VECTORS == VECTORS - 1 and place > rows - lanes:
            state[2 * rows + place - rows + lanes - 1] = 0
            began[2 * rows + place - rows + lanes - 1] = added - 2 * row - 2
    state[-1] = boundary[rows - 1]
    began[-1] = starts[rows - 1]
