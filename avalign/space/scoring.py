"""Scores of how well two sides of a shared space agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.space.cca import Rows

_ROWS_AT_ONCE = 1024


def retrieval_accuracy(audio: Rows, lips: Rows) -> float:
    """Fraction of rows [N, D] whose partner fits best, in both directions; a tie is a miss."""
    return (_hit_rate(audio, lips) + _hit_rate(lips, audio)) / 2


def _hit_rate(queries: Rows, answers: Rows) -> float:
    hits = 0
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        products = queries[start : start + _ROWS_AT_ONCE] @ answers.T
        each = np.arange(len(products))
        own = products[each, start + each]
        products[each, start + each] = -np.inf
        hits += int((own > products.max(axis=1)).sum())
    return hits / len(queries)


def mean_correlation(first: Rows, second: Rows) -> float:
    """Mean correlation of the columns of two sides [N, D]; a constant column counts as 0."""
    sides = [
        side.astype(np.float64) - side.mean(axis=0, dtype=float) for side in (first, second)
    ]
    spread = np.sqrt((sides[0] ** 2).sum(axis=0) * (sides[1] ** 2).sum(axis=0))
    product = (sides[0] * sides[1]).sum(axis=0)
    return float(np.divide(product, spread, out=np.zeros(len(spread)), where=spread > 0).mean())


def explained_variance(
    predicted: Rows, target: Rows, mean: NDArray[np.float64] | Rows, scale: Rows
) -> float:
    """Fraction of the variance of `target` [N, D] explained beyond the training data's mean.

    Columns are divided by `scale`, so that all count alike; below 0 if worse than the mean.
    """
    missed = float((((predicted - target) / scale) ** 2).sum())
    spread = float((((target - mean) / scale) ** 2).sum())
    return 1.0 - missed / spread if spread > 0 else 0.0
