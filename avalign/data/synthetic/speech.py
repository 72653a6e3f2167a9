"""Sentences spoken by espeak-ng, with the time of every phone and word."""

# ruff: noqa: RUF001 - IPA is not Latin
from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import AvalignError, MissingDependencyError, ParameterError
from avalign.transcript import Word
from avalign.types import AudioStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
SILENCE = ""
PROGRAM = Path(__file__).with_name("espeak_process.py")
LONGEST_S = 60.0
NO_LIBRARY, NO_VOICE = 3, 4  # exit codes of the program
# Numbers of espeak-ng's parameters.
RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4
STOPS = frozenset("pbtdkgɡʔ") | {"tʃ", "dʒ"}
# Marks of stress and length, which change neither the mouth nor what a phone is.
MARKS = str.maketrans("", "", "ˈˌː:ˑ̩")
QUIET = 0.04  # of the loudest sample; vowels and nasals fade to less before a stop
LONGEST_CLOSURE_S = 0.07  # what is quiet for longer before a stop is a pause, too
# The letter, where espeak-ng would say the article.
SAID_AS = {"a": "[[eI]]"}


@dataclass(frozen=True, slots=True)
class Voice:
    """How espeak-ng is to speak.

    Parameters
    ----------
    name : str
        A voice of espeak-ng, with a variant, such as ``"en+m3"``.
    words_per_minute : float
        80 to 450.
    pitch, pitch_range : float
        0 to 100; 50 is the voice's own.
    volume : float
        0 to 200; 100 is the voice's own.
    """

    name: str = "en"
    words_per_minute: float = 150.0
    pitch: float = 50.0
    pitch_range: float = 50.0
    volume: float = 100.0


@dataclass(frozen=True, slots=True)
class Phone:
    """One phone, and its span in the audio; a stop begins with its closure."""

    symbol: str  # IPA without stress and length; `SILENCE` for a pause
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence as it was said, at 16 kHz; its phones have no gaps."""

    audio: AudioStream
    phones: tuple[Phone, ...]
    words: tuple[Word, ...]


def speak(text: str, voice: Voice | None = None) -> Spoken:
    """Let espeak-ng say words of letters; the result depends on text, voice and version."""
    voice = voice or Voice()
    words = text.split()
    if not words or not all(word.isalpha() for word in words):
        raise ParameterError(f"{text!r} cannot be said word by word", "use letters and blanks")
    said = " ".join(SAID_AS.get(word, word) for word in words)
    events, samples, rate_hz = run_espeak(said, voice)
    if not samples.any():
        raise AvalignError(f"espeak-ng was silent on {text!r}", "raise the volume")
    phones, numbers = _phones(events, samples, rate_hz)
    audio = AudioStream(_resampled(samples, rate_hz), SAMPLE_RATE_HZ, 0.0)
    return Spoken(audio, phones, _words(words, phones, numbers))


def run_espeak(
    text: str, voice: Voice, *, ipa: bool = True
) -> tuple[list[tuple[str, int, int]], NDArray[np.float32], int]:
    """Let espeak-ng speak in a process of its own, which says the same every time.

    Parameters
    ----------
    text : str
        What to say.
    voice : Voice
        How to say it.
    ipa : bool
        Name phones in IPA, else as espeak-ng does.

    Returns
    -------
    phones : list of (str, int, int)
        Name, first sample, and number of the word from 1, of each phone and pause.
    samples : ndarray of shape (N,), float32
        From -1 to 1.
    sample_rate_hz : int
        Of the samples, as espeak-ng chose it.

    Raises
    ------
    MissingDependencyError
        If libespeak-ng is not installed.
    ParameterError
        If the voice is unknown.
    AvalignError
        If espeak-ng fails.
    """
    parameters = {
        RATE: voice.words_per_minute,
        VOLUME: voice.volume,
        PITCH: voice.pitch,
        RANGE: voice.pitch_range,
    }
    request = {
        "text": text,
        "voice": voice.name,
        "ipa": ipa,
        "parameters": [(number, round(value)) for number, value in parameters.items()],
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(PROGRAM)],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AvalignError(f"espeak-ng did not end in {LONGEST_S:.0f} s on {text!r}") from error
    if done.returncode == NO_LIBRARY:
        raise MissingDependencyError(
            "the synthetic corpus is spoken by espeak-ng, whose library is not installed",
            "install espeak-ng, such as with: apt install espeak-ng, or brew install espeak-ng",
        )
    if done.returncode == NO_VOICE:
        raise ParameterError(
            f"espeak-ng has no voice {voice.name!r}", "see: espeak-ng --voices=en"
        )
    header, _, data = done.stdout.partition(b"\n")
    if done.returncode or not header:
        raise AvalignError(f"espeak-ng ended with {done.returncode} on {text!r}")
    answer = json.loads(header)
    samples = np.frombuffer(data, np.int16).astype(np.float32) / 2**15
    return answer["phones"], samples, answer["sample_rate_hz"]


def _resampled(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    from scipy.signal import resample_poly

    divisor = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    moved = resample_poly(samples, SAMPLE_RATE_HZ // divisor, rate_hz // divisor)
    return np.clip(moved, -1.0, 1.0).astype(np.float32)


def _phones(
    events: Sequence[tuple[str, int, int]], samples: NDArray[np.float32], rate_hz: int
) -> tuple[tuple[Phone, ...], tuple[int, ...]]:
    """Make spans of events, each of which marks where a phone begins to sound.

    A stop begins to sound with its burst, so the silence before it is its closure.
    Returns the phones, and the number of the word of each.
    """
    loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max())
    last_s = (int(np.flatnonzero(samples)[-1]) + 1) / rate_hz
    spans: list[tuple[str, float, int]] = []
    for name, first, word in events:
        # espeak-ng's names of pauses are empty in IPA, or begin with an underscore.
        symbol = SILENCE if name.startswith("_") else name.translate(MARKS)
        start_s = first / rate_hz
        silence_s = _silence_before(loud, first) / rate_hz
        if symbol in STOPS:
            start_s -= min(silence_s, LONGEST_CLOSURE_S)
        spans.append((symbol, max(start_s, spans[-1][1] if spans else 0.0), word))
    ends_s = [start_s for _, start_s, _ in spans[1:]] + [last_s]
    sounding = [
        (Phone(symbol, start_s, min(end_s, last_s)), word)
        for (symbol, start_s, word), end_s in zip(spans, ends_s, strict=True)
        if symbol != SILENCE and start_s < min(end_s, last_s)
    ]
    return tuple(phone for phone, _ in sounding), tuple(word for _, word in sounding)


def _silence_before(loud: NDArray[np.int64], first: int) -> int:
    """Count the quiet samples right before one."""
    index = int(np.searchsorted(loud, first)) - 1
    return first - int(loud[index]) - 1 if index >= 0 else first


def _words(
    texts: Sequence[str], phones: Sequence[Phone], numbers: Sequence[int]
) -> tuple[Word, ...]:
    """Give each word the span of its phones."""
    words = []
    for number, text in enumerate(texts, start=1):
        inside = [phone for phone, of in zip(phones, numbers, strict=True) if of == number]
        if not inside:
            raise AvalignError(
                f"espeak-ng did not say {text!r} as a word", "install another version of it"
            )
        words.append(Word(text, inside[0].start_s, inside[-1].end_s))
    return tuple(words)
