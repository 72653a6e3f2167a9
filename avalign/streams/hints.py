"""Where else in a file there is a face or speech, for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avalign.streams.face_search import count_faces
from avalign.streams.listening import LEAST_SPEECH_S, has_codec, listen_to

if TYPE_CHECKING:
    from pathlib import Path

    from avalign.streams.choice import AudioSource
    from avalign.types import MediaClip


def face_elsewhere(clip: MediaClip, video: int) -> str | None:
    """Name the picture tracks with a face, but for one.

    Parameters
    ----------
    clip : MediaClip
        The file.
    video : int
        The track that is known to have none.

    Returns
    -------
    str or None
        A hint in words; None where no other track shows a face.
    """
    others = [track for track in range(len(clip.video_tracks)) if track != video]
    seen = [track for track, count in count_faces(clip, others).items() if count]
    if not seen:
        return None
    return f"{_tracks_have('picture track', seen)} a face: try --video-track {seen[0]}"


def speech_elsewhere(path: str | Path | MediaClip, source: AudioSource) -> str | None:
    """Name the sound tracks and channels with speech, but for one.

    Parameters
    ----------
    path : str, Path or MediaClip
        The file that holds the sound, or what `probe` told of it.
    source : AudioSource
        What is known to have too little.

    Returns
    -------
    str or None
        A hint in words; None where there is no speech elsewhere.
    """
    from avalign.media import as_clip

    clip = as_clip(path)
    contents = listen_to(clip, [track.index for track in clip.audio_tracks if has_codec(track)])
    own = contents.pop(source.track, None)
    if own is not None and source.channel is not None:
        spoken = own.spoken_channels()
        if spoken and source.channel not in spoken:
            return f"{_tracks_have('channel', spoken)} speech: try --channel {spoken[0]}"
    found = [track for track, each in contents.items() if each.speech_s >= LEAST_SPEECH_S]
    if not found:
        return None
    return f"{_tracks_have('sound track', found)} speech: try --audio-track {found[0]}"


def _tracks_have(noun: str, numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"{noun} {numbers[0]} has"
    return f"{noun}s {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} have"
