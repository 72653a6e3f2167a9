"""Frames that a linear or kernel CCA can compare, and the space it makes of them.

The features are made by hand: ten measures of the lips, band-passed, with their velocity
and a little context; MFCCs with the context that articulation takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.space.grid import require_lips, require_mfcc, to_uniform, uniform_stream
from avalign.space.protocol import Space
from avalign.types import FeatureStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from avalign.space.cca import CCA

RATE_HZ = 50.0
AUDIO_RATE_HZ = 100.0
MFCC_COLUMNS = 13
# Rows on either side: 80 ms of lips, every 40 ms; 240 ms of sound, every 60 ms.
LIP_CONTEXT = range(-4, 5, 2)
AUDIO_CONTEXT = range(-24, 25, 6)
# Lips move no faster than the upper edge; below the lower one it is the face that changes.
BAND_HZ = (0.5, 10.0)
# Brings velocities to the scale of the measures, so that shrinkage treats them alike.
VELOCITY_ROWS = 3.0
# A pair that agrees better than this on the training data would outweigh all others.
LARGEST_CORRELATION = 0.95

# Indices in a ring of 20 lip points: corner, middle of the lower lip, corner, of the upper.
_LEFT, _LOWER, _RIGHT, _UPPER = 0, 5, 10, 15


def lip_measures(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure the mouth in rows of a lip stream: float32 [T, 123] to [T, 10].

    Outer and inner height, outer and inner width, outer and inner area, height of the chin,
    protrusion, heights of the upper and the lower lip; in units of the lip stream.
    """
    points = values.reshape(len(values), 41, 3)
    outer, inner, chin = points[:, :20], points[:, 20:40], points[:, 40]
    # Three points of the lower lip, and those of the upper lip above them.
    beside = np.arange(-1, 2)
    openings = inner[:, _LOWER + beside, 1] - inner[:, _UPPER - beside, 1]
    corners, middles = outer[:, [_LEFT, _RIGHT], 2], outer[:, [_LOWER, _UPPER], 2]
    return np.stack(
        [
            outer[:, _LOWER, 1] - outer[:, _UPPER, 1],
            openings.mean(axis=1),
            outer[:, _RIGHT, 0] - outer[:, _LEFT, 0],
            inner[:, _RIGHT, 0] - inner[:, _LEFT, 0],
            _area(outer),
            _area(inner),
            chin[:, 1],
            middles.mean(axis=1) - corners.mean(axis=1),
            inner[:, _UPPER, 1] - outer[:, _UPPER, 1],
            outer[:, _LOWER, 1] - inner[:, _LOWER, 1],
        ],
        axis=1,
    )


def _area(ring: NDArray[np.float32]) -> NDArray[np.float32]:
    """Area inside a ring of points (T, P, 3), by the shoelace formula."""
    x, y = ring[..., 0], ring[..., 1]
    doubled = (x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1)
    return np.abs(doubled) / 2


def lip_frames(lips: FeatureStream, usable: NDArray[np.bool_] | None = None) -> FeatureStream:
    """Turn a lip stream into frames: measures and their velocity in +-80 ms.

    Parameters
    ----------
    lips : FeatureStream
        A lip stream: 123 columns, any frame rate.
    usable : ndarray of shape (T,), bool, optional
        Rows to use; default all valid ones.

    Returns
    -------
    FeatureStream
        ``"frames"``, 100 columns, 50 rows per second from the first row that can be
        used; 0 where not valid.

    Raises
    ------
    ParameterError
        If the stream has the wrong number of columns.
    """
    require_lips(lips)
    valid = lips.valid if usable is None else lips.valid & usable
    measures = FeatureStream(lip_measures(lips.values), lips.times_s, valid, lips.kind)
    values, valid, start_s = to_uniform(measures, RATE_HZ)
    moves = _standardise(_band_pass(_bridge(values, valid)), valid)
    velocity = np.gradient(moves, axis=0) if len(moves) > 1 else np.zeros_like(moves)
    rows = np.concatenate([moves, VELOCITY_ROWS * velocity], axis=1)
    return _add_context(rows, valid, start_s, LIP_CONTEXT, RATE_HZ)


def audio_frames(mfcc: FeatureStream) -> FeatureStream:
    """Turn an MFCC stream into frames: 13 standardised coefficients in +-240 ms.

    Parameters
    ----------
    mfcc : FeatureStream
        MFCCs, 13 columns or more.

    Returns
    -------
    FeatureStream
        ``"frames"``, 117 columns, 100 rows per second; 0 where not valid.

    Raises
    ------
    ParameterError
        If the stream has too few columns.
    """
    require_mfcc(mfcc, MFCC_COLUMNS)
    values, valid, start_s = to_uniform(mfcc, AUDIO_RATE_HZ)
    rows = _standardise(values[:, :MFCC_COLUMNS], valid)
    return _add_context(rows, valid, start_s, AUDIO_CONTEXT, AUDIO_RATE_HZ)


def _bridge(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Draw straight lines over rows that are not valid, so that no filter rings there."""
    if valid.all():
        return values
    rows = np.arange(len(values))
    columns = [np.interp(rows, rows[valid], column[valid]) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float32)


def _band_pass(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Filter forward and backward with a Butterworth filter of order 2, ends mirrored."""
    if len(values) < 2:
        return values
    mirrored = np.concatenate([values, values[::-1]])
    spectrum = np.fft.rfft(mirrored, axis=0)
    low_hz, high_hz = BAND_HZ
    hz = np.fft.rfftfreq(len(mirrored), 1 / RATE_HZ)[1:]
    off_centre = (hz**2 - low_hz * high_hz) / (hz * (high_hz - low_hz))
    gain = np.concatenate([[0.0], 1.0 / (1.0 + off_centre**4)])
    filtered = np.fft.irfft(spectrum * gain[:, None], len(mirrored), axis=0)
    return filtered[: len(values)].astype(np.float32)


def _standardise(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Centre and scale each column over its valid rows; the others become 0."""
    if not valid.any():
        return np.zeros_like(values)
    used = values[valid]
    scale = used.std(axis=0) + np.float32(1e-6)
    return np.where(valid[:, None], (values - used.mean(axis=0)) / scale, np.float32(0))


def _add_context(
    rows: NDArray[np.float32],
    valid: NDArray[np.bool_],
    start_s: float,
    context: Sequence[int],
    rate_hz: float,
) -> FeatureStream:
    """Put the rows around each row beside it; beyond the ends, the ends."""
    indices = np.arange(len(rows))
    around = [rows[np.clip(indices + step, 0, len(rows) - 1)] for step in context]
    values = np.concatenate(around, axis=1) * valid[:, None]
    return uniform_stream(values, valid, start_s, rate_hz, "frames")


@dataclass(frozen=True, slots=True)
class FrameSpace(Space):
    """A space in which frames of sound and lips are compared by their canonical scores.

    Where a pair of scores is jointly Gaussian with correlation rho, what their product
    adds to the log odds of belonging together is ``rho / (1 - rho**2)`` times the
    product; pairs are weighted by that.

    Parameters
    ----------
    model : CCA
        Fitted on sound frames as X and lip frames as Y.
    zero_lag_s : float
        Lag the space shows on average for clips in sync, to be taken off estimates.
    no_match : float
        Log prior odds of "sound and lips do not belong together" against all lags.
    """

    model: CCA
    zero_lag_s: float = 0.0
    no_match: float = 0.0

    def embed_audio(self, mfcc: FeatureStream) -> FeatureStream:  # noqa: D102 (as in `Space`)
        frames = audio_frames(mfcc)
        every = slice(None, None, round(AUDIO_RATE_HZ / RATE_HZ))
        scores = self.model.transform(X=frames.values[every])
        return _embedding(scores, frames, every)

    def embed_lips(  # noqa: D102 (as in `Space`)
        self, lips: FeatureStream, usable: NDArray[np.bool_] | None = None
    ) -> FeatureStream:
        frames = lip_frames(lips, usable)
        correlations = np.minimum(self.model.correlations_, LARGEST_CORRELATION)
        weights = correlations / (1.0 - correlations**2)
        return _embedding(self.model.transform(Y=frames.values) * weights, frames)


def _embedding(
    scores: NDArray[np.float64], frames: FeatureStream, every: slice = slice(None)
) -> FeatureStream:
    valid = frames.valid[every]
    values = (scores * valid[:, None]).astype(np.float32)
    return FeatureStream(values, frames.times_s[every], valid, "embedding")
