"""Which engine solves a problem: vector kernels where they can, else the general one.

Where the environment variable AVALIGN_DTW_VECTORS is 0, all goes to the general engine.

    one-dimensional series, unit steps, closed ends, any radius    univariate
    vector series, textbook steps, closed ends, any radius         multivariate
    one-dimensional series, textbook steps, open begin             search.spotting
    everything else                                                general.recurrence
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.dtw import checks
from avalign.dtw.general import recurrence
from avalign.dtw.multivariate import engine as multivariate
from avalign.dtw.problem import Problem
from avalign.dtw.search import spotting
from avalign.dtw.univariate import replay, strips

VECTOR_ENGINES = os.environ.get("AVALIGN_DTW_VECTORS") != "0"
# Cells whose path takes less memory than any machine has: a few bytes for each at most.
ALWAYS_FIT = 2**18
# Where series are long or few, vectors along each pair do better than one pair to a lane.
LONGEST_IN_LANES = 4096
FEWEST_IN_LANES = 4


def distance(problem: Problem, limit: float = inf) -> float:
    """Return the distance before scaling, infinite where no path fits or all pass `limit`."""
    if _suits_strips(problem):
        weight = problem.pattern.diagonal_weight
        return float(strips.distance(*_arguments(problem), weight, limit))
    if _suits_tiles(problem):
        return float(multivariate.distance(*_arguments(problem)))
    if _can_spot(problem):
        costs, _ = ends(problem)
        return float(costs.min() if problem.open_end else costs[-1])
    return recurrence.distance(problem)[0]


def solve_distance(problem: Problem) -> float:
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
    if _suits_strips(problem):
        return replay.path(*_arguments(problem), problem.pattern.diagonal_weight)
    if _suits_tiles(problem):
        return multivariate.path(*_arguments(problem))
    if _can_spot(problem):
        return _spot_path(problem)
    return recurrence.path(problem)


def ends(problem: Problem) -> tuple[NDArray[Any], Callable[[int], int]]:
    """Return the cost, before scaling, of ending in each row of y, and who finds its start."""
    if problem.y is not None and _can_spot(problem):
        spotter = spotting.Spotter(problem.x, problem.y, problem.metric_code)
        return spotter.costs, spotter.start
    costs, starts = recurrence.last_row(problem)
    return costs, starts.item


def suits_lanes(
    problem: Problem, rows: Sequence[NDArray[Any]], columns: Sequence[NDArray[Any]]
) -> bool:
    """Whether the kernel for many short series is the right one for all pairs."""
    return (
        _suits_tiles(problem)
        and problem.radius < 0
        and len(columns) >= FEWEST_IN_LANES
        and all(one.ndim == 1 and len(one) <= LONGEST_IN_LANES for one in (*rows, *columns))
    )


def _path_bytes(problem: Problem) -> int:
    """Return how much memory the path will take in the engine that finds it."""
    if _suits_strips(problem) or _can_spot(problem):
        return replay.path_bytes(*problem.shape, problem.radius, problem.x.itemsize)
    if _suits_tiles(problem):
        return multivariate.path_bytes(*_arguments(problem)[:3])
    return recurrence.path_bytes(problem)


def _arguments(problem: Problem) -> tuple[Any, Any, int, int]:
    return problem.x, problem.y, problem.radius, problem.metric_code


def _suits_strips(problem: Problem) -> bool:
    return VECTOR_ENGINES and problem.suits_strips


def _suits_tiles(problem: Problem) -> bool:
    return VECTOR_ENGINES and problem.is_plain


def _can_spot(problem: Problem) -> bool:
    """Whether the kernel that looks for a query in a series does what is asked."""
    return (
        VECTOR_ENGINES
        and problem.is_textbook
        and problem.open_begin
        and problem.radius < 0
        and problem.x.ndim == 1
    )


def _spot_path(problem: Problem) -> tuple[float, NDArray[np.int32]]:
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
