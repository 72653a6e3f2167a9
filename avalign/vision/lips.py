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

# Between two pictures that show the face, at most this far apart and in one
# shot, the face is interpolated.
LONGEST_GAP_S = 0.2
# Containers round presentation times, to a millisecond at worst.
CLOCK_STEP_S = 0.001

POINTS = np.array([*LIPS, CHIN])


def lip_stream(
    track: Track,
    times_s: NDArray[np.float64],
    cuts: list[int],
    analysed_size: tuple[int, int],
    picture_size: tuple[int, int],
) -> LipStream:
    """Turn the track of one face into a stream with a row for every frame at `times_s` [T]."""
    # Rows that are not valid are 0 in ``values`` and NaN in all else. ``track_id`` is 0.
    count = len(times_s)
    mesh = np.full((count, len(MESH_POINTS), 3), np.nan, np.float32)
    across, down = np.divide(picture_size, analysed_size)
    mesh[track.indices] = np.array(track.landmarks) * np.array(
        [across, down, across], np.float32
    )
    valid = np.zeros(count, bool)
    valid[track.indices] = True
    _fill_short_gaps(mesh, valid, times_s, cuts)

    values = np.zeros((count, 3 * len(POINTS)), np.float32)
    pose = np.full((count, 3), np.nan, np.float32)
    boxes = np.full((count, 4), np.nan, np.float32)
    mouth_log_odds = np.full(count, np.nan, np.float32)
    mouth_log_odds[track.indices] = track.mouth_log_odds
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
        mouth_log_odds=mouth_log_odds,
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
