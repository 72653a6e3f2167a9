"""The warping path of vector series: the distance with checkpoints, then a replay backwards.

Noting the best step into every cell would take memory in proportion to the matrix and slow
the kernel down. Instead, the first pass only computes the distance. At regular places it
keeps what strips remember, and the rows between *groups* of strips. From the last cell back
to the first, the second pass computes again, this time noting steps, the few tiles that the
path crosses.

Tiles of a strip come in *chunks*, each behind a checkpoint. The chunks of the strip below
begin earlier, by as much as the strips' last rows lag, so that a chunk's upper boundary is
all that the chunk with the same number above it leaves behind: within a group, that number
alone is needed to compute a boundary again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from avalign.dtw.compiled import helper, njit
from avalign.dtw.frames_layout import Layout, fence_index, first_tile, lay_out, stop_tile
from avalign.dtw.frames_strips import cross, first_boundary, last_cost, start
from avalign.dtw.frames_tile import COLUMNS, ROWS_PER_LANE, STATE_VECTORS, advance_recording
from avalign.dtw.layout import aligned

__all__ = ["path"]

# Memory for states and for rows: this many bytes, and some for each row and column.
MEMORY = 1 << 25
MEMORY_PER_FRAME = 64

SHORTEST_CHUNK = 8


class Checkpoints(NamedTuple):
    """What the first pass keeps.

    Attributes
    ----------
    chunk : int
        Tiles of a chunk.
    group : int
        Strips of a group.
    rows : array (groups, columns)
        Boundaries above the groups, each from the first column of its first strip on.
    states : array (strips, chunks, numbers)
        What strips remember before their chunks.
    """

    chunk: int
    group: int
    rows: Any
    states: Any


class Replay(NamedTuple):
    """Working memory of the second pass.

    Attributes
    ----------
    state : array
        What the current strip remembers.
    boundaries : array (strips of a group, columns of a chunk)
        Rows above the strips of the current group, over the current chunk.
    boundary : array
        That of the current strip, with room for what it leaves behind.
    choices : array (columns of a chunk, ROWS_PER_LANE, 2)
        Best steps into the cells of the current strip and chunk.
    """

    state: Any
    boundaries: Any
    boundary: Any
    choices: Any


@njit
def path(x: Any, y: Any, radius: int, metric: int) -> Any:
    """Return the distance and the best warping path of two vector series.

    Where steps are equally good, (1, 1) comes before (1, 0), and this before (0, 1).

    Parameters
    ----------
    x, y, radius, metric
        As for :func:`avalign.dtw.frames.distance`.

    Returns
    -------
    distance : float
        Accumulated cost of the path.
    path : int32 array (K, 2)
        Pairs of a row of `x` and a row of `y`.
    """
    layout = lay_out(x, y, radius)
    checkpoints = _plan(layout, x)
    state = aligned(STATE_VECTORS * layout.lanes, x)
    _cross_all(layout, checkpoints, metric, first_boundary(layout, x), state)
    distance = last_cost(layout, state)
    width = COLUMNS * checkpoints.chunk
    replay = Replay(
        state,
        np.empty((checkpoints.group, width), x.dtype),
        np.empty(layout.height + width, x.dtype),
        np.empty((width, ROWS_PER_LANE, 2), np.uint16),
    )
    return distance, _trace(layout, checkpoints, metric, replay)


@helper(inline="always")
def _plan(layout: Layout, like: Any) -> Checkpoints:
    """Allocate checkpoints, as many as may be afforded."""
    tiles = 0
    for strip in range(layout.strips):
        tiles = max(tiles, stop_tile(layout, strip) - first_tile(layout, strip))
    budget = (MEMORY + MEMORY_PER_FRAME * (layout.n + layout.m)) // like.itemsize
    width = COLUMNS * tiles + 1
    size = STATE_VECTORS * layout.lanes
    group = 1 + layout.strips * width // budget
    chunk = max(SHORTEST_CHUNK, 1 + layout.strips * tiles * size // budget)
    return Checkpoints(
        chunk,
        group,
        np.empty(((layout.strips - 1) // group + 1, width), like.dtype),
        np.empty((layout.strips, tiles // chunk + 2, size), like.dtype),
    )


@helper(inline="always")
def _chunk_of(layout: Layout, checkpoints: Checkpoints, strip: int, tile: int) -> int:
    """Return the number of the chunk that has a tile."""
    return (tile + strip * layout.lanes) // checkpoints.chunk


@helper(inline="always")
def _first_of(layout: Layout, checkpoints: Checkpoints, strip: int, chunk: int) -> int:
    """Return the first tile of a chunk; it may be before the first of the strip."""
    return chunk * checkpoints.chunk - strip * layout.lanes


@helper(inline="always")
def _state_of(layout: Layout, checkpoints: Checkpoints, strip: int, chunk: int) -> Any:
    """Return the place for what a strip remembers before a chunk."""
    first = _chunk_of(layout, checkpoints, strip, first_tile(layout, strip))
    return checkpoints.states[strip, chunk - first]


@helper(inline="always")
def _copy(source: Any, start: int, target: Any, at: int, count: int) -> None:
    for k in range(count):
        target[at + k] = source[start + k]


@helper(inline="always")
def _cross_all(
    layout: Layout, checkpoints: Checkpoints, metric: int, boundary: Any, state: Any
) -> None:
    """Cross all strips, and keep checkpoints."""
    for strip in range(layout.strips):
        start(layout, strip, boundary, state)
        begin, end = first_tile(layout, strip), stop_tile(layout, strip)
        if strip % checkpoints.group == 0:
            row = checkpoints.rows[strip // checkpoints.group]
            column = COLUMNS * begin + 2 * layout.height
            _copy(boundary, column, row, 0, min(row.size, boundary.size - column))
        while begin < end:
            chunk = _chunk_of(layout, checkpoints, strip, begin)
            _copy(state, 0, _state_of(layout, checkpoints, strip, chunk), 0, state.size)
            stop = min(end, _first_of(layout, checkpoints, strip, chunk + 1))
            cross(layout, strip, begin, stop, metric, boundary, -2 * layout.height, state)
            begin = stop


@helper(inline="always")
def _trace(layout: Layout, checkpoints: Checkpoints, metric: int, replay: Replay) -> Any:
    """Follow the best steps from the last cell back to the first."""
    steps = np.empty((layout.n + layout.m - 1, 2), np.int32)
    free = steps.shape[0]
    i, j = layout.n - 1, layout.m - 1
    known_group = known_chunk = -1
    while True:
        strip = i // layout.height
        group = strip // checkpoints.group
        # When the strip works on the cell, counted in columns.
        time = j + layout.shift + i % layout.height
        chunk = _chunk_of(layout, checkpoints, strip, time // COLUMNS)
        if group != known_group or chunk != known_chunk:
            _find_boundaries(layout, checkpoints, metric, strip, chunk, replay)
            known_group, known_chunk = group, chunk
        begin = max(_first_of(layout, checkpoints, strip, chunk), first_tile(layout, strip))
        _record(layout, checkpoints, metric, strip, begin, time // COLUMNS + 1, replay)
        top = strip * layout.height
        while i >= top and time >= COLUMNS * begin:
            free -= 1
            steps[free, 0] = i
            steps[free, 1] = j
            if i == 0 and j == 0:
                return steps[free:]
            row = i - top
            lane = layout.lanes - 1 - row // ROWS_PER_LANE
            choice = replay.choices[time - COLUMNS * begin, row % ROWS_PER_LANE]
            diagonal = choice[0] >> lane & 1
            down = diagonal | choice[1] >> lane & 1
            right = diagonal | 1 - down
            if i == 0 or j == 0:
                # Infinite costs may all be equal; stay inside of the matrix.
                down, right = np.int64(i > 0), np.int64(j > 0)
            i -= down
            j -= right
            time -= down + right


@helper
def _find_boundaries(
    layout: Layout, checkpoints: Checkpoints, metric: int, last: int, chunk: int, replay: Replay
) -> None:
    """Compute the rows above the strips of a group, down to strip `last`, over a chunk."""
    top = last - last % checkpoints.group
    row = checkpoints.rows[top // checkpoints.group]
    tile = _first_of(layout, checkpoints, top, chunk) - first_tile(layout, top)
    width = replay.boundaries.shape[1]
    for k in range(width):
        column = COLUMNS * tile + 1 + k
        replay.boundaries[0, k] = row[column] if 0 <= column < row.size else np.inf
    for strip in range(top, last):
        nominal = _first_of(layout, checkpoints, strip, chunk)
        begin = max(nominal, first_tile(layout, strip))
        end = min(nominal + checkpoints.chunk, stop_tile(layout, strip))
        below = replay.boundaries[strip - top + 1]
        below[:] = np.inf
        if begin < end:
            origin = _restore(layout, checkpoints, strip, chunk, replay)
            cross(layout, strip, begin, end, metric, replay.boundary, origin, replay.state)
            left = COLUMNS * (begin - nominal)
            _copy(replay.boundary, left, below, left, COLUMNS * (end - begin))


@helper
def _restore(
    layout: Layout, checkpoints: Checkpoints, strip: int, chunk: int, replay: Replay
) -> int:
    """Go back to the start of a chunk; return the column at the start of the boundary."""
    state = _state_of(layout, checkpoints, strip, chunk)
    _copy(state, 0, replay.state, 0, state.size)
    above = replay.boundaries[strip % checkpoints.group]
    _copy(above, 0, replay.boundary, layout.height, above.size)
    return COLUMNS * _first_of(layout, checkpoints, strip, chunk) + 1 - layout.height


@helper
def _record(
    layout: Layout, checkpoints: Checkpoints, metric: int, strip: int, begin: int, end: int,
    replay: Replay,
) -> None:  # fmt: skip
    """Cross tiles of a chunk, from its first one on, and record the best steps."""
    chunk = _chunk_of(layout, checkpoints, strip, begin)
    origin = _restore(layout, checkpoints, strip, chunk, replay)
    rows_at = strip * layout.dimensions * layout.height
    stride = 2 * layout.dimensions * layout.height
    for tile in range(begin, end):
        columns_at = tile // layout.lanes * stride + tile % layout.lanes
        fence_at = fence_index(layout, strip, tile)
        advance_recording(
            replay.state, 0, layout.rows, rows_at, layout.columns, columns_at,
            layout.fence, fence_at, replay.boundary, COLUMNS * tile - origin,
            layout.dimensions, metric,
            replay.choices, (tile - begin) * COLUMNS * ROWS_PER_LANE * 2,
        )  # fmt: skip
