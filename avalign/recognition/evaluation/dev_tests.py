"""Score a model on dev, under each condition, while it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from avalign.recognition import Alphabet, greedy_decode
from avalign.recognition.evaluation.conditions import condition_batches
from avalign.recognition.metrics import (
    classification_metrics,
    regression_metrics,
    speech_errors,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from avalign.recognition import Recognizer, RecognizerSettings
    from avalign.recognition.evaluation.conditions import Condition
    from avalign.recognition.material.batches import Batch
    from avalign.recognition.material.utterances import Utterance
    from avalign.recognition.metrics import ClassificationMetrics


class _DevTest:
    """Utterances to test on, in the batches of each condition that leaves any a stream.

    Parameters
    ----------
    utterances : sequence of Utterance
        What to test on; they have their targets.
    settings : RecognizerSettings
        What the models read and answer.
    conditions : sequence of Condition
        What they are tested in.
    batch_size : int
        Utterances at once.
    seed : int
        Of the noise.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        settings: RecognizerSettings,
        conditions: Sequence[Condition],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self._utterances = utterances
        batches = {
            condition.name: condition_batches(
                utterances, settings, condition, batch_size=batch_size, seed=seed
            )
            for condition in conditions
        }
        self._batches = {name: made for name, made in batches.items() if made}


class SpeechTest(_DevTest):
    """Word and character error rates on utterances, by greedy decoding."""

    def __call__(self, model: Recognizer) -> dict[str, float]:
        """Test a model.

        Parameters
        ----------
        model : Recognizer
            The model, in ``eval`` mode.

        Returns
        -------
        dict of str to float
            ``"wer_<condition>"`` and ``"cer_<condition>"`` as fractions, and ``"score"``,
            the mean of them all: lower is better.
        """
        texts = {one.name: one.text for one in self._utterances}
        numbers: dict[str, float] = {}
        for name, batches in self._batches.items():
            truth, found = [], []
            for batch in batches:
                truth += [texts[one] for one in batch.names]
                found += greedy_texts(model, batch)
            errors = speech_errors(truth, found)
            numbers[f"wer_{name}"] = errors.word_error_rate or 0.0
            numbers[f"cer_{name}"] = errors.character_error_rate or 0.0
        return {**numbers, "score": float(np.mean([*numbers.values()]))}


class EmotionTest(_DevTest):
    """Unweighted average recall, and errors of continuous labels, on utterances."""

    def __call__(self, model: Recognizer) -> dict[str, float]:
        """Test a model.

        Parameters
        ----------
        model : Recognizer
            The model, in ``eval`` mode.

        Returns
        -------
        dict of str to float
            ``"uar_<condition>"``, ``"f1_<condition>"`` and ``"accuracy_<condition>"``,
            ``"rmse_<value>_<condition>"``, and ``"score"``: the mean of 1 - UAR and of
            the RMSEs; lower is better.
        """
        numbers: dict[str, float] = {}
        costs: list[float] = []
        for name, batches in self._batches.items():
            if model.settings.labels:
                metrics = class_metrics(model, batches)
                numbers[f"uar_{name}"] = metrics.unweighted_average_recall
                numbers[f"f1_{name}"] = metrics.macro_f1
                numbers[f"accuracy_{name}"] = metrics.accuracy
                costs.append(1.0 - metrics.unweighted_average_recall)
            for value, rmse in _rmse(model, batches).items():
                numbers[f"rmse_{value}_{name}"] = rmse
                costs.append(rmse)
        return {**numbers, "score": float(np.mean(costs))}


def greedy_texts(model: Recognizer, batch: Batch) -> list[str]:
    """Read a batch with the most probable character of each row: one text per utterance."""
    alphabet = Alphabet(model.settings.characters)
    inputs = batch.inputs.to(next(model.parameters()).device)
    output = model(inputs.streams, inputs.masks, inputs.present)
    assert output.answers.log_probs is not None
    log_probs = output.answers.log_probs.detach().cpu().numpy()
    texts = []
    for rows, length in zip(log_probs, output.lengths.tolist(), strict=True):
        clock_s = np.arange(length) / model.settings.rate_hz
        texts.append(greedy_decode(rows[:length], clock_s, alphabet).transcript.text)
    return texts


def class_metrics(model: Recognizer, batches: Sequence[Batch]) -> ClassificationMetrics:
    """Compare a model's classes with the true ones.

    Parameters
    ----------
    model : Recognizer
        A model with a classifier, in ``eval`` mode.
    batches : sequence of Batch
        What to test on; items without a class are left out.

    Returns
    -------
    ClassificationMetrics
        All metrics, by the model's labels.
    """
    names = model.settings.labels
    truth = np.concatenate([batch.labels.numpy() for batch in batches])
    scores = _answers(model, batches, "logits")[truth >= 0]
    truth = truth[truth >= 0]
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return classification_metrics(
        [names[number] for number in truth],
        [names[number] for number in scores.argmax(axis=1)],
        names,
        shifted / shifted.sum(axis=1, keepdims=True),
    )


def _rmse(model: Recognizer, batches: Sequence[Batch]) -> dict[str, float]:
    if not model.settings.values:
        return {}
    truth = np.concatenate([batch.values.numpy() for batch in batches])
    found = _answers(model, batches, "values")
    errors = {}
    for column, name in enumerate(model.settings.values):
        known = np.isfinite(truth[:, column])
        if known.any():
            metrics = regression_metrics(truth[known, column], found[known, column])
            errors[name] = metrics.root_mean_squared_error
    return errors


def _answers(model: Recognizer, batches: Sequence[Batch], head: str) -> NDArray[np.float64]:
    device = next(model.parameters()).device
    parts = []
    with torch.no_grad():
        for batch in batches:
            inputs = batch.inputs.to(device)
            output = model(inputs.streams, inputs.masks, inputs.present)
            parts.append(getattr(output.answers, head).double().cpu().numpy())
    return np.concatenate(parts)
