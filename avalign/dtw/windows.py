"""Windows: which columns of each row of the cost matrix a path may pass.

A window is an integer array, one row [first, stop) per row of x. The helpers here always
leave room for a path of the classic steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.arguments import real, whole
from avalign.errors import ParameterError

__all__ = ["around", "itakura", "sakoe_chiba", "slanted"]

Window = NDArray[np.int64]


def sakoe_chiba(rows: int, columns: int, radius: int) -> Window:
    """Return the band of cells at most `radius` off the diagonal, made wide enough.

    Cell (i, j) is inside if ``-radius - max(0, rows - columns) <= j - i <= radius +
    max(0, columns - rows)``: between series of different lengths the band widens by the
    difference, as in tslearn and dtaidistance, so that a path always fits.

    Parameters
    ----------
    rows, columns : int
        Lengths of x and y.
    radius : int
        Half the width of the band in cells.

    Returns
    -------
    ndarray of int64, shape (rows, 2)
        The [first, stop) columns of each row.

    Raises
    ------
    ParameterError
        If a number is not whole or too small.

    References
    ----------
    .. [1] H. Sakoe and S. Chiba, "Dynamic programming algorithm optimization for spoken
       word recognition", IEEE Trans. ASSP 26(1), 1978.
    """
    rows, columns = _check_lengths(rows, columns)
    radius = _check_radius(radius, rows, columns)
    i = np.arange(rows)
    first = np.maximum(0, i - radius - max(0, rows - columns))
    stop = np.minimum(columns, i + radius + max(0, columns - rows) + 1)
    return np.stack([first, stop], axis=1)


def slanted(rows: int, columns: int, radius: int) -> Window:
    """Return the band along the straight line from the first cell to the last.

    Parameters
    ----------
    rows, columns : int
        Lengths of x and y.
    radius : int
        How many columns the band reaches to both sides of the line.

    Returns
    -------
    ndarray of int64, shape (rows, 2)
        The [first, stop) columns of each row.

    Raises
    ------
    ParameterError
        If a number is not whole or too small.
    """
    rows, columns = _check_lengths(rows, columns)
    radius = _check_radius(radius, rows, columns)
    middle = np.arange(rows) * (columns - 1) / max(rows - 1, 1)
    return _connect(np.ceil(middle - radius), np.floor(middle + radius) + 1, columns)


def itakura(rows: int, columns: int, max_slope: float = 2.0) -> Window:
    """Return Itakura's parallelogram: slopes limited from both ends.

    Slopes are relative to that of the straight line from the first cell to the last, so
    that the parallelogram is symmetric about it for series of any lengths.

    Parameters
    ----------
    rows, columns : int
        Lengths of x and y.
    max_slope : float
        The largest slope; the smallest is its inverse. At least 1.

    Returns
    -------
    ndarray of int64, shape (rows, 2)
        The [first, stop) columns of each row.

    Raises
    ------
    ParameterError
        If a number is out of its range.

    References
    ----------
    .. [1] F. Itakura, "Minimum prediction residual principle applied to speech
       recognition", IEEE Trans. ASSP 23(1), 1975.
    """
    rows, columns = _check_lengths(rows, columns)
    max_slope = real(max_slope, "max_slope", least=1)
    done = np.arange(rows) / max(rows - 1, 1)
    left = 1 - done
    first = np.maximum(done / max_slope, 1 - max_slope * left) * (columns - 1)
    last = np.minimum(done * max_slope, 1 - left / max_slope) * (columns - 1)
    # Corners lie on whole cells, whatever the rounding.
    slack = 1e-9 * columns
    return _connect(np.ceil(first - slack), np.floor(last + slack) + 1, columns)


def around(
    path: NDArray[Any], rows: int, columns: int, radius: int, *, factor: int = 1
) -> Window:
    """Return the cells at most `radius` rows and columns away from a path.

    Parameters
    ----------
    path : ndarray of int, shape (K, 2)
        Cells (row, column), both non-decreasing, that visit every row.
    rows, columns : int
        Lengths of x and y.
    radius : int
        How far the window reaches, in both directions.
    factor : int
        How many rows and columns each cell of the path stands for.

    Returns
    -------
    ndarray of int64, shape (rows, 2)
        The [first, stop) columns of each row.

    Raises
    ------
    ParameterError
        If a number cannot be used, or the path misses rows.
    """
    rows, columns = _check_lengths(rows, columns)
    radius = _check_radius(radius, rows, columns)
    factor = whole(factor, "factor", least=1)
    path = np.asarray(path)
    if path.ndim != 2 or path.shape[1] != 2 or path.dtype.kind not in "iu":
        raise ParameterError(
            f"a path of shape {path.shape} and type {path.dtype}",
            "give integers of shape (K, 2), a row and a column each",
        )
    i = np.arange(-(-rows // factor))
    begin = np.searchsorted(path[:, 0], i, side="left")
    end = np.searchsorted(path[:, 0], i, side="right") - 1
    if (end < begin).any():
        raise ParameterError("the path misses rows", f"visit every row of 0 to {len(i) - 1}")
    first = path[begin, 1].astype(np.int64) * factor - radius
    stop = (path[end, 1].astype(np.int64) + 1) * factor + radius
    i = np.arange(rows)
    window = np.stack(
        [
            first[np.maximum(i - radius, 0) // factor],
            stop[np.minimum(i + radius, rows - 1) // factor],
        ],
        axis=1,
    )
    return window.clip(0, columns)


def _connect(first: NDArray[np.float64], stop: NDArray[np.float64], columns: int) -> Window:
    """Clip to the matrix; let the ends in, and each row reach where the next begins.

    Where no whole cell lies between the bounds of a row, the one to the left is let in.
    """
    window = np.stack([first, stop], axis=1).clip(0, columns).astype(np.int64)
    window[0, 0], window[-1, 1] = 0, columns
    window[0, 1] = max(window[0, 1], 1)
    window[-1, 0] = min(window[-1, 0], columns - 1)
    window[:, 0] = np.minimum(window[:, 0], np.maximum(window[:, 1] - 1, 0))
    window[:, 1] = np.maximum(window[:, 1], window[:, 0] + 1)
    window[:-1, 1] = np.maximum(window[:-1, 1], window[1:, 0])
    return window


def _check_lengths(rows: int, columns: int) -> tuple[int, int]:
    return whole(rows, "rows", least=1), whole(columns, "columns", least=1)


def _check_radius(radius: int, rows: int, columns: int) -> int:
    """Return the radius, or one that reaches everywhere: sums with it never overflow."""
    return min(whole(radius, "radius"), rows + columns)
