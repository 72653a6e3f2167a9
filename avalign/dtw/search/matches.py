"""Finding a query in a longer series."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.arguments import real, whole
from avalign.dtw import checks, dispatch
from avalign.dtw.result import Match
from avalign.dtw.steps import StepPattern
from avalign.errors import ParameterError


def subsequence(
    query: ArrayLike,
    series: ArrayLike,
    *,
    metric: str = "sqeuclidean",
    step_pattern: str | StepPattern = "symmetric1",
    top_k: int | None = None,
    max_distance: float | None = None,
    exclusion: int | None = None,
) -> list[Match]:
    """Find where a query fits best in a longer series.

    Every row of the series is a possible end; the best path that ends there gives its cost
    and its start. Matches are taken best first, each of which rules out its neighbours.

    Parameters
    ----------
    query : array-like, shape (N,) or (N, D)
        What to look for, time first.
    series : array-like, shape (M,) or (M, D)
        Where to look for it.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine"}
        The local cost.
    step_pattern : str or StepPattern
        The moves, by name or one's own.
    top_k : int, optional
        At most so many matches.
    max_distance : float, optional
        No match that costs more.
    exclusion : int, optional
        Ends of matches lie more than so many rows apart; 0 gives a match for every row.
        By default no row of the series belongs to two matches.

    Returns
    -------
    list of Match
        Best first. Empty if none is as cheap as `max_distance`.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or the costs overflow.

    References
    ----------
    .. [1] M. Müller, "Information Retrieval for Music and Motion", 2007, section 4.4.

    Examples
    --------
    >>> found = subsequence([1.0, 2.0, 1.0], [0.0, 0.0, 1.0, 2.0, 2.0, 1.0, 0.0], top_k=1)
    >>> found[0].start, found[0].stop, found[0].distance
    (2, 6, 0.0)
    """
    if metric == "precomputed":
        raise ParameterError(
            "subsequence takes no precomputed costs",
            "call path(costs, metric='precomputed', open_begin=True, open_end=True)",
        )
    limit = None if top_k is None else whole(top_k, "top_k", least=1)
    worst = inf if max_distance is None else real(max_distance, "max_distance", most=inf)
    apart = None if exclusion is None else whole(exclusion, "exclusion")
    problem = checks.problem(
        query, series, metric, pattern=step_pattern, open_begin=True, open_end=True
    )
    costs, start_of = dispatch.ends(problem)
    if costs.min() == np.inf:
        checks.overflow(problem)
    costs *= costs.dtype.type(problem.scale)
    ends = _choose_ends(costs, start_of, limit=limit, worst=worst, exclusion=apart)
    assert problem.y is not None
    return [
        Match(
            start=start_of(end),
            stop=end + 1,
            distance=float(costs[end]),
            query=problem.x,
            series=problem.y,
            metric=metric,
            step_pattern=problem.pattern,
        )
        for end in ends
    ]


def _choose_ends(
    costs: NDArray[Any],
    start_of: Callable[[int], int],
    *,
    limit: int | None,
    worst: float,
    exclusion: int | None,
) -> list[int]:
    """Return the ends of matches, best first, of which none is too near to a better one."""
    chosen: list[int] = []
    taken = bytearray(len(costs))
    for end in _best_first(costs):
        if not costs[end] <= worst or costs[end] == np.inf:
            break
        if taken[end]:
            continue
        if exclusion is None:
            start, stop = start_of(end), end + 1
            if taken.find(1, start, end) >= 0:
                continue
        else:
            start, stop = max(end - exclusion, 0), min(end + exclusion + 1, len(taken))
        chosen.append(end)
        if len(chosen) == limit:
            break
        taken[start:stop] = b"\1" * (stop - start)
    return chosen


def _best_first(costs: NDArray[Any]) -> Iterator[int]:
    """Give all ends in the order of their costs, and sort no more of them than are taken."""
    below, count = -np.inf, 1
    while below < np.inf:
        if count == 1:
            within = costs.min()
        elif count < len(costs):
            within = np.partition(costs, count - 1)[count - 1]
        else:
            within = np.inf
        batch = np.flatnonzero((below < costs) & (costs <= within))
        yield from batch[np.argsort(costs[batch], kind="stable")].tolist()
        below, count = within, 64 * count
