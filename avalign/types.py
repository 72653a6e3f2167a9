"""The frozen dataclasses that flow through the house.

Time is always the first axis, and every stream carries its own clock
(``times_s``), so that variable frame rate, dropped faces, edit lists and codec
priming are ordinary. All times are presentation times in seconds: what a
player shows, with the zero of the container.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "AlignReport",
    "AlignedSequence",
    "Alignment",
    "AudioStream",
    "AudioTrack",
    "ClipStreams",
    "FaceAlignment",
    "FeatureStream",
    "LagCurve",
    "LagMap",
    "LipStream",
    "MediaClip",
    "SyncReport",
    "TimeWarp",
    "VideoTrack",
]


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """One picture track of a file.

    Parameters
    ----------
    index : int
        Position among the *picture* tracks, from 0.
    codec : str
        Name of the codec.
    width, height : int
        Size in pixels as shown, after rotation.
    frame_rate : Fraction or None
        Average pictures per second; None where the file does not say.
    rotation_deg : int
        Clockwise rotation a player applies: 0, 90, 180 or 270.
    start_s : float
        Presentation time of the first picture.
    duration_s : float or None
        Length; None where the file does not say.
    """

    index: int
    codec: str
    width: int
    height: int
    frame_rate: Fraction | None
    rotation_deg: int
    start_s: float
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """One sound track of a file.

    Parameters
    ----------
    index : int
        Position among the *sound* tracks, from 0; what ``--audio-track`` takes.
    codec : str
        Name of the codec.
    sample_rate_hz : int
        Audio samples per second.
    channels : int
        Number of channels.
    start_s : float
        Presentation time of the first sample a player lets you hear.
    duration_s : float or None
        Length; None where the file does not say.
    language : str or None
        Language tag, where there is one.
    """

    index: int
    codec: str
    sample_rate_hz: int
    channels: int
    start_s: float
    duration_s: float | None
    language: str | None


@dataclass(frozen=True, slots=True)
class MediaClip:
    """What a probe tells of a media file.

    Parameters
    ----------
    path : Path
        The file.
    format_name : str
        Name of the container format.
    duration_s : float or None
        Length of the longest track; None where the file does not say.
    audio_tracks : tuple of AudioTrack
        Sound tracks in file order.
    video_tracks : tuple of VideoTrack
        Picture tracks in file order, without cover art.
    """

    path: Path
    format_name: str
    duration_s: float | None
    audio_tracks: tuple[AudioTrack, ...]
    video_tracks: tuple[VideoTrack, ...]


@dataclass(frozen=True, slots=True)
class AudioStream:
    """Mono samples with a clock.

    Parameters
    ----------
    samples : ndarray of shape (N,), float32
        Samples in [-1, 1]; gaps in the file are zeros.
    sample_rate_hz : int
        Samples per second.
    start_s : float
        Presentation time of ``samples[0]``.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    start_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz


@dataclass(frozen=True, slots=True)
class FeatureStream:
    """Rows of one kind of signal, each with its time.

    Parameters
    ----------
    values : ndarray of shape (T, D), float32
        One row per instant.
    times_s : ndarray of shape (T,), float64
        Presentation time of each row, strictly increasing.
    valid : ndarray of shape (T,), bool
        False where the row is a placeholder, never to be trusted.
    kind : str
        What the rows are: ``"mfcc"``, ``"log_mel"``, ``"speech"``, ``"lips"``,
        ``"embedding"``, ``"text"``.
    """

    values: NDArray[np.float32]
    times_s: NDArray[np.float64]
    valid: NDArray[np.bool_]
    kind: str

    def __len__(self) -> int:
        return len(self.times_s)


@dataclass(frozen=True, slots=True)
class LipStream(FeatureStream):
    """The lips of one face, one row per picture of the track.

    ``values`` holds the 40 lip points and the chin, normalised for position,
    roll and scale (unit: the distance between the outer eye corners), flattened
    to 123 columns: x, y, z of each point, x to the right, y down.

    Parameters
    ----------
    landmarks : ndarray of shape (T, 41, 3), float32
        The same points in pixels of the picture as shown; NaN where not valid.
    head_pose : ndarray of shape (T, 3), float32
        Yaw, pitch and roll in degrees; 0 is a face that looks into the camera.
    boxes : ndarray of shape (T, 4), float32
        Left, top, right and bottom of the face as fractions of the picture.
    track_id : int
        Number of the face, from 0, largest face first.
    picture_size : tuple of int
        Width and height in pixels.
    """

    landmarks: NDArray[np.float32]
    head_pose: NDArray[np.float32]
    boxes: NDArray[np.float32]
    track_id: int
    picture_size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ClipStreams:
    """Everything alignment needs of one file, and nothing that shows a face.

    Parameters
    ----------
    mfcc : FeatureStream
        The sound.
    speech : FeatureStream
        Probability of speech, shape (T, 1), on the clock of ``mfcc``.
    lips : tuple of LipStream
        One stream per face, largest face first; empty if there is none.
    source : str
        Name of the file the streams were extracted from.
    duration_s : float
        Length of the picture.
    frame_rate : float
        Average pictures per second as decoded.
    """

    mfcc: FeatureStream
    speech: FeatureStream
    lips: tuple[LipStream, ...]
    source: str
    duration_s: float
    frame_rate: float


@dataclass(frozen=True, slots=True)
class LagCurve:
    """How well sound and lips agree at every lag that was searched.

    Parameters
    ----------
    lags_s : ndarray of shape (L,), float64
        Audio lags, increasing.
    score : ndarray of shape (L,), float64
        Log evidence for "matched at this lag" against "not matched".
    posterior : ndarray of shape (L,), float64
        Probability of each lag; sums to one less the probability of no match.
    """

    lags_s: NDArray[np.float64]
    score: NDArray[np.float64]
    posterior: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LagMap:
    """The cost matrix of two streams around their path, by lag in place of column.

    Parameters
    ----------
    lags_s : ndarray of shape (L,), float64
        Time in the other stream minus time in the reference, increasing.
    times_s : ndarray of shape (B,), float64
        The reference's clock, increasing.
    values : ndarray of shape (B, L), float64
        Evidence for each lag at each time: minus the cost.
    """

    lags_s: NDArray[np.float64]
    times_s: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TimeWarp:
    """A map between two clocks that never goes back, straight between its knots.

    Before the first knot and after the last one both clocks run alike.

    Parameters
    ----------
    reference_s : ndarray of shape (K,), float64
        Instants on the reference's clock, strictly increasing.
    other_s : ndarray of shape (K,), float64
        The same instants on the other recording's clock, strictly increasing.
    """

    reference_s: NDArray[np.float64]
    other_s: NDArray[np.float64]

    @property
    def lag_s(self) -> NDArray[np.float64]:
        """Time in the other recording minus time in the reference, at each knot."""
        return self.other_s - self.reference_s

    @property
    def inverse(self) -> TimeWarp:
        """The map from the other recording's clock to the reference's."""
        return TimeWarp(self.other_s, self.reference_s)

    def to_other(self, reference_s: ArrayLike) -> NDArray[np.float64]:
        """Find when the other recording shows or sounds what the reference does.

        Parameters
        ----------
        reference_s : array-like of float
            Times on the reference's clock.

        Returns
        -------
        ndarray of float64
            Times on the other recording's clock, of the same shape.
        """
        import numpy as np

        asked_s = np.asarray(reference_s, np.float64)
        inside_s = np.clip(asked_s, self.reference_s[0], self.reference_s[-1])
        moved_s = np.interp(inside_s, self.reference_s, self.other_s)
        return np.asarray(moved_s + (asked_s - inside_s))


@dataclass(frozen=True, slots=True)
class Alignment:
    """A path through the cost matrix of two streams, and how far to trust it.

    The streams are the lips and the sound of a clip or, where two recordings are
    aligned, the reference (a picture or a sound) and the other recording's sound.

    Parameters
    ----------
    audio_lag_s : float
        Time of an event in the audio minus its time in the picture. Positive:
        the audio is late. Where the lag changes over time, its median.
    interval_s : tuple of float
        95 % interval of the lag; where it changes over time, the range that it
        keeps to for 95 % of the time.
    confidence : float
        Calibrated probability that the lag is within 40 ms of the truth; of two
        recordings, that they hold the same words.
    at_edge : bool
        The best lag lies at the edge of the range that was searched, so the
        true one may lie beyond.
    path : ndarray of shape (K, 2), int32
        Warping path: rows of the lip grid against rows of the audio grid, or rows
        of the reference against rows of the other recording.
    curve : LagCurve
        Evidence over lags.
    agreement : FeatureStream
        Evidence at the best lag over time, shape (B, 1): above 0 where sound
        and lips fit, below where they do not.
    speech_s : float
        Seconds of speech heard while the face was seen.
    drift_ppm : float or None
        Change of the lag in parts per million; None where it was not modelled.
    segments : tuple or None
        Spans with one lag line each; None where they were not modelled.
    warp : TimeWarp or None
        The lag at every instant, smooth, of two recordings; else None.
    model : str
        How free the path is: ``"rigid"``, ``"drift"`` or ``"elastic"``.
    diagnostics : dict of str to float
        What the confidence was computed from.
    """

    audio_lag_s: float
    interval_s: tuple[float, float]
    confidence: float
    at_edge: bool
    path: NDArray[np.int32]
    curve: LagCurve
    agreement: FeatureStream
    speech_s: float
    drift_ppm: float | None = None
    segments: tuple[object, ...] | None = None
    warp: TimeWarp | None = None
    model: str = "rigid"
    diagnostics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class AlignedSequence:
    """Streams whose equal rows are simultaneous; what fusion takes.

    Parameters
    ----------
    streams : dict of str to ndarray of shape (T, D), float32
        Rows of each stream; 0 where its mask is False. D differs between streams.
    times_s : ndarray of shape (T,), float64
        Time of each row on the picture's clock, evenly spaced.
    masks : dict of str to ndarray of shape (T,), bool
        Where each stream has something to say.
    """

    streams: dict[str, NDArray[np.float32]]
    times_s: NDArray[np.float64]
    masks: dict[str, NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.times_s)


@dataclass(frozen=True, slots=True)
class FaceAlignment:
    """One face of the picture and how the sound fits it.

    Parameters
    ----------
    track_id : int
        Number of the face, from 0.
    place : str
        Where it is, in words that no other face of the clip has, such as ``"left"``,
        ``"upper right"``, ``"second from the left"``, ``"centre, from 12.4 s"``.
    box : tuple of float
        Median left, top, right and bottom as fractions of the picture.
    coverage : float
        Share of the pictures in which the face is usable.
    alignment : Alignment or None
        None where the face is not usable at all.
    """

    track_id: int
    place: str
    box: tuple[float, float, float, float]
    coverage: float
    alignment: Alignment | None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The answer about one file; `avalign.to_dict` turns it into JSON schema 1.

    Parameters
    ----------
    file : str
        The file as it was named.
    status : str
        ``"ok"``, ``"no_answer"`` or ``"error"``.
    reason : str or None
        Why there is no answer, or what the error was.
    alignment : Alignment or None
        The matching face's alignment; None without an answer.
    face : int or None
        ``track_id`` of the matching face.
    verdict : str or None
        ``"in_sync"``, ``"noticeable"``, ``"unacceptable"``; None without an answer.
    tolerance : str
        Name of the tolerance, or ``EARLY/LATE`` in ms.
    faces : tuple of FaceAlignment
        All faces, largest first.
    duration_s, speech_s, face_coverage, frame_rate : float or None
        What was there to measure on.
    output : str or None
        The repaired file, where one was written.
    residual_ms : float or None
        Lag measured on the repaired file.
    notes : tuple of str
        What the user should know besides, such as "the audio was re-encoded".
    exit_code : int
        What the command line returns for this file alone.
    elapsed_s : float
        Wall time spent.
    """

    file: str
    status: str
    tolerance: str
    reason: str | None = None
    alignment: Alignment | None = None
    face: int | None = None
    verdict: str | None = None
    faces: tuple[FaceAlignment, ...] = ()
    duration_s: float | None = None
    speech_s: float | None = None
    face_coverage: float | None = None
    frame_rate: float | None = None
    output: str | None = None
    residual_ms: float | None = None
    notes: tuple[str, ...] = ()
    exit_code: int = 0
    elapsed_s: float = 0.0

    @property
    def audio_lag_ms(self) -> float | None:
        """Measured audio lag in milliseconds; positive means late."""
        return None if self.alignment is None else self.alignment.audio_lag_s * 1000.0


@dataclass(frozen=True, slots=True)
class AlignReport:
    """The answer about two recordings; `avalign.to_json` turns it into a line of JSON.

    Parameters
    ----------
    reference, other : str
        The files as they were named.
    to : str
        ``"sound"`` or ``"lips"`` of the reference.
    status : str
        ``"ok"``, ``"no_answer"`` or ``"error"``.
    reason : str or None
        Why there is no answer, or what the error was.
    alignment : Alignment or None
        How the clock of the other recording runs against the reference's; None without
        an answer.
    confidence : float or None
        Probability that both hold the same words, answer or not.
    output : str or None
        The file that plays the other recording by the reference's clock, where one was
        written.
    residual_ms : float or None
        Median distance from the reference's clock, measured on the file that was written.
    duration_s : float or None
        Length of the reference.
    notes : tuple of str
        What the user should know besides.
    exit_code : int
        What the command line returns.
    elapsed_s : float
        Wall time spent.
    """

    reference: str
    other: str
    to: str
    status: str
    reason: str | None = None
    alignment: Alignment | None = None
    confidence: float | None = None
    output: str | None = None
    residual_ms: float | None = None
    duration_s: float | None = None
    notes: tuple[str, ...] = ()
    exit_code: int = 0
    elapsed_s: float = 0.0
