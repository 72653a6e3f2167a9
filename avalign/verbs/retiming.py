"""From two recordings of the same words to one that keeps the other's time."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import NoAnswerError, NoFaceError, ParameterError
from avalign.files import check_target, scratch_folder
from avalign.reports import AlignReport
from avalign.streams import AnyPath, Progress
from avalign.verbs.comparing import AlignedPair, AlignTo, compare, read_audio_track

if TYPE_CHECKING:
    from avalign.align import WarpModel
    from avalign.types import TimeWarp

WAV = ".wav"


def retime(
    aligned: AlignedPair,
    output: AnyPath | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> AlignReport:
    """Write the other recording so that it plays by the reference's clock.

    Its pitch stays as it is. With one lag it is only moved, with a steady drift it is
    resampled, and along a warp it is stretch_audio. What was put in is cut out, and where
    something was left out it is silent.

    Parameters
    ----------
    aligned : AlignedPair
        What `compare` returned.
    output : str or Path, optional
        The file to write; by default `aligned_path` of the other recording. A ``.wav``
        begins at time 0 of the reference and is as long as it is, 24 bits deep. Any other
        ending names a video: the reference's, pictures copied bit for bit, with this
        sound in place of its own.
    overwrite : bool
        Replace a file that exists.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    AlignReport
        With ``output`` and what is left, ``residual_ms``; unchanged without an answer.

    Raises
    ------
    MediaError
        If the output exists already, or a file cannot be read or written.
    NoFaceError
        If a video is to be written and the reference has no picture.
    ParameterError
        If the output is one of the inputs, or has an ending that cannot be written.
    """
    from avalign.media import shift_audio

    started = time.perf_counter()
    report = aligned.report
    if report.alignment is None or report.alignment.warp is None:
        return report
    target = Path(output) if output is not None else aligned_path(report.other)
    check_output(report.reference, report.other, target, overwrite=overwrite)
    warp = report.alignment.warp
    duration_s = report.duration_s or float(warp.reference_s[-1])
    if target.suffix.lower() == WAV:
        _write_wav(aligned, warp, target, duration_s, overwrite, progress)
        notes: tuple[str, ...] = ()
    else:
        # Beside the target, where there is room for it.
        with scratch_folder(target.parent) as scratch:
            sound = scratch / f"sound{WAV}"
            _write_wav(aligned, warp, sound, duration_s, True, progress)
            notes = shift_audio(
                report.reference,
                target,
                audio_lag_s=0.0,
                audio_file=sound,
                overwrite=overwrite,
            ).notes
    residual_ms, by_quarters_ms = _residuals_ms(aligned, target)
    report = replace(
        report,
        output=str(target),
        residual_ms=residual_ms,
        residual_quarters_ms=by_quarters_ms,
        notes=(*report.notes, *notes),
    )
    return replace(report, elapsed_s=report.elapsed_s + time.perf_counter() - started)


def align_files(
    reference: AnyPath,
    other: AnyPath,
    output: AnyPath | None = None,
    *,
    to: AlignTo = "sound",
    model: WarpModel = "auto",
    band_s: float | None = None,
    video_track: int | None = None,
    reference_track: int | None = None,
    other_track: int | None = None,
    reference_channel: int | None = None,
    other_channel: int | None = None,
    jobs: int | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> AlignReport:
    """Align a recording with another one of the same words, and write it in its time.

    Parameters
    ----------
    reference, other, to, model, band_s, video_track, reference_track, other_track
        As for `compare`.
    reference_channel, other_channel, jobs
        As for `compare`.
    output, overwrite
        As for `retime`.
    dry_run : bool
        Align, but write nothing.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    AlignReport
        The answer, and what was written.

    Raises
    ------
    MediaError
        If the output exists already, or a file cannot be read or written.
    ParameterError
        If an argument cannot be used.
    """
    if not dry_run:
        # Better now than after minutes of measuring.
        planned = Path(output) if output is not None else aligned_path(other)
        check_output(reference, other, planned, overwrite=overwrite)
    aligned = compare(
        reference,
        other,
        to=to,
        model=model,
        band_s=band_s,
        video_track=video_track,
        reference_track=reference_track,
        other_track=other_track,
        reference_channel=reference_channel,
        other_channel=other_channel,
        jobs=jobs,
        progress=progress,
    )
    return aligned.report if dry_run else retime(aligned, output, overwrite=overwrite)


def aligned_path(other: AnyPath) -> Path:
    """Name the file that stands beside a recording once it is aligned.

    Parameters
    ----------
    other : str or Path
        The recording, such as ``take3.wav``.

    Returns
    -------
    Path
        Its name with ``.aligned.wav``, such as ``take3.aligned.wav``.
    """
    other = Path(other)
    return other.with_name(f"{other.stem}.aligned{WAV}")


def check_output(
    reference: AnyPath, other: AnyPath, target: AnyPath, *, overwrite: bool = False
) -> None:
    """Refuse early a file that could not be written in the end.

    Parameters
    ----------
    reference, other : str or Path
        The inputs.
    target : str or Path
        The file to write.
    overwrite : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    MediaError
        If an input is missing, or the target exists already, is a folder, or its folder
        is missing.
    NoFaceError
        If a video is to be written and the reference has no picture.
    ParameterError
        If the target is an input, or has an ending that cannot be written.
    """
    from avalign.media import container_for, probe

    target = Path(target)
    check_target((reference, other), target, overwrite=overwrite)
    if target.suffix.lower() == WAV:
        return
    clip = probe(reference)
    if not clip.video_tracks:
        raise NoFaceError(
            f"{reference}: has no picture to put the sound to", "write a .wav instead"
        )
    try:
        container_for(target, clip)
    except ParameterError as error:
        raise ParameterError(
            error.message, f"{error.hint}, or .wav for the sound alone"
        ) from None


def _write_wav(
    aligned: AlignedPair,
    warp: TimeWarp,
    target: Path,
    duration_s: float,
    overwrite: bool,
    progress: Progress | None,
) -> None:
    from avalign.audio import place_audio, stretch_audio
    from avalign.media import open_channels, open_wav_writer

    report = aligned.report
    straight = len(warp.reference_s) == 2
    pace = _pace(warp) if straight else 1.0
    with (
        open_channels(report.other, track=aligned.other_track, pace=pace) as sound,
        open_wav_writer(
            target,
            sample_rate_hz=sound.sample_rate_hz,
            layout=sound.layout,
            overwrite=overwrite,
        ) as write,
    ):
        rate = sound.sample_rate_hz
        if straight:
            first_s = warp.reference_s[0] + (sound.start_s - warp.other_s[0]) / pace
            blocks = place_audio(sound.blocks, rate, float(first_s), duration_s)
        else:
            blocks = stretch_audio(sound.blocks, rate, sound.start_s, warp, duration_s)
        done_s = 0.0
        for block in blocks:
            write(block)
            done_s += block.shape[1] / rate
            if progress is not None:
                progress(min(1.0, done_s / duration_s))


def _pace(warp: TimeWarp) -> float:
    """Seconds of the other recording per second of the reference, of a straight warp."""
    pace = float(warp.other_s[1] - warp.other_s[0])
    pace /= float(warp.reference_s[1] - warp.reference_s[0])
    # Less than a sample in an hour is no drift.
    return 1.0 if abs(pace - 1.0) < 1e-9 else pace


def _residuals_ms(
    aligned: AlignedPair, written: Path
) -> tuple[float | None, tuple[float | None, ...] | None]:
    """Align the file that was written with the reference again."""
    from avalign.align import align_pair, exchange_other, residuals_s
    from avalign.media import probe

    if aligned.pair is None:
        return None, None
    channel = aligned.other_channel
    if channel is not None and channel >= probe(written).audio_tracks[0].channels:
        channel = None  # encoded again with fewer channels
    try:
        again = align_pair(exchange_other(aligned.pair, read_audio_track(written, 0, channel)))
    except NoAnswerError:
        return None, None
    whole_s, quarters_s = residuals_s(again)
    return 1e3 * whole_s, tuple(None if each != each else 1e3 * each for each in quarters_s)
