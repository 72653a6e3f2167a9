"""`avalign train speech` and `avalign train emotion`: fit recognisers."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avalign_cli import options
from avalign_cli.ui import Screen, confusion_lines

if TYPE_CHECKING:
    from avalign.train.recognizer import RecognizerPlan, TrainingCallbacks

__all__ = ["EMOTION_EXAMPLES", "SPEECH_EXAMPLES", "train_emotion", "train_speech"]

SPEECH_EXAMPLES = """\b
Examples:
  avalign train speech --data manifest.csv --fusion gmu --output speech/
  avalign train speech --data manifest.csv --output speech/ --resume
  torchrun --standalone --local-addr localhost --nproc-per-node 4 --no-python \\
    avalign train speech --data manifest.csv -o speech/
"""
EMOTION_EXAMPLES = """\b
Examples:
  avalign train emotion --data manifest.csv --fusion gmu --output emotion/
  avalign train emotion --data manifest.csv --folds 5 --output emotion/
"""

Data = Annotated[
    Path,
    typer.Option("--data", metavar="MANIFEST", help="CSV or Parquet, one row per clip."),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the model.")
]
FusionName = Annotated[
    str, typer.Option("--fusion", metavar="NAME", help="One of those `avalign methods` lists.")
]
Streams = Annotated[
    str,
    typer.Option("--streams", metavar="NAMES", help="What is read: audio, lips, text."),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", metavar="N", min=1, help="Most passes over the data.")
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", metavar="N", min=1, help="Clips in a batch.")
]
LearningRate = Annotated[
    float | None, typer.Option("--learning-rate", metavar="X", help="Highest rate of AdamW.")
]
Patience = Annotated[
    int | None,
    typer.Option("--patience", metavar="N", min=1, help="Stop after N epochs without gain."),
]
Precision = Annotated[
    str, typer.Option("--precision", metavar="NAME", help="float32, bfloat16 or float16.")
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Same seed, same weights.")
]
Noise = Annotated[
    list[Path] | None,
    typer.Option("--noise", metavar="FILE", help="Recorded noise to mix in; may be repeated."),
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write the curves for TensorBoard, too.")
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with the run in the folder, if there is one; settings must be the same, "
        "epochs too.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Keep extracted streams in this folder."),
]


def train_speech(
    data: Data,
    output: Output,
    fusion: FusionName = "gmu",
    streams: Streams = "audio,lips",
    by_sentence: Annotated[
        bool,
        typer.Option(
            "--by-sentence",
            help="The split is by sentence: speakers may be in train and dev.",
        ),
    ] = False,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    patience: Patience = None,
    precision: Precision = "float32",
    device: Device = "auto",
    seed: Seed = 0,
    noise: Noise = None,
    tensorboard: TensorBoard = False,
    resume: Resume = False,
    cache: Cache = None,
    jobs: options.Jobs = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> int:
    """Fit a recogniser of speech to clips with transcripts; needs torch."""
    from avalign.train.recognizer import train_speech as fit

    screen = _screen(quiet)
    plan = _plan(
        "speech",
        fusion,
        streams,
        noise,
        device,
        tensorboard,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        precision=precision,
        seed=seed,
    )
    with _resumable(screen), screen.progress("Training") as progress:
        result = fit(
            data,
            output,
            plan=plan,
            by_sentence=by_sentence,
            resume=resume,
            overwrite=overwrite,
            cache_dir=cache,
            jobs=jobs,
            callbacks=_callbacks(screen, progress),
        )
    best = result.curves[result.best_epoch]
    screen.result(
        f"Wrote {output}: word error rate {100 * best['dev_wer_all']:.1f} % on dev, "
        f"epoch {result.best_epoch + 1}."
    )
    return 0


def train_emotion(
    data: Data,
    output: Output,
    fusion: FusionName = "gmu",
    streams: Streams = "audio,lips",
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--value", metavar="COLUMN", help="Predict the numbers in it; may be repeated."
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", metavar="N", min=3, help="Leave actors out in turn, in N folds."
        ),
    ] = None,
    permute_labels: Annotated[
        bool,
        typer.Option("--permute-labels", help="Control: learn labels dealt at random."),
    ] = False,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    patience: Patience = None,
    precision: Precision = "float32",
    device: Device = "auto",
    seed: Seed = 0,
    noise: Noise = None,
    tensorboard: TensorBoard = False,
    resume: Resume = False,
    cache: Cache = None,
    jobs: options.Jobs = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> int:
    """Fit a recogniser of emotion to clips with labels; needs torch."""
    from avalign.errors import ParameterError
    from avalign.train.recognizer import cross_validate_emotion
    from avalign.train.recognizer import train_emotion as fit

    screen = _screen(quiet)
    plan = _plan(
        "emotion",
        fusion,
        streams,
        noise,
        device,
        tensorboard,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        precision=precision,
        seed=seed,
    )
    if folds is not None and values:
        raise ParameterError("folds are for labels, not for values", "leave out one of the two")
    confusion: list[str] = []
    with _resumable(screen), screen.progress("Training") as progress:
        settings: dict[str, Any] = {
            "plan": plan,
            "permute_labels": permute_labels,
            "resume": resume,
            "overwrite": overwrite,
            "cache_dir": cache,
            "jobs": jobs,
            "callbacks": _callbacks(screen, progress),
        }
        if folds is None:
            result = fit(data, output, values=values or (), **settings)
            best = result.curves[result.best_epoch]
            told = f"error {best['dev_score']:.3f} on dev, epoch {result.best_epoch + 1}"
            if "dev_uar_all" in best:
                told = f"unweighted average recall {100 * best['dev_uar_all']:.1f} %, {told}"
        else:
            validated = cross_validate_emotion(data, output, folds=folds, **settings)
            pooled = validated.pooled
            recall = 100 * pooled.unweighted_average_recall
            told = f"unweighted average recall {recall:.1f} % over {folds} folds"
            confusion = confusion_lines(pooled.classes, pooled.confusion)
    screen.result(f"Wrote {output}: {told}.")
    for line in confusion:
        screen.result(f"  {line}")
    return 0


def _screen(quiet: bool) -> Screen:
    # Of the processes that torchrun starts, one speaks.
    return Screen(quiet=quiet or os.environ.get("RANK", "0") != "0")


@contextmanager
def _resumable(screen: Screen) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        screen.note("The same command with --resume goes on from the last checkpoint.")
        raise


def _plan(
    task: str,
    fusion: str,
    streams: str,
    noise: list[Path] | None,
    device: str,
    tensorboard: bool,
    **loop: object,
) -> "RecognizerPlan":
    """Make a plan of the options that were given; the others keep their defaults."""
    from avalign.errors import ParameterError
    from avalign.train.recognizer import (
        RecognizerPlan,
        emotion_plan,
        emotion_streams,
        known_streams,
    )

    is_emotion = task == "emotion"
    make: Callable[..., RecognizerPlan] = emotion_plan if is_emotion else RecognizerPlan
    known = emotion_streams() if is_emotion else known_streams()
    names = options.comma_separated(streams, "stream", f"choose from {', '.join(known)}")
    for name in names:
        if name not in known:
            raise ParameterError(f"{name!r} is no stream", f"choose from {', '.join(known)}")
    given: dict[str, Any] = {name: value for name, value in loop.items() if value is not None}
    plan = make(
        fusion=fusion,
        streams={name: known[name] for name in names},
        recordings=tuple(noise or ()),
        device=device,
        tensorboard=tensorboard,
    )
    return replace(plan, loop=replace(plan.loop, **given))


def _callbacks(screen: Screen, progress: Any) -> "TrainingCallbacks":
    from avalign.train.recognizer import TrainingCallbacks

    def report(row: Mapping[str, float]) -> None:
        # The mean of error rates over the conditions, by which the epoch is chosen.
        error = f", error on dev {row['dev_score']:.3f}" if "dev_score" in row else ""
        screen.note(
            f"Epoch {row['epoch']:.0f}: loss {row['train_loss']:.3f}{error}, "
            f"{row['seconds']:.0f} s"
        )

    return TrainingCallbacks(progress, report, begin=lambda name: screen.note(f"{name}:"))
