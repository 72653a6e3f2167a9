"""`avalign sync`: measure one video and repair it."""

from contextlib import ExitStack
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
    from avalign_cli import text

    screen = Screen(json, quiet, verbose)
    planned = output or verbs.synced_path(video)
    measurement: Measurement | None = None
    known = SyncReport(video, "error", tolerance)
    bars = ExitStack()
    advance = bars.enter_context(screen.progress(f"Reading {video}"))

    def measured(found: "Measurement") -> None:
        nonlocal measurement, known, advance
        measurement, known = found, found.report
        bars.close()
        doing = f"Deciding about {video}" if dry_run else f"Writing {planned}"
        advance = bars.enter_context(screen.progress(doing))

    with bars:
        try:
            verbs.check_options(tolerance, max_lag)
            _check_drawings(video, audio, planned, plot, overlay, overwrite, dry_run)
            report = verbs.sync(
                video,
                output,
                tolerance=tolerance,
                max_lag_s=max_lag,
                audio=audio,
                video_track=video_track,
                audio_track=audio_track,
                channel=channel,
                move_track=move_track,
                jobs=jobs,
                force=force,
                dry_run=dry_run,
                overwrite=overwrite,
                progress=lambda fraction: advance(fraction),
                measured=measured,
                writing=lambda fraction: advance(fraction),
            )
        except AvalignError as error:
            screen.data(to_json(verbs.error_report(known, error)))
            raise
    text.show(screen, report)
    if measurement is not None:
        _draw(screen, report, measurement, plot, overlay, overwrite)
    return report.exit_code


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
        if not dry_run and _is_same_place(overlay, planned):
            raise ParameterError(
                f"{overlay}: is to hold the repaired video", "name another file for the overlay"
            )


def _is_same_place(one: Path, other: Path) -> bool:
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
