"""Rows with a clock of their own, and what is extracted from one clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
    mouth_log_odds : ndarray of shape (T,), float32, optional
        Log odds that the mouth is in view, rather than hidden or blurred, from single
        pictures; NaN where nobody looked, and None where nobody ever did.
    """

    landmarks: NDArray[np.float32]
    head_pose: NDArray[np.float32]
    boxes: NDArray[np.float32]
    track_id: int
    picture_size: tuple[int, int]
    mouth_log_odds: NDArray[np.float32] | None = None


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
