"""From a measurement to a file whose audio is in sync."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import AvalignError, MediaError, NoAnswerError, NoFaceError, ParameterError
from avalign.reports import SyncReport
from avalign.streams import AnyPath, Progress, is_streams_file, mfcc_and_speech
from avalign.types import Tolerance
from avalign.verbs.measuring import MOST_AUDIO_TRACKS, Measurement, check_options, measure
from avalign.verbs.targets import (
    check_default_name,
    check_video_format,
    check_video_target,
    require_video,
    synced_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from avalign.align import Decision
    from avalign.types import MediaClip

# A file with a larger lag after the repair was not repaired.
LARGEST_RESIDUAL_MS = 40.0


class _StillOutOfSync(NoAnswerError):
    """The sound of the file that was written does not fit its lips either."""


def repair(
    measurement: Measurement,
    output: AnyPath | None = None,
    *,
    move_track: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SyncReport:
    """Write a file whose audio is in sync, if the measured one is not.

    The picture is copied bit for bit, and so is the sound where the container
    can express the shift. What was written is then measured in turn, before it
    takes the place of the output.

    Parameters
    ----------
    measurement : Measurement
        What `measure` returned.
    output : str or Path, optional
        The file to write; by default `synced_path` of the input.
    move_track : int, optional
        Move only this sound track, from 0; by default all of them, as they mostly share
        one clock.
    force : bool
        Trust the best guess where there is no reliable answer. A guess at the
        edge of the searched range, or without speech, is never trusted.
    dry_run : bool
        Decide, but write nothing.
    overwrite : bool
        Replace a file that exists.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    SyncReport
        The report of the measurement, with ``output`` and ``residual_ms`` where
        a file was written. Nothing is written for a lag within the tolerance (unless
        the sound is a file of its own) or without an answer, nor where what was
        written turns out not to be in sync. A forced answer keeps its ``reason``.

    Raises
    ------
    MediaError
        If the output exists already, or a file cannot be read or written, or what
        was written cannot be read.
    ParameterError
        If there is no video to repair (the input is a ``.npz`` file), the output is the
        input, or there is no such track to move.
    """
    from avalign.media import shift_audio

    started = time.perf_counter()
    decision = _decide(measurement, force)
    found = measurement.report
    if not dry_run:
        require_video(found.file)
    report = replace(
        found,
        status=decision.status,
        verdict=decision.verdict,
        reason=decision.reason,
        alignment=decision.answer,
        face=None if decision.answer is None else found.best_face,
        exit_code=decision.exit_code,
    )
    if not decision.writes or decision.answer is None:
        return report
    told = replace(report, notes=(*report.notes, *_note_moved_tracks(measurement, move_track)))
    if dry_run:
        return replace(told, planned=str(output or synced_path(found.file)))
    clip, target = _check_writable(measurement, output, move_track, overwrite)
    residual_ms: float | None = None
    by_quarters_ms: tuple[float | None, ...] | None = None

    def verify(written: Path) -> None:
        nonlocal residual_ms, by_quarters_ms
        try:
            residual_ms, by_quarters_ms = _residuals_ms(measurement, clip, move_track, written)
        except AvalignError as error:
            raise MediaError(
                f"{target}: not written, as its sound and picture could not be read back",
                "try another ending, such as .mkv",
            ) from error
        if force:
            return
        if residual_ms is None or abs(residual_ms) > LARGEST_RESIDUAL_MS:
            # The measurement was wrong: the true lag may lie beyond the searched range.
            rest = "no lag" if residual_ms is None else f"a lag of {residual_ms:.0f} ms"
            raise _StillOutOfSync(
                f"after the shift, {rest} could be measured, so no file was written; "
                "try a larger --max-lag"
            )
        known_ms = [each for each in by_quarters_ms or () if each is not None]
        worst_ms = max(known_ms, key=abs, default=0.0)
        if abs(worst_ms) > LARGEST_RESIDUAL_MS:
            raise _StillOutOfSync(
                f"after the shift, a quarter of the file has a lag of {worst_ms:.0f} ms, "
                "so no file was written; repair its parts by themselves"
            )

    try:
        written = shift_audio(
            clip,
            target,
            audio_lag_s=decision.answer.audio_lag_s,
            # Without a separate file all tracks move: they share one clock.
            audio_track=move_track if measurement.audio is None else measurement.audio_track,
            audio_file=measurement.audio,
            overwrite=overwrite,
            progress=progress,
            verify=verify,
        )
    except _StillOutOfSync as error:
        report = replace(report, reason=error.message, exit_code=error.exit_code)
    else:
        report = replace(
            told,
            output=str(written.path),
            residual_ms=residual_ms,
            residual_quarters_ms=by_quarters_ms,
            notes=(*told.notes, *written.notes),
        )
    return replace(report, elapsed_s=report.elapsed_s + time.perf_counter() - started)


def sync(
    path: AnyPath,
    output: AnyPath | None = None,
    *,
    tolerance: str | Tolerance = "itu",
    max_lag_s: float = 1.0,
    audio: AnyPath | None = None,
    video_track: int | None = None,
    audio_track: int | None = None,
    channel: int | None = None,
    move_track: int | None = None,
    jobs: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    measured: Callable[[Measurement], None] | None = None,
    writing: Progress | None = None,
) -> SyncReport:
    """Measure the audio lag of a file, and repair it where it is out of tolerance.

    Parameters
    ----------
    path, tolerance, max_lag_s, audio, video_track, audio_track, channel, jobs
        As for `measure`; with `move_track`, that sound track is measured by default.
    output, move_track, force, dry_run, overwrite
        As for `repair`.
    progress : callable, optional
        Called with the fraction of the measuring done, 0 to 1.
    measured : callable, optional
        Called with the `Measurement` before a file is written.
    writing : callable, optional
        Called with the fraction of the file that is written, 0 to 1.

    Returns
    -------
    SyncReport
        The answer, and what was written; of a dry run, what would be.

    Raises
    ------
    MediaError
        If the output exists already, or a file cannot be read or written.
    ParameterError
        If an argument cannot be used, there is no such track or channel, or there
        is no video to repair (the input is a ``.npz`` file).
    """
    from avalign.media import probe

    check_options(tolerance, max_lag_s)
    target = output or synced_path(path)
    if not dry_run:
        # Better now than after minutes of measuring.
        check_video_target(path, target, audio=audio, overwrite=overwrite)
    clip = None if is_streams_file(path) else probe(path)
    remedy = None
    if clip is not None:
        try:
            if not dry_run:
                check_default_name(clip, path, target)
            check_video_format(clip, target, audio=audio, move_track=move_track)
        except AvalignError as error:
            if not dry_run or output is not None or move_track is not None:
                raise
            remedy = error.hint
    measurement = measure(
        path,
        tolerance=tolerance,
        max_lag_s=max_lag_s,
        audio=audio,
        video_track=video_track,
        audio_track=move_track if audio_track is None else audio_track,
        channel=channel,
        jobs=jobs,
        progress=progress,
        clip=clip,
    )
    if measured is not None:
        measured(measurement)
    report = repair(
        measurement,
        output,
        move_track=move_track,
        force=force,
        dry_run=dry_run,
        overwrite=overwrite,
        progress=writing,
    )
    if clip is None and output is None:
        report = replace(report, planned=None)  # streams have no name for a video
    decision = _decide(measurement, force)
    if remedy is not None and decision.verdict is not None and not decision.in_place:
        notes = (*report.notes, f"to repair it, {remedy}")
        report = replace(report, planned=None, notes=notes)
    return report


def _decide(measurement: Measurement, force: bool) -> Decision:
    from avalign.align import decide_repair

    return decide_repair(
        measurement.decision,
        measurement.guess,
        measurement.tolerance,
        force=force,
        new_audio=measurement.audio is not None,
    )


def _check_writable(
    measurement: Measurement, output: AnyPath | None, move_track: int | None, overwrite: bool
) -> tuple[MediaClip, AnyPath]:
    """Refuse what could not be written; else give the input and the file to write."""
    path, audio = measurement.report.file, measurement.audio
    target = output or synced_path(path)
    check_video_target(path, target, audio=audio, overwrite=overwrite)
    clip = measurement.clip
    if clip is None:
        raise ParameterError(f"{path}: was not measured as a video", "measure the video")
    check_default_name(clip, path, target)
    check_video_format(clip, target, audio=audio, move_track=move_track)
    return clip, target


def _note_moved_tracks(measurement: Measurement, move_track: int | None) -> tuple[str, ...]:
    """Say which of several sound tracks moves, and how to move one alone."""
    own = measurement.report.audio_track
    if measurement.audio is not None or own is None:
        return ()
    if move_track is not None:
        return (f"only sound track {move_track} is moved",)
    apart = _tracks_with_other_lags(measurement)
    though = f", though {' and '.join(apart)}" if apart else ""
    return (f"all sound tracks are moved{though}; --move-track {own} moves that one alone",)


def _tracks_with_other_lags(measurement: Measurement) -> list[str]:
    """Name the sound tracks that surely do not share the lag of the one that was measured."""
    from avalign.align import REPAIR_CONFIDENCE, align_streams
    from avalign.media import iter_audio

    streams, answer, clip = measurement.streams, measurement.guess, measurement.clip
    if streams is None or answer is None or clip is None:
        return []
    tracks = [
        track.index
        for track in clip.audio_tracks
        if track.index != measurement.audio_track and track.sample_rate_hz > 0
    ]
    apart = []
    for track in tracks[:MOST_AUDIO_TRACKS]:
        try:
            blocks = iter_audio(measurement.report.file, track=track)
            mfcc, speech = mfcc_and_speech(blocks)
        except MediaError:
            continue  # nothing of it can be decoded
        found = align_streams(replace(streams, mfcc=mfcc, speech=speech))
        other = found.alignment
        if found.reason or other is None or other.confidence < REPAIR_CONFIDENCE:
            continue
        lag_ms = 1000.0 * other.audio_lag_s
        if abs(lag_ms - 1000.0 * answer.audio_lag_s) > LARGEST_RESIDUAL_MS:
            side = "late" if lag_ms > 0 else "early"
            apart.append(f"track {track} is {abs(lag_ms):.0f} ms {side}")
    return apart


def _residuals_ms(
    measurement: Measurement, source: MediaClip, move_track: int | None, written: Path
) -> tuple[float | None, tuple[float | None, ...] | None]:
    """Measure the file that was written; its picture is the one already read."""
    from avalign.align import align_streams
    from avalign.media import iter_audio, probe

    if measurement.streams is None:
        return None, None
    copy = probe(written)
    own = measurement.video_track
    # Tracks that no decoder is known for are not in the copy.
    video = sum(each.width > 0 for each in source.video_tracks[:own])
    if len(copy.video_tracks) <= video:
        raise NoFaceError(f"{written}: has no picture track {video}")
    track, channel = measurement.audio_track, measurement.channel
    if measurement.audio is not None:
        track = 0
    else:
        if move_track not in (None, track):
            track, channel = move_track, None
        track = sum(each.sample_rate_hz > 0 for each in source.audio_tracks[:track])
    if channel is not None and channel >= copy.audio_tracks[track].channels:
        channel = None  # encoded again with fewer channels
    # In some containers zero is where the first track starts, be it the sound.
    late_s = copy.video_tracks[video].start_s - source.video_tracks[own].start_s
    mfcc, speech = (
        replace(stream, times_s=stream.times_s - late_s)
        for stream in mfcc_and_speech(iter_audio(written, track=track, channel=channel))
    )
    again = align_streams(replace(measurement.streams, mfcc=mfcc, speech=speech))
    if again.alignment is None or again.alignment.at_edge:
        return None, None
    return 1000.0 * again.alignment.audio_lag_s, tuple(
        None if lag_s is None else 1000.0 * lag_s for lag_s in again.quarters_s
    )
