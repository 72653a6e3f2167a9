"""How well two sides of a shared space agree, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.space.cca import Rows

__all__ = ["explained_variance", "mean_correlation", "retrieval_accuracy"]

_ROWS_AT_ONCE = 1024


def retrieval_accuracy(audio: Rows, lips: Rows) -> float:
    """Share of sounds that find their own lips, and of lips that find their sound.

    Parameters
    ----------
    audio, lips : ndarray of shape (N, D)
        Embeddings of partners; their inner product says how well they fit.

    Returns
    -------
    float
        Mean of both directions, from 0 to 1. A tie is no find, so that embeddings that
        tell nothing apart score 0.
    """
    return (_found(audio, lips) + _found(lips, audio)) / 2


def _found(queries: Rows, answers: Rows) -> float:
    hits = 0
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        products = queries[start : start + _ROWS_AT_ONCE] @ answers.T
        each = np.arange(len(products))
        own = products[each, start + each]
        products[each, start + each] = -np.inf
        hits += int((own > products.max(axis=1)).sum())
    return hits / len(queries)


def mean_correlation(first: Rows, second: Rows) -> float:
    """Mean over columns of the correlation of two sides.

    Parameters
    ----------
    first, second : ndarray of shape (N, D)
        Rows of partners.

    Returns
    -------
    float
        From -1 to 1; a column that does not vary counts as 0.
    """
    sides = [
        side.astype(np.float64) - side.mean(axis=0, dtype=float) for side in (first, second)
    ]
    spread = np.sqrt((sides[0] ** 2).sum(axis=0) * (sides[1] ** 2).sum(axis=0))
    product = (sides[0] * sides[1]).sum(axis=0)
    return float(np.divide(product, spread, out=np.zeros(len(spread)), where=spread > 0).mean())


def explained_variance(
    predicted: Rows, target: Rows, mean: NDArray[np.float64] | Rows, scale: Rows
) -> float:
    """Share of the variance that a prediction explains, beyond the mean of the training data.

    Parameters
    ----------
    predicted, target : ndarray of shape (N, D)
        Rows.
    mean : ndarray of shape (D,)
        Mean over the training data: the predictor to beat.
    scale : ndarray of shape (D,)
        Columns are divided by this, so that all count alike.

    Returns
    -------
    float
        1 if perfect, 0 if no better than the mean, below 0 if worse.
    """
    missed = float((((predicted - target) / scale) ** 2).sum())
    spread = float((((target - mean) / scale) ** 2).sum())
    return 1.0 - missed / spread if spread > 0 else 0.0
