"""`avalign recognize`: what is said in a video, or how."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avalign_cli import options
from avalign_cli.ui import Screen

if TYPE_CHECKING:
    from avalign.recognition import RecognitionReport

__all__ = ["EXAMPLES", "recognize"]

EXAMPLES = """\b
Examples:
  avalign recognize talk.mp4 --model speech/
  avalign recognize talk.mp4 --model speech/ --streams lips
  avalign recognize talk.mp4 --model speech/ --transcript words.txt --srt words.srt
  avalign recognize scene.mp4 --model emotion/ --json --plot emotion.png

\b
Exit codes:
  0  recognised
  2  wrong usage
  3  a file cannot be read or written, or the output exists
  4  no reliable answer: outside the model's vocabulary, not certain, no face, no sound
  5  a package is missing; avalign doctor says how to get it
"""


def recognize(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="A video, or a sound.")],
    model: options.Model,
    streams: options.StreamNames = "both",
    transcript: Annotated[
        Path | None,
        typer.Option(
            "--transcript",
            metavar="FILE",
            help="The words (.txt, .srt, .align): find their times, recognise none.",
        ),
    ] = None,
    srt: Annotated[
        Path | None, typer.Option("--srt", metavar="FILE", help="Write the words as subtitles.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="PNG", help="Draw words or emotions over time."),
    ] = None,
    audio: options.Audio = None,
    video_track: options.VideoTrack = None,
    audio_track: options.AudioTrack = None,
    channel: options.Channel = None,
    max_lag: options.MaxLag = 1.0,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")
    ] = "auto",
    jobs: options.Jobs = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Recognise speech or emotion.

    The lag is measured and repaired first.
    """
    from json import dumps

    from avalign.errors import AvalignError
    from avalign.recognition import RecognitionReport

    screen = Screen(json, quiet)

    def tell(report: "RecognitionReport") -> None:
        screen.data(dumps(report.as_dict(), ensure_ascii=False, allow_nan=False))

    try:
        sources = [source for source in (video, audio, transcript) if source is not None]
        _check_outputs(sources, plot, srt, overwrite)
        from avalign.recognition import recognize as answer
        from avalign.transcript import read_transcript

        words = None if transcript is None else read_transcript(transcript)
        with screen.progress(f"Reading {video}") as progress:
            report = answer(
                video,
                model,
                streams=options.stream_names(streams),
                transcript=words,
                audio=audio,
                video_track=video_track,
                audio_track=audio_track,
                channel=channel,
                max_lag_s=max_lag,
                device=device,
                jobs=jobs,
                progress=progress,
            )
    except AvalignError as error:
        status = "no_answer" if error.exit_code == 4 else "error"
        tell(RecognitionReport(video, str(model), status, str(error)))
        raise
    tell(report)
    _show(screen, report)
    if srt is not None:
        _write_srt(screen, report, srt, overwrite)
    if plot is not None:
        from avalign.plots import plot_recognition

        plot_recognition(report, plot, overwrite=overwrite)
        screen.note(f"Drew {plot}")
    return report.exit_code


def _check_outputs(
    sources: list[str | Path], plot: Path | None, srt: Path | None, overwrite: bool
) -> None:
    """Refuse what could not be written, before anything is read."""
    from avalign.files import check_target
    from avalign.plots import require_matplotlib

    for target, suffix in ((plot, ".png"), (srt, ".srt")):
        if target is not None:
            check_target(sources, target, overwrite=overwrite, suffix=suffix)
    if plot is not None:
        require_matplotlib()


def _show(screen: Screen, report: "RecognitionReport") -> None:
    if report.status != "ok":
        screen.result(f"{report.file}: no reliable answer: {report.reason}.")
    if report.transcript is not None:
        screen.result(f"{report.file}: {report.transcript.text}")
        for word in report.transcript.words:
            if word.start_s is not None and word.end_s is not None:
                sure = "" if word.confidence is None else f"  {word.confidence:.2f}"
                screen.result(
                    f"  {word.start_s:7.3f} to {word.end_s:7.3f} s  {word.text}{sure}"
                )
    if report.emotion is not None:
        if report.emotion.label is not None:
            screen.result(f"{report.file}: {report.emotion.label}")
        ranked = sorted(report.emotion.probabilities.items(), key=lambda pair: -pair[1])
        for name, fraction in ranked:
            screen.result(f"  {fraction:.2f}  {name}")
        for time_s, row in zip(
            report.emotion.times_s.tolist(), report.emotion.over_time, strict=True
        ):
            likeliest = list(report.emotion.probabilities)[int(row.argmax())]
            screen.result(f"  at {time_s:6.2f} s  {likeliest}  {row.max():.2f}")
    for name, number in report.values.items():
        screen.result(f"  {name} {number:.3f}")
    if report.modality_contribution:
        told = ", ".join(f"{name} {x:+.2f}" for name, x in report.modality_contribution.items())
        screen.result(f"  contributions: {told}")
    if report.lag_repaired and report.audio_lag_ms is not None:
        side = "late" if report.audio_lag_ms > 0 else "early"
        screen.note(f"The sound was {abs(report.audio_lag_ms):.0f} ms {side}; it was moved.")
    for note in report.notes:
        screen.note(f"note: {note}")


def _write_srt(
    screen: Screen, report: "RecognitionReport", path: Path, overwrite: bool
) -> None:
    from avalign.transcript import write_srt

    if report.transcript is None:
        screen.note(f"{path} was not written: there are no words")
        return
    write_srt(report.transcript, path, overwrite=overwrite)
    screen.note(f"Wrote {path}")
