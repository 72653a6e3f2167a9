"""What to tell beside the answer: where else to look, and what of a file was not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avalign.streams import AnyPath, Tracks, face_elsewhere, speech_elsewhere

if TYPE_CHECKING:
    from avalign.types import ClipStreams, MediaClip

# So much less than a file says it holds is a file cut short.
LEAST_MISSING_S = 1.0
LEAST_MISSING_FRACTION = 0.05


def look_elsewhere(
    clip: MediaClip,
    audio: AnyPath | None,
    tracks: Tracks,
    streams: ClipStreams,
    named: tuple[bool, bool],
    *,
    face_seen: bool,
) -> str | None:
    """Name where a face or speech is, if not in the picture or the sound that were named."""
    picture_named, sound_named = named
    hint = None
    if picture_named and not face_seen:
        hint = face_elsewhere(clip, tracks.video)
    elif sound_named and (audio is not None or clip.audio_tracks):
        hint = speech_elsewhere(audio or clip, tracks.audio)
    if hint is None and not streams.lips:
        hint = _hint_upside_down(clip.path, tracks.video)
    return hint


def _hint_upside_down(path: AnyPath, track: int) -> str | None:
    """Say so where a face is there, but upside down."""
    from avalign.vision import is_upside_down

    if not is_upside_down(path, track):
        return None
    return "one is there if it is turned by 180 degrees: it may be upside down"


def note_joined_parts(clip: MediaClip | None) -> tuple[str, ...]:
    """Say where parts with clocks of their own were joined."""
    if clip is None or not clip.restarts:
        return ()
    times = "once" if clip.restarts == 1 else f"{clip.restarts} times"
    return (f"its clock starts anew {times}: its parts were put one after the other",)


def note_cut_short(streams: ClipStreams) -> tuple[str, ...]:
    """Say where picture and sound end long before the file says that they do."""
    clocks = [stream.times_s for stream in (streams.mfcc, *streams.lips) if len(stream)]
    if not clocks:
        return ()
    read_s = float(max(clock[-1] for clock in clocks) - min(clock[0] for clock in clocks))
    missing_s = streams.duration_s - read_s
    if missing_s <= max(LEAST_MISSING_S, LEAST_MISSING_FRACTION * streams.duration_s):
        return ()
    return (
        f"only {read_s:.1f} of {streams.duration_s:.1f} s could be read: is the file complete?",
    )
