"""Plain folders: the name of a folder is the label of its files.

``angry/a.mp4`` has the label angry; words are beside a file, as ``a.txt``, ``a.srt`` or
``a.align``.
"""

from __future__ import annotations

import os
from pathlib import Path

from avalign.data.corpora.files import find_files, make_manifest
from avalign.data.manifest import Manifest
from avalign.data.rows import TRANSCRIPT_SUFFIXES, ManifestRow
from avalign.errors import ParameterError
from avalign.files import AUDIO_SUFFIXES, VIDEO_SUFFIXES

MEANINGS = ("label", "speaker", "split", "language", "-")


def read_folder(folder: str | os.PathLike[str], *, levels: str = "label") -> Manifest:
    """List the videos of a folder.

    A sound file beside a video of the same name holds its sound.

    Parameters
    ----------
    folder : path-like
        The folder.
    levels : str
        What the folders in it stand for, from the outside in, with slashes between:
        ``label``, ``speaker``, ``split``, ``language``, or ``-`` for nothing. With
        ``"speaker/label"``, the file ``anna/angry/a.mp4`` is Anna's, and angry.

    Returns
    -------
    Manifest
        One row per video; a file that lies less deep than the levels says less.

    Raises
    ------
    ParameterError
        If there are no videos, or the levels cannot be used.
    MediaError
        If the folder cannot be read.
    """
    meanings = levels.split("/")
    named = [meaning for meaning in meanings if meaning != "-"]
    if not set(meanings) <= set(MEANINGS) or len(set(named)) < len(named):
        raise ParameterError(
            f"levels is {levels!r}", "name each of label, speaker, split, language once, or -"
        )
    folder = Path(folder)
    beside = {
        path.with_suffix(""): path
        for suffix in reversed(TRANSCRIPT_SUFFIXES)
        for path in find_files(folder, {suffix})
    }
    audio_files = {path.with_suffix(""): path for path in find_files(folder, AUDIO_SUFFIXES)}
    rows = []
    for path in find_files(folder, VIDEO_SUFFIXES):
        inside = path.relative_to(os.path.abspath(folder)).parts[:-1]
        meant = dict(zip(meanings, inside, strict=False))
        meant.pop("-", None)
        rows.append(
            ManifestRow(
                path,
                transcript=beside.get(path.with_suffix("")),
                audio=audio_files.get(path.with_suffix("")),
                **meant,  # type: ignore[arg-type]
            )
        )
    return make_manifest(folder, rows, expected="videos")
