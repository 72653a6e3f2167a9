"""Cut windows from clips, with the sound taken from a shifted place.

The sound is cut as *samples* and its features are computed anew, so that no feature of a
window depends on what lies outside of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.streams import mfcc_and_speech
from avalign.types import AudioStream, ClipStreams, LipStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A picture or sample this close to the edge of a window counts as on it.
EDGE_S = 1e-6
SPEECH_PROBABILITY = 0.5


@dataclass(frozen=True, slots=True)
class SourceClip:
    """A whole clip: its streams, and the samples that windows of sound are cut from.

    To pair a picture with foreign sound, exchange ``audio``.

    Parameters
    ----------
    streams : ClipStreams
        Everything alignment needs of the clip.
    audio : AudioStream
        The sound, on the same clock as the streams.
    """

    streams: ClipStreams
    audio: AudioStream


def cut_window(
    clip: SourceClip,
    *,
    start_s: float,
    length_s: float,
    audio_lag_s: float = 0.0,
    audio_margin_s: float = 0.0,
) -> ClipStreams:
    """Cut a window out of a clip as if it were a file of its own.

    What is seen at ``t`` in the clip is seen at ``t - start_s`` in the window; what is
    heard at ``t`` is heard at ``t - start_s + audio_lag_s``. The injected lag adds to
    the clip's own. Where the clip has no sound to give, the sound starts late or ends
    early.

    Parameters
    ----------
    clip : SourceClip
        Where the window is cut from.
    start_s : float
        Place of the picture in the clip.
    length_s : float
        Length of picture and sound.
    audio_lag_s : float
        Injected lag; positive makes the audio late.
    audio_margin_s : float
        Sound to give beyond the window on both sides.

    Returns
    -------
    ClipStreams
        The window; its clock starts at 0. Faces not seen in it are left out.

    Raises
    ------
    ParameterError
        If the length is not positive, or a number is not finite.
    """
    if not (
        np.isfinite([start_s, length_s, audio_lag_s, audio_margin_s]).all() and length_s > 0
    ):
        raise ParameterError(
            f"a window of {length_s} s at {start_s} s with a lag of {audio_lag_s} s "
            f"and a margin of {audio_margin_s} s cannot be cut",
            "choose finite numbers and a length above zero",
        )
    audio = cut_audio(
        clip.audio,
        start_s=start_s - audio_lag_s - audio_margin_s,
        length_s=length_s + 2 * audio_margin_s,
    )
    audio = replace(audio, start_s=audio.start_s - audio_margin_s)
    mfcc, speech = mfcc_and_speech(iter([audio]))
    faces = (cut_lips(lips, start_s=start_s, length_s=length_s) for lips in clip.streams.lips)
    return ClipStreams(
        mfcc=mfcc,
        speech=speech,
        lips=tuple(lips for lips in faces if len(lips)),
        source=clip.streams.source,
        duration_s=length_s,
        frame_rate=clip.streams.frame_rate,
    )


def cut_clip(clip: SourceClip, *, start_s: float, length_s: float) -> SourceClip:
    """Cut a span out of a clip, samples and all, as if it were a file of its own."""
    streams = cut_window(clip, start_s=start_s, length_s=length_s)
    return SourceClip(streams, cut_audio(clip.audio, start_s=start_s, length_s=length_s))


def cut_audio(audio: AudioStream, *, start_s: float, length_s: float) -> AudioStream:
    """Cut samples; the clock starts at the cut, exact to a fraction of a sample."""
    rate_hz = audio.sample_rate_hz
    position = (start_s - audio.start_s) * rate_hz
    edge = EDGE_S * rate_hz
    first = max(0, int(np.ceil(position - edge)))
    last = max(first, int(np.ceil(position + length_s * rate_hz - edge)))
    return AudioStream(audio.samples[first:last], rate_hz, (first - position) / rate_hz)


def cut_lips(lips: LipStream, *, start_s: float, length_s: float) -> LipStream:
    """Cut the frames in [start_s, start_s + length_s); the clock starts at the cut."""
    ends_s = start_s - EDGE_S, start_s + length_s - EDGE_S
    cut = take_lips(lips, slice(*np.searchsorted(lips.times_s, ends_s)))
    return replace(cut, times_s=cut.times_s - start_s)


def take_lips(lips: LipStream, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> LipStream:
    """Leave some pictures of a face.

    Parameters
    ----------
    lips : LipStream
        One face.
    rows : slice or ndarray
        What is left, in order of time.

    Returns
    -------
    LipStream
        Those rows, at their own times.
    """
    return replace(
        lips,
        values=lips.values[rows],
        times_s=lips.times_s[rows],
        valid=lips.valid[rows],
        landmarks=lips.landmarks[rows],
        head_pose=lips.head_pose[rows],
        boxes=lips.boxes[rows],
        mouth_log_odds=None if lips.mouth_log_odds is None else lips.mouth_log_odds[rows],
    )


def video_span_s(streams: ClipStreams) -> tuple[float, float]:
    """Find from when to when a clip shows any face.

    Parameters
    ----------
    streams : ClipStreams
        A clip.

    Returns
    -------
    tuple of float
        First and last instant; equal if there is no face.
    """
    lip_times_s = [lips.times_s for lips in streams.lips if len(lips)]
    if not lip_times_s or streams.frame_rate <= 0:
        return 0.0, 0.0
    end_s = max(times_s[-1] for times_s in lip_times_s) + 1 / streams.frame_rate
    return float(min(times_s[0] for times_s in lip_times_s)), float(end_s)


def face_fraction(
    streams: ClipStreams, starts_s: NDArray[np.float64], length_s: float
) -> NDArray[np.float64]:
    """Compute the fraction of each window's frames that show a usable face: float64 [W]."""
    usable_s = [lips.times_s[lips.valid] for lips in streams.lips]
    if not usable_s:
        return np.zeros(len(starts_s))
    # The faces of a clip share the times of its pictures.
    shown_s = np.unique(np.concatenate(usable_s))
    frames = max(1.0, length_s * streams.frame_rate)
    return np.minimum(_count(shown_s, starts_s, length_s) / frames, 1.0)


def speech_fraction(
    streams: ClipStreams, starts_s: NDArray[np.float64], length_s: float
) -> NDArray[np.float64]:
    """Compute the fraction of each window in which its audio is speech: float64 [W]."""
    speech = streams.speech
    if len(speech) < 2:
        return np.zeros(len(starts_s))
    row_s = float(np.median(np.diff(speech.times_s)))
    spoken_s = speech.times_s[speech.valid & (speech.values[:, 0] >= SPEECH_PROBABILITY)]
    return np.minimum(_count(spoken_s, starts_s, length_s) * row_s / length_s, 1.0)


def usable_starts(
    streams: ClipStreams,
    length_s: float,
    *,
    min_face: float = 0.8,
    min_speech: float = 0.5,
    step_s: float = 0.02,
) -> NDArray[np.float64]:
    """List the places where a window shows a usable face that speaks.

    Parameters
    ----------
    streams : ClipStreams
        The clip.
    length_s : float
        Length of the windows.
    min_face : float
        Least fraction of the pictures with a usable face.
    min_speech : float
        Least fraction of the time with speech.
    step_s : float
        Time between places that are tried.

    Returns
    -------
    ndarray of shape (W,), float64
        Starts, increasing; empty if the clip holds no such window.
    """
    first_s, end_s = video_span_s(streams)
    n_starts = int(np.floor((end_s - first_s - length_s) / step_s + EDGE_S)) + 1
    starts_s = first_s + np.arange(max(0, n_starts)) * step_s
    lip_times_s = face_fraction(streams, starts_s, length_s) >= min_face - EDGE_S
    spoken = speech_fraction(streams, starts_s, length_s) >= min_speech - EDGE_S
    return starts_s[lip_times_s & spoken]


def _count(
    times_s: NDArray[np.float64], starts_s: NDArray[np.float64], length_s: float
) -> NDArray[np.float64]:
    """Count the instants in [start, start + length) of each window."""
    first = np.searchsorted(times_s, starts_s - EDGE_S)
    last = np.searchsorted(times_s, starts_s + length_s - EDGE_S)
    return (last - first).astype(np.float64)
