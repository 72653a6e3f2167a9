"""Write pictures and sound to a new MP4 (H.264 and AAC), each at its own time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from avalign.errors import MediaError, ParameterError
from avalign.files import StrPath, atomic_output
from avalign.media.reading.opening import reason
from avalign.media.writing.output import open_output
from avalign.types import AudioStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_CLOCK = Fraction(1, 90_000)
# Visually lossless for line drawings over video, at a modest size.
QUALITY = "20"
SPEED = "veryfast"


@contextmanager
def open_video_writer(
    path: StrPath,
    *,
    size: tuple[int, int],
    frame_rate: float,
    sample_rate_hz: int | None = None,
    overwrite: bool = False,
) -> Iterator[VideoWriter]:
    """Open an MP4 for writing; it appears whole or not at all.

    Parameters
    ----------
    path : str or PathLike
        The file to write.
    size : tuple of int
        Width and height of the pictures; both even.
    frame_rate : float
        Pictures per second, as a hint to the encoder; the times decide.
    sample_rate_hz : int, optional
        Samples per second of the sound; without one the file is silent.
    overwrite : bool
        Replace a file that exists.

    Yields
    ------
    VideoWriter
        Takes pictures and sound.

    Raises
    ------
    ParameterError
        If the size is odd or not positive, or the frame rate is not positive.
    MediaError
        If the file exists already, or cannot be written.
    """
    width, height = size
    if width < 2 or height < 2 or width % 2 or height % 2:
        raise ParameterError(f"a video of {width}x{height} pixels", "take even numbers above 0")
    if not 0 < frame_rate < 1000:
        raise ParameterError(f"frame_rate={frame_rate}", "take a number above 0, below 1000")
    with atomic_output(path, overwrite) as temporary:
        try:
            with open_output(temporary, "mp4") as container:
                writer = VideoWriter(container, size, frame_rate, sample_rate_hz)
                yield writer
                writer.finish()
        # Those that are an OSError, too, such as a full disk, are worded by atomic_output.
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise MediaError(f"{path}: could not be written ({reason(error)})") from error


class VideoWriter:
    """Takes frames and audio in the order of their times."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        size: tuple[int, int],
        frame_rate: float,
        sample_rate_hz: int | None,
    ) -> None:
        self._container = container
        rate = Fraction(frame_rate).limit_denominator(1001)
        self._video = container.add_stream("libx264", rate=rate)
        self._video.width, self._video.height = size
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = FRAME_CLOCK
        self._video.options = {"crf": QUALITY, "preset": SPEED}
        self._audio = None
        if sample_rate_hz is not None:
            self._audio = container.add_stream("aac", rate=sample_rate_hz, layout="mono")
            self._audio.codec_context.time_base = Fraction(1, sample_rate_hz)
        self._last_tick = -1

    def write_frame(self, image: NDArray[np.uint8], time_s: float) -> None:
        """Add an RGB frame, uint8 [H, W, 3], unless before 0 or not after the last."""
        tick = round(time_s / FRAME_CLOCK)
        if tick <= self._last_tick:
            return
        self._last_tick = tick
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = tick, FRAME_CLOCK
        self._container.mux(self._video.encode(frame))

    def write_audio(self, audio: AudioStream) -> None:
        """Add audio at the file's rate, in order of time; what lies before 0 is left out."""
        if self._audio is None or audio.sample_rate_hz != self._audio.rate:
            raise ParameterError(f"no sound of {audio.sample_rate_hz} Hz is expected")
        first = round(audio.start_s * audio.sample_rate_hz)
        samples = audio.samples[max(0, -first) :]
        if len(samples) == 0:
            return
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None], np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = audio.sample_rate_hz
        frame.pts, frame.time_base = max(0, first), Fraction(1, audio.sample_rate_hz)
        self._container.mux(self._audio.encode(frame))

    def finish(self) -> None:
        """Write what the encoders still hold."""
        for stream in (self._video, self._audio):
            if stream is not None:
                self._container.mux(stream.encode(None))
