"""Small clips with a known truth: at every event a square flashes and a click sounds.

Everything is made on the spot with PyAV and NumPy, so that tests need no files.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from avalign.media import iter_frames, read_audio

SUFFIX_CODECS = {
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".m4v": ("libx264", "aac"),
    ".mkv": ("libx264", "aac"),
    ".webm": ("libvpx-vp9", "libopus"),
    ".mpg": ("mpeg2video", "mp2"),
    ".ts": ("libx264", "aac"),
    ".avi": ("mpeg4", "libmp3lame"),
}


VARIABLE_CLOCK = Fraction(1, 12800)


@dataclass(frozen=True)
class Recipe:
    """What the clip is like; the defaults make an ordinary 3 s clip."""

    events_s: tuple[float, ...] = (1.0, 2.0)
    duration_s: float = 3.0
    size: tuple[int, int] = (96, 64)
    fps: Fraction = Fraction(25)
    video_codec: str | None = None  # None: the usual one of the container
    video_tag: str | None = None
    audio_codec: str | None = None
    rate_hz: int = 48000
    layout: str = "stereo"
    audio_options: dict[str, str] = field(default_factory=dict)
    sound_tracks: int = 1
    video_start_s: float = 0.0
    audio_start_s: float = 0.0
    gop: int = 12
    b_frames: int = 0
    rotation_deg: int = 0
    pixel_shape: Fraction | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    chapters: tuple[float, ...] = ()  # boundaries in seconds
    container_options: dict[str, str] = field(default_factory=dict)
    format: str | None = None
    frame_times_s: tuple[float, ...] | None = None  # variable frame rate


def make_clip(path: Path, recipe: Recipe = Recipe(), *, picture=True, sound=True) -> Path:
    """Write the clip that `recipe` describes to `path`."""
    codecs = SUFFIX_CODECS.get(path.suffix, ("libx264", "aac"))
    with av.open(
        str(path), "w", format=recipe.format, container_options=recipe.container_options
    ) as out:
        out.metadata.update(recipe.metadata)
        streams = []
        if picture:
            streams.append(_picture_stream(out, recipe, recipe.video_codec or codecs[0]))
        for track in range(recipe.sound_tracks if sound else 0):
            stream = out.add_stream(
                recipe.audio_codec or codecs[1],
                rate=recipe.rate_hz,
                options=recipe.audio_options,
            )
            stream.layout = recipe.layout
            stream.bit_rate = 64000 * stream.layout.nb_channels
            if track < len(recipe.languages):
                stream.metadata["language"] = recipe.languages[track]
            streams.append(stream)
        if recipe.chapters:
            out.set_chapters(_chapters(recipe.chapters))
        feeds = []
        for stream in streams:
            encode = _picture_packets if stream.type == "video" else _sound_packets
            feeds.append(encode(stream, recipe))
        for packet in _interleaved(feeds):
            out.mux(packet)
    return path


def _picture_stream(out, recipe, codec):
    stream = out.add_stream(codec, rate=recipe.fps)
    stream.width, stream.height = recipe.size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.gop_size = recipe.gop
    stream.codec_context.max_b_frames = recipe.b_frames
    if codec == "libx264":
        stream.options = {
            "preset": "ultrafast",
            "sc_threshold": "0",
            "bf": str(recipe.b_frames),
        }
    if codec == "libx265":
        stream.options = {"preset": "ultrafast", "x265-params": "log-level=none"}
    if recipe.video_tag:
        stream.codec_context.codec_tag = recipe.video_tag
    if codec == "libvpx-vp9":
        stream.options = {"cpu-used": "8", "deadline": "realtime"}
    if recipe.frame_times_s is not None:
        stream.time_base = stream.codec_context.time_base = VARIABLE_CLOCK
    if recipe.pixel_shape is not None:
        stream.codec_context.sample_aspect_ratio = recipe.pixel_shape
    if recipe.rotation_deg:
        stream.set_display_rotation(-recipe.rotation_deg)  # ours is clockwise
    return stream


def _picture_packets(stream, recipe):
    width, height = recipe.size
    times = recipe.frame_times_s
    if times is None:
        count = round(recipe.duration_s * recipe.fps)
        times = [float(number / recipe.fps) for number in range(count)]
    half = 0.5 / float(recipe.fps)
    tick = VARIABLE_CLOCK if recipe.frame_times_s is not None else 1 / recipe.fps
    for number, time_s in enumerate(times):
        image = np.full((height, width, 3), 40, np.uint8)
        image[: height // 2, : width // 4] = (200, 30, 30)  # red corner: tells what is up
        image[-4:, : max(1, number % width)] = 90  # no two frames alike
        if any(event - half <= time_s < event + 0.1 - half for event in recipe.events_s):
            image[height // 4 : -height // 4, width // 3 : -width // 4] = 235
        frame = av.VideoFrame.from_ndarray(image)
        frame.pts = round((time_s + recipe.video_start_s) / tick)
        frame.time_base = tick
        yield from stream.encode(frame)
    yield from stream.encode(None)


def click_track(recipe: Recipe) -> np.ndarray:
    """Return the mono sound: faint noise, and 8 ms of a tone from each event on."""
    rate = recipe.rate_hz
    samples = np.random.default_rng(0).normal(0, 0.002, round(recipe.duration_s * rate))
    tone = 0.7 * np.sin(2 * np.pi * 1500 * np.arange(round(0.008 * rate)) / rate)
    for event in recipe.events_s:
        start = round((event - recipe.audio_start_s) * rate)
        samples[start : start + len(tone)] += tone[: max(0, len(samples) - start)]
    return samples.astype(np.float32)


def _sound_packets(stream, recipe):
    mono = click_track(recipe)
    channels = stream.layout.nb_channels
    start = round(recipe.audio_start_s * recipe.rate_hz)
    for begin in range(0, len(mono), 4096):
        block = np.repeat(mono[begin : begin + 4096], channels)[None]
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout=recipe.layout)
        frame.sample_rate = recipe.rate_hz
        frame.time_base = Fraction(1, recipe.rate_hz)
        frame.pts = start + begin
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _chapters(bounds):
    return [
        {
            "id": number + 1,
            "start": round(begin * 1000),
            "end": round(end * 1000),
            "time_base": Fraction(1, 1000),
            "metadata": {"title": f"Part {number + 1}"},
        }
        for number, (begin, end) in enumerate(itertools.pairwise(bounds))
    ]


def _interleaved(feeds):
    """Merge packet iterators by decoding time."""
    heads = [(feed, next(feed, None)) for feed in feeds]
    heads = [(feed, packet) for feed, packet in heads if packet is not None]
    while heads:
        spot = min(range(len(heads)), key=lambda i: heads[i][1].dts * heads[i][1].time_base)
        feed, packet = heads[spot]
        yield packet
        following = next(feed, None)
        if following is None:
            heads.pop(spot)
        else:
            heads[spot] = (feed, following)


def remuxed(source: Path, target: Path, change) -> Path:
    """Copy `source` packet by packet; `change` returns False to drop one."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        streams = {
            s.index: writer.add_stream_from_template(s, opaque=True) for s in reader.streams
        }
        for packet in reader.demux():
            if packet.size and change(packet) is not False:
                packet.stream = streams[packet.stream.index]
                writer.mux(packet)
    return target


def flash_times(frames) -> list[float]:
    """Return when the square lights up, of an iterable of `Frame`."""
    times, lit = [], False
    for frame in frames:
        height, width, _ = frame.image.shape
        middle = frame.image[
            height * 3 // 8 : height * 5 // 8, width * 4 // 10 : width * 6 // 10
        ]
        now = middle.mean() > 140
        if now and not lit:
            times.append(frame.time_s)
        lit = now
    return times


def click_times(stream) -> list[float]:
    """Return when the clicks begin, of an `AudioStream`."""
    loud = np.abs(stream.samples) > 0.25
    first = np.flatnonzero(loud)
    if not len(first):
        return []
    starts = first[np.r_[True, np.diff(first) > 0.1 * stream.sample_rate_hz]]
    return list(stream.start_s + starts / stream.sample_rate_hz)


def packet_hashes(path: Path, kind: str = "video") -> list[tuple[int, list[str]]]:
    """Return the SHA-256 of each packet, for each stream of `kind`."""
    with av.open(str(path)) as container:
        found = {stream.index: [] for stream in container.streams if stream.type == kind}
        for packet in container.demux():
            if packet.size and packet.stream.index in found:
                found[packet.stream.index].append(hashlib.sha256(bytes(packet)).hexdigest())
    return list(found.items())


def lag_of(path: Path, track: int = 0) -> float:
    """Return click time minus flash time of the last event."""
    clicks = click_times(read_audio(path, track=track, rate_hz=48000))
    return clicks[-1] - flash_times(iter_frames(path))[-1]


def packet_times(path: Path, kind: str = "video") -> np.ndarray:
    """Return the presentation times of the packets of the first stream of `kind`."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        times = [
            packet.pts * packet.time_base for packet in container.demux(stream) if packet.size
        ]
    return np.array(times, float)
