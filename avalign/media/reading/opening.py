"""Open one named local file, and nothing else.

A media file is hostile until proven otherwise: playlists, ``concat`` scripts,
image sequences and session descriptions make FFmpeg open other files and hosts.
Only container formats that hold their own data are let in, over the ``file``
protocol alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import av

from avalign.errors import MediaError, NoFaceError, ParameterError
from avalign.files import StrPath, local_file

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

SELF_CONTAINED_FORMATS = (
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dts",
    "dv", "eac3", "flac", "flv", "gxf", "h264", "hevc", "ivf", "m4v", "matroska", "mov", "mp3",
    "mpc", "mpc8", "mpeg", "mpegts", "mpegvideo", "mxf", "nut", "obu", "ogg", "rm", "tta",
    "w64", "wav", "wtv", "wv", "yuv4mpegpipe",
)  # fmt: skip

# Their clock starts anywhere (a broadcast may begin at 26 hours), so players
# show the earliest stream's start as zero. Elsewhere zero is the file's own, unless
# nothing at all begins for a minute: what a live stream is cut from has run for hours.
ARBITRARY_CLOCK_FORMATS = {"mpeg", "mpegts", "mpegvideo"}
LATEST_START_S = 60.0

# Pixels of the largest picture that is decoded, three times those of 8K. A few bytes can
# promise any number of them.
LARGEST_FRAME = 100_000_000

_ATTACHED = (
    av.stream.Disposition.attached_pic
    | av.stream.Disposition.still_image
    | av.stream.Disposition.timed_thumbnails
)


def open_input(path: StrPath) -> InputContainer:
    """Open a regular local file, whose name is no URL and no pattern, for reading."""
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
        if _is_segment(file):
            raise MediaError(
                f"{path}: is one segment of a stream, which says nothing of its tracks",
                "put its init segment before it: cat init.mp4 SEGMENT > whole.mp4",
            ) from error
        raise MediaError(
            f"{path}: is not a media file avalign can read ({reason(error)})",
            "give a video or sound file such as mp4, mov, mkv, webm, avi, mpg, ts or wav",
        ) from error
    for stream in container.streams.video:
        if has_decoder(stream):
            stream.codec_context.options = {"max_pixels": str(LARGEST_FRAME)}
    return container


def time_origin_s(container: InputContainer) -> float:
    """Return the file's clock reading, in seconds, that a player shows as zero."""
    start_s = (container.start_time or 0) / av.time_base
    if container.format.name in ARBITRARY_CLOCK_FORMATS or start_s > LATEST_START_S:
        return start_s
    return 0.0


def _is_segment(file: Path) -> bool:
    """Whether a file begins as a segment of DASH or HLS does, without what describes it."""
    try:
        with file.open("rb") as opened:
            head = opened.read(8)
    except OSError:
        return False
    return head[4:] in (b"styp", b"moof", b"sidx")


def is_locked(packet: Packet[Stream]) -> bool:
    """Tell whether a packet is encrypted, as by a service for films."""
    return packet.has_sidedata("encryption_info")


def encrypted(path: StrPath) -> MediaError:
    """Return the complaint that a file is encrypted."""
    return MediaError(
        f"{path}: is encrypted", "give a copy of it without copy protection (DRM)"
    )


def video_streams(container: InputContainer) -> list[av.VideoStream]:
    """Return the picture tracks, without cover art and thumbnails."""
    return [stream for stream in container.streams.video if not is_cover(stream)]


def video_stream(container: InputContainer, path: StrPath, track: int) -> av.VideoStream:
    """Return video track number `track` of an open file; refuse one that cannot be decoded."""
    streams = video_streams(container)
    check_video_track(path, len(streams), track)
    if not has_decoder(streams[track]):
        raise MediaError(f"{path}: the codec of its picture track is not known")
    width, height = streams[track].width, streams[track].height
    if width * height > LARGEST_FRAME:
        raise MediaError(
            f"{path}: its picture of {width} x {height} is too large, beyond "
            f"{LARGEST_FRAME // 10**6} million pixels",
            "scale it down first, such as with: ffmpeg -i IN -vf scale=1920:-2 -c:a copy OUT",
        )
    return streams[track]


def check_video_track(path: StrPath, count: int, track: int) -> None:
    """Refuse a picture track that a file does not have.

    Parameters
    ----------
    path : str or Path
        The file, for the message.
    count : int
        How many picture tracks it has.
    track : int
        The one that is asked for, from 0.

    Raises
    ------
    NoFaceError
        The file has no picture track.
    ParameterError
        It has no such track.
    """
    if count == 0:
        raise NoFaceError(f"{path}: has no picture track", "give a file with a picture in it")
    if not 0 <= track < count:
        names = "picture track 0" if count == 1 else f"picture tracks 0 to {count - 1}"
        raise ParameterError(f"{path}: no picture track {track}", f"it has {names}")


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
