"""A sound track with all its channels, at its own rate, in; a WAV file out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

import av
import numpy as np

from avalign.errors import MediaError
from avalign.files import StrPath, atomic_output
from avalign.media.reading.audio_track import (
    at_rate,
    audio_stream,
    deinterleave,
    fill_gaps,
    place_pieces,
    resample,
)
from avalign.media.reading.decoding import undecodable
from avalign.media.reading.opening import open_input, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FULL_SCALE = 2**23


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """Sound as it is in the file, block by block.

    Parameters
    ----------
    blocks : iterator of ndarray of shape (C, n), float32
        Samples in [-1, 1], time last, without gap or overlap.
    sample_rate_hz : int
        Samples per second.
    layout : str
        FFmpeg's name of the channel layout, such as ``"stereo"``.
    start_s : float
        Presentation time of the first sample.
    """

    blocks: Iterator[NDArray[np.float32]]
    sample_rate_hz: int
    layout: str
    start_s: float


@contextmanager
def open_channels(path: StrPath, *, track: int = 0, pace: float = 1.0) -> Iterator[Channels]:
    """Open a sound track for reading.

    Parameters
    ----------
    path : str or PathLike
        A local file.
    track : int
        Position among the sound tracks, from 0.
    pace : float
        Seconds of the track per second of the result. Other than 1, the sound is
        resampled, so that its pitch changes with its pace: for clocks that differ by
        parts per million.

    Yields
    ------
    Channels
        The samples; at another pace, ``start_s`` stays the time of the first one.

    Raises
    ------
    NoAudioError
        If the file has no sound track.
    ParameterError
        If there are sound tracks, but not this one.
    MediaError
        If the file cannot be read, or nothing of the track decodes.
    """
    with open_input(path) as container:
        stream = audio_stream(container, path, track)
        rate, layout = stream.sample_rate, stream.layout.name
        pieces = fill_gaps(place_pieces(container, stream, _unified(layout)), path, stream)
        first = next(pieces, None)
        if first is None:
            raise undecodable(path, stream)
        blocks = at_rate(chain([first], pieces), rate)
        if pace != 1.0:
            blocks = resample(blocks, rate * pace, rate)
        yield Channels(blocks, rate, layout, first[0])


def iter_channels(
    path: StrPath, *, track: int = 0, rate_hz: int = 16000
) -> Iterator[NDArray[np.float32]]:
    """Read a sound track with its channels apart.

    Parameters
    ----------
    path, track
        As for `open_channels`.
    rate_hz : int
        Samples per second of the result.

    Yields
    ------
    ndarray of shape (C, n), float32
        Samples in [-1, 1], time last, without gap or overlap.

    Raises
    ------
    NoAudioError, ParameterError, MediaError
        As `open_channels`.
    """
    with open_channels(path, track=track) as audio:
        yield from resample(audio.blocks, audio.sample_rate_hz, rate_hz)


def _unified(layout: str) -> Callable[[av.AudioFrame], NDArray[np.float32]]:
    """Return what turns frames of any kind into float32 of shape (C, n) in one layout."""

    @lru_cache(maxsize=1)  # as PyAV's resamplers refuse frames unlike the first
    def resampler(*frame_kind: str, rate: int) -> av.AudioResampler:
        return av.AudioResampler(format="flt", layout=layout, rate=rate)

    def samples(frame: av.AudioFrame) -> NDArray[np.float32]:
        unify = resampler(frame.format.name, frame.layout.name, rate=frame.sample_rate)
        frame.pts = None
        parts = [deinterleave(part) for part in unify.resample(frame)]
        joined = np.concatenate(parts, axis=1).astype(np.float32)
        return np.nan_to_num(joined, copy=False, posinf=0.0, neginf=0.0)

    return samples


@contextmanager
def open_wav_writer(
    path: StrPath, *, sample_rate_hz: int, layout: str, overwrite: bool = False
) -> Iterator[Callable[[NDArray[np.float32]], None]]:
    """Open a WAV file of 24 bits for writing; it appears whole or not at all.

    Parameters
    ----------
    path : str or PathLike
        The file to write.
    sample_rate_hz : int
        Samples per second.
    layout : str
        FFmpeg's name of the channel layout.
    overwrite : bool
        Replace a file that exists.

    Yields
    ------
    callable
        Takes blocks of samples, shape (C, n), in [-1, 1]; what exceeds that is clipped.

    Raises
    ------
    MediaError
        If the file exists already, or cannot be written.
    """
    position = 0
    with atomic_output(path, overwrite) as temporary:
        try:
            with av.open(
                f"file:{temporary.absolute()}",
                mode="w",
                format="wav",
                container_options={"rf64": "auto"},  # beyond 4 GB
            ) as container:
                stream = container.add_stream("pcm_s24le", rate=sample_rate_hz)
                stream.layout = layout

                def write(block: NDArray[np.float32]) -> None:
                    nonlocal position
                    if block.shape[1] == 0:
                        return
                    whole = np.rint(block.T.astype(np.float64) * _FULL_SCALE)
                    kept = np.clip(whole, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int32)
                    # FFmpeg takes 24 bits as the upper ones of 32.
                    packed = np.ascontiguousarray(kept << 8).reshape(1, -1)
                    frame = av.AudioFrame.from_ndarray(packed, format="s32", layout=layout)
                    frame.sample_rate = sample_rate_hz
                    frame.time_base = Fraction(1, sample_rate_hz)
                    frame.pts = position
                    position += frame.samples
                    container.mux(stream.encode(frame))

                yield write
                container.mux(stream.encode(None))
        # Those that are an OSError, too, such as a full disk, are worded by atomic_output.
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise MediaError(f"{path}: could not be written ({reason(error)})") from error
