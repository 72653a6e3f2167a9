"""`avalign evaluate`: how a trained recogniser does on a manifest."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avalign.recognition import NOISES
from avalign_cli import options
from avalign_cli.ui import Screen, confusion_lines, counted

if TYPE_CHECKING:
    from avalign.recognition import AnswerLimits, ConditionScore, Evaluation

__all__ = ["EXAMPLES", "evaluate"]

EXAMPLES = """\b
Examples:
  avalign evaluate --model speech/ --data manifest.csv
  avalign evaluate --model speech/ --data manifest.csv --streams lips
  avalign evaluate --model speech/ --data manifest.csv --noise babble --snr clean,0,-5
  avalign evaluate --model emotion/ --data manifest.csv --split test --json

\b
Exit codes:
  0  evaluated
  2  wrong usage, or a manifest that lacks what the model is to answer
  3  a file cannot be read or written, or the output exists
  5  a package is missing; avalign doctor says how to get it
"""

CLEAN = "clean"
# Fractions are shown in per cent; all other metrics are in the unit of their values.
UNITS = ("mae_", "rmse_", "ccc_")


def evaluate(
    model: options.Model,
    data: Annotated[
        Path,
        typer.Option("--data", metavar="MANIFEST", help="CSV or Parquet, one row per clip."),
    ],
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="The part to test on.")
    ] = "dev",
    streams: options.StreamNames = "both",
    noise: Annotated[
        str | None,
        typer.Option(
            "--noise",
            metavar="NAME",
            help="".join(f"{name} ({kind.meaning}), " for name, kind in NOISES.items())
            + "or a file of noise.",
        ),
    ] = None,
    snr: Annotated[
        str | None,
        typer.Option(
            "--snr", metavar="DB[,DB...]", help="How loud it is; 'clean' is without noise."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Same seed, same noise.")
    ] = 0,
    clips: Annotated[
        Path | None,
        typer.Option("--clips", metavar="CSV", help="Write a table with every clip."),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Measure when to believe the model; kept in its folder."
        ),
    ] = False,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")
    ] = "auto",
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Keep extracted streams in this folder."),
    ] = None,
    jobs: options.Jobs = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Score a recogniser on clips that it has not learnt from."""
    from avalign.files import check_target
    from avalign.recognition import evaluate as score

    screen = Screen(json, quiet)
    levels = _levels(noise, snr)
    if clips is not None:
        sources = [data, *([Path(noise)] if noise and Path(noise).is_file() else [])]
        check_target(sources, clips, overwrite=overwrite, suffix=".csv")
    with screen.progress("Evaluating") as progress:
        found = score(
            model,
            data,
            split=split,
            streams=options.stream_names(streams),
            noise=noise,
            snr_db=levels,
            seed=seed,
            calibrated=calibrate,
            overwrite=overwrite,
            device=device,
            cache_dir=cache,
            jobs=jobs,
            progress=progress,
        )
    _show(screen, found)
    if clips is not None:
        _write_clips(found, clips, overwrite)
        screen.note(f"Wrote {clips}")
    return 0


def _levels(noise: str | None, snr: str | None) -> list[float | None]:
    from avalign.errors import ParameterError

    if noise is None and snr is None:
        return [None]
    if noise is None or snr is None:
        given, missing = ("--snr", "--noise") if noise is None else ("--noise", "--snr")
        raise ParameterError(
            f"{given} needs {missing}", "such as --noise babble --snr clean,0,-5"
        )
    levels: list[float | None] = []
    for text in snr.split(","):
        try:
            levels.append(None if text.strip() == CLEAN else float(text))
        except ValueError:
            raise ParameterError(
                f"{text.strip()!r} is no SNR", f"give numbers in dB, or {CLEAN!r}"
            ) from None
    return levels


def _show(screen: Screen, found: "Evaluation") -> None:
    from json import dumps

    screen.data(dumps(found.as_dict(), ensure_ascii=False, allow_nan=False))
    for condition in found.conditions:
        clips = counted(len(condition.clips), "clip")
        screen.result(f"{condition.name}: {clips} of {found.split}")
        for name, interval in condition.metrics.items():
            factor, unit = (1, "") if name.startswith(UNITS) else (100, " %")
            value, low, high = (
                f"{factor * number:.1f}" if unit else f"{number:.3f}"
                for number in (interval.value, interval.low, interval.high)
            )
            screen.result(f"  {name:<14} {value:>6}{unit}   [{low}, {high}]")
        for line in _details(condition):
            screen.result(f"  {line}")
    if found.calibration is not None:
        for line in _calibration(found.calibration):
            screen.result(line)
        screen.note(f"Wrote the calibration into {found.model}")
    for note in found.notes:
        screen.note(f"note: {note}")
    if found.skipped:
        first = found.skipped[0]
        left_out = counted(len(found.skipped), "clip")
        screen.note(f"note: {left_out} left out: {first.name}: {first.reason}")


def _details(condition: "ConditionScore") -> list[str]:
    lines = []
    times = condition.details.get("word_times")
    if times:
        lines.append(
            f"word times     {times['median_ms']:6.1f} ms median, {times['p90_ms']:.1f} ms at "
            f"90 %, {times['n_words']} words"
        )
    if "confusion" in condition.details:
        lines += confusion_lines(condition.details["classes"], condition.details["confusion"])
    return lines


def _calibration(calibration: "AnswerLimits") -> list[str]:
    return [
        *(
            f"calibrated, {name}: {100 * limit.believed:.0f} % of these clips are believed, "
            f"{100 * limit.refused:.0f} % of the same without words refused"
            for name, limit in calibration.limits.items()
        ),
        *(
            f"calibrated, {name}: a label is told from a probability of {least:.2f} on"
            for name, least in calibration.certainty.items()
        ),
    ]


def _write_clips(found: "Evaluation", path: Path, overwrite: bool) -> None:
    from avalign.files import atomic_output

    rows = [
        {
            "condition": condition.name,
            "clip": clip.clip,
            "speaker": clip.speaker,
            "truth": clip.truth,
            **clip.answers,
            **{name: f"{number:.6g}" for name, number in clip.numbers.items()},
        }
        for condition in found.conditions
        for clip in condition.clips
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (
        atomic_output(path, overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
