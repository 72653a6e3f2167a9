"""Recognise one file: lag first, then speech or emotion, and what each stream did for it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import MissingDependencyError, NoAnswerError, ParameterError
from avalign.tasks.alphabet import Alphabet
from avalign.tasks.answer import Emotion, RecognitionReport, Trace
from avalign.tasks.calibration import Calibration, read_calibration
from avalign.tasks.reading import SpeechReader, SpokenRows
from avalign.transcript import Transcript

try:
    import torch

    from avalign.fusion.influence import contributions
    from avalign.fusion.join import collate
    from avalign.tasks.devices import device_named
    from avalign.tasks.models import Recognizer
    from avalign.tasks.observation import Observation, observe
    from avalign.tasks.storage import load_model
except (ImportError, OSError) as error:
    raise MissingDependencyError(
        f"recognition needs torch, which does not load: {error}",
        'pip install "avalign[recognition]"',
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from avalign.fusion.join import AlignedBatch
    from avalign.fusion.scoring import Score
    from avalign.tasks.models import Recognition
    from avalign.types import AlignedSequence

__all__ = ["recognize", "speech_score"]

# Emotion over time: windows long enough for a phrase.
WINDOW_S, HOP_S = 2.0, 0.5
_WINDOWS_AT_ONCE = 32
_SHOWN_WORDS = 3
# Share of characters: another sentence of the same few words differs in more.
MOST_TRANSCRIPT_MISFIT = 0.4


def recognize(
    path: str | os.PathLike[str],
    model: str | os.PathLike[str] | Recognizer,
    *,
    streams: Sequence[str] = (),
    transcript: Transcript | None = None,
    audio: str | os.PathLike[str] | None = None,
    audio_track: int = 0,
    max_lag_s: float = 1.0,
    calibration: Calibration | None = None,
    device: str = "auto",
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> RecognitionReport:
    """Recognise the speech or the emotion in a file.

    The lag between sound and picture is measured first, and repaired where it is reliably
    known. A model that knows a few words only says so of other speech, instead of forcing
    its words upon it.

    Parameters
    ----------
    path : path-like
        A video, or a sound; up to two minutes.
    model : path-like or Recognizer
        Folder that training wrote, or a model.
    streams : sequence of str
        What the model is given; all that the file has by default.
    transcript : Transcript, optional
        The words that are said: a model that reads speech then only finds their times, and
        one that reads text reads them.
    audio : path-like, optional
        A separate file that holds the sound.
    audio_track : int
        Which sound track, from 0.
    max_lag_s : float
        Largest lag to search for.
    calibration : Calibration, optional
        When to believe the model; by default what stands beside its weights.
    device : str
        Where a model of a folder is to compute: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    jobs : int, optional
        Cores to spread the picture over.
    progress : callable, optional
        Told the share that is done.

    Returns
    -------
    RecognitionReport
        Status ``"no_answer"`` and a reason where the model is not to be believed.

    Raises
    ------
    MediaError
        If a file cannot be read.
    NoAudioError, NoFaceError
        If nothing is there that the model reads.
    ParameterError
        If a stream is none of the model's, the file is too long, or the transcript has
        characters that the model does not know, or no times where the model reads text.
    NoAnswerError
        If the transcript cannot be said in so short a time.
    """
    started = time.perf_counter()
    if isinstance(model, Recognizer):
        recognizer, name = model, "model"
    else:
        recognizer, name = load_model(model, device=device_named(device)), os.fspath(model)
        calibration = calibration or read_calibration(model)
    recognizer.eval()
    settings = recognizer.settings
    if transcript is not None:
        _check_use(transcript, recognizer)
    seen = observe(
        path,
        settings,
        streams=streams,
        transcript=transcript,
        audio=audio,
        audio_track=audio_track,
        max_lag_s=max_lag_s,
        jobs=jobs,
        progress=progress,
    )
    batch = _batch(recognizer, [seen.sequence])
    with torch.no_grad():
        told = recognizer(batch.streams, batch.masks, batch.present)
    given = tuple(sorted(name for name, there in batch.present.items() if bool(there[0])))
    report = RecognitionReport(
        os.fspath(path),
        name,
        streams=given,
        audio_lag_ms=seen.audio_lag_ms,
        lag_repaired=seen.lag_repaired,
        values={
            value: float(told.answers.values[0, column])
            for column, value in enumerate(settings.values)
        },
        vocabulary_size=len(settings.vocabulary) or None,
        trace=_trace(told, seen),
        notes=seen.notes,
    )
    known = calibration or Calibration()
    if settings.characters:
        report = _speech(report, recognizer, batch, told, seen, known, transcript)
    if settings.labels:
        report = _emotion(report, recognizer, batch, told, seen, known)
    return replace(report, elapsed_s=time.perf_counter() - started)


def speech_score(model: Recognizer, text: str) -> Score:
    """Make the score by which streams are compared on a text.

    Parameters
    ----------
    model : Recognizer
        A model with a speech head.
    text : str
        What was read, as the model spells it.

    Returns
    -------
    callable
        Takes streams, masks and presence of a batch; gives the log-probability of the text
        per character, of each item.
    """
    tokens = torch.from_numpy(Alphabet(model.settings.characters).encode(text))

    def score(
        streams: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        told = model(streams, masks, present)
        return _text_log_prob(told.answers.log_probs, tokens)

    return score


def _speech(
    report: RecognitionReport,
    model: Recognizer,
    batch: AlignedBatch,
    told: Recognition,
    seen: Observation,
    calibration: Calibration,
    transcript: Transcript | None,
) -> RecognitionReport:
    """Read the words, or time those that are known; abstain outside the vocabulary."""
    reader = SpeechReader(model.settings, calibration.timing)
    rows = _spoken_rows(told, seen, "audio" in report.streams)
    if transcript is not None:
        return _timed(report, reader, rows, transcript, model, batch)
    reading = reader.read(rows)
    limit = calibration.limits.get("+".join(report.streams))
    if limit is None:
        report = _never_measured(report)
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
        modality_contribution=_speech_shares(model, batch, reading.best.text),
    )


def _timed(
    report: RecognitionReport,
    reader: SpeechReader,
    rows: SpokenRows,
    transcript: Transcript,
    model: Recognizer,
    batch: AlignedBatch,
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
        modality_contribution=_speech_shares(model, batch, spelled),
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


def _emotion(
    report: RecognitionReport,
    model: Recognizer,
    batch: AlignedBatch,
    told: Recognition,
    seen: Observation,
    calibration: Calibration,
) -> RecognitionReport:
    """Tell the classes, of the whole and over time; abstain where none is likely enough."""
    labels = model.settings.labels
    assert told.answers.logits is not None
    shares = told.answers.logits[0].softmax(dim=0).double().cpu().numpy()
    best = int(shares.argmax())
    limit = calibration.certainty.get("+".join(report.streams))
    if limit is None:
        report, limit = _never_measured(report), 0.0
    times_s, over_time = _over_time(model, seen.sequence)
    sure = shares[best] >= limit

    def score(*parts: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = model(*parts).answers.logits
        return logits.softmax(dim=1)[:, best]

    found = contributions(
        score, batch.streams, batch.masks, batch.present, empty=1.0 / len(labels)
    )
    report = replace(
        report,
        emotion=Emotion(
            labels[best] if sure else None,
            dict(zip(labels, shares.tolist(), strict=True)),
            times_s,
            over_time,
        ),
        modality_contribution=_of_first(found.values, report.streams),
    )
    if sure:
        return report
    return replace(
        report,
        status="no_answer",
        reason=f"not certain enough: {labels[best]} has a probability of {shares[best]:.2f}, "
        f"and {limit:.2f} is needed",
        exit_code=NoAnswerError.exit_code,
    )


def _never_measured(report: RecognitionReport) -> RecognitionReport:
    """Note that nothing tells when to believe the model."""
    note = (
        "when to believe the model was never measured for "
        f"{' and '.join(report.streams)}: avalign evaluate --calibrate does"
    )
    return replace(report, notes=tuple(dict.fromkeys((*report.notes, note))))


def _check_use(transcript: Transcript, model: Recognizer) -> None:
    """Refuse a transcript that is of no use, or cannot be used as it is."""
    settings = model.settings
    reads_text = any(stream.feature == "characters" for stream in settings.streams.values())
    if not settings.characters and not reads_text:
        raise ParameterError(
            "the model neither writes nor reads text, so a transcript is of no use",
            "leave it out, or use a model of speech",
        )
    if reads_text and not transcript.has_times:
        raise ParameterError(
            "the model reads text, and the transcript has words without times",
            "find them with a model of speech: avalign recognize --transcript ... --srt FILE",
        )
    if settings.characters:
        for word in transcript.words:
            Alphabet(settings.characters).spell(word.text)


def _batch(model: Recognizer, sequences: Sequence[AlignedSequence]) -> AlignedBatch:
    columns = {name: stream.columns for name, stream in model.settings.streams.items()}
    return collate(sequences, dims=columns).to(next(model.parameters()).device)


def _spoken_rows(told: Recognition, seen: Observation, heard: bool) -> SpokenRows:
    length = int(told.lengths[0])
    times_s = seen.sequence.times_s[:length]
    assert told.answers.log_probs is not None
    words = told.answers.words
    return SpokenRows(
        told.answers.log_probs[0, :length].double().cpu().numpy(),
        None if words is None else words[0, :length].double().cpu().numpy(),
        seen.warp.to_other(times_s) if heard else times_s,
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


def _speech_shares(model: Recognizer, batch: AlignedBatch, text: str) -> dict[str, float]:
    given = [name for name, there in batch.present.items() if bool(there[0])]
    score = speech_score(model, text)
    rows = batch.masks[given[0]].shape[1]
    columns = 1 + len(model.settings.characters)
    nothing = torch.full((1, rows, columns), -float(np.log(columns)))
    tokens = torch.from_numpy(Alphabet(model.settings.characters).encode(text))
    empty = _text_log_prob(nothing, tokens)
    if not bool(empty.isfinite().all()):
        return {}
    found = contributions(score, batch.streams, batch.masks, batch.present, empty=empty)
    return _of_first(found.values, given)


def _of_first(
    values: Mapping[str, NDArray[np.float64]], names: Sequence[str]
) -> dict[str, float]:
    return {name: float(values[name][0]) for name in sorted(names)}


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
            batch = _batch(model, rows[first : first + _WINDOWS_AT_ONCE])
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


def _trace(told: Recognition, seen: Observation) -> Trace:
    length = int(told.lengths[0])
    speech = None
    if told.answers.log_probs is not None:
        blank = told.answers.log_probs[0, :length, 0].double().exp()
        speech = (1.0 - blank).cpu().numpy()
    shares: dict[str, Any] = {}
    for name, weights in told.fusion.weights.items():
        row = weights[0].detach().double().cpu().numpy()
        if row.ndim == 0:
            shares[name] = np.full(length, float(row))
        else:
            # The fusion has fewer rows than the heads: each counts for several.
            shares[name] = np.repeat(row, -(-length // len(row)))[:length]
    return Trace(seen.sequence.times_s[:length], speech, shares)


def _words_known(model: Recognizer) -> str:
    words = model.settings.vocabulary
    if not words:
        return "no sentence fits"
    some = ", ".join(sorted(words)[:_SHOWN_WORDS])
    return f"the model knows {len(words)} words, such as {some}"
