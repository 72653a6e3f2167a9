"""The signals that plots show: mouth opening, loudness, agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from avalign.reports import SyncReport
from avalign.types import Alignment, ClipStreams, FeatureStream, LipStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Upper and lower points of the inner lip, around its middle, among the 40 lip points.
INNER_UPPER = (36, 35, 34)
INNER_LOWER = (24, 25, 26)
UPDOWN = 1
# Long enough for a syllable or two; over more, nearly every moment of a match is sure.
AGREEMENT_SPAN_S = 0.8


def lip_opening(lips: LipStream) -> NDArray[np.float64]:
    """Measure the height of the inner lip in eye distances: float64 [T], NaN if not valid."""
    heights = lips.values.reshape(len(lips), -1, 3)[:, :, UPDOWN].astype(np.float64)
    opening = (heights[:, INNER_LOWER] - heights[:, INNER_UPPER]).mean(axis=1)
    return np.where(lips.valid, opening, np.nan)


def loudness(mfcc: FeatureStream) -> NDArray[np.float64]:
    """Read the zeroth cepstral coefficient: float64 [T], NaN where not valid."""
    return np.where(mfcc.valid, mfcc.values[:, 0].astype(np.float64), np.nan)


def choose_face(report: SyncReport, streams: ClipStreams) -> LipStream | None:
    """Choose the face to show: the matching one, else the best guess, else the largest."""
    from avalign.reports import best_guess

    guess = best_guess(report)
    wanted = report.face if report.face is not None or guess is None else guess.track_id
    for lips in streams.lips:
        if lips.track_id == wanted:
            return lips
    return streams.lips[0] if streams.lips else None


def smooth(
    values: NDArray[np.float64], times_s: NDArray[np.float64], width_s: float
) -> NDArray[np.float64]:
    """Average over neighbours in time with a Hann window: float64 [T]; NaN stays NaN."""
    if len(times_s) < 2:
        return values
    step_s = float(np.median(np.diff(times_s)))
    weights = np.hanning(2 * max(1, round(width_s / step_s / 2)) + 1 + 2)
    known = np.isfinite(values)
    total = np.convolve(np.where(known, values, 0.0), weights, mode="same")
    weight = np.convolve(known.astype(np.float64), weights, mode="same")
    # np.convolve gives the longer of the two; a clip can be shorter than the window.
    n = len(values)
    first = (len(total) - n) // 2
    total, weight = total[first : first + n], weight[first : first + n]
    return np.where(known, total / np.where(weight > 0, weight, 1.0), np.nan)


def unit_range(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale to 0..1, so that quiet moments are at 0 and all but the extremes below 1."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return values
    low, high = np.percentile(known, [5, 99])
    return np.clip((values - low) / max(high - low, 1e-9), 0, 1)


def busiest_span_s(
    lips: LipStream, opening: NDArray[np.float64], length_s: float
) -> tuple[float, float]:
    """Find the span in which the mouth moves most; the whole clip if it is no longer."""
    times_s = lips.times_s
    if len(times_s) == 0:
        return 0.0, length_s
    if times_s[-1] - times_s[0] <= length_s:
        return float(times_s[0]), float(times_s[-1])
    moved = np.abs(np.diff(np.nan_to_num(opening, nan=0.0), prepend=0.0))
    moved[~np.isfinite(opening) | ~np.isfinite(np.roll(opening, 1))] = 0.0
    total = np.concatenate([[0.0], np.cumsum(moved)])
    ends = np.searchsorted(times_s, times_s + length_s)
    fits = times_s + length_s <= times_s[-1]
    start = int(np.argmax(np.where(fits, total[ends] - total[:-1], -1.0)))
    return float(times_s[start]), float(times_s[start] + length_s)


def running_agreement(
    alignment: Alignment, *, span_s: float = AGREEMENT_SPAN_S
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute picture times [B] and the probability of a match around each at the lag [B].

    Probabilities are at even odds, of the evidence in `span_s` alone; NaN without lips.
    """
    stream = alignment.agreement
    if len(stream) < 2:
        return stream.times_s, np.full(len(stream), np.nan)
    period_s = float(np.median(np.diff(stream.times_s)))
    evidence = smooth(
        np.where(stream.valid, stream.values[:, 0], np.nan), stream.times_s, span_s
    )
    odds = np.exp(np.clip(evidence * span_s / period_s, -30, 30))
    return stream.times_s, odds / (1 + odds)
