"""The sound of a file as one gapless run of mono samples with a clock."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import MediaError, ParameterError
from avalign.files import StrPath
from avalign.media.reading.audio_track import (
    at_rate,
    audio_stream,
    check_channel,
    group_runs,
    mono,
    place_pieces,
)
from avalign.media.reading.decoding import undecodable
from avalign.media.reading.opening import open_input
from avalign.types import AudioStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Sound may be spread out over so many times its own length, or over this in any case.
MOST_STRETCH = 10
LONGEST_STRETCH_S = 600.0


def iter_audio(
    path: StrPath,
    *,
    track: int = 0,
    channel: int | None = None,
    rate_hz: int = 16000,
    block_s: float = 10.0,
) -> Iterator[AudioStream]:
    """Read a sound track block by block.

    Samples are placed by their presentation times: gaps of up to a second are zeros,
    after a longer one a new block starts at its own time, overlaps are dropped, and
    packets that do not decode leave a gap. All channels are averaged to one, unless one
    of them is named.

    Parameters
    ----------
    path : str or PathLike
        A local file.
    track : int
        Position among the sound tracks, from 0.
    channel : int, optional
        Take this channel alone, from 0.
    rate_hz : int
        Samples per second of the result.
    block_s : float
        Length of a block in seconds; the last one before a gap may be shorter.

    Yields
    ------
    AudioStream
        Blocks in the order of time.

    Raises
    ------
    NoAudioError
        If the file has no sound track.
    ParameterError
        If there are sound tracks, but not this one, or not this channel of it.
    MediaError
        If the file cannot be read, or nothing of the track decodes.
    """
    if rate_hz < 1 or not block_s > 0:
        raise ParameterError(f"rate_hz={rate_hz} and block_s={block_s} must be positive")
    size = max(1, round(block_s * rate_hz))
    with open_input(path) as container:
        stream = audio_stream(container, path, track)
        check_channel(path, stream, channel)
        pieces = place_pieces(container, stream, partial(mono, channel=channel))
        first = next(pieces, None)
        if first is None:
            raise undecodable(path, stream)
        for run in group_runs(chain([first], pieces)):
            begin = next(run)
            samples = at_rate(chain([begin], run), rate_hz)
            for number, block in enumerate(_blocks(samples, size)):
                yield AudioStream(block, rate_hz, begin[0] + number * size / rate_hz)


def read_audio(
    path: StrPath, *, track: int = 0, channel: int | None = None, rate_hz: int = 16000
) -> AudioStream:
    """Read a whole sound track, with zeros in its gaps.

    Parameters
    ----------
    path, track, channel, rate_hz
        As for `iter_audio`.

    Returns
    -------
    AudioStream
        All samples, float32 mono.

    Raises
    ------
    NoAudioError, ParameterError, MediaError
        As `iter_audio`; the last also if the track has far more gaps than sound.
    """
    blocks = list(iter_audio(path, track=track, channel=channel, rate_hz=rate_hz))
    start_s = blocks[0].start_s
    starts = [round((block.start_s - start_s) * rate_hz) for block in blocks]
    length = starts[-1] + len(blocks[-1].samples)
    count = sum(len(block.samples) for block in blocks)
    if length > MOST_STRETCH * count and length > LONGEST_STRETCH_S * rate_hz:
        raise MediaError(
            f"{path}: its {count / rate_hz:.1f} s of sound lie {length / rate_hz:.0f} s apart",
            "its timestamps may be damaged; iter_audio reads it block by block",
        )
    samples = np.zeros(length, np.float32)
    for start, block in zip(starts, blocks, strict=True):
        samples[start : start + len(block.samples)] = block.samples
    return AudioStream(samples, rate_hz, start_s)


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
