"""The protocol of the alignment benchmark: which pairs are aligned, and how far off.

The other recording is the clip's own sound, played at a pace that wanders smoothly by up
to a tenth: the samples are read off at the planted times, so the truth is exact (the pitch
moves along, which makes it harder, not easier). It is aligned with the sound of the clip,
as it is and behind noise and a filter, and with the lips. An error is taken every tenth of
a second at which the clip speaks; lips are graded against the planted warp moved by the
clip's own lag, frozen as for ``sync``. Foreign sound is that of another speaker.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avalign.align import (
    MATCH_CONFIDENCE,
    EmbeddedPair,
    align_pair,
    pair_audio,
    pair_lips,
)
from avalign.errors import NoAnswerError
from avalign.streams import mfcc_and_speech
from avalign.types import Alignment, AudioStream, FeatureStream, usable
from benchmarks.cases import Clip

__all__ = ["CONDITIONS", "Outcome", "PlantedWarp", "align_clip", "apply_warp", "plant_warp"]

CONDITIONS = ("sound", "noisy sound", "lips")
MOST_PACE = 0.10
PERIODS_S = (4.0, 20.0)
GRID_S = 0.1
NOISE_DB = 10.0


@dataclass(frozen=True, slots=True)
class PlantedWarp:
    """Which time of the source is heard at each time of the warped recording.

    Parameters
    ----------
    warped_s, source_s : ndarray of shape (K,), float64
        Both increasing.
    """

    warped_s: NDArray[np.float64]
    source_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of one pair.

    Parameters
    ----------
    condition : str
        ``"sound"``, ``"noisy sound"`` or ``"lips"``.
    clip, other : str
        Where the reference and the other sound come from.
    foreign : bool
        Whether the other sound is another speaker's.
    confidence : float
        Probability of the same words.
    model : str
        The model that was chosen.
    errors_ms : ndarray
        Distance from the truth at each instant of speech; empty for foreign sound.
    """

    condition: str
    clip: str
    other: str
    foreign: bool
    confidence: float
    model: str
    errors_ms: NDArray[np.float64]

    @property
    def answered(self) -> bool:
        """Whether the aligner stands by it."""
        return self.confidence >= MATCH_CONFIDENCE


def plant_warp(duration_s: float, rng: np.random.Generator) -> PlantedWarp:
    """Draw a pace that wanders smoothly, at its most a tenth fast or slow.

    Parameters
    ----------
    duration_s : float
        Length of the source.
    rng : numpy.random.Generator
        Where the draw comes from.

    Returns
    -------
    PlantedWarp
        From the start of the source to its end.
    """
    warped_s = np.arange(0.0, duration_s / (1.0 - MOST_PACE) + 1.0, 0.01)
    waves = np.zeros_like(warped_s)
    for _ in range(3):
        period_s, phase = rng.uniform(*PERIODS_S), rng.uniform(0.0, 2 * np.pi)
        waves += rng.uniform(0.3, 1.0) * np.sin(2 * np.pi * warped_s / period_s + phase)
    pace = 1.0 + MOST_PACE * waves / np.abs(waves).max()
    source_s = np.concatenate([[0.0], np.cumsum(pace[:-1] * np.diff(warped_s))])
    return PlantedWarp(warped_s, source_s)


def apply_warp(audio: AudioStream, warp: PlantedWarp) -> AudioStream:
    """Play a sound at the planted pace, by reading samples off between samples.

    Parameters
    ----------
    audio : AudioStream
        The sound.
    warp : PlantedWarp
        Times from the sound's start.

    Returns
    -------
    AudioStream
        From the same start on.
    """
    from scipy.ndimage import map_coordinates

    rate = audio.sample_rate_hz
    length_s = np.interp(audio.duration_s, warp.source_s, warp.warped_s)
    wanted_s = np.arange(int(length_s * rate)) / rate
    places = np.interp(wanted_s, warp.warped_s, warp.source_s) * rate
    samples = map_coordinates(audio.samples.astype(np.float64), places[None], mode="nearest")
    return replace(audio, samples=np.clip(samples, -1.0, 1.0).astype(np.float32))


def align_clip(clip: Clip, clips: Sequence[Clip], warps: int, seed: int) -> Iterator[Outcome]:
    """Align a clip with its own sound, warped, and with that of other speakers.

    Parameters
    ----------
    clip : Clip
        The reference.
    clips : sequence of Clip
        Where foreign sound is drawn from.
    warps : int
        How often, under each condition.
    seed : int
        Fixes the draws.

    Yields
    ------
    Outcome
        One for each pair.
    """
    rng = np.random.default_rng([seed, zlib.crc32(clip.name.encode())])
    others = [one for one in clips if one.speaker != clip.speaker]
    for _ in range(warps):
        warp = plant_warp(clip.source.audio.duration_s, rng)
        warped = apply_warp(clip.source.audio, warp)
        strange = others[rng.integers(len(others))] if others else None
        for condition in CONDITIONS:
            heard = _noisy(warped, rng) if condition == "noisy sound" else warped
            yield from _outcome(condition, clip, clip, heard, warp)
            if strange is not None:
                yield from _outcome(condition, clip, strange, strange.source.audio, None)


def _outcome(
    condition: str, clip: Clip, other: Clip, heard: AudioStream, warp: PlantedWarp | None
) -> Iterator[Outcome]:
    pair = _pair(condition, clip, mfcc_and_speech(iter([heard]))[0])
    if pair is None:
        return
    try:
        found = align_pair(pair)
    except NoAnswerError:
        yield Outcome(condition, clip.name, other.name, warp is None, 0.0, "", np.empty(0))
        return
    errors_ms = np.empty(0) if warp is None else _errors_ms(condition, clip, found, warp)
    yield Outcome(
        condition, clip.name, other.name, warp is None, found.confidence, found.model, errors_ms
    )


def _pair(condition: str, clip: Clip, heard: FeatureStream) -> EmbeddedPair | None:
    streams = clip.source.streams
    if condition != "lips":
        return pair_audio(streams.mfcc, heard)
    if not streams.lips:
        return None
    lips = max(streams.lips, key=lambda face: int(usable(face).sum()))
    return pair_lips(lips, usable(lips), heard)


def _errors_ms(
    condition: str, clip: Clip, found: Alignment, warp: PlantedWarp
) -> NDArray[np.float64]:
    """Errors at every tenth of a second at which the clip speaks and, for lips, is seen."""
    assert found.warp is not None
    audio, speech = clip.source.audio, clip.source.streams.speech
    times_s = np.arange(found.warp.reference_s[0], found.warp.reference_s[-1], GRID_S)
    # What the reference shows at a time is heard in the clip's own sound this much later.
    own_lag_s = clip.own_lag_s if condition == "lips" else 0.0
    source_s = times_s + own_lag_s - audio.start_s
    truth_s = np.interp(source_s, warp.source_s, warp.warped_s) + audio.start_s
    spoken = np.interp(times_s + own_lag_s, speech.times_s, speech.values[:, 0]) > 0.5
    inside = (source_s >= 0) & (source_s <= audio.duration_s)
    if condition == "lips":
        seen = found.agreement
        nearest = np.abs(seen.times_s[None] - times_s[:, None]).argmin(axis=1)
        inside &= seen.valid[nearest]
    graded = spoken & inside
    return 1e3 * np.abs(found.warp.to_other(times_s[graded]) - truth_s[graded])


def _noisy(audio: AudioStream, rng: np.random.Generator) -> AudioStream:
    """Another microphone: brighter, and in noise."""
    samples = audio.samples.astype(np.float64)
    bright = samples - 0.7 * np.concatenate([[0.0], samples[:-1]])
    noise = rng.normal(size=len(bright)) * bright.std() * 10 ** (-NOISE_DB / 20)
    return replace(audio, samples=np.clip(bright + noise, -1.0, 1.0).astype(np.float32))
