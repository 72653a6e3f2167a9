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

# Alignments are known to within a picture; a lag below that is none.
SMALLEST_LAG_S = 0.04
# Models learn from utterances, and some look from every row at every other.
LONGEST_S = 120.0
_TEXT_STEP_S = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class ClipInputs:
    """What there is of one file for a model to read."""

    sequence: AlignedSequence  # on the picture's clock
    warp: TimeWarp  # from the picture's clock to the audio's
    audio_lag_ms: float | None  # None where there is no reliable answer
    lag_repaired: bool  # whether the audio was moved by it
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Clip:
    """Audio and lips of a file, as far as they are there and asked for."""

    audio: AudioStream | None = None
    lips: LipStream | None = None
    report: SyncReport | None = None


def read_clip_inputs(
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

    The arguments are those of `recognize`. The audio is moved by a lag that is reliable, at
    least 40 ms, and whose 95 % interval does not hold 0; else the clocks are trusted.
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
    audio_streams: dict[str, FeatureStream] = {}
    video_streams: dict[str, FeatureStream] = {}
    for name, feature in wanted.items():
        source = _source(feature)
        if source == "sound" and clip.audio is not None:
            audio_streams[name] = audio_features(clip.audio, feature)
        elif source == "face" and clip.lips is not None:
            video_streams[name] = lip_features(clip.lips)
        elif source == "text" and transcript is not None:
            audio_streams[name] = _text(transcript, clip.audio)
    for name in wanted.keys() - audio_streams.keys() - video_streams.keys():
        notes.append(f"without {name}: the file has none that can be read")
    warp, repaired = _warp(clip.report if audio_streams and video_streams else None, notes)
    sequence = from_alignment(
        warp,
        audio_streams.pop("audio", None),
        video_streams.pop("lips", None),
        rate_hz=settings.rate_hz,
        with_audio=audio_streams,
        with_picture=video_streams,
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
    reads_audio = "sound" in sources and bool(audio is not None or media.audio_tracks)
    reads_lips = "face" in sources and bool(media.video_tracks)
    if not reads_audio and not reads_lips:
        _refuse(path, sources)
    if reads_audio and reads_lips:
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
        note = tracks.audio_note if reads_audio else tracks.video_note
        notes = [] if note is None else [note]
        faces = ()
        if reads_lips:
            faces = lip_streams(path, track=tracks.video, jobs=jobs, progress=progress)
    audio_stream = None
    if reads_audio:
        source = path if audio is None else audio
        audio_stream = read_audio(source, track=chosen.track, channel=chosen.channel)
        if not reads_lips:
            return _Clip(audio_stream), notes
    speaking = 0 if report is None or report.face is None else report.face
    lips = next((face for face in faces if face.track_id == speaking), None)
    if lips is not None and not lip_features(lips).valid.any():
        lips = None
    if lips is None and audio_stream is None:
        raise NoFaceError(f"{path}: no face can be read", "use a video of a face, well lit")
    return _Clip(audio_stream, lips, report), notes


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


def _text(transcript: Transcript, audio: AudioStream | None) -> FeatureStream:
    ends_s = [word.end_s for word in transcript.words if word.end_s is not None]
    if audio is not None:
        ends_s.append(audio.start_s + audio.duration_s)
    return transcript_stream(transcript, np.arange(0.0, max([0.0, *ends_s]), _TEXT_STEP_S))
