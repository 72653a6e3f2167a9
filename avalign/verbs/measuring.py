"""From a file to a report on its audio lag."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import AvalignError, MediaError, NoAnswerError, ParameterError
from avalign.reports import SyncReport
from avalign.streams import (
    AnyPath,
    Progress,
    Tracks,
    choose_tracks,
    extract,
    is_streams_file,
    mfcc_and_speech,
    read_streams,
)
from avalign.types import ClipStreams, Tolerance
from avalign.verbs.hints import look_elsewhere, note_cut_short, note_joined_parts

if TYPE_CHECKING:
    from avalign.align import ClipAlignment, Decision
    from avalign.types import Alignment, MediaClip

MAX_LAG_S = 15.0
# A peak needs a few lags on either side of it.
MIN_LAG_S = 0.1
OUT_OF_TOLERANCE = 1
# Sounds that are held against the lips where the first does not fit them.
MOST_AUDIO_TRACKS = 8


@dataclass(frozen=True, slots=True)
class Measurement:
    """A report, and what it was measured on.

    Parameters
    ----------
    report : SyncReport
        The answer about one file.
    decision : Decision
        What was decided, of which the report tells.
    tolerance : Tolerance
        The limits the lag was held against.
    streams : ClipStreams or None
        Sound and lips; None where the file has no sound or no picture.
    clip : MediaClip or None
        What the file holds; None of a file of streams.
    guess : Alignment or None
        The best guess, trusted or not.
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
    decision: Decision
    tolerance: Tolerance
    streams: ClipStreams | None = None
    clip: MediaClip | None = None
    guess: Alignment | None = None
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
    clip: MediaClip | None = None,
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
    clip : MediaClip, optional
        What `probe` told of the file, where that is known already.

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
    from avalign.align import ClipAlignment, align_streams, decide
    from avalign.media import probe

    started = time.perf_counter()
    limits = check_options(tolerance, max_lag_s)
    tracks, streams = Tracks(), None
    notes: tuple[str, ...] = ()
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
            clip = probe(path) if clip is None else clip
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
        found = ClipAlignment((), None, None, str(error).removeprefix(f"{path}: "))
        decision = decide(found, limits)
    else:
        found = align_streams(streams, max_lag_s=max_lag_s)
        decision = decide(found, limits)
        if decision.verdict is None and tracks.others and streams.lips:
            tracks, streams, found = _find_matching_audio(
                audio or path, tracks, streams, found, limits, max_lag_s
            )
            decision = decide(found, limits)
        if decision.answer is None and clip is not None:
            named = video_track is not None, audio_track is not None or channel is not None
            hint = look_elsewhere(
                clip, audio, tracks, streams, named, face_seen=_coverage(found) > 0
            )
            if hint is not None:
                decision = replace(decision, reason=f"{decision.reason}; {hint}")
        notes = (*tracks.notes, *note_joined_parts(clip), *note_cut_short(streams))
    elapsed_s = time.perf_counter() - started
    return Measurement(
        _report(path, limits, decision, found, streams, tracks, notes, elapsed_s),
        decision,
        limits,
        streams,
        clip,
        found.alignment,
        Path(audio) if audio else None,
        tracks.audio.track,
        tracks.audio.channel,
        tracks.video,
    )


def _find_matching_audio(
    sound_file: AnyPath,
    tracks: Tracks,
    streams: ClipStreams,
    found: ClipAlignment,
    limits: Tolerance,
    max_lag_s: float,
) -> tuple[Tracks, ClipStreams, ClipAlignment]:
    """Look for a sound among the others that fits the lips without a doubt."""
    from avalign.align import REPAIR_CONFIDENCE, align_streams, decide
    from avalign.media import iter_audio

    for sound in tracks.others[:MOST_AUDIO_TRACKS]:
        blocks = iter_audio(sound_file, track=sound.track, channel=sound.channel)
        try:
            mfcc, speech = mfcc_and_speech(blocks)
        except MediaError:
            continue
        other = replace(streams, mfcc=mfcc, speech=speech)
        again = align_streams(other, max_lag_s=max_lag_s)
        decision = decide(again, limits)
        answer = decision.answer
        if decision.verdict and answer and answer.confidence >= REPAIR_CONFIDENCE:
            return tracks.with_audio(sound), other, again
    return tracks, streams, found


def _report(
    path: AnyPath,
    limits: Tolerance,
    decision: Decision,
    found: ClipAlignment,
    streams: ClipStreams | None,
    tracks: Tracks,
    notes: tuple[str, ...],
    elapsed_s: float,
) -> SyncReport:
    guess = found.alignment
    return SyncReport(
        str(path),
        decision.status,
        limits.option,
        decision.reason,
        decision.answer,
        found.face if decision.answer is not None else None,
        found.face,
        decision.verdict,
        # The clip's alignment is that of its best face and more: it knows of the
        # other faces, and of the same face before and after a cut.
        tuple(
            replace(face, alignment=guess) if face.track_id == found.face else face
            for face in found.faces
        ),
        duration_s=(streams.duration_s or None) if streams else None,
        speech_s=guess.speech_s if guess else None,
        face_coverage=_coverage(found) if streams else None,
        frame_rate=(streams.frame_rate or None) if streams else None,
        video_track=tracks.video if tracks.video_count > 1 else None,
        audio_track=tracks.audio.track if tracks.audio_count > 1 else None,
        channel=tracks.audio.channel,
        notes=notes,
        exit_code=decision.exit_code,
        elapsed_s=elapsed_s,
    )


def _coverage(found: ClipAlignment) -> float:
    """Fraction of the pictures that show the best face."""
    best = next((face for face in found.faces if face.track_id == found.face), None)
    best = best or next(iter(found.faces), None)
    return best.coverage if best else 0.0


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
