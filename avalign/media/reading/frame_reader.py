"""The pictures of a file, upright, in square pixels, each with its time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from avalign.errors import MediaError, ParameterError
from avalign.files import StrPath
from avalign.media.reading.decoding import StreamClock, decode, demux, timestamp, undecodable
from avalign.media.reading.geometry import Orientation, fit, fit_inside, orientation, shown_size
from avalign.media.reading.opening import open_input, video_stream
from avalign.media.reading.seeking import packets_from
from avalign.processes import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from numpy.typing import NDArray

# How far before the wanted time to look for a key picture, one try after the other.
SEEK_LEADS_S = (0.0, 4.0, 32.0)
FALLBACK_RATE = 25
# Of all pictures that are decoded at a time; 16 of 4K.
PIXELS_AT_ONCE = 16 * 3840 * 2160
# A picture that stays for longer, as in a slide show, counts as a pause.
LONGEST_STAY_S = 1.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and when it is shown.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        RGB, C-contiguous.
    time_s : float
        Presentation time in seconds.
    """

    image: NDArray[np.uint8]
    time_s: float


def iter_frames(
    path: StrPath,
    *,
    track: int = 0,
    max_side: int | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    threads: int | None = None,
) -> Iterator[Frame]:
    """Read the pictures of a picture track at its own frame rate.

    Rotation and pixel shape are applied, so that the pictures look as in a
    player. Where their size changes, they are fitted into that of the track.
    A span read with `start_s` and `end_s` gives exactly the pictures that a
    read of the whole file gives within that span.

    Parameters
    ----------
    path : str or PathLike
        A local file.
    track : int
        Position among the picture tracks, from 0; cover art is none of them.
    max_side : int, optional
        Scale down so that the longer side is at most this many pixels.
    start_s, end_s : float, optional
        Presentation times in seconds; pictures in [start_s, end_s) are given.
    threads : int, optional
        Threads to decode and scale with; all cores if not given.

    Yields
    ------
    Frame
        Pictures with strictly increasing times, all of one size.

    Raises
    ------
    NoFaceError
        If the file has no picture track.
    ParameterError
        If there are picture tracks, but not this one.
    MediaError
        If the file cannot be read, or no picture decodes.
    """
    if max_side is not None and max_side < 1:
        raise ParameterError(f"max_side={max_side} must be at least 1")
    seeks = [] if start_s is None else [start_s - lead_s for lead_s in SEEK_LEADS_S]
    for seek_s in [*seeks, None]:
        with open_input(path) as container:
            stream = video_stream(container, path, track)
            stream.thread_type = "AUTO"
            stream.thread_count = _threads(stream, threads)
            # Before anything is decoded: that may change the size the stream tells.
            render = _Renderer(stream, max_side, threads)
            timed = _timed_frames(container, stream, seek_s)
            first = next(timed, None)
            if seek_s is not None and (first is None or first[1] > seeks[0]):
                continue  # landed behind a picture that is wanted: seek further back
            if first is None:
                raise undecodable(path, stream)
            for frame, time_s in chain([first], timed):
                if end_s is not None and time_s >= end_s:
                    return
                if start_s is None or time_s >= start_s:
                    yield Frame(render(frame), time_s)
            return


def _threads(stream: av.VideoStream, wanted: int | None) -> int:
    """Decode large pictures with fewer threads: each holds pictures of its own."""
    pixels = max(1, stream.width * stream.height)
    return max(1, min(wanted or cores(), PIXELS_AT_ONCE // pixels))


def _timed_frames(
    container: InputContainer, stream: av.VideoStream, seek_s: float | None
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Yield (frame, time_s), times increasing, from the key picture before `seek_s` on."""
    packets = (
        demux(container, stream) if seek_s is None else packets_from(container, stream, seek_s)
    )
    # Of a slide show the average says nothing about the next picture.
    period_s = min(float(1 / (stream.average_rate or FALLBACK_RATE)), LONGEST_STAY_S)
    clock = StreamClock(container, stream)
    last_s: float | None = None
    taken = left_out = 0
    for frame in decode(packets, stream):
        time_s = clock.place(timestamp(container, frame), period_s)
        if last_s is None or time_s > last_s:
            last_s = time_s
            taken += 1
            yield frame, time_s
        else:
            left_out += 1
    if left_out > taken:
        raise MediaError(
            f"{container.name.removeprefix('file:')}: {left_out} of its {taken + left_out} "
            "pictures have no time of their own",
            "its timestamps are damaged; copy it with another tool first",
        )


class _Renderer:
    """Turns decoded frames into upright RGB pictures of one size."""

    def __init__(
        self, stream: av.VideoStream, max_side: int | None, threads: int | None
    ) -> None:
        self._stored = stream.width, stream.height
        self._shown = shown_size(stream)
        self._max_side = max_side
        self._threads = threads or 0
        self._scaler = VideoReformatter()
        self._orientation: Orientation | None = None

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        if self._orientation is None:
            # Once only: a frame whose side data was looked at lives on until the
            # garbage collector comes by, which is hundreds of pictures later.
            self._orientation = orientation(frame)
        if 0 in self._stored:  # only the pictures tell
            self._stored = self._shown = frame.width, frame.height
        canvas = fit(self._shown, self._max_side)
        width, height = canvas
        if (frame.width, frame.height) != self._stored:
            pixel_shape = self._shown[0] / self._stored[0]
            width, height = fit_inside(frame.width * pixel_shape, frame.height, canvas)
        scaled = self._scaler.reformat(
            frame,
            width,
            height,
            format="rgb24",
            interpolation=Interpolation.AREA,
            threads=self._threads,
        )
        image = np.asarray(scaled.to_ndarray(), np.uint8)
        if (width, height) != canvas:
            left, top = (canvas[0] - width) // 2, (canvas[1] - height) // 2
            padded = np.zeros((canvas[1], canvas[0], 3), np.uint8)
            padded[top : top + height, left : left + width] = image
            image = padded
        return self._orientation.apply(image)
