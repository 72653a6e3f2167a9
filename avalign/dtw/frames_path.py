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

from avalign.dtw.compiled import njit
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
    states : array (strips, chunks, vectors)
        What strips remember before their chunks.
    """

    chunk: int
    group: int
    rows: Any
    states: Any


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
    boundary = first_boundary(layout, x)
    state = aligned(STATE_VECTORS * layout.lanes, x)
    checkpoints = _plan(layout, x)
    for strip in range(layout.strips):
        start(layout, strip, boundary, state)
        begin, end = first_tile(layout, strip), stop_tile(layout, strip)
        if strip % checkpoints.group == 0:
            row = checkpoints.rows[strip // checkpoints.group]
            column = COLUMNS * begin + 2 * layout.height
            count = min(row.size, boundary.size - column)
            row[:count] = boundary[column : column + count]
        while begin < end:
            checkpoints.states[strip, _kept(layout, checkpoints, strip, begin)] = state
            number = _chunk(layout, checkpoints, strip, begin)
            stop = min(end, _chunk_begin(layout, checkpoints, strip, number + 1))
            cross(layout, strip, begin, stop, metric, boundary, -2 * layout.height, state)
            begin = stop
    distance = last_cost(layout, state)
    return distance, _replay(layout, checkpoints, metric, state)


@njit
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
        chunk, group,
        np.empty(((layout.strips - 1) // group + 1, width), like.dtype),
        np.empty((layout.strips, tiles // chunk + 2, size), like.dtype),
    )  # fmt: skip


@njit(forceinline=True)
def _chunk(layout: Layout, checkpoints: Checkpoints, strip: int, tile: int) -> int:
    """Return the number of the chunk that has a tile."""
    return (tile + strip * layout.lanes) // checkpoints.chunk


@njit(forceinline=True)
def _chunk_begin(layout: Layout, checkpoints: Checkpoints, strip: int, number: int) -> int:
    """Return the first tile of a chunk; it may be before the first of the strip."""
    return number * checkpoints.chunk - strip * layout.lanes


@njit(forceinline=True)
def _kept(layout: Layout, checkpoints: Checkpoints, strip: int, tile: int) -> int:
    """Return where the state before a tile's chunk is kept."""
    first = _chunk(layout, checkpoints, strip, first_tile(layout, strip))
    return _chunk(layout, checkpoints, strip, tile) - first


@njit
def _replay(layout: Layout, checkpoints: Checkpoints, metric: int, state: Any) -> Any:
    """Follow the best steps from the last cell back to the first."""
    width = COLUMNS * checkpoints.chunk
    # Above each strip of the group, the boundary over one chunk.
    boundaries = np.empty((checkpoints.group, width), state.dtype)
    boundary = np.empty(layout.height + width, state.dtype)
    choices = np.empty((width, ROWS_PER_LANE, 2), np.uint16)
    steps = np.empty((layout.n + layout.m - 1, 2), np.int32)
    count = 0
    i, j = layout.n - 1, layout.m - 1
    known_group = known_number = -1
    while True:
        strip = i // layout.height
        # The time at which the strip works on the cell, counted in columns.
        time = j + layout.shift + i % layout.height
        number = _chunk(layout, checkpoints, strip, time // COLUMNS)
        top = strip - strip % checkpoints.group
        if top != known_group or number != known_number:
            known_group, known_number = top, number
            _compute_boundaries(
                layout, checkpoints, metric, strip, number, state, boundary, boundaries
            )
        begin = max(_chunk_begin(layout, checkpoints, strip, number), first_tile(layout, strip))
        _record(
            layout,
            checkpoints,
            metric,
            strip,
            begin,
            time // COLUMNS + 1,
            state,
            boundary,
            boundaries[strip - top],
            choices,
        )
        while time >= COLUMNS * begin:
            steps[count] = i, j
            count += 1
            row = i % layout.height
            lane = layout.lanes - 1 - row // ROWS_PER_LANE
            choice = choices[time - COLUMNS * begin, row % ROWS_PER_LANE]
            if i == 0 or j == 0:
                if i == 0 and j == 0:
                    return steps[:count][::-1].copy()
                down, right = j == 0, i == 0
            elif choice[0] >> lane & 1:
                down, right = True, True
            else:
                down = choice[1] >> lane & 1 == 1
                right = not down
            i -= down
            j -= right
            time -= down + right
            if down and row == 0:
                break


@njit
def _compute_boundaries(
    layout: Layout, checkpoints: Checkpoints, metric: int, last: int, number: int,
    state: Any, boundary: Any, boundaries: Any,
) -> None:  # fmt: skip
    """Compute the upper boundaries of the strips of a group, up to `last`, over a chunk."""
    top = last - last % checkpoints.group
    row = checkpoints.rows[top // checkpoints.group]
    offset = (
        COLUMNS * (_chunk_begin(layout, checkpoints, top, number) - first_tile(layout, top)) + 1
    )
    for column in range(boundaries.shape[1]):
        known = 0 <= column + offset < row.size
        boundaries[0, column] = row[column + offset] if known else np.inf
    for strip in range(top, last):
        nominal = _chunk_begin(layout, checkpoints, strip, number)
        begin = max(nominal, first_tile(layout, strip))
        end = min(nominal + checkpoints.chunk, stop_tile(layout, strip))
        below = boundaries[strip - top + 1]
        below[:] = np.inf
        if begin < end:
            boundary[layout.height :] = boundaries[strip - top]
            state[:] = checkpoints.states[strip, _kept(layout, checkpoints, strip, begin)]
            cross(
                layout,
                strip,
                begin,
                end,
                metric,
                boundary,
                COLUMNS * nominal + 1 - layout.height,
                state,
            )
            left = slice(COLUMNS * (begin - nominal), COLUMNS * (end - nominal))
            below[left] = boundary[left]


@njit
def _record(
    layout: Layout, checkpoints: Checkpoints, metric: int, strip: int, begin: int, end: int,
    state: Any, boundary: Any, above: Any, choices: Any,
) -> None:  # fmt: skip
    """Cross tiles of a chunk, from its first one on, and note the best steps."""
    number = _chunk(layout, checkpoints, strip, begin)
    origin = COLUMNS * _chunk_begin(layout, checkpoints, strip, number) + 1 - layout.height
    boundary[layout.height :] = above
    state[:] = checkpoints.states[strip, _kept(layout, checkpoints, strip, begin)]
    rows_at = strip * layout.dimensions * layout.height
    stride = 2 * layout.dimensions * layout.height
    for tile in range(begin, end):
        columns_at = tile // layout.lanes * stride + tile % layout.lanes
        fence_at = fence_index(layout, strip, tile)
        advance_recording(
            state, 0, layout.rows, rows_at, layout.columns, columns_at, layout.fence, fence_at,
            boundary, COLUMNS * tile - origin, layout.dimensions, metric,
            choices, (tile - begin) * COLUMNS * ROWS_PER_LANE * 2,
        )  # fmt: skip
