"""Open one named local file, and nothing else.

A media file is hostile until proven otherwise: playlists, ``concat`` scripts,
image sequences and session descriptions make FFmpeg open other files and hosts.
Only container formats that hold their own data are let in, over the ``file``
protocol alone.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import av

from avalign.errors import MediaError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

__all__ = [
    "LARGEST_PICTURE",
    "StrPath",
    "codec_name",
    "has_decoder",
    "is_cover",
    "open_input",
    "picture_streams",
    "reason",
    "time_origin_s",
]

StrPath = str | os.PathLike[str]

SELF_CONTAINED_FORMATS = (
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dts",
    "dv", "eac3", "flac", "flv", "gxf", "h264", "hevc", "ivf", "m4v", "matroska", "mov", "mp3",
    "mpc", "mpc8", "mpeg", "mpegts", "mpegvideo", "mxf", "nut", "obu", "ogg", "rm", "tta",
    "w64", "wav", "wtv", "wv", "yuv4mpegpipe",
)  # fmt: skip

# Their clock starts anywhere (a broadcast may begin at 26 hours), so players
# show the earliest stream's start as zero. Elsewhere zero is the file's own.
ARBITRARY_CLOCK_FORMATS = {"mpeg", "mpegts", "mpegvideo"}

# Pixels of the largest picture that is decoded, three times those of 8K. A few bytes can
# promise any number of them.
LARGEST_PICTURE = 100_000_000

_ATTACHED = (
    av.stream.Disposition.attached_pic
    | av.stream.Disposition.still_image
    | av.stream.Disposition.timed_thumbnails
)
_LOOKS_LIKE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def open_input(path: StrPath) -> InputContainer:
    """Open a media file for reading.

    Parameters
    ----------
    path : str or PathLike
        A regular file on this machine. It is taken literally: a URL, ``-`` or
        a pattern such as ``a%03d.png`` names a file of just that name.

    Returns
    -------
    av.container.InputContainer
        The open container; close it, or use it in a ``with`` statement.

    Raises
    ------
    MediaError
        If the file is missing, not a regular file, empty, unreadable, or in no
        format that avalign reads.
    """
    file = local_file(path)
    try:
        container = av.open(
            f"file:{file.absolute()}",
            mode="r",
            container_options={
                "protocol_whitelist": "file",
                "format_whitelist": ",".join(SELF_CONTAINED_FORMATS),
            },
            metadata_errors="surrogateescape",
        )
    except av.error.PermissionError as error:
        raise MediaError(f"{path}: may not be read", "check the file's permissions") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{path}: is not a media file avalign can read ({reason(error)})",
            "give a video or sound file such as mp4, mov, mkv, webm, avi, mpg, ts or wav",
        ) from error
    for stream in container.streams.video:
        if has_decoder(stream):
            stream.codec_context.options = {"max_pixels": str(LARGEST_PICTURE)}
    return container


def local_file(path: StrPath) -> Path:
    """Return `path` as a `Path` once it is known to be a regular, non-empty file."""
    name = os.fspath(path)
    if name == "-":
        raise MediaError("-: standard input cannot be read as a video", "name a file")
    try:
        status = os.stat(name)
    except (OSError, ValueError) as error:
        if _LOOKS_LIKE_URL.match(name) and not os.path.splitdrive(name)[0]:
            raise MediaError(
                f"{name}: only local files are read", "download it and give the file's path"
            ) from error
        if isinstance(error, PermissionError):
            raise MediaError(f"{name}: may not be read", "check the permissions") from error
        raise MediaError(f"{name!s}: no such file", "check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{name}: is a folder", "name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{name}: is not a regular file", "name a file, not a pipe or device")
    if status.st_size == 0:
        raise MediaError(f"{name}: is empty", "check how the file was made or copied")
    return Path(name)


def time_origin_s(container: InputContainer) -> float:
    """Return the file's clock reading, in seconds, that a player shows as zero."""
    if container.format.name in ARBITRARY_CLOCK_FORMATS and container.start_time is not None:
        return container.start_time / av.time_base
    return 0.0


def picture_streams(container: InputContainer) -> list[av.VideoStream]:
    """Return the picture tracks, without cover art and thumbnails."""
    return [stream for stream in container.streams.video if not is_cover(stream)]


def is_cover(stream: Stream) -> bool:
    """Tell whether `stream` is a still beside the programme, such as cover art."""
    return bool(stream.disposition & _ATTACHED)


def has_decoder(stream: Stream) -> bool:
    """Tell whether this build of FFmpeg can decode `stream`."""
    return stream.codec_context is not None


def codec_name(stream: Stream) -> str:
    """Return the name of the codec of `stream`, ``"unknown"`` if FFmpeg has none."""
    return stream.codec_context.codec.canonical_name if has_decoder(stream) else "unknown"


def reason(error: BaseException) -> str:
    """Return FFmpeg's or the system's own words for `error`, without codes and paths."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
