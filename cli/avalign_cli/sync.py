"""`avalign sync`: measure one video and repair it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avalign_cli import options
from avalign_cli.ui import Screen

if TYPE_CHECKING:
    from avalign.reports import SyncReport
    from avalign.verbs import Measurement

__all__ = ["EXAMPLES", "sync"]

EXAMPLES = """\b
Examples:
  avalign sync talk.mp4                      write talk.synced.mp4 if needed
  avalign sync talk.mp4 -o fixed.mkv -y      choose the file, replace it
  avalign sync talk.mp4 -n --plot lag.png    write no video, draw the evidence
  avalign sync talk.mp4 --audio recorder.wav --max-lag 10

\b
Exit codes:
  0  measured, and repaired where needed
  2  wrong usage
  3  a file cannot be read or written, or the output exists
  4  no reliable answer; no video was written
  5  a package is missing; avalign doctor says how to get it
"""


def sync(
    video: options.Video,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The video to write.",
            show_default="VIDEO.synced.EXT",
        ),
    ] = None,
    tolerance: options.ToleranceName = "itu",
    max_lag: options.MaxLag = 1.0,
    audio: options.Audio = None,
    video_track: options.VideoTrack = None,
    audio_track: options.AudioTrack = None,
    channel: options.Channel = None,
    move_track: Annotated[
        int | None,
        typer.Option(
            "--move-track",
            metavar="N",
            min=0,
            help="Measure and move this sound track alone.",
            show_default="all move",
        ),
    ] = None,
    jobs: options.Jobs = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            "-n",
            help="Measure, but write no video.",
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Repair by the best guess where there is no reliable answer.",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="PNG",
            help="Draw the evidence over lags, and lips over speech before and after.",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay",
            metavar="MP4",
            help="Write the video with lips drawn and a running score.",
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Measure the audio lag of a video, and repair it.

    The input is never changed: the repaired video is a new file, its picture copied bit for
    bit. Where the lag is within the tolerance, nothing is written.
    """
    from avalign import verbs
    from avalign.errors import AvalignError
    from avalign.reports import SyncReport, to_json
    from avalign.streams import is_streams_file
    from avalign_cli import text

    screen = Screen(json, quiet, verbose)
    planned = output or verbs.synced_path(video)
    report = SyncReport(video, "error", tolerance)
    try:
        # Better now than after minutes of measuring.
        verbs.check_options(tolerance, max_lag)
        unwritable = _unwritable(video, output, audio, move_track, overwrite, dry_run)
        _check_drawings(video, audio, planned, plot, overlay, overwrite, dry_run)
        with screen.progress(f"Reading {video}") as progress:
            measurement = verbs.measure(
                video,
                tolerance=tolerance,
                max_lag_s=max_lag,
                audio=audio,
                video_track=video_track,
                audio_track=move_track if audio_track is None else audio_track,
                channel=channel,
                jobs=jobs,
                progress=progress,
            )
        report = measurement.report
        doing = f"Deciding about {video}" if dry_run else f"Writing {planned}"
        with screen.progress(doing) as progress:
            report = verbs.repair(
                measurement,
                planned,
                move_track=move_track,
                force=force,
                dry_run=dry_run,
                overwrite=overwrite,
                progress=progress,
            )
    except AvalignError as error:
        screen.data(to_json(verbs.error_report(report, error)))
        raise
    in_place = report.verdict == "in_sync" and audio is None
    can_write = output is not None or not is_streams_file(video)
    would_write = dry_run and can_write and not in_place
    if would_write and unwritable is not None and report.verdict is not None:
        report = replace(report, notes=(*report.notes, f"to repair it, {unwritable}"))
    text.show(screen, report, planned=planned if would_write and unwritable is None else None)
    _draw(screen, report, measurement, plot, overlay, overwrite)
    return report.exit_code


def _unwritable(
    video: str,
    output: Path | None,
    audio: Path | None,
    move_track: int | None,
    overwrite: bool,
    dry_run: bool,
) -> str | None:
    """Refuse what could not be written; of a default name in a dry run, say what to do."""
    from avalign import verbs
    from avalign.errors import AvalignError

    try:
        verbs.check_video_target(
            video,
            output or verbs.synced_path(video),
            audio=audio,
            move_track=move_track,
            overwrite=overwrite,
            dry_run=dry_run,
        )
    except AvalignError as error:
        if dry_run and output is None and move_track is None:
            return error.hint
        raise
    return None


def _check_drawings(
    video: str,
    audio: Path | None,
    planned: Path,
    plot: Path | None,
    overlay: Path | None,
    overwrite: bool,
    dry_run: bool,
) -> None:
    from avalign.errors import ParameterError
    from avalign.files import check_target
    from avalign.plots import require_matplotlib
    from avalign.streams import is_streams_file

    sources: tuple[str | Path, ...] = (video,) if audio is None else (video, audio)
    if plot is not None:
        require_matplotlib()
        check_target(sources, plot, overwrite=overwrite, suffix=".png")
    if overlay is not None:
        if is_streams_file(video):
            raise ParameterError(f"{video}: holds streams, so there is no video to draw on")
        check_target(sources, overlay, overwrite=overwrite, suffix=".mp4")
        if not dry_run and _same_place(overlay, planned):
            raise ParameterError(
                f"{overlay}: is to hold the repaired video", "name another file for the overlay"
            )


def _same_place(one: Path, other: Path) -> bool:
    # The last part need not exist, and is replaced where it is a link.
    return (one.parent.resolve(), one.name) == (other.parent.resolve(), other.name)


def _draw(
    screen: Screen,
    report: "SyncReport",
    measurement: "Measurement",
    plot: Path | None,
    overlay: Path | None,
    overwrite: bool,
) -> None:
    from avalign.plots import plot_sync, write_overlay

    streams = measurement.streams
    if streams is None:
        for wanted in (plot, overlay):
            if wanted is not None:
                screen.note(f"{wanted} was not drawn: there is nothing measured to draw")
        return
    if plot is not None:
        plot_sync(report, streams, plot, overwrite=overwrite)
        screen.note(f"Drew {plot}")
    if overlay is not None:
        with screen.progress(f"Drawing {overlay}") as progress:
            write_overlay(
                report,
                streams,
                report.file,
                overlay,
                audio=measurement.audio,
                video_track=measurement.video_track,
                audio_track=measurement.audio_track,
                overwrite=overwrite,
                progress=progress,
            )
        screen.note(f"Drew {overlay}")
