"""Whole clips, extracted once and cached.

Finding lips takes far longer than anything that is done with them, so what was extracted is
cached under the hash of the file's bytes and the version of the code that reads them.
The folder holds the sound of the clips; treat it like them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avalign.data.rows import ManifestRow
from avalign.data.windows import SourceClip, cut_clip
from avalign.errors import AvalignError, MediaError, NoAudioError, ParameterError
from avalign.files import local_file
from avalign.processes import cores, for_each
from avalign.types import AudioStream

UNREADABLE = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, OverflowError),
    *(zipfile.BadZipFile, zlib.error),
)


def default_cache_dir() -> Path:
    """Name the folder for extracted clips: ``avalign/clips`` in the user's cache folder."""
    return (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avalign" / "clips"
    )


def load_clip(
    path: str | os.PathLike[str],
    *,
    audio: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
) -> SourceClip:
    """Extract a clip, or find it extracted already.

    Parameters
    ----------
    path : path-like
        A media file with picture and sound, or a ``.npz`` file that
        `avalign.save_streams` wrote, which is read as it is.
    audio : path-like, optional
        A file that holds the sound; by default `path`. Streams need it named.
    cache_dir : path-like, optional
        Where extracted clips are cached; by default `default_cache_dir`.
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
        If there is no sound, or streams come without a file that holds it.
    NoFaceError
        If there is no picture. A picture without a face is no error.
    """
    from avalign.media import probe, read_audio
    from avalign.streams import choose_tracks, extract, is_streams_file, load_streams

    sources = Path(path), None if audio is None else Path(audio)
    if is_streams_file(sources[0]):
        if sources[1] is None:
            raise NoAudioError(
                f"{path}: holds streams, but no samples of sound",
                "name the file with the sound, too, in a manifest in the column 'audio'",
            )
        return SourceClip(load_streams(sources[0]), read_audio(sources[1]))
    cached_streams, cached_audio = _cache_paths(*sources, cache_dir)
    # A damaged or half-written file in the cache is as good as none.
    with contextlib.suppress(AvalignError, *UNREADABLE):
        return SourceClip(load_streams(cached_streams), _load_audio(cached_audio))
    media = probe(sources[0])
    tracks = choose_tracks(media, audio=sources[1])
    chosen = tracks.audio
    streams = extract(
        sources[0],
        audio=sources[1],
        video_track=tracks.video,
        audio_track=chosen.track,
        channel=chosen.channel,
        jobs=jobs,
    )
    samples = read_audio(sources[1] or sources[0], track=chosen.track, channel=chosen.channel)
    clip = SourceClip(streams, samples)
    _write_cached(clip, cached_streams, cached_audio)
    return clip


@dataclass(frozen=True, slots=True)
class Extracted:
    """What became of one file."""

    row: ManifestRow  # the first that names the file
    was_cached: bool  # extracted before
    error: AvalignError | None  # why it could not be extracted


@dataclass(frozen=True, slots=True)
class LoadedClip:
    """A row of a manifest with its streams, or with the reason why there are none.

    Parameters
    ----------
    row : ManifestRow
        The row.
    clip : SourceClip or None
        Streams and samples of its span.
    error : AvalignError or None
        Why there is no clip.
    """

    row: ManifestRow
    clip: SourceClip | None
    error: AvalignError | None


def extract_clips(
    rows: Iterable[ManifestRow],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[Extracted]:
    """Extract the files of a manifest into the cache; what is there already is left alone.

    Every file is kept as soon as it is done, so a run that was killed goes on where it
    ended. A file that fails, or whose process dies, never stops the rest.

    Parameters
    ----------
    rows : iterable of ManifestRow
        Rows; a file that several name is extracted once.
    cache_dir : path-like, optional
        Where extracted clips are cached; by default `default_cache_dir`.
    jobs : int, optional
        Files at once, one core each; by default as many as there are cores. With one,
        each file is spread over all cores.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    iterator of Extracted
        One for each file, those found in the cache first, then as they get done.

    Raises
    ------
    ParameterError
        If the number of jobs cannot be used, or processes are needed and the main script
        calls this without a guard: call it below ``if __name__ == "__main__":``.
    """
    if jobs is not None and jobs < 1:
        raise ParameterError(f"jobs is {jobs}", "name at least one, or leave it out")
    files: dict[_Sources, ManifestRow] = {}
    for row in rows:
        files.setdefault((row.path, row.audio), row)
    folder = Path(cache_dir) if cache_dir is not None else default_cache_dir()
    return _extract(files, folder, jobs or cores(), progress or (lambda fraction: None))


def load_clips(
    rows: Iterable[ManifestRow],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[LoadedClip]:
    """Load the clips of a manifest, in its order; what is missing is extracted first.

    Parameters
    ----------
    rows : iterable of ManifestRow
        Rows; one with a span gives that part of its file, on a clock that starts at 0.
    cache_dir, jobs, progress
        As in `extract_clips`.

    Yields
    ------
    LoadedClip
        One for each row; only one clip at a time is held here.

    Raises
    ------
    ParameterError
        As in `extract_clips`.
    """
    rows = tuple(rows)
    done = extract_clips(rows, cache_dir=cache_dir, jobs=jobs, progress=progress)
    errors = {(one.row.path, one.row.audio): one.error for one in done}
    for row in rows:
        error = errors[row.path, row.audio]
        clip = None
        if error is None:
            try:
                clip = _span(load_clip(row.path, audio=row.audio, cache_dir=cache_dir), row)
            except AvalignError as raised:
                error = raised
        yield LoadedClip(row, clip, error)


_Sources = tuple[Path, Path | None]


def _extract(
    files: dict[_Sources, ManifestRow],
    folder: Path,
    jobs: int,
    progress: Callable[[float], None],
) -> Iterator[Extracted]:
    cached = {sources for sources in files if _is_cached(*sources, folder)}
    for sources in cached:
        yield Extracted(files[sources], True, None)
    progress(len(cached) / max(1, len(files)))
    missing = [sources for sources in files if sources not in cached]
    outcomes = for_each(
        _extract_one,
        [(sources, folder, None if jobs == 1 else 1) for sources in missing],
        jobs=jobs,
        caller="extract_clips",
        name=lambda task: str(task[0][0]),
    )
    for done, (number, error) in enumerate(outcomes, start=len(cached) + 1):
        row = files[missing[number]]
        if error is not None and not isinstance(error, AvalignError):
            error = AvalignError(f"{row.path}: a defect: {type(error).__name__}: {error}")
        yield Extracted(row, False, error)
        progress(done / len(files))


def _extract_one(task: tuple[_Sources, Path, int | None]) -> None:
    (path, audio), folder, jobs = task
    load_clip(path, audio=audio, cache_dir=folder, jobs=jobs)


def _span(clip: SourceClip, row: ManifestRow) -> SourceClip:
    if row.start_s is None and row.end_s is None:
        return clip
    start_s = row.start_s or 0.0
    end_s = clip.streams.duration_s if row.end_s is None else row.end_s
    if start_s >= clip.streams.duration_s:
        raise ParameterError(
            f"{row.path} ends at {clip.streams.duration_s:.3f} s, before the row's start at "
            f"{start_s} s",
            "correct the span",
        )
    return cut_clip(clip, start_s=start_s, length_s=end_s - start_s)


def _is_cached(path: Path, audio: Path | None, folder: Path) -> bool:
    from avalign.streams import is_streams_file

    if is_streams_file(path):
        return True  # somebody has extracted it
    try:
        return all(cached.exists() for cached in _cache_paths(path, audio, folder))
    except AvalignError:
        return False  # what cannot be read is told by who tries to extract it


def _cache_paths(
    path: Path, audio: Path | None, cache_dir: str | os.PathLike[str] | None
) -> tuple[Path, Path]:
    """Name the files that hold the streams and the sound of a clip."""
    from avalign.streams import EXTRACTION_VERSION

    folder = Path(cache_dir) if cache_dir is not None else default_cache_dir()
    key = _content_hash(path)
    if audio is not None:
        key = f"{key}-{_content_hash(audio)}"
    key = f"{key}-v{EXTRACTION_VERSION}"
    return folder / f"{key}.streams.npz", folder / f"{key}.audio.npz"


def _write_cached(clip: SourceClip, streams_path: Path, audio_path: Path) -> None:
    from avalign.files import atomic_output
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
        with local_file(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise MediaError(
            f"{path} cannot be read: {error.strerror}", "check the path"
        ) from error
