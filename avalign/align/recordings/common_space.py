"""Two recordings as streams whose inner products tell what belongs together.

Sound meets lips in the shared audio-lip space. Sound meets sound there, too, because the
space keeps what is said and drops who says it and in which room; beside it stand plain
MFCC, which are sharper in time while the recordings are clean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from avalign.space import SpaceModel, frames_at, grid_indices, load_model, normalise
from avalign.types import FeatureStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Weight of MFCC rows for the scale of their training data, in `normalise`.
_PRIOR_ROWS = 50.0
# Decibels below the louder rows, 1 in 10, from which rows weigh less, and least.
_SOFT_DB, _SOFTEST_DB = 8.0, 20.0
# All pauses are alike: that two of them match says little.
_LEAST_WEIGHT = 0.2


def level_db(mfcc: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tell how loud each row is.

    Parameters
    ----------
    mfcc : ndarray of shape (T, D), float32
        MFCC.

    Returns
    -------
    ndarray of shape (T,), float32
        Mean of the mel bands, in decibels of full scale.
    """
    # The zeroth coefficient is the sum of 40 bands over the root of 40.
    return mfcc[:, 0] / np.float32(40**0.5)


def embed_to_match_lips(mfcc: FeatureStream, model: SpaceModel | None = None) -> FeatureStream:
    """Map MFCC to the shared space, where lips in sync with them have the same times."""
    model = load_model() if model is None else model
    embedded = model.embed_audio(mfcc)
    # The model shows this lag for clips in sync; taking it off puts them at 0.
    times_s = embedded.times_s - model.settings.zero_lag_s
    return FeatureStream(embedded.values, times_s, embedded.valid, embedded.kind)


def embed_to_match_audio(mfcc: FeatureStream, model: SpaceModel | None = None) -> FeatureStream:
    """Map MFCC to where two recordings of the same words lie close together.

    Half of the inner product is the cosine of the rows in the shared space, half that of
    the MFCC; both are centred. Rows are of length 1, shorter in pauses; 0 where not valid.
    """
    model = load_model() if model is None else model
    settings = model.settings
    embedded = model.embed_audio(mfcc)
    # The last two columns of each member are its bias and its mask, which say nothing of
    # the sound.
    members = embedded.values.reshape(len(embedded), settings.members, -1)
    spoken = members[:, :, : settings.dimensions].reshape(len(embedded), -1)

    values, valid = frames_at(mfcc, embedded.times_s)
    columns = settings.audio_columns
    cepstrum = normalise(
        values[:, :columns],
        valid,
        round(settings.normalisation_s * settings.rate_hz),
        model.weights["audio_scale"],
        _PRIOR_ROWS,
        grid_indices(embedded)[0] if len(embedded) > 1 else None,
    )
    valid = embedded.valid & valid
    weights = valid * _loudness_weights(level_db(values), valid)
    halves = [_directions(half, weights) for half in (spoken, cepstrum)]
    joined = np.concatenate(halves, axis=1) * np.float32(np.sqrt(0.5))
    return FeatureStream(joined, embedded.times_s, valid, "embedding")


def _loudness_weights(
    level_db: NDArray[np.float32], valid: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Weigh rows by how loud they are beside the loud ones, from `_LEAST_WEIGHT` to 1."""
    loud_db = np.percentile(level_db[valid], 90) if valid.any() else 0.0
    fraction = (level_db - loud_db + _SOFTEST_DB) / (_SOFTEST_DB - _SOFT_DB)
    return np.clip(fraction, _LEAST_WEIGHT, 1.0).astype(np.float32)


def _directions(rows: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre rows around their weighted mean, and bring them to the length of their weight."""
    total = max(float(weights.sum()), 1e-6)
    centred = rows - (weights @ rows) / np.float32(total)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    result = centred * (weights[:, None] / np.maximum(lengths, 1e-6))
    return result.astype(np.float32)
