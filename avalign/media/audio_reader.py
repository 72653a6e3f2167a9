"""The sound of a file as one gapless run of mono samples with a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr

from avalign.errors import MediaError, NoAudioError, ParameterError
from avalign.media.decoding import StreamClock, decode, demux, describe
from avalign.media.opening import StrPath, has_decoder, open_input
from avalign.types import AudioStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import av
    from av.container import InputContainer
    from numpy.typing import NDArray

__all__ = ["iter_audio", "read_audio"]

# Containers round timestamps to a millisecond and encoders jitter by a few; a
# step in time smaller than this is rounding, a larger one is a gap or overlap.
JITTER_S = 0.010
LARGEST_FILL = 1 << 20


def iter_audio(
    path: StrPath, *, track: int = 0, rate_hz: int = 16000, block_s: float = 10.0
) -> Iterator[AudioStream]:
    """Read a sound track block by block.

    Samples are placed by their presentation times: gaps in the track are
    zeros, overlaps are dropped, and packets that do not decode leave a gap.
    All channels are averaged to one.

    Parameters
    ----------
    path : str or PathLike
        A local file.
    track : int
        Position among the sound tracks, from 0.
    rate_hz : int
        Samples per second of the result.
    block_s : float
        Length of a block in seconds; the last one may be shorter.

    Yields
    ------
    AudioStream
        Blocks that follow each other without a gap.

    Raises
    ------
    NoAudioError
        If the file has no sound track.
    ParameterError
        If there are sound tracks, but not this one.
    MediaError
        If the file cannot be read, or nothing of the track decodes.
    """
    if rate_hz < 1 or not block_s > 0:
        raise ParameterError(f"rate_hz={rate_hz} and block_s={block_s} must be positive")
    size = max(1, round(block_s * rate_hz))
    with open_input(path) as container:
        stream = _sound_stream(container, path, track)
        pieces = _placed(container, stream)
        first = next(pieces, None)
        if first is None:
            raise MediaError(
                f"{path}: none of its {describe(stream)} could be decoded",
                "the file may be truncated or damaged; check that it plays",
            )
        start_s, rate, samples = first
        resampled = _resampled(rate, samples, pieces, rate_hz)
        for number, block in enumerate(_blocks(resampled, size)):
            yield AudioStream(block, rate_hz, start_s + number * size / rate_hz)


def read_audio(path: StrPath, *, track: int = 0, rate_hz: int = 16000) -> AudioStream:
    """Read a whole sound track; see `iter_audio`.

    Parameters
    ----------
    path : str or PathLike
        A local file.
    track : int
        Position among the sound tracks, from 0.
    rate_hz : int
        Samples per second of the result.

    Returns
    -------
    AudioStream
        All samples, float32 mono.

    Raises
    ------
    NoAudioError
        If the file has no sound track.
    ParameterError
        If there are sound tracks, but not this one.
    MediaError
        If the file cannot be read, or nothing of the track decodes.
    """
    blocks = list(iter_audio(path, track=track, rate_hz=rate_hz))
    samples = np.concatenate([block.samples for block in blocks])
    return AudioStream(samples, rate_hz, blocks[0].start_s)


def _sound_stream(container: InputContainer, path: StrPath, track: int) -> av.AudioStream:
    streams = container.streams.audio
    if not streams:
        raise NoAudioError(f"{path}: has no sound track", "give the sound as a file of its own")
    if not 0 <= track < len(streams):
        names = (
            "sound track 0" if len(streams) == 1 else f"sound tracks 0 to {len(streams) - 1}"
        )
        raise ParameterError(f"{path}: no sound track {track}", f"it has {names}")
    stream = streams[track]
    if not has_decoder(stream):
        raise MediaError(f"{path}: the codec of sound track {track} is not known")
    return stream


def _placed(
    container: InputContainer, stream: av.AudioStream
) -> Iterator[tuple[float, int, NDArray[np.float32]]]:
    """Yield (start_s, rate, samples) of pieces without gap or overlap between them."""
    clock = StreamClock(container, stream)
    next_s: float | None = None
    for frame in decode(demux(container, stream), stream):
        rate, samples = frame.sample_rate, _mono(frame)
        time_s = clock.place(frame.pts, len(samples) / rate)
        if next_s is None:
            next_s = time_s
        excess = round((time_s - next_s) * rate)
        if abs(time_s - next_s) <= JITTER_S:
            excess = 0
        while excess > 0:
            fill = min(excess, LARGEST_FILL)
            yield next_s, rate, np.zeros(fill, np.float32)
            next_s += fill / rate
            excess -= fill
        samples = samples[max(0, -excess) :]
        if len(samples):
            yield next_s, rate, samples
            next_s += len(samples) / rate


def _mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    """Average the channels of a decoded frame to float32 of full scale 1."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    mono = values.mean(axis=0, dtype=np.float64)
    if values.dtype.kind == "u":
        mono -= 128
    if values.dtype.kind in "iu":
        mono /= 1 << (8 * values.dtype.itemsize - 1)
    return np.nan_to_num(mono, copy=False, posinf=0.0, neginf=0.0).astype(np.float32)


def _resampled(
    rate: int,
    samples: NDArray[np.float32],
    pieces: Iterator[tuple[float, int, NDArray[np.float32]]],
    rate_hz: int,
) -> Iterator[NDArray[np.float32]]:
    """Bring `samples` at `rate` and the `pieces` after them to `rate_hz`."""
    resampler = soxr.ResampleStream(rate, rate_hz, 1, dtype="float32")
    yield resampler.resample_chunk(samples)
    for _, piece_rate, piece in pieces:
        if piece_rate != rate:
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            rate = piece_rate
            resampler = soxr.ResampleStream(rate, rate_hz, 1, dtype="float32")
        yield resampler.resample_chunk(piece)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _blocks(pieces: Iterator[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    """Regroup `pieces` into blocks of `size` samples within [-1, 1]."""
    held: list[NDArray[np.float32]] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        if count >= size:
            joined = np.concatenate(held)
            whole = count - count % size
            for begin in range(0, whole, size):
                yield np.clip(joined[begin : begin + size], -1.0, 1.0)
            held, count = [joined[whole:]], count - whole
    if count:
        yield np.clip(np.concatenate(held), -1.0, 1.0)
