"""Where the kernels on frames find what they work on."""

from __future__ import annotations

from typing import Any, NamedTuple

from avalign.dtw.multivariate.tile import COLUMNS, ROWS_PER_LANE, STATE_VECTORS
from avalign.dtw.simd.vectors import BYTES

__all__ = ["LAG", "Plan", "plan"]

# By how many columns the band of a lane is behind that of the lane that owns the rows above:
# it is in another tile at the time, and its part of the band begins that many columns later.
LAG = COLUMNS + ROWS_PER_LANE

# Memory for states and for rows: this many bytes, and some for each row and column.
MEMORY = 1 << 25
MEMORY_PER_FRAME = 64

SHORTEST_CHUNK = 8


class Plan(NamedTuple):
    """A matrix cut into strips of rows and tiles of columns, and the places of its parts.

    All that kernels work on is in one array, the *memory*. That is one allocation instead of
    many; and passing numbers takes less time to compile than passing arrays.

    Attributes
    ----------
    n, m, dimensions : int
        Lengths and width of the series.
    strips : int
        How many strips there are; the last one may lack rows.
    shift : int
        How many columns are put before the first, so that the last cell ends a tile.
    lower, upper : int
        Cell (i, j) is inside the band if ``-lower <= j - i <= upper``.
    columns : int
        Where the second series begins: ``(tiles // lanes, dimensions, COLUMNS, 2 * lanes)``.
        A tile's vectors start at any of the first `lanes` positions; what is needed for
        `lanes` tiles in a row is together in the cache. Before it, at the very beginning, is
        the first series: ``(strips, dimensions, ROWS_PER_LANE, lanes)``.
    fence : int
        Where the fence begins, ``(diagonals, lanes)``: 0 inside the band, infinity outside.
    fence_width : int
        Width of the band in the fence, which leaves out most of the inside.
    boundary : int
        Where the row above the current strip begins, two strips' height before column 0.
    state : int
        Where is what the current strip remembers between tiles.
    chunk : int
        Tiles between the checkpoints of a strip.
    chunks : int
        How many chunks a strip has at most, 0 without checkpoints. Whose numbers are the same
        modulo this are never in one strip: that is where, among them, a chunk is kept.
    group : int
        Strips between those whose upper boundary is kept.
    rows : int
        Where these boundaries are: ``(groups, chunks, columns of a chunk)``.
    states : int
        Where is what strips remember before chunks: ``(strips, chunks, numbers)``.
    above : int
        Where are the rows above the strips of a group, over the chunk that the path is in:
        ``(strips of a group, columns of a chunk)``.
    chunk_boundary : int
        Where is that of the current strip, behind room for what the strip leaves behind.
    end : int
        How many numbers this is in all.
    """

    n: int
    m: int
    dimensions: int
    strips: int
    shift: int
    lower: int
    upper: int
    columns: int
    fence: int
    fence_width: int
    boundary: int
    state: int
    chunk: int
    chunks: int
    group: int
    rows: int
    states: int
    above: int
    chunk_boundary: int
    end: int


def plan(x: Any, y: Any, radius: int, *, checkpoints: bool) -> Plan:
    """Plan the distance of two series, or with checkpoints their path.

    A negative radius stands for no band. There are as many checkpoints as may be afforded.
    """
    n, dimensions = x.shape
    m = len(y)
    lanes = BYTES // x.itemsize
    height = ROWS_PER_LANE * lanes
    strips = -(-n // height)
    shift = -(n + m - 1) % COLUMNS
    if radius < 0 or radius > n + m:
        # All of the matrix, and nowhere near the borders of the band.
        radius = n + m + 4 * height
    lower = upper = radius
    if n > m:
        lower += n - m
    else:
        upper += m - n
    stop = (m - 1 + shift) // COLUMNS + lanes + 2
    columns = strips * height * dimensions
    fence = columns + -(-stop // lanes) * dimensions * COLUMNS * 2 * lanes
    fence_width = min(lower + upper, 2 * height)
    boundary = fence + (fence_width + LAG * (lanes + 1) + COLUMNS) * lanes
    state = boundary + stop * COLUMNS + 4 * height
    size = STATE_VECTORS * lanes
    rows = state + size
    if not checkpoints:
        return Plan(
            n, m, dimensions, strips, shift, lower, upper,
            columns, fence, fence_width, boundary, state,
            1 << 60, 0, 1 << 60, rows, rows, rows, rows, rows,
        )  # fmt: skip
    tiles = min(stop, (height + lower + upper) // COLUMNS + lanes + 2)
    budget = (MEMORY + MEMORY_PER_FRAME * (n + m)) // x.itemsize
    group = 1 + strips * tiles * COLUMNS // budget
    chunk = max(SHORTEST_CHUNK, 1 + strips * tiles * size // budget)
    chunks = tiles // chunk + 2
    width = COLUMNS * chunk
    states = rows + -(-strips // group) * chunks * width
    above = states + strips * chunks * size
    chunk_boundary = above + group * width
    return Plan(
        n, m, dimensions, strips, shift, lower, upper,
        columns, fence, fence_width, boundary, state,
        chunk, chunks, group, rows, states, above, chunk_boundary,
        chunk_boundary + height + width,
    )  # fmt: skip
