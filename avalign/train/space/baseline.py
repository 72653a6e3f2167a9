"""Fit the baseline: linear or kernel CCA of sound and lip frames, without torch.

Any learnt space has to beat it. Clips are not trusted to be in sync: the space is fitted,
each clip's own lag is measured with it, the mean over speakers is taken as zero, and the
space is fitted again on the pairs that these lags make.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.data import load_clips
from avalign.errors import ParameterError
from avalign.space import AUDIO_RATE_HZ, CCA, FrameSpace, KernelCCA, audio_frames, lip_frames
from avalign.train.space.own_lag import own_lag_s, speaker_balanced_mean
from avalign.types import usable

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from avalign.data import Manifest, ManifestRow
    from avalign.types import ClipStreams, FeatureStream, LipStream

ROLES = ("in_sync", "in_sync_unverified")
SHORTEST_S = 0.8


@dataclass(frozen=True, slots=True)
class BaselinePlan:
    """How the baseline is fitted; defaults chosen on training speakers left out in turn.

    Parameters
    ----------
    kernel : bool
        Map the sound to random Fourier features first.
    n_components : int
        Canonical pairs.
    n_features : int
        Random Fourier features.
    regularisation : float
        Fraction by which covariances are shrunk.
    rounds : int
        Fits; between them the clips' own lags are measured again.
    read_weight : float
        Weight of a row of read sentences (GRID) against one of natural speech.
    clips_per_speaker : int
        Most clips of one speaker, drawn at random.
    seed : int
        Same seed, same space.
    """

    kernel: bool = True
    n_components: int = 8
    n_features: int = 1200
    regularisation: float = 0.5
    rounds: int = 6
    read_weight: float = 0.3
    clips_per_speaker: int = 40
    seed: int = 0


@dataclass(frozen=True, slots=True)
class BaselineClip:
    """The audio and the largest face of one clip."""

    speaker: str
    weight: float  # of each of its rows
    mfcc: FeatureStream
    lips: LipStream
    lips_valid: NDArray[np.bool_]  # bool [T], rows of `lips` that can be used


def train_baseline(
    manifest: Manifest,
    *,
    plan: BaselinePlan | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> FrameSpace:
    """Fit the baseline on the rows of a manifest that weights may be learnt from.

    Parameters
    ----------
    manifest : Manifest
        Clips; rows of the split ``train`` with ``weights_ok`` that are in sync or
        believed to be.
    plan : BaselinePlan, optional
        How to fit.
    cache_dir : path-like, optional
        Where extracted clips are cached.

    Returns
    -------
    FrameSpace
        The space.

    Raises
    ------
    ParameterError
        If there is nothing to learn from.
    """
    plan = BaselinePlan() if plan is None else plan
    rows = _draw(manifest.select(split="train", role=ROLES, weights_ok=True), plan)
    clips = []
    for loaded in load_clips(rows, cache_dir=cache_dir):
        if loaded.clip is None:
            continue
        row = loaded.row
        weight = plan.read_weight if row.dataset == "grid" else 1.0
        clip = baseline_clip(loaded.clip.streams, row.speaker or row.path.name, weight)
        if clip is not None:
            clips.append(clip)
    return fit_baseline(clips, plan)


def _draw(rows: Iterable[ManifestRow], plan: BaselinePlan) -> list[ManifestRow]:
    """Keep some clips of each speaker who has many; rows without a speaker are all kept."""
    by_speaker: dict[str, list[ManifestRow]] = defaultdict(list)
    for row in rows:
        by_speaker[row.speaker or str(row.path)].append(row)
    random = np.random.default_rng(plan.seed)
    kept = []
    for of_speaker in by_speaker.values():
        count = min(len(of_speaker), plan.clips_per_speaker)
        drawn = random.choice(len(of_speaker), count, replace=False)
        kept += [of_speaker[number] for number in sorted(drawn)]
    return kept


def baseline_clip(streams: ClipStreams, speaker: str, weight: float) -> BaselineClip | None:
    """Take what the baseline learns from out of a clip; None without audio or enough face."""
    if not streams.lips or not streams.mfcc.valid.any():
        return None
    face = streams.lips[0]
    lips_valid = usable(face)
    times_s = face.times_s[lips_valid]
    if len(times_s) < 2 or times_s[-1] - times_s[0] < SHORTEST_S:
        return None
    return BaselineClip(speaker, weight, streams.mfcc, face, lips_valid)


def fit_baseline(clips: Sequence[BaselineClip], plan: BaselinePlan | None = None) -> FrameSpace:
    """Fit the space and the clips' own lags in turn; its zero is the mean of the speakers."""
    if not clips:
        raise ParameterError(
            "no clip to learn from", "give the manifest rows with split=train and role=in_sync"
        )
    plan = BaselinePlan() if plan is None else plan
    frames = [
        (audio_frames(clip.mfcc), lip_frames(clip.lips, clip.lips_valid)) for clip in clips
    ]
    own_lags_s = np.zeros(len(clips))
    zero_s = 0.0
    for _ in range(plan.rounds):
        pairs = [
            _pair(audio, lips, lag_s - zero_s)
            for (audio, lips), lag_s in zip(frames, own_lags_s, strict=True)
        ]
        weights = [
            np.full(len(audio), clip.weight)
            for clip, (audio, _) in zip(clips, pairs, strict=True)
        ]
        space = FrameSpace(
            _new_model(plan).fit(
                np.concatenate([audio for audio, _ in pairs]),
                np.concatenate([lips for _, lips in pairs]),
                np.concatenate(weights),
            )
        )
        own_lags_s = np.array(
            [own_lag_s(space, clip.mfcc, clip.lips, clip.lips_valid) for clip in clips]
        )
        zero_s = speaker_balanced_mean([clip.speaker for clip in clips], own_lags_s)
    return replace(space, zero_lag_s=zero_s)


def _new_model(plan: BaselinePlan) -> CCA:
    if not plan.kernel:
        return CCA(plan.n_components, regularisation=plan.regularisation)
    return KernelCCA(
        plan.n_components,
        n_features=plan.n_features,
        regularisation=plan.regularisation,
        seed=plan.seed,
    )


def _pair(
    audio: FeatureStream, lips: FeatureStream, lag_s: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows of sound and lips that belong together at a lag."""
    audio_s = lips.times_s + lag_s
    rows = np.rint((audio_s - audio.times_s[0]) * AUDIO_RATE_HZ).astype(int)
    inside = lips.valid & (rows >= 0) & (rows < len(audio))
    inside[inside] = audio.valid[rows[inside]]
    return audio.values[rows[inside]], lips.values[inside]
