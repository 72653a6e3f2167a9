"""What recognition hears and sees of a clip: named feature streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.audio import log_mel, mfcc
from avalign.errors import ParameterError
from avalign.types import FeatureStream, usable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from avalign.data import SourceClip
    from avalign.types import AudioStream, LipStream

__all__ = [
    "FEATURES",
    "RATE_HZ",
    "Feature",
    "audio_features",
    "audio_features_batch",
    "clip_features",
    "lip_features",
]

# Rows per second on the clock on which fusion sees all streams.
RATE_HZ = 50.0


@dataclass(frozen=True, slots=True)
class Feature:
    """A kind of row that a model may read.

    Parameters
    ----------
    source : str
        What it is computed from: ``"sound"``, ``"face"`` or ``"text"``.
    columns : int
        Numbers in a row.
    """

    source: str
    columns: int


FEATURES: Mapping[str, Feature] = {
    "mfcc": Feature("sound", 39),  # 13 coefficients, first and second derivatives
    "log_mel": Feature("sound", 80),  # 40 bands of a row of 10 ms, then of the next one
    "lip_points": Feature("face", 123),  # 40 lip points and the chin: x, y, z
    "characters": Feature("text", 39),  # see `avalign.transcript.transcript_stream`
}


def audio_features(audio: AudioStream, kind: str = "mfcc") -> FeatureStream:
    """Compute the rows of a sound.

    Parameters
    ----------
    audio : AudioStream
        Sound at 16 kHz; 80 ms or longer for ``"mfcc"``.
    kind : {"mfcc", "log_mel"}
        ``"mfcc"``: 13 coefficients with first and second derivatives. ``"log_mel"``: 40
        bands in dB, two rows side by side, so that a clock of 50 rows per second misses
        none of them.

    Returns
    -------
    FeatureStream
        39 or 80 columns, 100 rows per second.

    Raises
    ------
    ParameterError
        If the sound is too short, at another rate, or not finite, or there is no such
        kind.
    """
    if kind == "mfcc":
        return mfcc(audio, deltas=2)
    if kind == "log_mel":
        return _paired(log_mel(audio))
    raise _unknown(kind)


def audio_features_batch(
    sounds: Sequence[AudioStream], kind: str = "mfcc", *, device: str | None = None
) -> list[FeatureStream]:
    """Compute the rows of many sounds; on a GPU, all at once.

    Parameters
    ----------
    sounds : sequence of AudioStream
        As for `audio_features`.
    kind : {"mfcc", "log_mel"}
        As for `audio_features`.
    device : str, optional
        The GPU, such as ``"cuda"``; by default each sound is computed here, in turn.

    Returns
    -------
    list of FeatureStream
        In the order of the sounds; each as of `audio_features`, within 1e-4.

    Raises
    ------
    ParameterError
        As `audio_features`.
    """
    from avalign.recognition.material.bulk_features import features_in_bulk

    if device is None:
        return [audio_features(sound, kind) for sound in sounds]
    if kind == "mfcc":
        return features_in_bulk(sounds, deltas=2, device=device)
    if kind == "log_mel":
        return [*map(_paired, features_in_bulk(sounds, kind="log_mel", device=device))]
    raise _unknown(kind)


def _paired(bands: FeatureStream) -> FeatureStream:
    following = np.concatenate([bands.values[1:], bands.values[-1:]])
    values = np.concatenate([bands.values, following], axis=1)
    return FeatureStream(values, bands.times_s, bands.valid, "log_mel")


def _unknown(kind: str) -> ParameterError:
    return ParameterError(f"no features of sound are called {kind!r}", "choose mfcc or log_mel")


def lip_features(lips: LipStream) -> FeatureStream:
    """Make rows of normalised lip points, valid where they can be read.

    Parameters
    ----------
    lips : LipStream
        One face.

    Returns
    -------
    FeatureStream
        123 columns, one row per picture; not valid where the face is lost, small or
        turned away.
    """
    readable = usable(lips)
    values = np.where(readable[:, None], lips.values, np.float32(0))
    return FeatureStream(values, lips.times_s, readable, "lips")


def clip_features(
    clip: SourceClip, streams: Mapping[str, str] | None = None, *, face: int = 0
) -> dict[str, FeatureStream]:
    """Make the streams of a clip that a model reads, each on its own clock.

    Parameters
    ----------
    clip : SourceClip
        Streams and samples, as of `avalign.data.clips.load_clip`.
    streams : mapping of str to str, optional
        Kind of features by name of the stream; by default
        ``{"audio": "mfcc", "lips": "lip_points"}``.
    face : int
        Whose lips, 0 for the largest face.

    Returns
    -------
    dict of str to FeatureStream
        Those that the clip has: without a face there are no lips.

    Raises
    ------
    ParameterError
        If a kind is not one of sound or face.
    """
    makers: dict[str, Callable[[str], FeatureStream]] = {
        "sound": lambda kind: audio_features(clip.audio, kind)
    }
    if face < len(clip.streams.lips):
        makers["face"] = lambda kind: lip_features(clip.streams.lips[face])
    found: dict[str, FeatureStream] = {}
    for name, kind in (streams or {"audio": "mfcc", "lips": "lip_points"}).items():
        if kind not in FEATURES or FEATURES[kind].source not in ("sound", "face"):
            raise ParameterError(
                f"stream {name!r}: no features of sound or face are called {kind!r}",
                "choose mfcc, log_mel or lip_points",
            )
        if FEATURES[kind].source in makers:
            found[name] = makers[FEATURES[kind].source](kind)
    return found
