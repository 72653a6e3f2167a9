"""From a file to the streams of its sound and lips."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from avalign.errors import ParameterError
from avalign.types import AudioStream, ClipStreams, FeatureStream, LipStream

if TYPE_CHECKING:
    from avalign.types import MediaClip

__all__ = ["AnyPath", "Progress", "extract", "is_streams_file", "sound_features"]

AnyPath: TypeAlias = str | Path
Progress: TypeAlias = Callable[[float], None]


def extract(
    path: AnyPath,
    *,
    audio: AnyPath | None = None,
    audio_track: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> ClipStreams:
    """Read the sound and the lips of a file.

    Parameters
    ----------
    path : str or Path
        A media file, or a ``.npz`` file that `save_streams` wrote.
    audio : str or Path, optional
        A separate file that holds the sound; by default the file's own.
    audio_track : int
        Which sound track, from 0.
    jobs : int, optional
        Cores to spread the picture over; all of them by default.
    progress : callable, optional
        Called with the share of the work that is done, 0 to 1.

    Returns
    -------
    ClipStreams
        Everything alignment needs, and nothing that shows a face.

    Raises
    ------
    MediaError
        If a file cannot be read.
    NoAudioError
        If there is no sound.
    NoFaceError
        If there is no picture. A picture without a face is no error: ``lips``
        is empty.
    ParameterError
        If there is no such sound track, or sound is named beside a ``.npz`` file.
    """
    from avalign.media import probe
    from avalign.streams import load_streams
    from avalign.vision import lip_streams

    if is_streams_file(path):
        if audio is not None or audio_track:
            raise ParameterError(
                f"{path}: holds streams, which no other sound can be put to",
                "name the video instead",
            )
        return load_streams(path)
    clip = probe(path)
    with _sound_beside(audio if audio is not None else path, audio_track) as sound:
        lips = lip_streams(path, jobs=jobs, progress=progress)
        mfcc, speech = sound.result()
    duration_s, frame_rate = _picture_clock(clip, lips)
    return ClipStreams(mfcc, speech, lips, Path(path).name, duration_s, frame_rate)


def is_streams_file(path: AnyPath) -> bool:
    """Tell whether a file holds streams rather than media, by its name.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    bool
        True for the suffix ``.npz``.
    """
    return Path(path).suffix.lower() == ".npz"


def sound_features(blocks: Iterator[AudioStream]) -> tuple[FeatureStream, FeatureStream]:
    """Turn sound into MFCC and speech activity in one pass.

    Parameters
    ----------
    blocks : iterator of AudioStream
        The sound at 16 kHz, in blocks that follow each other without a gap.

    Returns
    -------
    mfcc, speech : FeatureStream
        On one clock.
    """
    from avalign.audio import log_mel, mfcc, speech_activity

    bands = log_mel(blocks)
    return mfcc(bands), speech_activity(bands)


@contextmanager
def _sound_beside(
    path: AnyPath, track: int
) -> Iterator[Future[tuple[FeatureStream, FeatureStream]]]:
    """Read the sound in a thread while the caller reads the picture.

    FFmpeg and NumPy leave the interpreter free for most of the time, so the
    sound costs next to nothing. The thread ends early if the caller fails.
    """
    from avalign.media import iter_audio

    blocks = iter_audio(path, track=track)
    # A file without sound is told at once, not after minutes of pictures.
    first = list(islice(blocks, 1))
    left = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            yield pool.submit(
                sound_features, takewhile(lambda _: not left.is_set(), chain(first, blocks))
            )
        finally:
            left.set()


def _picture_clock(clip: MediaClip, lips: tuple[LipStream, ...]) -> tuple[float, float]:
    """Give the length of the picture and its rate; 0 for what nobody knows."""
    track = clip.video_tracks[0]
    duration_s = track.duration_s or clip.duration_s or 0.0
    frame_rate = float(track.frame_rate or 0.0)
    if lips and len(lips[0]) > 1:
        # What was decoded is surer than what the file says about itself.
        span_s = float(lips[0].times_s[-1] - lips[0].times_s[0])
        frame_rate = (len(lips[0]) - 1) / span_s
        duration_s = duration_s or span_s
    return duration_s, frame_rate
