"""The verbs: check the arguments, choose the engine that is fastest for them, ask it."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from numpy.typing import ArrayLike, NDArray

from avalign.arguments import choice
from avalign.dtw import checks, dispatch
from avalign.dtw.general import recurrence
from avalign.dtw.result import DtwResult
from avalign.dtw.steps import StepPattern

Engine = Literal["numba", "dtaidistance"]


def distance(
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    metric: str = "sqeuclidean",
    radius: int | None = None,
    window: ArrayLike | None = None,
    step_pattern: str | StepPattern = "symmetric1",
    open_begin: bool = False,
    open_end: bool = False,
    weights: ArrayLike | None = None,
    engine: Engine = "numba",
) -> float:
    """Return what the cheapest warping path between two series costs.

    The cost is the sum of the local costs along the path, each times the weight that the
    step pattern gives it; no root is taken. Memory grows with the length of y only.

    Parameters
    ----------
    x : array-like, shape (N,) or (N, D)
        A series, time first. float32 is computed in float32, all else in float64.
    y : array-like, shape (M,) or (M, D), optional
        The other series; None with precomputed costs.
    metric : {"sqeuclidean", "euclidean", "manhattan", "cosine", "precomputed"}
        The local cost. With "precomputed", x is the (N, M) matrix of local costs,
        infinite where no path may go.
    radius : int, optional
        Sakoe-Chiba radius in cells: only cells with ``-radius - max(0, N - M) <= j - i <=
        radius + max(0, M - N)`` are passed.
    window : array-like of int, shape (N, 2), optional
        The [first, stop) columns that each row may pass; in place of `radius`.
    step_pattern : str or StepPattern
        The moves, by name or one's own: see :mod:`avalign.dtw.steps`.
    open_begin, open_end : bool
        Let the path begin, or end, in any row of y. All of x is always aligned.
    weights : array-like, shape (max(N, M),) or longer, optional
        A factor of the local cost of cell (i, j) for each ``|i - j|``: weighted DTW, see
        :func:`logistic_weights`.
    engine : {"numba", "dtaidistance"}
        Who computes. dtaidistance is a cross-check for what both define alike.

    Returns
    -------
    float
        The distance.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or no path fits.

    References
    ----------
    .. [1] H. Sakoe and S. Chiba, "Dynamic programming algorithm optimization for spoken
       word recognition", IEEE Trans. ASSP 26(1), 1978.

    Examples
    --------
    >>> distance([0.0, 1.0, 2.0], [0.0, 2.0, 2.0])
    1.0
    """
    problem = checks.problem(
        x, y, metric, radius, window, step_pattern, open_begin, open_end, weights
    )
    other = _other(engine)
    if other is None:
        return dispatch.solve_distance(problem)
    cost = float(other.distance(problem) * problem.scale)
    if not math.isfinite(cost):
        checks.no_path(problem)
    return cost


def path(
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    metric: str = "sqeuclidean",
    radius: int | None = None,
    window: ArrayLike | None = None,
    step_pattern: str | StepPattern = "symmetric1",
    open_begin: bool = False,
    open_end: bool = False,
    weights: ArrayLike | None = None,
    engine: Engine = "numba",
) -> DtwResult:
    """Return the cheapest warping path between two series, and its cost.

    Of paths that cost the same it is the one that, followed back from its end, prefers
    diagonal steps, then steps along x, then steps along y. Memory is a small fraction of
    the cost matrix.

    Parameters
    ----------
    x, y : array-like
        As in :func:`distance`.
    metric, radius, window, step_pattern, open_begin, open_end, weights, engine
        As in :func:`distance`.

    Returns
    -------
    DtwResult
        Distance and path, among others.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or no path fits.

    Examples
    --------
    >>> path([0.0, 1.0, 2.0], [0.0, 2.0, 2.0]).path.tolist()
    [[0, 0], [1, 1], [2, 2]]
    """
    problem = checks.problem(
        x, y, metric, radius, window, step_pattern, open_begin, open_end, weights
    )
    cost, cells = (_other(engine) or dispatch).path(problem)
    cost *= problem.scale
    if not math.isfinite(cost):
        checks.no_path(problem)
    return DtwResult(
        distance=cost,
        path=cells,
        shape=problem.shape,
        metric=metric,
        step_pattern=problem.pattern,
        radius=radius,
        lower_bound=cost,
        x=problem.x,
        y=problem.y,
    )


def cost_matrix(
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    metric: str = "sqeuclidean",
    radius: int | None = None,
    window: ArrayLike | None = None,
    step_pattern: str | StepPattern = "symmetric1",
    open_begin: bool = False,
    open_end: bool = False,
    weights: ArrayLike | None = None,
    engine: Engine = "numba",
) -> NDArray[Any]:
    """Return the accumulated cost of the cheapest path to every cell.

    Parameters
    ----------
    x, y : array-like
        As in :func:`distance`.
    metric, radius, window, step_pattern, open_begin, open_end, weights, engine
        As in :func:`distance`. An open end changes no cell.

    Returns
    -------
    ndarray, shape (N, M)
        The costs, of the type that was computed in; infinite where no path leads, and
        where costs overflow.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or the matrix would not fit into memory.
    """
    problem = checks.problem(
        x, y, metric, radius, window, step_pattern, open_begin, open_end, weights
    )
    rows, columns = problem.shape
    checks.memory(
        rows * columns * problem.x.itemsize,
        f"a cost matrix of {rows} x {columns}",
        "call distance or path, whose memory is linear, or lower the rate of the series",
    )
    matrix = (_other(engine) or recurrence).cost_matrix(problem)
    return matrix * matrix.dtype.type(problem.scale) if problem.scale != 1 else matrix


def _other(engine: str) -> Any:
    """Return the module of another engine, None for avalign's own."""
    if isinstance(engine, str) and engine == "numba":
        return None
    choice(engine, "engine", get_args(Engine))
    from avalign.dtw import dtaidistance_engine

    return dtaidistance_engine
