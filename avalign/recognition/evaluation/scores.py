"""Scores of a model over clips, with the intervals that so few clips allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.errors import ParameterError
from avalign.recognition.metrics import (
    classification_metrics,
    regression_metrics,
    speech_errors,
)

RESAMPLES = 1000
_PERCENT = 2.5, 97.5


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its 95 % interval.

    Parameters
    ----------
    value : float
        The number over all clips.
    low, high : float
        Ends of the interval, by resampling clips.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ClipScore:
    """Answers of a model for one clip, and their errors.

    Parameters
    ----------
    clip, speaker : str
        Which clip, and who speaks.
    truth : str
        The words or the class.
    answers : mapping of str to str
        What was answered: ``"greedy"`` and ``"grammar"``, or ``"class"``.
    numbers : mapping of str to float
        Errors, counts, probabilities.
    """

    clip: str
    speaker: str
    truth: str
    answers: Mapping[str, str]
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ConditionScore:
    """Scores of a model in one condition.

    Parameters
    ----------
    name : str
        The condition.
    streams : tuple of str
        What the model was given.
    noise : str or None
        What was mixed into the sound.
    snr_db : float or None
        How loud.
    metrics : mapping of str to Interval
        Scores as fractions, or in the unit of the values.
    details : mapping
        What has no interval: counts, the confusion matrix, errors of word times.
    clips : tuple of ClipScore
        Clip by clip.
    """

    name: str
    streams: tuple[str, ...]
    noise: str | None
    snr_db: float | None
    metrics: Mapping[str, Interval]
    details: Mapping[str, Any] = field(default_factory=dict)
    clips: tuple[ClipScore, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Turn the scores into plain values that JSON can hold.

        Returns
        -------
        dict
            All but the clips, of which it tells the number.
        """
        return {
            "name": self.name,
            "streams": list(self.streams),
            "noise": self.noise,
            "snr_db": self.snr_db,
            "clips": len(self.clips),
            "metrics": {name: asdict(found) for name, found in self.metrics.items()},
            **self.details,
        }


def score_speech(
    truth: Sequence[str], answers: Mapping[str, Sequence[str]], *, seed: int = 0
) -> tuple[dict[str, Interval], list[dict[str, float]]]:
    """Count word and character errors, with intervals by clip.

    Parameters
    ----------
    truth : sequence of str
        The words of each clip.
    answers : mapping of str to sequence of str
        What each way of decoding read, such as ``"greedy"`` and ``"grammar"``.
    seed : int
        Of the resampling.

    Returns
    -------
    metrics : dict of str to Interval
        ``"wer_<way>"``, ``"cer_<way>"`` and ``"ser_<way>"`` (fraction of the clips with an
        error), as fractions.
    by_clip : list of dict of str to float
        Words and word errors of each clip.

    Raises
    ------
    ParameterError
        If there are no words.
    MissingDependencyError
        If jiwer does not load.
    """
    by_clip = [{"words": float(len(text.split()))} for text in truth]
    if not sum(row["words"] for row in by_clip):
        raise ParameterError("no clip has words to compare with", "give clips that speak")
    draws = _draws(len(truth), seed)
    metrics: dict[str, Interval] = {}
    for way, texts in answers.items():
        counts = np.array(
            [_errors(true, found) for true, found in zip(truth, texts, strict=True)]
        )
        for row, errors in zip(by_clip, counts[:, 0], strict=True):
            row[f"errors_{way}"] = float(errors)
        columns = (("wer", 0, 1), ("cer", 2, 3), ("ser", 4, 5))
        for metric, above, below in columns:
            metrics[f"{metric}_{way}"] = _ratio(counts[:, above], counts[:, below], draws)
    return metrics, by_clip


def score_classes(
    truth: Sequence[str],
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> tuple[dict[str, Interval], dict[str, Any]]:
    """Compare classes, with intervals by clip.

    Parameters
    ----------
    truth : sequence of str
        The class of each clip.
    probabilities : ndarray of shape (N, number of classes)
        Probabilities of the model.
    classes : sequence of str
        Names of the classes.
    seed : int
        Of the resampling.

    Returns
    -------
    metrics : dict of str to Interval
        ``"uar"``, ``"accuracy"``, ``"precision"``, ``"f1"`` and, where it is defined,
        ``"auc"``, as fractions.
    details : dict
        ``"classes"``, ``"confusion"`` (rows are the truth), ``"recall"`` by class.

    Raises
    ------
    ParameterError
        As `avalign.recognition.metrics.classification_metrics`.
    """
    answers = [classes[int(number)] for number in probabilities.argmax(axis=1)]
    names = {
        "uar": "unweighted_average_recall",
        "accuracy": "accuracy",
        "precision": "macro_precision",
        "f1": "macro_f1",
        "auc": "auc",
    }
    found = classification_metrics(truth, answers, classes, probabilities)

    def scores(chosen: NDArray[np.intp]) -> list[float]:
        drawn = classification_metrics(
            [truth[i] for i in chosen],
            [answers[i] for i in chosen],
            classes,
            probabilities[chosen],
        )
        return [_or_nan(getattr(drawn, attribute)) for attribute in names.values()]

    metrics = _resampled(list(names), scores, len(truth), seed)
    details = {
        "classes": list(classes),
        "confusion": found.confusion,
        "recall": dict(found.recall),
    }
    return metrics, details


def score_values(
    truth: NDArray[np.float64], answers: NDArray[np.float64], name: str, *, seed: int = 0
) -> dict[str, Interval]:
    """Compare numbers, with intervals by clip.

    Parameters
    ----------
    truth, answers : ndarray of shape (N,)
        The numbers.
    name : str
        What they are.
    seed : int
        Of the resampling.

    Returns
    -------
    dict of str to Interval
        ``"mae_<name>"``, ``"rmse_<name>"`` and, where it is defined, ``"ccc_<name>"``,
        Lin's concordance.

    Raises
    ------
    ParameterError
        As `avalign.recognition.metrics.regression_metrics`.
    """

    def scores(chosen: NDArray[np.intp]) -> list[float]:
        drawn = regression_metrics(truth[chosen], answers[chosen])
        return [
            drawn.mean_absolute_error,
            drawn.root_mean_squared_error,
            _or_nan(drawn.concordance),
        ]

    names = [f"{metric}_{name}" for metric in ("mae", "rmse", "ccc")]
    return _resampled(names, scores, len(truth), seed)


def _errors(truth: str, found: str) -> tuple[float, ...]:
    """Count word errors, words, character errors, characters, wrong clips and clips."""
    errors = speech_errors([truth], [found])
    true_characters = len(" ".join(truth.split()))
    characters = (errors.character_error_rate or 0.0) * true_characters
    return (
        errors.substitutions + errors.deletions + errors.insertions,
        errors.n_words,
        round(characters),
        true_characters,
        truth.split() != found.split(),
        1.0,
    )


def _draws(count: int, seed: int) -> NDArray[np.intp]:
    return np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))


def _ratio(
    above: NDArray[np.float64], below: NDArray[np.float64], draws: NDArray[np.intp]
) -> Interval:
    drawn = above[draws].sum(axis=1) / np.maximum(below[draws].sum(axis=1), 1.0)
    low, high = np.percentile(drawn, _PERCENT)
    return Interval(float(above.sum() / max(below.sum(), 1.0)), float(low), float(high))


def _resampled(
    names: Sequence[str],
    scores: Callable[[NDArray[np.intp]], list[float]],
    count: int,
    seed: int,
) -> dict[str, Interval]:
    values = scores(np.arange(count))
    table = np.array([scores(chosen) for chosen in _draws(count, seed)])
    metrics = {}
    for name, value, column in zip(names, values, table.T, strict=True):
        known = column[np.isfinite(column)]
        if np.isfinite(value) and len(known):
            low, high = np.percentile(known, _PERCENT)
            metrics[name] = Interval(value, float(low), float(high))
    return metrics


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
