"""From a file to the rows that a model reads: streams, their lag, one clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avalign import verbs
from avalign.align import may_be_in_sync
from avalign.errors import NoAudioError, NoFaceError, ParameterError
from avalign.fusion import from_alignment
from avalign.media import probe, read_audio
from avalign.recognition.material.features import FEATURES, audio_features, lip_features
from avalign.streams import AudioSource, choose_tracks, is_streams_file
from avalign.transcript import transcript_stream
from avalign.types import TimeWarp
from avalign.vision import lip_streams

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from avalign.recognition.model.settings import RecognizerSettings
    from avalign.reports import SyncReport
    from avalign.transcript import Transcript
    from avalign.types import AlignedSequence, AudioStream, FeatureStream, LipStream

__all__ = ["ClipInputs", "observe"]

# Alignments are known to within a picture; a lag below that is none.
SMALLEST_LAG_S = 0.04
# Models learn from utterances, and some look from every row at every other.
LONGEST_S = 120.0
_TEXT_STEP_S = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class ClipInputs:
    """What there is of one file for a model to read.

    Parameters
    ----------
    sequence : AlignedSequence
        The streams on one clock, the picture's.
    warp : TimeWarp
        From the picture's clock to the sound's.
    audio_lag_ms : float or None
        The measured lag; None where there is no reliable answer.
    lag_repaired : bool
        Whether the sound was moved by it.
    notes : tuple of str
        What to know besides.
    """

    sequence: AlignedSequence
    warp: TimeWarp
    audio_lag_ms: float | None
    lag_repaired: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Clip:
    """Sound and lips of a file, as far as they are there and asked for."""

    sound: AudioStream | None = None
    lips: LipStream | None = None
    report: SyncReport | None = None


def observe(
    path: str | os.PathLike[str],
    settings: RecognizerSettings,
    *,
    streams: Sequence[str] = (),
    transcript: Transcript | None = None,
    audio: str | os.PathLike[str] | None = None,
    video_track: int | None = None,
    audio_track: int | None = None,
    channel: int | None = None,
    max_lag_s: float = 1.0,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> ClipInputs:
    """Read a file, measure its lag, and put its streams on one clock.

    Parameters
    ----------
    path : path-like
        A video, or a sound.
    settings : RecognizerSettings
        What the model reads.
    streams : sequence of str
        Which of them to give it; all that the file has by default.
    transcript : Transcript, optional
        The words with their times, for a model that reads text.
    audio : path-like, optional
        A separate file that holds the sound.
    video_track : int, optional
        Which picture track, from 0; by default the first that shows a face.
    audio_track : int, optional
        Which sound track, from 0; by default the first with speech.
    channel : int, optional
        Which channel of the sound, from 0; by default all are averaged, or the one with
        speech is taken where others hold something else.
    max_lag_s : float
        Largest lag to search for.
    jobs : int, optional
        Cores to spread the picture over.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    ClipInputs
        The rows. Where the lag is reliably known, at least 40 ms, and its 95 % interval
        does not hold 0, the sound is moved by it; else the clocks are trusted.

    Raises
    ------
    NoAudioError, NoFaceError
        If nothing is there that the model reads.
    ParameterError
        If a stream is none of the model's, or the file is too long.
    MediaError
        If a file cannot be read.
    """
    for name in streams:
        if name not in settings.streams:
            raise ParameterError(
                f"the model reads no stream {name!r}",
                f"it reads {', '.join(sorted(settings.streams))}",
            )
    wanted = {
        name: settings.streams[name].feature for name in streams or sorted(settings.streams)
    }
    sources = {_source(feature) for feature in wanted.values()}
    named = {"video_track": video_track, "audio_track": audio_track, "channel": channel}
    clip, notes = _read(path, sources, audio, named, max_lag_s, jobs, progress)
    heard: dict[str, FeatureStream] = {}
    shown: dict[str, FeatureStream] = {}
    for name, feature in wanted.items():
        source = _source(feature)
        if source == "sound" and clip.sound is not None:
            heard[name] = audio_features(clip.sound, feature)
        elif source == "face" and clip.lips is not None:
            shown[name] = lip_features(clip.lips)
        elif source == "text" and transcript is not None:
            heard[name] = _text(transcript, clip.sound)
    for name in wanted.keys() - heard.keys() - shown.keys():
        notes.append(f"without {name}: the file has none that can be read")
    warp, repaired = _warp(clip.report if heard and shown else None, notes)
    sequence = from_alignment(
        warp,
        heard.pop("audio", None),
        shown.pop("lips", None),
        rate_hz=settings.rate_hz,
        with_audio=heard,
        with_picture=shown,
    )
    if len(sequence) > LONGEST_S * settings.rate_hz:
        raise ParameterError(
            f"{path}: lasts {len(sequence) / settings.rate_hz:.0f} s, and up to "
            f"{LONGEST_S:.0f} s are recognised at once",
            "cut it into utterances",
        )
    lag_ms = None if clip.report is None else clip.report.audio_lag_ms
    return ClipInputs(sequence, warp, lag_ms, repaired, tuple(notes))


def _source(feature: str) -> str:
    if feature not in FEATURES:
        raise ParameterError(
            f"the model reads {feature!r}, which avalign does not make from files",
            "make its rows yourself, and call the model",
        )
    return FEATURES[feature].source


def _read(
    path: str | os.PathLike[str],
    sources: set[str],
    audio: str | os.PathLike[str] | None,
    named: dict[str, int | None],
    max_lag_s: float,
    jobs: int | None,
    progress: Callable[[float], None] | None,
) -> tuple[_Clip, list[str]]:
    """Read of a file what is wanted and there; sound and picture together are measured."""
    if is_streams_file(str(path)):
        raise ParameterError(
            f"{path}: holds extracted streams, and models read videos and sounds",
            "name the file that it was extracted from",
        )
    media = probe(path)
    hears = "sound" in sources and bool(audio is not None or media.audio_tracks)
    sees = "face" in sources and bool(media.video_tracks)
    if not hears and not sees:
        _refuse(path, sources)
    if hears and sees:
        measured = verbs.measure(
            Path(path),
            max_lag_s=max_lag_s,
            audio=None if audio is None else Path(audio),
            video_track=named["video_track"],
            audio_track=named["audio_track"],
            channel=named["channel"],
            jobs=jobs,
            progress=progress,
        )
        report = measured.report
        notes = list(report.notes)
        chosen = AudioSource(measured.audio_track, measured.channel)
        faces = () if measured.streams is None else measured.streams.lips
    else:
        tracks = choose_tracks(media, audio=None if audio is None else Path(audio), **named)
        report, chosen = None, tracks.audio
        note = tracks.audio_note if hears else tracks.video_note
        notes = [] if note is None else [note]
        faces = ()
        if sees:
            faces = lip_streams(path, track=tracks.video, jobs=jobs, progress=progress)
    sound = None
    if hears:
        source = path if audio is None else audio
        sound = read_audio(source, track=chosen.track, channel=chosen.channel)
        if not sees:
            return _Clip(sound), notes
    speaking = 0 if report is None or report.face is None else report.face
    lips = next((face for face in faces if face.track_id == speaking), None)
    if lips is not None and not lip_features(lips).valid.any():
        lips = None
    if lips is None and sound is None:
        raise NoFaceError(f"{path}: no face can be read", "use a video of a face, well lit")
    return _Clip(sound, lips, report), notes


def _refuse(path: str | os.PathLike[str], sources: set[str]) -> None:
    if "face" in sources and "sound" not in sources:
        raise NoFaceError(f"{path}: has no picture", "name a video, or read the sound")
    raise NoAudioError(f"{path}: has nothing that the model reads", "name a video with sound")


def _warp(report: SyncReport | None, notes: list[str]) -> tuple[TimeWarp, bool]:
    """Find where the sound lies against the picture, and whether it is moved."""
    trusted = TimeWarp(np.zeros(1), np.zeros(1))
    if report is None:
        return trusted, False
    answer = report.alignment
    if answer is None or report.verdict is None:
        why = report.reason or "the evidence is too weak"
        notes.append(f"the lag is not known ({why}), so the clocks were trusted")
        return trusted, False
    if abs(answer.audio_lag_s) < SMALLEST_LAG_S or may_be_in_sync(answer):
        return trusted, False
    return TimeWarp(np.zeros(1), np.array([answer.audio_lag_s])), True


def _text(transcript: Transcript, sound: AudioStream | None) -> FeatureStream:
    ends_s = [word.end_s for word in transcript.words if word.end_s is not None]
    if sound is not None:
        ends_s.append(sound.start_s + sound.duration_s)
    return transcript_stream(transcript, np.arange(0.0, max([0.0, *ends_s]), _TEXT_STEP_S))
