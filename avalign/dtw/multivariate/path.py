"""The warping path of vector series: the distance with checkpoints, then a replay backwards.

The first pass keeps, at regular places, what strips remember, and the rows between *groups*
of strips. The second computes again, noting steps, the few tiles that the path crosses.

                    chunk 0     chunk 1     chunk 2
    rows, group 0  =========================================   row above, cached
        strip 0    |           |           |                   | state of the strip, cached
        strip 1    |       |           |           |
    rows, group 1  =========================================

The chunks of the strip below begin earlier, by as much as the strips' last rows lag: the row
above a chunk is all that the chunk of the same number above it leaves behind.
"""

from __future__ import annotations

import numpy as np

from avalign.dtw.compiled import helper, njit
from avalign.dtw.multivariate.layout import tiles_of
from avalign.dtw.multivariate.memory import align, copy, fill
from avalign.dtw.multivariate.strips import cross
from avalign.dtw.multivariate.tile import COLUMNS, ROWS_PER_LANE, STATE_VECTORS
from avalign.dtw.simd.vectors import BYTES


@njit
def trace(plan, buffer, metric, choices, cells):
    """Write the path, backwards, to the end of `cells`; return where in it the path begins."""
    memory = align(buffer)
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
            # Strips between the cached row and this one come first.
            first = group * plan.group
            slot = group * plan.chunks + chunk % plan.chunks
            copy(memory, plan.rows + slot * width, plan.above, width)
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
def _cross_again(plan, memory, metric, first, last, chunk, stop, choices):
    """Cross one chunk of strips of a group; record the last one's steps before tile `stop`."""
    # The row above the first strip is expected, and those above the others are left; the
    # first tile of the last strip is returned.
    lanes = BYTES // memory.itemsize
    height = ROWS_PER_LANE * lanes
    size = STATE_VECTORS * lanes
    width = COLUMNS * plan.chunk
    begin = 0
    for strip in range(first, last + 1):
        slot = strip * plan.chunks + chunk % plan.chunks
        copy(memory, plan.states + slot * size, plan.state, size)
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
