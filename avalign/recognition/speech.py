"""From a clip's predictions to its words, or to the reason for giving none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from avalign.errors import NoAnswerError
from avalign.recognition.clip import note_uncalibrated
from avalign.recognition.ctc.alphabet import Alphabet
from avalign.recognition.transcriber import CtcOutput, Transcriber
from avalign.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from avalign.fusion import Score
    from avalign.recognition.clip import ClipPrediction
    from avalign.recognition.model.recognizer import Recognizer
    from avalign.recognition.report import RecognitionReport

_SHOWN_WORDS = 3
# Fraction of characters. Of GRID sentences, 91 % of the pairs differ in more, and none differs
# so from what is read of it in clean sound.
MOST_TRANSCRIPT_MISFIT = 0.4


def answer_speech(
    report: RecognitionReport, prediction: ClipPrediction, transcript: Transcript | None
) -> RecognitionReport:
    """Read the words, or time those that are known; abstain outside the vocabulary."""
    model, calibration = prediction.model, prediction.calibration
    transcriber = Transcriber(model.settings, calibration.timing)
    rows = _ctc_output(prediction)
    if transcript is not None:
        return _timed(report, prediction, transcriber, rows, transcript)
    transcription = transcriber.transcribe(rows)
    limit = calibration.limits.get("+".join(report.streams))
    if limit is None:
        report = note_uncalibrated(report)
    report = replace(
        report,
        misfit=transcription.misfit,
        misfit_limit=None if limit is None else limit.misfit,
    )
    if not np.isfinite(transcription.misfit) or (
        limit is not None and transcription.misfit > limit.misfit
    ):
        return replace(
            report,
            status="no_answer",
            reason=f"outside my vocabulary: {_words_known(model)}",
            exit_code=NoAnswerError.exit_code,
        )
    return replace(
        report,
        transcript=_from_zero(transcription.best),
        modality_contribution=_stream_contributions(prediction, transcription.best.text),
    )


def _timed(
    report: RecognitionReport,
    prediction: ClipPrediction,
    transcriber: Transcriber,
    rows: CtcOutput,
    transcript: Transcript,
) -> RecognitionReport:
    """Find the times of words that are known, and say so where they are not what is said."""
    words = _from_zero(transcriber.time_words(rows, transcript))
    spelling = " ".join(map(transcriber.alphabet.spell, (word.text for word in words.words)))
    notes = list(report.notes)
    strange = [word.text for word in words.words if word.confidence is None]
    if strange:
        notes.append(f"outside the vocabulary, timed by the words around: {', '.join(strange)}")
    misfit = transcriber.misfit(rows, words)
    if misfit > MOST_TRANSCRIPT_MISFIT:
        notes.append(
            f"the transcript differs from what is read in {100 * misfit:.0f} % of its "
            "characters: do not believe its times, unless the sound is noisy"
        )
    return replace(
        report,
        transcript=words,
        misfit=misfit,
        modality_contribution=_stream_contributions(prediction, spelling),
        notes=tuple(notes),
    )


def _from_zero(transcript: Transcript) -> Transcript:
    """Begin no word before the file does: rows reach half a row beyond it."""
    words = tuple(
        word
        if word.start_s is None or word.end_s is None
        else replace(word, start_s=max(word.start_s, 0.0), end_s=max(word.end_s, 0.0))
        for word in transcript.words
    )
    return Transcript(words, transcript.source)


def speech_score(model: Recognizer, text: str) -> Score:
    """Make a score of streams: log-probability of `text` per character, for each item."""
    tokens = torch.from_numpy(Alphabet(model.settings.characters).encode(text))

    def score(
        streams: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        recognition = model(streams, masks, present)
        return _text_log_prob(recognition.answers.log_probs, tokens)

    return score


def _stream_contributions(prediction: ClipPrediction, text: str) -> dict[str, float]:
    characters = prediction.model.settings.characters
    rows = prediction.batch.masks[prediction.streams[0]].shape[1]
    columns = 1 + len(characters)
    nothing = torch.full((1, rows, columns), -float(np.log(columns)))
    tokens = torch.from_numpy(Alphabet(characters).encode(text))
    empty = _text_log_prob(nothing, tokens)
    if not bool(empty.isfinite().all()):
        return {}
    return prediction.stream_contributions(speech_score(prediction.model, text), empty=empty)


def _ctc_output(prediction: ClipPrediction) -> CtcOutput:
    recognition, inputs = prediction.recognition, prediction.inputs
    length = int(recognition.lengths[0])
    times_s = inputs.sequence.times_s[:length]
    assert recognition.answers.log_probs is not None
    words = recognition.answers.words
    return CtcOutput(
        recognition.answers.log_probs[0, :length].double().cpu().numpy(),
        None if words is None else words[0, :length].double().cpu().numpy(),
        inputs.warp.to_other(times_s) if "audio" in prediction.streams else times_s,
    )


def _text_log_prob(log_probs: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability of a text per character, of each item (B,)."""
    items, rows, _ = log_probs.shape
    loss = torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1).cpu(),
        tokens.expand(items, -1),
        torch.full((items,), rows),
        torch.full((items,), len(tokens)),
        reduction="none",
    )
    return -loss / max(1, len(tokens))


def _words_known(model: Recognizer) -> str:
    words = model.settings.vocabulary
    if not words:
        return "no sentence fits"
    some = ", ".join(sorted(words)[:_SHOWN_WORDS])
    return f"the model knows {len(words)} words, such as {some}"
