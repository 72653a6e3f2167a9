"""Move the sound of a file against its picture, and touch nothing else."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avalign.errors import MediaError, NoFaceError, ParameterError
from avalign.files import StrPath, atomic_output
from avalign.media.reading.audio_track import check_audio_track
from avalign.media.reading.probe import as_clip, probe
from avalign.media.writing.containers import Container, StartTime, container_for, plays_in
from avalign.media.writing.remux import OutputAudio, remux
from avalign.types import MediaClip


@dataclass(frozen=True, slots=True)
class ShiftResult:
    """A repaired file.

    Parameters
    ----------
    path : Path
        Where it is.
    method : str
        ``"copied"`` where the sound is bit for bit the original's,
        ``"re-encoded"`` where the container could not express the new start.
    notes : tuple of str
        What else the user should know.
    """

    path: Path
    method: Literal["copied", "re-encoded"]
    notes: tuple[str, ...] = ()


def shift_audio(
    source: StrPath | MediaClip,
    output: StrPath,
    *,
    audio_lag_s: float,
    audio_track: int | None = None,
    audio_file: StrPath | None = None,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
    verify: Callable[[Path], None] | None = None,
) -> ShiftResult:
    """Write `source` with its sound moved by minus `audio_lag_s`.

    Pictures are copied bit for bit at their own times; subtitles, chapters,
    tags, languages and dispositions are kept. The sound keeps its bytes too
    and gets new timestamps, where the container can tell players when a track
    starts (mp4, mov, mkv, webm, mpg, ts). Sound that would have to play before
    the first instant of the file is left out: in mp4 and mov to the sample, by
    the edit list, elsewhere in whole packets (20 to 30 ms). Containers that
    start all tracks together (avi) get the sound decoded, padded or trimmed,
    and encoded again with the same codec.

    Parameters
    ----------
    source : str, PathLike or MediaClip
        The file to repair, or what `probe` told of it; it is only read.
    output : str or PathLike
        The file to write. Its ending names the container.
    audio_lag_s : float
        Measured lag in seconds; positive: the sound is late.
    audio_track : int, optional
        Move only this sound track; all of them if not given. With
        `audio_file`, the track of that file to take, by default the first.
    audio_file : str or PathLike, optional
        Take the sound from this file, in place of the source's.
    overwrite : bool
        Replace `output` if it exists.
    progress : callable, optional
        Called with the fraction done, from 0 to 1.
    verify : callable, optional
        Called with the path of the whole file before it becomes `output`. What
        it raises is passed on, and the file does not come to be.

    Returns
    -------
    ShiftResult
        The file written, and how.

    Raises
    ------
    NoFaceError, NoAudioError
        If there is no picture or no sound track.
    ParameterError
        If a track number or the ending of `output` cannot be used, or `output`
        is one of the inputs.
    MediaError
        If a file cannot be read or written. `output` is then not there, or as
        it was before.
    """
    if not math.isfinite(audio_lag_s):
        raise ParameterError(f"audio_lag_s={audio_lag_s} must be a finite number of seconds")
    target = Path(output)
    own = source.path if isinstance(source, MediaClip) else source
    for given in (own, audio_file):
        if given is not None and target.exists() and os.path.samefile(given, target):
            raise ParameterError(
                f"{target}: would replace its own input", "name another output"
            )
    clip = as_clip(source)
    if not clip.video_tracks:
        raise NoFaceError(
            f"{clip.path}: has no picture track", "there is nothing to line up with"
        )
    kind = container_for(target, clip)
    if audio_file is None:
        audio_tracks = _own_audio(clip, audio_track, -audio_lag_s, kind)
    else:
        audio_tracks = (_other_audio(probe(audio_file), audio_track or 0, -audio_lag_s, kind),)
    with atomic_output(target, overwrite) as temporary:
        written = remux(clip.path, audio_tracks, kind, temporary, progress)
        if verify is not None:
            verify(temporary)
    notes = written.notes
    if audio_file is not None and len(clip.audio_tracks) > 1:
        notes += (
            f"the sound of {Path(audio_file).name} took the place of all "
            f"{len(clip.audio_tracks)} sound tracks",
        )
    return ShiftResult(target, "re-encoded" if written.encoded else "copied", notes)


def _own_audio(
    clip: MediaClip, audio_track: int | None, shift_s: float, kind: Container
) -> tuple[OutputAudio, ...]:
    """Return all sound tracks of the clip: those asked for move, the rest stay."""
    check_audio_track(clip.path, len(clip.audio_tracks), audio_track or 0)
    if not any(track.sample_rate_hz for track in clip.audio_tracks):
        raise MediaError(f"{clip.path}: the codec of its sound is not known")
    moved = [audio_track] if audio_track is not None else range(len(clip.audio_tracks))
    return tuple(
        OutputAudio(
            clip.path,
            track.index,
            shift_s if track.index in moved else 0.0,
            track.start_s,
            encode=not plays_in(kind, track.codec, clip)
            or (track.index in moved and kind.start_time is StartTime.NONE),
        )
        for track in clip.audio_tracks
        if track.sample_rate_hz > 0  # what no decoder is known for is left out, and told
    )


def _other_audio(
    clip: MediaClip, audio_track: int, shift_s: float, kind: Container
) -> OutputAudio:
    """Return the sound track of a separate file."""
    check_audio_track(clip.path, len(clip.audio_tracks), audio_track)
    track = clip.audio_tracks[audio_track]
    encode = kind.start_time is StartTime.NONE or not plays_in(kind, track.codec, clip)
    return OutputAudio(clip.path, track.index, shift_s, track.start_s, encode)
