"""Ranks of the right items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.recognition.metrics.result import Metrics

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class RetrievalMetrics(Metrics):
    """Ranks of the right items.

    Parameters
    ----------
    recall_at : dict of int to float
        Fraction of queries with a right item among the first K, by K.
    mean_average_precision : float
        Mean over queries of the average precision (mAP).
    median_rank : float
        Median rank of the first right item, from 1.
    n_queries : int
        How many queries there are.
    """

    recall_at: Mapping[int, float]
    mean_average_precision: float
    median_rank: float
    n_queries: int


def retrieval_metrics(
    similarity: ArrayLike, relevant: ArrayLike | None = None, *, ks: Sequence[int] = (1, 5, 10)
) -> RetrievalMetrics:
    """Rank items by their similarity to each query.

    Parameters
    ----------
    similarity : array-like of shape (Q, N)
        Similarity of each query to each item, higher is better. Of equal items those that
        are not relevant come first, so that a model that cannot tell earns nothing.
    relevant : array-like of bool, shape (Q, N), optional
        Which items are right; by default item i for query i.
    ks : sequence of int
        Ranks to report the recall at.

    Returns
    -------
    RetrievalMetrics
        All metrics.

    Raises
    ------
    ParameterError
        If shapes do not agree, a number is NaN, or a query has no right item.
    """
    scores = np.asarray(similarity, np.float64)
    if scores.ndim != 2 or not scores.size or np.isnan(scores).any():
        raise ParameterError(
            f"similarity has the shape {scores.shape}, or holds NaN", "pass (queries, items)"
        )
    if relevant is None:
        relevant = np.arange(len(scores))[:, None] == np.arange(scores.shape[1])
    right = np.asarray(relevant, bool)
    if right.shape != scores.shape or not right.any(axis=1).all():
        raise ParameterError(
            f"relevant has the shape {right.shape} for similarities of {scores.shape}, or a "
            "query has no relevant item",
            "mark at least one item per query",
        )
    if not all(k >= 1 for k in ks):
        raise ParameterError(f"ks is {tuple(ks)}", "ranks count from 1")
    order = np.lexsort((right, -scores), axis=1)
    ranked = np.take_along_axis(right, order, axis=1)
    first = ranked.argmax(axis=1) + 1
    precision = np.cumsum(ranked, axis=1) / np.arange(1, scores.shape[1] + 1)
    average = (precision * ranked).sum(axis=1) / ranked.sum(axis=1)
    return RetrievalMetrics(
        recall_at={int(k): float((first <= k).mean()) for k in ks},
        mean_average_precision=float(average.mean()),
        median_rank=float(np.median(first)),
        n_queries=len(scores),
    )
