"""How the matrix is cut into tiles for a path; see :mod:`avalign.dtw.univariate.replay`."""

from __future__ import annotations

from typing import NamedTuple

from avalign.dtw.simd.registers import STATE, VECTORS
from avalign.dtw.simd.vectors import BYTES
from avalign.dtw.univariate import layout
from avalign.dtw.univariate.strips import reach

# Up to so many cells, remembering all directions at once is quicker than going twice.
ONE_TILE = 2**18


class Tiling(NamedTuple):
    """How the matrix is cut into tiles, and what is cached of them."""

    rows: int  # in a group of strips
    steps: int  # in a slab, an even number
    groups: int
    slabs: int  # that one strip can meet
    top: int  # columns of a boundary that a group can meet
    before: int  # how far the band reaches, in columns, before a row's own number and after
    after: int

    @property
    def is_one(self) -> bool:
        """Whether one tile is all there is."""
        return self.groups == 1 and self.steps >= self.top + self.rows

    def remembered(self, itemsize: int) -> tuple[int, int]:
        """Return how many numbers tops and checkpoints hold."""
        strips = self.groups * self.rows * itemsize // (VECTORS * BYTES)
        size = STATE * BYTES // itemsize
        return self.groups * self.top, 0 if self.is_one else strips * self.slabs * size

    def directions(self, itemsize: int) -> int:
        """Return how many bytes the directions of a tile take."""
        height = VECTORS * BYTES // itemsize
        # Steps are run in pairs, so the last of a tile may be followed by one more.
        return (self.rows // height * self.steps + 1) * (height // 4)

    def footprint(self, columns: int, itemsize: int) -> int:
        """Return the bytes that a path takes beside the series and itself."""
        numbers = sum(self.remembered(itemsize)) + layout.workspace_size(columns, itemsize)
        return numbers * itemsize + self.directions(itemsize)


def plan(rows: int, columns: int, radius: int, itemsize: int) -> Tiling:
    """Choose the tiles for a path through (rows, columns) cells."""
    # Small tiles leave little to compute again and much to cache. A side of an eighteenth of
    # the matrix costs a fifth of the distance's time and 400 bytes per column. Where that is
    # more than 8 MB, and 64 bytes per row or column, memory decides.
    height = VECTORS * BYTES // itemsize
    before, after = reach(rows, columns, radius)
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
