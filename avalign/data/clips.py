"""Whole clips, extracted once and kept.

Finding lips takes far longer than anything that is done with them, so what was
extracted is kept in a folder, under the hash of the file's bytes and of the code that
reads them: a renamed file is known again, and better code is never served old streams.
The folder holds the sound of the clips; treat it like them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
import zlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from avalign.data.windows import SourceClip
from avalign.errors import AvalignError, MediaError
from avalign.types import AudioStream

__all__ = ["default_cache_dir", "load_clip"]

UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
CODE_THAT_EXTRACTS = ("extraction.py", "media", "audio", "vision")


def default_cache_dir() -> Path:
    """Name the folder for extracted clips.

    Returns
    -------
    Path
        ``avalign/clips`` in the user's cache folder (``XDG_CACHE_HOME`` or ``~/.cache``).
    """
    return (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avalign" / "clips"
    )


def load_clip(
    path: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
) -> SourceClip:
    """Extract a clip, or find it extracted already.

    Parameters
    ----------
    path : path-like
        A media file with picture and sound.
    cache_dir : path-like, optional
        Where extracted clips are kept; by default `default_cache_dir`.
    jobs : int, optional
        Cores to spread the picture over; all of them by default.

    Returns
    -------
    SourceClip
        Streams and samples.

    Raises
    ------
    MediaError
        If the file or the folder cannot be used.
    NoAudioError
        If there is no sound.
    NoFaceError
        If there is no picture. A picture without a face is no error.
    """
    from avalign.extraction import extract
    from avalign.media import read_audio
    from avalign.streams import load_streams

    path = Path(path)
    folder = Path(cache_dir) if cache_dir is not None else default_cache_dir()
    key = f"{_content_hash(path)}-{_code_hash()}"
    kept_streams, kept_audio = folder / f"{key}.streams.npz", folder / f"{key}.audio.npz"
    # A damaged or half-written file in the cache is as good as none.
    with contextlib.suppress(AvalignError, *UNREADABLE):
        return SourceClip(load_streams(kept_streams), _load_audio(kept_audio))
    clip = SourceClip(extract(path, jobs=jobs), read_audio(path))
    _keep(clip, kept_streams, kept_audio)
    return clip


def _keep(clip: SourceClip, streams_path: Path, audio_path: Path) -> None:
    from avalign.media import atomic_output
    from avalign.streams import save_streams

    try:
        streams_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(
            f"{streams_path.parent} cannot be made: {error.strerror}",
            "name another cache folder",
        ) from error
    arrays: dict[str, Any] = {
        "samples": clip.audio.samples,
        "clock": np.array([clip.audio.sample_rate_hz, clip.audio.start_s], np.float64),
    }
    with atomic_output(audio_path, True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
    save_streams(clip.streams, streams_path, overwrite=True)


def _load_audio(path: Path) -> AudioStream:
    with np.load(path, allow_pickle=False) as arrays:
        rate_hz, start_s = arrays["clock"]
        return AudioStream(arrays["samples"], int(rate_hz), float(start_s))


def _content_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise MediaError(
            f"{path} cannot be read: {error.strerror}", "check the path"
        ) from error


@cache
def _code_hash() -> str:
    digest = hashlib.sha256()
    package = Path(str(resources.files("avalign")))
    for name in CODE_THAT_EXTRACTS:
        for module in sorted([package / name, *(package / name).glob("*.py")]):
            if module.is_file():
                digest.update(module.read_bytes())
    return digest.hexdigest()[:8]
