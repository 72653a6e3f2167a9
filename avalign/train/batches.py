"""Utterances into batches: noise, augmentation, missing streams, padding.

All chance comes from the seed, the epoch and the utterance, never from what was drawn
before: a run that goes on after a kill, or on several processes, draws the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from avalign.errors import ParameterError
from avalign.fusion.join import AlignedBatch, bucket_batches, collate
from avalign.train.disturb import mask_spans, move_points
from avalign.train.noise import mix_at_snr
from avalign.train.utterances import aligned_sequence, heard_features, word_rows
from avalign.types import AlignedSequence, AudioStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from avalign.tasks.settings import RecognizerSettings
    from avalign.train.noise import Noise
    from avalign.train.utterances import Utterance
    from avalign.types import FeatureStream

__all__ = [
    "CLEAN",
    "Augmentation",
    "Batch",
    "BatchSource",
    "Condition",
    "condition_batches",
    "make_batch",
]

# Tells the chance of batches from that of utterances.
_ORDER, _DISTURB, _TEST_NOISE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far utterances are disturbed; ranges are drawn from evenly.

    Parameters
    ----------
    noise_share : float
        Share of the utterances with noise.
    snr_db : tuple of float
        Lowest and highest SNR.
    gain_db : float
        The level changes by up to this, either way.
    speed : float
        Sound and picture run faster or slower together, by up to this share.
    lag_s : float
        The sound is moved against the picture by up to this, either way.
    shift_s : float
        Sound and picture begin earlier or later by up to this.
    spans : int
        Spans blanked in each stream: rows that the model must guess.
    span_s : float
        Longest such span.
    bands : float
        Largest share of neighbouring columns blanked in streams of log-mel bands.
    lost_share : float
        Share of the utterances in which the face is lost for a span, and known to be.
    lost_s : float
        Longest such span.
    affine : float
        Deviation of a random linear map of the lip points: other mouths and poses.
    jitter : float
        Largest deviation of noise on each lip point, in eye distances.
    absent : mapping of str to float
        Share of the utterances without a stream (modality dropout); one always stays.
    """

    noise_share: float = 0.7
    snr_db: tuple[float, float] = (-8.0, 17.0)
    gain_db: float = 5.0
    speed: float = 0.1
    lag_s: float = 0.0
    shift_s: float = 0.06
    spans: int = 2
    span_s: float = 0.22
    bands: float = 0.2
    lost_share: float = 0.1
    lost_s: float = 0.5
    affine: float = 0.05
    jitter: float = 0.005
    absent: Mapping[str, float] = field(default_factory=lambda: {"audio": 0.3, "lips": 0.2})


CLEAN = Augmentation(
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


@dataclass(frozen=True, slots=True)
class Batch:
    """What an objective takes.

    Parameters
    ----------
    names : tuple of str
        The utterances.
    inputs : AlignedBatch
        Streams, masks, and which streams are there.
    tokens : Tensor of shape (B, L), int64
        Numbers of the characters, padded by 0.
    token_lengths : Tensor of shape (B,), int64
        How many there are; 0 where nobody says.
    words : Tensor of shape (B, T), int64
        The word said in each row, from 1; 0 in silence, -1 where nobody says.
    labels : Tensor of shape (B,), int64
        Classes; -1 where nobody says.
    values : Tensor of shape (B, V), float32
        Numbers; NaN where nobody says.
    totals : mapping of str to int
        Items with a transcript (``"speech"``), with times of the words (``"words"``), a
        class (``"classes"``), a number (``"regression"``), and all of them
        (``"items"``), in the whole batch, of which this may be one process's share.
    """

    names: tuple[str, ...]
    inputs: AlignedBatch
    tokens: torch.Tensor
    token_lengths: torch.Tensor
    words: torch.Tensor
    labels: torch.Tensor
    values: torch.Tensor
    totals: Mapping[str, int]

    def to(self, device: torch.device | str) -> Batch:
        """Move all tensors to a device.

        Parameters
        ----------
        device : torch.device or str
            Where to.

        Returns
        -------
        Batch
            The same batch there.
        """
        return Batch(
            self.names,
            self.inputs.to(device),
            self.tokens.to(device),
            self.token_lengths.to(device),
            self.words.to(device),
            self.labels.to(device),
            self.values.to(device),
            self.totals,
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """What a model is tested on: which streams it is given, and how noisy.

    Parameters
    ----------
    name : str
        Name of the condition.
    streams : tuple of str
        What the model is given; none for everything.
    noise : Noise or None
        What is mixed in.
    snr_db : float
        How loud.
    """

    name: str
    streams: tuple[str, ...] = ()
    noise: Noise | None = None
    snr_db: float = 0.0


class BatchSource:
    """Training batches of every epoch, the same for the same seed.

    Parameters
    ----------
    utterances : sequence of Utterance
        What to learn from.
    settings : RecognizerSettings
        What the model reads.
    augmentation : Augmentation
        How utterances are disturbed.
    noises : sequence of Noise
        Kinds of noise, equally likely.
    batch_size : int
        Utterances in a batch, over all processes.
    seed : int
        Same seed, same batches.
    device : str, optional
        A GPU to compute features on.

    Raises
    ------
    ParameterError
        If there are no utterances.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        settings: RecognizerSettings,
        augmentation: Augmentation,
        noises: Sequence[Noise],
        *,
        batch_size: int,
        seed: int,
        device: str | None = None,
    ) -> None:
        if not utterances:
            raise ParameterError(
                "there is nothing to learn from", "give the manifest rows with split=train"
            )
        self.utterances, self.settings = utterances, settings
        self.augmentation, self.noises = augmentation, noises
        self.batch_size, self.seed, self.device = batch_size, seed, device
        self._lengths = [one.rows for one in utterances]
        self._orders: dict[int, list[list[int]]] = {}

    def __len__(self) -> int:
        return len(self.order(0))

    def order(self, epoch: int) -> list[list[int]]:
        """Say which utterances are in which batch of an epoch.

        Parameters
        ----------
        epoch : int
            The epoch, from 0.

        Returns
        -------
        list of list of int
            Indices of the utterances of each batch.
        """
        if epoch not in self._orders:
            seed = int(np.random.SeedSequence((self.seed, _ORDER, epoch)).generate_state(1)[0])
            batches = bucket_batches(self._lengths, self.batch_size, seed=seed)
            self._orders = {epoch: [[int(one) for one in batch] for batch in batches]}
        return self._orders[epoch]

    def batch(self, epoch: int, number: int, *, rank: int = 0, processes: int = 1) -> Batch:
        """Make one batch, or a process's share of it.

        Parameters
        ----------
        epoch, number : int
            Which batch, both from 0.
        rank, processes : int
            Which share, of how many.

        Returns
        -------
        Batch
            Never empty: a process without a share gets an utterance whose targets are
            taken away, so that it counts for nothing.
        """
        whole = self.order(epoch)[number]
        share = whole[rank::processes]
        items = [self.utterances[index] for index in share or whole[:1]]
        disturbed = self._disturbed(share or whole[:1], epoch)
        batch = make_batch(
            items,
            [sequence for sequence, _ in disturbed],
            self.settings,
            [speed for _, speed in disturbed],
        )
        totals = _totals([self.utterances[index] for index in whole])
        return replace(batch if share else _without_targets(batch), totals=totals)

    def _disturbed(
        self, indices: Sequence[int], epoch: int
    ) -> list[tuple[AlignedSequence, float]]:
        """Disturb utterances as the world would; also gives how much faster they run."""
        items = [self.utterances[index] for index in indices]
        chances = [
            np.random.default_rng((self.seed, _DISTURB, epoch, index)) for index in indices
        ]
        sounds = [
            _disturbed_sound(one, self.augmentation, self.noises, random)
            for one, random in zip(items, chances, strict=True)
        ]
        heard = heard_features(sounds, self.settings.streams, device=self.device)
        return [
            _disturbed_rows(one, streams, self.settings, self.augmentation, random)
            for one, streams, random in zip(items, heard, chances, strict=True)
        ]


def _disturbed_sound(
    utterance: Utterance,
    augmentation: Augmentation,
    noises: Sequence[Noise],
    random: np.random.Generator,
) -> AudioStream | None:
    """Mix noise in, and change the level."""
    sound = utterance.sound
    if sound is None:
        return None
    samples = sound.samples
    if noises and random.random() < augmentation.noise_share:
        kind = noises[int(random.integers(len(noises)))]
        noise = kind.draw(len(samples), random, speaker=utterance.speaker, name=utterance.name)
        samples = mix_at_snr(samples, noise, random.uniform(*augmentation.snr_db))
    gain_db = random.uniform(-augmentation.gain_db, augmentation.gain_db)
    samples = samples * np.float32(10.0 ** (gain_db / 20.0))
    return AudioStream(samples, sound.sample_rate_hz, sound.start_s)


def _disturbed_rows(
    utterance: Utterance,
    heard: Mapping[str, FeatureStream],
    settings: RecognizerSettings,
    augmentation: Augmentation,
    random: np.random.Generator,
) -> tuple[AlignedSequence, float]:
    """Move the clocks, disturb and lose rows; also gives the speed."""
    speed = 1.0 + random.uniform(-augmentation.speed, augmentation.speed)
    sequence = aligned_sequence(
        utterance,
        settings.streams,
        settings.rate_hz,
        heard=heard,
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


def make_batch(
    utterances: Sequence[Utterance],
    sequences: Sequence[AlignedSequence],
    settings: RecognizerSettings,
    speeds: Sequence[float] | None = None,
) -> Batch:
    """Pad sequences and their targets.

    Parameters
    ----------
    utterances : sequence of Utterance
        Whose targets.
    sequences : sequence of AlignedSequence
        Their streams.
    settings : RecognizerSettings
        What the model reads and gives.
    speeds : sequence of float, optional
        How much faster each sequence runs than its utterance; 1 by default.

    Returns
    -------
    Batch
        The batch.
    """
    columns = {name: stream.columns for name, stream in settings.streams.items()}
    longest = max(len(one.tokens) for one in utterances)
    tokens = torch.zeros(len(utterances), longest, dtype=torch.int64)
    values = torch.full((len(utterances), len(settings.values)), float("nan"))
    words = torch.full((len(utterances), max(map(len, sequences))), -1)
    for item, one in enumerate(utterances):
        clock_s, speed = sequences[item].times_s, 1.0 if speeds is None else speeds[item]
        words[item, : len(clock_s)] = torch.from_numpy(word_rows(one, clock_s, speed))
        tokens[item, : len(one.tokens)] = torch.from_numpy(one.tokens)
        if len(one.values):
            values[item] = torch.from_numpy(one.values)
    return Batch(
        tuple(one.name for one in utterances),
        collate(sequences, dims=columns),
        tokens,
        torch.tensor([len(one.tokens) for one in utterances]),
        words,
        torch.tensor([one.label for one in utterances]),
        values,
        _totals(utterances),
    )


def condition_batches(
    utterances: Sequence[Utterance],
    settings: RecognizerSettings,
    condition: Condition,
    *,
    batch_size: int,
    seed: int,
) -> list[Batch]:
    """Make batches to test on, in the order of the utterances.

    Parameters
    ----------
    utterances : sequence of Utterance
        What to test on.
    settings : RecognizerSettings
        What the model reads.
    condition : Condition
        Which streams are given, and the noise.
    batch_size : int
        Utterances in a batch.
    seed : int
        Same seed, same noise.

    Returns
    -------
    list of Batch
        Utterances that have none of the streams of the condition are left out.
    """
    kept, sequences = [], []
    for index, utterance in enumerate(utterances):
        sequence = _under(utterance, settings, condition, (seed, _TEST_NOISE, index))
        if any(mask.any() for mask in sequence.masks.values()):
            kept.append(utterance)
            sequences.append(sequence)
    return [
        make_batch(
            kept[first : first + batch_size], sequences[first : first + batch_size], settings
        )
        for first in range(0, len(kept), batch_size)
    ]


def _under(
    utterance: Utterance,
    settings: RecognizerSettings,
    condition: Condition,
    seed: tuple[int, ...],
) -> AlignedSequence:
    sound = utterance.sound
    if condition.noise is not None and sound is not None:
        random = np.random.default_rng(seed)
        noise = condition.noise.draw(
            len(sound.samples), random, speaker=utterance.speaker, name=utterance.name
        )
        mixture = mix_at_snr(sound.samples, noise, condition.snr_db)
        sound = AudioStream(mixture, sound.sample_rate_hz, sound.start_s)
    (heard,) = heard_features([sound], settings.streams)
    sequence = aligned_sequence(utterance, settings.streams, settings.rate_hz, heard=heard)
    given = condition.streams or tuple(sequence.streams)
    return AlignedSequence(
        {name: rows for name, rows in sequence.streams.items() if name in given},
        sequence.times_s,
        {name: mask for name, mask in sequence.masks.items() if name in given},
    )


def _blanked(
    rows: NDArray[np.float32],
    mask: NDArray[np.bool_],
    augmentation: Augmentation,
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
    shares: Mapping[str, float],
    random: np.random.Generator,
) -> list[str]:
    """Draw which streams are dropped, anew until one with valid rows stays."""
    names = sorted(streams)
    for _ in range(100):
        dropped = [name for name in names if random.random() < shares.get(name, 0.0)]
        if any(masks[name].any() for name in names if name not in dropped):
            return dropped
    return []


def _totals(utterances: Sequence[Utterance]) -> dict[str, int]:
    return {
        "speech": sum(len(one.tokens) > 0 for one in utterances),
        "words": sum(one.words is not None for one in utterances),
        "classes": sum(one.label >= 0 for one in utterances),
        "regression": sum(bool(np.isfinite(one.values).any()) for one in utterances),
        "items": len(utterances),
    }


def _without_targets(batch: Batch) -> Batch:
    return replace(
        batch,
        token_lengths=torch.zeros_like(batch.token_lengths),
        words=torch.full_like(batch.words, -1),
        labels=torch.full_like(batch.labels, -1),
        values=torch.full_like(batch.values, float("nan")),
    )
