"""Measure the lag that a clip has by itself."""

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

# A clip's own lag is looked for within this.
OWN_LAG_S = 0.2


def own_lag_s(
    space: Space,
    mfcc: FeatureStream,
    lips: FeatureStream,
    usable: NDArray[np.bool_] | None = None,
) -> float:
    """Measure the lag of a clip by itself, within 0.2 s; the space's zero is not taken off."""
    audio, mouth = space.embed_audio(mfcc), space.embed_lips(lips, usable)
    evidence = gather_evidence(audio, mouth, OWN_LAG_S)
    total = evidence.total
    return sub_frame_peak(evidence.lags_s, total, int(np.argmax(total)))


def speaker_balanced_mean(speakers: Iterable[str], values: NDArray[np.float64]) -> float:
    """Average the speakers' means of values float64 [N]; 0 of nothing."""
    by_speaker: dict[str, list[float]] = defaultdict(list)
    for speaker, value in zip(speakers, values, strict=True):
        by_speaker[speaker].append(float(value))
    if not by_speaker:
        return 0.0
    return float(np.mean([np.mean(of_speaker) for of_speaker in by_speaker.values()]))
