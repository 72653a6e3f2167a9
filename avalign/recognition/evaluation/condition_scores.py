"""Score predictions for the clips of one condition."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import AvalignError, ParameterError
from avalign.recognition import (
    ClipScore,
    ConditionScore,
    Interval,
    Transcriber,
    score_classes,
    score_speech,
    score_values,
)
from avalign.recognition.metrics import word_time_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from avalign.recognition import Recognizer
    from avalign.recognition.evaluation.cases import Prediction
    from avalign.recognition.evaluation.conditions import Condition


def score_condition(
    model: Recognizer,
    predictions: Sequence[Prediction],
    condition: Condition,
    noise: str | None,
    *,
    seed: int,
) -> ConditionScore:
    """Score all that the model answers and the clips know, in one condition."""
    if not predictions:
        raise ParameterError(
            f"no clip has the streams {', '.join(condition.streams)}", "name others"
        )
    settings = model.settings
    metrics: dict[str, Interval] = {}
    details: dict[str, Any] = {}
    clips: list[ClipScore] = []
    if settings.characters:
        metrics, details, clips = _score_speech(model, predictions, seed)
    if settings.labels:
        found, more, clips = _score_classes(model, predictions, seed)
        metrics, details = {**metrics, **found}, {**details, **more}
    for column, name in enumerate(settings.values):
        numbers = _numbers(predictions, column, name)
        if numbers:
            truth, answers = np.array([*numbers.values()]).T
            metrics.update(score_values(truth, answers, name, seed=seed))
            clips = _with_numbers(clips, predictions, numbers, name)
    snr_db = None if condition.noise is None else condition.snr_db
    return ConditionScore(
        condition.name, condition.streams, noise, snr_db, metrics, details, tuple(clips)
    )


def _score_speech(
    model: Recognizer, predictions: Sequence[Prediction], seed: int
) -> tuple[dict[str, Interval], dict[str, Any], list[ClipScore]]:
    transcriber = Transcriber(model.settings)
    transcriptions = [
        transcriber.transcribe(one.speech) for one in predictions if one.speech is not None
    ]
    answers = {"greedy": [transcription.free.text for transcription in transcriptions]}
    if transcriber.grammar is not None:
        answers["grammar"] = [
            "" if transcription.sentence is None else transcription.sentence.text
            for transcription in transcriptions
        ]
    truth = [one.case.transcript.text for one in predictions]
    metrics, by_clip = score_speech(truth, answers, seed=seed)
    clips = []
    for one, transcription, numbers, row in zip(
        predictions, transcriptions, by_clip, range(len(predictions)), strict=True
    ):
        answers_of_clip = {way: texts[row] for way, texts in answers.items()}
        name, speaker = one.case.utterance.name, one.case.utterance.speaker
        all_numbers = {**numbers, "misfit": transcription.misfit}
        clips.append(ClipScore(name, speaker, truth[row], answers_of_clip, all_numbers))
    return metrics, _word_times(transcriber, predictions), clips


def _word_times(transcriber: Transcriber, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Compare times of words found by forced alignment with those that are known."""
    known = [
        one
        for one in predictions
        if one.speech is not None
        and one.case.transcript.words
        and one.case.transcript.has_times
    ]
    truth, found = [], []
    for one in known:
        try:
            assert one.speech is not None
            found.append(transcriber.time_words(one.speech, one.case.transcript))
        except AvalignError:
            continue  # too short, which its errors tell already
        truth.append(one.case.transcript)
    return {"word_times": word_time_errors(truth, found).as_dict() if found else None}


def _score_classes(
    model: Recognizer, predictions: Sequence[Prediction], seed: int
) -> tuple[dict[str, Interval], dict[str, Any], list[ClipScore]]:
    labels = model.settings.labels
    labelled = [
        one for one in predictions if one.case.row.label and one.probabilities is not None
    ]
    if not labelled:
        return {}, {}, []
    table = np.array([one.probabilities for one in labelled])
    truth = [one.case.row.label for one in labelled]
    metrics, details = score_classes(truth, table, labels, seed=seed)
    clips = [
        ClipScore(
            one.case.utterance.name,
            one.case.utterance.speaker,
            label,
            {"class": labels[int(row.argmax())]},
            {
                f"p_{name}": float(probability)
                for name, probability in zip(labels, row, strict=True)
            },
        )
        for one, label, row in zip(labelled, truth, table, strict=True)
    ]
    return metrics, details, clips


def _numbers(
    predictions: Sequence[Prediction], column: int, name: str
) -> dict[str, tuple[float, float]]:
    """Find the true number and the answer of each clip that has one."""
    pairs = {}
    for one in predictions:
        text = one.case.row.extra.get(name, "")
        try:
            true = float(text) if text else float("nan")
        except ValueError:
            raise ParameterError(
                f"{one.case.row.path.name} has {text!r} as {name}",
                "write numbers in that column",
            ) from None
        if one.values is not None and np.isfinite(true):
            pairs[one.case.utterance.name] = true, float(one.values[column])
    return pairs


def _with_numbers(
    clips: Sequence[ClipScore],
    predictions: Sequence[Prediction],
    pairs: Mapping[str, tuple[float, float]],
    name: str,
) -> list[ClipScore]:
    """Add true numbers and answers to the clips, and the clips that have nothing else."""
    known = {clip.clip: clip for clip in clips}
    found = []
    for one in predictions:
        clip, speaker = one.case.utterance.name, one.case.utterance.speaker
        score = known.get(clip) or ClipScore(clip, speaker, "", {}, {})
        if clip in pairs:
            true, answer = pairs[clip]
            numbers = {**score.numbers, f"true_{name}": true, name: answer}
            score = replace(score, numbers=numbers)
        if clip in pairs or clip in known:
            found.append(score)
    return found
