"""The video again, with the lips drawn and the evidence running along beneath."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from itertools import chain

from avalign.errors import NoAudioError, ParameterError
from avalign.plots.drawing import Canvas
from avalign.reports import SyncReport
from avalign.types import AudioStream, ClipStreams

LARGEST_SIDE = 1280
SAMPLE_RATE_HZ = 48_000
BLOCK_S = 1.0


def write_overlay(
    report: SyncReport,
    streams: ClipStreams,
    video_path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    audio: str | os.PathLike[str] | None = None,
    video_track: int = 0,
    audio_track: int = 0,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write the video as MP4 with the lips of every face drawn.

    The face that speaks is highlighted and named. Beneath runs a strip with the lip
    opening over the loudness as recorded, and how well both agree around this instant
    once the lag is taken out. The sound is kept, as recorded.

    Parameters
    ----------
    report : SyncReport
        The answer about the video, or why there is none.
    streams : ClipStreams
        The streams it was measured on.
    video_path : path-like
        The video.
    output : path-like
        The MP4 to write.
    audio : path-like, optional
        A separate file that holds the sound; by default the video's own.
    video_track, audio_track : int
        Which picture and sound track, from 0; all channels of the sound are averaged.
    overwrite : bool
        Replace a file that exists.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Raises
    ------
    ParameterError
        If the output is not an ``.mp4``, or is the video itself.
    MediaError
        If the video cannot be read, or the output exists or cannot be written.
    NoFaceError
        If the file has no picture.
    """
    from avalign.media import iter_frames, open_video_writer

    if not os.fspath(output).lower().endswith(".mp4"):
        raise ParameterError(
            f"{os.fspath(output)}: the overlay is an MP4", "end its name in .mp4"
        )
    if os.path.exists(output) and os.path.samefile(video_path, output):
        raise ParameterError(f"{os.fspath(output)} is the video itself", "name another file")
    audio_blocks = _AudioTrack(audio or video_path, audio_track)
    frames = iter_frames(video_path, track=video_track, max_side=LARGEST_SIDE)
    first = next(frames)
    height, width = first.image.shape[:2]
    canvas = Canvas(report, streams, (width, height))
    with open_video_writer(
        output,
        size=canvas.size,
        frame_rate=streams.frame_rate or 25.0,
        sample_rate_hz=SAMPLE_RATE_HZ if audio_blocks.present else None,
        overwrite=overwrite,
    ) as writer:
        for frame in chain([first], frames):
            for block in audio_blocks.until(frame.time_s + BLOCK_S):
                writer.write_audio(block)
            writer.write_frame(canvas.draw(frame.image, frame.time_s), frame.time_s)
            if progress is not None and streams.duration_s > 0:
                progress(min(1.0, frame.time_s / streams.duration_s))
        for block in audio_blocks.until(math.inf):
            writer.write_audio(block)
    if progress is not None:
        progress(1.0)


class _AudioTrack:
    """The sound, handed out as far as the picture has come."""

    def __init__(self, path: str | os.PathLike[str], track: int) -> None:
        from avalign.media import iter_audio

        self._blocks = iter_audio(path, track=track, rate_hz=SAMPLE_RATE_HZ, block_s=BLOCK_S)
        self._next: AudioStream | None = None
        try:
            self._next = next(self._blocks, None)
        except NoAudioError:
            self._blocks = iter(())
        self.present = self._next is not None

    def until(self, time_s: float) -> Iterator[AudioStream]:
        while self._next is not None and self._next.start_s < time_s:
            yield self._next
            self._next = next(self._blocks, None)
