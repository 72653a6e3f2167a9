"""Which files the arguments of `avalign check` stand for."""

from __future__ import annotations

import codecs
import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avalign.errors import MediaError

__all__ = ["MEDIA_SUFFIXES", "expand", "no_media_in"]

MEDIA_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".vob", ".ts"),
    *(".m2ts", ".mts", ".mxf", ".flv", ".wmv", ".asf", ".ogv", ".3gp"),
}


def expand(arguments: Iterable[str], listed: bytes = b"") -> list[str]:
    """Find the files, each once, in the order of the arguments.

    Parameters
    ----------
    arguments : iterable of str
        Files, folders (searched with all folders in them), patterns such as
        ``"takes/*.mp4"``, and ``-`` for the listed ones.
    listed : bytes
        What ``-`` stands for: lines that name a file each, or names that end with NUL, as
        ``find -print0`` gives them, in the encoding of the file system.

    Returns
    -------
    list of str
        Paths. What matches nothing stays as it is, so that it is reported when
        it is opened; so does a folder without media files.
    """
    found: dict[str, None] = {}
    for argument in arguments:
        if argument == "-":
            found |= dict.fromkeys(_names(listed))
        else:
            found |= dict.fromkeys(_matches(argument) or [argument])
    return list(found)


def no_media_in(folder: str) -> MediaError:
    """Say what was looked for in a folder in vain.

    Parameters
    ----------
    folder : str
        The folder.

    Returns
    -------
    MediaError
        To be reported.
    """
    from avalign.errors import MediaError

    return MediaError(
        f"{folder}: the folder holds no media files",
        f"name a file, or a folder with {' '.join(sorted(MEDIA_SUFFIXES))}",
    )


def _names(listed: bytes) -> list[str]:
    if b"\0" in listed:
        names = listed.split(b"\0")
    else:
        lines = listed.removeprefix(codecs.BOM_UTF8).split(b"\n")
        names = [line.removesuffix(b"\r") for line in lines]
    return [os.fsdecode(name) for name in names if name]


def _matches(argument: str) -> list[str]:
    if os.path.isdir(argument):
        return _media_in(argument)
    if os.path.lexists(argument):
        return [argument]
    return sorted(
        match for match in glob.glob(argument, recursive=True) if os.path.isfile(match)
    )


def _media_in(folder: str) -> list[str]:
    return sorted(
        os.path.join(root, name)
        for root, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in MEDIA_SUFFIXES
    )
