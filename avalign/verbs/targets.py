"""Files that are to be written: refused now rather than after minutes of measuring."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from avalign.errors import ParameterError
from avalign.files import check_target
from avalign.streams import AnyPath, is_streams_file

if TYPE_CHECKING:
    from avalign.types import MediaClip


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


def check_video_target(
    path: AnyPath,
    target: AnyPath,
    *,
    audio: AnyPath | None = None,
    overwrite: bool = False,
) -> None:
    """Refuse a repaired video that could not be written there.

    Parameters
    ----------
    path : str or Path
        The input.
    target : str or Path
        The file to write.
    audio : str or Path, optional
        The separate file that holds the sound.
    overwrite : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    MediaError
        As `check_target`.
    ParameterError
        As `check_target`; or if the input holds streams and no video.
    """
    check_target((path,) if audio is None else (path, audio), target, overwrite=overwrite)
    require_video(path)


def check_video_format(
    clip: MediaClip,
    target: AnyPath,
    *,
    audio: AnyPath | None = None,
    move_track: int | None = None,
) -> None:
    """Refuse a repaired video that the input cannot be written as.

    Parameters
    ----------
    clip : MediaClip
        What `probe` told of the input.
    target : str or Path
        The file to write.
    audio : str or Path, optional
        The separate file that holds the sound.
    move_track : int, optional
        The only sound track that is to move.

    Raises
    ------
    MediaError
        If such a file cannot hold the pictures.
    ParameterError
        If avalign writes no videos with the ending of the target; or if there is no
        such track to move.
    """
    from avalign.media import check_audio_track, container_for

    if move_track is not None:
        if audio is not None:
            raise ParameterError(
                f"sound track {move_track} cannot be moved: {audio} takes the place of all",
                "leave out --move-track, or --audio",
            )
        check_audio_track(clip.path, len(clip.audio_tracks), move_track)
    if clip.video_tracks:  # without a picture there will be nothing to write, and it is said
        container_for(Path(target), clip)


def check_default_name(clip: MediaClip, path: AnyPath, target: AnyPath) -> None:
    """Refuse to name a repaired video after a file whose name does not say what it is.

    Parameters
    ----------
    clip : MediaClip
        What `probe` told of the input.
    path : str or Path
        The input as it was named.
    target : str or Path
        The file to write; any name but `synced_path` passes.

    Raises
    ------
    ParameterError
        If the input has no ending.
    """
    if Path(path).suffix or Path(target) != synced_path(path):
        return
    ending = {"mov": "mp4", "matroska": "mkv", "mpegts": "ts", "mpeg": "mpg"}
    kind = clip.format_name.partition(",")[0]
    raise ParameterError(
        f"{path}: has no ending that says what kind of file to write",
        f"name it with -o, such as -o {target}.{ending.get(kind, kind)}",
    )


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
