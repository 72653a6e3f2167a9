"""The rigid alignment: one lag for the whole clip, the best diagonal of the band."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from avalign.align.confidence import LagCalibration, tempered_interval
from avalign.align.evidence import BLOCK_ROWS, Evidence, match_log_odds
from avalign.types import Alignment, FeatureStream, LagCurve, split_at_pauses

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Confidence is the probability that the lag is this close to the truth.
CLOSE_S = 0.040
# Fraction of the rate of mismatch that is given back before the best lag is chosen; a fifth
# finds most lags in windows of 1 and 2 s of the split dev.
LAG_FRACTION = 0.2
# The curve is interpolated to this step before quantiles are read off it.
FINE_STEP_S = 0.002
# Probability that a file is in sync, before any evidence.
_IN_SYNC_PRIOR = 0.5
# What counts as in sync there.
_IN_SYNC_S = 0.045
# The calibration was made on frames that last for up to this long.
_CALIBRATED_FRAME_PERIOD_S = 0.05


def rigid_alignment(
    evidence: Evidence,
    *,
    no_match: float,
    zero_lag_s: float,
    speech_s: float,
    calibration: LagCalibration,
    frame_period_s: float = 0.0,
) -> Alignment:
    """Find the lag that explains the whole clip best.

    With an even prior over the lags of the range, the evidence of a lag is the
    logarithm of its posterior up to a constant; sums, not means, over the
    overlap make a far lag with little overlap count for what little it says.

    A face or voice unlike those the model has learnt from lowers the evidence of
    all lags, by so much per row, and most where the overlap is longest. A
    fifth of the rate at which a typical lag loses is therefore given back before the
    best is chosen, and all of it before asking how clearly the best stands out.

    Parameters
    ----------
    evidence : Evidence
        Evidence per block and lag.
    no_match : float
        Log prior odds of "sound and lips do not belong together" against all
        lags together.
    zero_lag_s : float
        Lag that the model shows for clips in sync; taken off.
    speech_s : float
        Seconds of speech heard while the lips were seen.
    calibration : LagCalibration
        Turns the posterior into a confidence.
    frame_period_s : float, optional
        Seconds from one picture to the next; widens the interval where they are long.

    Returns
    -------
    Alignment
        The lag with its interval, confidence and path.
    """
    total = evidence.total
    overlap = _overlap_rows(evidence)
    rate = _mismatch_rate(total, overlap)
    lags_s = evidence.lags_s - zero_lag_s
    score = total - LAG_FRACTION * rate * overlap
    best = int(np.argmax(score))
    lag_s = sub_frame_peak(lags_s, score, best)
    close = float(_softmax(total - rate * overlap)[np.abs(lags_s - lag_s) <= CLOSE_S].sum())
    log_odds = match_log_odds(total, no_match)
    match = 0.5 * (1.0 + float(np.tanh(0.5 * log_odds)))
    overlap_s = float(overlap[best] * (lags_s[1] - lags_s[0]))
    # The true lag may lie beyond an edge, and then nothing here is close to it.
    at_edge = best <= 1 or best >= len(total) - 2
    confidence = 0.0 if at_edge else calibration.confidence(close, log_odds, overlap_s)
    curve = LagCurve(lags_s, score, _softmax(score) * match)
    return Alignment(
        audio_lag_s=lag_s,
        interval_s=confidence_interval(
            curve, lag_s, confidence, calibration, frame_period_s=frame_period_s
        ),
        confidence=confidence,
        at_edge=at_edge,
        path=_rigid_path(evidence, best),
        agreement=FeatureStream(
            evidence.values[:, best, None].astype(np.float32),
            evidence.times_s,
            evidence.used,
            "agreement",
        ),
        curve=curve,
        speech_s=speech_s,
        diagnostics={
            "mass_within_40_ms": close,
            "match_log_odds": log_odds,
            "match_probability": calibration.match_probability(log_odds, overlap_s),
            "evidence": float(total[best]),
            "overlap_s": overlap_s,
        },
    )


def confidence_interval(
    curve: LagCurve,
    lag_s: float,
    confidence: float,
    calibration: LagCalibration,
    *,
    frame_period_s: float = 0.0,
) -> tuple[float, float]:
    """Compute the 95 % interval of a lag.

    No clock tells which instant of the time that a picture stands for it shows. It is its
    own time where other pictures were left out, half a picture before it for a camera that
    exposes that long, and half a picture after it for converters of frame rates, which take
    the middle of the time until the next. The interval reaches that much further, less what
    pictures of 50 ms have taught the calibration.

    Parameters
    ----------
    curve : LagCurve
        Evidence over lags.
    lag_s : float
        The estimate.
    confidence : float
        Calibrated probability that it is within 40 ms.
    calibration : LagCalibration
        Scale and least width of the interval.
    frame_period_s : float, optional
        Seconds from one picture to the next.

    Returns
    -------
    tuple of float
        Lower and upper end in seconds.
    """
    lags_s = curve.lags_s
    fine = np.arange(lags_s[0], lags_s[-1] + FINE_STEP_S / 2, FINE_STEP_S)
    lower, upper = tempered_interval(
        fine, _interpolate(fine, lags_s, curve.score), lag_s, confidence
    )
    least = calibration.smallest_half_width_s
    instant_s = max(0.0, frame_period_s - _CALIBRATED_FRAME_PERIOD_S) / 2
    return (
        lag_s - max(calibration.interval_scale * (lag_s - lower), least) - instant_s,
        lag_s + max(calibration.interval_scale * (upper - lag_s), least) + instant_s,
    )


def in_sync_probability(alignment: Alignment) -> float:
    """Weigh "the file is in sync as it is" against a lag anywhere in the range.

    A lag that is found in noise is often one of many that fit by chance. Beforehand the
    file is held to be as likely in sync as not, and then at any lag of the range; the
    evidence decides between the two, taken at its word. An interval that holds 0 says
    less: where two lags compete, it reaches from one to the other over all between.

    Parameters
    ----------
    alignment : Alignment
        A lag and the evidence for every other.

    Returns
    -------
    float
        The posterior probability, in 0..1. In sync are lags of up to 45 ms that are
        nearer to 0 than to the lag.

    References
    ----------
    R. E. Kass, A. E. Raftery, "Bayes factors", Journal of the American Statistical
    Association 90, 1995.
    """
    lags_s, score = np.abs(alignment.curve.lags_s), alignment.curve.score
    near_s = max(min(_IN_SYNC_S, abs(alignment.audio_lag_s) / 2), float(lags_s.min()))
    likelihood = np.exp(score - score.max())
    in_sync = _IN_SYNC_PRIOR * float(likelihood[lags_s <= near_s].mean())
    moved = (1.0 - _IN_SYNC_PRIOR) * float(likelihood.mean())
    return in_sync / (in_sync + moved)


def may_be_in_sync(alignment: Alignment) -> bool:
    """Say whether a file had better be left as it is, whatever lag fits best.

    Parameters
    ----------
    alignment : Alignment
        As for `in_sync_probability`.

    Returns
    -------
    bool
        True where being in sync is at least as likely as a lag.
    """
    return in_sync_probability(alignment) >= 0.5


def sub_frame_peak(lags_s: NDArray[np.float64], total: NDArray[np.float64], best: int) -> float:
    """Place the peak between rows, at the vertex of the parabola through its neighbours.

    Parameters
    ----------
    lags_s : ndarray of shape (L,), float64
        Lags, evenly spaced.
    total : ndarray of shape (L,), float64
        Evidence for each.
    best : int
        Index of the largest evidence.

    Returns
    -------
    float
        The lag in seconds.
    """
    if not 0 < best < len(total) - 1:
        return float(lags_s[best])
    left, middle, right = total[best - 1 : best + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(lags_s[best] + shift * (lags_s[1] - lags_s[0]))


def _interpolate(
    fine: NDArray[np.float64], lags_s: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cubic interpolation (Catmull and Rom 1974) of the evidence curve."""
    period = lags_s[1] - lags_s[0]
    position = np.clip((fine - lags_s[0]) / period, 0, len(total) - 1)
    left = np.minimum(position.astype(int), len(total) - 2)
    x = position - left
    padded = np.concatenate([total[:1], total, total[-1:]])
    a, b, c, d = (padded[left + offset] for offset in range(4))
    result: NDArray[np.float64] = b + 0.5 * x * (
        c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a))
    )
    return result


def _overlap_rows(evidence: Evidence) -> NDArray[np.int64]:
    """Rows in which sound and lips overlap at each lag."""
    shifts = evidence.first_shift + np.arange(len(evidence.lags_s))
    lips, audio = (
        [
            (int(indices[part.start]), int(indices[part.stop - 1]) + 1)
            for part in _parts(indices)
        ]
        for indices in (evidence.lip_indices, evidence.audio_indices)
    )
    overlap = np.zeros(len(shifts), np.int64)
    for begin, end in lips:
        reach = begin + shifts[0], end + shifts[-1]
        for first, last in audio:
            if first < reach[1] and last > reach[0]:
                both = np.minimum(end, last - shifts) - np.maximum(begin, first - shifts)
                overlap += np.maximum(both, 0)
    return overlap


def _parts(indices: NDArray[np.int64]) -> list[slice]:
    return split_at_pauses(indices.astype(np.float64), 1.0)


def _mismatch_rate(total: NDArray[np.float64], overlap: NDArray[np.int64]) -> float:
    """Evidence per row at a typical, so wrong, lag; never above 0."""
    enough = overlap >= BLOCK_ROWS
    if not enough.any():
        return 0.0
    return min(0.0, float(np.median(total[enough] / overlap[enough])))


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(scores - scores.max())
    result: NDArray[np.float64] = weights / weights.sum()
    return result


def _rigid_path(evidence: Evidence, best: int) -> NDArray[np.int32]:
    """Rows of the lip grid against rows of the audio grid along the diagonal."""
    shift = evidence.first_shift + best
    _, lips, audio = np.intersect1d(
        evidence.lip_indices + shift,
        evidence.audio_indices,
        assume_unique=True,
        return_indices=True,
    )
    return np.stack([lips, audio], axis=1).astype(np.int32)
