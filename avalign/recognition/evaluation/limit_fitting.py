"""Measure when to believe a model, on clips it has not learnt from.

What has none of its words is made of the same clips, so that nothing but the words
differs: played backwards, and with the voice replaced by noise and the face at rest.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import AvalignError, ParameterError
from avalign.recognition import (
    AnswerLimits,
    Limit,
    SpeechReader,
    WordTiming,
    fit_limit,
    fit_word_timing,
)
from avalign.recognition.evaluation.cases import Case, Prediction, ask
from avalign.recognition.evaluation.conditions import Condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avalign.recognition import Recognizer
    from avalign.recognition.material.utterances import Utterance

__all__ = ["calibrate"]

# Share of dev clips whose likeliest class is not certain enough.
UNCERTAIN_SHARE = 0.02
# Clips asked for each set of streams: limits need no more.
_MOST_CASES = 150


def calibrate(model: Recognizer, cases: Sequence[Case], *, seed: int = 0) -> AnswerLimits:
    """Measure the limits of a model, for every set of its streams.

    Parameters
    ----------
    model : Recognizer
        The model, in ``eval`` mode.
    cases : sequence of Case
        Clips of known words or classes, none of them learnt from.
    seed : int
        Which clips, where there are many, and of the noise.

    Returns
    -------
    AnswerLimits
        To be written beside the weights.

    Raises
    ------
    ParameterError
        If there are no clips.
    """
    if not cases:
        raise ParameterError("there are no clips to calibrate on", "name another part")
    order = np.random.default_rng(seed).permutation(len(cases))[:_MOST_CASES]
    chosen = [cases[place] for place in sorted(order.tolist())]
    names = sorted(model.settings.streams)
    subsets = [part for size in range(1, len(names) + 1) for part in combinations(names, size)]
    limits: dict[str, Limit] = {}
    certainty: dict[str, float] = {}
    timing = WordTiming()
    for part in subsets:
        condition = Condition("+".join(part), part)
        told = list(ask(model, chosen, condition, seed=seed))
        if not told:
            continue
        if model.settings.characters:
            limits[condition.name] = _limit(model, chosen, told, condition, seed)
            if len(part) == len(names):
                timing = _timing(model, told)
        if model.settings.labels:
            best = [one.probabilities.max() for one in told if one.probabilities is not None]
            certainty[condition.name] = float(np.quantile(best, UNCERTAIN_SHARE))
    return AnswerLimits(limits, certainty, timing, {"clips": len(chosen), "seed": seed})


def _limit(
    model: Recognizer,
    cases: Sequence[Case],
    told: Sequence[Prediction],
    condition: Condition,
    seed: int,
) -> Limit:
    reader = SpeechReader(model.settings)
    random = np.random.default_rng(seed)
    foreign = [replace(case, utterance=_backwards(case.utterance)) for case in cases]
    # Half as many without speech: they are easier to tell.
    foreign += [
        replace(case, utterance=_at_rest(case.utterance, random)) for case in cases[::2]
    ]
    strange = ask(model, foreign, condition, seed=seed)
    return fit_limit(
        [reader.read(one.speech).misfit for one in told if one.speech is not None],
        [reader.read(one.speech).misfit for one in strange if one.speech is not None],
    )


def _timing(model: Recognizer, told: Sequence[Prediction]) -> WordTiming:
    reader = SpeechReader(model.settings)
    truth, found = [], []
    for one in told:
        transcript = one.case.transcript
        if one.speech is None or not transcript.words or not transcript.has_times:
            continue
        try:
            found.append(reader.time_words(one.speech, transcript))
        except AvalignError:
            continue  # too short for its words
        truth.append(transcript)
    # Words by row have times of their own, which need no correction.
    if not found or model.settings.word_rows:
        return WordTiming()
    return fit_word_timing(found, truth)


def _backwards(one: Utterance) -> Utterance:
    sound = one.sound
    if sound is not None:
        sound = replace(sound, samples=np.ascontiguousarray(sound.samples[::-1]))
    streams = {
        name: replace(
            stream,
            values=np.ascontiguousarray(stream.values[::-1]),
            valid=np.ascontiguousarray(stream.valid[::-1]),
        )
        for name, stream in one.streams.items()
    }
    return replace(one, name=f"{one.name}, backwards", sound=sound, streams=streams)


def _at_rest(one: Utterance, random: np.random.Generator) -> Utterance:
    """Replace the voice by noise of its level, and hold each stream at its mean."""
    sound = one.sound
    if sound is not None:
        level = np.float32(sound.samples.std() or 1e-3)
        noise = level * random.standard_normal(len(sound.samples), np.float32)
        sound = replace(sound, samples=noise)
    streams = {}
    for name, stream in one.streams.items():
        mean = stream.values[stream.valid].mean(axis=0) if stream.valid.any() else 0.0
        rest = np.where(stream.valid[:, None], mean, stream.values).astype(np.float32)
        streams[name] = replace(stream, values=rest)
    return replace(one, name=f"{one.name}, at rest", sound=sound, streams=streams)
