"""Distances of many pairs of univariate series, one pair in each lane of the vectors.

Series are taken in blocks of as many as there are lanes. A block is laid out once, and the
rows of each other series, the same in all lanes, walk over it ``VECTORS`` at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from avalign.dtw import layout, vectors
from avalign.dtw.compiled import SQEUCLIDEAN, helper, njit
from avalign.dtw.wavefront import (
    STATE,
    VECTORS,
    AbsoluteDifference,
    SquaredDifference,
    load_rows,
    load_state,
    step_in_lanes,
)

__all__ = ["pairwise"]

Array = npt.NDArray[Any]


def pairwise(
    rows: Sequence[Array],
    columns: Sequence[Array] | None,
    metric: int,
    n_jobs: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> Array:
    """Return the DTW distance of every series in `rows` to every one in `columns`.

    Each is that of :func:`avalign.dtw.strips.distance`, to the last bit.

    Parameters
    ----------
    rows : sequence of numpy.ndarray, shape (N_i,), all float64 or all float32
        Series, finite and contiguous, none empty.
    columns : sequence of numpy.ndarray, shape (M_j,), of the same type, or None
        Others to compare them with; None for the rows with each other.
    metric : int
        Code of the local cost, from :mod:`avalign.dtw.compiled`.
    n_jobs : int
        Threads.
    progress : callable, optional
        Called as ``progress(done, total)`` with numbers of pairs.

    Returns
    -------
    numpy.ndarray, shape (len(rows), len(columns))
        The distances, of the type of the series.
    """
    mirrored = columns is None
    others = rows if columns is None else columns
    flat = np.concatenate(rows)
    ends = np.cumsum([series.size for series in rows])
    matrix = np.zeros((len(rows), len(others)), flat.dtype)
    kernel = _block_squared if metric == SQEUCLIDEAN else _block_absolute
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


@njit
def _block_squared(
    rows: Any, ends: Any, columns: Any, lengths: Any, matrix: Any, start: Any
) -> None:
    _block(rows, ends, columns, lengths, matrix, start, SquaredDifference())


@njit
def _block_absolute(
    rows: Any, ends: Any, columns: Any, lengths: Any, matrix: Any, start: Any
) -> None:
    _block(rows, ends, columns, lengths, matrix, start, AbsoluteDifference())


@helper(inline="always")
def _block(
    rows: Any, ends: Any, columns: Any, lengths: Any, matrix: Any, start: Any, metric: Any
) -> None:
    """Fill the columns of a matrix that belong to a block, row by row."""
    lanes = vectors.BYTES // rows.itemsize
    longest = lengths.max()
    block = _lay_out_block(columns, lengths, longest, rows)
    boundary = layout.aligned((longest + 2 * VECTORS + 2) * lanes, rows)
    values = layout.aligned(VECTORS * lanes, rows)
    state = layout.aligned(STATE * lanes, rows)
    for row in range(ends.size):
        first = ends[row - 1] if row else 0
        _run(rows, first, ends[row], block, boundary, values, state, longest, metric)
        for lane in range(lengths.size):
            place = (lengths[lane] - 1 + VECTORS) * lanes + lane
            matrix[row, start + lane] = boundary[place]


@helper
def _lay_out_block(columns: Any, lengths: Any, longest: Any, like: Any) -> Any:
    """Lay series out side by side, column ``j`` at ``j + VECTORS``, minus infinity around."""
    lanes = vectors.BYTES // like.itemsize
    block = layout.aligned((longest + 2 * VECTORS + 2) * lanes, like)
    block[:] = -np.inf
    first = 0
    for lane in range(lengths.size):
        for column in range(lengths[lane]):
            block[(column + VECTORS) * lanes + lane] = columns[first + column]
        first += lengths[lane]
    return block


@helper
def _run(
    rows: Any,
    first: Any,
    end: Any,
    block: Any,
    boundary: Any,
    values: Any,
    state: Any,
    longest: Any,
    metric: Any,
) -> None:
    """Run the rows ``first <= i < end`` of a series over a block.

    Rows are taken from the end, so that the last is a bottom row, which stays in the
    boundary. Above the first there may be some that cost infinity; the matrix begins at the
    step where the first meets column 0, with a zero diagonally before it.
    """
    lanes = values.size // VECTORS
    boundary[:] = np.inf
    state[:] = np.inf
    missing = (first - end) % VECTORS
    corner = VECTORS + missing - 1 if missing else 2 * VECTORS
    for lane in range(lanes):
        state[corner * lanes + lane] = 0
    begin = missing
    for top in range(first - missing, end, VECTORS):
        for v in range(VECTORS):
            value = rows[top + v] if top + v >= first else rows.dtype.type(np.inf)
            for lane in range(lanes):
                values[v * lanes + lane] = value
        registers, loaded = load_state(state), load_rows(values)
        for t in range(begin, longest + VECTORS, 2):
            registers = step_in_lanes(registers, loaded, block, boundary, t, metric)
            registers = step_in_lanes(registers, loaded, block, boundary, t + 1, metric)
        state[:] = np.inf
        begin = 0
