"""A tiny world in which words are tones and lip openings, for tests of recognition."""

import numpy as np

from avalign.recognition.ctc.alphabet import Alphabet
from avalign.recognition.material.utterances import Utterance
from avalign.recognition.model.settings import RecognizerSettings, StreamSettings
from avalign.types import AudioStream, FeatureStream

ALPHABET = Alphabet(" abc")
LABELS = ("calm", "happy", "sad")
RATE_HZ = 16_000
TONE_HZ = {"a": 400.0, "b": 1100.0, "c": 2600.0, " ": 0.0}
CHARACTER_S = 0.12
STREAMS = {
    "audio": StreamSettings.of("mfcc"),
    "lips": StreamSettings.of("lip_points", components=4, velocity=True),
}


def settings(**changes):
    fields = {
        "streams": STREAMS,
        "fusion": "early",
        "width": 12,
        "dropout": 0.0,
        "characters": ALPHABET.characters,
    }
    return RecognizerSettings(**{**fields, **changes})


def utterance(number, *, text=None, speaker=None, label=0, audio=True, lips=True):
    """Say a text in tones, with lips that open by character."""
    random = np.random.default_rng(number)
    text = text or "".join(random.choice(list("abc"), 4))
    time_s = np.arange(round(CHARACTER_S * RATE_HZ)) / RATE_HZ
    samples = np.concatenate([np.sin(2 * np.pi * TONE_HZ[one] * time_s) for one in text])
    samples = 0.1 * samples + 0.003 * random.standard_normal(len(samples))
    times_s = np.arange(0, len(samples) / RATE_HZ, 0.04)
    spoken = [text[min(int(t / CHARACTER_S), len(text) - 1)] for t in times_s]
    world = np.random.default_rng(7).normal(size=(len(TONE_HZ), 123))
    rows = 0.1 * world[[list(TONE_HZ).index(one) for one in spoken]]
    rows = (rows + 0.005 * random.standard_normal(rows.shape)).astype(np.float32)
    stream = FeatureStream(rows, times_s, np.ones(len(rows), bool), "lips")
    heard = AudioStream(samples.astype(np.float32), RATE_HZ, 0.0) if audio else None
    return Utterance(
        f"clip{number}",
        speaker or f"speaker{number % 3}",
        heard,
        {"lips": stream} if lips else {},
        len(samples) // 320 + 1,
        text=text,
        tokens=ALPHABET.encode(text),
        label=label,
    )
