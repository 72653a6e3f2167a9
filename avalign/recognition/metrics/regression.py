"""How far numbers are from the true ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.recognition.metrics.result import Metrics, check_numbers, check_pairs, ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class RegressionMetrics(Metrics):
    """How far numbers are from the true ones.

    Parameters
    ----------
    mean_absolute_error : float
        MAE, in the unit of the numbers.
    root_mean_squared_error : float
        RMSE, in the unit of the numbers.
    concordance : float or None
        Lin's concordance correlation; None where both are constant.
    n_items : int
        How many numbers there are.
    """

    mean_absolute_error: float
    root_mean_squared_error: float
    concordance: float | None
    n_items: int


def regression_metrics(truth: ArrayLike, answers: ArrayLike) -> RegressionMetrics:
    """Compare numbers with the true ones.

    Parameters
    ----------
    truth, answers : array-like of shape (N,)
        The numbers.

    Returns
    -------
    RegressionMetrics
        All metrics.

    Raises
    ------
    ParameterError
        If there are none, shapes differ, or one is not finite.
    """
    true, answered = check_numbers(truth, "truth"), check_numbers(answers, "answers")
    check_pairs("numbers", len(true), len(answered))
    errors = answered - true
    spread = true.var() + answered.var() + (true.mean() - answered.mean()) ** 2
    covariance = ((true - true.mean()) * (answered - answered.mean())).mean()
    return RegressionMetrics(
        mean_absolute_error=float(np.abs(errors).mean()),
        root_mean_squared_error=math.sqrt(float((errors**2).mean())),
        concordance=ratio(2 * covariance, spread),
        n_items=len(true),
    )
