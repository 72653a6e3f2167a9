"""From a clip's predictions to its emotion, of the whole and over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from avalign.errors import NoAnswerError
from avalign.recognition.clip import collate_clips, note_uncalibrated
from avalign.recognition.report import Emotion

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from avalign.recognition.clip import ClipPrediction
    from avalign.recognition.model.recognizer import Recognizer
    from avalign.recognition.report import RecognitionReport
    from avalign.types import AlignedSequence

# Windows long enough for a phrase.
WINDOW_S, HOP_S = 2.0, 0.5
_WINDOWS_AT_ONCE = 32


def answer_emotion(report: RecognitionReport, prediction: ClipPrediction) -> RecognitionReport:
    """Give the classes, of the whole and over time; abstain where none is likely enough."""
    model, calibration = prediction.model, prediction.calibration
    labels = model.settings.labels
    assert prediction.recognition.answers.logits is not None
    probabilities = (
        prediction.recognition.answers.logits[0].softmax(dim=0).double().cpu().numpy()
    )
    best = int(probabilities.argmax())
    limit = calibration.certainty.get("+".join(report.streams))
    if limit is None:
        report, limit = note_uncalibrated(report), 0.0
    times_s, over_time = _over_time(model, prediction.inputs.sequence)
    sure = probabilities[best] >= limit

    def score(*parts: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = model(*parts).answers.logits
        return logits.softmax(dim=1)[:, best]

    report = replace(
        report,
        emotion=Emotion(
            labels[best] if sure else None,
            dict(zip(labels, probabilities.tolist(), strict=True)),
            times_s,
            over_time,
        ),
        modality_contribution=prediction.stream_contributions(score, empty=1.0 / len(labels)),
    )
    if sure:
        return report
    return replace(
        report,
        status="no_answer",
        reason=f"not certain enough: {labels[best]} has a probability of "
        f"{probabilities[best]:.2f}, and {limit:.2f} is needed",
        exit_code=NoAnswerError.exit_code,
    )


def _over_time(
    model: Recognizer, sequence: AlignedSequence
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Classify windows of the clip; a shorter clip is one window."""
    rate_hz = model.settings.rate_hz
    window, hop = round(WINDOW_S * rate_hz), round(HOP_S * rate_hz)
    starts = range(0, max(1, len(sequence) - window + 1), hop)
    centres, rows = [], []
    for first in starts:
        part = slice(first, first + window)
        if any(mask[part].any() for mask in sequence.masks.values()):
            rows.append(_cut(sequence, part))
            centres.append(float(sequence.times_s[part].mean()))
    found = []
    with torch.no_grad():
        for first in range(0, len(rows), _WINDOWS_AT_ONCE):
            batch = collate_clips(model, rows[first : first + _WINDOWS_AT_ONCE])
            logits = model(batch.streams, batch.masks, batch.present).answers.logits
            found.append(logits.softmax(dim=1).double().cpu().numpy())
    classes = len(model.settings.labels)
    table = np.concatenate(found) if found else np.zeros((0, classes))
    return np.array(centres), table


def _cut(sequence: AlignedSequence, part: slice) -> AlignedSequence:
    return replace(
        sequence,
        streams={name: rows[part] for name, rows in sequence.streams.items()},
        times_s=sequence.times_s[part],
        masks={name: mask[part] for name, mask in sequence.masks.items()},
    )
