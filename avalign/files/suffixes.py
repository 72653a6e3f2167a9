"""The endings of names of files that are read, and which files of a folder are meant.

One list for the command line, the readers of corpora and the documentation.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from avalign.errors import MediaError

# Of the formats that `avalign.media` lets in, those that can hold pictures beside sound.
VIDEO_SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".m4s", ".ismv", ".cmfv"),
        *(".mkv", ".mk3d", ".webm", ".avi", ".divx", ".flv", ".wmv", ".asf", ".wtv"),
        *(".mpg", ".mpeg", ".mpe", ".m2p", ".vob", ".mod"),
        *(".ts", ".mts", ".m2ts", ".m2t", ".tod", ".trp", ".tp"),
        *(".ogv", ".ogm", ".rm", ".rmvb", ".mxf", ".gxf", ".dv", ".nut"),
    }
)
AUDIO_SUFFIXES = frozenset(
    {
        *(".wav", ".w64", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".mka"),
        *(".wma", ".aif", ".aiff", ".caf", ".au", ".amr", ".ac3", ".eac3", ".ape"),
        *(".wv", ".tta"),
    }
)
STREAMS_SUFFIX = ".npz"
MEDIA_SUFFIXES = VIDEO_SUFFIXES | {STREAMS_SUFFIX}

# What file managers leave behind without hiding it in the way of Unix.
SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
# Folders that archives add: __MACOSX.
SYSTEM_FOLDERS = "__"
WRITTEN_MARKS = (".synced", ".aligned")


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """Files of a folder: those that are meant, sorted, and how many others, by why not."""

    paths: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def files_in(
    folder: str | os.PathLike[str],
    suffixes: Collection[str],
    *,
    everything: bool = False,
    strict: bool = False,
) -> FolderFiles:
    """Find the files that are meant by a folder, in it and in all folders in it.

    Left out are hidden files and folders and what file managers and archives leave behind
    (``._talk.mp4``, ``.DS_Store``, ``__MACOSX``), and what avalign wrote beside its source
    (``talk.synced.mp4``). Links to folders are followed; no folder is visited twice.

    Parameters
    ----------
    folder : path-like
        Where to look.
    suffixes : collection of str
        Endings in small letters, with their dots.
    everything : bool
        Take hidden files and what avalign wrote, too.
    strict : bool
        Raise if a folder in it cannot be read; by default it is counted.

    Returns
    -------
    FolderFiles
        The files, and what was left out.

    Raises
    ------
    MediaError
        If `strict`, and a folder cannot be read.
    """
    found = FolderFiles()
    seen: set[tuple[int, int]] = set()
    # Links come after all real folders, so that a file has its own name, not a link's.
    waiting, links = [os.fspath(folder)], list[str]()
    while waiting or links:
        current = waiting.pop() if waiting else links.pop(0)
        try:
            status = os.stat(current)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if strict:
                raise MediaError(
                    f"{current} cannot be read: {error.strerror}", "check its permissions"
                ) from error
            found.left_out["in folders that cannot be read"] += 1
            continue
        names = {entry.name for entry in listed}
        for entry in listed:
            if _is_folder(entry):
                if everything or not entry.name.startswith((".", SYSTEM_FOLDERS)):
                    (links if entry.is_symlink() else waiting).append(entry.path)
            elif reason := _left_out(entry.name, names, suffixes, everything):
                found.left_out[reason] += 1
            else:
                found.paths.append(entry.path)
    found.paths.sort()
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in circles
        return False


def _left_out(
    name: str, beside: Collection[str], suffixes: Collection[str], everything: bool
) -> str | None:
    """Say why a file is not meant, or None."""
    stem, suffix = os.path.splitext(name)
    suffix = suffix.lower()
    if not everything and (name.startswith(".") or name.lower() in SYSTEM_FILES):
        return "hidden"
    if suffix not in suffixes:
        return "with sound alone" if suffix in AUDIO_SUFFIXES else "of no known ending"
    if everything:
        return None
    if stem.lower().endswith(WRITTEN_MARKS):
        return "written by avalign"
    if suffix == STREAMS_SUFFIX and any(
        os.path.splitext(other)[0] == stem
        and os.path.splitext(other)[1].lower() in VIDEO_SUFFIXES
        for other in beside
    ):
        return "with streams of a video beside them"
    return None
