"""Dynamic time warping of vector series, in steps (1, 1), (1, 0) and (0, 1) of weight 1."""

from __future__ import annotations

from typing import Any

from avalign.dtw.compiled import njit
from avalign.dtw.frames_layout import first_tile, lay_out, stop_tile
from avalign.dtw.frames_path import path
from avalign.dtw.frames_strips import cross, first_boundary, last_cost, start
from avalign.dtw.frames_tile import STATE_VECTORS
from avalign.dtw.layout import aligned

__all__ = ["distance", "path"]


@njit
def distance(x: Any, y: Any, radius: int, metric: int) -> Any:
    """Return the least accumulated cost over all warping paths of two vector series.

    Parameters
    ----------
    x, y : array (N, D), (M, D)
        Contiguous, finite, of one type: float64 or float32, in which all is computed.
    radius : int
        Radius of the Sakoe-Chiba band in cells; -1 for none.
    metric : int
        Code of the local cost, see :mod:`avalign.dtw.compiled`.
    """
    layout = lay_out(x, y, radius)
    boundary = first_boundary(layout, x)
    origin = -2 * layout.height
    state = aligned(STATE_VECTORS * layout.lanes, x)
    for strip in range(layout.strips):
        start(layout, strip, boundary, state)
        begin, end = first_tile(layout, strip), stop_tile(layout, strip)
        cross(layout, strip, begin, end, metric, boundary, origin, state)
    return last_cost(layout, state)
