"""What is measured: a space and a calibration, through the one door of `align_streams`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from avalign.align import ClipAlignment, LagCalibration, align_streams
from avalign.train.space import NEUTRAL
from avalign.types import ClipStreams

if TYPE_CHECKING:
    from avalign.space import Space
    from benchmarks.cases import Estimator

__all__ = ["avalign_estimator", "baseline_estimator"]


def avalign_estimator(
    space: Space | None = None, calibration: LagCalibration | None = None
) -> Estimator:
    """Measure as avalign does.

    Parameters
    ----------
    space : Space, optional
        By default the shipped one.
    calibration : LagCalibration, optional
        By default the shipped one.

    Returns
    -------
    callable
        Takes streams and the range of lags to search in seconds.
    """

    def estimate(streams: ClipStreams, max_lag_s: float) -> ClipAlignment:
        return align_streams(streams, max_lag_s=max_lag_s, model=space, calibration=calibration)

    return estimate


def baseline_estimator(space: Space) -> Estimator:
    """Measure with a space that has no calibration; every estimate counts as an answer.

    The confidence is the posterior probability as it comes, without calibration.

    Parameters
    ----------
    space : Space
        Such as `avalign.train.space.baseline` fits.

    Returns
    -------
    callable
        Takes streams and the range of lags to search in seconds.
    """
    measured = avalign_estimator(space, NEUTRAL)

    def estimate(streams: ClipStreams, max_lag_s: float) -> ClipAlignment:
        found = measured(streams, max_lag_s)
        return found if found.alignment is None else replace(found, reason=None)

    return estimate
