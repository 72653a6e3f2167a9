"""Dynamic time warping of vector series, in steps (1, 1), (1, 0) and (0, 1) of weight 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from avalign.dtw.multivariate.path import trace
from avalign.dtw.multivariate.plan import Plan, plan
from avalign.dtw.multivariate.strips import cross_all
from avalign.dtw.multivariate.tile import COLUMNS, ROWS_PER_LANE
from avalign.dtw.simd.vectors import BYTES


def distance(x: npt.NDArray[Any], y: npt.NDArray[Any], radius: int, metric: int) -> float:
    """Return the least accumulated cost over all warping paths of (N, D) and (M, D)."""
    planned = plan(x, y, radius, checkpoints=False)
    return float(cross_all(planned, _allocate(planned, x), x, y, metric))


def path(
    x: npt.NDArray[Any], y: npt.NDArray[Any], radius: int, metric: int
) -> tuple[float, npt.NDArray[np.int32]]:
    """Return the distance and the best path, int32 [K, 2]; ties: (1, 1), then (1, 0)."""
    planned = plan(x, y, radius, checkpoints=True)
    memory = _allocate(planned, x)
    choices = np.empty(COLUMNS * planned.chunk * ROWS_PER_LANE * 2, np.uint16)
    cells = np.empty((planned.n + planned.m - 1, 2), np.int32)
    distance = cross_all(planned, memory, x, y, metric)
    first = trace(planned, memory, metric, choices, cells)
    return float(distance), cells[first:]


def path_bytes(x: npt.NDArray[Any], y: npt.NDArray[Any], radius: int) -> int:
    """Return how much memory :func:`path` will take, beside the series."""
    planned = plan(x, y, radius, checkpoints=True)
    choices = COLUMNS * planned.chunk * ROWS_PER_LANE * 2 * np.dtype(np.uint16).itemsize
    cells = 2 * np.dtype(np.int32).itemsize * (planned.n + planned.m)
    return planned.end * x.itemsize + choices + cells


def _allocate(planned: Plan, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # Kernels leave out the numbers before the first line of the cache.
    return np.empty(planned.end + BYTES // like.itemsize, like.dtype)
