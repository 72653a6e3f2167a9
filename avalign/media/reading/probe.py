"""What a media file holds."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import av

from avalign.files import StrPath
from avalign.media.reading.decoding import demux, timestamp
from avalign.media.reading.geometry import UPRIGHT, orientation, shown_size
from avalign.media.reading.opening import (
    ARBITRARY_CLOCK_FORMATS,
    codec_name,
    encrypted,
    has_decoder,
    is_locked,
    open_input,
    time_origin_s,
    video_streams,
)
from avalign.media.reading.timeline import timeline
from avalign.types import AudioTrack, MediaClip, VideoTrack

if TYPE_CHECKING:
    from fractions import Fraction

    from av.container import InputContainer

# How far into the file to look for the first frame of every track.
FIRST_PACKETS = 1000
# A file that says it is longer than this is damaged: the work is planned by what is believed.
LONGEST_S = 24 * 3600.0
# Below this, a track starts with the file, give or take what its encoder needs.
LATE_START_S = 1.0


def as_clip(source: StrPath | MediaClip) -> MediaClip:
    """Probe a file that was not probed yet.

    Parameters
    ----------
    source : str, PathLike or MediaClip
        A file, or what `probe` told of it.

    Returns
    -------
    MediaClip
        What it holds.

    Raises
    ------
    MediaError
        As `probe`.
    """
    return source if isinstance(source, MediaClip) else probe(source)


def probe(path: StrPath) -> MediaClip:
    """Tell what a media file holds, with times as a player shows them.

    Parameters
    ----------
    path : str or PathLike
        A local file.

    Returns
    -------
    MediaClip
        The tracks of the file; cover art is no picture track.

    Raises
    ------
    MediaError
        If the file cannot be read as a media file.
    """
    with open_input(path) as container:
        audios, videos = container.streams.audio, video_streams(container)
        first = _first_frames(path, container, *audios, *videos)
        duration_s = None
        if container.duration is not None:
            duration_s = _length_s(container, container.duration / av.time_base)
        return MediaClip(
            path=Path(path),
            format_name=container.format.name,
            duration_s=duration_s,
            audio_tracks=tuple(
                _audio_track(container, stream, index, first.get(stream.index))
                for index, stream in enumerate(audios)
            ),
            video_tracks=tuple(
                _video_track(container, stream, index, first.get(stream.index))
                for index, stream in enumerate(videos)
            ),
            restarts=timeline(container).restarts,
        )


def _first_frames(
    path: StrPath, container: InputContainer, *streams: av.AudioStream | av.VideoStream
) -> dict[int, av.AudioFrame | av.VideoFrame]:
    """Decode the first frame of every stream, which alone knows rotation and true start."""
    frames: dict[int, av.AudioFrame | av.VideoFrame] = {}
    missing = {stream.index: stream for stream in streams if has_decoder(stream)}
    for packet in islice(demux(container, *streams), FIRST_PACKETS):
        stream = missing.get(packet.stream.index)
        if stream is None:
            continue
        if is_locked(packet):
            raise encrypted(path)  # some decoders make pictures of it, of noise
        with suppress(av.error.FFmpegError, ValueError):
            for frame in stream.decode(packet)[:1]:
                frames[stream.index] = frame
                del missing[stream.index]
        if not missing:
            break
    return frames


def _audio_track(
    container: InputContainer,
    stream: av.AudioStream,
    index: int,
    first: av.AudioFrame | av.VideoFrame | None,
) -> AudioTrack:
    known = has_decoder(stream)
    start_s = _start_s(container, stream, first)
    return AudioTrack(
        index=index,
        codec=codec_name(stream),
        sample_rate_hz=stream.sample_rate if known else 0,
        channels=stream.channels if known else 0,
        start_s=start_s,
        duration_s=_duration_s(container, stream, start_s),
        language=_language(stream),
        channel_names=tuple(each.name for each in stream.layout.channels) if known else (),
        dispositions=tuple(
            each.name or "" for each in av.stream.Disposition if each & stream.disposition
        ),
    )


def _video_track(
    container: InputContainer,
    stream: av.VideoStream,
    index: int,
    first: av.AudioFrame | av.VideoFrame | None,
) -> VideoTrack:
    turned = orientation(first) if isinstance(first, av.VideoFrame) else UPRIGHT
    width, height = shown_size(stream) if has_decoder(stream) else (0, 0)
    start_s = _start_s(container, stream, first)
    return VideoTrack(
        index=index,
        codec=codec_name(stream),
        width=height if turned.transposed else width,
        height=width if turned.transposed else height,
        frame_rate=_rate(stream.average_rate) or _rate(stream.guessed_rate),
        rotation_deg=turned.rotation_deg,
        start_s=start_s,
        duration_s=_duration_s(container, stream, start_s),
    )


def _rate(rate: Fraction | None) -> Fraction | None:
    return rate if rate else None


def _start_s(
    container: InputContainer,
    stream: av.stream.Stream,
    first: av.AudioFrame | av.VideoFrame | None,
) -> float:
    start = None if first is None else timestamp(container, first)
    if start is None:
        start = stream.start_time
    if start is None or stream.time_base is None:
        return 0.0
    return float(start * stream.time_base) - time_origin_s(container)


def _duration_s(
    container: InputContainer, stream: av.stream.Stream, start_s: float
) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return _length_s(container, float(stream.duration * stream.time_base))
    tagged_s = _clock_s(stream.metadata.get("DURATION"))
    if tagged_s is None:
        return None
    if LATE_START_S < start_s < tagged_s - time_origin_s(container):
        tagged_s -= start_s  # FFmpeg writes the end there
    return _length_s(container, tagged_s)


def _length_s(container: InputContainer, declared_s: float) -> float | None:
    """Hold what a file says of its length against its clock."""
    clock = timeline(container)
    if clock.restarts:
        return clock.span_s[1] - clock.span_s[0]
    if container.format.name not in ARBITRARY_CLOCK_FORMATS:
        # It is the reading at the end of a clock that was running when the file begins.
        origin_s = time_origin_s(container)
        declared_s -= origin_s if declared_s > origin_s else 0.0
    return _plausible_length(declared_s)


def _clock_s(text: str | None) -> float | None:
    """Read ``HH:MM:SS.fraction``, how Matroska's tags spell a track's length or end."""
    try:
        hours, minutes, seconds = (text or "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (ValueError, OverflowError):
        return None


def _plausible_length(duration_s: float | None) -> float | None:
    """Pass on what can be a length."""
    return duration_s if duration_s is not None and 0 <= duration_s <= LONGEST_S else None


def _language(stream: av.stream.Stream) -> str | None:
    language = stream.language
    return None if language in (None, "", "und") else language
