"""One lag and one pace for two whole recordings, however far apart they start.

A speaker who reads a line again reads all of it a little slower or faster. One lag does not
fit such a take, however well it fits: evidence is gathered along lines of several slopes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import NoAnswerError
from avalign.types import LagCurve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.types import FeatureStream

# Film at the pace of television, and powers of it down to 3/4 and up to 4/3; 1 comes first.
PACES = tuple((25 / 24) ** power for power in sorted(range(-7, 8), key=abs))
# The lag wanders: evidence is gathered over lags this far apart.
_SPREAD_S = 0.2
# Overlaps shorter than this are judged as if they were this long.
_SHORTEST_OVERLAP_S = 2.0
# Pieces that are searched by themselves: half a piece apart, and no more than this many,
# so that long recordings take no longer than it takes to find one lag for them.
_PIECE_S = 6.0
_MOST_PIECES = 24
# A lag of a piece that stands out so far is no chance; foreign pieces reach about 4.
_CERTAIN_SCORE = 6.0


def best_pace(
    reference: FeatureStream, other: FeatureStream, max_lag_s: float
) -> tuple[float, LagCurve]:
    """Find the pace, one of `PACES`, at which one lag stands out most, and its lags.

    The pace is in seconds of `other` per second of `reference`.
    """
    curves = (
        (pace, lag_curve(reference, resample_at_pace(other, pace), max_lag_s)) for pace in PACES
    )
    return max(curves, key=lambda found: float(found[1].score.max()))


def lag_band(
    reference: FeatureStream,
    other: FeatureStream,
    centre_s: float,
    *,
    reach_s: float,
    widest_s: float,
) -> tuple[float, float]:
    """Find the least and the largest lag that a path may have to reach, from pieces.

    Where something long was put in or left out, the rest lies at a lag that no path around
    the best lag of the whole, `centre_s`, would meet. `reach_s` is how far the lag may wander
    around what is found; lags further than `widest_s` from the centre are not considered.
    """
    period = float(reference.times_s[1] - reference.times_s[0])
    length = max(round(_PIECE_S / period), -(-2 * len(reference) // _MOST_PIECES))
    lags_s = [centre_s]
    for first in range(0, max(len(reference) - length // 2, 1), length // 2):
        rows = slice(first, first + length)
        piece = replace(
            reference,
            values=reference.values[rows],
            times_s=reference.times_s[rows],
            valid=reference.valid[rows],
        )
        curve = lag_curve(piece, other, np.inf)
        best = int(np.argmax(curve.score))
        far_s = abs(float(curve.lags_s[best]) - centre_s)
        if curve.score[best] >= _CERTAIN_SCORE and far_s <= widest_s:
            lags_s.append(float(curve.lags_s[best]))
    return min(lags_s) - reach_s, max(lags_s) + reach_s


def resample_at_pace(stream: FeatureStream, pace: float) -> FeatureStream:
    """Resample a stream: at time t, what it has at ``pace * t``."""
    if pace == 1.0:
        return stream
    period = float(stream.times_s[1] - stream.times_s[0])
    positions = np.arange(int((len(stream) - 1) / pace) + 1) * pace
    before = np.minimum(positions.astype(np.intp), len(stream) - 2)
    fraction = (positions - before)[:, None].astype(np.float32)
    values = (1 - fraction) * stream.values[before] + fraction * stream.values[before + 1]
    return replace(
        stream,
        values=values,
        times_s=stream.times_s[0] / pace + period * np.arange(len(positions)),
        valid=stream.valid[np.rint(positions).astype(np.intp)],
    )


def lag_curve(reference: FeatureStream, other: FeatureStream, max_lag_s: float) -> LagCurve:
    """Sum the evidence along every diagonal at once, by the fast Fourier transform.

    Each lag scores the evidence beyond what unrelated rows give, in standard deviations of an
    even scatter; the posterior takes the scores for those of normal deviates.
    """
    a, b = reference.values, other.values
    size = 1 << (len(a) + len(b) - 2).bit_length()
    shifts = np.arange(1 - len(a), len(b))
    period = float(reference.times_s[1] - reference.times_s[0])
    lags_s = float(other.times_s[0] - reference.times_s[0]) + period * shifts

    total = _correlation(a, b, size)[shifts]
    reference_valid, other_valid = (
        stream.valid[:, None].astype(np.float32) for stream in (reference, other)
    )
    overlap = np.maximum(_correlation(reference_valid, other_valid, size)[shifts], 0.0)
    typical = (
        a.sum(axis=0) @ b.sum(axis=0) / max(reference_valid.sum() * other_valid.sum(), 1.0)
    )
    spread = np.hanning(max(1, round(_SPREAD_S / period)) + 2)
    beyond = np.convolve(
        total - typical * overlap, spread / np.linalg.norm(spread), mode="same"
    )
    score = beyond / np.sqrt(np.maximum(overlap, _SHORTEST_OVERLAP_S / period))
    near = np.abs(lags_s) <= max_lag_s
    if not near.any():
        raise NoAnswerError(
            f"the recordings are more than {max_lag_s:g} s apart",
            "cut them so that both begin at about the same words",
        )
    lags_s, score = lags_s[near], score[near]
    # The scatter of unrelated lags is that of most lags.
    score = score / max(float(np.median(np.abs(score))) / 0.6745, 1e-9)
    likelihood = np.exp(0.5 * (score.clip(min=0.0) ** 2 - score.max() ** 2))
    return LagCurve(lags_s, score, likelihood / likelihood.sum())


def _correlation(
    a: NDArray[np.float32], b: NDArray[np.float32], size: int
) -> NDArray[np.float64]:
    """Inner products summed along each diagonal; entry k pairs row i with row i + k."""
    product = np.zeros(size // 2 + 1, np.complex128)
    for left, right in zip(a.T, b.T, strict=True):
        product += np.conj(np.fft.rfft(left, size)) * np.fft.rfft(right, size)
    result: NDArray[np.float64] = np.fft.irfft(product, size)
    return result
