"""DTW distance of two univariate series, one strip of rows after the other.

    infinity      boundary above the matrix
    strip 0       . . x x x x x x . . .       rows walk along the columns (`wavefront`), from
    boundary          b b b b b b b           where the band begins to where it ends; the
    strip 1       . . . . x x x x x x .       bottom row is the boundary of the next strip

Where the band cuts off part of the rows, at both ends of a strip, these cost infinity.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from avalign.dtw.compiled import MANHATTAN, SQEUCLIDEAN, helper, njit
from avalign.dtw.simd.registers import VECTORS, copy_row, load_rows, load_state, store_state
from avalign.dtw.simd.vectors import BYTES, extract, load, minimum
from avalign.dtw.univariate import layout
from avalign.dtw.univariate.wavefront import step

# More steps, or rows, than any matrix has.
ENDLESS = 2**62


def distance(
    x: npt.NDArray[Any],
    y: npt.NDArray[Any],
    radius: int,
    metric: int,
    diagonal: int = 1,
    limit: float = inf,
) -> float:
    """Return the DTW distance of two univariate series, infinite if all paths pass `limit`."""
    # The plain recurrence to the last bit: nothing is reordered or fused. `diagonal` is how
    # often diagonal moves count the cost of the cell that they lead to, 1 or 2.
    # The distance is symmetric; the fewer strips, the less is wasted on their ends.
    if x.size > y.size:
        x, y = y, x
    before, after = reach(x.size, y.size, radius)
    work = np.empty(layout.workspace_size(y.size, y.itemsize), y.dtype)
    beyond = corner(x, y, metric) if diagonal == 2 else 0.0
    tiling = ENDLESS, ENDLESS, 0, 0, 0, before, after
    nothing = work[:0]
    kernel = forward(metric, diagonal, radius >= 0)
    return float(kernel(x, y, beyond, work, tiling, nothing, nothing, limit))


def reach(rows: int, columns: int, radius: int) -> tuple[int, int]:
    """Return how far a row reaches before and after its own number, in columns."""
    if radius < 0:
        # Far enough that no row of a strip is ever outside, not even below the matrix.
        far = rows + columns + 4 * BYTES * VECTORS
        return far, far
    return radius + max(0, rows - columns), radius + max(0, columns - rows)


def corner(x: npt.NDArray[Any], y: npt.NDArray[Any], metric: int) -> float:
    """Return what lies before the first cell if it counts once where diagonals do twice."""
    difference = np.abs(x[:1] - y[:1])
    cost = float((difference * difference if metric == SQEUCLIDEAN else difference)[0])
    return -cost if cost < np.inf else 0.0


def forward(metric: int, diagonal: int, banded: bool) -> Any:
    """Return the kernel that runs the strips of a matrix: for a cost, a weight, and a band."""
    return _FORWARD[metric == SQEUCLIDEAN, diagonal, banded]


def _make_forward(metric: int, diagonal: int, banded: bool) -> Any:
    @njit
    def forward(x, y, beyond, work, tiling, tops, checkpoints, limit):
        """Run all strips; return the last cell's value, or infinity beyond the limit."""
        # `tops`, if any, gets the boundary above every group, from one column before the first
        # on, and `checkpoints` the state of every strip each time a slab is over.
        group, slab, _, slabs, top, before, after = tiling
        workspace = layout.divide(work, y.size)
        rows, inside, outside, state, boundary, columns = workspace
        layout.lay_out(y, beyond, workspace)
        height = rows.size
        group_begin, end = 0, 0
        for first in range(0, x.size, height):
            begin, end = layout.span(first, x.size, y.size, height, before, after)
            if tops.size and first % group == 0:
                group_begin = begin
                for column in range(begin - 1, end):
                    index = first // group * top + column + 1 - begin
                    tops[index] = boundary[column + height]
            # Row r is inside the band from step opening + 2 r to before closing + 2 r. Where
            # the band cuts off part of the rows, at both ends, these cost infinity.
            opening, closing = first - before, first + after + 1
            all_in = opening + 2 * height - 2
            all_in, some_out = all_in + all_in % 2, closing - closing % 2
            layout.lay_out_rows(x, first, rows)
            for index in range(state.size):
                state[index] = np.inf
            state[state.size - 1] = boundary[begin - 1 + height]
            # Slabs begin earlier, counted in own steps, the deeper a strip is in its group.
            since = (begin + first % group - group_begin) % slab
            checkpoint = first // height * slabs * state.size
            while begin < end:
                if since == 0 and checkpoints.size:
                    for index in range(state.size):
                        checkpoints[checkpoint + index] = state[index]
                stop = end if end - begin < slab - since else begin + slab - since
                if banded and all_in <= begin < some_out:
                    stop = some_out if some_out < stop else stop
                elif banded and begin < all_in < some_out:
                    stop = all_in if all_in < stop else stop
                if not banded or all_in <= begin < some_out:
                    loaded, running = load_rows(rows), load_state(state)
                    for t in range(begin, stop, 2):
                        running = step(running, loaded, columns, boundary, t, metric, diagonal)
                        running = step(
                            running, loaded, columns, boundary, t + 1, metric, diagonal
                        )
                    store_state(state, running)
                else:
                    layout.select_rows(workspace, begin, opening, closing)
                    running = load_state(state)
                    for pair in range(begin, stop, 2):
                        for t in range(pair, pair + 2):
                            entering, leaving = t - opening, t - closing
                            if entering % 2 == 0 and 0 <= entering < 2 * height:
                                copy_row(inside, rows, entering // 2)
                            if leaving % 2 == 0 and 0 <= leaving < 2 * height:
                                copy_row(inside, outside, leaving // 2)
                            loaded = load_rows(inside)
                            running = step(
                                running, loaded, columns, boundary, t, metric, diagonal
                            )
                    store_state(state, running)
                since += stop - begin
                if since == slab:
                    since = 0
                    checkpoint += state.size
                begin = stop
            # Every path passes the bottom row of a strip, and from there on costs only grow.
            if limit < np.inf and first + height < x.size:
                begin = layout.span(first, x.size, y.size, height, before, after)[0]
                if _least(boundary, max(begin, height), end) > limit:
                    return x.dtype.type(np.inf)
        # Steps are run in pairs, so the state may be one step ahead.
        row = x.size - 1 - first
        index = row % VECTORS * height // VECTORS + height // VECTORS - 1 - row // VECTORS
        return state[end % 2 * height + index]

    return forward


@helper
def _least(boundary, start, stop):
    """Return the least number of a part of the boundary, or of a few behind it."""
    lanes = BYTES // boundary.itemsize
    least = load(boundary, start)
    for at in range(start + lanes, stop, lanes):
        least = minimum(least, load(boundary, at))
    result = extract(least, 0)
    for lane in range(1, lanes):
        result = min(result, extract(least, lane))
    return result


# Without a band, which is most common, there is much less to compile.
_FORWARD = {
    (squared, diagonal, banded): _make_forward(
        SQEUCLIDEAN if squared else MANHATTAN, diagonal, banded
    )
    for squared in (True, False)
    for diagonal in (1, 2)
    for banded in (True, False)
}
