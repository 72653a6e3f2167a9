"""Which picture and which sound of a file that holds several is the one to look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import MediaError, NoAudioError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from avalign.types import AudioTrack, MediaClip

__all__ = [
    "Sound",
    "Tracks",
    "choose_sound",
    "choose_tracks",
    "face_elsewhere",
    "speech_elsewhere",
]

# What is chosen is told by so much of the file.
LOOKED_AT_S = 60.0
LOOKS = 6
RATE_HZ = 16000
# Channels that sound this much alike for so long hold the same voice.
ALIKE = 0.9
ALIKE_FOR_S = 5.0
# Less speech than this is chance.
LEAST_SPEECH_S = 0.5
# A track with this share of the most speech, or the most faces, is as good as the best.
AS_GOOD = 0.5
# Softer than this in decibels of full scale, a channel adds nothing to the others.
SILENCE_DB = -65.0
# What a track says of itself that makes it the last to be taken for the scene's own sound.
BESIDE = ("comment", "visual_impaired", "dub", "karaoke", "clean_effects", "non_diegetic")


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound of a file.

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
    sound : Sound
        The track and the channel.
    others : tuple of Sound
        What else may hold the voice, the likeliest first; empty where the sound was named.
    videos, audios, channels : int
        How many picture tracks, sound tracks, and channels of the sound there are to
        choose from.
    picture_note, sound_note : str or None
        What was chosen, and why, in words; None where there was no choice.
    """

    video: int = 0
    sound: Sound = Sound()
    others: tuple[Sound, ...] = ()
    videos: int = 1
    audios: int = 1
    channels: int = 1
    picture_note: str | None = None
    sound_note: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell of the choice."""
        return tuple(note for note in (self.picture_note, self.sound_note) if note)

    def instead(self, sound: Sound) -> Tracks:
        """Take another sound, as it is the one that fits the lips.

        Parameters
        ----------
        sound : Sound
            One of the others.

        Returns
        -------
        Tracks
            The same picture with that sound.
        """
        if sound.track != self.sound.track:
            note = f"of {self.audios} sound tracks, track {sound.track}"
        elif sound.channel is not None:
            note = f"of the {self.channels} channels of the sound, channel {sound.channel}"
        else:
            note = "the average of all channels"
        return replace(
            self, sound=sound, sound_note=f"{note} was measured, which fits the lips"
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
    tracks = Tracks(videos=len(clip.video_tracks))
    if video_track is not None:
        tracks = replace(tracks, video=video_track)
    elif len(clip.video_tracks) > 1:
        among = tuple(range(len(clip.video_tracks)))
        if audio_track is not None and audio is None:
            among = _partners(audio_track, [(own, videos) for videos, own in together]) or among
        tracks = _with_picture(tracks, clip, among)
    if audio is not None:
        return choose_sound(audio, audio_track=audio_track, channel=channel, tracks=tracks)
    partners = _partners(tracks.video, together)
    return _with_sound(tracks, clip, audio_track, channel, partners)


def choose_sound(
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

    return _with_sound(tracks or Tracks(), as_clip(path), audio_track, channel, ())


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
    seen = [track for track, count in _faces(clip, others).items() if count]
    if not seen:
        return None
    return f"{_named('picture track', seen)} a face: try --video-track {seen[0]}"


def speech_elsewhere(path: str | Path | MediaClip, sound: Sound) -> str | None:
    """Name the sound tracks and channels with speech, but for one.

    Parameters
    ----------
    path : str, Path or MediaClip
        The file that holds the sound, or what `probe` told of it.
    sound : Sound
        What is known to have too little.

    Returns
    -------
    str or None
        A hint in words; None where there is no speech elsewhere.
    """
    from avalign.media import as_clip

    clip = as_clip(path)
    heard = _heard(clip, [track.index for track in clip.audio_tracks if _known(track)])
    own = heard.pop(sound.track, None)
    if own is not None and sound.channel is not None:
        spoken = own.speaking()
        if spoken and sound.channel not in spoken:
            return f"{_named('channel', spoken)} speech: try --channel {spoken[0]}"
    found = [track for track, each in heard.items() if each.speech_s >= LEAST_SPEECH_S]
    if not found:
        return None
    return f"{_named('sound track', found)} speech: try --audio-track {found[0]}"


def _named(noun: str, numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"{noun} {numbers[0]} has"
    return f"{noun}s {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} have"


def _partners(
    track: int, together: Iterable[tuple[tuple[int, ...], tuple[int, ...]]]
) -> tuple[int, ...]:
    """Return the tracks of the other kind in the programme of `track`."""
    return next((others for own, others in together if track in own), ())


def _known(track: AudioTrack) -> bool:
    return track.sample_rate_hz > 0


def _with_picture(tracks: Tracks, clip: MediaClip, among: Iterable[int]) -> Tracks:
    """Take the first picture track that shows a face about as often as any."""
    counts = _faces(clip, [track for track in among if clip.video_tracks[track].width > 0])
    most = max(counts.values(), default=0)
    good = [track for track, count in counts.items() if most and count >= AS_GOOD * most]
    told = f"of {tracks.videos} picture tracks, track"
    if not good:
        first = next(iter(counts), 0)
        return replace(
            tracks, video=first, picture_note=f"{told} {first} was taken: none shows a face"
        )
    note = f"{told} {good[0]} was taken, which shows a face"
    if len(good) > 1:
        note += f"; so does {_listed(good[1:])} (--video-track N)"
    return replace(tracks, video=good[0], picture_note=note)


def _listed(numbers: list[int]) -> str:
    return f"track {numbers[0]}" if len(numbers) == 1 else f"each of {numbers}"


def _faces(clip: MediaClip, among: Iterable[int]) -> dict[int, int]:
    """Count in how many of a few pictures each track shows a face for certain."""
    from avalign.vision import FaceFinder

    pictures = {track: _looks(clip, track) for track in among}
    with FaceFinder() as finder:
        for find in (finder.find, finder.find_small):
            counts = {
                track: sum(
                    any(finder.is_sure(image, face) for face in find(image)) for image in images
                )
                for track, images in pictures.items()
            }
            if any(counts.values()):
                break
    return counts


def _looks(clip: MediaClip, track: int) -> list[NDArray[np.uint8]]:
    """Return a few pictures spread over the first minute of a track."""
    from avalign.media import iter_frames
    from avalign.vision import ANALYSED_SIDE

    picture = clip.video_tracks[track]
    length_s = min(picture.duration_s or clip.duration_s or LOOKED_AT_S, LOOKED_AT_S)
    images: list[NDArray[np.uint8]] = []
    for look in range(LOOKS):
        start_s = picture.start_s + length_s * (look + 0.5) / LOOKS
        try:
            frames = iter_frames(
                clip.path, track=track, max_side=ANALYSED_SIDE, start_s=start_s
            )
            frame = next(frames, None)
        except MediaError:
            return images
        if frame is not None:
            images.append(frame.image)
    return images


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """What the first minute of a sound track holds, channel by channel.

    `alike` tells that all channels hold the same, so that they were not looked into.
    """

    speech_s: float
    by_channel: tuple[float, ...]
    loud: tuple[bool, ...]
    front: int | None
    alike: bool = False

    def speaking(self) -> list[int]:
        """Return the channels with about as much speech as any."""
        if self.speech_s < LEAST_SPEECH_S:
            return []
        least_s = AS_GOOD * self.speech_s
        return [each for each, spoken_s in enumerate(self.by_channel) if spoken_s >= least_s]

    def channel(self) -> int | None:
        """Return the channel to listen to; None for the average of all."""
        speaking = self.speaking()
        if self.alike or not speaking:
            return None
        if self.front is not None and self.front in speaking:
            return self.front
        if all(each in speaking for each, loud in enumerate(self.loud) if loud):
            return None
        return max(speaking, key=lambda each: self.by_channel[each])


ALL_ALIKE = _Heard(LOOKED_AT_S, (), (), None, alike=True)


def _with_sound(
    tracks: Tracks,
    clip: MediaClip,
    audio_track: int | None,
    channel: int | None,
    partners: tuple[int, ...],
) -> Tracks:
    """Take the first sound track, and the channel of it, with about as much speech as any."""
    counted = replace(tracks, audios=len(clip.audio_tracks))
    known = [track.index for track in clip.audio_tracks if _known(track)]
    among = [track for track in known if track in partners] or known
    if audio_track is not None:
        among = [track for track in known if track == audio_track]
        if channel is not None or not among:
            return replace(counted, sound=Sound(audio_track, channel))
    if not among:
        return counted
    many = max(clip.audio_tracks[track].channels for track in among) > 1
    if len(among) == 1 and (channel is not None or not many):
        counted = replace(counted, sound=Sound(among[0], channel))
        return replace(counted, sound_note=_told_of_track(counted, {}, audio_track, known))
    heard = _heard(clip, among)
    ranked = _ranked(clip, heard)
    best = ranked[0] if ranked else among[0]
    own = heard.get(best)
    alone = channel if channel is not None else own.channel() if own else None
    chosen = replace(
        counted, sound=Sound(best, alone), channels=clip.audio_tracks[best].channels
    )
    notes = [_told_of_track(chosen, heard, audio_track, known)]
    if channel is None and alone is not None:
        notes.append(
            f"of the {chosen.channels} channels of the sound, channel {alone} was measured, "
            "which has speech (--channel N)"
        )
    others = [Sound(each, heard[each].channel()) for each in ranked[1:]]
    if own is not None and channel is None and len(own.by_channel) > 1:
        others += [Sound(best, each) for each in own.speaking() if each != alone]
        others += [Sound(best)] if alone is not None else []
    told = "; ".join(note for note in notes if note)
    return replace(chosen, others=tuple(others), sound_note=told or None)


def _told_of_track(
    tracks: Tracks, heard: dict[int, _Heard], named: int | None, known: list[int]
) -> str | None:
    """Say which of several sound tracks was taken, and why."""
    if tracks.audios < 2 or named is not None:
        return None
    own = tracks.sound.track
    note = f"of {tracks.audios} sound tracks, track {own} was measured"
    speaking = [each for each, it in heard.items() if it.speech_s >= LEAST_SPEECH_S]
    if heard and not speaking:
        return f"{note}: none has speech"
    if len(known) == 1:
        return f"{note}, the only one whose codec is known"
    others = [each for each in speaking if each != own]
    if not others:
        return f"{note}, which has speech" if speaking else note
    return f"{note}; there is speech on {_listed(others)}, too (--audio-track N)"


def _ranked(clip: MediaClip, heard: dict[int, _Heard]) -> list[int]:
    """Return the tracks with speech, the one to take first."""
    most_s = max((each.speech_s for each in heard.values()), default=0.0)

    def rank(track: int) -> tuple[bool, bool, bool, int]:
        kinds = clip.audio_tracks[track].dispositions
        return (
            heard[track].speech_s < AS_GOOD * most_s,
            any(kind in kinds for kind in BESIDE),
            "default" not in kinds,
            track,
        )

    return sorted(
        (track for track, each in heard.items() if each.speech_s >= LEAST_SPEECH_S), key=rank
    )


def _heard(clip: MediaClip, among: Iterable[int]) -> dict[int, _Heard]:
    """Listen to the first minute of sound tracks."""
    among = list(among)
    heard = {}
    for track in among:
        try:
            # Of one track with one voice only the channels are in question.
            heard[track] = _listen(clip, track, alone=len(among) == 1)
        except (MediaError, NoAudioError):
            continue  # nothing of it can be decoded
    return heard


def _listen(clip: MediaClip, track: int, *, alone: bool) -> _Heard:
    from avalign.media import iter_channels

    layout = clip.audio_tracks[track].channel_names
    pieces: list[NDArray[np.float32]] = []
    length, compared = 0, not alone
    for block in iter_channels(clip.path, track=track, rate_hz=RATE_HZ):
        pieces.append(block)
        length += block.shape[1]
        if not compared and length >= ALIKE_FOR_S * RATE_HZ:
            compared = True
            if _alike(np.concatenate(pieces, axis=1)):
                return ALL_ALIKE
        if length >= LOOKED_AT_S * RATE_HZ:
            break
    samples = np.concatenate(pieces, axis=1)
    if not compared and _alike(samples):
        return ALL_ALIKE
    by_channel = tuple(_speech_s(channel) for channel in samples)
    power = np.mean(samples.astype(np.float64) ** 2, axis=1) + 1e-12
    return _Heard(
        max(by_channel, default=0.0),
        by_channel,
        tuple((10.0 * np.log10(power) > SILENCE_DB).tolist()),
        layout.index("FC") if "FC" in layout and len(layout) > 2 else None,
    )


def _alike(samples: NDArray[np.float32]) -> bool:
    """Tell whether all channels hold nearly the same sound."""
    centred = samples - samples.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1)
    if not norms.all():
        return False
    first, *rest = centred / norms[:, None]
    return all(float(first @ other) > ALIKE for other in rest)


def _speech_s(samples: NDArray[np.float32]) -> float:
    from avalign.audio import MfccSettings, speech_activity
    from avalign.types import AudioStream

    speech = speech_activity(AudioStream(np.clip(samples, -1, 1), RATE_HZ, 0.0))
    return float(np.count_nonzero(speech.values > 0.5)) * MfccSettings().hop_s
