"""Test conditions: which streams are given, under which noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.recognition.material.batches import make_batch
from avalign.recognition.material.noise import mix_at_snr
from avalign.recognition.material.utterances import aligned_sequence, compute_audio_features
from avalign.types import AlignedSequence, AudioStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avalign.recognition import RecognizerSettings
    from avalign.recognition.material.batches import Batch
    from avalign.recognition.material.noise import Noise
    from avalign.recognition.material.utterances import Utterance

# Tells the chance of tests from that of training.
_TEST_NOISE = 3


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
    audio = utterance.audio
    if condition.noise is not None and audio is not None:
        random = np.random.default_rng(seed)
        noise = condition.noise.draw(
            len(audio.samples), random, speaker=utterance.speaker, name=utterance.name
        )
        mixture = mix_at_snr(audio.samples, noise, condition.snr_db)
        audio = AudioStream(mixture, audio.sample_rate_hz, audio.start_s)
    (audio_streams,) = compute_audio_features([audio], settings.streams)
    sequence = aligned_sequence(
        utterance, settings.streams, settings.rate_hz, audio_streams=audio_streams
    )
    given = condition.streams or tuple(sequence.streams)
    return AlignedSequence(
        {name: rows for name, rows in sequence.streams.items() if name in given},
        sequence.times_s,
        {name: mask for name, mask in sequence.masks.items() if name in given},
    )
