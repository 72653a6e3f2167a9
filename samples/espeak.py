"""Speech and the time of each of its phonemes, from the espeak-ng library."""

from __future__ import annotations

import ctypes
import ctypes.util
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["EspeakMissingError", "Phoneme", "Speech", "synthesise"]

# Constants and the event record of espeak-ng/speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_PHONEME_EVENTS = 1
EVENT_LIST_TERMINATED, EVENT_PHONEME = 0, 7
CHARS_UTF8, RATE = 1, 1


class EspeakMissingError(RuntimeError):
    """The espeak-ng library is not on this machine."""


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


@dataclass(frozen=True)
class Phoneme:
    """A phoneme in espeak-ng's spelling, and the seconds it is heard."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Speech:
    """Samples in [-1, 1], and the phonemes they voice."""

    samples: NDArray[np.float32]
    sample_rate_hz: int
    phonemes: list[Phoneme]


def synthesise(text: str, voice: str = "en-us", words_per_minute: int = 150) -> Speech:
    """Speak a text; the first text of a process always gives the same samples."""
    library = ctypes.util.find_library("espeak-ng")
    if library is None:
        raise EspeakMissingError("the espeak-ng library was not found")
    espeak = ctypes.CDLL(library)
    blocks: list[NDArray[np.int16]] = []
    starts: list[tuple[int, str]] = []

    @ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
    )
    def receive(wave, count, events):  # type: ignore[no-untyped-def]
        if wave and count:
            blocks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != EVENT_LIST_TERMINATED:
            event = events[index]
            if event.type == EVENT_PHONEME:
                starts.append((event.sample, event.name.decode()))
            index += 1
        return 0

    rate = espeak.espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS, 0, None, INITIALIZE_PHONEME_EVENTS
    )
    if rate <= 0:
        raise EspeakMissingError("espeak-ng does not start; its voices may be missing")
    espeak.espeak_SetSynthCallback(receive)
    espeak.espeak_SetVoiceByName(voice.encode())
    espeak.espeak_SetParameter(RATE, words_per_minute, 0)
    data = text.encode()
    espeak.espeak_Synth(data, len(data) + 1, 0, 0, 0, CHARS_UTF8, None, None)
    samples = np.concatenate(blocks).astype(np.float32) / 2**15
    starts.append((len(samples), ""))
    phonemes = [
        Phoneme(name, start / rate, end / rate) for (start, name), (end, _) in pairwise(starts)
    ]
    return Speech(samples, rate, phonemes)
