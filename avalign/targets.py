"""Files that are to be written: refused now rather than after minutes of measuring."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import MediaError, ParameterError
from avalign.extraction import is_streams_file

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_target", "check_video_target", "require_video", "synced_path"]


def synced_path(path: str | Path) -> Path:
    """Name the repaired file that stands beside a file.

    Parameters
    ----------
    path : str or Path
        The input, such as ``talk.mp4``.

    Returns
    -------
    Path
        Its name with ``.synced`` before the suffix, such as ``talk.synced.mp4``.
    """
    stem, suffix = os.path.splitext(path)
    return Path(f"{stem}.synced{suffix}")


def check_target(
    sources: Iterable[str | Path],
    target: str | Path,
    *,
    overwrite: bool = False,
    suffix: str | None = None,
) -> None:
    """Refuse a file that could not be written.

    Parameters
    ----------
    sources : iterable of str or Path
        The inputs.
    target : str or Path
        The file to write.
    overwrite : bool
        Whether a file that exists may be replaced.
    suffix : str, optional
        The ending it must have, such as ``".png"``; by default any.

    Raises
    ------
    MediaError
        If there is no such input, or the target exists already, is a folder, or
        its folder is missing or takes no files.
    ParameterError
        If the target is an input, or has another ending.
    """
    from avalign.media.opening import local_file

    target = Path(target)
    for source in map(local_file, sources):
        if target.exists() and target.samefile(source):
            raise ParameterError(
                f"{target}: is the input, which avalign never changes",
                "name another file to write",
            )
    if suffix is not None and target.suffix.lower() != suffix:
        raise ParameterError(
            f"{target}: what is written there needs the ending {suffix}",
            f"name it {target.with_suffix(suffix) if target.name else 'FILE' + suffix}",
        )
    if target.is_dir():
        raise MediaError(f"{target}: is a folder", "name a file in it")
    if target.exists() and not overwrite:
        raise MediaError(
            f"{target}: exists already",
            "overwrite it (-y; overwrite=True in Python), or name another file",
        )
    if not target.parent.is_dir():
        raise MediaError(f"{target.parent}: is no folder", "make it, or name another file")
    try:
        # A file without a name: asking the system leaves nothing behind.
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        words = error.strerror or str(error)
        raise MediaError(
            f"{target}: its folder {target.parent} is not writable ({words})", "write elsewhere"
        ) from error


def check_video_target(
    path: str | Path,
    target: str | Path,
    *,
    audio: str | Path | None = None,
    move_track: int | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> None:
    """Refuse a repaired video that could not be written.

    Parameters
    ----------
    path : str or Path
        The input.
    target : str or Path
        The file to write.
    audio : str or Path, optional
        The separate file that holds the sound.
    move_track : int, optional
        The only sound track that is to move.
    overwrite : bool
        Whether a file that exists may be replaced.
    dry_run : bool
        Ask only whether the input can be written as such a file at all, not
        whether it can be written now and there. Streams are let pass.

    Raises
    ------
    MediaError
        As `check_target`; or if such a file cannot hold the pictures.
    ParameterError
        As `check_target`; if the input holds streams and no video; if avalign writes no
        videos with the ending of the target; or if there is no such track to move.
    """
    from avalign.media import probe
    from avalign.media.containers import container_for
    from avalign.media.sound_track import check_track

    if not dry_run:
        check_target((path,) if audio is None else (path, audio), target, overwrite=overwrite)
        require_video(path)
    elif is_streams_file(path):
        return
    clip = probe(path)
    if move_track is not None:
        if audio is not None:
            raise ParameterError(
                f"sound track {move_track} cannot be moved: {audio} takes the place of all",
                "leave out --move-track, or --audio",
            )
        check_track(path, len(clip.audio_tracks), move_track)
    if clip.video_tracks:  # without a picture there will be nothing to write, and it is said
        container_for(Path(target), clip)


def require_video(path: str | Path) -> None:
    """Refuse to repair streams.

    Parameters
    ----------
    path : str or Path
        The input.

    Raises
    ------
    ParameterError
        If it is a ``.npz`` file.
    """
    if is_streams_file(path):
        raise ParameterError(
            f"{path}: a file of streams has no video to repair",
            "add --dry-run to measure only, or name the video",
        )
