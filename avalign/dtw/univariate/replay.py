"""Warping path of two univariate series, at about the price of their distance.

Strips run forward as for the distance and leave checkpoints; then the path is followed
backwards, and only the tiles that it crosses are computed again, with two bits a cell.

    time = j + i - (first row of the group): a step of all its strips on one anti-diagonal

                      slab 0         slab 1         slab 2
    tops, group 0   ==================================================   boundary, cached
        strip       |             /              /              /        / registers, cached
        strip       |  tile    /       tile   /       tile   /             when a slab is over
        strip       |       /              /              /
    tops, group 1   ==================================================

What a tile needs lies in the tile before it and in the group above.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from avalign.dtw.compiled import MANHATTAN, SQEUCLIDEAN, helper, njit
from avalign.dtw.simd.registers import VECTORS, copy_row, load_rows, load_state, store_state
from avalign.dtw.univariate import layout
from avalign.dtw.univariate.strips import corner, forward
from avalign.dtw.univariate.tiling import plan
from avalign.dtw.univariate.wavefront import step_and_trace


def path(
    x: npt.NDArray[Any], y: npt.NDArray[Any], radius: int, metric: int, diagonal: int = 1
) -> tuple[float, npt.NDArray[np.int32]]:
    """Return the DTW distance of two univariate series, and the warping path, int32 [K, 2]."""
    # Ties: backwards, diagonally where that is one of the best, else rather along x.
    tiling = plan(x.size, y.size, radius, x.itemsize)
    work = np.empty(layout.workspace_size(y.size, y.itemsize), y.dtype)
    tops, checkpoints = (np.empty(size, x.dtype) for size in tiling.remembered(x.itemsize))
    directions = np.empty(tiling.directions(x.itemsize), np.uint8)
    cells = np.empty((x.size + y.size - 1, 2), np.int32)
    beyond = corner(x, y, metric) if diagonal == 2 else 0.0
    if tiling.is_one:
        tops.fill(np.inf)
        tops[0] = beyond
    else:
        forward(metric, diagonal, radius >= 0)(
            x, y, beyond, work, tuple(tiling), tops, checkpoints, np.inf
        )
    retrace = _RETRACE[metric == SQEUCLIDEAN, diagonal, radius >= 0]
    distance, unused = retrace(
        x, y, beyond, work, tuple(tiling), tops, checkpoints, directions, cells
    )
    return float(distance), cells[unused:]


def path_bytes(rows: int, columns: int, radius: int, itemsize: int) -> int:
    """Return how much memory :func:`path` will take, beside the series."""
    cells = 2 * np.dtype(np.int32).itemsize * (rows + columns)
    return plan(rows, columns, radius, itemsize).footprint(columns, itemsize) + cells


def _make_retrace(metric: int, diagonal: int, banded: bool) -> Any:
    @njit
    def retrace(x, y, beyond, work, tiling, tops, checkpoints, directions, cells):
        """Write the path to the end of `cells`; return the distance and how many are unused."""
        workspace = layout.divide(work, y.size)
        rows, inside, outside, state, boundary, columns = workspace
        if not checkpoints.size:
            layout.lay_out(y, beyond, workspace)
        group, slab, _, slabs, width, before, after = tiling
        height, lanes = rows.size, rows.size // VECTORS
        i, j, unused, distance = x.size - 1, y.size - 1, cells.shape[0], state[0]
        while i >= 0:
            top = i - i % group
            group_begin, group_end = layout.span(top, x.size, y.size, height, before, after)
            now = i - top + j
            tile_begin = now - (now - group_begin) % slab
            # The first strip reads the boundary that was cached; the others, that of the last.
            stop = now + 1 if now < group_end else group_end
            cached_at = top // group * width + 1 - group_begin
            for column in range(tile_begin - 1, stop):
                boundary[column + height] = tops[cached_at + column]
            for first in range(top, i + 1, height):
                begin, end = layout.span(first, x.size, y.size, height, before, after)
                # The same moments, counted in the strip's own steps.
                slab_begin, slab_end = tile_begin - (first - top), now + 1 - (first - top)
                time = begin if begin > slab_begin else slab_begin
                end = end if end < slab_end else slab_end
                if time >= end:
                    continue
                layout.lay_out_rows(x, first, rows)
                if begin > slab_begin or tile_begin == group_begin == begin:
                    for index in range(state.size):
                        state[index] = np.inf
                    state[state.size - 1] = boundary[begin - 1 + height]
                else:
                    number = (slab_begin - begin + slab - 1) // slab
                    cached_at = (first // height * slabs + number) * state.size
                    for index in range(state.size):
                        state[index] = checkpoints[cached_at + index]
                at = ((first - top) // height * slab + time - slab_begin) * (height // 4)
                opening, closing = first - before, first + after + 1
                if banded:
                    layout.select_rows(workspace, time, opening, closing)
                running, loaded = load_state(state), load_rows(rows)
                for pair in range(time, end, 2):
                    for t in range(pair, pair + 2):
                        if banded:
                            entering, leaving = t - opening, t - closing
                            if entering % 2 == 0 and 0 <= entering < 2 * height:
                                copy_row(inside, rows, entering // 2)
                            if leaving % 2 == 0 and 0 <= leaving < 2 * height:
                                copy_row(inside, outside, leaving // 2)
                            loaded = load_rows(inside)
                        running = step_and_trace(
                            running, loaded, columns, boundary, t, metric, diagonal,
                            directions, at,
                        )  # fmt: skip
                        at += height // 4
                store_state(state, running)

            if unused == cells.shape[0]:
                # Steps are run in pairs, so the state may be one step ahead.
                row = (i - top) % height
                index = row % VECTORS * lanes + lanes - 1 - row // VECTORS
                distance = state[(end - time) % 2 * height + index]
            i, j, unused = _follow(
                i, j, tile_begin, group, slab, height, directions, cells, unused
            )
        return distance, unused

    return retrace


@helper
def _follow(i, j, tile_begin, group, slab, height, directions, cells, unused):
    """Follow the path back through a tile; return the next cell, (-1, -1) behind the first."""
    lanes = height // VECTORS
    top = i - i % group
    while i >= top and i - top + j >= tile_begin:
        unused -= 1
        cells[unused, 0] = i
        cells[unused, 1] = j
        if i == 0 or j == 0:
            # Beyond the edge there is nothing, whatever the directions say.
            if i == j:
                i, j = -1, -1
            elif i == 0:
                j -= 1
            else:
                i -= 1
            continue
        row = (i - top) % height
        step = (i - top) // height * slab + i - top + j - tile_begin
        bit = step * 2 * height + row % VECTORS * 2 * lanes + lanes - 1 - row // VECTORS
        if not directions[bit >> 3] >> (bit & 7) & 1:
            i, j = i - 1, j - 1
        elif directions[(bit + lanes) >> 3] >> ((bit + lanes) & 7) & 1:
            j -= 1
        else:
            i -= 1
    return i, j, unused


_RETRACE = {
    (squared, diagonal, banded): _make_retrace(
        SQEUCLIDEAN if squared else MANHATTAN, diagonal, banded
    )
    for squared in (True, False)
    for diagonal in (1, 2)
    for banded in (True, False)
}
