"""Measure the limits of a model's answers, on clips it has not learnt from.

Clips without any known word are made of the same clips, so that nothing but the words
differs: played backwards, or with the voice replaced by noise and the face at rest.
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
    Transcriber,
    WordTiming,
    fit_limit,
    fit_word_timing,
)
from avalign.recognition.evaluation.cases import Case, Prediction, predict_cases
from avalign.recognition.evaluation.conditions import Condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avalign.recognition import Recognizer
    from avalign.recognition.material.utterances import Utterance

# Fraction of dev clips whose likeliest class is not certain enough.
UNCERTAIN_FRACTION = 0.02
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
    chosen = [cases[index] for index in sorted(order.tolist())]
    names = sorted(model.settings.streams)
    subsets = [part for size in range(1, len(names) + 1) for part in combinations(names, size)]
    limits: dict[str, Limit] = {}
    certainty: dict[str, float] = {}
    timing = WordTiming()
    for part in subsets:
        condition = Condition("+".join(part), part)
        predictions = list(predict_cases(model, chosen, condition, seed=seed))
        if not predictions:
            continue
        if model.settings.characters:
            limits[condition.name] = _limit(model, chosen, predictions, condition, seed)
            if len(part) == len(names):
                timing = _timing(model, predictions)
        if model.settings.labels:
            best = [
                one.probabilities.max() for one in predictions if one.probabilities is not None
            ]
            certainty[condition.name] = float(np.quantile(best, UNCERTAIN_FRACTION))
    return AnswerLimits(limits, certainty, timing, {"clips": len(chosen), "seed": seed})


def _limit(
    model: Recognizer,
    cases: Sequence[Case],
    predictions: Sequence[Prediction],
    condition: Condition,
    seed: int,
) -> Limit:
    transcriber = Transcriber(model.settings)
    random = np.random.default_rng(seed)
    foreign = [replace(case, utterance=_backwards(case.utterance)) for case in cases]
    # Half as many without speech: they are easier to tell.
    foreign += [
        replace(case, utterance=_at_rest(case.utterance, random)) for case in cases[::2]
    ]
    strange = predict_cases(model, foreign, condition, seed=seed)
    return fit_limit(
        [
            transcriber.transcribe(one.speech).misfit
            for one in predictions
            if one.speech is not None
        ],
        [
            transcriber.transcribe(one.speech).misfit
            for one in strange
            if one.speech is not None
        ],
    )


def _timing(model: Recognizer, predictions: Sequence[Prediction]) -> WordTiming:
    transcriber = Transcriber(model.settings)
    truth, found = [], []
    for one in predictions:
        transcript = one.case.transcript
        if one.speech is None or not transcript.words or not transcript.has_times:
            continue
        try:
            found.append(transcriber.time_words(one.speech, transcript))
        except AvalignError:
            continue  # too short for its words
        truth.append(transcript)
    # Words by row have times of their own, which need no correction.
    if not found or model.settings.word_rows:
        return WordTiming()
    return fit_word_timing(found, truth)


def _backwards(one: Utterance) -> Utterance:
    audio = one.audio
    if audio is not None:
        audio = replace(audio, samples=np.ascontiguousarray(audio.samples[::-1]))
    streams = {
        name: replace(
            stream,
            values=np.ascontiguousarray(stream.values[::-1]),
            valid=np.ascontiguousarray(stream.valid[::-1]),
        )
        for name, stream in one.streams.items()
    }
    return replace(one, name=f"{one.name}, backwards", audio=audio, streams=streams)


def _at_rest(one: Utterance, random: np.random.Generator) -> Utterance:
    """Replace the voice by noise of its level, and hold each stream at its mean."""
    audio = one.audio
    if audio is not None:
        level = np.float32(audio.samples.std() or 1e-3)
        noise = level * random.standard_normal(len(audio.samples), np.float32)
        audio = replace(audio, samples=noise)
    streams = {}
    for name, stream in one.streams.items():
        mean = stream.values[stream.valid].mean(axis=0) if stream.valid.any() else 0.0
        rest = np.where(stream.valid[:, None], mean, stream.values).astype(np.float32)
        streams[name] = replace(stream, values=rest)
    return replace(one, name=f"{one.name}, at rest", audio=audio, streams=streams)
