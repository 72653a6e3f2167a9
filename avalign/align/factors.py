"""Inner products as distances: what lets DTW run on log evidence.

Rows of two embedded streams belong together by their inner product, which may be negative,
while DTW wants costs of at least 0 that it can compute from short rows. Both are had
without changing which path is best: the table of all inner products is replaced by its
closest table of low rank, and each row gets two columns more, so that half the squared
distance of two rows is a constant minus their inner product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["as_distances", "low_rank"]


def low_rank(
    a: NDArray[np.float32], b: NDArray[np.float32], rank: int = 32
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Shorten the rows of two streams and keep their inner products as well as can be.

    Parameters
    ----------
    a, b : ndarray of shape (N, D) and (M, D), float32
        Rows of both streams.
    rank : int, optional
        Columns wanted.

    Returns
    -------
    ndarray of shape (N, K), ndarray of shape (M, K)
        The same rows in ``K = min(rank, D)`` columns: of all pairs of such streams, the
        one whose table of inner products is closest.

    References
    ----------
    .. [1] C. Eckart and G. Young, "The approximation of one matrix by another of lower
       rank", Psychometrika 1 (3), 1936.
    """
    root_a, whitening_a = _root(a)
    root_b, whitening_b = _root(b)
    left, scales, right = np.linalg.svd(root_a.T @ root_b, full_matrices=False)
    kept = np.sqrt(scales[:rank])
    map_a = whitening_a @ (left[:, : len(kept)] * kept)
    map_b = whitening_b @ (right[: len(kept)].T * kept)
    return a @ map_a.astype(np.float32), b @ map_b.astype(np.float32)


def as_distances(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Lift rows so that half their squared distance is a constant minus the inner product.

    Parameters
    ----------
    a, b : ndarray of shape (N, K) and (M, K), float32
        Rows of both streams.

    Returns
    -------
    ndarray of shape (N, K + 2), ndarray of shape (M, K + 2)
        The lifted rows: ``0.5 * sum((x[i] - y[j])**2) == largest - a[i] @ b[j]``.
    largest : float
        The constant; no inner product exceeds it.

    References
    ----------
    .. [1] Y. Bachrach et al., "Speeding up the Xbox recommender system using a Euclidean
       transformation for inner-product spaces", RecSys 2014.
    """
    squared_a, squared_b = (np.einsum("ij,ij->i", rows, rows) for rows in (a, b))
    most_a, most_b = float(squared_a.max(initial=0)), float(squared_b.max(initial=0))
    # Scaled against each other, both reach equally far, and the constant is smallest.
    largest = float(np.sqrt(most_a * most_b))
    balance = np.float32((most_b / most_a) ** 0.25 if largest > 0 else 1.0)
    missing_a = np.sqrt(np.maximum(largest - squared_a * balance**2, 0.0))
    missing_b = np.sqrt(np.maximum(largest - squared_b / balance**2, 0.0))
    x = np.column_stack([a * balance, missing_a, np.zeros_like(missing_a)])
    y = np.column_stack([b / balance, np.zeros_like(missing_b), missing_b])
    return x.astype(np.float32), y.astype(np.float32), largest


def _root(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return R with ``R @ R.T == rows.T @ rows``, and W such that ``rows @ W`` is orthonormal.

    Columns that hold next to nothing are left out of both.
    """
    wide = rows.astype(np.float64)
    powers, directions = np.linalg.eigh(wide.T @ wide)
    kept = powers > 1e-10 * max(float(powers.max(initial=0.0)), 1e-300)
    scales = np.sqrt(powers[kept])
    return directions[:, kept] * scales, directions[:, kept] / scales
