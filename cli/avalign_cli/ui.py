"""What the user sees: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import typer

__all__ = ["BROKEN_PIPE", "Screen", "confusion_lines", "counted", "one_line", "show_error"]

BROKEN_PIPE = 141  # what shells report for a program that SIGPIPE ended


@dataclass(frozen=True, slots=True)
class Screen:
    """Where lines go.

    Parameters
    ----------
    json : bool
        Results are JSON, so people's lines go to stderr.
    quiet : bool
        Errors and JSON only.
    verbose : bool
        Details, too.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def result(self, line: str, style: str = "") -> None:
        """Print a result for people."""
        if not (self.json or self.quiet):
            _print_result(one_line(line), style)

    def data(self, line: str) -> None:
        """Print a line of JSON."""
        if self.json:
            _print_result(line)

    def note(self, line: str) -> None:
        """Tell what is worth knowing besides the result."""
        if not self.quiet:
            _tell(one_line(line))

    def detail(self, line: str) -> None:
        """Tell what only the curious want to know."""
        if self.verbose:
            self.note(line)

    @contextmanager
    def progress(self, label: str, total: float = 1.0) -> Iterator[Callable[[float], None]]:
        """Show a bar on a terminal, and nothing elsewhere.

        Yields
        ------
        callable
            Takes what is done so far, 0 to `total`.
        """
        if self.quiet or not sys.stderr.isatty():
            yield lambda done: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            # Lines of results scroll above the bar, unless they go to a file.
            redirect_stdout=sys.stdout.isatty(),
        )
        with bar:
            task = bar.add_task(one_line(label), total=total)
            yield lambda done: bar.update(task, completed=done)


def show_error(message: str, hint: str | None = None) -> None:
    """Print one line about what went wrong, and one about what to do."""
    lines = [f"avalign: {one_line(message)}"]
    if hint:
        lines.append(f"hint: {one_line(hint)}")
    _tell("\n".join(lines))


def confusion_lines(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[str]:
    """Lay out a confusion matrix, one line per true class."""
    width = max(map(len, classes))
    return [
        "confusion (rows are the truth): " + " ".join(classes),
        *(
            f"  {name:<{width}} " + " ".join(f"{count:4d}" for count in row)
            for name, row in zip(classes, confusion, strict=True)
        ),
    ]


def counted(n: int, noun: str) -> str:
    """Name a number of things: "1 clip", "2 clips"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def one_line(text: str) -> str:
    """Spell out what would move the cursor: file names may hold anything."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def _tell(lines: str) -> None:
    # Where nobody can be told, such as on a full disk, the work goes on all the same.
    with suppress(OSError):
        sys.stderr.write(f"{lines}\n")


def _print_result(line: str, style: str = "") -> None:
    try:
        if style and sys.stdout.isatty():
            from rich.console import Console
            from rich.text import Text

            Console().print(Text(line, style), soft_wrap=True)
        else:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the results has left. What Python still holds must not
        # be written at exit, either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(BROKEN_PIPE) from None
