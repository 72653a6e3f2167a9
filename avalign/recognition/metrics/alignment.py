"""Errors of lags, and what fusion and alignment gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.recognition.metrics.result import (
    Metrics,
    check_errors,
    check_numbers,
    check_pairs,
    ratio,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class LagErrors(Metrics):
    """How far measured lags are from the true ones.

    Parameters
    ----------
    median_ms, mean_ms, p90_ms : float
        Of the absolute errors.
    bias_ms : float
        Median of the signed errors: positive where lags are measured too late.
    within_40_ms : float
        Fraction of lags within 40 ms of the truth.
    n_items : int
        How many lags there are.
    """

    median_ms: float
    mean_ms: float
    p90_ms: float
    bias_ms: float
    within_40_ms: float
    n_items: int


def lag_errors(true_s: ArrayLike, measured_s: ArrayLike) -> LagErrors:
    """Compare audio lags with the true ones.

    Parameters
    ----------
    true_s, measured_s : array-like of shape (N,)
        Audio lags in seconds; positive: the audio is late.

    Returns
    -------
    LagErrors
        Errors in milliseconds.

    Raises
    ------
    ParameterError
        If there are none, shapes differ, or one is not finite.
    """
    true, measured = check_numbers(true_s, "true_s"), check_numbers(measured_s, "measured_s")
    check_pairs("lags", len(true), len(measured))
    errors_ms = (measured - true) * 1000
    absolute_ms = np.abs(errors_ms)
    return LagErrors(
        median_ms=float(np.median(absolute_ms)),
        mean_ms=float(absolute_ms.mean()),
        p90_ms=float(np.percentile(absolute_ms, 90)),
        bias_ms=float(np.median(errors_ms)),
        # Times in seconds are not exact: 40 ms must count as 40 ms.
        within_40_ms=float((absolute_ms <= 40 + 1e-6).mean()),
        n_items=len(true),
    )


def fusion_gain(fused_error: float, single_errors: Sequence[float]) -> float | None:
    """Compute what fusion gains over the best single stream.

    Parameters
    ----------
    fused_error : float
        Error of all streams together, such as a word error rate.
    single_errors : sequence of float
        Errors of the streams alone.

    Returns
    -------
    float or None
        Fraction of the best stream's errors that fusion removes; negative where it adds some.
        None where the best stream makes none, so that there is nothing to gain.

    Raises
    ------
    ParameterError
        If an error is negative or not finite, or there is no single stream.
    """
    singles = check_numbers(single_errors, "single_errors")
    check_errors(fused_error, *singles.tolist())
    best = float(singles.min())
    return ratio(best - fused_error, best)


def recovery_ratio(
    misaligned_error: float, aligned_error: float, oracle_error: float
) -> float | None:
    """Compute how much of the error added by misalignment is removed by alignment.

    Parameters
    ----------
    misaligned_error : float
        Error on misaligned streams.
    aligned_error : float
        Error after they were aligned.
    oracle_error : float
        Error after the true misalignment was undone.

    Returns
    -------
    float or None
        (misaligned - aligned) / (misaligned - oracle): 1 if all of it, 0 if nothing,
        negative if alignment does harm. None where misalignment costs nothing, since then
        there is nothing to remove.

    Raises
    ------
    ParameterError
        If an error is negative or not finite.
    """
    check_errors(misaligned_error, aligned_error, oracle_error)
    cost = misaligned_error - oracle_error
    return (misaligned_error - aligned_error) / cost if cost > 0 else None
