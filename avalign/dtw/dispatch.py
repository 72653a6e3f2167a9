"""Which engine solves a problem: vector kernels where they can, else the general one."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.dtw import checks
from avalign.dtw.general import recurrence
from avalign.dtw.multivariate import engine as frames
from avalign.dtw.problem import Problem
from avalign.dtw.search import spotting
from avalign.dtw.univariate import replay, strips

# Cells whose path takes less memory than any machine has: a few bytes for each at most.
ALWAYS_FIT = 2**18


def distance(problem: Problem) -> float:
    """Return the distance before scaling, infinite where no path fits."""
    if problem.suits_strips:
        return float(strips.distance(*_arguments(problem), problem.pattern.diagonal_weight))
    if problem.is_plain:
        return float(frames.distance(*_arguments(problem)))
    if _spots(problem):
        costs, _ = ends(problem)
        return float(costs.min() if problem.open_end else costs[-1])
    return recurrence.distance(problem)[0]


def solved_distance(problem: Problem) -> float:
    """Return the distance, or say why there is none."""
    found = distance(problem) * problem.scale
    if not isfinite(found):
        checks.no_path(problem)
    return found


def path(problem: Problem) -> tuple[float, NDArray[np.int32]]:
    """Return the distance before scaling, and its path."""
    rows, columns = problem.shape
    if rows * columns > ALWAYS_FIT:
        checks.memory(
            _path_bytes(problem),
            f"the path through {rows} x {columns} cells",
            "give a smaller radius, or call multiscale_path, whose memory is linear",
        )
    if problem.suits_strips:
        return replay.path(*_arguments(problem), problem.pattern.diagonal_weight)
    if problem.is_plain:
        return frames.path(*_arguments(problem))
    if _spots(problem):
        return _spotted_path(problem)
    return recurrence.path(problem)


def ends(problem: Problem) -> tuple[NDArray[Any], Callable[[int], int]]:
    """Return the cost, before scaling, of ending in each row of y, and who finds its start."""
    if problem.y is not None and _spots(problem):
        spotter = spotting.Spotter(problem.x, problem.y, problem.metric_code)
        return spotter.costs, spotter.start
    costs, starts = recurrence.last_row(problem)
    return costs, starts.item


def _path_bytes(problem: Problem) -> int:
    """Return how much memory the path will take in the engine that finds it."""
    if problem.suits_strips or _spots(problem):
        return replay.path_bytes(*problem.shape, problem.radius, problem.x.itemsize)
    if problem.is_plain:
        return frames.path_bytes(*_arguments(problem)[:3])
    return recurrence.path_bytes(problem)


def _arguments(problem: Problem) -> tuple[Any, Any, int, int]:
    return problem.x, problem.y, problem.radius, problem.metric_code


def _spots(problem: Problem) -> bool:
    """Whether the kernel that looks for a query in a series does what is asked."""
    return (
        problem.is_textbook
        and problem.open_begin
        and problem.radius < 0
        and problem.x.ndim == 1
    )


def _spotted_path(problem: Problem) -> tuple[float, NDArray[np.int32]]:
    """Find where the path begins and ends, and then the path between."""
    costs, start_of = ends(problem)
    assert problem.y is not None
    end = int(np.argmin(costs)) if problem.open_end else len(costs) - 1
    if costs[end] == inf:  # the costs overflow: nothing is known of the start
        return inf, np.empty((0, 2), np.int32)
    start = start_of(end)
    between = problem.y[start : end + 1]
    _, cells = replay.path(problem.x, between, -1, problem.metric_code)
    cells[:, 1] += start
    return float(costs[end]), cells
