"""Search for the series nearest to a query, which most candidates leave early."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.dtw import checks, dispatch
from avalign.dtw.bounds import by_rows, envelope_of, first_bounds, second_pass
from avalign.dtw.compiled import EUCLIDEAN
from avalign.dtw.problem import Problem
from avalign.errors import ParameterError

__all__ = ["NearestResult", "nearest"]

Array = NDArray[Any]

EPSILON = {np.dtype(kind): float(np.finfo(kind).eps) for kind in (np.float32, np.float64)}


@dataclass(frozen=True, eq=False)
class NearestResult:
    """The candidates nearest to a query, and what it took to find them.

    Parameters
    ----------
    indices : ndarray of int64, shape (K,)
        Which candidates, the nearest first; equals in their order.
    distances : ndarray of float64, shape (K,)
        Their DTW distances.
    metric : str
        The local cost.
    radius : int or None
        The Sakoe-Chiba radius in cells, if there was one.
    pruned_by_kim, pruned_by_keogh, pruned_by_improved : int
        How many candidates were ruled out by each lower bound.
    aligned : int
        How many candidates had to be aligned with the query.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]
    metric: str
    radius: int | None
    pruned_by_kim: int
    pruned_by_keogh: int
    pruned_by_improved: int
    aligned: int


def nearest(
    query: ArrayLike,
    candidates: Iterable[ArrayLike],
    *,
    top_k: int = 1,
    metric: str = "sqeuclidean",
    radius: int | None = None,
) -> NearestResult:
    """Find the candidates with the least DTW distance to a query.

    The result is that of computing all distances. Lower bounds of growing cost come first:
    the ends of the path, LB_Keogh, LB_Improved; what is left is aligned. A radius makes the
    bounds tight. Alignments are not abandoned halfway, as other libraries do: that goes
    cell by cell, and takes longer than the vector kernels take for all cells.

    Parameters
    ----------
    query : array-like, shape (N,) or (N, D)
        A series, time first.
    candidates : iterable of array-like, shape (M,) or (M, D) each
        Series of any lengths, with the features of the query.
    top_k : int
        How many to return; fewer if there are not as many candidates.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine"}
        The local cost.
    radius : int, optional
        Sakoe-Chiba radius in cells.

    Returns
    -------
    NearestResult
        Indices and distances, the nearest first.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or there is no candidate.

    References
    ----------
    .. [1] T. Rakthanmanon et al., "Searching and mining trillions of time series
       subsequences under dynamic time warping", KDD 2012.

    Examples
    --------
    >>> nearest([0.0, 1.0, 2.0], [[5.0, 5.0], [0.0, 2.0], [0.0, 1.0, 1.0, 2.0]]).indices
    array([2])
    """
    wanted = checks.whole(top_k, "top_k", least=1)
    if metric == "precomputed":
        raise ParameterError("the nearest of precomputed costs", "pass a query and candidates")
    problems = _problems(query, candidates, metric, radius)
    best, pruned = _search(problems, min(wanted, len(problems)))
    distances, indices = zip(*best, strict=True)
    return NearestResult(
        np.array(indices, np.int64),
        np.array(distances) * problems[0].scale,
        metric,
        radius,
        *pruned,
        aligned=len(problems) - sum(pruned),
    )


def _problems(
    query: ArrayLike, candidates: Iterable[ArrayLike], metric: str, radius: int | None
) -> list[Problem]:
    series = [checks.series(one, f"candidates[{at}]") for at, one in enumerate(candidates)]
    if not series:
        raise ParameterError("there are no candidates", "give at least one series")
    first = checks.problem(query, series[0], metric, radius)
    if metric != "cosine" and all(
        one.dtype == first.x.dtype and one.shape[1:] == first.x.shape[1:] for one in series
    ):
        return [replace(first, y=one) for one in series]
    return [checks.problem(query, one, metric, radius) for one in series]


def _search(
    problems: list[Problem], wanted: int
) -> tuple[list[tuple[float, int]], tuple[int, int, int]]:
    """Return the best with their indices, and how many each bound has ruled out."""
    kim, keogh = _first_bounds(problems)
    best: list[tuple[float, int]] = []

    def align(index: int) -> None:
        distance = dispatch.distance(problems[index])
        if not distance < np.inf:
            checks.no_path(problems[index])
        insort(best, (distance, index))
        del best[wanted:]

    by_kim = [int(index) for index in np.argsort(kim, kind="stable")]
    for index in by_kim[:wanted]:
        align(index)
    rest = [index for index in by_kim[wanted:] if kim[index] <= best[-1][0]]
    pruned_by_kim = len(problems) - wanted - len(rest)

    bounds = np.maximum(kim, keogh)
    rest.sort(key=bounds.__getitem__)
    pruned_by_improved = 0
    for done, index in enumerate(rest):
        if bounds[index] > best[-1][0]:
            return best, (pruned_by_kim, len(rest) - done, pruned_by_improved)
        if keogh[index] + _second_pass(problems[index]) > best[-1][0]:
            pruned_by_improved += 1
        else:
            align(index)
    return best, (pruned_by_kim, 0, pruned_by_improved)


def _first_bounds(problems: list[Problem]) -> tuple[Array, Array]:
    pairs = [by_rows(problem) for problem in problems]
    lengths = np.array([len(candidate) for _, candidate in pairs])
    stops = np.cumsum(lengths)
    query, rows = pairs[0][0], np.concatenate([candidate for _, candidate in pairs])
    code, radius = problems[0].metric_code, problems[0].radius
    kim, keogh = first_bounds(query, rows, stops - lengths, stops, code, radius)
    trusts = np.array([_trust(problem) for problem in problems])
    return kim * trusts, keogh * trusts


def _second_pass(problem: Problem) -> float:
    # Euclidean parts do not add up; and a flat envelope rules out next to nothing.
    if problem.metric_code == EUCLIDEAN or problem.radius < 0:
        return 0.0
    query, candidate = by_rows(problem)
    lower, upper = envelope_of(query, len(candidate), problem.radius)
    further = second_pass(candidate, query, lower, upper, problem.metric_code, problem.radius)
    return _trust(problem) * float(further)


def _trust(problem: Problem) -> float:
    """Return the share of a bound that the rounding of sums cannot have made."""
    return 1 - 4 * sum(problem.shape) * EPSILON[problem.x.dtype]
