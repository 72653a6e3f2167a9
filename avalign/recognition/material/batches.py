"""Utterances into batches to learn from: noise, augmentation, missing streams, padding.

All chance comes from the seed, the epoch and the utterance, never from what was drawn
before: a run that goes on after a kill, or on several processes, draws the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from avalign.errors import ParameterError
from avalign.fusion import AlignedBatch, bucket_batches, collate
from avalign.recognition.material.augmentation import disturb_audio, disturb_streams
from avalign.recognition.material.utterances import compute_audio_features, find_frame_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avalign.recognition import RecognizerSettings
    from avalign.recognition.material.augmentation import UtteranceAugmentation
    from avalign.recognition.material.noise import Noise
    from avalign.recognition.material.utterances import Utterance
    from avalign.types import AlignedSequence

# Tells the chance of batches from that of utterances.
_ORDER, _DISTURB = 1, 2


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
        How many there are; 0 where it is not known.
    words : Tensor of shape (B, T), int64
        The word said in each row, from 1; 0 in silence, -1 where it is not known.
    labels : Tensor of shape (B,), int64
        Classes; -1 where it is not known.
    values : Tensor of shape (B, V), float32
        Numbers; NaN where it is not known.
    totals : mapping of str to int
        Items with a transcript (``"speech"``), with times of the words (``"words"``), a
        class (``"classes"``), a number (``"regression"``), and all of them
        (``"items"``), in the whole batch, of which this may be one process's part.
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


class BatchSource:
    """Training batches of every epoch, the same for the same seed.

    Parameters
    ----------
    utterances : sequence of Utterance
        What to learn from.
    settings : RecognizerSettings
        What the model reads.
    augmentation : UtteranceAugmentation
        How utterances are disturbed.
    noises : sequence of Noise
        Kinds of noise, equally likely.
    batch_size : int
        Utterances in a batch, over all processes.
    seed : int
        Same seed, same batches.
    epochs : int
        How many there will be at most; noise grows louder over the first of them.
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
        augmentation: UtteranceAugmentation,
        noises: Sequence[Noise],
        *,
        batch_size: int,
        seed: int,
        epochs: int = 1,
        device: str | None = None,
    ) -> None:
        if not utterances:
            raise ParameterError(
                "there is nothing to learn from", "give the manifest rows with split=train"
            )
        self.utterances, self.settings = utterances, settings
        self.augmentation, self.noises = augmentation, noises
        self.batch_size, self.seed = batch_size, seed
        self.epochs, self.device = epochs, device
        self._lengths = [one.rows for one in utterances]
        self._orders: dict[int, list[list[int]]] = {}

    def __len__(self) -> int:
        return len(self.order(0))

    def order(self, epoch: int) -> list[list[int]]:
        """Assign the utterances of an epoch to batches.

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
        """Make one batch, or a process's part of it.

        Parameters
        ----------
        epoch, number : int
            Which batch, both from 0.
        rank, processes : int
            Which part, of how many.

        Returns
        -------
        Batch
            Never empty: a process without a part gets an utterance whose targets are
            taken away, so that it counts for nothing.
        """
        whole = self.order(epoch)[number]
        own = whole[rank::processes]
        items = [self.utterances[index] for index in own or whole[:1]]
        disturbed = self._disturbed(own or whole[:1], epoch)
        batch = make_batch(
            items,
            [sequence for sequence, _ in disturbed],
            self.settings,
            [speed for _, speed in disturbed],
        )
        totals = _totals([self.utterances[index] for index in whole])
        return replace(batch if own else _without_targets(batch), totals=totals)

    def _disturbed(
        self, indices: Sequence[int], epoch: int
    ) -> list[tuple[AlignedSequence, float]]:
        """Disturb utterances as the world would; also gives how much faster they run."""
        items = [self.utterances[index] for index in indices]
        chances = [
            np.random.default_rng((self.seed, _DISTURB, epoch, index)) for index in indices
        ]
        audios = [
            disturb_audio(one, self.augmentation, self.noises, random, epoch / self.epochs)
            for one, random in zip(items, chances, strict=True)
        ]
        audio_streams = compute_audio_features(
            audios, self.settings.streams, device=self.device
        )
        return [
            disturb_streams(one, streams, self.settings, self.augmentation, random)
            for one, streams, random in zip(items, audio_streams, chances, strict=True)
        ]


def make_batch(
    utterances: Sequence[Utterance],
    sequences: Sequence[AlignedSequence],
    settings: RecognizerSettings,
    speeds: Sequence[float] | None = None,
) -> Batch:
    """Pad sequences and their targets; `speeds` are relative to the utterances."""
    columns = {name: stream.columns for name, stream in settings.streams.items()}
    longest = max(len(one.tokens) for one in utterances)
    tokens = torch.zeros(len(utterances), longest, dtype=torch.int64)
    values = torch.full((len(utterances), len(settings.values)), float("nan"))
    words = torch.full((len(utterances), max(map(len, sequences))), -1)
    for item, one in enumerate(utterances):
        clock_s, speed = sequences[item].times_s, 1.0 if speeds is None else speeds[item]
        words[item, : len(clock_s)] = torch.from_numpy(find_frame_words(one, clock_s, speed))
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
