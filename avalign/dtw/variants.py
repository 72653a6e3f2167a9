"""Variants that change the series or the weights, and leave the verbs as they are.

Derivative DTW is ``distance(derivative(x), derivative(y))``, weighted DTW is
``distance(x, y, weights=logistic_weights(len(x)))``; path, pairwise and the others likewise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.arguments import real, whole
from avalign.dtw import checks
from avalign.errors import ParameterError


def derivative(x: ArrayLike) -> NDArray[Any]:
    """Return the slope of a series at every row, for derivative DTW.

    It is the mean of the slope from the row before, and of that from the row before to the
    row after; the first and the last row repeat their neighbours.

    Parameters
    ----------
    x : array-like, shape (N,) or (N, D)
        A series of three rows or more, time first.

    Returns
    -------
    ndarray, shape (N,) or (N, D)
        The slopes per row.

    Raises
    ------
    ParameterError
        If the series cannot be used or is shorter.

    References
    ----------
    .. [1] E. Keogh and M. Pazzani, "Derivative dynamic time warping", SIAM Int. Conf. on
       Data Mining, 2001, equation 5.

    Examples
    --------
    >>> derivative([0.0, 1.0, 4.0]).tolist()
    [1.5, 1.5, 1.5]
    """
    series = checks.series(x, "x")
    if len(series) < 3:
        raise ParameterError(f"x has {len(series)} rows", "a slope takes three")
    slopes = np.empty_like(series)
    slopes[1:-1] = ((series[1:-1] - series[:-2]) + (series[2:] - series[:-2]) / 2) / 2
    slopes[0], slopes[-1] = slopes[1], slopes[-2]
    return slopes


def logistic_weights(
    length: int, *, steepness: float = 0.05, maximum: float = 1.0
) -> NDArray[np.float64]:
    """Return weights of costs by their distance from the diagonal, for weighted DTW.

    Parameters
    ----------
    length : int
        Rows of the longer series.
    steepness : float
        How sharply cells further than half the length off the diagonal are penalised; 0
        weighs all alike.
    maximum : float
        The weight far off the diagonal.

    Returns
    -------
    ndarray of float64, shape (length,)
        The weight for each ``|i - j|``.

    Raises
    ------
    ParameterError
        If a number is out of its range.

    References
    ----------
    .. [1] Y.-S. Jeong, M. Jeong and O. Omitaomu, "Weighted dynamic time warping for time
       series classification", Pattern Recognition 44(9), 2011, equation 5.
    """
    count = whole(length, "length", least=1)
    steepness, maximum = real(steepness, "steepness"), real(maximum, "maximum")
    if not maximum:
        raise ParameterError("maximum is 0", "give a finite number above 0")
    checks.memory(3 * 8 * count, f"{count} weights", "give the length of the longer series")
    # The logistic function by the hyperbolic tangent, which does not overflow.
    half = steepness * (np.arange(count) - count / 2) / 2
    return maximum * 0.5 * (1 + np.tanh(half))
