"""Soft-DTW: a distance between series that is smooth, and its gradient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.dtw import checks, dispatch
from avalign.dtw.problem import Problem
from avalign.dtw.soft_dtw.solver import check_gamma, solve
from avalign.errors import ParameterError

# What is not wanted.
NOTHING = np.empty((0, 0))


@dataclass(frozen=True, eq=False)
class SoftDtwResult:
    """A soft distance and how it changes with the series.

    Parameters
    ----------
    distance : float
        The soft distance; it may be negative.
    gradient_x, gradient_y : ndarray
        Its derivatives, in the shapes of `x` and `y`. With precomputed costs
        `gradient_x` is the expected alignment, and `gradient_y` is None.
    gamma : float
        The smoothing, in the unit of the costs.
    metric : str
        The local cost.
    radius : int or None
        The Sakoe-Chiba radius in cells, if there was one.
    """

    distance: float
    gradient_x: NDArray[Any] = field(repr=False)
    gradient_y: NDArray[Any] | None = field(repr=False)
    gamma: float
    metric: str
    radius: int | None


def soft_distance(
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    gamma: float = 1.0,
    metric: str = "sqeuclidean",
    radius: int | None = None,
) -> float:
    """Return the soft minimum over all warping paths of what they cost.

    The soft minimum of costs c is ``-gamma * log(sum(exp(-c / gamma)))``. It is less than
    the distance of DTW, by at most ``gamma`` times the logarithm of the number of paths,
    and tends to it as `gamma` tends to 0. What a `gamma` much larger than the costs leaves
    of them is rounded to its own precision. Memory grows with the length of the series.

    Parameters
    ----------
    x : array-like, shape (N,) or (N, D)
        A series, time first. float32 is computed in float32, all else in float64.
    y : array-like, shape (M,) or (M, D), optional
        The other series; None with precomputed costs.
    gamma : float
        The smoothing, 1e-307 to 1e307, in the unit of the costs. The larger, the more paths
        count.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine", "precomputed"}
        The local cost. With "precomputed", x is the (N, M) matrix of local costs.
    radius : int, optional
        Sakoe-Chiba radius in cells: only cells with ``-radius - max(0, N - M) <= j - i <=
        radius + max(0, M - N)`` are passed.

    Returns
    -------
    float
        The soft distance. Even of a series to itself it is not 0: see
        :func:`soft_divergence`.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or `gamma` is too small to tell from 0.

    References
    ----------
    .. [1] M. Cuturi and M. Blondel, "Soft-DTW: a differentiable loss function for
       time-series", ICML 2017.

    Examples
    --------
    >>> round(soft_distance([0.0, 1.0, 3.0], [0.0, 3.0], gamma=0.1), 4)
    1.0
    """
    problem = _problem(x, y, metric, radius, gamma)
    return _solve(problem, gamma, NOTHING, NOTHING, NOTHING)


def soft(
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    gamma: float = 1.0,
    metric: str = "sqeuclidean",
    radius: int | None = None,
) -> SoftDtwResult:
    """Return the soft distance of two series, with its gradient.

    Where a cost has no derivative, at equal values under "euclidean" and "manhattan", 0 is
    taken. Memory grows with the length of the series times its square root, except that
    precomputed costs are their own gradient's size.

    Parameters
    ----------
    x, y : array-like
        As in :func:`soft_distance`.
    gamma, metric, radius
        As in :func:`soft_distance`.

    Returns
    -------
    SoftDtwResult
        Distance and gradients.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or `gamma` is too small to tell from 0.

    Examples
    --------
    >>> soft([0.0, 1.0, 3.0], [0.0, 3.0], gamma=0.1).gradient_y.round(4).tolist()
    [-2.0, 0.0]
    """
    problem = _problem(x, y, metric, radius, gamma)
    gradient_x = np.zeros_like(problem.x)
    if problem.y is None:
        distance = _solve(problem, gamma, NOTHING, NOTHING, gradient_x)
        return SoftDtwResult(distance, gradient_x, None, gamma, metric, radius)
    gradient_y = np.zeros_like(problem.y)
    distance = _solve(problem, gamma, _rows(gradient_x), _rows(gradient_y), NOTHING)
    if metric == "cosine" and y is not None:
        gradient_x = _through_unit_rows(gradient_x * problem.scale, problem.x, x)
        gradient_y = _through_unit_rows(gradient_y * problem.scale, problem.y, y)
    return SoftDtwResult(distance, gradient_x, gradient_y, gamma, metric, radius)


def soft_alignment(
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    gamma: float = 1.0,
    metric: str = "sqeuclidean",
    radius: int | None = None,
) -> NDArray[Any]:
    """Return the expected alignment: how likely each cell is on a path.

    A path has the probability proportional to ``exp(-cost / gamma)``. The result is also
    the derivative of the soft distance by the matrix of local costs.

    Parameters
    ----------
    x, y : array-like
        As in :func:`soft_distance`.
    gamma, metric, radius
        As in :func:`soft_distance`.

    Returns
    -------
    ndarray, shape (N, M)
        Probabilities; 1 in the two corners, and 0 outside the band.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or the matrix would not fit into memory.

    Examples
    --------
    >>> soft_alignment([0.0, 1.0, 3.0], [0.0, 3.0], gamma=0.1).round(4).tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    problem = _problem(x, y, metric, radius, gamma)
    rows, columns = problem.shape
    checks.memory(
        rows * columns * problem.x.itemsize,
        f"an alignment of {rows} x {columns}",
        "call soft, whose memory is nearly linear, or lower the rate of the series",
    )
    alignment = np.zeros(problem.shape, problem.x.dtype)
    _solve(problem, gamma, NOTHING, NOTHING, alignment)
    return alignment


def soft_divergence(
    x: ArrayLike,
    y: ArrayLike,
    *,
    gamma: float = 1.0,
    metric: str = "sqeuclidean",
    radius: int | None = None,
) -> SoftDtwResult:
    """Return the soft distance less the mean of those of each series to itself.

    Unlike the soft distance it is 0 between equal series; with the squared Euclidean cost
    it is also never negative, and least there.

    Parameters
    ----------
    x, y : array-like
        As in :func:`soft_distance`.
    gamma, radius
        As in :func:`soft_distance`.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine"}
        The local cost.

    Returns
    -------
    SoftDtwResult
        Divergence and gradients.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or `gamma` is too small to tell from 0.

    References
    ----------
    .. [1] M. Blondel, A. Mensch and J.-P. Vert, "Differentiable divergences between time
       series", AISTATS 2021.

    Examples
    --------
    >>> soft_divergence([0.0, 1.0, 2.0], [0.0, 1.0, 2.0]).distance
    0.0
    """
    if metric == "precomputed":
        raise ParameterError(
            "the divergence of precomputed costs",
            "it needs the costs of each series with itself too: combine three calls of soft",
        )
    both, own_x, own_y = (
        soft(a, b, gamma=gamma, metric=metric, radius=radius)
        for a, b in ((x, y), (x, x), (y, y))
    )
    return SoftDtwResult(
        both.distance - (own_x.distance + own_y.distance) / 2,
        both.gradient_x - _own_gradient(own_x),
        both.gradient_y - _own_gradient(own_y),
        gamma,
        metric,
        radius,
    )


def _own_gradient(found: SoftDtwResult) -> NDArray[Any]:
    """Return the derivative of half the soft distance of a series to itself."""
    return (found.gradient_x + found.gradient_y) / 2


def _problem(
    x: ArrayLike, y: ArrayLike | None, metric: str, radius: int | None, gamma: float
) -> Problem:
    check_gamma(gamma)
    problem = checks.problem(x, y, metric, radius)
    if problem.y is None and np.isinf(problem.x).any():
        dispatch.solve_distance(problem)  # or says that no path is left
    return problem


def _solve(
    problem: Problem,
    gamma: float,
    gradient_x: NDArray[Any],
    gradient_y: NDArray[Any],
    alignment: NDArray[Any],
) -> float:
    """Solve a checked problem; gradients are of what the kernel sees, before the scale."""
    kind = problem.x.dtype
    y = np.empty((0, 0), kind) if problem.y is None else _rows(problem.y)
    distance = solve(
        _rows(problem.x),
        y,
        problem.metric_code,
        problem.radius,
        gamma / problem.scale,
        *(array.astype(kind, copy=False) for array in (gradient_x, gradient_y, alignment)),
    )
    return distance * problem.scale


def _rows(series: NDArray[Any]) -> NDArray[Any]:
    return series.reshape(len(series), -1)


def _through_unit_rows(
    gradient: NDArray[Any], unit: NDArray[Any], series: ArrayLike
) -> NDArray[Any]:
    """Take a gradient by rows of length 1 to the rows that they were made of."""
    lengths = (unit * np.asarray(series)).sum(axis=1, keepdims=True)
    radial = (gradient * unit).sum(axis=1, keepdims=True)
    return ((gradient - radial * unit) / lengths).astype(gradient.dtype)
