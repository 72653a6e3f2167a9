"""Search for the series nearest to a query, which most candidates leave early."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.arguments import whole
from avalign.dtw import checks, dispatch
from avalign.dtw.compiled import EUCLIDEAN
from avalign.dtw.search.bound_kernels import envelope_of, first_bounds, second_pass
from avalign.errors import ParameterError

Array = NDArray[Any]

# LB_Improved adds about as much to LB_Keogh as that is: too little where it is far below.
WORTH_A_SECOND_PASS = 0.25


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
        How many candidates had to be aligned with the query, to the end or not.
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
    n_jobs: int = 1,
) -> NearestResult:
    """Find the candidates with the least DTW distance to a query.

    The result is that of computing all distances. Lower bounds of growing cost come first:
    the ends of the path, LB_Keogh, LB_Improved; what is left is aligned. A radius makes the
    bounds tight. Alignments of univariate series are abandoned after as many rows as the
    vector kernels take at a time, once all paths cost too much.

    Parameters
    ----------
    query : array-like, shape (N,) or (N, D)
        A series, time first.
    candidates : iterable of array-like, shape (M,) or (M, D) each
        Series of any lengths, with the features of the query. Unless they and the query are
        all float32, all is computed in float64.
    top_k : int
        How many to return; fewer if there are not as many candidates.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine"}
        The local cost.
    radius : int, optional
        Sakoe-Chiba radius in cells.
    n_jobs : int
        Threads; -1 for one per core. The result is the same, but for how many candidates
        had to be aligned.

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
    wanted, threads = whole(top_k, "top_k", least=1), checks.workers(n_jobs)
    if metric == "precomputed":
        raise ParameterError("the nearest of precomputed costs", "pass a query and candidates")
    search = _Search(query, checks.check_all(candidates, "candidates"), metric, radius)
    order = np.argsort(np.maximum(search.kim, search.keogh), kind="stable")
    best = _Best(min(wanted, len(order)))
    parts = [order[first::threads] for first in range(min(threads, len(order)))]
    if len(parts) == 1:
        pruned = search.run(order, best)
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            counts = pool.map(search.run, parts, repeat(best))
        by_kim, by_keogh, by_improved = np.sum(list(counts), axis=0).tolist()
        pruned = by_kim, by_keogh, by_improved
    distances, indices = zip(*best.entries, strict=True)
    return NearestResult(
        np.array(indices, np.int64),
        np.array(distances) * search.problem.scale,
        metric,
        radius,
        *pruned,
        aligned=len(order) - sum(pruned),
    )


class _Best:
    """The best so far, which several threads may share."""

    def __init__(self, wanted: int) -> None:
        self.limit = np.inf
        self.entries: list[tuple[float, int]] = []
        self._wanted = wanted
        self._lock = Lock()

    def offer(self, distance: float, index: int) -> None:
        with self._lock:
            insort(self.entries, (distance, index))
            del self.entries[self._wanted :]
            if len(self.entries) == self._wanted:
                self.limit = self.entries[-1][0]


class _Search:
    """A query and candidates of one type, and what is known of them before any alignment."""

    def __init__(self, query: ArrayLike, series: list[Array], metric: str, radius: int | None):
        if not all(one.dtype == np.float32 for one in series):
            series = [one.astype(np.float64, copy=False) for one in series]
        problems = [checks.problem(query, series[0], metric, radius)]
        self.problem = problems[0]
        width = self.problem.x.shape[1:]
        if metric == "cosine" or any(one.shape[1:] != width for one in series):
            problems += [checks.problem(query, one, metric, radius) for one in series[1:]]
            series = [found.y for found in problems if found.y is not None]
        kind = self.problem.x.dtype
        self.candidates = [one.astype(kind, copy=False) for one in series]
        self.code, self.radius = self.problem.metric_code, self.problem.radius
        self._rows = self.problem.x.reshape(len(self.problem.x), -1)
        self._envelopes: dict[int, tuple[Array, Array]] = {}

        lengths = np.array([len(one) for one in series])
        stops = np.cumsum(lengths)
        rows = np.concatenate(self.candidates).reshape(stops[-1], -1)
        kim, keogh = first_bounds(
            self._rows, rows, stops - lengths, stops, self.code, self.radius
        )
        # The fraction of a bound that the rounding of sums cannot have made.
        trusts = 1 - 4 * (len(self._rows) + lengths) * float(np.finfo(kind).eps)
        self.kim, self.keogh = kim * trusts, keogh * trusts
        self._trusts = trusts

    def improved(self, index: int) -> float:
        """Return LB_Improved."""
        # Euclidean parts do not add up; and a flat envelope rules out next to nothing.
        if self.code == EUCLIDEAN or self.radius < 0:
            return 0.0
        candidate = self.candidates[index]
        rows = candidate.reshape(len(candidate), -1)
        envelope = self._envelopes.get(len(rows))
        if envelope is None:
            envelope = envelope_of(self._rows, len(rows), self.radius)
            self._envelopes[len(rows)] = envelope
        further = second_pass(rows, self._rows, *envelope, self.code, self.radius)
        return float(self.keogh[index] + self._trusts[index] * further)

    def distance(self, index: int, limit: float) -> float:
        """Return the distance before scaling, or infinity where it is above a limit."""
        return dispatch.distance(replace(self.problem, y=self.candidates[index]), limit)

    def run(self, order: NDArray[np.int64], best: _Best) -> tuple[int, int, int]:
        """Align candidates, those of least bounds first; count those that each bound spared."""
        pruned_by_improved = 0
        bounds = np.maximum(self.kim, self.keogh)[order].tolist()
        for done, index in enumerate(order.tolist()):
            if bounds[done] > best.limit:
                by_kim = np.count_nonzero(self.kim[order[done:]] > best.limit)
                return int(by_kim), len(order) - done - int(by_kim), pruned_by_improved
            limit = best.limit
            near = WORTH_A_SECOND_PASS * limit < self.keogh[index]
            if near and self.improved(index) > limit:
                pruned_by_improved += 1
                continue
            found = self.distance(index, limit)
            if found <= limit:
                if found == np.inf:
                    checks.no_path(replace(self.problem, y=self.candidates[index]))
                best.offer(found, index)
        return 0, 0, pruned_by_improved
