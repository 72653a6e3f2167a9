"""Lower bounds of DTW, in time linear in the lengths of the series.

Every row of `x` is aligned with one of the rows of `y` inside the band, so it costs at
least what it lies outside their envelope. The bounds hold, up to rounding, for the distance
of the same metric and radius with the step pattern "symmetric1", whose weights are 1.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from avalign.arguments import whole
from avalign.dtw import checks
from avalign.dtw.compiled import MANHATTAN, SQEUCLIDEAN
from avalign.dtw.problem import Problem
from avalign.dtw.search.bound_kernels import ends, envelope_of, outside, second_pass
from avalign.errors import ParameterError


def envelope(
    y: ArrayLike, radius: int | None = None, *, rows: int | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the least and the greatest value of `y` that each row may be aligned with.

    Parameters
    ----------
    y : array-like, shape (M,) or (M, D)
        A series.
    radius : int, optional
        Sakoe-Chiba radius in cells; without it, all rows may be aligned.
    rows : int, optional
        N, the length of the other series; as long as `y` if not given.

    Returns
    -------
    lower, upper : ndarray, shape (N,) or (N, D)
        The envelope, feature by feature.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    Examples
    --------
    >>> lower, upper = envelope([0.0, 3.0, 1.0, 2.0], radius=1)
    >>> lower.tolist(), upper.tolist()
    ([0.0, 0.0, 1.0, 1.0], [3.0, 3.0, 3.0, 2.0])
    """
    series = checks.series(y, "y")
    count = len(series) if rows is None else whole(rows, "rows", least=1)
    reach = -1 if radius is None else whole(radius, "radius")
    lower, upper = envelope_of(series.reshape(len(series), -1), count, reach)
    shape = (count, *series.shape[1:])
    return lower.reshape(shape), upper.reshape(shape)


def lb_kim(x: ArrayLike, y: ArrayLike, *, metric: str = "sqeuclidean") -> float:
    """Return what the ends of any warping path cost: a lower bound in constant time.

    Parameters
    ----------
    x : array-like, shape (N,) or (N, D)
        A series, time first.
    y : array-like, shape (M,) or (M, D)
        The other series.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine"}
        The local cost.

    Returns
    -------
    float
        The cost of the first cell and the last, and the least that the cells beside them
        can cost; the bound holds for any radius.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    References
    ----------
    .. [1] S.-W. Kim, S. Park and W. W. Chu, "An index-based approach for similarity search
       supporting time warping in large sequence databases", ICDE 2001.

    Examples
    --------
    >>> lb_kim([0.0, 1.0, 2.0], [1.0, 2.0, 4.0])
    5.0
    """
    checked = checks.problem(x, y, metric)
    if checked.y is None:
        raise ParameterError("bounds of precomputed costs", "pass the two series")
    return ends(*_by_rows(checked), checked.metric_code) * checked.scale


def lb_keogh(
    x: ArrayLike, y: ArrayLike, *, radius: int | None = None, metric: str = "sqeuclidean"
) -> float:
    """Return what `x` costs outside the envelope of `y`: a lower bound in linear time.

    Parameters
    ----------
    x : array-like, shape (N,) or (N, D)
        A series, time first.
    y : array-like, shape (M,) or (M, D)
        The other series.
    radius : int, optional
        Sakoe-Chiba radius in cells. The narrower the band, the tighter the bound.
    metric : {"sqeuclidean", "manhattan", "cosine", "euclidean"}
        The local cost; "euclidean" for series of one feature only.

    Returns
    -------
    float
        The bound. It changes when the series are swapped, and the greater holds.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    References
    ----------
    .. [1] E. Keogh and C. A. Ratanamahatana, "Exact indexing of dynamic time warping",
       Knowledge and Information Systems 7(3), 2005.

    Examples
    --------
    >>> lb_keogh([0.0, 5.0, 2.0], [1.0, 2.0, 3.0], radius=0)
    11.0
    """
    checked = _separable(x, y, metric, radius)
    rows, others = _by_rows(checked)
    lower, upper = envelope_of(others, len(rows), checked.radius)
    return outside(rows, lower, upper, checked.metric_code) * checked.scale


def lb_improved(
    x: ArrayLike, y: ArrayLike, *, radius: int | None = None, metric: str = "sqeuclidean"
) -> float:
    """Return :func:`lb_keogh`, and what `y` costs outside the envelope of its nearest twin.

    The twin is `x` moved into the envelope of `y`. What `x` costs outside, and what `y`
    costs to the twin, are different parts of the distance: together they are the tighter
    bound, at about three times the work.

    Parameters
    ----------
    x, y : array-like
        As in :func:`lb_keogh`.
    radius, metric
        As in :func:`lb_keogh`.

    Returns
    -------
    float
        The bound, at least that of :func:`lb_keogh`.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    References
    ----------
    .. [1] D. Lemire, "Faster retrieval with a two-pass dynamic-time-warping lower bound",
       Pattern Recognition 42(9), 2009.

    Examples
    --------
    >>> lb_improved([0.0, 5.0, 2.0], [1.0, 2.0, 9.0], radius=1)
    17.0
    """
    checked = _separable(x, y, metric, radius)
    rows, others = _by_rows(checked)
    lower, upper = envelope_of(others, len(rows), checked.radius)
    code, reach = checked.metric_code, checked.radius
    first = outside(rows, lower, upper, code)
    return (first + second_pass(rows, others, lower, upper, code, reach)) * checked.scale


def _by_rows(checked: Problem) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the two series of a problem as (N, D) and (M, D)."""
    assert checked.y is not None
    return checked.x.reshape(len(checked.x), -1), checked.y.reshape(len(checked.y), -1)


def _separable(x: ArrayLike, y: ArrayLike, metric: str, radius: int | None) -> Problem:
    """Check the arguments, and that the cost is a sum over features."""
    checked = checks.problem(x, y, metric, radius)
    if checked.metric_code not in (SQEUCLIDEAN, MANHATTAN):
        raise ParameterError(
            f"no lower bound for the metric {metric!r} of several features",
            "take sqeuclidean, manhattan or cosine",
        )
    return checked
