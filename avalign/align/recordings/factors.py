"""Inner products from fewer columns: what makes paths through long recordings cheap.

Rows of two embedded streams belong together by their inner product. The table of all inner
products is replaced by its closest table of low rank, which hardly changes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def low_rank(
    a: NDArray[np.float32], b: NDArray[np.float32], rank: int = 32
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Shorten rows [N, D] and [M, D] to `rank` columns, keeping their inner products.

    Of all pairs of such rank, the one whose table of inner products is closest.
    Source: C. Eckart and G. Young, "The approximation of one matrix by another of lower
    rank", Psychometrika 1 (3), 1936.
    """
    root_a, whitening_a = _root(a)
    root_b, whitening_b = _root(b)
    left, scales, right = np.linalg.svd(root_a.T @ root_b, full_matrices=False)
    used = np.sqrt(scales[:rank])
    map_a = whitening_a @ (left[:, : len(used)] * used)
    map_b = whitening_b @ (right[: len(used)].T * used)
    return a @ map_a.astype(np.float32), b @ map_b.astype(np.float32)


def _root(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return R and W with ``R @ R.T == rows.T @ rows`` and ``rows @ W`` orthonormal.

    Columns that hold next to nothing are left out of both.
    """
    wide = rows.astype(np.float64)
    powers, directions = np.linalg.eigh(wide.T @ wide)
    used = powers > 1e-10 * max(float(powers.max(initial=0.0)), 1e-300)
    scales = np.sqrt(powers[used])
    return directions[:, used] * scales, directions[:, used] / scales
