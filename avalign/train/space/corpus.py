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

__all__ = ["Corpus", "TrainingClip", "training_clip"]

LIP_RATE_HZ = 50.0
AUDIO_RATE_HZ = 100.0
_SHORTEST_S = 0.8


@dataclass(frozen=True, slots=True)
class TrainingClip:
    """One face and its sound, on clocks that start together.

    Parameters
    ----------
    name : str
        The clip.
    speaker : str
        Who speaks; speakers share the draws evenly, up to a root of what they say.
    group : str
        ``"natural"``, ``"read"`` (many speakers, one sentence each) or ``"mass"``
        (very many sentences of one speaker).
    anchors : bool
        The clip is known to be near sync and takes part in the zero of lags.
    log_mel : ndarray of shape (2 * T, 40), float32
        Log-mel bands, 100 rows per second.
    heard : ndarray of shape (2 * T,), bool
        Rows of `log_mel` that exist.
    speech : ndarray of shape (2 * T,), float32
        Probability of speech.
    lips : ndarray of shape (T, 123), float32
        Normalised lip points, 50 rows per second.
    seen : ndarray of shape (T,), bool
        Rows of `lips` that can be used.
    """

    name: str
    speaker: str
    group: str
    anchors: bool
    log_mel: NDArray[np.float32]
    heard: NDArray[np.bool_]
    speech: NDArray[np.float32]
    lips: NDArray[np.float32]
    seen: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.lips)


def training_clip(
    clip: SourceClip, name: str, speaker: str, group: str, *, anchors: bool
) -> TrainingClip | None:
    """Put a clip's largest face and its sound on common clocks.

    Parameters
    ----------
    clip : SourceClip
        Streams and samples.
    name, speaker, group : str
        As in `TrainingClip`.
    anchors : bool
        As in `TrainingClip`.

    Returns
    -------
    TrainingClip or None
        None if there is no face or too little of it.
    """
    if not clip.streams.lips or len(clip.audio.samples) < clip.audio.sample_rate_hz // 10:
        return None
    face = clip.streams.lips[0]
    rows = FeatureStream(face.values, face.times_s, usable(face), face.kind)
    lips, seen, start_s = to_uniform(rows, LIP_RATE_HZ)
    if np.count_nonzero(seen) < _SHORTEST_S * LIP_RATE_HZ:
        return None
    wanted = start_s + np.arange(2 * len(lips)) / AUDIO_RATE_HZ
    bands = log_mel(clip.audio)
    heard = (wanted >= bands.times_s[0]) & (wanted <= bands.times_s[-1])
    return TrainingClip(
        name,
        speaker,
        group,
        anchors,
        _at(wanted, bands),
        heard,
        _at(wanted, clip.streams.speech)[:, 0],
        lips,
        seen,
    )


def _at(wanted: NDArray[np.float64], stream: FeatureStream) -> NDArray[np.float32]:
    columns = [np.interp(wanted, stream.times_s, column) for column in stream.values.T]
    return np.stack(columns, axis=1).astype(np.float32)


class Corpus:
    """All clips end to end, so that a batch of windows is one indexing.

    Parameters
    ----------
    clips : sequence of TrainingClip
        What to learn from.
    """

    def __init__(self, clips: Sequence[TrainingClip]) -> None:
        self.clips = tuple(clips)
        self.lengths = np.array([len(clip) for clip in clips])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.log_mel = np.concatenate([clip.log_mel for clip in clips])
        self.heard = np.concatenate([clip.heard for clip in clips])
        self.speech = np.concatenate([clip.speech for clip in clips])
        self.lips = np.concatenate([clip.lips for clip in clips])
        self.seen = np.concatenate([clip.seen for clip in clips])

    def probabilities(self, shares: Mapping[str, float]) -> NDArray[np.float64]:
        """Chance of each clip to be drawn: the root of its length, within its group's share.

        Parameters
        ----------
        shares : mapping of str to float
            Share of the windows drawn from each group; groups that are absent
            leave theirs to the others.

        Returns
        -------
        ndarray of shape (clips,), float64
            The chances; their sum is 1.
        """
        weights = np.sqrt(np.minimum(self.lengths, 30 * LIP_RATE_HZ))
        groups = np.array([clip.group for clip in self.clips])
        for group in set(groups):
            members = groups == group
            weights[members] *= shares.get(group, 0.0) / weights[members].sum()
        result: NDArray[np.float64] = weights / weights.sum()
        return result

    def lip_components(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Principal components of how lips move about their clip's mean.

        Parameters
        ----------
        count : int
            Components wanted.

        Returns
        -------
        components : ndarray of shape (123, count), float32
            Orthonormal columns.
        scale : ndarray of shape (count,), float32
            Standard deviation along each.
        """
        moves = [
            (clip.lips[clip.seen] - clip.lips[clip.seen].mean(axis=0))[:1500]
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
        """Measure how far each MFCC strays from its clip's mean.

        Parameters
        ----------
        basis : ndarray of shape (40, C)
            Cosine transform from log-mel bands to MFCC.

        Returns
        -------
        ndarray of shape (C,), float32
            The scale.
        """
        moves = [
            clip.log_mel[clip.heard] - clip.log_mel[clip.heard].mean(axis=0)
            for clip in self.clips
            if clip.group != "mass"
        ]
        return (np.concatenate(moves) @ basis).std(axis=0).astype(np.float32)
