"""The noises for training and tests: babble of the training voices, white, recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import AvalignError, ParameterError
from avalign.media import read_audio
from avalign.recognition.material.noise import Babble, RecordedNoise, WhiteNoise
from avalign.recognition.material.utterances import utterance_name

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from avalign.data import Manifest, ManifestRow
    from avalign.recognition.material.noise import Noise
    from avalign.recognition.material.utterances import Utterance
    from avalign.types import AudioStream

# In the test noise so many voices talk at once.
TEST_VOICES = 6
# Voices for babble are drawn from so many training clips: their sound has to be read.
_VOICE_CLIPS = 120

# Babble is what recognition is tested in; white noise keeps models from learning only it.
BABBLE_TO_WHITE = 4


def training_noises(
    corpus: Sequence[Utterance],
    voices: int,
    recordings: Sequence[str | os.PathLike[str]] = (),
) -> list[Noise]:
    """Gather what is mixed into training utterances: babble, white noise, recordings.

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
    noises: list[Noise] = [WhiteNoise()]
    if (babble := training_babble(corpus, voices, fewest=1)) is not None:
        noises += [babble] * BABBLE_TO_WHITE
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
    voices_of_rows = [
        (one.audio.samples, one.speaker, one.name)
        for one in corpus
        if one.audio is not None and one.audio.samples.any()
    ]
    if len(voices_of_rows) < 2:
        return None
    samples, speakers, names = zip(*voices_of_rows, strict=True)
    return Babble(samples, speakers, names, voices, fewest)


def noise_by_name(noise: str | os.PathLike[str], manifest: Manifest, *, seed: int = 0) -> Noise:
    """Make ``"babble"`` of the training rows, ``"white"`` noise, or noise from a file."""
    if noise == "white":
        return WhiteNoise()
    if noise != "babble":
        return RecordedNoise([read_audio(noise).samples])
    rows = [row for row in manifest if row.split == "train"]
    order = np.random.default_rng(seed).permutation(len(rows))[:_VOICE_CLIPS]
    voices, speakers, names = [], [], []
    for index in sorted(order.tolist()):
        row = rows[index]
        try:
            audio = _cut(read_audio(row.audio or row.path), row)
        except AvalignError:
            continue  # one voice less
        if audio.samples.any():
            voices.append(audio.samples)
            speakers.append(row.speaker)
            names.append(utterance_name(manifest, row))
    if len(voices) < 2:
        raise ParameterError(
            f"babble is made of training clips, and {manifest.path} has {len(voices)} with "
            "sound",
            "keep the rows with split=train in the manifest, or use white noise",
        )
    return Babble(voices, speakers, names, TEST_VOICES)


def _cut(audio: AudioStream, row: ManifestRow) -> AudioStream:
    if row.start_s is None and row.end_s is None:
        return audio
    first = max(0, round(((row.start_s or 0.0) - audio.start_s) * audio.sample_rate_hz))
    last = len(audio.samples)
    if row.end_s is not None:
        last = max(first, round((row.end_s - audio.start_s) * audio.sample_rate_hz))
    return replace(audio, samples=audio.samples[first:last])
