"""The verbs: extract, measure, check, repair and sync one file.

Each verb is one step on what the step before gave::

    extract -> align_streams -> measure -> repair
                                \\_ check   \\_ sync = measure, then repair

The audio lag is the time of an event in the sound minus its time in the
picture, so a positive lag means that the audio is late.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from avalign.errors import NoAnswerError, ParameterError
from avalign.schema import best_guess
from avalign.types import (
    AudioStream,
    ClipStreams,
    FaceAlignment,
    FeatureStream,
    LipStream,
    SyncReport,
)
from avalign.verdict import Tolerance

if TYPE_CHECKING:
    from avalign.align import ClipAlignment
    from avalign.types import MediaClip

__all__ = ["Measurement", "check", "extract", "measure", "repair", "sync", "synced_path"]

AnyPath: TypeAlias = str | Path
Progress: TypeAlias = Callable[[float], None]

MAX_LAG_S = 15.0
STREAMS_SUFFIX = ".npz"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A report, and what it was measured on.

    Parameters
    ----------
    report : SyncReport
        The answer about one file.
    streams : ClipStreams or None
        Sound and lips; None where the file has no sound or no picture.
    tolerance : Tolerance
        The limits the lag was held against.
    audio : Path or None
        The separate file the sound was read from.
    audio_track : int
        The sound track that was measured.
    """

    report: SyncReport
    streams: ClipStreams | None
    tolerance: Tolerance
    audio: Path | None = None
    audio_track: int = 0


def extract(
    path: AnyPath,
    *,
    audio: AnyPath | None = None,
    audio_track: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> ClipStreams:
    """Read the sound and the lips of a file.

    Parameters
    ----------
    path : str or Path
        A media file, or a ``.npz`` file that `save_streams` wrote.
    audio : str or Path, optional
        A separate file that holds the sound; by default the file's own.
    audio_track : int
        Which sound track, from 0.
    jobs : int, optional
        Cores to spread the picture over; all of them by default.
    progress : callable, optional
        Called with the share of the work that is done, 0 to 1.

    Returns
    -------
    ClipStreams
        Everything alignment needs, and nothing that shows a face.

    Raises
    ------
    MediaError
        If a file cannot be read.
    NoAudioError
        If there is no sound.
    NoFaceError
        If there is no picture. A picture without a face is no error: ``lips``
        is empty.
    ParameterError
        If there is no such sound track, or sound is named beside a ``.npz`` file.
    """
    from avalign.media import probe
    from avalign.streams import load_streams
    from avalign.vision import lip_streams

    path = Path(path)
    if path.suffix.lower() == STREAMS_SUFFIX:
        if audio is not None or audio_track:
            raise ParameterError(
                f"{path}: holds streams, which no other sound can be put to",
                "name the video instead",
            )
        return load_streams(path)
    clip = probe(path)
    with _sound_beside(audio if audio is not None else path, audio_track) as sound:
        lips = lip_streams(path, jobs=jobs, progress=progress)
        mfcc, speech = sound.result()
    duration_s, frame_rate = _picture_clock(clip, lips)
    return ClipStreams(mfcc, speech, lips, path.name, duration_s, frame_rate)


def measure(
    path: AnyPath,
    *,
    tolerance: str | Tolerance = "itu",
    max_lag_s: float = 1.0,
    audio: AnyPath | None = None,
    audio_track: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Measure the audio lag of a file and keep the streams.

    Parameters
    ----------
    path : str or Path
        A media file, or a ``.npz`` file that `save_streams` wrote.
    tolerance : str or Tolerance
        What counts as in sync; see `Tolerance.parse`.
    max_lag_s : float
        Largest lag searched for, in seconds, on either side; up to 15.
    audio : str or Path, optional
        A separate file that holds the sound; by default the file's own.
    audio_track : int
        Which sound track, from 0.
    jobs : int, optional
        Cores to spread the picture over; all of them by default.
    progress : callable, optional
        Called with the share of the work that is done, 0 to 1.

    Returns
    -------
    Measurement
        The report and its streams. Without a reliable answer the status of the
        report is ``"no_answer"`` and its reason says why.

    Raises
    ------
    MediaError
        If a file cannot be read.
    ParameterError
        If an argument cannot be used, or there is no such sound track.
    """
    from avalign.align import align_streams

    started = time.perf_counter()
    limits = Tolerance.parse(tolerance)
    if not 0 < max_lag_s <= MAX_LAG_S:
        raise ParameterError(
            f"the largest lag to search for is {max_lag_s} s",
            f"take more than 0 and at most {MAX_LAG_S:g} s",
        )
    streams = None
    report = SyncReport(str(path), "no_answer", limits.name, exit_code=NoAnswerError.exit_code)
    try:
        streams = extract(
            path, audio=audio, audio_track=audio_track, jobs=jobs, progress=progress
        )
    except NoAnswerError as error:
        report = replace(report, reason=str(error))
    else:
        found = align_streams(streams, max_lag_s=max_lag_s)
        report = _describe(report, streams, found)
        if found.reason is None:
            face = next(face for face in found.faces if face.track_id == found.face)
            report = _answered(report, face, limits)
    report = replace(report, elapsed_s=time.perf_counter() - started)
    return Measurement(report, streams, limits, Path(audio) if audio else None, audio_track)


def check(
    path: AnyPath,
    *,
    tolerance: str | Tolerance = "itu",
    max_lag_s: float = 1.0,
    audio: AnyPath | None = None,
    audio_track: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> SyncReport:
    """Measure the audio lag of a file and hold it against a tolerance.

    Parameters
    ----------
    path, tolerance, max_lag_s, audio, audio_track, jobs, progress
        As for `measure`.

    Returns
    -------
    SyncReport
        The answer; its ``exit_code`` is 1 where the lag is out of tolerance.

    Raises
    ------
    MediaError
        If a file cannot be read.
    ParameterError
        If an argument cannot be used, or there is no such sound track.
    """
    report = measure(
        path,
        tolerance=tolerance,
        max_lag_s=max_lag_s,
        audio=audio,
        audio_track=audio_track,
        jobs=jobs,
        progress=progress,
    ).report
    return report if report.verdict in (None, "in_sync") else replace(report, exit_code=1)


def repair(
    measurement: Measurement,
    output: AnyPath | None = None,
    *,
    force: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SyncReport:
    """Write a file whose audio is in sync, if the measured one is not.

    The picture is copied bit for bit, and so is the sound where the container
    can express the shift. The file that was written is then measured in turn.

    Parameters
    ----------
    measurement : Measurement
        What `measure` returned.
    output : str or Path, optional
        The file to write; by default `synced_path` of the input.
    force : bool
        Trust the best guess where there is no reliable answer. A guess at the
        edge of the searched range is never trusted.
    dry_run : bool
        Decide, but write nothing.
    overwrite : bool
        Replace a file that exists.
    progress : callable, optional
        Called with the share of the work that is done, 0 to 1.

    Returns
    -------
    SyncReport
        The report of the measurement, with ``output`` and ``residual_ms`` where
        a file was written. Nothing is written for a lag within the tolerance or
        without an answer. A forced answer keeps its ``reason``.

    Raises
    ------
    MediaError
        If the output exists already, or a file cannot be read or written.
    ParameterError
        If there is no video to repair (the input is a ``.npz`` file), or the
        output is the input.
    """
    from avalign.media import shift_audio

    started = time.perf_counter()
    report = _forced(measurement) if force else measurement.report
    answer = report.alignment
    if dry_run or answer is None or report.verdict == "in_sync":
        return report
    target = _target(report.file, output, overwrite)
    written = shift_audio(
        report.file,
        target,
        audio_lag_s=answer.audio_lag_s,
        audio_file=measurement.audio,
        overwrite=overwrite,
        progress=progress,
    )
    residual_ms = _residual_ms(measurement, report.face, written.path)
    return replace(
        report,
        output=str(written.path),
        residual_ms=residual_ms,
        notes=(*report.notes, *written.notes),
        elapsed_s=report.elapsed_s + time.perf_counter() - started,
    )


def sync(
    path: AnyPath,
    output: AnyPath | None = None,
    *,
    tolerance: str | Tolerance = "itu",
    max_lag_s: float = 1.0,
    audio: AnyPath | None = None,
    audio_track: int = 0,
    jobs: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SyncReport:
    """Measure the audio lag of a file, and repair it where it is out of tolerance.

    Parameters
    ----------
    path, tolerance, max_lag_s, audio, audio_track, jobs
        As for `measure`.
    output, force, dry_run, overwrite
        As for `repair`.
    progress : callable, optional
        Called with the share of the measurement that is done, 0 to 1.

    Returns
    -------
    SyncReport
        The answer, and what was written.

    Raises
    ------
    MediaError
        If the output exists already, or a file cannot be read or written.
    ParameterError
        If an argument cannot be used, there is no such sound track, or there
        is no video to repair (the input is a ``.npz`` file).
    """
    if not dry_run:
        # Better now than after minutes of measuring.
        _target(path, output, overwrite)
    measurement = measure(
        path,
        tolerance=tolerance,
        max_lag_s=max_lag_s,
        audio=audio,
        audio_track=audio_track,
        jobs=jobs,
        progress=progress,
    )
    return repair(measurement, output, force=force, dry_run=dry_run, overwrite=overwrite)


def synced_path(path: AnyPath) -> Path:
    """Name the repaired file that stands beside a file.

    Parameters
    ----------
    path : str or Path
        The input, such as ``talk.mp4``.

    Returns
    -------
    Path
        Its name with ``.synced`` before the suffix, such as ``talk.synced.mp4``.
    """
    path = Path(path)
    return path.with_name(f"{path.stem}.synced{path.suffix}")


@contextmanager
def _sound_beside(
    path: AnyPath, track: int
) -> Iterator[Future[tuple[FeatureStream, FeatureStream]]]:
    """Read the sound in a thread while the caller reads the picture.

    FFmpeg and NumPy leave the interpreter free for most of the time, so the
    sound costs next to nothing. The thread ends early if the caller fails.
    """
    from avalign.media import iter_audio

    blocks = iter_audio(path, track=track)
    # A file without sound is told at once, not after minutes of pictures.
    first = list(islice(blocks, 1))
    left = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            yield pool.submit(
                _sound, takewhile(lambda _: not left.is_set(), chain(first, blocks))
            )
        finally:
            left.set()


def _sound(blocks: Iterator[AudioStream]) -> tuple[FeatureStream, FeatureStream]:
    """Turn sound into MFCC and speech activity in one pass."""
    from avalign.audio import log_mel, mfcc, speech_activity

    bands = log_mel(blocks)
    return mfcc(bands), speech_activity(bands)


def _picture_clock(clip: MediaClip, lips: tuple[LipStream, ...]) -> tuple[float, float]:
    """Give the length of the picture and its rate; 0 for what nobody knows."""
    track = clip.video_tracks[0]
    duration_s = track.duration_s or clip.duration_s or 0.0
    if lips and len(lips[0]) > 1:
        first_s, last_s = lips[0].times_s[[0, -1]]
        return duration_s or float(last_s - first_s), float(
            (len(lips[0]) - 1) / (last_s - first_s)
        )
    return duration_s, float(track.frame_rate or 0.0)


def _describe(report: SyncReport, streams: ClipStreams, found: ClipAlignment) -> SyncReport:
    """Say what there was to measure on, whatever came of it."""
    face = next((face for face in found.faces if face.track_id == found.face), None)
    face = face or next(iter(found.faces), None)
    alignment = face.alignment if face else None
    return replace(
        report,
        reason=found.reason,
        faces=found.faces,
        duration_s=streams.duration_s or None,
        speech_s=alignment.speech_s if alignment else None,
        face_coverage=face.coverage if face else 0.0,
        frame_rate=streams.frame_rate or None,
    )


def _answered(report: SyncReport, face: FaceAlignment, limits: Tolerance) -> SyncReport:
    """Make a face's alignment the answer."""
    if face.alignment is None:
        return report
    return replace(
        report,
        status="ok",
        alignment=face.alignment,
        face=face.track_id,
        verdict=limits.judge(1000.0 * face.alignment.audio_lag_s),
        exit_code=0,
    )


def _forced(measurement: Measurement) -> SyncReport:
    """Trust the best guess, unless it is known to be none."""
    report = measurement.report
    guess = best_guess(report)
    if report.status == "ok" or guess is None or guess.alignment is None:
        return report
    return (
        report if guess.alignment.at_edge else _answered(report, guess, measurement.tolerance)
    )


def _target(path: AnyPath, output: AnyPath | None, overwrite: bool) -> Path:
    """Choose the file to write, and refuse early what cannot be written."""
    source = Path(path)
    if source.suffix.lower() == STREAMS_SUFFIX:
        raise ParameterError(
            f"{path}: holds streams, so there is no video to repair",
            "add --dry-run (dry_run=True) to measure only, or name the video",
        )
    target = Path(output) if output is not None else synced_path(source)
    if target.exists() and source.exists() and target.samefile(source):
        raise ParameterError(
            f"{target}: is the input, which avalign never changes", "choose another output"
        )
    check_output(target, overwrite)
    return target


def _residual_ms(measurement: Measurement, track_id: int | None, written: Path) -> float | None:
    """Measure the file that was written; its picture is the one already read."""
    from avalign.align import align_streams
    from avalign.media import iter_audio

    if measurement.streams is None:
        return None
    track = 0 if measurement.audio is not None else measurement.audio_track
    mfcc, speech = _sound(iter_audio(written, track=track))
    again = align_streams(replace(measurement.streams, mfcc=mfcc, speech=speech))
    for face in again.faces:
        if face.track_id == track_id and face.alignment is not None:
            return 1000.0 * face.alignment.audio_lag_s
    return None
