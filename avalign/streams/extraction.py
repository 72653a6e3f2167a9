"""From a file to the streams of its sound and lips."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from avalign.errors import ParameterError
from avalign.streams.choice import AudioSource, Tracks, choose_tracks
from avalign.types import AudioStream, ClipStreams, FeatureStream, LipStream

if TYPE_CHECKING:
    from avalign.types import MediaClip

# To be raised whenever files give other streams than before: what was cached is extracted anew.
EXTRACTION_VERSION = 1
# A picture that stays for longer is a pause, and says nothing of the rate.
LONGEST_STAY_S = 1.0

AnyPath: TypeAlias = str | Path
Progress: TypeAlias = Callable[[float], None]


def extract(
    path: AnyPath,
    *,
    audio: AnyPath | None = None,
    video_track: int | None = None,
    audio_track: int | None = None,
    channel: int | None = None,
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
    video_track : int, optional
        Which picture track, from 0; by default the first that shows a face.
    audio_track : int, optional
        Which sound track, from 0; by default the first with speech.
    channel : int, optional
        Which channel of the sound, from 0; by default all are averaged, or the one with
        speech is taken where others hold something else.
    jobs : int, optional
        Cores to spread the picture over; all of them by default.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

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
        If there is no such track or channel, or one is named of a ``.npz`` file.
    """
    from avalign.media import probe
    from avalign.streams.files import load_streams

    if is_streams_file(path):
        if audio is not None or (video_track, audio_track, channel) != (None, None, None):
            raise ParameterError(
                f"{path}: holds streams, which no other sound can be put to",
                "name the video instead",
            )
        return load_streams(path)
    clip = probe(path)
    tracks = choose_tracks(
        clip, audio=audio, video_track=video_track, audio_track=audio_track, channel=channel
    )
    return read_streams(clip, tracks, audio=audio, jobs=jobs, progress=progress)


def read_streams(
    clip: MediaClip,
    tracks: Tracks,
    *,
    audio: AnyPath | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> ClipStreams:
    """Read the sound and the lips of the tracks that were chosen.

    Parameters
    ----------
    clip : MediaClip
        What `probe` told of the file.
    tracks : Tracks
        What `choose_tracks` chose.
    audio, jobs, progress
        As for `extract`.

    Returns
    -------
    ClipStreams
        As `extract`.

    Raises
    ------
    MediaError, NoAudioError, NoFaceError, ParameterError
        As `extract`.
    """
    from avalign.vision import lip_streams

    with _audio_beside(audio if audio is not None else clip.path, tracks.audio) as features:
        lips = lip_streams(clip, track=tracks.video, jobs=jobs, progress=progress)
        mfcc, speech = features.result()
    duration_s, frame_rate = _video_clock(clip, tracks.video, lips)
    return ClipStreams(mfcc, speech, lips, clip.path.name, duration_s, frame_rate)


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


def mfcc_and_speech(blocks: Iterator[AudioStream]) -> tuple[FeatureStream, FeatureStream]:
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
def _audio_beside(
    path: AnyPath, source: AudioSource
) -> Iterator[Future[tuple[FeatureStream, FeatureStream]]]:
    """Read the audio in a thread while the caller reads the video."""
    # FFmpeg and NumPy leave the interpreter free for most of the time, so this costs next to
    # nothing. The thread ends early if the caller fails.
    from avalign.media import iter_audio

    blocks = iter_audio(path, track=source.track, channel=source.channel)
    # A file without sound is told at once, not after minutes of pictures.
    first = list(islice(blocks, 1))
    left = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            yield pool.submit(
                mfcc_and_speech, takewhile(lambda _: not left.is_set(), chain(first, blocks))
            )
        finally:
            left.set()


def _video_clock(
    clip: MediaClip, video: int, lips: tuple[LipStream, ...]
) -> tuple[float, float]:
    """Give the length of the picture and its rate; 0 for what nobody knows."""
    track = clip.video_tracks[video]
    duration_s = track.duration_s or clip.duration_s or 0.0
    frame_rate = float(track.frame_rate or 0.0)
    if lips and len(lips[0]) > 1:
        # What was decoded is surer than what the file says about itself.
        span_s = float(lips[0].times_s[-1] - lips[0].times_s[0])
        steps_s = np.diff(lips[0].times_s)
        shown_s = steps_s[steps_s <= LONGEST_STAY_S]
        frame_rate = 1.0 / float((shown_s if len(shown_s) else steps_s).mean())
        duration_s = duration_s or span_s
    return duration_s, frame_rate
