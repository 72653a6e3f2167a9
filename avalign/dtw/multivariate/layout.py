"""The series, the band and the first boundary, as the kernels on vector series need them."""

from __future__ import annotations

import numpy as np

from avalign.dtw.compiled import helper
from avalign.dtw.multivariate.memory import fill
from avalign.dtw.multivariate.plan import LAG
from avalign.dtw.multivariate.tile import COLUMNS, ROWS_PER_LANE
from avalign.dtw.simd.vectors import BYTES


@helper
def lay_out(plan, memory, x, y):
    """Write the series and the fence, and the row above the first strip."""
    lanes = BYTES // memory.itemsize
    height = ROWS_PER_LANE * lanes
    # Rows that the last strip lacks may cost anything but NaN. Against any row, a column
    # before the first or after the last costs infinity. So does a start from anywhere but
    # before the first cell, and a lane outside the band.
    last_strip = height * plan.dimensions
    fill(memory, plan.columns - last_strip, last_strip, 0.0)
    fill(memory, plan.columns, plan.rows - plan.columns, np.inf)
    memory[plan.boundary + plan.shift + 2 * height - 1] = 0
    for lane in range(lanes):
        inside = LAG * (lanes - lane)
        for diagonal in range(inside, inside + plan.fence_width + 1):
            memory[plan.fence + diagonal * lanes + lane] = 0
    for i in range(plan.n):
        row = i % height
        index = (i - row) * plan.dimensions
        index += row % ROWS_PER_LANE * lanes + lanes - 1 - row // ROWS_PER_LANE
        for d in range(plan.dimensions):
            memory[index + d * height] = x[i, d]
    stride = COLUMNS * 2 * lanes
    for j in range(plan.m):
        column = j + plan.shift
        tile = column // COLUMNS + lanes - 1
        index = plan.columns + tile // lanes * plan.dimensions * stride
        index += column % COLUMNS * 2 * lanes + tile % lanes
        for d in range(plan.dimensions):
            memory[index + d * stride] = y[j, d]
        if tile >= lanes:
            # Once more, behind the tiles before those that it is among.
            index += lanes - plan.dimensions * stride
            for d in range(plan.dimensions):
                memory[index + d * stride] = y[j, d]


@helper
def tiles_of(plan, strip, lanes):
    """Return the first tile of a strip in the band, and that after the last one needed."""
    height = ROWS_PER_LANE * lanes
    top, last_column = strip * height, plan.m - 1 + plan.shift
    begin = max(0, top - plan.lower + plan.shift) // COLUMNS
    if strip == plan.strips - 1:
        return begin, (last_column + plan.n - 1 - top) // COLUMNS + 1
    reached = top + height - 1 + plan.upper + plan.shift
    return begin, min(last_column, reached) // COLUMNS + lanes + 1
