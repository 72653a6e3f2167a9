"""Averages of series that differ in timing: DTW barycentres, hard and soft."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.arguments import real, whole
from avalign.dtw import checks
from avalign.dtw.matrices import pairwise
from avalign.dtw.soft_dtw.verbs import soft
from avalign.dtw.verbs import path
from avalign.errors import ParameterError

Array = NDArray[Any]

# A step along the gradient must lower the cost by this fraction of what the slope promises.
SUFFICIENT = 1e-4
# Halvings of a step after which there is no descent left but rounding.
MOST_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class BarycenterResult:
    """The average of series under DTW, and how it was found.

    Parameters
    ----------
    values : ndarray, shape (N,) or (N, D)
        The barycentre.
    costs : ndarray of float64, shape (iterations + 1,)
        The weighted sum of distances to the series, of the initial barycentre and after
        each iteration; the last is that of `values`. It never rises.
    converged : bool
        Whether it stopped as the cost no longer fell, and not for want of iterations.
    """

    values: Array = field(repr=False)
    costs: NDArray[np.float64] = field(repr=False)
    converged: bool

    @property
    def cost(self) -> float:
        """The weighted sum of distances from the barycentre to the series."""
        return float(self.costs[-1])

    @property
    def iterations(self) -> int:
        """How often the barycentre was moved."""
        return len(self.costs) - 1


def barycenter(
    series: Iterable[ArrayLike],
    *,
    weights: ArrayLike | None = None,
    radius: int | None = None,
    initial: ArrayLike | None = None,
    max_iterations: int = 50,
    tolerance: float = 1e-6,
) -> BarycenterResult:
    """Return a series whose squared DTW distances to all series are least, locally.

    Each iteration aligns every series with the barycentre, and replaces each row of it by
    the weighted mean of the rows aligned with it (DBA). The local cost is squared
    Euclidean, of which means are the minimum.

    Parameters
    ----------
    series : iterable of array-like, shape (M,) or (M, D) each
        The series, time first, of any lengths.
    weights : array-like, shape (number of series,), optional
        How much each counts, 0 or more; 1 if not given.
    radius : int, optional
        Sakoe-Chiba radius in cells.
    initial : array-like, shape (N,) or (N, D), optional
        Where to begin; it sets the length. Without it, the series whose weighted sum of
        distances is least.
    max_iterations : int
        How often to move the barycentre, at most.
    tolerance : float
        Stop when the cost falls by less than this fraction of it.

    Returns
    -------
    BarycenterResult
        The barycentre and its costs.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    References
    ----------
    .. [1] F. Petitjean, A. Ketterlin and P. Gançarski, "A global averaging method for
       dynamic time warping, with applications to clustering", Pattern Recognition 44(3),
       2011.

    Examples
    --------
    >>> barycenter([[0.0, 0.0, 4.0], [0.0, 6.0, 6.0]]).values.round(3).tolist()
    [0.0, 0.0, 5.333]
    """
    checked, factors = _check_series(series, weights)
    limit = whole(max_iterations, "max_iterations")
    tolerance = real(tolerance, "tolerance")
    center = _choose_initial(initial, checked, factors, radius)

    cost, means = _align(center, checked, factors, radius)
    costs = [cost]
    for _ in range(limit):
        cost, next_means = _align(means, checked, factors, radius)
        if cost > costs[-1]:  # by rounding
            return BarycenterResult(center, np.array(costs), True)
        center, means = means, next_means
        costs.append(cost)
        if costs[-2] - cost <= tolerance * costs[-2]:
            return BarycenterResult(center, np.array(costs), True)
    return BarycenterResult(center, np.array(costs), False)


def soft_barycenter(
    series: Iterable[ArrayLike],
    *,
    gamma: float = 1.0,
    weights: ArrayLike | None = None,
    metric: str = "sqeuclidean",
    radius: int | None = None,
    initial: ArrayLike | None = None,
    max_iterations: int = 100,
    tolerance: float = 1e-6,
) -> BarycenterResult:
    """Return a series whose soft-DTW distances to all series are least, locally.

    The smoothing avoids bad minima in which :func:`barycenter` may stay. Gradient descent
    takes steps of the length of Barzilai and Borwein, halved until the cost falls enough.

    Parameters
    ----------
    series : iterable of array-like, shape (M,) or (M, D) each
        The series, time first, of any lengths.
    gamma : float
        The smoothing, above 0, in the unit of the costs.
    weights : array-like, shape (number of series,), optional
        How much each counts, 0 or more; 1 if not given.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine"}
        The local cost.
    radius, initial, max_iterations, tolerance
        As in :func:`barycenter`.

    Returns
    -------
    BarycenterResult
        The barycentre and its costs, which may be negative.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or `gamma` is too small to tell from 0.

    References
    ----------
    .. [1] M. Cuturi and M. Blondel, "Soft-DTW: a differentiable loss function for
       time-series", ICML 2017.
    .. [2] J. Barzilai and J. M. Borwein, "Two-point step size gradient methods", IMA
       Journal of Numerical Analysis 8(1), 1988.

    Examples
    --------
    >>> found = soft_barycenter([[0.0, 0.0, 4.0], [0.0, 6.0, 6.0]], gamma=0.01)
    >>> found.values.round(3).tolist()
    [0.0, 0.0, 5.333]
    """
    checked, factors = _check_series(series, weights)
    limit = whole(max_iterations, "max_iterations")
    tolerance = real(tolerance, "tolerance")
    center = _choose_initial(initial, checked, factors, radius)

    def evaluate(values: Array) -> tuple[float, Array]:
        cost, gradient = 0.0, np.zeros_like(values)
        for factor, one in zip(factors, checked, strict=True):
            found = soft(values, one, gamma=gamma, metric=metric, radius=radius)
            cost += float(factor) * found.distance
            gradient += factor * found.gradient_x
        return cost, gradient

    # The curvature of squared costs is twice the weights of all rows aligned with a row.
    visits = np.array([max(1.0, len(one) / len(center)) for one in checked])
    return _descend(evaluate, center, 1 / (2 * float(factors @ visits)), limit, tolerance)


def _descend(
    evaluate: Callable[[Array], tuple[float, Array]],
    center: Array,
    step: float,
    limit: int,
    tolerance: float,
) -> BarycenterResult:
    cost, gradient = evaluate(center)
    costs = [cost]
    for _ in range(limit):
        slope = float((gradient * gradient).sum())
        for _ in range(MOST_HALVINGS):
            moved = center - step * gradient
            cost, moved_gradient = evaluate(moved)
            if cost <= costs[-1] - SUFFICIENT * step * slope:
                break
            step /= 2
        else:
            return BarycenterResult(center, np.array(costs), True)
        bend = float(((moved - center) * (moved_gradient - gradient)).sum())
        step = step * step * slope / bend if bend > 0 else 2 * step
        center, gradient = moved, moved_gradient
        costs.append(cost)
        if costs[-2] - cost <= tolerance * abs(costs[-2]):
            return BarycenterResult(center, np.array(costs), True)
    return BarycenterResult(center, np.array(costs), False)


def _check_series(
    series: Iterable[ArrayLike], weights: ArrayLike | None
) -> tuple[list[Array], NDArray[np.float64]]:
    """Return the series in one type and of as many features, and their weights."""
    arrays = checks.check_all(series, "series")
    for at, array in enumerate(arrays):
        if array.shape[1:] != arrays[0].shape[1:]:
            raise ParameterError(
                f"series[{at}] has shape {array.shape}, series[0] {arrays[0].shape}",
                "all series need the same features; rows are time",
            )
    kind = np.result_type(*arrays)
    arrays = [array.astype(kind, copy=False) for array in arrays]
    if weights is None:
        return arrays, np.ones(len(arrays))
    factors = checks.series(weights, "weights").astype(float)
    if factors.shape != (len(arrays),) or factors.min() < 0 or not factors.any():
        raise ParameterError(
            f"weights of shape {factors.shape}, the least {factors.min():g}",
            f"give {len(arrays)} numbers of 0 or more, one per series, not all of them 0",
        )
    return arrays, factors


def _choose_initial(
    given: ArrayLike | None,
    series: Sequence[Array],
    weights: NDArray[np.float64],
    radius: int | None,
) -> Array:
    if given is None:
        sums = pairwise(series, radius=radius) @ weights
        return series[int(np.argmin(sums))].copy()
    center = checks.series(given, "initial")
    if center.shape[1:] != series[0].shape[1:]:
        raise ParameterError(
            f"initial has shape {center.shape}, series[0] {series[0].shape}",
            "the barycentre needs the features of the series",
        )
    return center.astype(series[0].dtype)


def _align(
    center: Array, series: Sequence[Array], weights: NDArray[np.float64], radius: int | None
) -> tuple[float, Array]:
    """Return the weighted sum of distances, and the means of the rows aligned with each."""
    cost = 0.0
    sums, counts = np.zeros(center.shape), np.zeros(len(center))
    for one, weight in zip(series, weights, strict=True):
        found = path(center, one, radius=radius)
        cost += float(weight) * found.distance
        rows, others = found.path.T
        np.add.at(sums, rows, weight * one[others])
        np.add.at(counts, rows, weight)
    counts = counts.reshape(-1, *[1] * (center.ndim - 1))
    return cost, (sums / counts).astype(center.dtype)
