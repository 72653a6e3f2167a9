"""Distances between many series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.arguments import abbreviate
from avalign.dtw import checks, dispatch
from avalign.dtw.problem import Problem
from avalign.dtw.steps import StepPattern
from avalign.dtw.univariate import lanes
from avalign.errors import ParameterError

# Pairs that one task computes: enough to hide the cost of handing it out.
PAIRS_AT_ONCE = 32
# Beside one for each row.
MOST_TASKS = 4096


def pairwise(
    X: Sequence[ArrayLike] | NDArray[Any],
    Y: Sequence[ArrayLike] | NDArray[Any] | None = None,
    *,
    metric: str = "sqeuclidean",
    radius: int | None = None,
    step_pattern: str | StepPattern = "symmetric1",
    weights: ArrayLike | None = None,
    n_jobs: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[Any]:
    """Return the distance of every series to every other.

    Parameters
    ----------
    X : sequence of array-like
        Series of any lengths, time first; an array holds one in each of its rows.
    Y : sequence of array-like, optional
        Others to compare them with; by default those of X with each other.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine"}
        The local cost.
    radius, step_pattern, weights
        As in :func:`distance`.
    n_jobs : int
        Threads; -1 for one per core.
    progress : callable, optional
        Called as ``progress(done, total)`` with numbers of pairs, now and then.

    Returns
    -------
    ndarray, shape (len(X), len(Y))
        The distances; float32 if all series are, else float64.

    Raises
    ------
    ParameterError
        If a series or an argument cannot be used, or no path fits a pair.

    Examples
    --------
    >>> pairwise([[0.0, 1.0], [0.0, 1.0, 3.0], [2.0]]).tolist()
    [[0.0, 4.0, 5.0], [4.0, 0.0, 6.0], [5.0, 6.0, 0.0]]
    """
    if metric == "precomputed":
        raise ParameterError("pairwise takes no precomputed costs", "pass series")
    if progress is not None and not callable(progress):
        raise ParameterError(f"progress is {abbreviate(progress)}", "give a function, or None")
    rows, others = checks.check_all(X, "X"), None if Y is None else checks.check_all(Y, "Y")
    if not all(series.dtype == np.float32 for series in (*rows, *(others or []))):
        rows = [series.astype(np.float64, copy=False) for series in rows]
        others = others and [series.astype(np.float64, copy=False) for series in others]
    columns = rows if others is None else others
    checks.memory(
        len(rows) * len(columns) * rows[0].itemsize,
        f"a matrix of {len(rows)} x {len(columns)} distances",
        "call it for some of the rows at a time, or call nearest",
    )
    threads = checks.workers(n_jobs)

    def problem(i: int, j: int) -> Problem:
        return checks.problem(
            rows[i], columns[j], metric, radius, None, step_pattern, weights=weights
        )

    first = problem(0, 0)
    if dispatch.suits_lanes(first, rows, columns):
        matrix = lanes.pairwise(rows, others, first.metric_code, threads, progress)
        if not np.isfinite(matrix).all():
            i, j = np.argwhere(~np.isfinite(matrix))[0]
            checks.no_path(problem(i, j))
        return matrix

    mirrored = others is None and first.pattern.is_symmetric
    matrix = np.empty((len(rows), len(columns)), rows[0].dtype)

    def solve(i: int, start: int) -> int:
        stop = min(start + at_once, len(columns))
        for j in range(start, stop):
            matrix[i, j] = dispatch.solve_distance(problem(i, j))
            if mirrored:
                matrix[j, i] = matrix[i, j]
        return stop - start

    # Few enough tasks for all of them to wait in line.
    at_once = max(PAIRS_AT_ONCE, matrix.size // MOST_TASKS)
    tasks = [
        (i, start)
        for i in range(len(rows))
        for start in range(i * mirrored, len(columns), at_once)
    ]
    total = matrix.size - mirrored * len(rows) * (len(rows) - 1) // 2
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        for count in pool.map(solve, *zip(*tasks, strict=True)):
            done += count
            if progress is not None:
                progress(done, total)
    return matrix
