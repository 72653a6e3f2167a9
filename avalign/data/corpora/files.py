"""What the readers of corpora share: finding files, and making manifests."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from avalign.data.manifest import Manifest
from avalign.data.rows import ManifestRow
from avalign.errors import MediaError, ParameterError
from avalign.files import AUDIO_SUFFIXES, VIDEO_SUFFIXES, files_in


def find_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Find files below a folder by lower-case suffix: absolute paths, sorted."""
    if not folder.is_dir():
        raise MediaError(f"{folder} is no folder", "name the folder that holds the corpus")
    found = files_in(os.path.abspath(folder), suffixes, strict=True)
    return sorted(map(Path, found.paths))


def unlisted_files(folder: Path, manifest: Manifest) -> list[Path]:
    """Find the media files of a corpus that its manifest does not name.

    Parameters
    ----------
    folder : Path
        The folder of the corpus.
    manifest : Manifest
        What was read of it.

    Returns
    -------
    list of Path
        Absolute paths, sorted.

    Raises
    ------
    MediaError
        If the folder cannot be read.
    """
    files = (path for row in manifest for path in (row.path, row.audio) if path)
    named = set(map(os.path.abspath, files))
    return [
        path
        for path in find_files(folder, VIDEO_SUFFIXES | AUDIO_SUFFIXES)
        if str(path) not in named
    ]


def make_rows(
    make: Callable[..., ManifestRow], takes: Iterable[tuple[object, ...]]
) -> list[ManifestRow]:
    """Make the row of every take; one ParameterError tells of all that cannot be read."""
    rows, wrong = [], []
    for take in takes:
        try:
            rows.append(make(*take))
        except ParameterError as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        others = f"and {len(wrong) - 1} more like it, the last {wrong[-1].message}"
        raise ParameterError(f"{wrong[0].message}; {others}", wrong[0].hint)
    return rows


def make_manifest(folder: Path, rows: Iterable[ManifestRow], *, expected: str) -> Manifest:
    """Make a manifest, sorted by path, that seems to lie in the corpus's folder."""
    ordered = tuple(sorted(rows, key=lambda row: row.path))
    if not ordered:
        raise ParameterError(
            f"{folder} holds no files of this corpus",
            f"expected {expected}, in the folder or below",
        )
    return Manifest(folder / "manifest.csv", ordered)
