"""Face tracks to lip streams: normalised, with gaps filled or marked."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from avalign.types import LipStream
from avalign.vision.mesh_points import CHIN, LIPS, MESH_POINTS, RIGID
from avalign.vision.pose import head_pose, to_layout
from avalign.vision.regions import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.vision.tracks import Track

__all__ = [
    "ANALYSED_SIDE",
    "LARGEST_YAW_DEG",
    "SMALLEST_EYE_DISTANCE",
    "coverage",
    "eye_distance",
    "hidden",
    "lip_stream",
    "usable",
]

# Pictures are analysed with at most this many pixels on the longer side.
ANALYSED_SIDE = 1920

# Between two pictures that show the face, at most this far apart and in one
# shot, the face is interpolated.
LONGEST_GAP_S = 0.2
# Containers round presentation times, to a millisecond at worst.
CLOCK_STEP_S = 0.001

# A face that is turned further shows too little of one half of the mouth.
LARGEST_YAW_DEG = 55.0
# Pixels of the analysed picture between the outer eye corners; below, the lips
# are a few pixels high and the mesh guesses them.
SMALLEST_EYE_DISTANCE = 15.0

# Single pictures may err: mouths are judged by the mean over this long.
JUDGED_OVER_S = 1.0
# Log odds below which a mouth is not believed to be in view: of the seconds of people who
# show theirs, 1 in 100 has less, and what hides mouths in a new way often has more than 0.
LEAST_MOUTH_LOG_ODDS = 1.0
# A mouth that is in view for most of a clip is hidden for a while only beyond doubt: good
# rows that are left out cost more than bad ones do that are few.
SURELY_HIDDEN_LOG_ODDS = -1.0
# Where less than this fraction of the rows shows a mouth, those do so by chance.
LEAST_IN_VIEW = 0.5

POINTS = np.array([*LIPS, CHIN])


def lip_stream(
    track: Track,
    times_s: NDArray[np.float64],
    cuts: list[int],
    analysed_size: tuple[int, int],
    picture_size: tuple[int, int],
) -> LipStream:
    """Turn the track of one face into a stream with a row for every picture.

    Parameters
    ----------
    track : Track
        The face, in pixels of the analysed picture.
    times_s : ndarray of shape (T,), float64
        Presentation time of each picture of the clip.
    cuts : list of int
        Pictures before which there is a cut.
    analysed_size, picture_size : tuple of int
        Width and height of the picture as analysed and as shown.

    Returns
    -------
    LipStream
        ``track_id`` is 0. Where a row is not valid, ``values`` is 0, and
        ``landmarks``, ``head_pose``, ``boxes`` and ``mouth_log_odds`` are NaN.
    """
    count = len(times_s)
    mesh = np.full((count, len(MESH_POINTS), 3), np.nan, np.float32)
    across, down = np.divide(picture_size, analysed_size)
    mesh[track.rows] = np.array(track.landmarks) * np.array([across, down, across], np.float32)
    valid = np.zeros(count, bool)
    valid[track.rows] = True
    _fill_short_gaps(mesh, valid, times_s, cuts)

    values = np.zeros((count, 3 * len(POINTS)), np.float32)
    pose = np.full((count, 3), np.nan, np.float32)
    boxes = np.full((count, 4), np.nan, np.float32)
    mouth = np.full(count, np.nan, np.float32)
    mouth[track.rows] = track.mouths
    seen = mesh[valid]
    values[valid] = to_layout(seen[:, RIGID], seen[:, POINTS])[0].reshape(len(seen), -1)
    pose[valid] = head_pose(seen[:, RIGID])
    boxes[valid] = box_of(seen) / np.array([*picture_size, *picture_size], np.float32)
    return LipStream(
        values=values,
        times_s=times_s,
        valid=valid,
        kind="lips",
        landmarks=mesh[:, POINTS],
        head_pose=pose,
        boxes=boxes,
        track_id=0,
        picture_size=picture_size,
        mouth_log_odds=mouth,
    )


def _fill_short_gaps(
    mesh: NDArray[np.float32],
    valid: NDArray[np.bool_],
    times_s: NDArray[np.float64],
    cuts: list[int],
) -> None:
    """Interpolate in place where the face was missed for a moment."""
    seen = np.flatnonzero(valid)
    for before, after in pairwise(seen):
        length_s = times_s[after] - times_s[before]
        if after == before + 1 or length_s > LONGEST_GAP_S + CLOCK_STEP_S:
            continue
        if any(before < cut <= after for cut in cuts):
            continue
        inside = slice(before + 1, after)
        weight = ((times_s[inside] - times_s[before]) / length_s)[:, None, None]
        mesh[inside] = (1 - weight) * mesh[before] + weight * mesh[after]
        valid[inside] = True


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
        Share of the pictures, 0 to 1.
    """
    return float(usable(stream).mean()) if len(stream) else 0.0
