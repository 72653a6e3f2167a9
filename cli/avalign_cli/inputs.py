"""Which files the arguments of `avalign check` stand for."""

from __future__ import annotations

import codecs
import glob
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from avalign.files import MEDIA_SUFFIXES, files_in

if TYPE_CHECKING:
    from avalign.errors import MediaError

__all__ = ["Inputs", "expand", "left_out_note", "no_media_in"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the arguments stand for.

    Parameters
    ----------
    paths : list of str
        Files, each once, in the order of the arguments. What matches nothing stays as it
        is, so that it is reported when it is opened; so does a folder without media files.
    left_out : Counter of str
        How many files of the folders are not among them, by the reason.
    """

    paths: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def expand(
    arguments: Iterable[str], listed: bytes = b"", *, everything: bool = False
) -> Inputs:
    """Find the files, each once.

    Parameters
    ----------
    arguments : iterable of str
        Files, folders (searched with all folders in them), patterns such as
        ``"takes/*.mp4"``, and ``-`` for the listed ones.
    listed : bytes
        What ``-`` stands for: lines that name a file each, or names that end with NUL, as
        ``find -print0`` gives them, in the encoding of the file system.
    everything : bool
        Take hidden files of folders, and what avalign wrote, too.

    Returns
    -------
    Inputs
        The files, and what was left out.
    """
    found: dict[str, None] = {}
    left_out: Counter[str] = Counter()
    folders: set[str] = set()
    for argument in arguments:
        if argument == "-":
            found |= dict.fromkeys(_names(listed))
        elif os.path.isdir(argument):
            inside = files_in(argument, MEDIA_SUFFIXES, everything=everything)
            found |= dict.fromkeys(inside.paths or [argument])
            if (place := os.path.realpath(argument)) not in folders:
                folders.add(place)
                left_out += inside.left_out
        else:
            found |= dict.fromkeys(_matches(argument) or [argument])
    return Inputs(list(found), left_out)


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


def left_out_note(left_out: Mapping[str, int], *, hint: bool = True) -> str:
    """Count what was not taken of the folders.

    Parameters
    ----------
    left_out : mapping of str to int
        How many files, by the reason.
    hint : bool
        Name the option that takes them, where there is one.

    Returns
    -------
    str
        Such as ``"3 files left out: 2 hidden, 1 of no known ending"``.
    """
    total = sum(left_out.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
    words = f"{total} {'file' if total == 1 else 'files'} left out: {reasons}"
    if hint and {"hidden", "written by avalign"} & set(left_out):
        words += " (--all takes those hidden or written by avalign)"
    return words


def _names(listed: bytes) -> list[str]:
    if b"\0" in listed:
        names = listed.split(b"\0")
    else:
        lines = listed.removeprefix(codecs.BOM_UTF8).split(b"\n")
        names = [line.removesuffix(b"\r") for line in lines]
    return [os.fsdecode(name) for name in names if name]


def _matches(argument: str) -> list[str]:
    if os.path.lexists(argument):
        return [argument]
    return sorted(
        match for match in glob.glob(argument, recursive=True) if os.path.isfile(match)
    )
