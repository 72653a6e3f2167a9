"""The kinds of noise that have a name: the one list for tests, training and the command line.

Nothing heavy is imported before it is used, as the help of the command line names the kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from avalign.recognition.material.noise import Babble, Noise, WhiteNoise

# Babble is what recognition is tested in; white noise keeps models from learning only it.
BABBLE_TO_WHITE = 4


class Voice(NamedTuple):
    """The sound of one training utterance."""

    samples: NDArray[np.float32]
    speaker: str
    name: str


class Voices(NamedTuple):
    """What noise may be made of."""

    gather: Callable[[], Sequence[Voice]]  # called only where it is needed: it may read files
    most: int  # voices at once
    fewest: int | None = None  # as in `Babble`


class NoiseKind(NamedTuple):
    """One kind of noise."""

    meaning: str
    make: Callable[[Voices], Noise | None]  # None where there are too few voices
    training_weight: int  # how often it is drawn in training; 0 for tests only


def _white(_: Voices) -> WhiteNoise:
    from avalign.recognition.material.noise import WhiteNoise

    return WhiteNoise()


def make_babble(voices: Voices) -> Babble | None:
    """Make babble, or nothing where fewer than two voices are heard."""
    from avalign.recognition.material.noise import Babble

    heard = voices.gather()
    if len(heard) < 2:
        return None
    samples, speakers, names = zip(*heard, strict=True)
    return Babble(samples, speakers, names, voices.most, voices.fewest)


NOISES = {
    "white": NoiseKind("all frequencies alike", _white, 1),
    "babble": NoiseKind("voices of the split train", make_babble, BABBLE_TO_WHITE),
}
