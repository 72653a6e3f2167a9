"""Recognise one file: lag first, then speech or emotion, and what each stream did for it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import ParameterError, import_guard
from avalign.recognition.ctc.alphabet import Alphabet
from avalign.recognition.evaluation.limits import AnswerLimits, read_calibration
from avalign.recognition.report import RecognitionReport, Trace

with import_guard(
    "recognition needs torch, which does not load", 'pip install "avalign[recognition]"'
):
    from avalign.recognition.clip import ClipPrediction
    from avalign.recognition.clip_inputs import ClipInputs, read_clip_inputs
    from avalign.recognition.emotion import answer_emotion
    from avalign.recognition.model.devices import find_device
    from avalign.recognition.model.files import load_model
    from avalign.recognition.model.recognizer import Recognizer
    from avalign.recognition.speech import answer_speech

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from avalign.recognition.model.recognizer import Recognition
    from avalign.transcript import Transcript


def recognize(
    path: str | os.PathLike[str],
    model: str | os.PathLike[str] | Recognizer,
    *,
    streams: Sequence[str] = (),
    transcript: Transcript | None = None,
    audio: str | os.PathLike[str] | None = None,
    video_track: int | None = None,
    audio_track: int | None = None,
    channel: int | None = None,
    max_lag_s: float = 1.0,
    calibration: AnswerLimits | None = None,
    device: str = "auto",
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> RecognitionReport:
    """Recognise the speech or the emotion in a file.

    The lag between sound and picture is measured first, and repaired where it is reliably
    known. A model of a small vocabulary gives no answer where other words are said.

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
    video_track : int, optional
        Which picture track, from 0; by default the first that shows a face.
    audio_track : int, optional
        Which sound track, from 0; by default the first with speech.
    channel : int, optional
        Which channel of the sound, from 0; by default all are averaged, or the one with
        speech is taken where others hold something else.
    max_lag_s : float
        Largest lag to search for.
    calibration : AnswerLimits, optional
        When to believe the model; by default what stands beside its weights.
    device : str
        Where a model of a folder is to compute: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    jobs : int, optional
        Cores to spread the picture over.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

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
        recognizer, name = load_model(model, device=find_device(device)), os.fspath(model)
        calibration = calibration or read_calibration(model)
    recognizer.eval()
    settings = recognizer.settings
    if transcript is not None:
        _check_use(transcript, recognizer)
    inputs = read_clip_inputs(
        path,
        settings,
        streams=streams,
        transcript=transcript,
        audio=audio,
        video_track=video_track,
        audio_track=audio_track,
        channel=channel,
        max_lag_s=max_lag_s,
        jobs=jobs,
        progress=progress,
    )
    prediction = ClipPrediction.of(recognizer, inputs, calibration or AnswerLimits())
    recognition = prediction.recognition
    numbers = (
        [] if recognition.answers.values is None else recognition.answers.values[0].tolist()
    )
    report = RecognitionReport(
        os.fspath(path),
        name,
        streams=prediction.streams,
        audio_lag_ms=inputs.audio_lag_ms,
        lag_repaired=inputs.lag_repaired,
        values=dict(zip(settings.values, numbers, strict=True)),
        vocabulary_size=len(settings.vocabulary) or None,
        trace=_trace(recognition, inputs),
        notes=inputs.notes,
    )
    if settings.characters:
        report = answer_speech(report, prediction, transcript)
    if settings.labels:
        report = answer_emotion(report, prediction)
    return replace(report, elapsed_s=time.perf_counter() - started)


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


def _trace(recognition: Recognition, inputs: ClipInputs) -> Trace:
    length = int(recognition.lengths[0])
    speech = None
    if recognition.answers.log_probs is not None:
        blank = recognition.answers.log_probs[0, :length, 0].double().exp()
        speech = (1.0 - blank).cpu().numpy()
    fractions: dict[str, Any] = {}
    for name, weights in recognition.fusion.weights.items():
        row = weights[0].detach().double().cpu().numpy()
        if row.ndim == 0:
            fractions[name] = np.full(length, float(row))
        else:
            # The fusion has fewer rows than the heads: each counts for several.
            fractions[name] = np.repeat(row, -(-length // len(row)))[:length]
    return Trace(inputs.sequence.times_s[:length], speech, fractions)
