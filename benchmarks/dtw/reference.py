"""The plain recurrence, one cell at a time, that every answer is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.dtw.workloads import GAMMA, Array, Task

# What rounding may cost: sums are taken in another order, and some peers square a root.
TOLERANCE = {"float64": 1e-8, "float32": 1e-4}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a library said, in the definitions of the benchmark.

    Parameters
    ----------
    value : float or ndarray
        Sum of the local costs along the best path, without a root; a matrix of them for
        'pairwise', one per pair for 'soft'.
    path : ndarray of int, shape (K, 2), optional
        The path, from the first cell to the last.
    gradient : ndarray, optional
        Of the sum of the values with respect to x, for 'soft'.
    """

    value: Any
    path: NDArray[np.integer[Any]] | None = None
    gradient: Array | None = None


def solve(task: Task, metric: str = "sqeuclidean") -> Answer:
    """Compute the right answer; for 'path' only the distance, which a path must add up to.

    Parameters
    ----------
    task : Task
        What to solve.
    metric : {'sqeuclidean', 'euclidean'}
        The local cost.

    Returns
    -------
    Answer
        Without a path.
    """
    kind, euclidean = task.workload.kind, metric == "euclidean"
    if kind == "soft":
        solved = [_soft(x, y, GAMMA) for x, y in zip(*task.as_float64(), strict=True)]
        values, gradients = zip(*solved, strict=True)
        return Answer(np.array(values), gradient=np.stack(gradients))
    series = [each.reshape(len(each), -1) for each in task.as_float64()]
    if kind == "pairwise":
        matrix = np.zeros((len(series), len(series)))
        for i in range(len(series)):
            for j in range(i):
                matrix[i, j] = matrix[j, i] = _distance(
                    series[i], series[j], _no_band(series[i], series[j]), euclidean, False
                )
        return Answer(matrix)
    x, y = series
    radius = task.workload.radius
    band = _no_band(x, y) if radius is None else radius
    return Answer(_distance(x, y, band, euclidean, kind == "subsequence"))


def find_fault(
    task: Task,
    answer: Answer,
    right: Answer,
    *,
    metric: str = "sqeuclidean",
    dtype: str = "float64",
) -> str:
    """Say what is wrong with an answer.

    Parameters
    ----------
    task : Task
        What was asked.
    answer, right : Answer
        What was said, and what is true.
    metric : {'sqeuclidean', 'euclidean'}
        The local cost that the answer is about.
    dtype : {'float64', 'float32'}
        What it was computed in.

    Returns
    -------
    str
        The fault, or nothing if there is none.
    """
    tolerance = TOLERANCE[dtype]
    given, wanted = np.asarray(answer.value, float), np.asarray(right.value, float)
    if given.shape != wanted.shape:
        return f"shape {given.shape} instead of {wanted.shape}"
    if not np.allclose(given, wanted, rtol=tolerance, atol=tolerance):
        return f"off by {excess(answer, right):+.1e}, relative"
    if right.gradient is not None:
        if answer.gradient is None or answer.gradient.shape != right.gradient.shape:
            return "no gradient of the right shape"
        scale = np.abs(right.gradient).max()
        if np.abs(answer.gradient - right.gradient).max() > 10 * tolerance * scale:
            return "wrong gradient"
    if answer.path is not None:
        return _path_fault(task, np.asarray(answer.path), float(wanted), metric, tolerance)
    return ""


def excess(answer: Answer, right: Answer) -> float:
    """Largest relative deviation, with its sign."""
    given, wanted = np.asarray(answer.value, float), np.asarray(right.value, float)
    relative = (given - wanted) / np.maximum(np.abs(wanted), np.finfo(float).tiny)
    relative = np.where(given == wanted, 0.0, relative)
    return float(relative.flat[np.argmax(np.abs(relative))])


def _path_fault(
    task: Task, path: NDArray[Any], distance: float, metric: str, tolerance: float
) -> str:
    x, y = (each.reshape(len(each), -1) for each in task.as_float64())
    if path.ndim != 2 or path.shape[1] != 2:
        return f"a path of shape {path.shape}"
    if tuple(path[0]) != (0, 0) or tuple(path[-1]) != (len(x) - 1, len(y) - 1):
        return "the path does not lead from corner to corner"
    steps = np.diff(path, axis=0)
    if steps.min(initial=0) < 0 or steps.max(initial=1) > 1 or not steps.any(axis=1).all():
        return "the path is not monotone and continuous"
    radius = task.workload.radius
    if radius is not None and np.abs(path[:, 1] - path[:, 0]).max() > radius:
        return "the path leaves the band"
    costs = ((x[path[:, 0]] - y[path[:, 1]]) ** 2).sum(axis=1)
    total = float((np.sqrt(costs) if metric == "euclidean" else costs).sum())
    if not np.isclose(total, distance, rtol=tolerance):
        return f"the path costs {total:.9g} instead of {distance:.9g}"
    return ""


def _no_band(x: Array, y: Array) -> int:
    return max(len(x), len(y))


@numba.njit(cache=True)
def _distance(x: Any, y: Any, radius: int, euclidean: bool, anywhere: bool) -> float:
    rows, dimensions = x.shape
    columns = len(y)
    # One column more than there are, so that the first has a left neighbour.
    above = np.full(columns + 1, np.inf)
    below = np.full(columns + 1, np.inf)
    above[0] = 0.0
    for i in range(rows):
        first = max(0, i - radius)
        last = min(columns, i + radius + 1)
        below[first] = np.inf
        if anywhere and i == 0:
            above[:] = 0.0
        for j in range(first, last):
            cost = 0.0
            for d in range(dimensions):
                difference = x[i, d] - y[j, d]
                cost += difference * difference
            if euclidean:
                cost = np.sqrt(cost)
            below[j + 1] = cost + min(above[j], above[j + 1], below[j])
        if last < columns:
            below[last + 1] = np.inf
        above, below = below, above
    return above[1:].min() if anywhere else above[columns]


@numba.njit(cache=True)
def _soft(x: Any, y: Any, gamma: float) -> Any:
    rows, columns = len(x), len(y)
    costs = np.zeros((rows + 1, columns + 1))
    for i in range(rows):
        for j in range(columns):
            costs[i, j] = np.sum((x[i] - y[j]) ** 2)
    total = np.full((rows + 2, columns + 2), np.inf)
    total[0, 0] = 0.0
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            before = (total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
            least = min(before)
            weight = 0.0
            for each in before:
                weight += np.exp((least - each) / gamma)
            total[i, j] = costs[i - 1, j - 1] + least - gamma * np.log(weight)
    # How much each cell takes part in the soft minimum, from the end back.
    fraction = np.zeros((rows + 2, columns + 2))
    fraction[rows, columns] = 1.0
    for i in range(rows, 0, -1):
        for j in range(columns, 0, -1):
            if i == rows and j == columns:
                continue
            for down, right in ((1, 0), (0, 1), (1, 1)):
                after = fraction[i + down, j + right]
                if after > 0.0:
                    soft_minimum = (
                        total[i + down, j + right] - costs[i + down - 1, j + right - 1]
                    )
                    fraction[i, j] += after * np.exp((soft_minimum - total[i, j]) / gamma)
    gradient = np.zeros_like(x)
    for i in range(rows):
        for j in range(columns):
            gradient[i] += 2.0 * fraction[i + 1, j + 1] * (x[i] - y[j])
    return total[rows, columns], gradient
