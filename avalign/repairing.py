"""From a measurement to a file whose audio is in sync."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from avalign.errors import AvalignError, MediaError, NoAnswerError, NoFaceError
from avalign.extraction import AnyPath, Progress, sound_features
from avalign.measurement import Measurement, believed, check_options, measure
from avalign.schema import best_guess
from avalign.targets import check_video_target, require_video, synced_path
from avalign.types import SyncReport
from avalign.verdict import Tolerance

__all__ = ["repair", "sync"]

# A file with a larger lag after the repair was not repaired.
LARGEST_RESIDUAL_MS = 40.0


class _StillOutOfSync(NoAnswerError):
    """The sound of the file that was written does not fit its lips either."""


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
    can express the shift. What was written is then measured in turn, before it
    takes the place of the output.

    Parameters
    ----------
    measurement : Measurement
        What `measure` returned.
    output : str or Path, optional
        The file to write; by default `synced_path` of the input.
    force : bool
        Trust the best guess where there is no reliable answer. A guess at the
        edge of the searched range, or without speech, is never trusted.
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
        a file was written. Nothing is written for a lag within the tolerance (unless
        the sound is a file of its own) or without an answer, nor where what was
        written turns out not to be in sync. A forced answer keeps its ``reason``.

    Raises
    ------
    MediaError
        If the output exists already, or a file cannot be read or written, or what
        was written cannot be read.
    ParameterError
        If there is no video to repair (the input is a ``.npz`` file), or the
        output is the input.
    """
    from avalign.media import shift_audio

    started = time.perf_counter()
    report = _decided(measurement, force)
    if not dry_run:
        require_video(report.file)
    answer = report.alignment
    # Sound from elsewhere is in no file with this picture yet, in sync or not.
    as_it_should_be = report.verdict == "in_sync" and measurement.audio is None
    if dry_run or answer is None or as_it_should_be or report.exit_code:
        return report
    target = output or synced_path(report.file)
    check_video_target(report.file, target, audio=measurement.audio, overwrite=overwrite)
    residual_ms: float | None = None
    by_quarters_ms: tuple[float | None, ...] | None = None

    def verify(written: Path) -> None:
        nonlocal residual_ms, by_quarters_ms
        try:
            residual_ms, by_quarters_ms = _residuals_ms(measurement, written)
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
            report.file,
            target,
            audio_lag_s=answer.audio_lag_s,
            # Without a separate file all tracks move: they share one clock.
            audio_track=measurement.audio_track if measurement.audio is not None else None,
            audio_file=measurement.audio,
            overwrite=overwrite,
            progress=progress,
            verify=verify,
        )
    except _StillOutOfSync as error:
        report = replace(report, reason=error.message, exit_code=error.exit_code)
    else:
        report = replace(
            report,
            output=str(written.path),
            residual_ms=residual_ms,
            residual_quarters_ms=by_quarters_ms,
            notes=(*report.notes, *written.notes),
        )
    return replace(report, elapsed_s=report.elapsed_s + time.perf_counter() - started)


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
    check_options(tolerance, max_lag_s)
    # Better now than after minutes of measuring.
    check_video_target(
        path, output or synced_path(path), audio=audio, overwrite=overwrite, dry_run=dry_run
    )
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


def _decided(measurement: Measurement, force: bool) -> SyncReport:
    """Ask more of an answer that changes a file, or less where the user insists."""
    from avalign.align import REPAIR_CONFIDENCE

    report = measurement.report
    answer = report.alignment
    if answer is None:
        guess = best_guess(report)
        guessed = guess.alignment if guess is not None else None
        # At the edge, or without speech, it is known not to be the lag, whoever insists.
        if not force or guessed is None or guessed.at_edge or guessed.confidence == 0.0:
            return report
        return believed(report, measurement.tolerance)
    if report.verdict == "in_sync" and measurement.audio is None:
        return report
    if report.verdict is None:
        return believed(report, measurement.tolerance) if force else report
    if answer.confidence >= REPAIR_CONFIDENCE:
        return report
    reason = f"a confidence of {answer.confidence:.2f} is too low to change a file by"
    return replace(report, reason=reason, exit_code=0 if force else NoAnswerError.exit_code)


def _residuals_ms(
    measurement: Measurement, written: Path
) -> tuple[float | None, tuple[float | None, ...] | None]:
    """Measure the file that was written; its picture is the one already read."""
    from avalign.align import align_streams
    from avalign.media import iter_audio, probe

    if measurement.streams is None:
        return None, None
    track = 0 if measurement.audio is not None else measurement.audio_track
    # In some containers zero is where the first track starts, be it the sound.
    clips = [probe(path) for path in (measurement.report.file, written)]
    if not clips[1].video_tracks:
        raise NoFaceError(f"{written}: has no picture track")
    starts_s = [clip.video_tracks[0].start_s for clip in clips]
    mfcc, speech = (
        replace(stream, times_s=stream.times_s - (starts_s[1] - starts_s[0]))
        for stream in sound_features(iter_audio(written, track=track))
    )
    again = align_streams(replace(measurement.streams, mfcc=mfcc, speech=speech))
    if again.alignment is None or again.alignment.at_edge:
        return None, None
    return 1000.0 * again.alignment.audio_lag_s, tuple(
        None if lag_s is None else 1000.0 * lag_s for lag_s in again.quarters_s
    )
