"""Similarity-based alignment: the nearest row of the other stream, or the monotone path.

Each row of one stream is compared with each of the other. Taking the most similar row for
each row by itself finds what belongs together wherever it lies; a warping path through the
same matrix also keeps the order of time.

References
----------
.. [1] T. Baltrusaitis, C. Ahuja and L.-P. Morency, "Multimodal machine learning: a survey
   and taxonomy", IEEE Trans. PAMI 41 (2), 2019, section 5.1 (explicit alignment).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from avalign.dtw import DtwResult

Similarity = Literal["cosine", "euclidean"]


def similarity_matrix(
    a: ArrayLike, b: ArrayLike, *, metric: Similarity = "cosine"
) -> NDArray[np.float64]:
    """Compare every row of one stream with every row of the other.

    Parameters
    ----------
    a, b : array-like of shape (N, D) and (M, D)
        Rows in a common space.
    metric : {"cosine", "euclidean"}
        The cosine of the angle between rows (0 for a row of zeros), or minus their
        distance.

    Returns
    -------
    ndarray of shape (N, M), float64
        Higher is more alike.

    Raises
    ------
    ParameterError
        If the shapes do not fit, a number is not finite, or there is no such metric.
    """
    left, right = (_rows(values) for values in (a, b))
    if left.shape[1] != right.shape[1]:
        raise ParameterError(
            f"the streams have {left.shape[1]} and {right.shape[1]} columns",
            "bring them to a common space first",
        )
    if metric == "cosine":
        return _directions(left) @ _directions(right).T
    if metric == "euclidean":
        squared = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)
        return -np.sqrt(np.maximum(squared - 2.0 * left @ right.T, 0.0))
    raise ParameterError(f"no similarity {metric!r}", "take cosine or euclidean")


def nearest_rows(
    a: ArrayLike, b: ArrayLike, *, metric: Similarity = "cosine"
) -> NDArray[np.intp]:
    """Find the most similar row of `b` for each row of `a`, whatever the order.

    Parameters
    ----------
    a, b : array-like of shape (N, D) and (M, D)
        Rows in a common space.
    metric : {"cosine", "euclidean"}
        As for `similarity_matrix`.

    Returns
    -------
    ndarray of shape (N,), intp
        Rows of `b`; the first of those that are equally similar.

    Raises
    ------
    ParameterError
        As `similarity_matrix`.
    """
    return similarity_matrix(a, b, metric=metric).argmax(axis=1)


def similarity_path(
    a: ArrayLike,
    b: ArrayLike,
    *,
    metric: Similarity = "cosine",
    radius: int | None = None,
) -> DtwResult:
    """Find the monotone path through the matrix of the least dissimilarity.

    Parameters
    ----------
    a, b : array-like of shape (N, D) and (M, D)
        Rows in a common space.
    metric : {"cosine", "euclidean"}
        The local cost is one minus the cosine, or the distance.
    radius : int, optional
        Sakoe-Chiba radius in rows; by default the path is free.

    Returns
    -------
    DtwResult
        The path and its cost.

    Raises
    ------
    ParameterError
        As `similarity_matrix`, or if the radius cannot be used.
    """
    from avalign import dtw

    similarity = similarity_matrix(a, b, metric=metric)
    # Rounding must not make a cost negative.
    cost = np.maximum(1.0 - similarity if metric == "cosine" else -similarity, 0.0)
    return dtw.path(cost, metric="precomputed", radius=radius)


def _rows(values: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(values, np.float64)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ParameterError(
            f"a stream has the shape {rows.shape}", "it must be (rows, columns)"
        )
    if not np.isfinite(rows).all():
        raise ParameterError("a stream holds values that are not finite", "leave them out")
    return rows


def _directions(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
