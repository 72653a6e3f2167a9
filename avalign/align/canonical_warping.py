"""Canonical time warping: align streams that have no columns in common.

DTW needs rows that can be compared. Where two streams are different views of the same
events, canonical correlation analysis finds directions in which they can be, once rows
are paired; and DTW pairs rows, once there are such directions. Taking turns finds both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import ParameterError
from avalign.space import CCA, checked_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, eq=False)
class CanonicalWarping:
    """A path between two streams, and the maps under which it was found.

    Parameters
    ----------
    path : ndarray of shape (K, 2), int32
        Rows of `x` against rows of `y`.
    cca : CCA
        Maps both streams to where they can be compared.
    rounds : int
        How often directions and path were found in turns.
    converged : bool
        Whether the last turn left the path as it was.
    """

    path: NDArray[np.int32]
    cca: CCA
    rounds: int
    converged: bool


def canonical_time_warping(
    x: ArrayLike,
    y: ArrayLike,
    *,
    n_components: int = 2,
    regularisation: float = 0.01,
    radius: int | None = None,
    path: ArrayLike | None = None,
    max_rounds: int = 50,
) -> CanonicalWarping:
    """Align two streams of different columns.

    Parameters
    ----------
    x : array-like of shape (N, DX)
        One stream.
    y : array-like of shape (M, DY)
        The other one.
    n_components : int, optional
        Directions in which the streams are compared.
    regularisation : float, optional
        Shrinkage of the covariances, 0 to 1.
    radius : int, optional
        Sakoe-Chiba radius in rows; by default the path is free.
    path : array-like of int, shape (K, 2), optional
        Where to begin; by default both streams run at the same pace from end to end. The
        outcome depends on it, as the turns only ever improve what they start from.
    max_rounds : int, optional
        Most turns.

    Returns
    -------
    CanonicalWarping
        The path and the maps.

    Raises
    ------
    ParameterError
        If a stream is empty or not finite, the path does not fit, or the rows do not span
        as many directions as were asked for.

    References
    ----------
    .. [1] F. Zhou and F. De la Torre, "Canonical time warping for alignment of human
       behavior", NIPS 2009.
    """
    from avalign import dtw

    if max_rounds < 1:
        raise ParameterError(f"max_rounds is {max_rounds}", "allow one turn at least")
    left, right = checked_rows(x, "x"), checked_rows(y, "y")
    cells = _even_path(len(left), len(right)) if path is None else _checked(path, left, right)
    cca = CCA(n_components, regularisation=regularisation)
    for turn in range(1, max_rounds + 1):
        cca.fit(left[cells[:, 0]], right[cells[:, 1]])
        found = dtw.path(cca.transform(left), cca.transform(Y=right), radius=radius).path
        if np.array_equal(found, cells):
            return CanonicalWarping(found, cca, turn, converged=True)
        cells = found
    return CanonicalWarping(cells, cca, max_rounds, converged=False)


def _even_path(rows: int, columns: int) -> NDArray[np.int32]:
    """Both streams at the same pace from end to end."""
    count = max(rows, columns)
    ends = (np.rint(np.linspace(0, length - 1, count)) for length in (rows, columns))
    return np.stack(list(ends), axis=1).astype(np.int32)


def _checked(path: ArrayLike, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.int32]:
    cells = np.asarray(path)
    if cells.ndim != 2 or cells.shape[1] != 2 or cells.dtype.kind not in "iu":
        raise ParameterError(
            f"the path has shape {cells.shape} and type {cells.dtype}",
            "give whole numbers, one (row of x, row of y) each",
        )
    if len(cells) == 0 or (cells < 0).any() or (cells >= [len(x), len(y)]).any():
        raise ParameterError("the path leaves the streams", "give rows that there are")
    return cells.astype(np.int32)
