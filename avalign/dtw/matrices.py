"""Distances between many series."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.dtw import checks, dispatch, steps
from avalign.dtw.steps import StepPattern
from avalign.errors import ParameterError

__all__ = ["pairwise", "workers"]

# Pairs that one task computes: enough to hide the cost of handing it out.
PAIRS_AT_ONCE = 32


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
    rows, others = _listed(X, "X"), None if Y is None else _listed(Y, "Y")
    columns = rows if others is None else others
    if not all(series.dtype == np.float32 for series in (*rows, *columns)):
        rows, columns = (
            [s.astype(np.float64, copy=False) for s in some] for some in (rows, columns)
        )
    pattern = steps.step_pattern(step_pattern)
    mirrored = others is None and pattern.is_symmetric

    def solve(pairs: list[tuple[int, int]]) -> list[float]:
        return [
            dispatch.solved_distance(
                checks.problem(
                    rows[i], columns[j], metric, radius, None, pattern, weights=weights
                )
            )
            for i, j in pairs
        ]

    pairs = [(i, j) for i in range(len(rows)) for j in range(i * mirrored, len(columns))]
    tasks = [pairs[k : k + PAIRS_AT_ONCE] for k in range(0, len(pairs), PAIRS_AT_ONCE)]
    matrix = np.zeros((len(rows), len(columns)), rows[0].dtype)
    done = 0
    with ThreadPoolExecutor(workers(n_jobs)) as pool:
        for task, found in zip(tasks, pool.map(solve, tasks), strict=True):
            for (i, j), value in zip(task, found, strict=True):
                matrix[i, j] = value
                if mirrored:
                    matrix[j, i] = value
            done += len(task)
            if progress is not None:
                progress(done, len(pairs))
    return matrix


def workers(n_jobs: int) -> int:
    """Return a number of threads: what was asked for, or one per core for -1."""
    if n_jobs == -1:
        return os.cpu_count() or 1
    return checks.whole(n_jobs, "n_jobs", least=1)


def _listed(several: Any, name: str) -> list[NDArray[Any]]:
    """Return series as a list of checked arrays."""
    try:
        listed = [checks.series(one, f"{name}[{k}]") for k, one in enumerate(several)]
    except TypeError:
        listed = []
    if not listed:
        raise ParameterError(f"{name} holds no series", "give a sequence of arrays")
    return listed
