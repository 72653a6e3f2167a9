"""Cost and start of the best match of a query that ends in each column of a longer series.

    series  ------ slab s - 1 ------+------ slab s ---------+
    zeros   0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0      a match may begin anywhere
    strip 0 |                      /                      /     strips of the query's rows walk
    strip 1 |                  /                      /         along the series (`univariate`);
    strip 2 |              /                      /             slabs lean back by their height
            costs of the last row                               / registers, cached

Slabs in which a match lies run again, with the column in which each path began beside its
cost (`step_and_spot`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from avalign.dtw.compiled import MANHATTAN, SQEUCLIDEAN, helper, njit
from avalign.dtw.simd.registers import STATE, VECTORS, load_rows, load_state, store_state
from avalign.dtw.simd.vectors import BYTES
from avalign.dtw.univariate import layout
from avalign.dtw.univariate.wavefront import step, step_and_spot

# The fewest steps in a slab, an even number: little is run again for one match, and changing
# strips takes little of the time.
LEAST_STEPS = 1024
# In place of the column in which a path began, if that was before the slabs that run again.
EARLIER = -1


class Spotter:
    """Finds how well a query [N] matches a series [M]: `costs` [M] of each end, and starts."""

    def __init__(self, query: npt.NDArray[Any], series: npt.NDArray[Any], metric: int) -> None:
        height = VECTORS * BYTES // series.itemsize
        strips = -(-query.size // height)
        # With as many steps as rows, states take less memory than columns.
        self._steps = max(LEAST_STEPS, strips * height)
        slabs = -(-(series.size + (strips + 1) * height) // self._steps)
        self._query = query
        self._work = np.empty(layout.workspace_size(series.size, series.itemsize), series.dtype)
        self._states = np.empty((slabs + 1, strips, STATE * height // VECTORS), series.dtype)
        integer = np.int64 if series.itemsize == 8 else np.int32
        self._began = np.empty(self._states.shape[1:], integer)
        # The boundary above a strip; like that for costs, read a vector at a time.
        self._began_above = np.empty(series.size + 3 * height, integer)
        self._starts = np.full(series.size, EARLIER, integer)
        self.costs = np.empty_like(series)
        self._sweep, self._sweep_again = _SWEEPS[metric == SQEUCLIDEAN]
        _lay_out(series, self._work)
        self._run(self._sweep, 0, slabs)

    def start(self, end: int) -> int:
        """Return the column in which the best path begins that ends in some column."""
        # Of equal paths that which, backwards, goes diagonally if it can, else rather along the
        # query. Where costs overflow, the start means nothing.
        slab = (end + self._query.size - 1) // self._steps
        first, back = slab + 1, 1
        while self._starts[end] == EARLIER and first > 0:
            first, back = max(0, slab - back), 2 * back
            self._run(self._sweep_again, first, slab + 1)
        return int(self._starts[end])

    def _run(self, sweep: Any, first: int, stop: int) -> None:
        sweep(
            self._query, self._work, self._states, self._steps, first, stop,
            self._began, self._began_above, self.costs, self._starts,
        )  # fmt: skip


@njit
def _lay_out(series, work):
    layout.lay_out(series, 0.0, layout.divide(work, series.size))


def _make_sweeps(metric: int) -> tuple[Any, Any]:
    """Make the kernels that find costs, and then starts."""

    @helper
    def run(
        state, began, rows, columns, boundary, began_above, begin, stop, row, costs,
        starts,
    ):  # fmt: skip
        """Run a strip; if one of its rows is the last of the query, write down its costs."""
        loaded, running = load_rows(rows), load_state(state)
        for t in range(begin, stop, 2):
            running = step(running, loaded, columns, boundary, t, metric, 1)
            running = step(running, loaded, columns, boundary, t + 1, metric, 1)
            if row >= 0:
                store_state(state, running)
                _leave(state, row, t - row, costs)
        store_state(state, running)

    @helper
    def run_again(
        state, began, rows, columns, boundary, began_above, begin, stop, row, costs,
        starts,
    ):  # fmt: skip
        """Run a strip that did run before; write down the starts in place of the costs."""
        loaded, running, firsts = load_rows(rows), load_state(state), load_state(began)
        for pair in range(begin, stop, 2):
            for t in range(pair, pair + 2):
                running, firsts = step_and_spot(
                    running, firsts, loaded, columns, boundary, began_above, t, metric, 1
                )
            if row >= 0:
                store_state(began, firsts)
                _leave(began, row, pair - row, starts)
        store_state(state, running)
        store_state(began, firsts)

    return _make_sweep(run), _make_sweep(run_again)


@helper
def _leave(state, row, column, out):
    """Write down what a row of a strip got in the last two steps, in a column and the next."""
    lanes = state.size // STATE
    index = layout.index_of(row, lanes)
    if 0 <= column < out.size:
        out[column] = state[VECTORS * lanes + index]
    if 0 <= column + 1 < out.size:
        out[column + 1] = state[index]


def _make_sweep(run: Any) -> Any:
    @njit
    def sweep(query, work, states, steps, first, stop, began, began_above, costs, starts):
        """Run some slabs: fill `costs` or `starts`, and the states after each of them."""
        rows, _, _, _, boundary, columns = layout.divide(work, costs.size)
        height, strips = rows.size, states.shape[1]
        began[:] = EARLIER
        # Left above the first row, diagonally before the first cell.
        began[0, -1] = first * steps
        for slab in range(first, stop):
            for column in range(slab * steps, min(slab * steps + steps, costs.size)):
                boundary[height + column] = 0
                began_above[height + column] = column + 1
            for strip in range(strips):
                since = slab * steps - strip * height
                begin, end = max(0, since), min(since + steps, costs.size + height)
                if begin >= end:
                    continue
                before, state = states[slab, strip], states[slab + 1, strip]
                for index in range(state.size):
                    state[index] = np.inf if since <= 0 else before[index]
                if slab == strip == 0:
                    state[-1] = 0
                layout.lay_out_rows(query, strip * height, rows)
                row = (query.size - 1) % height if strip == strips - 1 else -1
                run(
                    state, began[strip], rows, columns, boundary, began_above,
                    begin, end, row, costs, starts,
                )  # fmt: skip

    return sweep


_SWEEPS = {
    squared: _make_sweeps(SQEUCLIDEAN if squared else MANHATTAN) for squared in (True, False)
}
