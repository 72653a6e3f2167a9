"""Which engine solves a problem: vector kernels where they can, else the general one."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from avalign.dtw import checks, recurrence, strips
from avalign.dtw.problem import Problem

__all__ = ["distance", "last_row", "path", "solved_distance"]


def distance(problem: Problem) -> float:
    """Return the distance before scaling, infinite where no path fits."""
    if problem.is_plain and problem.x.ndim == 1:
        return strips.distance(problem.x, problem.y, problem.radius, problem.metric_code)
    return recurrence.distance(problem)[0]


def solved_distance(problem: Problem) -> float:
    """Return the distance, or say why there is none."""
    found = distance(problem) * problem.scale
    if not found < inf:
        checks.no_path(problem)
    return found


def path(problem: Problem) -> tuple[float, NDArray[np.int32]]:
    """Return the distance before scaling, and its path."""
    checks.memory(
        recurrence.path_bytes(problem),
        "the path",
        "give a radius, or call multiscale_path, whose memory is linear",
    )
    return recurrence.path(problem)


def last_row(problem: Problem) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Return the cost, before scaling, of ending in each row of y, and where that begins."""
    return recurrence.last_row(problem)
