"""dtaidistance's C library as a cross-check, where both define the same thing.

It returns the square root of the summed squares; everything here is squared back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.dtw.problem import Problem
from avalign.errors import ParameterError, import_guard


def distance(problem: Problem) -> float:
    """Return the distance before scaling."""
    dtw, arguments = _call(problem)
    return float(_square(problem, dtw.distance(*_series(problem), use_c=True, **arguments)))


def path(problem: Problem) -> tuple[float, NDArray[np.int32]]:
    """Return the distance before scaling, and its path, which may break ties otherwise."""
    dtw, arguments = _call(problem)
    root, matrix = dtw.warping_paths(*_series(problem), **arguments)
    from dtaidistance.dtw import best_path

    cells = np.array(best_path(matrix), np.int32).reshape(-1, 2)
    return float(_square(problem, root)), cells


def cost_matrix(problem: Problem) -> NDArray[np.float64]:
    """Return the accumulated costs, before scaling."""
    dtw, arguments = _call(problem)
    # Not by its C code, which shifts rows of banded matrices (in 2.5.1).
    _, matrix = dtw.warping_paths(*_series(problem), **arguments)
    return np.asarray(_square(problem, matrix[1:, 1:]))


def _square(problem: Problem, root: Any) -> Any:
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
        or problem.open_begin
        or problem.open_end
        or not problem.pattern.is_classic
        or (problem.metric == "manhattan" and not univariate)
    ):
        raise ParameterError(
            "dtaidistance does not define this",
            "it agrees on closed ends, a radius, and symmetric1 steps over sqeuclidean, "
            "euclidean, cosine or one-dimensional manhattan costs; use engine='numba'",
        )
    with import_guard(
        "the cross-check needs dtaidistance, which does not load",
        "pip install 'avalign[bench]'",
    ):
        from dtaidistance import dtw, dtw_ndim
    arguments = {
        "window": problem.radius + 1 if problem.radius >= 0 else None,
        "inner_dist": "squared euclidean"
        if problem.metric in ("sqeuclidean", "cosine")
        else "euclidean",
    }
    return (dtw if univariate else dtw_ndim), arguments
