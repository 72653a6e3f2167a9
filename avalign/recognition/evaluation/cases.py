"""The clips of a test, and what a model predicts for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from avalign.data import Manifest
from avalign.errors import ParameterError
from avalign.recognition import Alphabet, CtcOutput
from avalign.recognition.evaluation.conditions import condition_batches
from avalign.recognition.material.spelling import spell_transcripts
from avalign.recognition.material.utterances import aligned_sequence, load_utterances
from avalign.transcript import Transcript

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from avalign.data import ManifestRow
    from avalign.recognition import Answers, Recognizer, RecognizerSettings
    from avalign.recognition.evaluation.conditions import Condition
    from avalign.recognition.material.utterances import Skipped, Utterance

_BATCH_SIZE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A clip, what is to be answered, and the clock of its rows.

    Parameters
    ----------
    row : ManifestRow
        The row of the manifest.
    utterance : Utterance
        Its streams.
    transcript : Transcript
        Its words as the model spells them; empty where none are asked for.
    times_s : ndarray of shape (T,), float64
        Time of each row, on the picture's clock.
    """

    row: ManifestRow
    utterance: Utterance
    transcript: Transcript
    times_s: np.ndarray[Any, np.dtype[np.float64]]

    @classmethod
    def of(
        cls,
        row: ManifestRow,
        utterance: Utterance,
        transcript: Transcript,
        settings: RecognizerSettings,
    ) -> Case:
        """Make a case for a model of these settings.

        Parameters
        ----------
        row, utterance, transcript
            As above.
        settings : RecognizerSettings
            The model's.

        Returns
        -------
        Case
            With the clock on which the model reads.
        """
        sequence = aligned_sequence(utterance, settings.streams, settings.rate_hz)
        return cls(row, utterance, transcript, sequence.times_s)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model gives for one case: from each head that it has."""

    case: Case
    speech: CtcOutput | None
    probabilities: np.ndarray[Any, np.dtype[np.float64]] | None  # float64 [labels]
    values: np.ndarray[Any, np.dtype[np.float64]] | None  # float64 [values]


def load_cases(
    model: Recognizer,
    part: Manifest,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[list[Case], list[Skipped]]:
    """Load the clips of a manifest that have what the model is to answer.

    Parameters
    ----------
    model : Recognizer
        The model.
    part : Manifest
        The rows.
    cache_dir, jobs, progress
        As in `avalign.recognition.evaluation.evaluating.evaluate`.

    Returns
    -------
    cases : list of Case
        In file order.
    skipped : list of Skipped
        Files that cannot be used.

    Raises
    ------
    ParameterError
        If no row has an answer, an answer is none of the model's, or no clip can be used.
    MediaError
        If a transcript cannot be read.
    """
    settings = model.settings
    rows = tuple(row for row in part if _has_answer(row, model))
    if not rows:
        wanted = "words" if settings.characters else "a label"
        raise ParameterError(
            f"none of the {len(part)} rows of {part.path} has {wanted} to compare with",
            "fill the column 'transcript', 'text' or 'label'",
        )
    selected = Manifest(part.path, rows)
    for row in rows:
        if settings.labels and row.label and row.label not in settings.labels:
            raise ParameterError(
                f"{part.name_of(row)} has the unknown label {row.label!r}",
                f"the model knows {', '.join(settings.labels)}",
            )
    transcripts = [Transcript(())] * len(rows)
    if settings.characters:
        transcripts = spell_transcripts(selected, Alphabet(settings.characters))
    words_of = dict(zip((row.span for row in rows), transcripts, strict=True))
    pairs, skipped = load_utterances(
        selected, settings.streams, cache_dir=cache_dir, jobs=jobs, progress=progress
    )
    if not pairs:
        raise ParameterError(
            f"none of the {len(rows)} clips of {part.path} can be used: {skipped[0].reason}"
        )
    cases = [Case.of(row, utterance, words_of[row.span], settings) for row, utterance in pairs]
    return cases, skipped


def predict_cases(
    model: Recognizer, cases: Sequence[Case], condition: Condition, *, seed: int = 0
) -> Iterator[Prediction]:
    """Run a model in ``eval`` mode on the cases that have any stream of the condition."""
    device = next(model.parameters()).device
    by_name = {case.utterance.name: case for case in cases}
    utterances = [case.utterance for case in cases]
    batches = condition_batches(
        utterances, model.settings, condition, batch_size=_BATCH_SIZE, seed=seed
    )
    with torch.no_grad():
        for batch in batches:
            inputs = batch.inputs.to(device)
            found = model(inputs.streams, inputs.masks, inputs.present)
            lengths = found.lengths.tolist()
            for item, name in enumerate(batch.names):
                yield _prediction(by_name[name], found.answers, item, lengths[item])


def _has_answer(row: ManifestRow, model: Recognizer) -> bool:
    settings = model.settings
    if settings.characters:
        return row.transcript is not None or bool(row.text)
    return bool(row.label and settings.labels) or any(
        row.extra.get(name, "") for name in settings.values
    )


def _prediction(case: Case, answers: Answers, item: int, length: int) -> Prediction:
    def part(tensor: torch.Tensor | None) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        return None if tensor is None else tensor[item].double().cpu().numpy()

    log_probs, words = part(answers.log_probs), part(answers.words)
    speech = None
    if log_probs is not None:
        length = min(length, len(case.times_s))
        speech = CtcOutput(
            log_probs[:length],
            None if words is None else words[:length],
            case.times_s[:length],
        )
    logits = part(answers.logits)
    probabilities = None
    if logits is not None:
        shifted = np.exp(logits - logits.max())
        probabilities = shifted / shifted.sum()
    return Prediction(case, speech, probabilities, part(answers.values))
