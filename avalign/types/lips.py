"""In which rows of a lip stream the lips can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.types.streams import LipStream

# Pictures are analysed with at most this many pixels on the longer side.
ANALYSED_SIDE = 1920

# A face that is turned further shows too little of one half of the mouth.
LARGEST_YAW_DEG = 55.0
# Pixels of the analysed picture between the outer eye corners; below, the lips
# are a few pixels high and the mesh guesses them.
SMALLEST_EYE_DISTANCE = 15.0

# Single pictures may err: mouths are judged by the mean over this long.
JUDGED_OVER_S = 1.0
# Log odds below which a mouth is not believed to be in view: of the seconds of people who
# show theirs, few have less, and what hides mouths in a new way often has more than 0.
LEAST_MOUTH_LOG_ODDS = 2.0
# A mouth that is in view for most of a clip is hidden for a while only beyond doubt: good
# rows that are left out cost more than bad ones do that are few.
SURELY_HIDDEN_LOG_ODDS = -1.0
# Where less than this fraction of the rows shows a mouth, those do so by chance.
LEAST_IN_VIEW = 0.5


def eye_distance(stream: LipStream) -> NDArray[np.float32]:
    """Return the size of the face.

    Parameters
    ----------
    stream : LipStream
        One face.

    Returns
    -------
    ndarray of shape (T,), float32
        Pixels of the shown picture between the outer eye corners (in the
        frontal sense: not foreshortened by yaw); NaN where not valid.
    """
    shape = stream.landmarks.shape
    pixels = _spread(stream.landmarks)
    units = _spread(stream.values.reshape(shape))
    size = np.full(len(stream), np.nan, np.float32)
    return np.divide(pixels, units, out=size, where=stream.valid & (units > 0))


def _spread(points: NDArray[np.float32]) -> NDArray[np.float32]:
    plane = points[..., :2]
    spread: NDArray[np.float32] = np.sqrt(
        ((plane - plane.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2))
    )
    return spread


def usable(stream: LipStream) -> NDArray[np.bool_]:
    """Say in which rows the lips can be read.

    Parameters
    ----------
    stream : LipStream
        One face.

    Returns
    -------
    ndarray of shape (T,), bool
        True where the row is valid, the head is turned by at most
        `LARGEST_YAW_DEG`, the face is large enough and the mouth is not `hidden`.
    """
    return _near_enough(stream) & ~hidden(stream)


def hidden(stream: LipStream) -> NDArray[np.bool_]:
    """Say in which rows the lips could be read, were the mouth not hidden or blurred.

    Parameters
    ----------
    stream : LipStream
        One face.

    Returns
    -------
    ndarray of shape (T,), bool
        True everywhere if the mean of ``mouth_log_odds`` over the second around reaches
        `LEAST_MOUTH_LOG_ODDS` in less than `LEAST_IN_VIEW` of the rows; else only where
        it is below `SURELY_HIDDEN_LOG_ODDS`. False where nobody looked.
    """
    if stream.mouth_log_odds is None:
        return np.zeros(len(stream), bool)
    judged = np.flatnonzero(np.isfinite(stream.mouth_log_odds))
    total = np.concatenate([[0.0], np.cumsum(stream.mouth_log_odds[judged], dtype=np.float64)])
    times_s = stream.times_s[judged]
    first = np.searchsorted(times_s, stream.times_s - JUDGED_OVER_S / 2)
    last = np.searchsorted(times_s, stream.times_s + JUDGED_OVER_S / 2, side="right")
    log_odds, looks = total[last] - total[first], last - first
    readable = _near_enough(stream)
    in_view = np.count_nonzero(readable & (log_odds >= LEAST_MOUTH_LOG_ODDS * looks))
    if in_view < LEAST_IN_VIEW * np.count_nonzero(readable):
        return readable
    gate: NDArray[np.bool_] = readable & (log_odds < SURELY_HIDDEN_LOG_ODDS * looks)
    return gate


def _near_enough(stream: LipStream) -> NDArray[np.bool_]:
    """Where the face is there, large and not turned away."""
    analysed = min(1.0, ANALYSED_SIDE / max(stream.picture_size))
    large = eye_distance(stream) * analysed >= SMALLEST_EYE_DISTANCE
    frontal = np.abs(stream.head_pose[:, 0]) <= LARGEST_YAW_DEG
    gate: NDArray[np.bool_] = stream.valid & large & frontal
    return gate


def coverage(stream: LipStream) -> float:
    """Tell in how many of the clip's pictures the lips can be read.

    Parameters
    ----------
    stream : LipStream
        The lips of one face.

    Returns
    -------
    float
        Fraction of the frames, 0 to 1.
    """
    return float(usable(stream).mean()) if len(stream) else 0.0
