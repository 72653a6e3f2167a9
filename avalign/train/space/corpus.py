"""Clips as one block of rows on uniform clocks, from which training draws its windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.audio import log_mel
from avalign.space import to_uniform
from avalign.types import FeatureStream, usable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from avalign.data import SourceClip

LIP_RATE_HZ = 50.0
AUDIO_RATE_HZ = 100.0
_SHORTEST_S = 0.8


@dataclass(frozen=True, slots=True)
class TrainingClip:
    """One face and its audio, on clocks that start together."""

    name: str
    speaker: str  # speakers are drawn evenly, up to a root of what they say
    group: str  # "natural", "read" (one sentence each) or "mass" (one speaker)
    anchors: bool  # near sync: takes part in the zero of lags
    log_mel: NDArray[np.float32]  # float32 [2 * T, 40], 100 rows per second
    audio_valid: NDArray[np.bool_]  # bool [2 * T], rows of `log_mel` that exist
    speech: NDArray[np.float32]  # float32 [2 * T], probability
    lips: NDArray[np.float32]  # float32 [T, 123], 50 rows per second
    lips_valid: NDArray[np.bool_]  # bool [T], rows of `lips` that can be used

    def __len__(self) -> int:
        return len(self.lips)


def training_clip(
    clip: SourceClip, name: str, speaker: str, group: str, *, anchors: bool
) -> TrainingClip | None:
    """Put a clip's largest face and its audio on common clocks; None with too little face."""
    if not clip.streams.lips or len(clip.audio.samples) < clip.audio.sample_rate_hz // 10:
        return None
    face = clip.streams.lips[0]
    rows = FeatureStream(face.values, face.times_s, usable(face), face.kind)
    lips, lips_valid, start_s = to_uniform(rows, LIP_RATE_HZ)
    if np.count_nonzero(lips_valid) < _SHORTEST_S * LIP_RATE_HZ:
        return None
    wanted = start_s + np.arange(2 * len(lips)) / AUDIO_RATE_HZ
    bands = log_mel(clip.audio)
    audio_valid = (wanted >= bands.times_s[0]) & (wanted <= bands.times_s[-1])
    return TrainingClip(
        name,
        speaker,
        group,
        anchors,
        _at(wanted, bands),
        audio_valid,
        _at(wanted, clip.streams.speech)[:, 0],
        lips,
        lips_valid,
    )


def _at(wanted: NDArray[np.float64], stream: FeatureStream) -> NDArray[np.float32]:
    columns = [np.interp(wanted, stream.times_s, column) for column in stream.values.T]
    return np.stack(columns, axis=1).astype(np.float32)


class Corpus:
    """All clips end to end, so that a batch of windows is one indexing."""

    def __init__(self, clips: Sequence[TrainingClip]) -> None:
        self.clips = tuple(clips)
        self.lengths = np.array([len(clip) for clip in clips])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.log_mel = np.concatenate([clip.log_mel for clip in clips])
        self.audio_valid = np.concatenate([clip.audio_valid for clip in clips])
        self.speech = np.concatenate([clip.speech for clip in clips])
        self.lips = np.concatenate([clip.lips for clip in clips])
        self.lips_valid = np.concatenate([clip.lips_valid for clip in clips])

    def probabilities(self, fractions: Mapping[str, float]) -> NDArray[np.float64]:
        """Compute the chance of each clip to be drawn: float64 [clips].

        It is the root of its length, within its group's fraction; absent groups leave theirs to
        the others.
        """
        weights = np.sqrt(np.minimum(self.lengths, 30 * LIP_RATE_HZ))
        groups = np.array([clip.group for clip in self.clips])
        for group in set(groups):
            members = groups == group
            weights[members] *= fractions.get(group, 0.0) / weights[members].sum()
        result: NDArray[np.float64] = weights / weights.sum()
        return result

    def lip_components(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compute principal components [123, count] of lips, and their scale [count]."""
        moves = [
            (clip.lips[clip.lips_valid] - clip.lips[clip.lips_valid].mean(axis=0))[:1500]
            for clip in self.clips
            if clip.group != "mass"
        ]
        rows = np.concatenate(moves)
        _, _, directions = np.linalg.svd(rows, full_matrices=False)
        # A sign is free: fix it, so that the same data give the same model.
        largest = np.abs(directions).argmax(axis=1)
        directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
        components = directions[:count].T.astype(np.float32)
        return components, (rows @ components).std(axis=0).astype(np.float32)

    def mfcc_scale(self, basis: NDArray[np.float32]) -> NDArray[np.float32]:
        """Measure the deviation of MFCC from the clip's mean: [C], for a basis [40, C]."""
        moves = [
            clip.log_mel[clip.audio_valid] - clip.log_mel[clip.audio_valid].mean(axis=0)
            for clip in self.clips
            if clip.group != "mass"
        ]
        return (np.concatenate(moves) @ basis).std(axis=0).astype(np.float32)
