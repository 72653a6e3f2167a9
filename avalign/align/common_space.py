"""Two recordings as streams whose inner products tell what belongs together.

Sound meets lips in the shared audio-lip space. Sound meets sound there, too, because the
space keeps what is said and drops who says it and in which room; beside it stand plain
MFCC, which are sharper in time while the recordings are clean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from avalign.space import SpaceModel, load_model
from avalign.space.grid import normalise, to_uniform
from avalign.types import FeatureStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["sound_beside_lips", "sound_embedding"]

# Weight of MFCC rows for the scale of their training data, in `normalise`.
_PRIOR_ROWS = 50.0


def sound_beside_lips(mfcc: FeatureStream, model: SpaceModel | None = None) -> FeatureStream:
    """Map a sound to the shared space, where lips in sync with it have the same times.

    Parameters
    ----------
    mfcc : FeatureStream
        The sound.
    model : SpaceModel, optional
        Shared space; default the shipped one.

    Returns
    -------
    FeatureStream
        ``"embedding"`` rows; inner products with those of lips are log evidence.
    """
    model = load_model() if model is None else model
    sound = model.embed_audio(mfcc)
    # The model hears clips in sync at this lag; taking it off makes them meet at 0.
    times_s = sound.times_s - model.settings.zero_lag_s
    return FeatureStream(sound.values, times_s, sound.valid, sound.kind)


def sound_embedding(mfcc: FeatureStream, model: SpaceModel | None = None) -> FeatureStream:
    """Map a sound to where two recordings of the same words lie close together.

    Half of the inner product is the cosine of the rows in the shared space, half that of
    the MFCC; both are centred.

    Parameters
    ----------
    mfcc : FeatureStream
        The sound.
    model : SpaceModel, optional
        Shared space; default the shipped one.

    Returns
    -------
    FeatureStream
        ``"embedding"`` rows of length 1; rows that are not valid are zeros.
    """
    model = load_model() if model is None else model
    settings = model.settings
    embedded = model.embed_audio(mfcc)
    # The last two columns of each member are its bias and its mask, which say nothing of
    # the sound.
    members = embedded.values.reshape(len(embedded), settings.members, -1)
    spoken = members[:, :, : settings.dimensions].reshape(len(embedded), -1)

    values, valid, _ = to_uniform(mfcc, settings.rate_hz)
    columns = settings.audio_columns
    cepstrum = normalise(
        values[:, :columns],
        valid,
        round(settings.normalisation_s * settings.rate_hz),
        model.weights["audio_scale"],
        _PRIOR_ROWS,
    )
    rows = min(len(embedded), len(cepstrum))
    valid = embedded.valid[:rows] & valid[:rows]
    halves = [_directions(half[:rows], valid) for half in (spoken, cepstrum)]
    joined = np.concatenate(halves, axis=1) * np.float32(np.sqrt(0.5))
    return FeatureStream(joined, embedded.times_s[:rows], valid, "embedding")


def _directions(rows: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Centre rows and bring them to length 1."""
    centred = (rows - rows[valid].mean(axis=0)) if valid.any() else rows
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    result = np.where(valid[:, None], centred / np.maximum(lengths, 1e-6), 0.0)
    return result.astype(np.float32)
