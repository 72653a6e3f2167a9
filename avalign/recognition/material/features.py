"""The kinds of features that recognisers read, and how they are computed from a clip."""

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

# Rows per second on the clock on which fusion sees all streams.
RATE_HZ = 50.0


@dataclass(frozen=True, slots=True)
class Feature:
    """A kind of row that a model may read."""

    source: str  # "sound", "face" or "text"
    columns: int  # numbers in a row


FEATURES: Mapping[str, Feature] = {
    "mfcc": Feature("sound", 39),  # 13 coefficients, first and second derivatives
    "log_mel": Feature("sound", 80),  # 40 bands of a row of 10 ms, then of the next one
    "lip_points": Feature("face", 123),  # 40 lip points and the chin: x, y, z
    "characters": Feature("text", 39),  # see `avalign.transcript.transcript_stream`
}


def audio_features(audio: AudioStream, kind: str = "mfcc") -> FeatureStream:
    """Compute 39 columns of MFCC with deltas, or 80 of log-mel in dB (two rows side by side).

    100 rows per second, from audio at 16 kHz. Two rows of log-mel together, so that a clock
    of 50 rows per second misses none.
    """
    if kind == "mfcc":
        return mfcc(audio, deltas=2)
    if kind == "log_mel":
        return _paired(log_mel(audio))
    raise _unknown(kind)


def audio_features_batch(
    audios: Sequence[AudioStream], kind: str = "mfcc", *, device: str | None = None
) -> list[FeatureStream]:
    """Compute the rows of many sounds; on a GPU, all at once.

    Parameters
    ----------
    audios : sequence of AudioStream
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
        return [audio_features(audio, kind) for audio in audios]
    if kind == "mfcc":
        return features_in_bulk(audios, deltas=2, device=device)
    if kind == "log_mel":
        return [*map(_paired, features_in_bulk(audios, kind="log_mel", device=device))]
    raise _unknown(kind)


def _paired(bands: FeatureStream) -> FeatureStream:
    following = np.concatenate([bands.values[1:], bands.values[-1:]])
    values = np.concatenate([bands.values, following], axis=1)
    return FeatureStream(values, bands.times_s, bands.valid, "log_mel")


def _unknown(kind: str) -> ParameterError:
    return ParameterError(f"no features of sound are called {kind!r}", "choose mfcc or log_mel")


def lip_features(lips: LipStream) -> FeatureStream:
    """Make 123 columns of normalised lip points, valid where they can be read."""
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
