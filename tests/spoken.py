"""Sentences that espeak-ng spoke once, so that tests need no espeak-ng.

``python tests/spoken.py`` (from the root of the repository, with espeak-ng installed) makes
``tests/fixtures/spoken.npz`` anew: eight bits a sample, by the mu-law of ITU-T G.711.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np

from avalign.data.synthetic.corpus import CorpusPlan
from avalign.data.synthetic.sentences import draw_sentences
from avalign.data.synthetic.speakers import draw_speakers
from avalign.data.synthetic.speech import Phone, Spoken, speak
from avalign.transcript import Word
from avalign.types import AudioStream

FIXTURE = Path(__file__).parent / "fixtures" / "spoken.npz"
# What is kept: the sentences of this plan, and one that is long enough to measure a lag on.
PLAN = CorpusPlan(sentences=2, speakers=2, seed=3)
LONG = (
    "bin blue at f two now place red by w zero again lay white with m seven please "
    "set green in j eight soon"
)
MU = 255.0


@cache
def kept() -> dict[str, Spoken]:
    """Read what is kept, by text."""
    with np.load(FIXTURE, allow_pickle=False) as arrays:
        facts = json.loads(arrays["facts"].tobytes())
        return {text: _decoded(arrays[str(n)], *facts[text]) for n, text in enumerate(facts)}


def speak_kept(text, voice=None):
    """Say a sentence as espeak-ng did, in one voice for all."""
    return kept()[text]


def _decoded(codes, phones, words):
    y = codes.astype(np.float64) / 127.5 - 1.0
    samples = np.sign(y) * ((1 + MU) ** np.abs(y) - 1) / MU
    # Silence lies between two codes.
    samples[codes == 128] = 0.0
    return Spoken(
        AudioStream(samples.astype(np.float32), 16_000, 0.0),
        tuple(Phone(*phone) for phone in phones),
        tuple(Word(*word) for word in words),
    )


def _encoded(samples):
    x = samples.astype(np.float64)
    y = np.sign(x) * np.log1p(MU * np.abs(x)) / np.log1p(MU)
    return np.rint((y + 1.0) * 127.5).astype(np.uint8)


def _make():
    speakers = draw_speakers(PLAN.speakers, PLAN.seed)
    said = {LONG: speak(LONG, speakers[0].voice)}
    for number, speaker in enumerate(speakers):
        for text in draw_sentences(PLAN.sentences, [PLAN.seed, number]).values():
            said[text] = speak(text, speaker.voice)
    facts = {
        text: [
            [(one.symbol, round(one.start_s, 5), round(one.end_s, 5)) for one in spoken.phones],
            [(one.text, round(one.start_s, 5), round(one.end_s, 5)) for one in spoken.words],
        ]
        for text, spoken in said.items()
    }
    arrays = {str(n): _encoded(spoken.audio.samples) for n, spoken in enumerate(said.values())}
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    FIXTURE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FIXTURE, **arrays)


if __name__ == "__main__":
    _make()
