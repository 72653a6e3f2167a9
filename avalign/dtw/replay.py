"""Warping path of two univariate series, at about the price of their distance.

Strips of rows run forward as for the distance (:mod:`avalign.dtw.strips`), and leave
checkpoints: the boundary above every *group* of strips, and the registers of every strip each
time a *slab* of steps is over. A group and a slab make a tile. Then the path is followed
backwards from the end: only the tiles that it crosses are computed again, now with the
direction of each cell in two bits.

The steps of a group are counted so that one step of all its strips lies on one
anti-diagonal of the matrix: ``time = j + i - (first row of the group)``. What a tile needs
then lies in the tile before it and in the group above.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from avalign.dtw import layout, strips
from avalign.dtw.compiled import SQEUCLIDEAN, helper, njit
from avalign.dtw.vectors import BYTES
from avalign.dtw.wavefront import (
    STATE,
    VECTORS,
    AbsoluteDifference,
    SquaredDifference,
    load_rows,
    load_state,
    put_row,
    step_and_trace,
    store_state,
)

__all__ = ["Tiling", "path", "plan"]

# Up to so many cells, remembering all directions at once is quicker than going twice.
ONE_TILE = 2**18


class Tiling(NamedTuple):
    """How the matrix is cut into tiles, and what is remembered of them.

    Parameters
    ----------
    rows : int
        Rows in a group of strips.
    steps : int
        Steps in a slab, an even number.
    groups : int
        Groups in the matrix.
    slabs : int
        Slabs that one strip can meet.
    top : int
        Columns of a boundary that a group can meet.
    before, after : int
        How far the band reaches, in columns before and after a row's own number.
    """

    rows: int
    steps: int
    groups: int
    slabs: int
    top: int
    before: int
    after: int

    def footprint(self, rows: int, columns: int, itemsize: int) -> int:
        """Return the bytes that a path takes beside the series and itself."""
        remembered = self.groups * self.top * itemsize
        if self.groups > 1 or self.steps < self.top + self.rows:
            strips_in_all = self.groups * self.rows * itemsize // (VECTORS * BYTES)
            remembered += strips_in_all * self.slabs * STATE * BYTES
        return remembered + self.rows * self.steps // 4 + columns * BYTES


def plan(rows: int, columns: int, radius: int, itemsize: int) -> Tiling:
    """Choose the tiles for a path.

    Small tiles leave little to compute again and much to remember. A side of an eighteenth
    of the matrix costs a fifth of the distance's time and 400 bytes per column. As soon as
    that is more than 8 MB, and 64 bytes per row or column, memory decides.

    Parameters
    ----------
    rows, columns : int
        Lengths of the two series.
    radius : int
        Sakoe-Chiba radius in cells; negative for none.
    itemsize : int
        Bytes of one number.

    Returns
    -------
    Tiling
        The tiles.
    """
    height = VECTORS * BYTES // itemsize
    before, after = strips.reach.py_func(rows, columns, radius)
    width = min(columns, before + after + 1) + 2 * height
    side: float
    if rows * width <= ONE_TILE:
        group, steps = -(-rows // height) * height, 2 * (rows + columns + height)
    else:
        # Tiles are half as long again as high: the least memory for their area.
        per_cell = itemsize + STATE * BYTES / height / 1.5
        affordable = rows * width * per_cell / (2**23 + 64 * max(rows, columns))
        least = (rows * width * per_cell * 4 / 3) ** (1 / 3)
        side = max(width / 18, 2 * height, min(affordable, least))
        # No group is higher than the matrix.
        group = min(round(side / height), -(-rows // height)) * height
        steps = 2 * round(0.75 * side)
    strip = min(columns, before + after + height + 3) + height + 2
    return Tiling(group, steps, -(-rows // group), -(-strip // steps) + 1, strip, before, after)


def path(
    x: npt.NDArray[Any], y: npt.NDArray[Any], radius: int, metric: int
) -> tuple[float, npt.NDArray[np.int32]]:
    """Return the DTW distance of two univariate series, and the warping path.

    Where several paths cost the same, it is the one that, followed backwards, goes
    diagonally if it can, and else rather along `x`.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (N,) and (M,), float64 or float32
        As for :func:`avalign.dtw.strips.distance`.
    radius : int
        Sakoe-Chiba radius in cells, widened by the difference in length; negative for none.
    metric : int
        Code of the local cost.

    Returns
    -------
    tuple of (float, numpy.ndarray of int32, shape (K, 2))
        The distance, and the cells from (0, 0) to (N - 1, M - 1).
    """
    cells = np.empty((x.size + y.size - 1, 2), np.int32)
    kernel = _path_squared if metric == SQEUCLIDEAN else _path_absolute
    distance, unused = kernel(x, y, plan(x.size, y.size, radius, x.itemsize), cells)
    return float(distance), cells[unused:]


@njit
def _path_squared(x: Any, y: Any, tiling: Any, cells: Any) -> Any:
    return _path(x, y, tiling, cells, SquaredDifference())


@njit
def _path_absolute(x: Any, y: Any, tiling: Any, cells: Any) -> Any:
    return _path(x, y, tiling, cells, AbsoluteDifference())


@helper(inline="always")
def _path(x: Any, y: Any, tiling: Any, cells: Any, metric: Any) -> Any:
    work = strips.workspace(x, y)
    rows = work.rows.size
    tops = np.empty((tiling.groups, tiling.top), x.dtype)
    if tiling.groups == 1 and tiling.steps >= tiling.top + tiling.rows:
        checkpoints = np.empty((0, 0, 0), x.dtype)
        for column in range(tiling.top):
            tops[0, column] = work.boundary[rows - 1 + column]
    else:
        count = tiling.groups * tiling.rows // rows
        checkpoints = np.empty((count, tiling.slabs, work.state.size), x.dtype)
        _remember(work, x, y, tiling, tops, checkpoints, metric)
    # Steps are run in pairs, so the last of a tile may be followed by one more.
    directions = np.empty((tiling.rows // rows * tiling.steps + 1) * (rows // 4), np.uint8)

    i, j, unused = x.size - 1, y.size - 1, cells.shape[0]
    distance = x.dtype.type(np.nan)
    while unused == cells.shape[0] or i >= 0:
        value, begin = _retrace(work, x, y, i, j, tiling, tops, checkpoints, directions, metric)
        if unused == cells.shape[0]:
            distance = value
        i, j, unused = _follow(i, j, begin, tiling, rows, directions, cells, unused)
    return distance, unused


@helper(inline="always")
def _remember(
    work: Any, x: Any, y: Any, tiling: Any, tops: Any, checkpoints: Any, metric: Any
) -> None:
    """Run all strips, and keep what begins the tiles."""
    rows, slab, before, after = work.rows.size, tiling.steps, tiling.before, tiling.after
    for first in range(0, x.size, rows):
        begin, end = strips.span(first, x.size, y.size, rows, before, after)
        if first % tiling.rows == 0:
            for column in range(begin - 1, end):
                tops[first // tiling.rows, column + 1 - begin] = work.boundary[column + rows]
            group_begin = begin
        layout.lay_out_rows(x, first, work.rows)
        strips.enter(work, begin)
        # Slabs begin earlier, counted in its own steps, the deeper a strip is in its group.
        since = (begin + first % tiling.rows - group_begin) % slab
        for kept in range(tiling.slabs):
            if since == 0:
                for place in range(work.state.size):
                    checkpoints[first // rows, kept, place] = work.state[place]
            stop = min(end, begin + slab - since)
            strips.run(work, first, begin, stop, before, after, metric)
            begin, since = stop, 0
            if begin == end:
                break


@helper(inline="always")
def _retrace(
    work: Any,
    x: Any,
    y: Any,
    i: Any,
    j: Any,
    tiling: Any,
    tops: Any,
    checkpoints: Any,
    directions: Any,
    metric: Any,
) -> Any:
    """Compute the tile of a cell as far as the cell, and write down the directions.

    Returns the value of the cell, and the group's time at which the tile begins.
    """
    rows, slab, before, after = work.rows.size, tiling.steps, tiling.before, tiling.after
    top = i - i % tiling.rows
    group_begin, group_end = strips.span(top, x.size, y.size, rows, before, after)
    now = i - top + j
    tile_begin = now - (now - group_begin) % slab
    # The first strip reads the boundary that was kept; each of the others, that of the last.
    stop = min(now + 1, group_end)
    for column in range(tile_begin - 1, stop):
        kept = tops[top // tiling.rows, column + 1 - group_begin]
        work.boundary[column + rows] = kept
    value = x.dtype.type(np.inf)
    for first in range(top, i + 1, rows):
        begin, end = strips.span(first, x.size, y.size, rows, before, after)
        slab_begin = tile_begin - (first - top)
        time, stop = max(begin, slab_begin), min(end, now + 1 - (first - top))
        if time >= stop:
            continue
        layout.lay_out_rows(x, first, work.rows)
        if begin > slab_begin or tile_begin == group_begin == begin:
            strips.enter(work, begin)
        else:
            number = (slab_begin - begin + slab - 1) // slab
            for place in range(work.state.size):
                work.state[place] = checkpoints[first // rows, number, place]
        at = ((first - top) // rows * slab + time - slab_begin) * (rows // 4)
        _run_traced(work, first, time, stop, before, after, metric, directions, at)
        value = strips.outcome(work, min(i - first, rows - 1), stop - time)
    return value, tile_begin


@helper
def _run_traced(
    work: Any,
    first: Any,
    begin: Any,
    end: Any,
    before: Any,
    after: Any,
    metric: Any,
    directions: Any,
    at: Any,
) -> None:
    """Run a strip as :func:`avalign.dtw.strips.run` does, and write down the directions."""
    opening, closing = first - before, first + after + 1
    rows, inside, columns, boundary, _ = work
    strips.keep_inside(work, begin, opening, closing)
    state = load_state(work.state)
    for pair in range(begin, end, 2):
        for t in range(pair, pair + 2):
            entering, leaving = t - opening, t - closing
            if entering % 2 == 0 and 0 <= entering < 2 * rows.size:
                row = entering // 2
                put_row(inside, row, rows[layout.lane_of(row, rows.size // VECTORS)])
            if leaving % 2 == 0 and 0 <= leaving < 2 * rows.size:
                put_row(inside, leaving // 2, inside.dtype.type(np.inf))
            state = step_and_trace(
                state, load_rows(inside), columns, boundary, t, metric, directions, at
            )
            at += rows.size // 4
    store_state(work.state, state)


@helper
def _follow(
    i: Any,
    j: Any,
    tile_begin: Any,
    tiling: Any,
    rows: Any,
    directions: Any,
    cells: Any,
    unused: Any,
) -> Any:
    """Follow the path backwards through a tile, from a cell of it that is not written yet.

    Returns the next cell, or (-1, -1) behind the first of the matrix, and the number of
    entries of `cells` that are still unused.
    """
    lanes = rows // VECTORS
    top = i - i % tiling.rows
    while i >= top and i - top + j >= tile_begin:
        unused -= 1
        cells[unused, 0] = i
        cells[unused, 1] = j
        if i == 0 or j == 0:
            # Beyond the edge there is nothing, whatever the directions say.
            if i == j:
                return -1, -1, unused
            i, j = (i, j - 1) if i == 0 else (i - 1, j)
            continue
        strip, row = (i - top) // rows, (i - top) % rows
        step = strip * tiling.steps + i - top + j - strip * rows - (tile_begin - strip * rows)
        bit = step * 2 * rows + row % VECTORS * 2 * lanes + lanes - 1 - row // VECTORS
        if not directions[bit >> 3] >> (bit & 7) & 1:
            i, j = i - 1, j - 1
        elif directions[(bit + lanes) >> 3] >> ((bit + lanes) & 7) & 1:
            j -= 1
        else:
            i -= 1
    return i, j, unused
