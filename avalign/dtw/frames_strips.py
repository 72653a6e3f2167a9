"""One strip of the cost matrix of vector series: its start, and its course over tiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from avalign.dtw.compiled import helper
from avalign.dtw.frames_layout import Layout, fence_index, first_tile
from avalign.dtw.frames_tile import COLUMNS, ROWS_PER_LANE, advance

__all__ = ["boundary_index", "cross", "first_boundary", "last_cost", "start"]


@helper(inline="always")
def boundary_index(layout: Layout, column: int) -> int:
    """Return where a column is in the boundary of a whole matrix."""
    return column + layout.shift + 2 * layout.height


@helper(inline="always")
def first_boundary(layout: Layout, like: Any) -> Any:
    """Return the row above the matrix: a start from nothing before the first column."""
    boundary = np.empty(boundary_index(layout, layout.m) + 2 * layout.height, like.dtype)
    boundary[:] = np.inf
    boundary[boundary_index(layout, -1)] = 0
    return boundary


@helper(inline="always")
def start(layout: Layout, strip: int, boundary: Any, state: Any) -> None:
    """Set what a strip remembers to the left of its first tile.

    Only the topmost row has neighbours there that can be reached: those in the row above.
    """
    state[:] = np.inf
    column = COLUMNS * first_tile(layout, strip) + 2 * layout.height
    state[(ROWS_PER_LANE + 1) * layout.lanes - 1] = boundary[column - 1]
    state[(2 * ROWS_PER_LANE + 1) * layout.lanes - 1] = boundary[column]


@helper
def cross(
    layout: Layout, strip: int, begin: int, end: int, metric: int,
    boundary: Any, origin: int, state: Any,
) -> None:  # fmt: skip
    """Cross the tiles of a strip from `begin` to before `end`.

    Index 0 of the boundary belongs to column `origin`, the shift included. `state` is what
    the strip remembers: before and, afterwards, after these tiles.
    """
    rows_at = strip * layout.dimensions * layout.height
    stride = 2 * layout.dimensions * layout.height
    for tile in range(begin, end):
        columns_at = tile // layout.lanes * stride + tile % layout.lanes
        fence_at = fence_index(layout, strip, tile)
        advance(
            state, 0, layout.rows, rows_at, layout.columns, columns_at, layout.fence, fence_at,
            boundary, COLUMNS * tile - origin, layout.dimensions, metric,
        )  # fmt: skip


@helper(inline="always")
def last_cost(layout: Layout, state: Any) -> Any:
    """Return the accumulated cost of the last cell when the last strip has been crossed."""
    group, row = divmod((layout.n - 1) % layout.height, ROWS_PER_LANE)
    return state[row * layout.lanes + layout.lanes - 1 - group]
