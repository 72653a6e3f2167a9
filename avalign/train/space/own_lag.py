"""The lag that a clip has by itself: what training measures again and again."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from avalign.align import gather_evidence, sub_frame_peak

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from avalign.space import Space
    from avalign.types import FeatureStream

__all__ = ["OWN_LAG_S", "own_lag_s", "speaker_balanced_mean"]

# A clip's own lag is looked for within this.
OWN_LAG_S = 0.2


def own_lag_s(
    space: Space,
    mfcc: FeatureStream,
    lips: FeatureStream,
    usable: NDArray[np.bool_] | None = None,
) -> float:
    """Measure the lag a clip has by itself, as a space sees it.

    Parameters
    ----------
    space : Space
        The space.
    mfcc : FeatureStream
        The sound.
    lips : FeatureStream
        The lips of one face.
    usable : ndarray of shape (T,), bool, optional
        Rows of `lips` to use; default all valid ones.

    Returns
    -------
    float
        Lag in seconds, within plus and minus 0.2 s; the space's zero is not taken off.
    """
    audio, mouth = space.embed_audio(mfcc), space.embed_lips(lips, usable)
    evidence = gather_evidence(audio, mouth, OWN_LAG_S)
    total = evidence.total
    return sub_frame_peak(evidence.lags_s, total, int(np.argmax(total)))


def speaker_balanced_mean(speakers: Iterable[str], values: NDArray[np.float64]) -> float:
    """Mean over the speakers of each one's mean.

    Parameters
    ----------
    speakers : iterable of str
        Whose value each is.
    values : ndarray of shape (N,), float64
        One value per clip.

    Returns
    -------
    float
        The mean; 0 of nothing.
    """
    by_speaker: dict[str, list[float]] = defaultdict(list)
    for speaker, value in zip(speakers, values, strict=True):
        by_speaker[speaker].append(float(value))
    if not by_speaker:
        return 0.0
    return float(np.mean([np.mean(of_speaker) for of_speaker in by_speaker.values()]))
