"""Begin in the middle of a picture track, with the very packets a read of it all gives."""

from __future__ import annotations

from itertools import dropwhile
from typing import TYPE_CHECKING

import av

from avalign.media.reading.decoding import demux
from avalign.media.reading.opening import time_origin_s
from avalign.media.reading.timeline import packets as read
from avalign.media.reading.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

# Formats whose packets keep their exact times after a seek.
INDEXED_FORMATS = {"asf", "avi", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "nut"}
# Formats without an index, where FFmpeg looks for a time by halving the file. It may
# land inside a packet, which shifts the times of the pictures next to it.
SEARCHED_FORMATS = {"mpeg", "mpegts"}
SETTLING_S = 5.0
# So far into a file, passing over everything before costs more than a search.
FAR_S = 60.0
# Packets to keep in memory while looking for the last key picture.
MOST_HELD = 2000


def packets_from(
    container: InputContainer, stream: av.VideoStream, time_s: float
) -> Iterator[Packet[Stream]]:
    """Yield the packets of a video track from the key frame at or before `time_s` on."""
    # Where that is not found they start behind `time_s`, or there are none.
    if stream.time_base is None:
        return demux(container, stream)
    ticks = round((time_s + time_origin_s(container)) / stream.time_base)
    clock = timeline(container)
    # Where times come twice, or are wrong, none can be sought.
    if container.format.name in INDEXED_FORMATS and clock.is_as_stored:
        return _sought(container, stream, ticks)
    searchable = clock.is_as_stored and clock.is_complete
    if container.format.name in SEARCHED_FORMATS and time_s > FAR_S and searchable:
        settling = round(SETTLING_S / stream.time_base)
        packets = _sought(container, stream, ticks - 2 * settling, ticks - settling)
    else:
        packets = demux(container, stream)
    return _from_last_key(packets, ticks)


def _sought(
    container: InputContainer, stream: av.VideoStream, ticks: int, settled: int | None = None
) -> Iterator[Packet[Stream]]:
    """Go to `ticks`, and yield packets from the next key picture, not before `settled`, on."""
    try:
        container.seek(ticks, stream=stream)
    except av.error.FFmpegError:
        return iter(())
    packets = read(container, stream)
    if settled is not None:
        packets = dropwhile(lambda packet: packet.dts is None or packet.dts < settled, packets)
    return dropwhile(lambda packet: not packet.is_keyframe, packets)


def _from_last_key(packets: Iterator[Packet[Stream]], ticks: int) -> Iterator[Packet[Stream]]:
    """Pass over packets that no picture from `ticks` on needs, without decoding them."""
    held: list[Packet[Stream]] = []
    for packet in packets:
        if packet.is_keyframe:
            if packet.pts is None or packet.pts > ticks:
                held.append(packet)
                break
            held.clear()
        held.append(packet)
        if len(held) > MOST_HELD:
            break
    yield from held
    yield from packets
