"""Encode a sound track anew, padded or trimmed so that it starts with the file."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

import av
import numpy as np

from avalign.errors import MediaError
from avalign.media.reading.opening import codec_name
from avalign.media.writing.channels import Channels, open_channels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from numpy.typing import NDArray

    from avalign.files import StrPath

ENCODERS = {"mp3": "libmp3lame", "opus": "libopus"}
# Bits per second; the higher ones are refused at low sample rates.
BIT_RATES = (128_000, 64_000, 32_000)
MOST_PER_CHANNEL = 160_000
BLOCK = 4096


def add_encoded_stream(
    out: OutputContainer,
    template: av.AudioStream,
    *,
    same_codec: bool,
    lossless: bool = False,
) -> av.AudioStream:
    """Add an audio stream to `out` that is as like `template` as can be."""
    # Prefers the codec of the template (`same_codec`), PCM deep enough for it (`lossless`), or
    # the one that is usual in the container.
    usual, own = out.default_audio_codec, codec_name(template)
    names = [own] if same_codec else []
    if lossless:
        deep = template.codec_context.format.bytes > 2
        names.append("pcm_s24le" if deep else "pcm_s16le")
    names.append(usual)
    layouts = [template.layout.name, "stereo"]
    wanted = min(template.bit_rate or 0, MOST_PER_CHANNEL * template.layout.nb_channels)
    bit_rates = [wanted, *BIT_RATES] if wanted > BIT_RATES[0] else BIT_RATES
    for name, layout, bit_rate in product(names, layouts, bit_rates):
        encoder = ENCODERS.get(name, name)
        try:
            rate = _nearest_rate(encoder, template.sample_rate)
            _opened(encoder, rate, layout, bit_rate)
            stream = out.add_stream(encoder, rate=rate)
        except (av.error.FFmpegError, ValueError):
            continue  # no such encoder, or not like this, or not in this container
        assert isinstance(stream, av.AudioStream)
        stream.layout = layout
        stream.bit_rate = bit_rate
        return stream
    raise MediaError(
        f"{own} sound cannot be written as {out.format.name}", "write an .mkv or .mp4 instead"
    )


def encode_packets(
    path: StrPath, track: int, shift_s: float, out: av.AudioStream, *, trim_priming: bool
) -> Iterator[Packet[Stream]]:
    """Decode an audio track, move it by `shift_s`, and encode it from time zero on."""
    # `trim_priming` leaves out as much as the encoder puts in front, for containers that cannot
    # tell players to skip that.
    priming = _priming(out) if trim_priming else 0
    with open_channels(path, track=track) as audio:
        rate = audio.sample_rate_hz
        skip_s = priming / out.sample_rate - shift_s
        position = round(priming / out.sample_rate * rate)
        for block in _from_zero(audio, skip_s):
            packed = np.ascontiguousarray(block.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=audio.layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = position
            position += frame.samples
            yield from out.encode(frame)
        yield from out.encode(None)


def _from_zero(audio: Channels, skip_s: float) -> Iterator[NDArray[np.float32]]:
    """Yield the sound from time `skip_s` on, with silence where it starts later."""
    excess = round((skip_s - audio.start_s) * audio.sample_rate_hz)
    channels = av.AudioLayout(audio.layout).nb_channels
    for begin in range(0, -excess, BLOCK):
        yield np.zeros((channels, min(BLOCK, -excess - begin)), np.float32)
    for samples in audio.blocks:
        cut = min(max(excess, 0), samples.shape[1])
        excess -= cut
        if cut < samples.shape[1]:
            yield samples[:, cut:]


def _priming(stream: av.AudioStream) -> int:
    """Return how many samples the encoder of `stream` puts before the sound."""
    context = _opened(
        stream.codec_context.name, stream.sample_rate, stream.layout.name, stream.bit_rate
    )
    silence = av.AudioFrame(format="flt", layout=stream.layout, samples=4 * BLOCK)
    silence.sample_rate, silence.pts = stream.sample_rate, 0
    silence.time_base = Fraction(1, stream.sample_rate)
    packets = [*context.encode(silence), *context.encode(None)]
    first = packets[0].pts if packets else None
    return max(0, -(first or 0))


def _nearest_rate(encoder: str, rate: int) -> int:
    offered = av.Codec(encoder, "w").audio_rates or [rate]
    return min(offered, key=lambda one: (abs(one - rate), -one))


def _opened(encoder: str, rate: int, layout: str, bit_rate: int) -> av.AudioCodecContext:
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.AudioCodecContext)
    context.rate, context.layout, context.time_base = rate, layout, Fraction(1, rate)
    context.bit_rate = bit_rate
    formats = context.codec.audio_formats
    if formats:
        context.format = formats[0]
    context.open()
    return context
