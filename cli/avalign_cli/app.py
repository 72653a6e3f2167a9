"""The sub-commands, and how they ask for help."""

from typing import Annotated

import typer

from avalign_cli import (
    align,
    check,
    data,
    doctor,
    evaluate,
    export,
    extract,
    methods,
    recognition,
    recognize,
    sync,
    train,
)
from avalign_cli.exit_codes import WRONG_USAGE
from avalign_cli.usage import Command

__all__ = ["app"]


EXAMPLES = """\b
Examples:
  avalign sync talk.mp4            measure, and write talk.synced.mp4 if needed
  avalign check takes/ --json      measure a folder, write nothing
  avalign align scene.mov dub.wav  bring a take into the scene's time
  avalign doctor                   what is installed, what is missing
"""

app = typer.Typer(
    name="avalign",
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    rich_markup_mode=None,  # boxes around the help would triple its time
    pretty_exceptions_enable=False,
)
app.command(cls=Command, epilog=sync.EXAMPLES)(sync.sync)
app.command(cls=Command, epilog=check.EXAMPLES)(check.check)
app.command(cls=Command, epilog=align.EXAMPLES)(align.align)
app.command(cls=Command, epilog=extract.EXAMPLES)(extract.extract)
training = typer.Typer(rich_markup_mode=None)
training.command("space", epilog=train.SPACE_EXAMPLES)(train.train_space)
training.command("speech", epilog=recognition.SPEECH_EXAMPLES)(recognition.train_speech)
training.command("emotion", epilog=recognition.EMOTION_EXAMPLES)(recognition.train_emotion)
app.add_typer(training, name="train", help="Fit models anew.")
app.add_typer(data.app, name="data", help="List, split, check, extract and synthesise corpora.")
app.command(cls=Command, epilog=recognize.EXAMPLES)(recognize.recognize)
app.command(cls=Command, epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command(cls=Command, epilog=export.EXAMPLES)(export.export)
app.command(epilog=methods.EXAMPLES)(methods.methods)
app.command()(doctor.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        from avalign import __version__

        typer.echo(f"avalign {__version__}")
        raise typer.Exit


@app.callback()
def avalign(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Line up the sound and the picture of a talking person."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(WRONG_USAGE)
