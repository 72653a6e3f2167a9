"""`avalign data synth`: make a synthetic corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avalign_cli import options
from avalign_cli.ui import Screen, counted

if TYPE_CHECKING:
    from avalign.data import Manifest

__all__ = ["SYNTH_EXAMPLES", "counts", "synth"]

SYNTH_EXAMPLES = """\b
Examples:
  avalign data synth synthetic/ --sentences 20 --speakers 6
  avalign data synth synthetic/ --speakers 8 --emotions neutral,happy,sad,anger
  avalign data synth synthetic/ --lag-ms 300 --warp-ms 60 --seed 1

\b
Needs espeak-ng (apt install espeak-ng, or brew install espeak-ng); without it, the exit
code is 5.
"""


def synth(
    folder: Annotated[
        Path, typer.Argument(metavar="OUTPUT_FOLDER", help="The folder to write.")
    ],
    sentences: Annotated[
        int, typer.Option("--sentences", metavar="N", min=1, help="Sentences of each speaker.")
    ] = 10,
    speakers: Annotated[
        int, typer.Option("--speakers", metavar="K", min=1, help="How many speak.")
    ] = 4,
    emotions: Annotated[
        str | None,
        typer.Option(
            "--emotions",
            metavar="NAME,...",
            help="Say each sentence in each of: neutral, anger, disgust, fear, happy, sad.",
            show_default="neutral, without labels",
        ),
    ] = None,
    lag_ms: Annotated[
        float,
        typer.Option(
            "--lag-ms", metavar="MS", min=0, help="Draw each clip's lag from -MS to MS."
        ),
    ] = 0.0,
    warp_ms: Annotated[
        float,
        typer.Option(
            "--warp-ms", metavar="MS", min=0, help="Let the lag wander by up to MS in a clip."
        ),
    ] = 0.0,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Same seed, same clips.")
    ] = 0,
    jobs: options.Jobs = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> int:
    """Make synthetic clips whose phones, lag and losses are known.

    espeak-ng speaks sentences of GRID's grammar, and lips are computed from the times of
    its phones. There is no video: manifest.csv points to streams and sound. For tests and
    controlled experiments; what is measured on it says nothing about people.
    """
    from avalign.data.synthetic import CorpusPlan, Disturbance, write_corpus

    plan = CorpusPlan(
        sentences=sentences,
        speakers=speakers,
        emotions=(
            () if emotions is None else tuple(options.comma_separated(emotions, "emotion"))
        ),
        lag_s=lag_ms / 1000,
        disturbance=Disturbance(warp_s=warp_ms / 1000),
        seed=seed,
    )
    screen = Screen(quiet=quiet)
    with screen.progress(f"Making {folder}") as progress:
        manifest = write_corpus(folder, plan, jobs=jobs, overwrite=overwrite, progress=progress)
    screen.result(f"Wrote {manifest.path}: {counts(manifest)}, all synthetic.")
    return 0


def counts(manifest: "Manifest") -> str:
    """Say how many rows, speakers and labels a manifest has."""
    speakers = {row.speaker for row in manifest if row.speaker}
    labels = {row.label for row in manifest if row.label}
    groups = (len(manifest), "row"), (len(speakers), "speaker"), (len(labels), "label")
    return ", ".join(counted(n, noun) for n, noun in groups)
