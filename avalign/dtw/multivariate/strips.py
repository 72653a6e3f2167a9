"""The strips of the cost matrix of vector series, one after the other."""

from __future__ import annotations

import numpy as np

from avalign.dtw.compiled import helper, njit
from avalign.dtw.multivariate.layout import lay_out, tiles_of
from avalign.dtw.multivariate.memory import align, copy, fill
from avalign.dtw.multivariate.plan import LAG
from avalign.dtw.multivariate.tile import COLUMNS, ROWS_PER_LANE, STATE_VECTORS, advance
from avalign.dtw.simd.vectors import BYTES


@helper
def cross(plan, memory, strip, begin, end, metric, boundary, choices, recording):
    """Cross the tiles of a strip from `begin` to before `end`."""
    # The state in the plan is what the strip remembers, before and, then, after these tiles.
    # `boundary`: where column 0, the shift included, is or would be in the row above.
    lanes = BYTES // memory.itemsize
    height = ROWS_PER_LANE * lanes
    rows_at = strip * plan.dimensions * height
    stride = 2 * plan.dimensions * height
    inside = LAG * (lanes - 1) + COLUMNS - 1
    left_out = plan.lower + plan.upper - plan.fence_width
    for tile in range(begin, end):
        # The main diagonal of the tile in the band, and then in the fence.
        diagonal = COLUMNS * tile - plan.shift - strip * height + plan.lower
        if diagonal > inside:
            diagonal = max(diagonal - left_out, inside)
        advance(
            memory, plan.state, rows_at,
            plan.columns + tile // lanes * stride + tile % lanes,
            plan.fence + (diagonal + LAG) * lanes,
            boundary + COLUMNS * tile, plan.dimensions, metric,
            choices, (tile - begin) * COLUMNS * ROWS_PER_LANE * 2, recording,
        )  # fmt: skip


@njit
def cross_all(plan, buffer, x, y, metric):
    """Cross all strips, and keep what the plan asks for; return the distance."""
    memory = align(buffer)
    lay_out(plan, memory, x, y)
    lanes = BYTES // memory.itemsize
    height = ROWS_PER_LANE * lanes
    boundary = plan.boundary + 2 * height
    size = STATE_VECTORS * lanes
    width = COLUMNS * plan.chunk
    for strip in range(plan.strips):
        begin, end = tiles_of(plan, strip, lanes)
        # To the left of the first tile, only the topmost row has neighbours that can be
        # reached: those in the row above.
        fill(memory, plan.state, size, np.inf)
        column = boundary + COLUMNS * begin
        memory[plan.state + (ROWS_PER_LANE + 1) * lanes - 1] = memory[column - 1]
        memory[plan.state + (2 * ROWS_PER_LANE + 1) * lanes - 1] = memory[column]
        while begin < end:
            chunk = (begin + strip * lanes) // plan.chunk
            first = chunk * plan.chunk - strip * lanes
            stop = min(end, first + plan.chunk)
            if plan.chunks > 0:
                slot = chunk % plan.chunks
                copy(
                    memory, plan.state, plan.states + (strip * plan.chunks + slot) * size, size
                )
                if strip % plan.group == 0:
                    slot += strip // plan.group * plan.chunks
                    row = plan.rows + slot * width + COLUMNS * (begin - first)
                    copy(memory, boundary + COLUMNS * begin + 1, row, COLUMNS * (stop - begin))
            cross(plan, memory, strip, begin, stop, metric, boundary, None, False)
            begin = stop
    lane, row = divmod((plan.n - 1) % height, ROWS_PER_LANE)
    return memory[plan.state + row * lanes + lanes - 1 - lane]
