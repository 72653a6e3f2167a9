"""Which video track and which audio track of a file to use, where it holds several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from avalign.streams.face_search import count_faces
from avalign.streams.listening import (
    AS_GOOD,
    LEAST_SPEECH_S,
    AudioContent,
    has_codec,
    listen_to,
)

if TYPE_CHECKING:
    from pathlib import Path

    from avalign.types import MediaClip

# What a track says of itself that makes it the last to be taken for the scene's own sound.
BESIDE = ("comment", "visual_impaired", "dub", "karaoke", "clean_effects", "non_diegetic")


@dataclass(frozen=True, slots=True)
class AudioSource:
    """A track of the audio of a file, or a channel of it.

    Parameters
    ----------
    track : int
        Position among the sound tracks, from 0.
    channel : int or None
        One channel of it, from 0; None for the average of all.
    """

    track: int = 0
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class Tracks:
    """What of a file is looked at and listened to.

    Parameters
    ----------
    video : int
        Position among the picture tracks, from 0.
    audio : AudioSource
        The track and the channel.
    others : tuple of AudioSource
        What else may hold the voice, the likeliest first; empty where the audio was named.
    video_count, audio_count, channels : int
        How many picture tracks, sound tracks, and channels of the sound there are to
        choose from.
    video_note, audio_note : str or None
        What was chosen, and why, in words; None where there was no choice.
    """

    video: int = 0
    audio: AudioSource = AudioSource()
    others: tuple[AudioSource, ...] = ()
    video_count: int = 1
    audio_count: int = 1
    channels: int = 1
    video_note: str | None = None
    audio_note: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell of the choice."""
        return tuple(note for note in (self.video_note, self.audio_note) if note)

    def with_audio(self, source: AudioSource) -> Tracks:
        """Take another sound, as it is the one that fits the lips.

        Parameters
        ----------
        source : AudioSource
            One of the others.

        Returns
        -------
        Tracks
            The same picture with that sound.
        """
        if source.track != self.audio.track:
            note = f"of {self.audio_count} sound tracks, track {source.track}"
        elif source.channel is not None:
            note = f"of the {self.channels} channels of the sound, channel {source.channel}"
        else:
            note = "the average of all channels"
        return replace(
            self, audio=source, audio_note=f"{note} was measured, which fits the lips"
        )


def choose_tracks(
    clip: MediaClip,
    *,
    audio: str | Path | None = None,
    video_track: int | None = None,
    audio_track: int | None = None,
    channel: int | None = None,
) -> Tracks:
    """Choose the picture with a face and the sound with speech that belongs to it.

    Where there is one of each, nothing is read.

    Parameters
    ----------
    clip : MediaClip
        What `probe` told of the file.
    audio : str or Path, optional
        A separate file that holds the sound.
    video_track, audio_track, channel : int, optional
        What is not to be chosen, as it is known.

    Returns
    -------
    Tracks
        The choice. Named tracks are taken as they are, whether they exist or not.

    Raises
    ------
    MediaError
        If the separate file cannot be read.
    """
    from avalign.media import programmes

    together: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()
    if len(clip.video_tracks) > 1:
        together = tuple(
            (each.video_tracks, each.audio_tracks) for each in programmes(clip.path)
        )
    tracks = Tracks(video_count=len(clip.video_tracks))
    if video_track is not None:
        tracks = replace(tracks, video=video_track)
    elif len(clip.video_tracks) > 1:
        among = tuple(range(len(clip.video_tracks)))
        if audio_track is not None and audio is None:
            among = _partners(audio_track, [(own, videos) for videos, own in together]) or among
        tracks = _choose_video(tracks, clip, among)
    if audio is not None:
        return choose_audio(audio, audio_track=audio_track, channel=channel, tracks=tracks)
    partners = _partners(tracks.video, together)
    return _choose_audio(tracks, clip, audio_track, channel, partners)


def choose_audio(
    path: str | Path | MediaClip,
    *,
    audio_track: int | None = None,
    channel: int | None = None,
    tracks: Tracks | None = None,
) -> Tracks:
    """Choose the sound with speech.

    Parameters
    ----------
    path : str, Path or MediaClip
        The file, or what `probe` told of it.
    audio_track, channel : int, optional
        What is not to be chosen, as it is known.
    tracks : Tracks, optional
        A choice of pictures to add it to.

    Returns
    -------
    Tracks
        The choice.

    Raises
    ------
    MediaError
        If the file cannot be read.
    """
    from avalign.media import as_clip

    return _choose_audio(tracks or Tracks(), as_clip(path), audio_track, channel, ())


def _partners(
    track: int, together: Iterable[tuple[tuple[int, ...], tuple[int, ...]]]
) -> tuple[int, ...]:
    """Return the tracks of the other kind in the programme of `track`."""
    return next((others for own, others in together if track in own), ())


def _choose_video(tracks: Tracks, clip: MediaClip, among: Iterable[int]) -> Tracks:
    """Take the first picture track that shows a face about as often as any."""
    counts = count_faces(clip, [track for track in among if clip.video_tracks[track].width > 0])
    most = max(counts.values(), default=0)
    good = [track for track, count in counts.items() if most and count >= AS_GOOD * most]
    start = f"of {tracks.video_count} picture tracks, track"
    if not good:
        first = next(iter(counts), 0)
        return replace(
            tracks, video=first, video_note=f"{start} {first} was taken: none shows a face"
        )
    note = f"{start} {good[0]} was taken, which shows a face"
    if len(good) > 1:
        note += f"; so does {_list_tracks(good[1:])} (--video-track N)"
    return replace(tracks, video=good[0], video_note=note)


def _list_tracks(numbers: list[int]) -> str:
    return f"track {numbers[0]}" if len(numbers) == 1 else f"each of {numbers}"


def _choose_audio(
    tracks: Tracks,
    clip: MediaClip,
    audio_track: int | None,
    channel: int | None,
    partners: tuple[int, ...],
) -> Tracks:
    """Take the first sound track, and the channel of it, with about as much speech as any."""
    counted = replace(tracks, audio_count=len(clip.audio_tracks))
    known = [track.index for track in clip.audio_tracks if has_codec(track)]
    among = [track for track in known if track in partners] or known
    if audio_track is not None:
        among = [track for track in known if track == audio_track]
        if channel is not None or not among:
            return replace(counted, audio=AudioSource(audio_track, channel))
    if not among:
        return counted
    many = max(clip.audio_tracks[track].channels for track in among) > 1
    if len(among) == 1 and (channel is not None or not many):
        counted = replace(counted, audio=AudioSource(among[0], channel))
        return replace(counted, audio_note=_audio_note(counted, {}, audio_track, known))
    contents = listen_to(clip, among)
    ranked = _rank(clip, contents)
    best = ranked[0] if ranked else among[0]
    own = contents.get(best)
    alone = channel if channel is not None else own.channel() if own else None
    chosen = replace(
        counted, audio=AudioSource(best, alone), channels=clip.audio_tracks[best].channels
    )
    notes = [_audio_note(chosen, contents, audio_track, known)]
    if channel is None and alone is not None:
        notes.append(
            f"of the {chosen.channels} channels of the sound, channel {alone} was measured, "
            "which has speech (--channel N)"
        )
    others = [AudioSource(each, contents[each].channel()) for each in ranked[1:]]
    if own is not None and channel is None and len(own.by_channel) > 1:
        others += [AudioSource(best, each) for each in own.spoken_channels() if each != alone]
        others += [AudioSource(best)] if alone is not None else []
    note = "; ".join(note for note in notes if note)
    return replace(chosen, others=tuple(others), audio_note=note or None)


def _audio_note(
    tracks: Tracks, contents: dict[int, AudioContent], named: int | None, known: list[int]
) -> str | None:
    """Say which of several sound tracks was taken, and why."""
    if tracks.audio_count < 2 or named is not None:
        return None
    own = tracks.audio.track
    note = f"of {tracks.audio_count} sound tracks, track {own} was measured"
    speaking = [each for each, it in contents.items() if it.speech_s >= LEAST_SPEECH_S]
    if contents and not speaking:
        return f"{note}: none has speech"
    if len(known) == 1:
        return f"{note}, the only one whose codec is known"
    others = [each for each in speaking if each != own]
    if not others:
        return f"{note}, which has speech" if speaking else note
    return f"{note}; there is speech on {_list_tracks(others)}, too (--audio-track N)"


def _rank(clip: MediaClip, contents: dict[int, AudioContent]) -> list[int]:
    """Return the tracks with speech, the one to take first."""
    most_s = max((each.speech_s for each in contents.values()), default=0.0)

    def rank(track: int) -> tuple[bool, bool, bool, int]:
        kinds = clip.audio_tracks[track].dispositions
        return (
            contents[track].speech_s < AS_GOOD * most_s,
            any(kind in kinds for kind in BESIDE),
            "default" not in kinds,
            track,
        )

    return sorted(
        (track for track, each in contents.items() if each.speech_s >= LEAST_SPEECH_S), key=rank
    )
