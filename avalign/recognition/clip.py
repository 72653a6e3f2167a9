"""A clip as a recogniser was asked about it: what the answers of all tasks are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from avalign.fusion import collate, contributions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from avalign.fusion import AlignedBatch
    from avalign.recognition.evaluation.limits import AnswerLimits
    from avalign.recognition.model.recognizer import Recognition, Recognizer
    from avalign.recognition.observing import ClipInputs
    from avalign.recognition.report import RecognitionReport
    from avalign.types import AlignedSequence

__all__ = ["ClipPrediction", "batch_of", "never_measured"]


@dataclass(frozen=True, slots=True, eq=False)
class ClipPrediction:
    """A clip, and what a model told of it.

    Parameters
    ----------
    model : Recognizer
        The model, in ``eval`` mode.
    seen : ClipInputs
        The clip.
    batch : AlignedBatch
        The clip as a batch of one.
    told : Recognition
        What the model told.
    calibration : AnswerLimits
        When to believe it.
    """

    model: Recognizer
    seen: ClipInputs
    batch: AlignedBatch
    told: Recognition
    calibration: AnswerLimits

    @classmethod
    def of(
        cls, model: Recognizer, seen: ClipInputs, calibration: AnswerLimits
    ) -> ClipPrediction:
        """Ask a model.

        Parameters
        ----------
        model : Recognizer
            The model, in ``eval`` mode.
        seen : ClipInputs
            The clip.
        calibration : AnswerLimits
            When to believe the model.

        Returns
        -------
        ClipPrediction
            With its answers.
        """
        batch = batch_of(model, [seen.sequence])
        with torch.no_grad():
            told = model(batch.streams, batch.masks, batch.present)
        return cls(model, seen, batch, told, calibration)

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that were there, sorted."""
        return tuple(sorted(name for name, there in self.batch.present.items() if there[0]))

    def shares(
        self, score: Callable[..., Tensor], *, empty: float | Tensor
    ) -> dict[str, float]:
        """Tell what each stream adds to a score.

        Parameters
        ----------
        score : callable
            Takes streams, masks and presence of a batch; gives a number for each item.
        empty : float or Tensor of shape (1,)
            The score of knowing nothing.

        Returns
        -------
        dict of str to float
            Exact Shapley values, by stream.
        """
        batch = self.batch
        found = contributions(score, batch.streams, batch.masks, batch.present, empty=empty)
        return {name: float(found.values[name][0]) for name in self.streams}


def batch_of(model: Recognizer, sequences: Sequence[AlignedSequence]) -> AlignedBatch:
    """Put clips into a batch, where the model computes.

    Parameters
    ----------
    model : Recognizer
        The model.
    sequences : sequence of AlignedSequence
        The clips.

    Returns
    -------
    AlignedBatch
        With rows of zeros for streams that are not there.
    """
    columns = {name: stream.columns for name, stream in model.settings.streams.items()}
    return collate(sequences, dims=columns).to(next(model.parameters()).device)


def never_measured(report: RecognitionReport) -> RecognitionReport:
    """Note that nothing tells when to believe the model.

    Parameters
    ----------
    report : RecognitionReport
        An answer.

    Returns
    -------
    RecognitionReport
        The same, with one note more.
    """
    note = (
        "when to believe the model was never measured for "
        f"{' and '.join(report.streams)}: avalign evaluate --calibrate does"
    )
    return replace(report, notes=tuple(dict.fromkeys((*report.notes, note))))
