"""The program as the shell meets it: how it starts, and what becomes of errors.

Little is imported here, so that Ctrl-C finds this program in charge from the start.
"""

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from avalign_cli.exit_codes import CANNOT_WRITE, DEFECT, INTERRUPTED, MISSING_DEPENDENCY

__all__ = ["main"]

# Signals that ask a program to end: by `kill` and `timeout`, and by a terminal that closes.
ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


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
    words = sys.argv[1:] if arguments is None else arguments
    _stand_in_for_closed()
    with _endings() as received:
        try:
            result = _run(words)
        except KeyboardInterrupt:
            result = INTERRUPTED
        if received:
            _say("ended from outside")
            return 128 + received[0]
    if result == INTERRUPTED:
        _say("interrupted")
    return result


def _run(arguments: Sequence[str]) -> int:
    from avalign_cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names may hold bytes that are no text.
            stream.reconfigure(errors="backslashreplace")
    try:
        result = app(arguments, prog_name="avalign", standalone_mode=False)
    except Exception as error:
        if os.environ.get("AVALIGN_DEBUG"):
            sys.excepthook(type(error), error, error.__traceback__)
        return _explain(error, arguments)
    return result if isinstance(result, int) else 0


def _stand_in_for_closed() -> None:
    """Put nothing in the place of standard streams that are closed, as for daemons.

    The next file opened would get the number of one that is missing, and with it what any
    library prints.
    """
    for number, (name, mode) in enumerate([("stdin", "r"), ("stdout", "w"), ("stderr", "w")]):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the smallest number that is free
        if getattr(sys, name) is None:
            # Lives as long as the program does.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


@contextmanager
def _endings() -> Iterator[list[int]]:
    """Turn signals that end the program into Ctrl-C, so that everything is tidied up.

    Yields
    ------
    list of int
        The signals that came.
    """
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    # One that is ignored, as below `nohup`, stays so.
    taken = [one for one in ENDINGS if signal.getsignal(one) is signal.SIG_DFL]
    try:
        for one in taken:
            signal.signal(one, end)
    except ValueError:  # only the main thread may
        taken = []
    try:
        yield received
    finally:
        for one in taken:
            signal.signal(one, signal.SIG_DFL)


def _explain(error: Exception, arguments: Sequence[str]) -> int:
    """Print what an error means to the user, and choose the exit code."""
    import typer

    from avalign.errors import AvalignError
    from avalign_cli.ui import show_error
    from avalign_cli.usage import hint_of_dash

    if isinstance(error, AvalignError):
        show_error(error.message, error.hint)
        return error.exit_code
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "avalign"
        hint = hint_of_dash(arguments) or f"{command} --help shows how it is used"
        show_error(error.format_message(), hint)
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


def _say(words: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"avalign: {words}\n")
