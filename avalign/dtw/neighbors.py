"""Search for the series nearest to a query, which most candidates leave early."""

# Numba infers the types of kernels.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.dtw import checks
from avalign.dtw.bounds import by_rows, ends, envelope_of, outside, row_cost, row_outside
from avalign.dtw.compiled import EUCLIDEAN, njit
from avalign.errors import ParameterError

__all__ = ["NearestResult", "nearest"]


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
    abandoned : int
        How many alignments were given up on the way.
    completed : int
        How many candidates were aligned to the end.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]
    metric: str
    radius: int | None
    pruned_by_kim: int
    pruned_by_keogh: int
    pruned_by_improved: int
    abandoned: int
    completed: int


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
    the ends of the path, LB_Keogh, LB_Improved; then the alignment itself, which is given
    up as soon as no path can beat the best so far. A radius makes the bounds tight.

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
    .. [2] M. Herrmann and G. I. Webb, "Early abandoning and pruning for elastic distances
       including dynamic time warping", Data Mining and Knowledge Discovery 35, 2021.

    Examples
    --------
    >>> nearest([0.0, 1.0, 2.0], [[5.0, 5.0], [0.0, 2.0], [0.0, 1.0, 1.0, 2.0]]).indices
    array([2])
    """
    wanted = checks.whole(top_k, "top_k", least=1)
    if metric == "precomputed":
        raise ParameterError("the nearest of precomputed costs", "pass a query and candidates")
    problems = [checks.problem(query, candidate, metric, radius) for candidate in candidates]
    if not problems:
        raise ParameterError("there are no candidates", "give at least one series")
    kind = np.result_type(*(problem.x.dtype for problem in problems))
    x = by_rows(problems[0])[0].astype(kind, copy=False)
    lengths = [len(problem.y) for problem in problems if problem.y is not None]
    stops = np.cumsum(lengths)
    # A bound and a distance, equal on paper, may differ by the rounding of their sums.
    trust = 1 - 4 * (len(x) + max(lengths)) * float(np.finfo(kind).eps)
    packed = np.concatenate([by_rows(problem)[1] for problem in problems], dtype=kind)
    distances, indices, counts = _search(
        x,
        packed,
        stops - lengths,
        stops,
        min(wanted, len(problems)),
        problems[0].metric_code,
        problems[0].radius,
        trust,
    )
    if not np.isfinite(distances).all():
        checks.no_path(problems[int(indices[-1])])
    return NearestResult(
        indices,
        distances * problems[0].scale,
        metric,
        radius,
        *(int(count) for count in counts),
    )


@njit
def _search(x, packed, starts, stops, wanted, metric, radius, trust):
    """Return distances and indices of the nearest, and how far the candidates came."""
    count = len(starts)
    distances, indices = np.full(wanted, np.inf), np.full(wanted, count)
    counts = np.zeros(5, np.int64)

    kim = np.empty(count)
    for at in range(count):
        kim[at] = trust * ends(x, packed[starts[at] : stops[at]], metric)
    order = np.argsort(kim, kind="mergesort")
    nothing_left = np.zeros(len(x) + 1)
    for at in order[:wanted]:
        y = packed[starts[at] : stops[at]]
        _insert(distances, indices, _align(x, y, metric, radius, np.inf, nothing_left), at)
        counts[4] += 1

    # What is not looked at again has an infinite bound.
    keogh, bound = np.zeros(count), np.full(count, np.inf)
    lower, upper = envelope_of(x, 1, radius)
    for at in order[wanted:]:
        if kim[at] > distances[-1]:
            counts[0] += 1
            continue
        y = packed[starts[at] : stops[at]]
        if len(lower) != len(y):
            lower, upper = envelope_of(x, len(y), radius)
        keogh[at] = trust * outside(y, lower, upper, metric)
        bound[at] = max(kim[at], keogh[at])

    for at in np.argsort(bound, kind="mergesort"):
        limit = distances[-1]
        if bound[at] == np.inf:
            break
        if bound[at] > limit:
            counts[1] += 1
            continue
        y = packed[starts[at] : stops[at]]
        if len(lower) != len(y):
            lower, upper = envelope_of(x, len(y), radius)
        left = _left(x, y, lower, upper, metric, radius, trust)
        if metric != EUCLIDEAN and keogh[at] + left[0] > limit:
            counts[2] += 1
            continue
        distance = _align(x, y, metric, radius, limit / trust, left)
        if distance == np.inf:
            counts[3] += 1
        else:
            counts[4] += 1
            _insert(distances, indices, distance, at)
    return distances, indices, counts


@njit
def _insert(distances, indices, distance, index):
    """Put a candidate in its place among the best, by distance and then by index."""
    at = len(distances) - 1
    if distance > distances[at] or (distance == distances[at] and index > indices[at]):
        return
    while at > 0 and (
        distance < distances[at - 1]
        or (distance == distances[at - 1] and index < indices[at - 1])
    ):
        distances[at], indices[at] = distances[at - 1], indices[at - 1]
        at -= 1
    distances[at], indices[at] = distance, index


@njit
def _left(x, y, lower, upper, metric, radius, trust):
    """Return what rows i, i + 1, ... of `x` cost at least, beyond what `y` cost outside.

    That is the second pass of LB_Improved: to `y` moved into the envelope of `x`.
    """
    twin = np.minimum(np.maximum(y, lower), upper)
    twin_lower, twin_upper = envelope_of(twin, len(x), radius)
    left = np.zeros(len(x) + 1)
    for i in range(len(x) - 1, -1, -1):
        left[i] = left[i + 1] + trust * row_outside(x, i, twin_lower, twin_upper, metric)
    return left


@njit
def _align(x, y, metric, radius, limit, left):
    """Return the distance, or infinity if it is certain to be above a limit.

    Cells from which no path can stay within the limit count as infinite. Those at the
    begin and at the end of a row need not be visited in the next.
    """
    n, m = len(x), len(y)
    reach = n + m if radius < 0 else radius
    low, high = -reach - max(0, n - m), reach + max(0, m - n)
    # Column j is at j + 1; all from `alive` on are infinite.
    row = np.full(m + 1, np.inf, x.dtype)
    row[0] = 0
    first, alive = 0, 0
    for i in range(n):
        begin = max(first, i + low)
        diagonal, row[begin] = row[begin], np.inf
        before = row[begin]
        first, reached = m, 0
        for j in range(begin, min(m, i + high + 1)):
            above = row[j + 1]
            best = min(diagonal, above, before)
            if best == np.inf and j > alive:
                break
            before = best + row_cost(x, i, y, j, metric)
            if before + left[i + 1] > limit:
                row[j + 1] = np.inf
            else:
                row[j + 1] = before
            diagonal, before = above, row[j + 1]
            if before < np.inf:
                first, reached = min(first, j), j + 1
        if first == m:
            return np.inf
        alive = reached
    return np.float64(row[m])
