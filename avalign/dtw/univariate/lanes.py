"""Distances of many pairs of univariate series, one pair in each lane of the vectors.

    lane              7        6       ..   0
    block of series   y[0]     y[1]    ..   y[7]     laid out once, the longest sets the steps
    rows of x[i]      x[i, r] in all lanes           VECTORS at a time walk over the block
    boundary          column j of each lane's matrix is the vector at j + VECTORS

A *slab* of steps is run by all rows before the next: what they share stays in the fastest
cache. Slabs lean back by one step per row, so that all they need is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from avalign.dtw.compiled import MANHATTAN, SQEUCLIDEAN, helper, njit
from avalign.dtw.simd import vectors
from avalign.dtw.simd.registers import STATE, VECTORS, load_rows, load_state, store_state
from avalign.dtw.univariate import layout
from avalign.dtw.univariate.wavefront import step_in_lanes

Array = npt.NDArray[Any]

# Steps after which the next rows take over, an even number: their columns and boundary
# take half of the fastest cache.
SLAB = 128


def pairwise(
    rows: Sequence[Array],
    columns: Sequence[Array] | None,
    metric: int,
    n_jobs: int = 1,
    progress: Callable[[int, int], object] | None = None,
    diagonal: int = 1,
) -> Array:
    """Return the DTW distance of each of `rows` to each of `columns`, a matrix."""
    # Without `columns`, of the rows with each other. Bits are those of `strips.distance`.
    mirrored = columns is None
    others = rows if columns is None else columns
    flat = np.concatenate(rows)
    ends = np.cumsum([series.size for series in rows])
    matrix = np.zeros((len(rows), len(others)), flat.dtype)
    kernel = _KERNELS[metric == SQEUCLIDEAN, diagonal]
    lanes = vectors.BYTES // flat.itemsize
    starts = range(0, len(others), lanes)

    def solve(start: int) -> None:
        block = others[start : start + lanes]
        lengths = np.array([series.size for series in block])
        # Of a symmetric matrix, the rows down to the last on the diagonal are enough.
        count = min(start + lanes, len(rows)) if mirrored else len(rows)
        kernel(flat, ends[:count], np.concatenate(block), lengths, matrix, start)

    with ThreadPoolExecutor(n_jobs) as pool:
        for start, _ in zip(starts, pool.map(solve, starts), strict=True):
            if progress is not None:
                progress(min(start + lanes, len(others)) * len(rows), matrix.size)
    if mirrored:
        upper = np.triu_indices(len(rows), 1)
        matrix.T[upper] = matrix[upper]
    return matrix


def _make_kernel(metric: int, diagonal: int) -> Any:
    @njit
    def block(rows, ends, columns, lengths, matrix, start):
        """Fill the columns of a matrix that belong to a block, row by row."""
        # Rows are taken from the end, so that the last is a bottom row, which stays in the
        # boundary. Above the first there may be some that cost infinity.
        lanes = vectors.BYTES // rows.itemsize
        nothing = vectors.splat(rows.dtype.type(np.inf))
        longest = lengths.max()
        laid_out = _lay_out_block(columns, lengths, longest, rows)
        boundary = layout.allocate((longest + 2 * VECTORS + 2) * lanes, rows)
        values = layout.allocate(VECTORS * lanes, rows)
        last = longest + VECTORS
        for row in range(ends.size):
            first, end = ends[row - 1] if row else 0, ends[row]
            missing = (first - end) % VECTORS
            strips = (end - first + missing) // VECTORS
            size = STATE * lanes
            states = layout.allocate(strips * size, rows).reshape(strips, size)
            boundary[:] = np.inf
            states[:] = np.inf
            # The matrix begins at the step where its first row meets column 0. What is
            # diagonally before it is in the values of the step before, or before that: steps
            # are run in pairs.
            corner = (2 * VECTORS, 0, VECTORS + 1, 2, VECTORS + 3, 4)[missing]
            before = vectors.splat(rows.dtype.type(0))
            if diagonal == 2:
                # The first cell counts once: what is counted too much is taken off before.
                difference = vectors.splat(rows[first]) - vectors.load(
                    laid_out, VECTORS * lanes
                )
                cost = vectors.absolute(difference)
                if metric == SQEUCLIDEAN:
                    cost = difference * difference
                before = vectors.select(vectors.less(cost, nothing), before - cost, before)
            vectors.store(states[0], corner * lanes, before)
            for slab in range(0, last + strips * VECTORS, SLAB):
                for strip in range(strips):
                    begin = max(0 if strip else missing - missing % 2, slab - strip * VECTORS)
                    stop = min(last, slab + SLAB - strip * VECTORS)
                    if begin >= stop:
                        continue
                    for v in range(VECTORS):
                        at = first - missing + strip * VECTORS + v
                        value = vectors.splat(rows[at]) if at >= first else nothing
                        vectors.store(values, v * lanes, value)
                    state, loaded = load_state(states[strip]), load_rows(values)
                    for pair in range(begin, stop, 2):
                        for t in range(pair, pair + 2):
                            state = step_in_lanes(
                                state, loaded, laid_out, boundary, t, metric, diagonal
                            )
                    store_state(states[strip], state)
            for lane in range(lengths.size):
                index = (lengths[lane] - 1 + VECTORS) * lanes + lane
                matrix[row, start + lane] = boundary[index]

    return block


_KERNELS = {
    (squared, diagonal): _make_kernel(SQEUCLIDEAN if squared else MANHATTAN, diagonal)
    for squared in (True, False)
    for diagonal in (1, 2)
}


@helper
def _lay_out_block(columns, lengths, longest, like):
    """Lay series out side by side, column ``j`` at ``j + VECTORS``, minus infinity around."""
    lanes = vectors.BYTES // like.itemsize
    block = layout.allocate((longest + 2 * VECTORS + 2) * lanes, like)
    block[:] = -np.inf
    first = 0
    for lane in range(lengths.size):
        for column in range(lengths[lane]):
            block[(column + VECTORS) * lanes + lane] = columns[first + column]
        first += lengths[lane]
    return block
