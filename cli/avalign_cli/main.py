"""The program: its sub-commands, and what becomes of errors."""

import io
import os
import sys
from typing import Annotated

import typer

from avalign_cli import check, doctor, extract, sync, train
from avalign_cli.ui import show_error

__all__ = ["app", "main"]

WRONG_USAGE = 2
CANNOT_WRITE = 3
MISSING_DEPENDENCY = 5
DEFECT = 70
INTERRUPTED = 130

EXAMPLES = """\b
Examples:
  avalign sync talk.mp4            measure, and write talk.synced.mp4 if needed
  avalign check takes/ --json      measure a folder, write nothing
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
app.command(epilog=sync.EXAMPLES)(sync.sync)
app.command(epilog=check.EXAMPLES)(check.check)
app.command(epilog=extract.EXAMPLES)(extract.extract)
training = typer.Typer(rich_markup_mode=None)
training.command("space", epilog=train.SPACE_EXAMPLES)(train.train_space)
app.add_typer(training, name="train", help="Fit models anew.")
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


def main(arguments: list[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    arguments : list of str, optional
        What follows the program's name; by default what it was started with.

    Returns
    -------
    int
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names may hold bytes that are no text.
            stream.reconfigure(errors="backslashreplace")
    try:
        result = app(arguments, prog_name="avalign", standalone_mode=False)
    except KeyboardInterrupt:
        result = INTERRUPTED
    except Exception as error:
        if os.environ.get("AVALIGN_DEBUG"):
            sys.excepthook(type(error), error, error.__traceback__)
        return _explain(error)
    if result == INTERRUPTED:
        show_error("interrupted")
    return result if isinstance(result, int) else 0


def _explain(error: Exception) -> int:
    """Print what an error means to the user, and choose the exit code."""
    from avalign.errors import AvalignError

    if isinstance(error, AvalignError):
        show_error(error.message, error.hint)
        return error.exit_code
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "avalign"
        show_error(error.format_message(), f"{command} --help shows how it is used")
        return error.exit_code
    if isinstance(error, ImportError) and not (error.name or "").startswith("avalign"):
        show_error(f"a package does not load: {error}", "avalign doctor shows how to get it")
        return MISSING_DEPENDENCY
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        show_error(f"{where}{error.strerror or error}")
        return CANNOT_WRITE
    show_error(
        f"a defect in avalign: {type(error).__name__}: {error}",
        "AVALIGN_DEBUG=1 shows the traceback; please report it",
    )
    return DEFECT
