"""Where the kernels on vector series find what they work on: one array, the *memory*.

    0               x  (strips, dimensions, ROWS_PER_LANE, lanes)
    columns         y  (tiles // lanes, dimensions, COLUMNS, 2 * lanes)
    fence           (diagonals, lanes): 0 inside the band, infinity outside
    boundary        the row above the current strip, two strips' height before column 0
    state           (STATE_VECTORS, lanes): what the current strip remembers between tiles
    rows            (groups, chunks, columns of a chunk): rows above groups          | with
    states          (strips, chunks, STATE_VECTORS * lanes): states before chunks    | check-
    above           (strips of a group, columns of a chunk): rows above the strips   | points
    chunk_boundary  that of the current strip, behind room for what it leaves        | only
    end

One allocation is quicker than many, and numbers compile sooner than arrays. A tile's vectors
start at any of the first `lanes` positions of 2 * lanes, so that what `lanes` tiles in a row
need is together in the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from avalign.dtw.multivariate.tile import COLUMNS, ROWS_PER_LANE, STATE_VECTORS
from avalign.dtw.simd.vectors import BYTES

# By how many columns the band of a lane is behind that of the lane that owns the rows above:
# it is in another tile at the time, and its part of the band begins that many columns later.
LAG = COLUMNS + ROWS_PER_LANE

# Memory for states and for rows: this many bytes, and some for each row and column.
MEMORY = 1 << 25
MEMORY_PER_ROW = 64

SHORTEST_CHUNK = 8


class Plan(NamedTuple):
    """A matrix cut into strips of rows and tiles of columns, and the places of its parts."""

    n: int
    m: int
    dimensions: int
    strips: int  # the last one may lack rows
    shift: int  # columns before the first, so that the last cell ends a tile
    lower: int  # cell (i, j) is inside the band if -lower <= j - i <= upper
    upper: int
    columns: int
    fence: int
    fence_width: int  # of the band in the fence, which leaves out most of the inside
    boundary: int
    state: int
    chunk: int  # tiles between the checkpoints of a strip
    # Of a strip, at most; 0 without checkpoints. Each is cached at its number modulo this.
    chunks: int
    group: int  # strips between those whose upper boundary is cached
    rows: int
    states: int
    above: int
    chunk_boundary: int
    end: int


def plan(x: Any, y: Any, radius: int, *, checkpoints: bool) -> Plan:
    """Plan the distance of series, or with checkpoints their path; no band if radius < 0."""
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
    budget = (MEMORY + MEMORY_PER_ROW * (n + m)) // x.itemsize
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
