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
    """A clip as a batch of one, and what a model in ``eval`` mode predicts for it."""

    model: Recognizer
    seen: ClipInputs
    batch: AlignedBatch
    told: Recognition
    calibration: AnswerLimits

    @classmethod
    def of(
        cls, model: Recognizer, seen: ClipInputs, calibration: AnswerLimits
    ) -> ClipPrediction:
        """Run a model on a clip."""
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
        """Compute exact Shapley values of streams for `score`; `empty` is that of none."""
        batch = self.batch
        found = contributions(score, batch.streams, batch.masks, batch.present, empty=empty)
        return {name: float(found.values[name][0]) for name in self.streams}


def batch_of(model: Recognizer, sequences: Sequence[AlignedSequence]) -> AlignedBatch:
    """Put clips into a batch on the model's device; absent streams are zeros."""
    columns = {name: stream.columns for name, stream in model.settings.streams.items()}
    return collate(sequences, dims=columns).to(next(model.parameters()).device)


def never_measured(report: RecognitionReport) -> RecognitionReport:
    """Add the note that the model's limits were never measured for these streams."""
    note = (
        "when to believe the model was never measured for "
        f"{' and '.join(report.streams)}: avalign evaluate --calibrate does"
    )
    return replace(report, notes=tuple(dict.fromkeys((*report.notes, note))))
