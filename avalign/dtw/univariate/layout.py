"""How strips find their rows, columns and boundary in one array of memory.

    | rows | inside | outside | state        | columns                      | boundary        |
      h      h        h         STATE * lanes  (M + h + 2 * VECTORS) * lanes  2 h + M + MARGIN

    rows      values of the strip's rows, h = VECTORS * lanes of them
    inside    the same, infinite where a row is outside of the band; outside: infinite
    boundary  the row above the strip, which the bottom row replaces; column j at j + h

    columns   vector  0 ..   5    6    7   ..   12   13
    k = 0             -inf -inf  y0   y1   ..   y6   y7     vector s + VECTORS holds, in its
    k = 1             -inf -inf -inf -inf  ..   y0   y1     k-th lane from the top,
    k = 2             -inf -inf -inf -inf  .. -inf -inf     y[s - VECTORS * k]

Against a row, finite or plus infinity, minus infinity costs infinity under every metric and
never NaN: no step tests for the edges.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from avalign.dtw.compiled import helper
from avalign.dtw.simd import vectors
from avalign.dtw.simd.registers import STATE, VECTORS, copy_row

# Lanes read before they hold a column: the boundary is read a vector at a time.
MARGIN = 2 * vectors.LANES_FLOAT32


class Workspace(NamedTuple):
    """What the strips of one matrix work with, one after the other."""

    rows: Any
    inside: Any
    outside: Any
    state: Any
    boundary: Any
    columns: Any


def workspace_size(columns: int, itemsize: int) -> int:
    """Return how many numbers the workspace for a series of some length takes."""
    lanes = vectors.BYTES // itemsize
    rows = VECTORS * lanes
    laid_out = columns + rows + 2 * VECTORS
    return lanes + 3 * rows + STATE * lanes + columns + 2 * rows + MARGIN + laid_out * lanes


@helper
def divide(work, columns):
    """Divide an array of :func:`workspace_size` numbers into a workspace."""
    lanes = vectors.BYTES // work.itemsize
    rows = VECTORS * lanes
    # No vector straddles two lines of the cache, except where the boundary is read.
    start = vectors.unaligned(work)
    laid_out = start + (3 * VECTORS + STATE) * lanes
    boundary = laid_out + (columns + rows + 2 * VECTORS) * lanes
    return Workspace(
        work[start : start + rows],
        work[start + rows : start + 2 * rows],
        work[start + 2 * rows : start + 3 * rows],
        work[start + 3 * rows : laid_out],
        work[boundary:],
        work[laid_out:boundary],
    )


@helper
def lay_out(y, corner, workspace):
    """Lay out what all strips share; `corner` lies diagonally before the first cell."""
    _, _, outside, _, boundary, columns = workspace
    lanes = vectors.BYTES // y.itemsize
    for index in range(outside.size):
        outside[index] = np.inf
    for index in range(boundary.size):
        boundary[index] = np.inf
    boundary[outside.size - 1] = corner
    nothing = vectors.splat(y.dtype.type(-np.inf))
    for s in range(VECTORS):
        vectors.store(columns, s * lanes, nothing)
    for s in range(VECTORS, columns.size // lanes):
        below = vectors.load(columns, (s - VECTORS) * lanes)
        column = s - VECTORS
        entering = vectors.splat(y[column]) if column < y.size else nothing
        vectors.store(columns, s * lanes, vectors.shift_down(below, entering))


@helper
def lay_out_rows(x, first, rows):
    """Write the rows of the strip that begins at ``x[first]``, zero after the last."""
    lanes = rows.size // VECTORS
    for v in range(VECTORS):
        vector = vectors.splat(x.dtype.type(0))
        for row in range(first + v + rows.size - VECTORS, first + v - 1, -VECTORS):
            entering = x[row] if row < x.size else x.dtype.type(0)
            vector = vectors.shift_down(vector, vectors.splat(entering))
        vectors.store(rows, v * lanes, vector)


@helper
def select_rows(workspace, begin, opening, closing):
    """Tell the rows that are inside the band right before step `begin` from the others."""
    # Row r is inside from step opening + 2 r to before step closing + 2 r.
    rows, inside, outside = workspace[:3]
    for index in range(rows.size):
        inside[index] = outside[index]
    first = (begin - closing + 1) // 2 if begin > closing else 0
    stop = (begin - opening + 1) // 2
    for row in range(first, stop if stop < rows.size else rows.size):
        copy_row(inside, rows, row)


@helper
def span(first, total, columns, rows, before, after):
    """Return the first step of a strip, an even one, and the one after its last."""
    # It ends when its bottom row has left one column behind the band in the boundary, where
    # the row below reads infinity; the last strip, when the last cell is computed.
    begin = first - before if first > before else 0
    end = first + rows + after + 1
    end = (end if end < columns else columns) + rows
    if first + rows >= total:
        end = columns + total - 1 - first
    return begin - begin % 2, end


@helper
def index_of(row, lanes):
    """Return where a row of a strip stands among its ``VECTORS * lanes`` values."""
    return row % VECTORS * lanes + lanes - 1 - row // VECTORS


@helper(inline="always")
def allocate(size, like):
    """Allocate `size` numbers where no vector straddles two lines of the cache."""
    buffer = np.empty(size + vectors.BYTES // like.itemsize, like.dtype)
    start = vectors.unaligned(buffer)
    return buffer[start : start + size]
