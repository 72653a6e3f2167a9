"""`avalign train`: fit models anew."""

from pathlib import Path
from typing import Annotated

import typer

from avalign_cli import options
from avalign_cli.ui import Screen, counted

__all__ = ["SPACE_EXAMPLES", "train_space"]

SPACE_EXAMPLES = """\b
Example:
  avalign train space --data manifest.csv --output space.safetensors
"""


def train_space(
    data: Annotated[
        Path,
        typer.Option("--data", metavar="MANIFEST", help="CSV or Parquet, one row per clip."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The .safetensors file to write."),
    ],
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Same seed, same weights.")
    ] = 0,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Keep extracted streams in this folder."),
    ] = None,
    jobs: options.Jobs = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> int:
    """Fit the shared space of sound and lips; needs torch."""
    from avalign.train.space import SpacePlan
    from avalign.train.space import train_space as fit

    screen = Screen(quiet=quiet)
    left_out: list[str] = []
    with screen.progress("Training") as progress:
        fit(
            data,
            output,
            plan=SpacePlan(seed=seed),
            cache_dir=cache,
            overwrite=overwrite,
            jobs=jobs,
            progress=progress,
            left_out=left_out.append,
        )
    if left_out:
        screen.note(f"note: {counted(len(left_out), 'clip')} left out: {left_out[0]}")
    screen.result(f"Wrote {output}.")
    return 0
