"""Windows for training: cut at random with a lag, then augmented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.vision import CHIN, LIPS, MIRRORED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.train.space.corpus import Corpus

# Lip points and chin, the first of the mesh points that are read, turn into each other.
_MIRROR = MIRRORED[[*LIPS, CHIN]]
# More voices at a time are noise.
_MOST_VOICES = 6


@dataclass(frozen=True, slots=True)
class WindowAugmentation:
    """How far windows are disturbed; the ranges are drawn from evenly."""

    largest_lag_s: float = 0.8  # lags of plus and minus this
    speed: float = 0.12  # audio and picture together, by up to exp(speed)
    vocal_tract: float = 0.2  # stretches the mel axis (Jaitly and Hinton 2013)
    noise_fraction: float = 0.5  # of the windows, with noise of random colour
    noise_range_db: float = 30.0  # below the loud parts of the speech
    babble_fraction: float = 0.3  # of the windows, with one to six other voices
    babble_range_db: float = 20.0  # together, below the speech
    echo_fraction: float = 0.2  # of the windows, with reverberation
    mirror_fraction: float = 0.5  # of the windows, left and right exchanged
    affine: float = 0.05  # deviation of a linear map of the lip points: faces, poses
    jitter: float = 0.010  # most noise on a lip point, in eye distances
    low_rate_fraction: float = 0.3  # of the windows, at 15 to 33 pictures per second
    lost_fraction: float = 0.2  # of the windows, with the face lost for a while


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of one length."""

    log_mel: NDArray[np.float32]  # float32 [B, 2 * T, 40]
    audio_valid: NDArray[np.bool_]  # bool [B, 2 * T]
    lips: NDArray[np.float32]  # float32 [B, T, 123]
    lips_valid: NDArray[np.bool_]  # bool [B, T]
    lag_rows: NDArray[np.float32]  # float32 [B], in rows of the lips; positive: audio late


def draw_batch(
    corpus: Corpus,
    probabilities: NDArray[np.float64],
    count: int,
    length: int,
    own_lag_rows: NDArray[np.float64],
    augmentation: WindowAugmentation,
    random: np.random.Generator,
) -> Batch:
    """Draw at most `count` windows of `length` lip rows, with lags.

    `probabilities` and `own_lag_rows` (in lip rows) are float64 [clips]. Windows without speech
    or face are left out.
    """
    drawn = random.choice(len(corpus.clips), count, p=probabilities)
    speed = np.exp(random.uniform(-augmentation.speed, augmentation.speed, count))
    room = np.maximum(corpus.lengths[drawn] - 1 - length * speed, 0)
    start = random.uniform(0, 1, count) * room
    largest = augmentation.largest_lag_s * 50.0
    lag = random.uniform(-largest, largest, count)

    position = start[:, None] + np.arange(length) * speed[:, None]
    row, weight, inside = _rows(position, corpus.lengths[drawn], corpus.starts[drawn])
    lips = corpus.lips[row] * (1 - weight) + corpus.lips[row + 1] * weight
    lips_valid = corpus.lips_valid[row] & inside

    position = 2 * (
        start[:, None] + (np.arange(2 * length) / 2 - lag[:, None]) * speed[:, None]
    )
    row, weight, inside = _rows(position, 2 * corpus.lengths[drawn], 2 * corpus.starts[drawn])
    log_mel = corpus.log_mel[row] * (1 - weight) + corpus.log_mel[row + 1] * weight
    audio_valid = corpus.audio_valid[row] & inside
    speech = np.where(audio_valid, corpus.speech[row], 0).sum(axis=1) / np.maximum(
        audio_valid.sum(axis=1), 1
    )

    good = (speech > 0.3) & (lips_valid.mean(axis=1) > 0.6) & (audio_valid.mean(axis=1) > 0.15)
    log_mel, audio_valid, lips, lips_valid = (
        log_mel[good],
        audio_valid[good],
        lips[good],
        lips_valid[good],
    )
    return Batch(
        _disturb_audio(log_mel, audio_valid, augmentation, random),
        audio_valid,
        _disturb_lips(lips, augmentation, random),
        _lose(lips_valid, augmentation, random),
        (lag + own_lag_rows[drawn] / speed)[good].astype(np.float32),
    )


def _rows(
    position: NDArray[np.float64], lengths: NDArray[np.int_], starts: NDArray[np.int_]
) -> tuple[NDArray[np.int_], NDArray[np.float32], NDArray[np.bool_]]:
    """Corpus row left of each place, fraction of the next row, and whether it exists."""
    last = (lengths - 2)[:, None]
    inside = (position >= 0) & (position <= last)
    position = np.clip(position, 0, last)
    left = position.astype(int)
    return left + starts[:, None], (position - left).astype(np.float32)[..., None], inside


def _disturb_audio(
    log_mel: NDArray[np.float32],
    audio_valid: NDArray[np.bool_],
    augmentation: WindowAugmentation,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    count, length, bands = log_mel.shape
    stretch = random.uniform(-augmentation.vocal_tract, augmentation.vocal_tract, count) + 1
    position = np.clip(np.arange(bands) * stretch[:, None], 0, bands - 1)
    left = np.minimum(position.astype(int), bands - 2)
    weight = (position - left).astype(np.float32)[:, None, :]
    column = np.broadcast_to(left[:, None, :], log_mel.shape)
    result = (
        np.take_along_axis(log_mel, column, 2) * (1 - weight)
        + np.take_along_axis(log_mel, column + 1, 2) * weight
    )

    echoing = np.flatnonzero(random.random(count) < augmentation.echo_fraction)
    if len(echoing):
        # A decaying tail in every band: 60 dB in 0.2 to 0.8 s, at 100 rows per second.
        decay = 10.0 ** (-6.0 / (100.0 * random.uniform(0.2, 0.8, len(echoing))))
        level = random.uniform(0.05, 0.4, len(echoing)) * (1 - decay)
        power = 10.0 ** (result[echoing] / 10.0)
        tail = np.zeros((len(echoing), bands))
        for row in range(length):
            tail = tail * decay[:, None] + power[:, row]
            power[:, row] += level[:, None] * tail
        result[echoing] = 10.0 * np.log10(power)

    noisy = random.random(count) < augmentation.noise_fraction
    loudness = np.where(audio_valid, result.mean(axis=2), -120.0)
    loud = np.quantile(loudness, 0.9, axis=1) if length else np.zeros(count)
    level = loud - random.uniform(0, augmentation.noise_range_db, count)
    colour = np.cumsum(random.normal(0, 1.5, (count, bands)), axis=1)
    flicker = random.normal(size=result.shape) * random.uniform(0, 3, count)[:, None, None]
    noise = level[:, None, None] + colour[:, None, :] + flicker
    mixed = 10.0 * np.log10(10.0 ** (result / 10.0) + 10.0 ** (noise / 10.0))
    result = np.where(noisy[:, None, None], mixed, result)
    return _add_babble(result, audio_valid, augmentation, random).astype(np.float32)


def _add_babble(
    log_mel: NDArray[np.float32],
    audio_valid: NDArray[np.bool_],
    augmentation: WindowAugmentation,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Let the voices of other windows speak, each from where chance begins it."""
    count, length, _ = log_mel.shape
    babbling = np.flatnonzero(random.random(count) < augmentation.babble_fraction)
    most = min(_MOST_VOICES, count - 1)
    if most < 1:
        return log_mel
    power = np.where(audio_valid[..., None], 10.0 ** (log_mel / 10.0), 0.0)
    loudness = power.sum(axis=(1, 2)) / np.maximum(audio_valid.sum(axis=1), 1)
    result = log_mel.copy()
    for window in babbling:
        others = random.choice(count - 1, random.integers(1, most + 1), replace=False)
        others += others >= window
        voices = sum(
            np.roll(power[other], random.integers(length), axis=0) / max(loudness[other], 1e-12)
            for other in others
        )
        level = 10.0 ** (-random.uniform(0, augmentation.babble_range_db) / 10.0)
        level *= loudness[window] / (voices.sum() / length + 1e-12)
        mixed = 10.0 ** (log_mel[window] / 10.0) + level * voices
        result[window] = 10.0 * np.log10(np.maximum(mixed, 1e-12))
    return result


def _disturb_lips(
    lips: NDArray[np.float32], augmentation: WindowAugmentation, random: np.random.Generator
) -> NDArray[np.float32]:
    count, length, _ = lips.shape
    points = lips.reshape(count, length, len(_MIRROR), 3)
    mirrored = random.random(count) < augmentation.mirror_fraction
    flipped = points[:, :, _MIRROR] * np.array([-1, 1, 1], np.float32)
    points = np.where(mirrored[:, None, None, None], flipped, points)

    angle = random.normal(0, 0.06, count)
    linear = np.zeros((count, 3, 3))
    linear[:, 0, 0] = linear[:, 1, 1] = np.cos(angle)
    linear[:, 1, 0] = np.sin(angle)
    linear[:, 0, 1] = -linear[:, 1, 0]
    linear[:, 2, 2] = 1
    linear *= random.uniform([0.8, 0.75, 0.7], [1.15, 1.25, 1.2], (count, 3))[:, None, :]
    linear += random.normal(0, augmentation.affine, (count, 3, 3))
    points = np.einsum("btpi,bij->btpj", points, linear.astype(np.float32))
    deviation = random.uniform(0, augmentation.jitter, count)[:, None, None, None]
    points = points + (random.standard_normal(points.shape) * deviation).astype(np.float32)

    for window in np.flatnonzero(random.random(count) < augmentation.low_rate_fraction):
        points[window] = _at_lower_rate(points[window], random.uniform(1.5, 3.4))
    return points.reshape(count, length, -1).astype(np.float32)


def _at_lower_rate(points: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """Keep every `step`-th row and interpolate between them."""
    length = len(points)
    kept = np.unique(np.append(np.arange(0, length - 1, step), length - 1).round().astype(int))
    row = np.arange(length)
    left = np.clip(np.searchsorted(kept, row, side="right") - 1, 0, len(kept) - 2)
    weight = ((row - kept[left]) / (kept[left + 1] - kept[left])).astype(np.float32)[
        :, None, None
    ]
    result: NDArray[np.float32] = (
        points[kept[left]] * (1 - weight) + points[kept[left + 1]] * weight
    )
    return result


def _lose(
    lips_valid: NDArray[np.bool_], augmentation: WindowAugmentation, random: np.random.Generator
) -> NDArray[np.bool_]:
    count, length = lips_valid.shape
    lips_valid = lips_valid.copy()
    for window in np.flatnonzero(random.random(count) < augmentation.lost_fraction):
        start = random.integers(0, max(1, length - 5))
        lips_valid[window, start : start + random.integers(3, max(4, length // 6 + 1))] = False
    return lips_valid
