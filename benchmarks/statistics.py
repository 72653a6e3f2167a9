"""Statistics of the tables, free of anything about sound or lips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic = Callable[[NDArray[np.intp]], float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; NaN where there is nothing to compute it from.

    Parameters
    ----------
    value : float
        The number over all cases.
    low, high : float
        Ends of the interval.
    cases, groups : int
        How many cases, and how many independent groups of them.
    """

    value: float
    low: float
    high: float
    cases: int
    groups: int


def bootstrap(
    groups: Sequence[str], statistic: Statistic, *, resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Compute a statistic and its 95 % interval by resampling whole groups.

    Parameters
    ----------
    groups : sequence of str, length N
        The group, such as the clip, that each case belongs to. Cases of one group
        resemble each other, so that groups are drawn, not cases.
    statistic : callable
        Takes the indices of the drawn cases.
    resamples : int
        How often to draw.
    seed : int
        Fixes the draws.

    Returns
    -------
    Estimate
        The statistic of all cases, between the 2.5th and the 97.5th percentile.

    References
    ----------
    .. [1] C. A. Field and A. H. Welsh, "Bootstrapping clustered data", Journal of the
       Royal Statistical Society B 69 (3), 2007.
    """
    names, group_of = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    n = len(group_of)
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0, 0)
    members = [np.flatnonzero(group_of == group) for group in range(len(names))]
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(names), size=(resamples, len(names)))
    values = [statistic(np.concatenate([members[group] for group in draw])) for draw in draws]
    finite = np.asarray(values)[np.isfinite(values)]
    low, high = np.percentile(finite, [2.5, 97.5]) if len(finite) else (np.nan, np.nan)
    return Estimate(statistic(np.arange(n)), float(low), float(high), n, len(names))


def area_under_roc(right: ArrayLike, wrong: ArrayLike) -> float:
    """Probability that a right case scores above a wrong one; ties count half.

    Parameters
    ----------
    right, wrong : array-like of float
        Scores of both kinds.

    Returns
    -------
    float
        1 is perfect, 0.5 is chance; NaN if either is empty.

    References
    ----------
    .. [1] J. A. Hanley and B. J. McNeil, "The meaning and use of the area under a
       receiver operating characteristic (ROC) curve", Radiology 143 (1), 1982.
    """
    right, wrong = np.asarray(right, float), np.sort(np.asarray(wrong, float))
    if len(right) == 0 or len(wrong) == 0:
        return float("nan")
    below = np.searchsorted(wrong, right, side="left")
    not_above = np.searchsorted(wrong, right, side="right")
    return float((below + not_above).mean() / (2 * len(wrong)))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Cases of like confidence.

    Parameters
    ----------
    confidence : float
        Their mean confidence.
    accuracy : float
        The fraction of them that is right.
    cases : int
        How many there are.
    """

    confidence: float
    accuracy: float
    cases: int


def reliability(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Compare confidence with accuracy in bins of equal width.

    Parameters
    ----------
    confidence : array-like of float, shape (N,)
        Probabilities, from 0 to 1.
    correct : array-like of bool, shape (N,)
        What came true.
    bins : int
        Number of bins.

    Returns
    -------
    tuple of ReliabilityBin
        The bins that are not empty, from low to high confidence.
    """
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, bool)
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    return tuple(
        ReliabilityBin(
            float(confidence[which == i].mean()),
            float(correct[which == i].mean()),
            int((which == i).sum()),
        )
        for i in np.unique(which)
    )


def expected_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 10
) -> float:
    """Mean distance of confidence and accuracy over the bins, weighted by cases.

    Parameters
    ----------
    confidence : array-like of float, shape (N,)
        Probabilities, from 0 to 1.
    correct : array-like of bool, shape (N,)
        What came true.
    bins : int
        Number of bins of equal width.

    Returns
    -------
    float
        0 is calibrated; NaN if there are no cases.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern
       neural networks", ICML 2017.
    """
    found = reliability(confidence, correct, bins=bins)
    total = sum(each.cases for each in found)
    if total == 0:
        return float("nan")
    return sum(abs(each.confidence - each.accuracy) * each.cases for each in found) / total
