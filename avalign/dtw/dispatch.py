"""Which engine solves a problem: vector kernels where they can, else the general one."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from avalign.dtw import checks, frames, recurrence, replay, strips
from avalign.dtw.problem import Problem

__all__ = ["distance", "last_row", "path", "solved_distance"]


def distance(problem: Problem) -> float:
    """Return the distance before scaling, infinite where no path fits."""
    if not problem.is_plain:
        return recurrence.distance(problem)[0]
    kernel = strips if problem.x.ndim == 1 else frames
    found = kernel.distance(problem.x, problem.y, problem.radius, problem.metric_code)
    return float(found)


def solved_distance(problem: Problem) -> float:
    """Return the distance, or say why there is none."""
    found = distance(problem) * problem.scale
    if not found < inf:
        checks.no_path(problem)
    return found


def path(problem: Problem) -> tuple[float, NDArray[np.int32]]:
    """Return the distance before scaling, and its path."""
    if problem.is_plain:
        kernel = replay if problem.x.ndim == 1 else frames
        return kernel.path(problem.x, problem.y, problem.radius, problem.metric_code)
    checks.memory(
        recurrence.path_bytes(problem),
        "the path",
        "give a radius, or call multiscale_path, whose memory is linear",
    )
    return recurrence.path(problem)


def last_row(problem: Problem) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Return the cost, before scaling, of ending in each row of y, and where that begins."""
    return recurrence.last_row(problem)
