"""Augment utterances: noise, other faces, lost rows, missing streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from avalign.recognition.material.noise import mix_at_snr
from avalign.recognition.material.utterances import aligned_sequence
from avalign.types import AlignedSequence, AudioStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from avalign.recognition import RecognizerSettings
    from avalign.recognition.material.noise import Noise
    from avalign.recognition.material.utterances import Utterance
    from avalign.types import FeatureStream

_AXES = 3
# How far below the highest SNR the lowest begins.
_EASIEST_DB = 2.0


@dataclass(frozen=True, slots=True)
class UtteranceAugmentation:
    """How far utterances are disturbed; ranges are drawn from evenly.

    Parameters
    ----------
    noise_share : float
        Fraction of the utterances with noise.
    snr_db : tuple of float
        Lowest and highest SNR.
    easing : float
        Fraction of the epochs over which the lowest SNR falls from near the highest: with loud
        noise from the start, training fails.
    gain_db : float
        The level changes by up to this, either way.
    speed : float
        Sound and picture run faster or slower together, by up to this fraction.
    lag_s : float
        The sound is moved against the picture by up to this, either way.
    shift_s : float
        Sound and picture begin earlier or later by up to this.
    spans : int
        Spans blanked in each stream: rows that the model must guess.
    span_s : float
        Longest such span.
    bands : float
        Largest fraction of neighbouring columns blanked in streams of log-mel bands.
    lost_share : float
        Fraction of the utterances in which the face is lost for a span, and known to be.
    lost_s : float
        Longest such span.
    affine : float
        Deviation of a random linear map of the lip points: other mouths and poses.
    jitter : float
        Largest deviation of noise on each lip point, in eye distances.
    absent : mapping of str to float
        Fraction of the utterances without a stream (modality dropout); one always stays.
    """

    noise_share: float = 0.5
    snr_db: tuple[float, float] = (-6.0, 22.0)
    easing: float = 0.4
    gain_db: float = 5.0
    speed: float = 0.1
    lag_s: float = 0.0
    shift_s: float = 0.06
    spans: int = 2
    span_s: float = 0.1
    bands: float = 0.15
    lost_share: float = 0.1
    lost_s: float = 0.5
    affine: float = 0.0
    jitter: float = 0.0
    absent: Mapping[str, float] = field(default_factory=lambda: {"audio": 0.35, "lips": 0.25})

    def snr_range(self, done: float) -> tuple[float, float]:
        """Lowest and highest SNR at a time in training.

        Parameters
        ----------
        done : float
            Fraction of the epochs that are over.

        Returns
        -------
        tuple of float
            In decibels.
        """
        lowest, highest = self.snr_db
        easiest = max(lowest, highest - _EASIEST_DB)
        fraction = min(1.0, done / self.easing) if self.easing else 1.0
        return easiest + (lowest - easiest) * fraction, highest


CLEAN = UtteranceAugmentation(
    noise_share=0.0,
    gain_db=0.0,
    speed=0.0,
    shift_s=0.0,
    spans=0,
    bands=0.0,
    lost_share=0.0,
    affine=0.0,
    jitter=0.0,
    absent={},
)


def disturb_audio(
    utterance: Utterance,
    augmentation: UtteranceAugmentation,
    noises: Sequence[Noise],
    random: np.random.Generator,
    done: float = 1.0,
) -> AudioStream | None:
    """Mix noise into the audio and change its level; `done` is the fraction of epochs over."""
    audio = utterance.audio
    if audio is None:
        return None
    samples = audio.samples
    if noises and random.random() < augmentation.noise_share:
        kind = noises[int(random.integers(len(noises)))]
        noise = kind.draw(len(samples), random, speaker=utterance.speaker, name=utterance.name)
        samples = mix_at_snr(samples, noise, random.uniform(*augmentation.snr_range(done)))
    gain_db = random.uniform(-augmentation.gain_db, augmentation.gain_db)
    samples = samples * np.float32(10.0 ** (gain_db / 20.0))
    return AudioStream(samples, audio.sample_rate_hz, audio.start_s)


def disturb_streams(
    utterance: Utterance,
    audio_streams: Mapping[str, FeatureStream],
    settings: RecognizerSettings,
    augmentation: UtteranceAugmentation,
    random: np.random.Generator,
) -> tuple[AlignedSequence, float]:
    """Move the clocks, disturb rows and lose them; return the streams and their speed."""
    speed = 1.0 + random.uniform(-augmentation.speed, augmentation.speed)
    sequence = aligned_sequence(
        utterance,
        settings.streams,
        settings.rate_hz,
        audio_streams=audio_streams,
        speed=speed,
        lag_s=random.uniform(-augmentation.lag_s, augmentation.lag_s),
        shift_s=random.uniform(-augmentation.shift_s, augmentation.shift_s),
    )
    streams, masks = dict(sequence.streams), dict(sequence.masks)
    for name in sorted(streams):
        feature = settings.streams[name].feature
        if feature == "lip_points":
            streams[name] = move_points(
                streams[name], masks[name], augmentation.affine, augmentation.jitter, random
            )
            if random.random() < augmentation.lost_share:
                lost_rows = round(augmentation.lost_s * settings.rate_hz)
                left = masks[name] & ~mask_spans(len(sequence), 1, lost_rows, random)
                masks[name] = left if left.any() else masks[name]
        streams[name] = _blanked(
            streams[name], masks[name], augmentation, settings, feature, random
        )
    for name in _absent(streams, masks, augmentation.absent, random):
        del streams[name], masks[name]
    return AlignedSequence(streams, sequence.times_s, masks), speed


def mask_spans(
    length: int, count: int, longest: int, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw `count` spans of 0 to `longest` rows: bool [length], True inside."""
    inside = np.zeros(length, bool)
    for _ in range(count):
        rows = int(random.integers(0, longest + 1))
        start = int(random.integers(0, max(1, length - rows + 1)))
        inside[start : start + rows] = True
    return inside


def move_points(
    rows: NDArray[np.float32],
    valid: NDArray[np.bool_],
    affine: float,
    jitter: float,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Send points float32 [T, 3 * P] through one random linear map, and add noise to each."""
    if affine == 0.0 and jitter == 0.0:
        return rows
    linear = np.eye(_AXES) + affine * random.standard_normal((_AXES, _AXES))
    deviation = np.float32(random.uniform(0.0, jitter))
    points = rows.reshape(len(rows), -1, _AXES) @ linear.astype(np.float32)
    trembling = deviation * random.standard_normal(points.shape, np.float32)
    moved = (points + trembling).reshape(rows.shape)
    return np.where(valid[:, None], moved, rows)


def _blanked(
    rows: NDArray[np.float32],
    mask: NDArray[np.bool_],
    augmentation: UtteranceAugmentation,
    settings: RecognizerSettings,
    feature: str,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Replace spans of rows, and of bands, by the mean of the valid rows (SpecAugment)."""
    if not mask.any():
        return rows
    mean = rows[mask].mean(axis=0)
    span_rows = round(augmentation.span_s * settings.rate_hz)
    blank = mask_spans(len(rows), augmentation.spans, span_rows, random)
    rows = np.where((blank & mask)[:, None], mean, rows)
    if feature == "log_mel" and augmentation.bands:
        n_bands = rows.shape[1] // 2
        bands = mask_spans(n_bands, 1, round(augmentation.bands * n_bands), random)
        rows = np.where(np.tile(bands, 2) & mask[:, None], mean, rows)
    return rows


def _absent(
    streams: Mapping[str, object],
    masks: Mapping[str, NDArray[np.bool_]],
    chances: Mapping[str, float],
    random: np.random.Generator,
) -> list[str]:
    """Draw which streams are dropped, anew until one with valid rows stays."""
    names = sorted(streams)
    for _ in range(100):
        dropped = [name for name in names if random.random() < chances.get(name, 0.0)]
        if any(masks[name].any() for name in names if name not in dropped):
            return dropped
    return []
