"""One sound track: find it, and lay its decoded samples out in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import av
import numpy as np
import soxr

from avalign.errors import MediaError, NoAudioError, ParameterError
from avalign.files import StrPath
from avalign.media.reading.decoding import StreamClock, decode, demux, describe
from avalign.media.reading.opening import has_decoder

if TYPE_CHECKING:
    from av.container import InputContainer
    from numpy.typing import NDArray

# Containers round timestamps to a millisecond and encoders jitter by a few; a
# step in time smaller than this is rounding, a larger one is a gap or overlap.
JITTER_S = 0.010
# A shorter gap is filled with silence. A longer one is none of the track's sound: the next
# piece just starts later.
LONGEST_FILLED_S = 1.0
# What writes sound has to write the silence, too: up to so much of it.
LONGEST_SILENCE_S = 2 * 3600.0
LARGEST_FILL = 1 << 20
# Other rates than these are not sampled sound, but a damaged header.
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 1_000_000
# Two channels cancel out where their average has less than this fraction of the power of one.
CANCELLED = 1e-3
# PyAV looks for a null pointer after the last plane of a frame. There is none
# after the eighth: with eight or more channels it would read stray memory.
MOST_PLANES = 7

Samples = Callable[["av.AudioFrame"], "NDArray[np.float32]"]
# Time of the first sample, samples per second, samples of shape (..., n).
Piece: TypeAlias = "tuple[float, int, NDArray[np.float32]]"


def audio_stream(container: InputContainer, path: StrPath, track: int) -> av.AudioStream:
    """Return audio track number `track` of an open file; refuse one that cannot be decoded."""
    streams = container.streams.audio
    check_audio_track(path, len(streams), track)
    stream = streams[track]
    if not has_decoder(stream):
        known = [number for number, each in enumerate(streams) if has_decoder(each)]
        raise MediaError(
            f"{path}: the codec of sound track {track} is not known",
            f"try --audio-track {known[0]}" if known else "convert its sound first",
        )
    if not _is_rate(stream.sample_rate):
        raise MediaError(
            f"{path}: sound track {track} declares {stream.sample_rate} samples per second",
            "its header is damaged; read it with another tool, and save it anew",
        )
    return stream


def _is_rate(rate_hz: int) -> bool:
    return LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ


def check_audio_track(path: StrPath, count: int, track: int) -> None:
    """Refuse a sound track that a file does not have.

    Parameters
    ----------
    path : str or Path
        The file, for the message.
    count : int
        How many sound tracks it has.
    track : int
        The one that is asked for, from 0.

    Raises
    ------
    NoAudioError
        The file has no sound track.
    ParameterError
        It has no such track.
    """
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


def place_pieces(
    container: InputContainer, stream: av.AudioStream, samples_of: Samples
) -> Iterator[Piece]:
    """Yield (start_s, rate_hz, samples [..., n]) in order of time, without overlap."""
    # `samples_of` turns a decoded frame into an array whose last axis is time. A pause of up to
    # LONGEST_FILLED_S is zeros; after a longer one the next piece starts later.
    clock = StreamClock(container, stream)
    next_s: float | None = None
    placed_s = left_out_s = 0.0
    for frame in decode(demux(container, stream), stream):
        # Read first: `samples_of` may take the timestamp away to resample the frame.
        pts, rate = frame.pts, frame.sample_rate
        if not _is_rate(rate):
            continue
        try:
            samples = samples_of(frame)
        except (av.error.FFmpegError, ValueError):
            continue  # a layout or format that is none
        time_s = clock.place(pts, samples.shape[-1] / rate)
        if next_s is None or time_s - next_s > LONGEST_FILLED_S:
            next_s = time_s
        excess = round((time_s - next_s) * rate)
        if abs(time_s - next_s) <= JITTER_S:
            excess = 0
        if excess > 0:
            yield next_s, rate, np.zeros((*samples.shape[:-1], excess), np.float32)
            next_s += excess / rate
        overlap = min(max(0, -excess), samples.shape[-1])
        placed_s += (samples.shape[-1] - overlap) / rate
        left_out_s += overlap / rate
        samples = samples[..., overlap:]
        if samples.shape[-1]:
            yield next_s, rate, samples
            next_s += samples.shape[-1] / rate
    if left_out_s > placed_s:
        raise MediaError(
            f"{container.name.removeprefix('file:')}: of {placed_s + left_out_s:.1f} s of its "
            f"{describe(stream)}, {left_out_s:.1f} s have no time of their own",
            "its timestamps are damaged; copy it with another tool first",
        )


def group_runs(pieces: Iterable[Piece]) -> Iterator[Iterator[Piece]]:
    """Group the pieces of `place_pieces` into runs without a gap; take each run whole."""
    run, end_s = 0, math.nan

    def number(piece: Piece) -> int:
        nonlocal run, end_s
        start_s, rate, samples = piece
        run += start_s - end_s > JITTER_S
        end_s = start_s + samples.shape[-1] / rate
        return run

    for _, group in groupby(pieces, number):
        yield group


def fill_gaps(
    pieces: Iterable[Piece], path: StrPath, stream: av.AudioStream
) -> Iterator[Piece]:
    """Yield pieces with silence in all gaps; refuse pauses that come to hours."""
    next_s, silence_s = math.nan, 0.0
    for start_s, rate, samples in pieces:
        if start_s - next_s > JITTER_S:
            silence_s += start_s - next_s
            if silence_s > LONGEST_SILENCE_S:
                raise MediaError(
                    f"{path}: its {describe(stream)} pauses for hours",
                    "its timestamps may be damaged; copy it with another tool first",
                )
            for fill in _portions(round((start_s - next_s) * rate)):
                yield next_s, rate, np.zeros((*samples.shape[:-1], fill), np.float32)
                next_s += fill / rate
        yield start_s, rate, samples
        next_s = start_s + samples.shape[-1] / rate


def _portions(count: int) -> Iterator[int]:
    for begin in range(0, count, LARGEST_FILL):
        yield min(LARGEST_FILL, count - begin)


def at_rate(pieces: Iterable[Piece], rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Yield the samples of pieces without gaps at one rate, though theirs may change."""
    for rate, group in groupby(pieces, itemgetter(1)):
        yield from resample((samples for *_, samples in group), rate, rate_hz)


def resample(
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
    """Average the channels of a frame, or take one: float32 [n] of full scale 1."""
    # A frame may have fewer channels than the track: then the last. Of two channels that cancel
    # each other out, as where one is wired the wrong way round, the first is taken.
    values = deinterleave(frame)
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


def deinterleave(frame: av.AudioFrame) -> NDArray[np.generic]:
    """Return the samples of a decoded frame as they are, shape (channels, n)."""
    if frame.format.is_planar and frame.layout.nb_channels > MOST_PLANES:
        pack = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
        return np.concatenate([deinterleave(part) for part in pack.resample(frame)], axis=1)
    values = frame.to_ndarray()
    if frame.format.is_planar:
        return values
    return values.reshape(-1, frame.layout.nb_channels).T
