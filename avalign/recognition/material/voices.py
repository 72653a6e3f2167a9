"""The noises for training and tests: babble of the training voices, white, recorded."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from avalign.arguments import abbreviate
from avalign.errors import AvalignError, ParameterError
from avalign.files import is_there
from avalign.media import read_audio
from avalign.recognition.material.noise import RecordedNoise
from avalign.recognition.material.noise_kinds import (
    BABBLE_TO_WHITE,
    NOISES,
    Voice,
    Voices,
    make_babble,
)
from avalign.recognition.material.utterances import utterance_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avalign.data import Manifest, ManifestRow
    from avalign.recognition.material.noise import Babble, Noise
    from avalign.recognition.material.utterances import Utterance
    from avalign.types import AudioStream

# In the test noise so many voices talk at once.
TEST_VOICES = 6
# Voices for babble are drawn from so many training clips: their sound has to be read.
_VOICE_CLIPS = 120


def training_noises(
    corpus: Sequence[Utterance],
    voices: int,
    recordings: Sequence[str | os.PathLike[str]] = (),
) -> list[Noise]:
    """Gather what is mixed into training utterances: the kinds of `NOISES`, and recordings.

    Parameters
    ----------
    corpus : sequence of Utterance
        The training utterances, whose voices make the babble.
    voices : int
        How many voices of babble talk at once.
    recordings : sequence of path-like
        Files with noise of other kinds.

    Returns
    -------
    list of Noise
        A kind that is in it more than once is drawn more often. Empty without sound.

    Raises
    ------
    MediaError, NoAudioError
        If a recording cannot be read.
    ParameterError
        If a recording is silent.
    """
    if not any(one.audio is not None for one in corpus):
        return []
    material = Voices(partial(_heard_voices, corpus), voices, fewest=1)
    noises: list[Noise] = []
    for kind in NOISES.values():
        if (noise := kind.make(material)) is not None:
            noises += [noise] * kind.training_weight
    if recordings:
        recorded = RecordedNoise([read_audio(path).samples for path in recordings])
        noises += [recorded] * BABBLE_TO_WHITE
    return noises


def training_babble(
    corpus: Sequence[Utterance], voices: int, *, fewest: int | None = None
) -> Babble | None:
    """Make babble of the voices of the training utterances.

    Parameters
    ----------
    corpus : sequence of Utterance
        The utterances.
    voices : int
        How many talk at once.
    fewest : int, optional
        As in `Babble`.

    Returns
    -------
    Babble or None
        None where there are fewer than two utterances with sound.
    """
    return make_babble(Voices(partial(_heard_voices, corpus), voices, fewest))


def noise_by_name(noise: str | os.PathLike[str], manifest: Manifest, *, seed: int = 0) -> Noise:
    """Make a kind of `NOISES`, of voices of the training rows, or noise from a file."""
    kind = NOISES.get(noise) if isinstance(noise, str) else None
    if kind is not None:
        made = kind.make(Voices(partial(_read_voices, manifest, seed), TEST_VOICES))
        if made is None:
            raise ParameterError(
                f"{noise} is made of training clips, and {manifest.path} has fewer than two "
                "with sound",
                "keep the rows with split=train in the manifest, or use white noise",
            )
        return made
    # A bare word that is no file was meant to be a kind.
    if re.fullmatch(r"\w[\w-]*", os.fspath(noise)) and not is_there(noise):
        raise ParameterError(
            f"no noise {abbreviate(os.fspath(noise))}",
            f"take {', '.join(NOISES)}, or a file of noise that exists",
        )
    return RecordedNoise([read_audio(noise).samples])


def _heard_voices(corpus: Sequence[Utterance]) -> list[Voice]:
    return [
        Voice(one.audio.samples, one.speaker, one.name)
        for one in corpus
        if one.audio is not None and one.audio.samples.any()
    ]


def _read_voices(manifest: Manifest, seed: int) -> list[Voice]:
    rows = [row for row in manifest if row.split == "train"]
    order = np.random.default_rng(seed).permutation(len(rows))[:_VOICE_CLIPS]
    voices = []
    for index in sorted(order.tolist()):
        row = rows[index]
        try:
            audio = _cut(read_audio(row.audio or row.path), row)
        except AvalignError:
            continue  # one voice less
        if audio.samples.any():
            voices.append(Voice(audio.samples, row.speaker, utterance_name(manifest, row)))
    return voices


def _cut(audio: AudioStream, row: ManifestRow) -> AudioStream:
    if row.start_s is None and row.end_s is None:
        return audio
    first = max(0, round(((row.start_s or 0.0) - audio.start_s) * audio.sample_rate_hz))
    last = len(audio.samples)
    if row.end_s is not None:
        last = max(first, round((row.end_s - audio.start_s) * audio.sample_rate_hz))
    return replace(audio, samples=audio.samples[first:last])
