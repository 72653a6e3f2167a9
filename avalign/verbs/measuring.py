"""From a file to a report on its audio lag."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import AvalignError, MediaError, NoAnswerError, ParameterError
from avalign.reports import SyncReport, Tolerance, best_guess
from avalign.streams import (
    AnyPath,
    Progress,
    Tracks,
    choose_tracks,
    extract,
    face_elsewhere,
    is_streams_file,
    read_streams,
    sound_features,
    speech_elsewhere,
)
from avalign.types import ClipStreams

if TYPE_CHECKING:
    from avalign.align import ClipAlignment
    from avalign.types import MediaClip

__all__ = [
    "MAX_LAG_S",
    "MOST_SOUNDS",
    "Measurement",
    "check",
    "check_options",
    "error_report",
    "measure",
    "with_best_guess",
]

MAX_LAG_S = 15.0
# A peak needs a few lags on either side of it.
MIN_LAG_S = 0.1
# So much less than a file says it holds is a file cut short.
LEAST_MISSING_S = 1.0
LEAST_MISSING_SHARE = 0.05
OUT_OF_TOLERANCE = 1
# Sounds that are held against the lips where the first does not fit them.
MOST_SOUNDS = 8


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
    channel : int or None
        The channel of it that was measured; None for the average of all.
    video_track : int
        The picture track that was measured.
    """

    report: SyncReport
    streams: ClipStreams | None
    tolerance: Tolerance
    audio: Path | None = None
    audio_track: int = 0
    channel: int | None = None
    video_track: int = 0


def measure(
    path: AnyPath,
    *,
    tolerance: str | Tolerance = "itu",
    max_lag_s: float = 1.0,
    audio: AnyPath | None = None,
    video_track: int | None = None,
    audio_track: int | None = None,
    channel: int | None = None,
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
    video_track : int, optional
        Which picture track, from 0; by default the first that shows a face.
    audio_track : int, optional
        Which sound track, from 0; by default the first with speech.
    channel : int, optional
        Which channel of the sound, from 0; by default all are averaged, or the one with
        speech is taken where others hold something else.
    jobs : int, optional
        Cores to spread the picture over; all of them by default.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

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
        If an argument cannot be used, or there is no such track or channel.

    Notes
    -----
    Of several sounds with speech the first is taken; without a reliable answer, the
    others are held against the same lips in turn, and one that fits is taken instead.
    """
    from avalign.media import probe

    started = time.perf_counter()
    limits = check_options(tolerance, max_lag_s)
    tracks, streams = Tracks(), None
    exit_code = NoAnswerError.exit_code
    report = SyncReport(str(path), "no_answer", limits.option, exit_code=exit_code)
    try:
        if is_streams_file(path):
            streams = extract(
                path,
                audio=audio,
                video_track=video_track,
                audio_track=audio_track,
                channel=channel,
            )
        else:
            clip = probe(path)
            tracks = choose_tracks(
                clip,
                audio=audio,
                video_track=video_track,
                audio_track=audio_track,
                channel=channel,
            )
            streams = read_streams(clip, tracks, audio=audio, jobs=jobs, progress=progress)
    except NoAnswerError as error:
        # The file is named in the report already.
        report = replace(report, reason=str(error).removeprefix(f"{path}: "))
    else:
        report = _judged(report, streams, limits, max_lag_s)
        if report.verdict is None and tracks.others and streams.lips:
            tracks, streams, report = _fitting(
                audio or path, tracks, streams, report, limits, max_lag_s
            )
        if report.alignment is None and not is_streams_file(path):
            named = audio_track is not None or channel is not None
            hint = None
            if video_track is not None and not report.face_coverage:
                hint = face_elsewhere(clip, tracks.video)
            elif named and (audio is not None or clip.audio_tracks):
                hint = speech_elsewhere(audio or path, tracks.sound)
            if hint is None and not streams.lips:
                hint = _turned(path, tracks.video)
            if hint is not None:
                report = replace(report, reason=f"{report.reason}; {hint}")
        joined = () if is_streams_file(path) else _joined(clip)
        report = replace(report, notes=(*tracks.notes, *joined, *_cut_short(streams)))
    report = replace(
        report,
        video_track=tracks.video if tracks.videos > 1 else None,
        audio_track=tracks.sound.track if tracks.audios > 1 else None,
        channel=tracks.sound.channel,
        elapsed_s=time.perf_counter() - started,
    )
    return Measurement(
        report,
        streams,
        limits,
        Path(audio) if audio else None,
        tracks.sound.track,
        tracks.sound.channel,
        tracks.video,
    )


def _judged(
    report: SyncReport, streams: ClipStreams, limits: Tolerance, max_lag_s: float
) -> SyncReport:
    """Say how late the sound is, and whether that is to be with_best_guess."""
    from avalign.align import align_streams

    found = align_streams(streams, max_lag_s=max_lag_s)
    report = _describe(report, streams, found)
    if found.reason is not None:
        return report
    report = with_best_guess(report, limits)
    # One lag, however likely, is not the answer where the lag changes.
    reason = found.change.reason if found.change else _indecision(report, limits)
    if reason is None:
        return report
    return replace(report, verdict=None, reason=reason, exit_code=NoAnswerError.exit_code)


def _fitting(
    sound_file: AnyPath,
    tracks: Tracks,
    streams: ClipStreams,
    report: SyncReport,
    limits: Tolerance,
    max_lag_s: float,
) -> tuple[Tracks, ClipStreams, SyncReport]:
    """Look for a sound among the others that fits the lips without a doubt."""
    from avalign.align import REPAIR_CONFIDENCE
    from avalign.media import iter_audio

    blank = SyncReport(report.file, "no_answer", report.tolerance, exit_code=report.exit_code)
    for sound in tracks.others[:MOST_SOUNDS]:
        blocks = iter_audio(sound_file, track=sound.track, channel=sound.channel)
        try:
            mfcc, speech = sound_features(blocks)
        except MediaError:
            continue
        other = replace(streams, mfcc=mfcc, speech=speech)
        again = _judged(blank, other, limits, max_lag_s)
        answer = again.alignment
        if again.verdict and answer and answer.confidence >= REPAIR_CONFIDENCE:
            return tracks.instead(sound), other, again
    return tracks, streams, report


def check_options(tolerance: str | Tolerance, max_lag_s: float) -> Tolerance:
    """Refuse options that no file could be measured with.

    Parameters
    ----------
    tolerance : str or Tolerance
        Name of a tolerance, or ``EARLY/LATE`` in ms.
    max_lag_s : float
        Largest lag to search for.

    Returns
    -------
    Tolerance
        The tolerance.

    Raises
    ------
    ParameterError
        If one of them cannot be used.
    """
    limits = Tolerance.parse(tolerance)
    if not MIN_LAG_S <= max_lag_s <= MAX_LAG_S:
        raise ParameterError(
            f"the largest lag to search for is {max_lag_s} s",
            f"take {MIN_LAG_S:g} to {MAX_LAG_S:g} s",
        )
    return limits


def check(
    path: AnyPath,
    *,
    tolerance: str | Tolerance = "itu",
    max_lag_s: float = 1.0,
    audio: AnyPath | None = None,
    video_track: int | None = None,
    audio_track: int | None = None,
    channel: int | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> SyncReport:
    """Measure the audio lag of a file and hold it against a tolerance.

    Parameters
    ----------
    path, tolerance, max_lag_s, audio, video_track, audio_track, channel, jobs, progress
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
        If an argument cannot be used, or there is no such track or channel.
    """
    report = measure(
        path,
        tolerance=tolerance,
        max_lag_s=max_lag_s,
        audio=audio,
        video_track=video_track,
        audio_track=audio_track,
        channel=channel,
        jobs=jobs,
        progress=progress,
    ).report
    return (
        report
        if report.verdict in (None, "in_sync")
        else replace(report, exit_code=OUT_OF_TOLERANCE)
    )


def error_report(report: SyncReport, error: BaseException) -> SyncReport:
    """Note in a report that an error ended the work on its file.

    Parameters
    ----------
    report : SyncReport
        What was known before.
    error : BaseException
        What happened.

    Returns
    -------
    SyncReport
        Status ``"error"`` with the error as its reason and its exit code; an
        exception that avalign does not know counts as a defect.
    """
    if isinstance(error, AvalignError):
        reason, exit_code = str(error), error.exit_code
    else:
        reason = f"a defect in avalign: {type(error).__name__}: {error}"
        exit_code = AvalignError.exit_code
    # The file is named in the report already.
    reason = reason.removeprefix(f"{report.file}: ")
    return replace(report, status="error", reason=reason, exit_code=exit_code)


def _turned(path: AnyPath, track: int) -> str | None:
    """Say so where a face is there, but upside down."""
    from avalign.vision import is_upside_down

    if not is_upside_down(path, track):
        return None
    return "one is there if it is turned by 180 degrees: it may be upside down"


def _describe(report: SyncReport, streams: ClipStreams, found: ClipAlignment) -> SyncReport:
    """Say what there was to measure on, whatever came of it."""
    # The clip's alignment is that of its best face and more: it knows of the
    # other faces, and of the same face before and after a cut.
    faces = tuple(
        replace(face, alignment=found.alignment) if face.track_id == found.face else face
        for face in found.faces
    )
    best = next((face for face in faces if face.track_id == found.face), None)
    best = best or next(iter(faces), None)
    return replace(
        report,
        reason=found.reason,
        faces=faces,
        best_face=found.face,
        duration_s=streams.duration_s or None,
        speech_s=found.alignment.speech_s if found.alignment else None,
        face_coverage=best.coverage if best else 0.0,
        frame_rate=streams.frame_rate or None,
    )


def _joined(clip: MediaClip) -> tuple[str, ...]:
    """Say where parts with clocks of their own were joined."""
    if not clip.restarts:
        return ()
    times = "once" if clip.restarts == 1 else f"{clip.restarts} times"
    return (f"its clock starts anew {times}: its parts were put one after the other",)


def _cut_short(streams: ClipStreams) -> tuple[str, ...]:
    """Say where picture and sound end long before the file says that they do."""
    clocks = [stream.times_s for stream in (streams.mfcc, *streams.lips) if len(stream)]
    if not clocks:
        return ()
    read_s = float(max(clock[-1] for clock in clocks) - min(clock[0] for clock in clocks))
    missing_s = streams.duration_s - read_s
    if missing_s <= max(LEAST_MISSING_S, LEAST_MISSING_SHARE * streams.duration_s):
        return ()
    return (
        f"only {read_s:.1f} of {streams.duration_s:.1f} s could be read: is the file complete?",
    )


def _indecision(report: SyncReport, limits: Tolerance) -> str | None:
    """Say why an answer carries no verdict, if it does not."""
    from avalign.align import REPAIR_CONFIDENCE, VERDICT_CONFIDENCE, may_be_in_sync

    answer = report.alignment
    if answer is None:
        return None
    if answer.confidence < VERDICT_CONFIDENCE:
        return "the evidence is too weak for a verdict"
    ends_ms = (1000.0 * end_s for end_s in answer.interval_s)
    if report.verdict == "in_sync" or limits.excludes(*ends_ms):
        return None
    if may_be_in_sync(answer):
        # The likeliest lag may be right, and yet a shift may make things worse.
        return (
            f"the file may be in sync as it is: a lag of {1000 * answer.audio_lag_s:.0f} ms "
            "fits hardly better than none"
        )
    if answer.confidence < REPAIR_CONFIDENCE:
        return "the interval reaches into the tolerance, and the confidence does not decide"
    return None


def with_best_guess(report: SyncReport, limits: Tolerance) -> SyncReport:
    """Make the best guess of a report its answer.

    Parameters
    ----------
    report : SyncReport
        A report without an answer.
    limits : Tolerance
        What the lag is held against.

    Returns
    -------
    SyncReport
        Status ``"ok"`` with a verdict; unchanged where there is no guess.
    """
    guess = best_guess(report)
    if guess is None or guess.alignment is None:
        return report
    return replace(
        report,
        status="ok",
        face=guess.track_id,
        alignment=guess.alignment,
        verdict=limits.judge(1000.0 * guess.alignment.audio_lag_s),
        exit_code=0,
    )
