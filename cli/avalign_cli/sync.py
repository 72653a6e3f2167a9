"""`avalign sync`: measure one video and repair it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avalign_cli import options
from avalign_cli.ui import Screen

if TYPE_CHECKING:
    from avalign.types import ClipStreams, SyncReport

__all__ = ["EXAMPLES", "sync"]

EXAMPLES = """
[bold]Examples[/bold]

avalign sync talk.mp4 [dim]measure; write talk.synced.mp4 if the lag is out of tolerance[/dim]

avalign sync talk.mp4 -o fixed.mkv -y [dim]choose the file, replace it if it exists[/dim]

avalign sync talk.mp4 -n --plot lag.png [dim]write no video, draw what was measured[/dim]

avalign sync talk.mp4 --audio recorder.wav --max-lag 10 [dim]sound from another device[/dim]

[bold]Exit codes[/bold]

0 measured, and repaired where needed; 2 wrong usage; 3 a file cannot be read or written, or
the output exists; 4 no reliable answer, no video written; 5 an optional package is missing
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
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    tolerance: options.ToleranceName = "itu",
    max_lag: options.MaxLag = 1.0,
    audio: options.Audio = None,
    audio_track: options.AudioTrack = 0,
    jobs: options.Jobs = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            "-n",
            help="Measure, but write no video.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Repair by the best guess where there is no reliable answer.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="PNG",
            help="Draw the evidence over lags, and lips over speech before and after.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay",
            metavar="MP4",
            help="Write the video with lips drawn and a running score.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Measure how early or late the audio is, and write a video where it is in sync.

    The input is never changed. Its picture is copied bit for bit, and nothing is written where
    the audio is in sync already.
    """
    from avalign import api, schema
    from avalign.errors import AvalignError
    from avalign.types import SyncReport
    from avalign_cli import text

    screen = Screen(json, quiet, verbose)
    planned = output or api.synced_path(video)
    report = SyncReport(video, "error", tolerance)
    try:
        _check_targets(
            video, *([] if dry_run else [planned]), plot, overlay, overwrite=overwrite
        )
        with screen.progress(f"Reading {video}") as progress:
            measurement = api.measure(
                video,
                tolerance=tolerance,
                max_lag_s=max_lag,
                audio=audio,
                audio_track=audio_track,
                jobs=jobs,
                progress=progress,
            )
        report = measurement.report
        with screen.progress(f"Writing {planned}") as progress:
            report = api.repair(
                measurement,
                planned,
                force=force,
                dry_run=dry_run,
                overwrite=overwrite,
                progress=progress,
            )
    except AvalignError as error:
        screen.data(schema.to_json(api.failed(report, error)))
        raise
    screen.data(schema.to_json(report))
    screen.result(
        text.line(report, planned=planned if dry_run else None), text.STYLES[report.verdict]
    )
    for detail in text.details(report):
        screen.detail(detail)
    if measurement.streams is not None:
        _draw(screen, report, measurement.streams, plot, overlay, overwrite)
    return report.exit_code


def _check_targets(video: str, *targets: Path | None, overwrite: bool) -> None:
    """Refuse at once what could not be written after minutes of measuring."""
    from avalign import api

    for target in filter(None, targets):
        api.check_target(video, target, overwrite=overwrite)


def _draw(
    screen: Screen,
    report: "SyncReport",
    streams: "ClipStreams",
    plot: Path | None,
    overlay: Path | None,
    overwrite: bool,
) -> None:
    from avalign.report import plot_sync, write_overlay

    if plot is not None:
        plot_sync(report, streams, plot, overwrite=overwrite)
        screen.note(f"Drew {plot}")
    if overlay is not None:
        with screen.progress(f"Drawing {overlay}") as progress:
            write_overlay(
                report, streams, report.file, overlay, overwrite=overwrite, progress=progress
            )
        screen.note(f"Drew {overlay}")
