"""Copy one stream into another file: its header once, its packets with new times."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av

from avalign.media.containers import StartTime
from avalign.media.decoding import demux
from avalign.media.opening import StrPath, has_decoder, open_input, time_origin_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

    from avalign.media.containers import Container

__all__ = [
    "Route",
    "add_copied_stream",
    "add_cover",
    "origin_shift",
    "routed",
    "same_family",
    "sound_route",
    "track_tags",
]

# Decoders need a packet or two before the first that is heard.
WARM_UP_PACKETS = 2


@dataclass(slots=True)
class Route:
    """Where the packets of one input stream go, and when.

    Parameters
    ----------
    out : av.stream.Stream
        The stream to write to.
    shift : int
        What to add to timestamps, in units of the input's time base.
    earliest : int or None
        Packets before this new time are left out; None keeps all.
    warm_up : int
        How many packets before `earliest` stay in, for the decoder's sake.
    keep_priming : bool
        Let the first packet set `earliest` where it lies before zero.
    blank : bytes or None
        Packets of just this are left out.
    """

    out: Stream
    shift: int = 0
    earliest: int | None = None
    warm_up: int = 0
    keep_priming: bool = False
    blank: bytes | None = None

    def takes(self, packet: Packet[Stream]) -> bool:
        """Give `packet` its new time and stream; tell whether it is to be written."""
        pts = packet.pts if packet.pts is not None else packet.dts or 0
        if self.keep_priming and self.earliest is not None:
            self.earliest = min(self.earliest, pts)
            self.keep_priming = False
        packet.pts = pts + self.shift
        if packet.dts is not None:  # else the muxer finds it from its neighbours
            packet.dts += self.shift
        packet.stream = self.out
        if self.blank is not None and bytes(packet) == self.blank:
            return False
        if self.earliest is None:
            return True
        if self.warm_up == 0:
            return packet.pts >= self.earliest
        return packet.pts + (1 + self.warm_up) * (packet.duration or 0) > self.earliest


def same_family(container: InputContainer, kind: Container) -> bool:
    """Tell whether `kind` is the format that `container` was read from."""
    return kind.muxer in container.format.name.split(",")


def routed(
    packets: Iterable[Packet[Stream]], routes: Mapping[int, Route]
) -> Iterator[Packet[Stream]]:
    """Yield those of `packets` that are to be written, with their new times."""
    for packet in packets:
        if routes[packet.stream.index].takes(packet):
            yield packet


def add_copied_stream(
    out: OutputContainer, container: InputContainer, stream: Stream, keep_tag: bool
) -> Stream:
    """Add a stream to `out` with the codec parameters, tags and disposition of `stream`.

    Raises
    ------
    ValueError
        If `out` cannot hold such a stream.
    """
    copied = out.add_stream_from_template(stream, opaque=True)
    copied.metadata.update(track_tags(stream))
    copied.disposition = stream.disposition
    if keep_tag and has_decoder(stream):
        with suppress(UnicodeError):
            copied.codec_context.codec_tag = stream.codec_context.codec_tag
    if out.format.name == "mpegts" and container.format.name == "mpegts":
        copied.id = stream.id
    return copied


def track_tags(stream: Stream) -> dict[str, str]:
    """Return the tags of a track as muxers want them.

    FFmpeg reads a track's name in MP4 and MOV as ``name``, but every muxer takes it as
    ``title``.
    """
    tags = dict(stream.metadata)
    if "name" in tags:
        tags.setdefault("title", tags.pop("name"))
    return tags


def add_cover(out: OutputContainer, path: StrPath, picture: Stream) -> None:
    """Attach the cover art of `path` to a Matroska file, which keeps it beside the streams."""
    with open_input(path) as container:
        data = b"".join(
            bytes(packet) for packet in demux(container, container.streams[picture.index])
        )
    name = picture.metadata.get("filename", "cover.jpg")
    out.add_attachment(name, picture.metadata.get("mimetype", "image/jpeg"), data)


def origin_shift(container: InputContainer, stream: Stream) -> int:
    """Return what brings the timestamps of `stream` to the file's zero."""
    time_base = stream.time_base
    return -round(time_origin_s(container) / time_base) if time_base else 0


def sound_route(
    out: Stream,
    container: InputContainer,
    stream: av.AudioStream,
    kind: Container,
    shift_s: float,
    start_s: float,
) -> Route:
    """Return the route of a sound track moved by `shift_s`.

    Sound before zero cannot be played. Where an edit list hides it to the
    sample, a few packets before the first audible one stay in the file; else
    the first packet written is the first that begins at zero or later.
    """
    time_base = stream.time_base
    assert time_base is not None
    shift = round(shift_s / time_base) + origin_shift(container, stream)
    if kind.start_time is StartTime.EDIT_LIST:
        earliest_s = max(0.0, start_s + shift_s)
        return Route(out, shift, round(earliest_s / time_base), WARM_UP_PACKETS)
    if kind.start_time is StartTime.TIMESTAMPS:
        priming_kept = same_family(container, kind) and "matroska" in container.format.name
        return Route(out, shift, 0, keep_priming=priming_kept)
    return Route(out, shift)
