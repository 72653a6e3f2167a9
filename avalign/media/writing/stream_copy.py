"""Copy one stream into another file: its header once, its packets with new times."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from avalign.files import StrPath
from avalign.media.reading.decoding import demux
from avalign.media.reading.opening import has_decoder, open_input, time_origin_s
from avalign.media.writing.containers import StartTime
from avalign.media.writing.packet_clock import PacketClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

    from avalign.media.writing.containers import Container

# Decoders need a packet or two before the first that is heard.
WARM_UP_PACKETS = 2


@dataclass(slots=True)
class Route:
    """Where the packets of one input stream go, and when."""

    out: Stream
    shift_s: Fraction = Fraction(0)
    # Packets before this new time are left out, but for `warm_up` for the decoder's sake; a
    # first packet before zero sets it where priming is kept.
    earliest_s: Fraction | None = None
    warm_up: int = 0
    keep_priming: bool = False
    blank: bytes | None = None  # packets of just this are left out
    in_order: bool = False  # shown when decoded, whatever FFmpeg guesses
    _clock: PacketClock = field(init=False)
    _earliest: int | None = field(default=None, init=False)
    _hidden: list[Packet[Stream]] = field(default_factory=list, init=False)
    _shown: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._clock = PacketClock(self.out, self.shift_s)

    @property
    def steps_back(self) -> int:
        """How many packets had a time before that of the packet in front of them."""
        return self._clock.steps_back

    def ready(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """Yield what is to be written now that `packet` is read, with its new time."""
        # Of what an edit list hides, frames are needed that a shown one is decoded from, and
        # the audio in front, which warms up the decoder.
        packets = [packet]
        if self.out.type == "video":
            if packet.is_keyframe:
                self._hidden.clear()  # nothing was decoded from these
            packets = [*self._hidden, packet]
            self._hidden = packets if packet.is_discard else []
        if packet.is_discard and (self._shown or self.out.type == "video"):
            return
        self._shown = self._shown or not packet.is_discard
        yield from filter(self._takes, packets)

    def _takes(self, packet: Packet[Stream]) -> bool:
        """Give `packet` its new time and stream; tell whether it is to be written."""
        if self.keep_priming and self.earliest_s is not None and packet.pts is not None:
            self.earliest_s = min(self.earliest_s, packet.pts * packet.time_base)
            self.keep_priming = False
        if self.blank is not None and bytes(packet) == self.blank:
            return False
        if self.in_order:
            packet.pts = packet.dts
        if not self._clock.place(packet):
            return False
        if self.earliest_s is None or packet.pts is None:
            return True
        if self._earliest is None:
            self._earliest = round(self.earliest_s / packet.time_base)
        if self.warm_up == 0:
            return packet.pts >= self._earliest
        return packet.pts + (1 + self.warm_up) * (packet.duration or 0) > self._earliest


def same_family(container: InputContainer, kind: Container) -> bool:
    """Tell whether `kind` is the format that `container` was read from."""
    return kind.muxer in container.format.name.split(",")


def route_packets(
    packets: Iterable[Packet[Stream]], routes: Mapping[int, Route]
) -> Iterator[Packet[Stream]]:
    """Yield those of `packets` that are to be written, with their new times."""
    for packet in packets:
        yield from routes[packet.stream.index].ready(packet)


def is_in_order(container: InputContainer, stream: Stream) -> bool:
    """Tell whether `stream` has frames without times, each shown when it is decoded."""
    # AVI counts its packets only. FFmpeg makes times of that, late by a frame for H.264.
    return (
        container.format.name == "avi"
        and isinstance(stream, av.VideoStream)
        and not stream.codec_context.has_b_frames
    )


def add_copied_stream(
    out: OutputContainer, container: InputContainer, stream: Stream, keep_tag: bool
) -> Stream:
    """Add `stream` as it is, with its tags; ValueError if `out` cannot hold it."""
    copied = out.add_stream_from_template(stream, opaque=True)
    copied.metadata.update(track_tags(stream))
    copied.disposition = stream.disposition
    if isinstance(stream, av.VideoStream) and isinstance(copied, av.VideoStream):
        _keep_time_code(copied, stream)
    if keep_tag and has_decoder(stream):
        with suppress(UnicodeError):
            copied.codec_context.codec_tag = stream.codec_context.codec_tag
    if out.format.name == "mpegts" and container.format.name == "mpegts":
        copied.id = stream.id
    return copied


def _keep_time_code(copied: av.VideoStream, stream: av.VideoStream) -> None:
    if "timecode" in track_tags(stream) and stream.guessed_rate:
        # The muxer makes a track of it, which counts pictures.
        copied.codec_context.framerate = stream.guessed_rate


def track_tags(stream: Stream) -> dict[str, str]:
    """Return the tags of a track as muxers want them."""
    # FFmpeg reads a track's name in MP4 and MOV as ``name``, but every muxer takes it as
    # ``title``. Matroska's tags are in capitals.
    tags = dict(stream.metadata)
    for read, written in (("name", "title"), ("TIMECODE", "timecode")):
        if read in tags:
            tags.setdefault(written, tags.pop(read))
    return tags


def add_cover(out: OutputContainer, path: StrPath, picture: Stream) -> None:
    """Attach the cover art of `path` to a Matroska file, which keeps it beside the streams."""
    with open_input(path) as container:
        data = b"".join(
            bytes(packet) for packet in demux(container, container.streams[picture.index])
        )
    name = picture.metadata.get("filename", "cover.jpg")
    out.add_attachment(name, picture.metadata.get("mimetype", "image/jpeg"), data)


def origin_shift_s(container: InputContainer) -> Fraction:
    """Return what brings timestamps to the file's zero."""
    return -Fraction(time_origin_s(container))


def audio_route(
    out: Stream,
    container: InputContainer,
    kind: Container,
    shift_s: float,
    start_s: float,
) -> Route:
    """Return the route of an audio track moved by `shift_s`."""
    # Audio before zero cannot be played. Where an edit list hides it to the sample, a few
    # packets before the first audible one stay; else the first one written begins at zero or
    # later.
    shift = Fraction(shift_s) + origin_shift_s(container)
    if kind.start_time is StartTime.EDIT_LIST:
        earliest_s = Fraction(max(0.0, start_s + shift_s))
        return Route(out, shift, earliest_s, WARM_UP_PACKETS)
    if kind.start_time is StartTime.TIMESTAMPS:
        priming_kept = same_family(container, kind) and "matroska" in container.format.name
        return Route(out, shift, Fraction(0), keep_priming=priming_kept)
    return Route(out, shift)
