"""From what a recogniser told of a clip to its words, or to why they are not to be believed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from avalign.errors import NoAnswerError
from avalign.recognition.clip import never_measured
from avalign.recognition.ctc.alphabet import Alphabet
from avalign.recognition.reader import CtcOutput, SpeechReader
from avalign.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from avalign.fusion import Score
    from avalign.recognition.clip import ClipPrediction
    from avalign.recognition.model.recognizer import Recognizer
    from avalign.recognition.report import RecognitionReport

__all__ = ["answer_speech", "speech_score"]

_SHOWN_WORDS = 3
# Share of characters. Of GRID sentences, 91 % of the pairs differ in more, and none differs so
# from what is read of it in clean sound.
MOST_TRANSCRIPT_MISFIT = 0.4


def answer_speech(
    report: RecognitionReport, asked: ClipPrediction, transcript: Transcript | None
) -> RecognitionReport:
    """Read the words, or time those that are known; abstain outside the vocabulary."""
    model, calibration = asked.model, asked.calibration
    reader = SpeechReader(model.settings, calibration.timing)
    rows = _spoken_rows(asked)
    if transcript is not None:
        return _timed(report, asked, reader, rows, transcript)
    reading = reader.read(rows)
    limit = calibration.limits.get("+".join(report.streams))
    if limit is None:
        report = never_measured(report)
    report = replace(
        report,
        misfit=reading.misfit,
        misfit_limit=None if limit is None else limit.misfit,
    )
    if not np.isfinite(reading.misfit) or (limit is not None and reading.misfit > limit.misfit):
        return replace(
            report,
            status="no_answer",
            reason=f"outside my vocabulary: {_words_known(model)}",
            exit_code=NoAnswerError.exit_code,
        )
    return replace(
        report,
        transcript=_from_zero(reading.best),
        modality_contribution=_speech_shares(asked, reading.best.text),
    )


def _timed(
    report: RecognitionReport,
    asked: ClipPrediction,
    reader: SpeechReader,
    rows: CtcOutput,
    transcript: Transcript,
) -> RecognitionReport:
    """Find the times of words that are known, and say so where they are not what is said."""
    words = _from_zero(reader.time_words(rows, transcript))
    spelled = " ".join(map(reader.alphabet.spell, (word.text for word in words.words)))
    notes = list(report.notes)
    strange = [word.text for word in words.words if word.confidence is None]
    if strange:
        notes.append(f"outside the vocabulary, timed by the words around: {', '.join(strange)}")
    misfit = reader.misfit(rows, words)
    if misfit > MOST_TRANSCRIPT_MISFIT:
        notes.append(
            f"the transcript differs from what is read in {100 * misfit:.0f} % of its "
            "characters: do not believe its times, unless the sound is noisy"
        )
    return replace(
        report,
        transcript=words,
        misfit=misfit,
        modality_contribution=_speech_shares(asked, spelled),
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
        told = model(streams, masks, present)
        return _text_log_prob(told.answers.log_probs, tokens)

    return score


def _speech_shares(asked: ClipPrediction, text: str) -> dict[str, float]:
    characters = asked.model.settings.characters
    rows = asked.batch.masks[asked.streams[0]].shape[1]
    columns = 1 + len(characters)
    nothing = torch.full((1, rows, columns), -float(np.log(columns)))
    tokens = torch.from_numpy(Alphabet(characters).encode(text))
    empty = _text_log_prob(nothing, tokens)
    if not bool(empty.isfinite().all()):
        return {}
    return asked.shares(speech_score(asked.model, text), empty=empty)


def _spoken_rows(asked: ClipPrediction) -> CtcOutput:
    told, seen = asked.told, asked.seen
    length = int(told.lengths[0])
    times_s = seen.sequence.times_s[:length]
    assert told.answers.log_probs is not None
    words = told.answers.words
    return CtcOutput(
        told.answers.log_probs[0, :length].double().cpu().numpy(),
        None if words is None else words[0, :length].double().cpu().numpy(),
        seen.warp.to_other(times_s) if "audio" in asked.streams else times_s,
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
