"""One sound track: find it, and lay its decoded samples out in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import soxr

from avalign.errors import MediaError, NoAudioError, ParameterError
from avalign.media.decoding import Pauses, StreamClock, decode, demux
from avalign.media.opening import StrPath, has_decoder

if TYPE_CHECKING:
    from av.container import InputContainer
    from numpy.typing import NDArray

__all__ = [
    "at_rate",
    "check_channel",
    "check_track",
    "deinterleaved",
    "mono",
    "placed",
    "resampled",
    "sound_stream",
]

# Containers round timestamps to a millisecond and encoders jitter by a few; a
# step in time smaller than this is rounding, a larger one is a gap or overlap.
JITTER_S = 0.010
LARGEST_FILL = 1 << 20
# Two channels cancel out where their average has less than this share of the power of one.
CANCELLED = 1e-3
# PyAV looks for a null pointer after the last plane of a frame. There is none
# after the eighth: with eight or more channels it would read stray memory.
MOST_PLANES = 7

Samples = Callable[["av.AudioFrame"], "NDArray[np.float32]"]


def sound_stream(container: InputContainer, path: StrPath, track: int) -> av.AudioStream:
    """Return sound track number `track` of an open file.

    Raises
    ------
    NoAudioError
        If there is no sound track at all.
    ParameterError
        If there are some, but not this one.
    MediaError
        If its codec is not known.
    """
    streams = container.streams.audio
    check_track(path, len(streams), track)
    stream = streams[track]
    if not has_decoder(stream):
        known = [number for number, each in enumerate(streams) if has_decoder(each)]
        raise MediaError(
            f"{path}: the codec of sound track {track} is not known",
            f"try --audio-track {known[0]}" if known else "convert its sound first",
        )
    return stream


def check_track(path: StrPath, count: int, track: int) -> None:
    """Refuse a `track` that a file with `count` sound tracks does not have."""
    if count == 0:
        raise NoAudioError(f"{path}: has no sound track", "give the sound as a file of its own")
    if not 0 <= track < count:
        names = "sound track 0" if count == 1 else f"sound tracks 0 to {count - 1}"
        raise ParameterError(f"{path}: no sound track {track}", f"it has {names}")


def check_channel(path: StrPath, stream: av.AudioStream, channel: int | None) -> None:
    """Refuse a `channel` that a sound track does not have."""
    count = stream.channels
    if channel is not None and not 0 <= channel < count:
        names = "channel 0 alone" if count == 1 else f"channels 0 to {count - 1}"
        raise ParameterError(f"{path}: its sound has no channel {channel}", f"it has {names}")


def placed(
    container: InputContainer, stream: av.AudioStream, samples_of: Samples
) -> Iterator[tuple[float, int, NDArray[np.float32]]]:
    """Yield the sound of `stream` in pieces without gap or overlap between them.

    Parameters
    ----------
    container : av.container.InputContainer
        The open file.
    stream : av.AudioStream
        The track.
    samples_of : callable
        Turns a decoded frame into an array of shape (..., n), time last.

    Yields
    ------
    start_s : float
        Presentation time of the first sample of the piece.
    rate_hz : int
        Samples per second.
    samples : ndarray of shape (..., n), float32
        What `samples_of` made of the frame, or zeros where the track pauses.

    Raises
    ------
    MediaError
        If the pauses come to hours.
    """
    pauses = Pauses(container, stream)
    clock = StreamClock(container, stream)
    next_s: float | None = None
    for frame in decode(demux(container, stream), stream):
        # Read first: `samples_of` may take the timestamp away to resample the frame.
        pts, rate = frame.pts, frame.sample_rate
        samples = samples_of(frame)
        time_s = clock.place(pts, samples.shape[-1] / rate)
        if next_s is None:
            next_s = time_s
        excess = round((time_s - next_s) * rate)
        if abs(time_s - next_s) <= JITTER_S:
            excess = 0
        pauses.add(max(0, excess) / rate)
        while excess > 0:
            fill = min(excess, LARGEST_FILL)
            yield next_s, rate, np.zeros((*samples.shape[:-1], fill), np.float32)
            next_s += fill / rate
            excess -= fill
        samples = samples[..., max(0, -excess) :]
        if samples.shape[-1]:
            yield next_s, rate, samples
            next_s += samples.shape[-1] / rate


def at_rate(
    pieces: Iterable[tuple[float, int, NDArray[np.float32]]], rate_hz: int
) -> Iterator[NDArray[np.float32]]:
    """Yield the samples of `placed` at one rate, though the track's may change."""
    for rate, group in groupby(pieces, itemgetter(1)):
        yield from resampled((samples for *_, samples in group), rate, rate_hz)


def resampled(
    blocks: Iterable[NDArray[np.float32]], rate: float, rate_hz: float
) -> Iterator[NDArray[np.float32]]:
    """Yield `blocks` of shape (..., n) at `rate` as blocks at `rate_hz`; some may be empty."""
    resampler = None
    for block in blocks:
        if resampler is None:
            nothing = block[..., :0].T
            channels = len(block) if block.ndim > 1 else 1
            resampler = soxr.ResampleStream(rate, rate_hz, channels, dtype="float32")
        yield resampler.resample_chunk(np.ascontiguousarray(block.T)).T
    if resampler is not None:
        yield resampler.resample_chunk(nothing, last=True).T


def mono(frame: av.AudioFrame, channel: int | None = None) -> NDArray[np.float32]:
    """Average the channels of a decoded frame to float32 of full scale 1, shape (n,).

    Or take one of them, the last where a frame has fewer.

    Of two channels that cancel each other out, as where one is wired the wrong way
    round, the first is taken.
    """
    values = deinterleaved(frame)
    if channel is not None:
        values = values[min(channel, len(values) - 1)][None]
    mixed = _full_scale(values.mean(axis=0, dtype=np.float64), values.dtype)
    if len(values) == 2:
        first = _full_scale(values[0].astype(np.float64), values.dtype)
        if mixed @ mixed < CANCELLED * (first @ first):
            mixed = first
    return np.nan_to_num(mixed, copy=False, posinf=0.0, neginf=0.0).astype(np.float32)


def _full_scale(samples: NDArray[np.float64], kind: np.dtype[Any]) -> NDArray[np.float64]:
    """Bring samples that were of some `kind` to zero mean and full scale 1, in place."""
    if kind.kind == "u":
        samples -= 128
    if kind.kind in "iu":
        samples /= 1 << (8 * kind.itemsize - 1)
    return samples


def deinterleaved(frame: av.AudioFrame) -> NDArray[np.generic]:
    """Return the samples of a decoded frame as they are, shape (channels, n)."""
    if frame.format.is_planar and frame.layout.nb_channels > MOST_PLANES:
        pack = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
        return np.concatenate([deinterleaved(part) for part in pack.resample(frame)], axis=1)
    values = frame.to_ndarray()
    if frame.format.is_planar:
        return values
    return values.reshape(-1, frame.layout.nb_channels).T
