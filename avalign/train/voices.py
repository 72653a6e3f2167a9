"""The noise that training utterances are mixed with: mostly one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avalign.media import read_audio
from avalign.train.noise import Babble, RecordedNoise, WhiteNoise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avalign.train.noise import Noise
    from avalign.train.plans import TrainingPlan
    from avalign.train.utterances import Utterance

__all__ = ["training_babble", "training_noises"]

# Babble is what recognition is tested in; white noise keeps models from learning only it.
BABBLE_TO_WHITE = 4


def training_noises(corpus: Sequence[Utterance], plan: TrainingPlan) -> list[Noise]:
    """Gather what is mixed into training utterances: babble, white noise, recordings.

    Parameters
    ----------
    corpus : sequence of Utterance
        The training utterances, whose voices make the babble.
    plan : TrainingPlan
        How many voices, and which recordings.

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
    if not any(one.sound is not None for one in corpus):
        return []
    noises: list[Noise] = [WhiteNoise()]
    if (babble := training_babble(corpus, plan.voices, fewest=1)) is not None:
        noises += [babble] * BABBLE_TO_WHITE
    if plan.recordings:
        recorded = RecordedNoise([read_audio(path).samples for path in plan.recordings])
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
    heard = [
        (one.sound.samples, one.speaker, one.name)
        for one in corpus
        if one.sound is not None and one.sound.samples.any()
    ]
    if len(heard) < 2:
        return None
    samples, speakers, names = zip(*heard, strict=True)
    return Babble(samples, speakers, names, voices, fewest)
