"""GRID: sentences of six words from a fixed grammar, by 34 speakers.

``s1/bbaf2n.mpg`` holds "bin blue at f two now" by speaker s1: the name spells the words.
Their times are in files such as ``alignments/s1/bbaf2n.align`` or ``align/bbaf2n.align``.

References
----------
.. [1] M. Cooke, J. Barker, S. Cunningham, X. Shao, "An audio-visual corpus for speech
   perception and automatic speech recognition", J. Acoust. Soc. Am. 120 (5), 2006.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from avalign.data.corpora.files import find_files, make_manifest
from avalign.data.manifest import Manifest
from avalign.data.rows import ManifestRow
from avalign.files import VIDEO_SUFFIXES

LICENCE = "CC BY 4.0"
SPEAKER = re.compile(r"(s\d{1,2})(?:[._].*)?")
LETTERS = {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"}
DIGITS = dict(
    zip(
        "z123456789",
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
        strict=True,
    )
)
SLOTS = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    LETTERS,
    DIGITS,
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)


def read_grid(folder: str | os.PathLike[str]) -> Manifest:
    """List the sentences of GRID, with the files of their word times where they are there.

    Parameters
    ----------
    folder : path-like
        The folder that holds ``s1``, ``s2`` and so on, or one of these.

    Returns
    -------
    Manifest
        One row per video whose name is a sentence; files of other names are left out.

    Raises
    ------
    ParameterError
        If there is no such video.
    MediaError
        If the folder cannot be read.
    """
    folder = Path(folder)
    times = {
        (_speaker(path, folder), path.stem): path for path in find_files(folder, {".align"})
    }
    rows = []
    for path in find_files(folder, VIDEO_SUFFIXES):
        text = sentence_of(path.stem)
        if text is None:
            continue
        speaker = _speaker(path, folder)
        rows.append(
            ManifestRow(
                path,
                role="in_sync",
                dataset="grid",
                speaker=speaker,
                language="en",
                text=text,
                transcript=times.get((speaker, path.stem)),
                licence=LICENCE,
            )
        )
    return make_manifest(folder, rows, expected="videos named like s1/bbaf2n.mpg")


def sentence_of(name: str) -> str | None:
    """Spell out the sentence that a name of GRID stands for.

    Parameters
    ----------
    name : str
        Such as ``"bbaf2n"``.

    Returns
    -------
    str or None
        Such as ``"bin blue at f two now"``; None if the name is not of the grammar.
    """
    words = [slot.get(letter) for slot, letter in zip(SLOTS, name.lower(), strict=False)]
    if len(name) != len(SLOTS):
        return None
    said = [word for word in words if word is not None]
    return " ".join(said) if len(said) == len(SLOTS) else None


def _speaker(path: Path, folder: Path) -> str:
    """Find the innermost folder that is named after a speaker, down from the corpus's own."""
    inside = path.relative_to(os.path.abspath(folder)).parts[:-1]
    for name in (*reversed(inside), Path(os.path.abspath(folder)).name):
        match = SPEAKER.fullmatch(name.lower())
        if match:
            return match[1]
    return ""
