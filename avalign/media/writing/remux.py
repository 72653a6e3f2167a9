"""Write a file anew, stream by stream, with its sound moved in time."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
from av.stream import Discard

from avalign.errors import MediaError
from avalign.files import StrPath
from avalign.media.reading.audio_track import audio_stream
from avalign.media.reading.decoding import demux
from avalign.media.reading.opening import (
    codec_name,
    has_decoder,
    is_cover,
    open_input,
    video_streams,
)
from avalign.media.reading.programmes import programmes
from avalign.media.writing.containers import Container, StartTime, is_pcm, plays_in
from avalign.media.writing.encoding import add_encoded_stream, encode_packets
from avalign.media.writing.output import open_output
from avalign.media.writing.stream_copy import (
    Route,
    add_copied_stream,
    add_cover,
    audio_route,
    is_in_order,
    origin_shift_s,
    route_packets,
    same_family,
    track_tags,
)

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

# Stands between two captions; the muxer writes its own.
BLANK_CAPTION = b"\0\0"
# Written by the muxer itself.
BRAND_TAGS = {"major_brand", "minor_version", "compatible_brands"}
# Tags that people write, and would miss.
AUTHORED_TAGS = {"title", "artist", "ARTIST", "album", "comment", "copyright", "date"}
# Ordinary .mpg files have one or two odd times at their end.
FEW_STEPS_BACK = 4
# Tags that only QuickTime's "mdta" list can hold.
PHONE_TAGS = ("com.apple.", "com.android.")


@dataclass(frozen=True, slots=True)
class OutputAudio:
    """An audio track of the output, moved by `shift_s` (positive: later), copied or encoded."""

    path: StrPath
    track: int
    shift_s: float
    start_s: float  # in its own file
    encode: bool


@dataclass(frozen=True, slots=True)
class Written:
    """Whether audio was encoded again, and what could not be kept, in words."""

    encoded: bool
    notes: tuple[str, ...]


def remux(
    source: StrPath,
    audio_tracks: tuple[OutputAudio, ...],
    kind: Container,
    temporary: Path,
    progress: Callable[[float], None] | None = None,
) -> Written:
    """Write `source`, with `audio_tracks` for its audio tracks, to `temporary`."""
    # OSError if the system or the container refuses a write.
    try:
        # What a muxer has against a codec tag or a data stream it tells only now.
        for keep_tags, keep_data in ((True, True), (False, True), (False, False)):
            with ExitStack() as stack:
                container = stack.enter_context(open_input(source))
                out = stack.enter_context(_open_output(temporary, source, container, kind))
                plan = _Plan(container, out, kind, stack, keep_tags, keep_data)
                plan.add_streams(source, audio_tracks)
                try:
                    out.start_encoding()
                    _write(plan, source, progress)
                except (av.error.ArgumentError, av.error.InvalidDataError):
                    if not keep_data:
                        raise
                    continue
                return Written(plan.encoded, (*plan.notes, *plan.note_steps_back()))
    except av.error.FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error
    raise AssertionError("the last attempt returns or raises")


def _begins_with_index(path: StrPath) -> bool:
    """Tell whether an MP4 or MOV has its index before its pictures, as for the web."""
    with open(path, "rb") as file:
        while len(head := file.read(16)) >= 8:
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if kind in (b"moov", b"mdat"):
                return kind == b"moov"
            if size == 1:
                size = int.from_bytes(head[8:], "big")
            if size < 8:
                break
            file.seek(size - len(head), os.SEEK_CUR)
    return False


def _open_output(
    temporary: Path, source: StrPath, container: InputContainer, kind: Container
) -> AbstractContextManager[OutputContainer]:
    options = dict(kind.options)
    if same_family(container, kind) and "matroska" in container.format.name:
        # Priming lies before zero there, and is written without moving the rest.
        options["avoid_negative_ts"] = "disabled"
    if kind.start_time is StartTime.EDIT_LIST:
        flags = []
        if any(tag.startswith(PHONE_TAGS) for tag in container.metadata):
            flags.append("use_metadata_tags")
        if _begins_with_index(source):
            flags.append("faststart")
        if flags:
            options["movflags"] = "+".join(["", *flags])
    return open_output(temporary, kind.muxer, options)


class _Plan:
    """The streams of an output, and where their packets come from."""

    def __init__(
        self,
        container: InputContainer,
        out: OutputContainer,
        kind: Container,
        stack: ExitStack,
        keep_tags: bool,
        keep_data: bool,
    ) -> None:
        self.container = container
        self.routes: dict[int, Route] = {}
        self.other_routes: list[Route] = []
        self.out = out
        self.feeds: list[Iterator[Packet[Stream]]] = []
        self.notes: list[str] = []
        self.encoded = False
        self._kind = kind
        self._stack = stack
        self._keep_tags = keep_tags and same_family(container, kind)
        self._keep_data = keep_data

    def add_streams(self, source: StrPath, audio_tracks: tuple[OutputAudio, ...]) -> None:
        """Add everything of the source in its order, `audio_tracks` in place of its own."""
        tags = self.container.metadata.items()
        own_tags = {tag: text for tag, text in tags if tag not in BRAND_TAGS}
        self.out.metadata.update(own_tags)
        chapters = self.container.chapters()
        self.out.set_chapters(chapters)
        if chapters and not self._kind.has_chapters:
            self.notes.append(f"chapters were left out: {self._kind.muxer} has none")
        if own_tags.keys() & AUTHORED_TAGS and not self._kind.has_tags:
            self.notes.append(
                f"title and other tags were left out: {self._kind.muxer} has none"
            )
        timed = any("timecode" in track_tags(stream) for stream in self.container.streams)
        if timed and not self._kind.has_time_code:
            self.notes.append(f"the time code was left out: {self._kind.muxer} has none")
        count = len(programmes(source))
        if count > 1:
            self.notes.append(f"the tracks of its {count} programmes were put into one")
        waiting = list(audio_tracks)
        own = all(audio.path == source for audio in audio_tracks)
        for stream in self.container.streams:
            if not isinstance(stream, av.AudioStream):
                self._add_other(stream, source)
            elif own and not has_decoder(stream):
                self._leave_out_audio(stream)
            elif waiting:
                self._add_audio(waiting.pop(0), source)
        for audio in waiting:
            self._add_audio(audio, source)

    def _add_other(self, stream: Stream, source: StrPath) -> None:
        if stream.discard == Discard.all or (
            stream.type == "data" and "timecode" in stream.metadata
        ):
            # Chapter titles or a time code: the muxer writes such a track itself.
            return
        if stream.type == "data" and not self._keep_data:
            self._leave_out(stream)
            return
        if (
            (stream.type == "attachment" and not self._kind.has_attachments)
            or (is_cover(stream) and not self._kind.holds_video(codec_name(stream)))
            or (
                stream.type == "subtitle" and not self._kind.holds_subtitles(codec_name(stream))
            )
        ):
            self._leave_out(stream)
            return
        try:
            if is_cover(stream) and "matroska" in self._kind.muxer:
                add_cover(self.out, source, stream)
                return
            copied = add_copied_stream(self.out, self.container, stream, self._keep_tags)
        except ValueError:
            # A picture that nobody can decode was not measured, either.
            if stream.type == "video" and not is_cover(stream) and has_decoder(stream):
                raise MediaError(
                    f"{self._kind.muxer} cannot hold {codec_name(stream)} pictures",
                    "keep the ending of the source",
                ) from None
            self._leave_out(stream)
            return
        blank = BLANK_CAPTION if codec_name(stream) == "mov_text" else None
        self.routes[stream.index] = Route(
            copied,
            origin_shift_s(self.container),
            blank=blank,
            in_order=is_in_order(self.container, stream),
        )

    def note_steps_back(self) -> tuple[str, ...]:
        """Tell, once all is written, of clocks that ran back."""
        count = sum(route.steps_back for route in (*self.routes.values(), *self.other_routes))
        if count < FEW_STEPS_BACK:
            return ()
        return (f"the times of {count} packets ran back: they were moved on or left out",)

    def _leave_out(self, stream: Stream) -> None:
        unknown = stream.type in ("video", "subtitle") and not has_decoder(stream)
        why = "nothing here knows its codec" if unknown else "not allowed there"
        self.notes.append(f"{stream.type} stream {stream.index} was left out: {why}")

    def _leave_out_audio(self, stream: Stream) -> None:
        number = self.container.streams.audio.index(stream)
        self.notes.append(f"sound track {number} was left out: nothing here knows its codec")

    def _add_audio(self, audio: OutputAudio, source: StrPath) -> None:
        own = audio.path == source
        container = self.container if own else self._stack.enter_context(open_input(audio.path))
        stream = audio_stream(container, audio.path, audio.track)
        copied = None
        if not audio.encode:
            with suppress(ValueError):
                # Every family of containers numbers codecs in its own way, and FFmpeg
                # writes PCM into MP4 by the standard's name alone, not by QuickTime's.
                keep_tag = (
                    self._keep_tags
                    and same_family(container, self._kind)
                    and not (is_pcm(codec_name(stream)) and not self._kind.holds_pcm)
                )
                copied = add_copied_stream(self.out, container, stream, keep_tag)
        if copied is None:
            self._add_encoded(audio, stream)
            return
        route = audio_route(copied, container, self._kind, audio.shift_s, audio.start_s)
        if own:
            self.routes[stream.index] = route
        else:
            self.other_routes.append(route)
            self.feeds.append(route_packets(demux(container, stream), {stream.index: route}))

    def _add_encoded(self, audio: OutputAudio, stream: av.AudioStream) -> None:
        name = codec_name(stream)
        coded = add_encoded_stream(
            self.out,
            stream,
            same_codec=plays_in(self._kind, name),
            lossless=is_pcm(name) and self._kind.holds_pcm,
        )
        coded.metadata.update(track_tags(stream))
        coded.disposition = stream.disposition
        self.encoded = True
        trim = self._kind.start_time is StartTime.NONE
        self.feeds.append(
            encode_packets(audio.path, audio.track, audio.shift_s, coded, trim_priming=trim)
        )
        why = "start it at another time" if trim else f"hold {name} sound"
        written = coded.codec_context.codec.canonical_name
        reason = f"{self._kind.muxer} cannot {why}"
        if is_pcm(name) and is_pcm(written):
            reason += ", and nothing is lost"
        elif not trim:
            reason += ", and an .mkv can" if not is_pcm(name) else ", and a .mov can"
        self.notes.append(
            f"sound track {audio.track} was encoded again, as {written}: {reason}"
        )


def _write(plan: _Plan, source: StrPath, progress: Callable[[float], None] | None) -> None:
    """Write all packets of `plan`, roughly in the order of their times."""
    size = os.path.getsize(source)
    videos = {stream.index for stream in video_streams(plan.container)}
    seen = False
    wanted = [plan.container.streams[index] for index in plan.routes]

    def own() -> Iterator[Packet[Stream]]:
        nonlocal seen
        for packet in demux(plan.container, *wanted):
            seen = seen or packet.stream.index in videos
            if progress is not None and packet.pos is not None:
                progress(min(1.0, packet.pos / size))
            yield packet

    feeds = [route_packets(own(), plan.routes), *plan.feeds]
    for packet in heapq.merge(*feeds, key=_decoding_time_s):
        plan.out.mux(packet)
    if progress is not None:
        progress(1.0)
    if not seen:
        raise MediaError(f"{source}: no picture could be read from it")


def _decoding_time_s(packet: Packet[Stream]) -> float:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return float((ticks or 0) * packet.time_base)
