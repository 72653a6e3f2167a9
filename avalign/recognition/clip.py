"""One clip, what a recogniser predicts for it, and what each stream contributes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from avalign.fusion import collate, contributions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from avalign.fusion import AlignedBatch
    from avalign.recognition.clip_inputs import ClipInputs
    from avalign.recognition.evaluation.limits import AnswerLimits
    from avalign.recognition.model.recognizer import Recognition, Recognizer
    from avalign.recognition.report import RecognitionReport
    from avalign.types import AlignedSequence


@dataclass(frozen=True, slots=True, eq=False)
class ClipPrediction:
    """A clip as a batch of one, and what a model in ``eval`` mode predicts for it."""

    model: Recognizer
    inputs: ClipInputs
    batch: AlignedBatch
    recognition: Recognition
    calibration: AnswerLimits

    @classmethod
    def of(
        cls, model: Recognizer, inputs: ClipInputs, calibration: AnswerLimits
    ) -> ClipPrediction:
        """Run a model on a clip."""
        batch = collate_clips(model, [inputs.sequence])
        with torch.no_grad():
            recognition = model(batch.streams, batch.masks, batch.present)
        return cls(model, inputs, batch, recognition, calibration)

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that were there, sorted."""
        return tuple(sorted(name for name, there in self.batch.present.items() if there[0]))

    def stream_contributions(
        self, score: Callable[..., Tensor], *, empty: float | Tensor
    ) -> dict[str, float]:
        """Compute exact Shapley values of streams for `score`; `empty` is that of none."""
        batch = self.batch
        found = contributions(score, batch.streams, batch.masks, batch.present, empty=empty)
        return {name: float(found.values[name][0]) for name in self.streams}


def collate_clips(model: Recognizer, sequences: Sequence[AlignedSequence]) -> AlignedBatch:
    """Put clips into a batch on the model's device; absent streams are zeros."""
    columns = {name: stream.columns for name, stream in model.settings.streams.items()}
    return collate(sequences, dims=columns).to(next(model.parameters()).device)


def note_uncalibrated(report: RecognitionReport) -> RecognitionReport:
    """Add the note that the model's limits were never measured for these streams."""
    note = (
        "when to believe the model was never measured for "
        f"{' and '.join(report.streams)}: avalign evaluate --calibrate does"
    )
    return replace(report, notes=tuple(dict.fromkeys((*report.notes, note))))
