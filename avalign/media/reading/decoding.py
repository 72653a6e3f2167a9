"""Decode one stream, whatever its packets are like, and give every frame its time."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, overload

import av

from avalign.errors import MediaError
from avalign.files import StrPath
from avalign.media.reading.opening import (
    codec_name,
    encrypted,
    is_locked,
    open_input,
    time_origin_s,
)
from avalign.media.reading.timeline import packets, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

# How far into a file to look for packets that are encrypted.
FIRST_PACKETS = 500
# A step back beyond this, where the format knows no restarts, is a damaged timestamp.
LONGEST_STEP_BACK_S = 10.0


def demux(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    """Yield the packets of `streams` from the file's start, with times on one clock."""
    return timeline(container).on_one_clock(packets(container, *streams))


@overload
def decode(
    packets: Iterable[Packet[Stream]], stream: av.AudioStream
) -> Iterator[av.AudioFrame]: ...
@overload
def decode(
    packets: Iterable[Packet[Stream]], stream: av.VideoStream
) -> Iterator[av.VideoFrame]: ...
def decode(
    packets: Iterable[Packet[Stream]], stream: av.AudioStream | av.VideoStream
) -> Iterator[av.AudioFrame | av.VideoFrame]:
    """Yield the frames of `packets`; packets that do not decode are passed over."""
    for packet in chain(packets, [None]):  # None: give up what is still held back
        if packet is not None and is_locked(packet):
            continue  # some decoders make noise of it
        with suppress(av.error.FFmpegError, ValueError):
            yield from stream.decode(packet)


def timestamp(container: InputContainer, frame: av.AudioFrame | av.VideoFrame) -> int | None:
    """Return when a decoded frame is presented, in units of its stream's time base."""
    # AVI holds no such times. FFmpeg guesses them, out of order where B-frames are, so there
    # the steps count at which the decoder gives the frames out.
    return frame.dts if container.format.name == "avi" else frame.pts


class StreamClock:
    """Presentation times of the frames of one stream, in decoding order."""

    # A frame without a timestamp follows on from the one before, and so does all that comes
    # after a step back that no stored order of frames explains. A step ahead is a pause.

    def __init__(self, container: InputContainer, stream: Stream) -> None:
        self._origin_s = time_origin_s(container)
        self._time_base = stream.time_base
        self._expected_s: float | None = None

    def place(self, pts: int | None, duration_s: float) -> float:
        """Return when a frame with timestamp `pts` is presented, in seconds."""
        if pts is None or self._time_base is None:
            time_s = self._expected_s or 0.0
        else:
            time_s = float(pts * self._time_base) - self._origin_s
            if self._expected_s is not None:
                step_s = time_s - self._expected_s
                if step_s < -LONGEST_STEP_BACK_S:
                    self._origin_s += step_s
                    time_s = self._expected_s
        self._expected_s = time_s + duration_s
        return time_s


def undecodable(path: StrPath, stream: Stream) -> MediaError:
    """Return the complaint that nothing of a stream could be decoded."""
    with (
        suppress(MediaError, av.error.FFmpegError, ValueError, IndexError),
        open_input(path) as container,
    ):
        if any(map(is_locked, islice(container.demux(), FIRST_PACKETS))):
            return encrypted(path)
    return MediaError(
        f"{path}: none of its {describe(stream)} could be decoded",
        "the file may be truncated or damaged; check that it plays",
    )


def describe(stream: Stream) -> str:
    """Return a stream's kind and codec for messages, such as ``"aac sound"``."""
    kind = "sound" if stream.type == "audio" else "picture"
    return f"{codec_name(stream)} {kind}"
