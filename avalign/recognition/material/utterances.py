"""Utterances: clips with their words, classes or numbers as targets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.data import load_clips, row_transcript
from avalign.errors import AvalignError, ParameterError
from avalign.fusion import from_alignment
from avalign.recognition import FEATURES, RATE_HZ, audio_features_batch, clip_features
from avalign.transcript import transcript_stream
from avalign.types import TimeWarp

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from avalign.data import Manifest, ManifestRow, SourceClip
    from avalign.recognition import StreamSettings
    from avalign.types import AlignedSequence, AudioStream, FeatureStream

# Where nobody says.
NO_LABEL = -1


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """A clip, and the targets of a model for it.

    Parameters
    ----------
    name : str
        Which one, for messages; no other has the same.
    speaker : str
        Who speaks.
    audio : AudioStream or None
        Its samples at 16 kHz; features are computed after noise was mixed in.
    streams : mapping of str to FeatureStream
        All streams that are not made of the sound, on the picture's clock.
    rows : int
        Rows it has on the common clock.
    alignment : TimeWarp or None
        From the picture's clock to the sound's; None where they agree.
    text : str
        The words as the alphabet spells them; ``""`` where it is not known.
    words : tuple of (float, float, int) or None
        Start and end of each word in seconds, by the sound's clock, and its number in
        the vocabulary, from 1; None where it is not known.
    tokens : ndarray of shape (L,), int64
        Numbers of the characters.
    label : int
        The class; -1 where it is not known.
    values : ndarray of shape (V,), float32
        Numbers to predict; NaN where it is not known.
    """

    name: str
    speaker: str
    audio: AudioStream | None
    streams: Mapping[str, FeatureStream]
    rows: int
    alignment: TimeWarp | None = None
    text: str = ""
    words: tuple[tuple[float, float, int], ...] | None = None
    tokens: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    label: int = NO_LABEL
    values: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that cannot be learnt from, and why.

    Parameters
    ----------
    name : str
        The file, as the manifest writes it.
    reason : str
        One line.
    """

    name: str
    reason: str


def load_utterances(
    manifest: Manifest,
    streams: Mapping[str, StreamSettings],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[list[tuple[ManifestRow, Utterance]], list[Skipped]]:
    """Extract the streams of all rows, or find them extracted already.

    Parameters
    ----------
    manifest : Manifest
        The rows.
    streams : mapping of str to StreamSettings
        What the model reads.
    cache_dir : path-like, optional
        Where extracted clips are cached.
    jobs : int, optional
        Files extracted at once; all cores by default.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    utterances : list of (ManifestRow, Utterance)
        In file order; targets are still to be filled in.
    skipped : list of Skipped
        Files that cannot be read, or show and say nothing that the model reads.
    """
    utterances, skipped = [], []
    for loaded in load_clips(manifest.rows, cache_dir=cache_dir, jobs=jobs, progress=progress):
        row, name = loaded.row, utterance_name(manifest, loaded.row)
        try:
            if loaded.clip is None:
                raise loaded.error or ParameterError(f"{name} was not loaded")
            utterances.append((row, _utterance(row, name, loaded.clip, streams)))
        except AvalignError as error:
            skipped.append(Skipped(name, error.message))
    return utterances, skipped


def aligned_sequence(
    utterance: Utterance,
    streams: Mapping[str, StreamSettings],
    rate_hz: float,
    *,
    audio_streams: Mapping[str, FeatureStream] | None = None,
    speed: float = 1.0,
    lag_s: float = 0.0,
    shift_s: float = 0.0,
) -> AlignedSequence:
    """Compute the features of an utterance, and bring them onto one clock.

    Parameters
    ----------
    utterance : Utterance
        What to join.
    streams : mapping of str to StreamSettings
        What the model reads.
    rate_hz : float
        Rows per second.
    audio_streams : mapping of str to FeatureStream, optional
        Features of its sound, such as with noise in it; by default they are computed.
    speed : float
        Factor by which everything runs faster.
    lag_s : float
        Lag to inject; positive makes the audio late.
    shift_s : float
        How much later than its streams the clock starts and ends.

    Returns
    -------
    AlignedSequence
        The streams that the utterance has. Its time t is `speed` times t on the
        utterance's clock.
    """
    if audio_streams is None:
        (audio_streams,) = compute_audio_features([utterance.audio], streams)
    audio_streams = dict(audio_streams)
    other_streams = dict(utterance.streams)
    warp = utterance.alignment or TimeWarp(np.zeros(1), np.zeros(1))
    if speed != 1.0:
        audio_streams = {
            k: replace(s, times_s=s.times_s / speed) for k, s in audio_streams.items()
        }
        other_streams = {
            k: replace(s, times_s=s.times_s / speed) for k, s in other_streams.items()
        }
        warp = TimeWarp(warp.reference_s / speed, warp.other_s / speed)
    if lag_s != 0.0:
        warp = TimeWarp(warp.reference_s, warp.other_s - lag_s)
    span_s = None
    if shift_s != 0.0:
        clocks_s = [warp.inverse.to_other(stream.times_s) for stream in audio_streams.values()]
        clocks_s += [stream.times_s for stream in other_streams.values()]
        known_s = np.concatenate(clocks_s)
        span_s = known_s.min() + shift_s, known_s.max() + shift_s
    return from_alignment(
        warp,
        audio_streams.pop("audio", None),
        other_streams.pop("lips", None),
        rate_hz=rate_hz,
        with_audio=audio_streams,
        with_picture=other_streams,
        span_s=span_s,
    )


def compute_audio_features(
    audios: Sequence[AudioStream | None],
    streams: Mapping[str, StreamSettings],
    *,
    device: str | None = None,
) -> list[dict[str, FeatureStream]]:
    """Compute the streams that are made of sound.

    Parameters
    ----------
    audios : sequence of AudioStream or None
        The sounds; None for an utterance without one.
    streams : mapping of str to StreamSettings
        What the model reads.
    device : str, optional
        A GPU to compute them on; see `audio_features_batch`.

    Returns
    -------
    list of dict of str to FeatureStream
        For each sound its streams, none for None.
    """
    present = [number for number, audio in enumerate(audios) if audio is not None]
    found: list[dict[str, FeatureStream]] = [{} for _ in audios]
    for name, settings in streams.items():
        if _source(settings) == "sound" and present:
            audio_streams = [audio for audio in audios if audio is not None]
            rows = audio_features_batch(audio_streams, settings.feature, device=device)
            for number, stream in zip(present, rows, strict=True):
                found[number][name] = stream
    return found


def find_frame_words(
    utterance: Utterance, times_s: NDArray[np.float64], speed: float = 1.0
) -> NDArray[np.int64]:
    """Find the word of each row: int64 [T], from 1.

    0 in silence; -1 everywhere where no times of words are known.
    """
    if utterance.words is None:
        return np.full(len(times_s), NO_LABEL)
    audio_s = times_s * speed
    if utterance.alignment is not None:
        audio_s = utterance.alignment.to_other(audio_s)
    rows = np.zeros(len(times_s), np.int64)
    for start_s, end_s, number in utterance.words:
        rows[(audio_s >= start_s) & (audio_s < end_s)] = number
    return rows


def _utterance(
    row: ManifestRow, name: str, clip: SourceClip, streams: Mapping[str, StreamSettings]
) -> Utterance:
    kinds = {
        stream: settings.feature
        for stream, settings in streams.items()
        if _source(settings) == "face"
    }
    found = clip_features(clip, kinds) if kinds else {}
    for stream, settings in streams.items():
        if _source(settings) == "text" and (transcript := row_transcript(row)) is not None:
            clock_s = np.arange(0.0, clip.audio.start_s + clip.audio.duration_s, 0.02)
            found[stream] = transcript_stream(transcript, clock_s)
    reads_audio = any(_source(settings) == "sound" for settings in streams.values())
    audio = clip.audio if reads_audio and len(clip.audio.samples) else None
    if audio is None and not any(stream.valid.any() for stream in found.values()):
        raise ParameterError(f"{name} has none of the streams {', '.join(streams)}")
    utterance = Utterance(name, row.speaker, audio, found, 0)
    # What is too short for features is told now, not in the middle of an epoch.
    return replace(utterance, rows=len(aligned_sequence(utterance, streams, RATE_HZ)))


def _source(settings: StreamSettings) -> str:
    known = FEATURES.get(settings.feature)
    if known is None:
        raise ParameterError(
            f"features {settings.feature!r} are not made from clips",
            f"choose from {', '.join(FEATURES)}",
        )
    return known.source


def utterance_name(manifest: Manifest, row: ManifestRow) -> str:
    """Name an utterance uniquely.

    Parameters
    ----------
    manifest : Manifest
        The manifest.
    row : ManifestRow
        One of its rows.

    Returns
    -------
    str
        The file, and where the utterance starts in it.
    """
    span = "" if row.start_s is None else f"@{row.start_s:g}"
    return manifest.name_of(row) + span
