"""Cost and start of the best match of a query that ends at each place of a longer series.

A strip of the query's rows (see `univariate.strips`) walks along the series. Above the
matrix all costs are zero, for a match may begin anywhere. Time is cut into *slabs*, in which
the strips run one after the other, each behind the one above by its height: all that it needs
is there then, and in a near cache. What the registers hold between slabs is kept. So those in
which a match lies can run again, now with the column in which each path began beside its cost.
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

__all__ = ["Spotter"]

# The fewest steps in a slab, an even number: little is run again for one match, and changing
# strips takes little of the time.
LEAST_STEPS = 1024
# In place of the column in which a path began, if that was before the slabs that run again.
EARLIER = -1


class Spotter:
    """Finds how well a query matches, wherever in a series the match ends.

    Parameters
    ----------
    query : numpy.ndarray, shape (N,), float64 or float32
        What to look for: finite, contiguous, writable, not empty.
    series : numpy.ndarray, shape (M,), of the same type
        Where to look for it.
    metric : int
        Code of the local cost, from :mod:`avalign.dtw.compiled`.

    Attributes
    ----------
    costs : numpy.ndarray, shape (M,), of the same type
        Cost of the best path of the whole query that ends in each column.
    """

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
        """Return the column in which the best path begins that ends in some column.

        Of equal paths it is the one that, followed backwards, goes diagonally if it can, and
        else rather along the query. Where costs overflow, the start means nothing.
        """
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
def _lay_out(series: Any, work: Any) -> None:
    layout.lay_out(series, 0.0, layout.divide(work, series.size))


def _make_sweeps(metric: int) -> tuple[Any, Any]:
    """Make the kernels that find costs, and then starts."""

    @helper
    def run(
        state: Any, began: Any, rows: Any, columns: Any, boundary: Any, began_above: Any,
        begin: Any, stop: Any, row: Any, costs: Any, starts: Any,
    ) -> None:  # fmt: skip
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
        state: Any, began: Any, rows: Any, columns: Any, boundary: Any, began_above: Any,
        begin: Any, stop: Any, row: Any, costs: Any, starts: Any,
    ) -> None:  # fmt: skip
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
def _leave(state: Any, row: Any, column: Any, out: Any) -> None:
    """Write down what a row of a strip got in the last two steps, in a column and the next."""
    lanes = state.size // STATE
    place = layout.place_of(row, lanes)
    if 0 <= column < out.size:
        out[column] = state[VECTORS * lanes + place]
    if 0 <= column + 1 < out.size:
        out[column + 1] = state[place]


def _make_sweep(run: Any) -> Any:
    @njit
    def sweep(
        query: Any, work: Any, states: Any, steps: Any, first: Any, stop: Any,
        began: Any, began_above: Any, costs: Any, starts: Any,
    ) -> None:  # fmt: skip
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
                for place in range(state.size):
                    state[place] = np.inf if since <= 0 else before[place]
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
