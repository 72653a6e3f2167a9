"""Where vector series, the band and the strips' borders lie for the kernels on frames."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from avalign.dtw.compiled import helper
from avalign.dtw.frames_tile import COLUMNS, ROWS_PER_LANE
from avalign.dtw.layout import aligned
from avalign.dtw.vectors import BYTES

__all__ = ["Layout", "fence_index", "first_tile", "lay_out", "stop_tile"]

# By how many columns the band of a lane is behind that of the lane that owns the rows above:
# it is in another tile at the time, and its part of the band begins that many columns later.
LAG = COLUMNS + ROWS_PER_LANE


class Layout(NamedTuple):
    """Two series laid out for strips of rows and tiles of columns, and the band they share.

    Attributes
    ----------
    n, m, dimensions : int
        Lengths and width of the series.
    lanes, height : int
        Lanes of a vector, rows of a strip.
    strips : int
        How many strips there are; the last one may lack rows.
    shift : int
        How many columns are put before the first, so that the last cell ends a tile.
    lower, upper : int
        Cell (i, j) is inside the band if ``-lower <= j - i <= upper``.
    rows : array
        Flat ``(strips, dimensions, ROWS_PER_LANE, lanes)``: the first series.
    columns : array
        Flat ``(tiles // lanes, dimensions, COLUMNS, 2 * lanes)``: the second series. A tile's
        vectors start at any of the first `lanes` positions; what is needed for `lanes` tiles
        in a row is together in the cache.
    fence : array
        Flat ``(diagonals, lanes)``: 0 inside the band, infinity outside it.
    fence_width : int
        Width of the band in the fence, which leaves out most of the inside.
    """

    n: int
    m: int
    dimensions: int
    lanes: int
    height: int
    strips: int
    shift: int
    lower: int
    upper: int
    rows: Any
    columns: Any
    fence: Any
    fence_width: int


@helper(inline="always")
def lay_out(x: Any, y: Any, radius: int) -> Layout:
    """Lay two series out; a negative radius stands for no band."""
    n, dimensions = x.shape
    m = y.shape[0]
    lanes = BYTES // x.itemsize
    height = ROWS_PER_LANE * lanes
    strips = (n + height - 1) // height
    shift = -(n + m - 1) % COLUMNS
    if radius < 0 or radius > n + m:
        # All of the matrix, and nowhere near the borders of the band.
        radius = n + m + 4 * height
    lower = radius + max(0, n - m)
    upper = radius + max(0, m - n)
    fence_width = min(lower + upper, 2 * height)
    return Layout(
        n, m, dimensions, lanes, height, strips, shift, lower, upper,
        _lay_out_rows(x, lanes), _lay_out_columns(y, shift, lanes),
        _build_fence(x, fence_width, lanes), fence_width,
    )  # fmt: skip


@helper(inline="always")
def _lay_out_rows(x: Any, lanes: int) -> Any:
    n, dimensions = x.shape
    height = ROWS_PER_LANE * lanes
    rows = aligned((n + height - 1) // height * height * dimensions, x)
    rows[:] = 0
    for i in range(n):
        row = i % height
        start = (i - row) * dimensions
        start += row % ROWS_PER_LANE * lanes + lanes - 1 - row // ROWS_PER_LANE
        for d in range(dimensions):
            rows[start + d * height] = x[i, d]
    return rows


@helper(inline="always")
def _lay_out_columns(y: Any, shift: int, lanes: int) -> Any:
    m, dimensions = y.shape
    last_tile = (m - 1 + shift) // COLUMNS + lanes + 1
    stride = COLUMNS * 2 * lanes
    columns = aligned((last_tile // lanes + 1) * dimensions * stride, y)
    # Against any row, a column before the first or after the last costs infinity.
    columns[:] = np.inf
    for j in range(m):
        tile = (j + shift) // COLUMNS + lanes - 1
        start = tile // lanes * dimensions * stride
        start += (j + shift) % COLUMNS * 2 * lanes + tile % lanes
        for d in range(dimensions):
            columns[start + d * stride] = y[j, d]
        if tile >= lanes:
            start += lanes - dimensions * stride
            for d in range(dimensions):
                columns[start + d * stride] = y[j, d]
    return columns


@helper(inline="always")
def _build_fence(like: Any, width: int, lanes: int) -> Any:
    diagonals = LAG + width + LAG * lanes + COLUMNS
    fence = aligned(diagonals * lanes, like)
    for diagonal in range(diagonals):
        for lane in range(lanes):
            offset = diagonal - LAG - LAG * (lanes - 1 - lane)
            fence[diagonal * lanes + lane] = 0 if 0 <= offset <= width else np.inf
    return fence


@helper(inline="always")
def first_tile(layout: Layout, strip: int) -> int:
    """Return the first tile of a strip that reaches into the band."""
    return max(0, strip * layout.height - layout.lower + layout.shift) // COLUMNS


@helper(inline="always")
def stop_tile(layout: Layout, strip: int) -> int:
    """Return the tile after the last one whose results are needed."""
    last_column = layout.m - 1 + layout.shift
    if strip == layout.strips - 1:
        last_row = layout.n - 1 - strip * layout.height
        return (last_column + last_row) // COLUMNS + 1
    reached = (strip + 1) * layout.height - 1 + layout.upper + layout.shift
    return min(last_column, reached) // COLUMNS + layout.lanes + 1


@helper(inline="always")
def fence_index(layout: Layout, strip: int, tile: int) -> int:
    """Return where in the fence the main diagonal of a tile is."""
    inside = LAG * (layout.lanes - 1) + COLUMNS - 1
    diagonal = COLUMNS * tile - layout.shift - strip * layout.height + layout.lower
    if diagonal > inside:
        left_out = layout.lower + layout.upper - layout.fence_width
        diagonal = max(diagonal - left_out, inside)
    return (diagonal + LAG) * layout.lanes
