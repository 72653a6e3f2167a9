"""`avalign align`: put one recording into the time of another."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from avalign_cli import options
from avalign_cli.ui import Screen

if TYPE_CHECKING:
    from avalign.reports import AlignReport

__all__ = ["EXAMPLES", "align"]

EXAMPLES = """\b
Examples:
  avalign align samples/talking.mp4 samples/take.wav -o fitted.wav
  avalign align scene.mov take3.wav                 write take3.aligned.wav
  avalign align scene.mov dub.wav -o dubbed.mov     the picture with the dub
  avalign align scene.mov adr.wav --to lips         where the scene's sound is useless
  avalign align camera.mp4 recorder.wav --model rigid
  avalign align a.wav b.wav -n --plot path.png --path-csv path.csv

\b
Exit codes:
  0  aligned
  2  wrong usage
  3  a file cannot be read or written, or the output exists
  4  no reliable answer: nothing in common, silence, no face; nothing was written
  5  an optional package is missing
"""


def align(
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="The video or sound that sets the time.")
    ],
    other: Annotated[
        str, typer.Argument(metavar="OTHER", help="The recording to bring into its time.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .wav, or a video to hold REFERENCE's pictures with the new sound.",
            show_default="OTHER.aligned.wav",
        ),
    ] = None,
    to: Annotated[
        Literal["sound", "lips"],
        typer.Option(
            "--to",
            metavar="WHAT",
            help="sound or lips of REFERENCE.",
        ),
    ] = "sound",
    model: Annotated[
        Literal["auto", "rigid", "drift", "piecewise", "elastic"],
        typer.Option(
            "--model",
            metavar="NAME",
            help="rigid (one lag), drift (a clock that runs fast or slow), piecewise (these, "
            "with jumps), elastic (a free pace, with jumps), or auto: the simplest that fits.",
        ),
    ] = "auto",
    band: Annotated[
        float | None,
        typer.Option(
            "--band",
            metavar="SECONDS",
            help="How far the lag may wander from a steady pace.",
            show_default="5, or 1.5 to lips",
        ),
    ] = None,
    video_track: Annotated[
        int | None,
        typer.Option(
            "--video-track",
            metavar="N",
            min=0,
            help="Picture track of REFERENCE, for its lips.",
            show_default="the first that shows a face",
        ),
    ] = None,
    reference_track: Annotated[
        int | None,
        typer.Option(
            "--reference-track",
            metavar="N",
            min=0,
            help="Its sound track.",
            show_default="the first with speech",
        ),
    ] = None,
    other_track: Annotated[
        int | None,
        typer.Option(
            "--other-track",
            metavar="N",
            min=0,
            help="Its sound track.",
            show_default="the first with speech",
        ),
    ] = None,
    reference_channel: Annotated[
        int | None,
        typer.Option(
            "--reference-channel",
            metavar="N",
            min=0,
            help="Channel of its sound.",
            show_default="all, or the one with speech",
        ),
    ] = None,
    other_channel: Annotated[
        int | None,
        typer.Option(
            "--other-channel",
            metavar="N",
            min=0,
            help="Channel of its sound.",
            show_default="all, or the one with speech",
        ),
    ] = None,
    path_csv: Annotated[
        Path | None,
        typer.Option("--path-csv", metavar="CSV", help="Write the time map as a table."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="PNG", help="Draw the cost matrix with its path."),
    ] = None,
    jobs: options.Jobs = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Align, but write no sound or video.")
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Bring a recording into the time of another one.

    Both hold the same words. For a dub, an ADR take, a second camera or recorder: the pace
    changes, the pitch stays. The inputs are never changed.
    """
    from avalign import verbs
    from avalign.errors import AvalignError
    from avalign.files import check_target
    from avalign.reports import AlignReport, to_json

    screen = Screen(json, quiet, verbose)
    planned = output or verbs.aligned_path(other)
    report = AlignReport(reference, other, to, "error")
    try:
        # Better now than after minutes of measuring.
        if not dry_run:
            verbs.check_output(reference, other, planned, overwrite=overwrite)
        for target, suffix in ((plot, ".png"), (path_csv, ".csv")):
            if target is not None:
                inputs = (reference, other)
                check_target(inputs, target, overwrite=overwrite, suffix=suffix)
        with screen.progress(f"Reading {reference}") as progress:
            aligned = verbs.compare(
                reference,
                other,
                to=to,
                model=model,
                band_s=band,
                video_track=video_track,
                reference_track=reference_track,
                other_track=other_track,
                reference_channel=reference_channel,
                other_channel=other_channel,
                jobs=jobs,
                progress=progress,
            )
        report = aligned.report
        if not dry_run and report.status == "ok":
            with screen.progress(f"Writing {planned}") as progress:
                report = verbs.retime(aligned, planned, overwrite=overwrite, progress=progress)
    except AvalignError as error:
        screen.data(to_json(verbs.align_error_report(report, error)))
        raise
    screen.data(to_json(report))
    screen.result(_line(report, planned if dry_run else None))
    for note in report.notes:
        screen.note(note)
    screen.detail(f"  {report.elapsed_s:.1f} s, {_evidence(report)}")
    if path_csv is not None and report.alignment is not None:
        _write_csv(report, path_csv, overwrite)
        screen.note(f"Wrote {path_csv}")
    if plot is not None:
        from avalign.plots import plot_warp

        plot_warp(report, aligned.lag_map(), plot, overwrite=overwrite)
        screen.note(f"Drew {plot}")
    return report.exit_code


def _line(report: "AlignReport", planned: Path | None) -> str:
    """Say in one line what was found and done."""
    answer = report.alignment
    if answer is None:
        return f"{report.other}: no reliable answer: {report.reason}."
    low_ms, high_ms = (1e3 * end_s for end_s in answer.interval_s)
    lag = {
        "rigid": _side(1e3 * answer.audio_lag_s),
        "drift": f"{_side(1e3 * answer.audio_lag_s)}, drifting by "
        f"{answer.drift_ppm or 0.0:+.0f} ppm",
    }.get(answer.model, _range(low_ms, high_ms))
    count = len(answer.warp.jumps) if answer.warp is not None else 0
    if count:
        lag += f", with {count} jump{'s' if count > 1 else ''},"
    sentence = f"{lag} against the {report.to} of {report.reference}"
    line = f"{report.other}: {sentence} ({answer.model}, confidence {answer.confidence:.2f})."
    if report.output is not None:
        return f"{line} Wrote {report.output}{_residual(report)}."
    return line if planned is None else f"{line} Would write {planned}."


def _residual(report: "AlignReport") -> str:
    """Say what is left, and the worst quarter where it is worse than that."""
    if report.residual_ms is None:
        return ""
    text = f", residual {report.residual_ms:.0f} ms"
    known = [each for each in report.residual_quarters_ms or () if each is not None]
    if known and round(max(known)) > round(report.residual_ms):
        text += f" ({max(known):.0f} ms in the worst quarter)"
    return text


def _side(lag_ms: float) -> str:
    rounded = round(lag_ms)
    if rounded == 0:
        return "on time"
    return f"{abs(rounded)} ms {'late' if rounded > 0 else 'early'}"


def _range(low_ms: float, high_ms: float) -> str:
    """Say both ends, from the smaller lag to the larger where they lie on one side."""
    if low_ms * high_ms <= 0:
        return f"{_side(low_ms)} to {_side(high_ms)}"
    near, far = sorted((low_ms, high_ms), key=abs)
    return f"{abs(near):.0f} to {_side(far)}"


def _evidence(report: "AlignReport") -> str:
    if report.confidence is None:
        return "nothing was compared"
    return f"probability of the same words {report.confidence:.3f}"


def _write_csv(report: "AlignReport", path: Path, overwrite: bool) -> None:
    from avalign.files import atomic_output

    assert report.alignment is not None
    warp = report.alignment.warp
    assert warp is not None
    with (
        atomic_output(path, overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("reference_s", "other_s", "lag_ms"))
        for reference_s, other_s in zip(warp.reference_s, warp.other_s, strict=True):
            lag_ms = 1e3 * (other_s - reference_s)
            writer.writerow((f"{reference_s:.4f}", f"{other_s:.4f}", f"{lag_ms:.1f}"))
