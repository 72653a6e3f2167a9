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

from typing import Any

import numpy as np

from avalign.dtw.compiled import helper, njit
from avalign.dtw.multivariate.layout import tiles_of
from avalign.dtw.multivariate.memory import aligned, copy, fill
from avalign.dtw.multivariate.strips import cross
from avalign.dtw.multivariate.tile import COLUMNS, ROWS_PER_LANE, STATE_VECTORS
from avalign.dtw.simd.vectors import BYTES

__all__ = ["trace"]


@njit
def trace(plan: Any, buffer: Any, metric: int, choices: Any, cells: Any) -> Any:
    """Follow the best steps from the last cell back to the first.

    Parameters
    ----------
    plan : Plan
        With checkpoints.
    buffer : array
        The memory, as the first pass has left it.
    metric : int
        Code of the local cost.
    choices : uint16 array (columns of a chunk * ROWS_PER_LANE * 2,)
        Room for the best steps into the cells of a strip and chunk.
    cells : int32 array (n + m - 1, 2)
        Takes the path, at its end.

    Returns
    -------
    int
        Where in `cells` the path begins.
    """
    memory = aligned(buffer)
    lanes = BYTES // memory.itemsize
    height = ROWS_PER_LANE * lanes
    width = COLUMNS * plan.chunk
    free = cells.shape[0]
    i, j = plan.n - 1, plan.m - 1
    known_group = known_chunk = -1
    while True:
        strip = i // height
        top = strip * height
        # When the strip works on the cell, counted in columns.
        time = j + plan.shift + i - top
        group = strip // plan.group
        chunk = (time // COLUMNS + strip * lanes) // plan.chunk
        first = strip
        if group != known_group or chunk != known_chunk:
            # Strips between the kept row and this one come first.
            first = group * plan.group
            kept = group * plan.chunks + chunk % plan.chunks
            copy(memory, plan.rows + kept * width, plan.above, width)
            known_group, known_chunk = group, chunk
        begin = _cross_again(
            plan, memory, metric, first, strip, chunk, time // COLUMNS + 1, choices
        )
        while i >= top and time >= COLUMNS * begin:
            free -= 1
            cells[free, 0] = i
            cells[free, 1] = j
            if i == 0 and j == 0:
                return free
            lane = lanes - 1 - (i - top) // ROWS_PER_LANE
            choice = (time - COLUMNS * begin) * ROWS_PER_LANE + (i - top) % ROWS_PER_LANE
            diagonal = choices[2 * choice] >> lane & 1
            down = diagonal | choices[2 * choice + 1] >> lane & 1
            right = diagonal | 1 - down
            if i == 0 or j == 0:
                # Infinite costs may all be equal; stay inside of the matrix.
                down, right = np.int64(i > 0), np.int64(j > 0)
            i -= down
            j -= right
            time -= down + right


@helper
def _cross_again(
    plan: Any, memory: Any, metric: int, first: int, last: int, chunk: int, stop: int,
    choices: Any,
) -> Any:  # fmt: skip
    """Cross one chunk of some strips of a group, and record the best steps of the last one.

    Of the last one, tiles from `stop` on are left out; its first tile is returned. The row
    above the first strip is expected, and those above the others are left.
    """
    lanes = BYTES // memory.itemsize
    height = ROWS_PER_LANE * lanes
    size = STATE_VECTORS * lanes
    width = COLUMNS * plan.chunk
    begin = 0
    for strip in range(first, last + 1):
        kept = strip * plan.chunks + chunk % plan.chunks
        copy(memory, plan.states + kept * size, plan.state, size)
        above = plan.above + strip % plan.group * width
        copy(memory, above, plan.chunk_boundary + height, width)
        left = chunk * plan.chunk - strip * lanes
        begin, end = tiles_of(plan, strip, lanes)
        begin, end = max(begin, left), min(end, left + plan.chunk)
        if strip == last:
            end = min(end, stop)
        boundary = plan.chunk_boundary + height - 1 - COLUMNS * left
        cross(plan, memory, strip, begin, end, metric, boundary, choices, strip == last)
        if strip < last:
            below = above + width
            fill(memory, below, width, np.inf)
            behind = COLUMNS * (begin - left)
            count = COLUMNS * (end - begin)
            copy(memory, plan.chunk_boundary + behind, below + behind, count)
    return begin
