"""Options that several sub-commands share."""

from pathlib import Path
from typing import Annotated

import typer

Video = Annotated[
    str, typer.Argument(metavar="VIDEO", help="A video, or a .npz file of streams.")
]
Audio = Annotated[
    Path | None,
    typer.Option("--audio", metavar="FILE", help="Take the sound from this file."),
]
VideoTrack = Annotated[
    int | None,
    typer.Option(
        "--video-track",
        metavar="N",
        min=0,
        help="Which picture track, from 0.",
        show_default="the first that shows a face",
    ),
]
AudioTrack = Annotated[
    int | None,
    typer.Option(
        "--audio-track",
        metavar="N",
        min=0,
        help="Which sound track, from 0.",
        show_default="the first with speech",
    ),
]
Channel = Annotated[
    int | None,
    typer.Option(
        "--channel",
        metavar="N",
        min=0,
        help="Which channel of the sound, from 0.",
        show_default="all, or the one with speech",
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
    ),
]
MaxLag = Annotated[
    float,
    typer.Option("--max-lag", metavar="SECONDS", help="Largest lag to search for, 0.1 to 15."),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", metavar="N", min=1, help="Cores to use.", show_default="all"),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", "-y", help="Replace files that exist."),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, one object per line (schema 1)."),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print errors and JSON only."),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Say more about what was measured."),
]
Model = Annotated[
    Path, typer.Option("--model", metavar="DIR", help="Folder that avalign train wrote.")
]
StreamNames = Annotated[
    str,
    typer.Option(
        "--streams", metavar="NAMES", help="What the model is given: audio, lips or both."
    ),
]


def comma_separated(text: str, noun: str, choices: str = "name at least one") -> list[str]:
    """Read names with commas between them.

    Parameters
    ----------
    text : str
        What was given.
    noun : str
        What is named, for the message.
    choices : str, optional
        What to do instead, for the message.

    Returns
    -------
    list of str
        The names, at least one.

    Raises
    ------
    ParameterError
        If there is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        from avalign.errors import ParameterError

        raise ParameterError(f"no {noun} is named", choices)
    return names


def stream_names(text: str) -> tuple[str, ...]:
    """Read what ``--streams`` names.

    Parameters
    ----------
    text : str
        ``both``, or names with commas between them.

    Returns
    -------
    tuple of str
        The names; none for all that there are.

    Raises
    ------
    ParameterError
        If it names none.
    """
    names = comma_separated(text, "stream", "choose from audio, lips or both")
    return () if names == ["both"] else tuple(names)
