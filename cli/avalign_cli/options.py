"""Options that several sub-commands share."""

from pathlib import Path
from typing import Annotated

import typer

MEASURING = "Measuring"
OUTPUT = "Output"

Video = Annotated[
    str, typer.Argument(metavar="VIDEO", help="A video, or a .npz file of streams.")
]
Audio = Annotated[
    Path | None,
    typer.Option(
        "--audio",
        metavar="FILE",
        help="Take the sound from this file.",
        rich_help_panel=MEASURING,
    ),
]
AudioTrack = Annotated[
    int,
    typer.Option(
        "--audio-track",
        metavar="N",
        min=0,
        help="Which sound track, from 0.",
        rich_help_panel=MEASURING,
    ),
]
ToleranceName = Annotated[
    str,
    typer.Option(
        "--tolerance",
        metavar="NAME",
        help="itu (45 ms early, 125 ms late), itu-accept (90/185), ebu (40/60), "
        "atsc (15/45), or your own EARLY/LATE in ms.",
        autocompletion=lambda: ["itu", "itu-accept", "ebu", "atsc"],
        rich_help_panel=MEASURING,
    ),
]
MaxLag = Annotated[
    float,
    typer.Option(
        "--max-lag",
        metavar="SECONDS",
        help="Largest lag to search for, up to 15.",
        rich_help_panel=MEASURING,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        help="Cores to use.",
        show_default="all",
        rich_help_panel=MEASURING,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", "-y", help="Replace files that exist.", rich_help_panel=OUTPUT),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object per line (schema 1).",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print errors and JSON only.", rich_help_panel=OUTPUT),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Say more about what was measured.",
        rich_help_panel=OUTPUT,
    ),
]
