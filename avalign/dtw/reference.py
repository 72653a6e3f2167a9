"""dtaidistance's C library as a cross-check, where both define the same thing.

It returns the square root of the summed squares; everything here is squared back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.dtw.problem import Problem
from avalign.errors import MissingDependencyError, ParameterError

__all__ = ["cost_matrix", "distance", "path"]


def distance(problem: Problem) -> float:
    """Return the distance before scaling."""
    dtw, arguments = _call(problem)
    return _squared(problem, float(dtw.distance(*_series(problem), use_c=True, **arguments)))


def path(problem: Problem) -> tuple[float, NDArray[np.int32]]:
    """Return the distance before scaling, and its path, which may break ties otherwise."""
    dtw, arguments = _call(problem)
    x, y = _series(problem)
    root, matrix = dtw.warping_paths(x, y, use_c=True, **arguments)
    psi = arguments["psi"][3]
    last = matrix[-1, len(y) - psi :]
    # Its own trace goes back from the corner: cut the open end off first.
    stop = len(y) - psi + int(np.argmin(np.where(last < 0, np.inf, last)))
    cells = _best_path(matrix[:, : stop + 1])
    return _squared(problem, float(root)), cells


def cost_matrix(problem: Problem) -> NDArray[np.float64]:
    """Return the accumulated costs, before scaling."""
    dtw, arguments = _call(problem)
    arguments["psi"][3] = 0  # else it marks cells behind the end with -1
    _, matrix = dtw.warping_paths(*_series(problem), use_c=True, **arguments)
    return np.asarray(_squared(problem, matrix[1:, 1:]))


def _best_path(matrix: NDArray[np.float64]) -> NDArray[np.int32]:
    from dtaidistance.dtw import best_path

    cells = [(i, j) for i, j in best_path(matrix) if i >= 0 and j >= 0]
    return np.array(cells, np.int32).reshape(-1, 2)


def _squared(problem: Problem, root: Any) -> Any:
    return root * root if problem.metric in ("sqeuclidean", "cosine") else root


def _series(problem: Problem) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    assert problem.y is not None
    return problem.x.astype(np.float64, copy=False), problem.y.astype(np.float64, copy=False)


def _call(problem: Problem) -> tuple[Any, dict[str, Any]]:
    """Return the module for these features, and the arguments that say the same."""
    univariate = problem.x.ndim == 1
    if (
        problem.y is None
        or problem.window is not None
        or problem.weights is not None
        or not problem.pattern.is_classic
        or (problem.metric == "manhattan" and not univariate)
    ):
        raise ParameterError(
            "dtaidistance does not define this",
            "it agrees on symmetric1 steps with sqeuclidean, euclidean, cosine or "
            "one-dimensional manhattan costs, a radius and open ends; use engine='numba'",
        )
    try:
        from dtaidistance import dtw, dtw_ndim
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"the cross-check needs dtaidistance, which does not load: {error}",
            "pip install 'avalign[bench]'",
        ) from error
    columns = problem.shape[1]
    arguments = {
        "window": problem.radius + 1 if problem.radius >= 0 else None,
        "psi": [0, 0, columns * problem.open_begin, columns * problem.open_end],
        "inner_dist": "squared euclidean"
        if problem.metric in ("sqeuclidean", "cosine")
        else "euclidean",
    }
    return (dtw if univariate else dtw_ndim), arguments
