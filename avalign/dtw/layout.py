"""How strips find their rows, columns and boundary in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from avalign.dtw import vectors
from avalign.dtw.compiled import helper
from avalign.dtw.wavefront import VECTORS

__all__ = ["aligned", "empty_boundary", "height", "lane_of", "lay_out_columns", "lay_out_rows"]

# Lanes read before they hold a column: the boundary is read a vector at a time.
MARGIN = 2 * vectors.LANES_FLOAT32


@helper(inline="always")
def height(series: Any) -> Any:
    """Return how many rows a strip has for this type of number."""
    return VECTORS * vectors.BYTES // series.itemsize


@helper(inline="always")
def aligned(size: Any, like: Any) -> Any:
    """Allocate `size` numbers where no vector straddles two lines of the cache."""
    buffer = np.empty(size + vectors.BYTES // like.itemsize, like.dtype)
    start = (-buffer.ctypes.data % vectors.BYTES) // like.itemsize
    return buffer[start : start + size]


@helper
def lay_out_columns(y: Any) -> Any:
    """Lay a series out for the steps of a strip, infinite before it and after it.

    Vector ``s + VECTORS`` of the result holds, in its ``k``-th lane from the top,
    ``y[s - VECTORS * k]``, for ``s`` from ``-VECTORS`` up to ``len(y) + height``.

    The padding is minus infinity: against a row, which is finite or plus infinity, it costs
    infinity under every metric and never becomes NaN. So no step tests for the edges.
    """
    lanes = vectors.BYTES // y.itemsize
    count = y.size + height(y) + 2 * VECTORS
    columns = aligned(count * lanes, y)
    nothing = vectors.splat(y.dtype.type(-np.inf))
    for s in range(VECTORS):
        vectors.store(columns, s * lanes, nothing)
    for s in range(VECTORS, count):
        below = vectors.load(columns, (s - VECTORS) * lanes)
        column = s - VECTORS
        entering = vectors.splat(y[column]) if column < y.size else nothing
        vectors.store(columns, s * lanes, vectors.shift_down(below, entering))
    return columns


@helper(inline="always")
def lane_of(row: Any, lanes: Any) -> Any:
    """Return where a row of a strip stands among its ``VECTORS * lanes`` values."""
    return (row % VECTORS) * lanes + lanes - 1 - row // VECTORS


@helper
def lay_out_rows(x: Any, first: Any, rows: Any) -> None:
    """Write the rows of the strip that begins at ``x[first]``, zero after the last."""
    lanes = vectors.BYTES // x.itemsize
    for row in range(VECTORS * lanes):
        value = x[first + row] if first + row < x.size else x.dtype.type(0)
        rows[lane_of(row, lanes)] = value


@helper
def empty_boundary(columns: Any, like: Any) -> Any:
    """Return the row above the matrix: 0 before column 0, and infinity everywhere else.

    Column ``j`` stands at index ``j + height``.
    """
    rows = height(like)
    boundary = aligned(columns + 2 * rows + MARGIN, like)
    boundary[:] = np.inf
    boundary[rows - 1] = 0
    return boundary
