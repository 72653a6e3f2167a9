"""Everything avalign raises on purpose, each with a remedy and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "AvalignError",
    "InstallationError",
    "MediaError",
    "MissingDependencyError",
    "NoAnswerError",
    "NoAudioError",
    "NoFaceError",
    "ParameterError",
    "import_guard",
]


# What a stranger's file holds may be quoted in a message, and be of any length.
LONGEST_TEXT = 700


class AvalignError(Exception):
    """Base of every error avalign raises on purpose.

    Parameters
    ----------
    message : str
        What went wrong, with the value that was met; the middle of a very long one is
        left out.
    hint : str, optional
        The next step the user can take.

    Attributes
    ----------
    exit_code : int
        What the command line exits with when nothing catches the error.
    """

    exit_code = 70

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = _shortened(message)
        self.hint = None if hint is None else _shortened(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[type[AvalignError], tuple[str, str | None]]:
        # The default rebuilds from `args`, which would lose the hint on the
        # way back from a worker process.
        return type(self), (self.message, self.hint)


class ParameterError(AvalignError, ValueError):
    """An argument has a value that cannot be used."""

    exit_code = 2


class MediaError(AvalignError):
    """A file cannot be read or written, or the output exists already."""

    exit_code = 3


class NoAnswerError(AvalignError):
    """The file is readable, but the evidence in it does not carry an answer."""

    exit_code = 4


class NoAudioError(NoAnswerError):
    """The file has no sound, or not the sound track that was asked for."""


class NoFaceError(NoAnswerError):
    """The file has no picture, or no usable face in it."""


class InstallationError(AvalignError):
    """Something that belongs to avalign is not on this machine, or is damaged."""

    exit_code = 5


class MissingDependencyError(InstallationError, ImportError):
    """An optional dependency is absent or does not load on this machine."""


@contextmanager
def import_guard(
    message: str, hint: str, *, also: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Say what to install where an import in the block fails.

    Parameters
    ----------
    message : str
        What does not load, and what it is for; the reason is put after it.
    hint : str
        How to get it.
    also : tuple of type
        What the import raises beside ImportError and OSError, the latter of a shared
        library that is missing.

    Yields
    ------
    None
        While the imports are made.

    Raises
    ------
    MissingDependencyError
        If one of them fails.
    """
    failures: tuple[type[Exception], ...] = (ImportError, OSError, *also)
    try:
        yield
    except failures as error:
        raise MissingDependencyError(f"{message}: {error}", hint) from error


def _shortened(text: str) -> str:
    """Leave the middle of a long text out."""
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return f"{text[:half]} ... {text[-half:]}"
