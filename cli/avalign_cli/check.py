"""`avalign check`: measure many files, write nothing."""

import os
import sys
from itertools import chain
from typing import Annotated

import typer

from avalign_cli import options
from avalign_cli.exit_codes import worst
from avalign_cli.ui import Screen, show_error

__all__ = ["EXAMPLES", "check"]

EXAMPLES = """\b
Examples:
  avalign check talk.mp4
  avalign check takes/ "more/*.mov" --tolerance ebu
  find . -name "*.mp4" -print0 | avalign check - --json -j 4

\b
Exit codes, the first that applies:
  3  a file cannot be read
  1  a file is out of tolerance
  4  a file gave no reliable answer, or one that does not decide
  0  all files are in sync
  (2 wrong usage, 5 a package is missing: see avalign doctor)
"""


def check(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Files, folders, patterns; - reads a list from stdin, names by line or NUL.",
        ),
    ],
    tolerance: options.ToleranceName = "itu",
    max_lag: options.MaxLag = 1.0,
    video_track: options.VideoTrack = None,
    audio_track: options.AudioTrack = None,
    channel: options.Channel = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            *("--jobs", "-j"),
            metavar="N",
            min=1,
            help="Files at a time, a core each; with 1, each is spread over all cores.",
            show_default="as many as cores",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Of folders, take hidden files and *.synced.* too."),
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Measure the audio lag of many files; write nothing.

    One line per file. A file that cannot be read never stops the rest.
    """
    from avalign.reports import SyncReport
    from avalign.verbs import check_many, error_report
    from avalign_cli import text
    from avalign_cli.inputs import expand, left_out_note, no_media_in

    screen = Screen(json, quiet, verbose)
    listed = sys.stdin.buffer.read() if "-" in paths else b""
    inputs = expand(paths, listed, everything=everything)
    files = inputs.paths
    if not files:
        raise typer.BadParameter("the list on stdin is empty", param_hint="PATH")
    folders = [file for file in files if os.path.isdir(file)]
    reports = chain(
        (
            error_report(SyncReport(path, "error", tolerance), no_media_in(path))
            for path in folders
        ),
        check_many(
            [file for file in files if file not in folders],
            tolerance=tolerance,
            max_lag_s=max_lag,
            video_track=video_track,
            audio_track=audio_track,
            channel=channel,
            jobs=jobs,
        ),
    )
    counts: dict[str, int] = {}
    exit_codes = set()
    with screen.progress("Checking", len(files)) as progress:
        for done, report in enumerate(reports, start=1):
            exit_codes.add(report.exit_code)
            kind = report.verdict or report.status
            counts[kind] = counts.get(kind, 0) + 1
            if report.status == "error" and not json:
                show_error(text.line(report))
            else:
                text.show(screen, report)
            progress(done)
    if len(files) > 1:
        screen.note(text.summary(counts))
    if inputs.left_out:
        screen.note(left_out_note(inputs.left_out))
    return worst(exit_codes)
