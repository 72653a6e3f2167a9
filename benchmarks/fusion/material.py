"""The clips of the ablation: training utterances, and test clips in noise, moved."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avalign.data import Manifest, load_clips, read_manifest
from avalign.errors import ParameterError
from avalign.recognition import (
    TEST_VOICES,
    Alphabet,
    Case,
    Noise,
    Recognizer,
    Utterance,
    load_cases,
    mix_at_snr,
    training_babble,
    training_noises,
)
from avalign.train.recognizer import RecognizerPlan
from avalign.types import AudioStream, ClipStreams, FeatureStream, TimeWarp
from benchmarks.fusion.plan import planted_warp

__all__ = ["Material", "TestClip", "load_material", "make_material", "moved"]


@dataclass(frozen=True, slots=True, eq=False)
class TestClip:
    """A clip to test on.

    Parameters
    ----------
    utterance : Utterance
        What the model reads, and the words.
    streams : ClipStreams
        What aligners read.
    noise : ndarray of shape (N,), float32
        Babble of training voices, the same at every level.
    seed : int
        Of its planted warp.
    """

    __test__ = False  # pytest: not a class of tests

    utterance: Utterance
    streams: ClipStreams
    noise: NDArray[np.float32]
    seed: int

    def sound_at(self, snr_db: float | None) -> AudioStream:
        """Mix the noise in.

        Parameters
        ----------
        snr_db : float or None
            The level; None is no noise.

        Returns
        -------
        AudioStream
            On the clock of the clip.
        """
        audio = self.utterance.audio
        assert audio is not None
        if snr_db is None:
            return audio
        return replace(audio, samples=mix_at_snr(audio.samples, self.noise, snr_db))

    def planted(self, misalignment: str) -> TimeWarp:
        """Say how the sound is moved.

        Parameters
        ----------
        misalignment : str
            One of the plan's.

        Returns
        -------
        TimeWarp
            From the picture's clock to the sound's.
        """
        random = np.random.default_rng(self.seed)
        return planted_warp(misalignment, self.streams.duration_s, random)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Everything the ablation learns from and tests on.

    Parameters
    ----------
    train : list of Utterance
        With their targets.
    noises : list of Noise
        What is mixed into training utterances.
    test : list of TestClip
        The rest.
    """

    train: list[Utterance]
    noises: list[Noise]
    test: list[TestClip]


def moved(stream: FeatureStream, warp: TimeWarp) -> FeatureStream:
    """Move the clock of a stream.

    Parameters
    ----------
    stream : FeatureStream
        Any.
    warp : TimeWarp
        To its new clock.

    Returns
    -------
    FeatureStream
        The same rows at other times.
    """
    return replace(stream, times_s=warp.to_other(stream.times_s))


def load_material(
    model: Recognizer,
    data: Path,
    *,
    cache: Path | None,
    jobs: int,
    seed: int,
    most_train: int | None = None,
    most_test: int | None = None,
) -> Material:
    """Load the clips of a manifest: those of ``train``, and those of ``dev`` to test on.

    Parameters
    ----------
    model : Recognizer
        Whose streams, alphabet and vocabulary count.
    data : Path
        The manifest.
    cache : Path or None
        Where extracted clips are kept.
    jobs : int
        Files extracted at once.
    seed : int
        Of noise and warps.
    most_train, most_test : int, optional
        Use so many clips; all by default.

    Returns
    -------
    Material
        The clips.

    Raises
    ------
    ParameterError
        If there is nothing to learn from, or to test on.
    """
    manifest = read_manifest(data)
    alphabet = Alphabet(model.settings.characters)
    parts = []
    for split, most in (("train", most_train), ("dev", most_test)):
        rows = [
            row
            for row in manifest.rows
            if row.split == split and (row.transcript is not None or row.text)
        ][:most]
        if not rows:
            raise ParameterError(f"{data} has no clips with words in the split {split!r}")
        part = Manifest(manifest.path, tuple(rows))
        cases, _ = load_cases(model, part, cache_dir=cache, jobs=jobs)
        parts.append(cases)
    train, test = parts
    learnt = [_with_targets(case, alphabet, model.settings.vocabulary) for case in train]
    clips = load_clips([case.row for case in test], cache_dir=cache, jobs=jobs)
    streams = [loaded.clip.streams for loaded in clips if loaded.clip is not None]
    tested = [_with_targets(case, alphabet, model.settings.vocabulary) for case in test]
    return make_material(learnt, list(zip(tested, streams, strict=True)), seed=seed)


def make_material(
    train: list[Utterance], test: Sequence[tuple[Utterance, ClipStreams]], *, seed: int
) -> Material:
    """Lay noise beside the test clips, and take those out that lack a stream.

    Parameters
    ----------
    train : list of Utterance
        With their targets.
    test : sequence of (Utterance, ClipStreams)
        The clips to test on.
    seed : int
        Of noise and warps.

    Returns
    -------
    Material
        The clips.

    Raises
    ------
    ParameterError
        If no clip has sound, face and words, or there is no babble.
    """
    babble = training_babble(train, TEST_VOICES)
    if babble is None:
        raise ParameterError("babble takes two training clips with sound")
    clips = []
    for utterance, streams in test:
        audio = utterance.audio
        if audio is None or not streams.lips or not utterance.text:
            continue
        own = zlib.crc32(utterance.name.encode())
        random = np.random.default_rng([seed, own])
        noise = babble.draw(
            len(audio.samples), random, speaker=utterance.speaker, name=utterance.name
        )
        clips.append(TestClip(utterance, streams, noise, int(random.integers(2**31))))
    if not clips:
        raise ParameterError("no clip to test on has sound, a face and words")
    return Material(train, training_noises(train, RecognizerPlan().voices), clips)


def _with_targets(case: Case, alphabet: Alphabet, vocabulary: Sequence[str]) -> Utterance:
    """Give an utterance its characters, and the number and times of its words."""
    number = {word: place for place, word in enumerate(vocabulary, start=1)}
    transcript = case.transcript
    words = None
    if transcript.words and transcript.has_times:
        words = tuple(
            (word.start_s, word.end_s, number.get(word.text, 0))
            for word in transcript.words
            if word.start_s is not None and word.end_s is not None
        )
    tokens = alphabet.encode(transcript.text)
    return replace(case.utterance, text=transcript.text, tokens=tokens, words=words)
