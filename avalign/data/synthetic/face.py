"""Faces: from the movements of a mouth to the lip points that extraction would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.types import LipStream
from avalign.vision import LAYOUT, head_pose, to_layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Places along a lip, from corner to corner: the outer and the inner ring have eleven points
# on either lip, and share the corners.
OUTER = np.array([-1.0, -0.91, -0.78, -0.57, -0.29, 0.0, 0.29, 0.57, 0.78, 0.91, 1.0])
INNER = np.array([-1.0, -0.83, -0.69, -0.49, -0.26, 0.0, 0.26, 0.49, 0.69, 0.83, 1.0])
# How far the edge of a lip is from the seam, as fractions of its height; the upper one dips in
# its middle.
LOWER_LIP = np.array([0.0, 0.2, 0.45, 0.75, 0.95, 1.0, 0.95, 0.75, 0.45, 0.2, 0.0])
UPPER_LIP = np.array([0.0, 0.35, 0.6, 0.8, 1.0, 0.83, 1.0, 0.8, 0.6, 0.35, 0.0])
INNER_WIDTH = 0.9  # of the outer ring
# The lower lip makes most of an opening.
LOWER_FRACTION = 0.75
# Where the face ends, around the middle between the eyes and the nose's tip.
FACE_EDGES = np.array([-0.8, -0.85, 0.8, 1.2])


@dataclass(frozen=True, slots=True)
class Face:
    """The shape of a face, in distances between its outer eye corners, and its place."""

    mouth_width: float = 0.54
    upper_lip: float = 0.09  # height at rest
    lower_lip: float = 0.13  # height at rest
    mouth_y: float = 0.645  # below the middle of eyes and nose
    chin_y: float = 1.14  # below the middle of eyes and nose
    depth: float = 0.15  # how much farther away the corners of the mouth are
    skew: float = 0.0  # how much lower the right half is
    eye_distance_px: float = 90.0
    centre_px: tuple[float, float] = (180.0, 130.0)
    picture_size: tuple[int, int] = (360, 288)  # width, height


def lip_points(face: Face, movements: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place lips and chin [T, 41, 3] of a frontal face, from movements [T, 6] (`MOVEMENTS`)."""
    opening, jaw, width, protrusion, tuck, corners = movements.T[:, :, None]
    half = (face.mouth_width + width) / 2
    # Lips keep their flesh: they get thinner as they are stretched or pressed together.
    fullness = 1.0 - 1.5 * width + np.minimum(opening, 0.0) * 2

    def edge(
        positions: NDArray[np.float64], reach: NDArray[np.float64], depth: float
    ) -> NDArray[np.float64]:
        x = half * positions
        y = face.mouth_y - corners * positions**2 + face.skew * positions + reach
        z = depth + face.depth * positions**2 - protrusion * (1 - positions**2)
        return np.stack(np.broadcast_arrays(x, y, z), axis=-1)

    gap = np.maximum(opening, 0.0)
    below = LOWER_FRACTION * gap + 0.15 * jaw
    above = -(1.0 - LOWER_FRACTION) * gap + 0.15 * jaw * (1.0 - INNER**2)
    arch = 1.0 - INNER**2
    inner = INNER_WIDTH * INNER
    lower = face.lower_lip * fullness * (1.0 - 4.0 * tuck)
    outer_below = edge(OUTER, lower * LOWER_LIP + (below - tuck) * (1.0 - OUTER**2), 0.02)
    outer_above = edge(
        OUTER,
        -face.upper_lip * fullness * UPPER_LIP + (0.15 * jaw - 0.2 * gap) * (1.0 - OUTER**2),
        -0.05,
    )
    inner_below = edge(inner, (below - tuck) * arch, 0.03)
    # Closed lips meet: neither passes the other.
    inner_above = edge(inner, np.minimum(above, (below - tuck) * arch), 0.03)
    count = len(movements)
    chin = np.zeros((count, 1, 3))
    chin[:, 0, 1] = face.chin_y + jaw[:, 0]
    chin[:, 0, 2] = 0.19
    # Rings run from the corner on the left along the lower lip, and back along the upper.
    rings = [
        part
        for lower_edge, upper_edge in ((outer_below, outer_above), (inner_below, inner_above))
        for part in (lower_edge, upper_edge[:, -2:0:-1])
    ]
    return np.concatenate([*rings, chin], axis=1)


def lip_stream(
    face: Face,
    points: NDArray[np.float64],
    turns_deg: NDArray[np.float64],
    shifts_px: NDArray[np.float64],
    noise: tuple[NDArray[np.float64], NDArray[np.float64]],
    times_s: NDArray[np.float64],
) -> LipStream:
    """View points [T, 41, 3] through a camera, and measure them as extraction does.

    `turns_deg` [T, 3] are yaw, pitch and roll; `shifts_px` [T, 2] move the head; `noise` is
    what the finder misses of rigid points [T, 11, 3] and lips [T, 41, 3], in eye distances.
    """
    turn = _rotations(turns_deg)
    origin_px = np.concatenate(
        [face.centre_px + shifts_px, np.zeros((len(times_s), 1))], axis=1
    )[:, None]

    def project(shape: NDArray[np.float64], missed: NDArray[np.float64]) -> NDArray[np.float32]:
        turned = shape @ turn.transpose(0, 2, 1) + missed
        pixels: NDArray[np.float32] = (turned * face.eye_distance_px + origin_px).astype(
            np.float32
        )
        return pixels

    rigid = project(np.broadcast_to(LAYOUT, (len(times_s), *LAYOUT.shape)), noise[0])
    landmarks = project(points, noise[1])
    values, _ = to_layout(rigid, landmarks)
    corners = np.tile(origin_px[:, 0, :2], 2) + FACE_EDGES * face.eye_distance_px
    return LipStream(
        values=values.reshape(len(times_s), -1),
        times_s=times_s,
        valid=np.ones(len(times_s), np.bool_),
        kind="lips",
        landmarks=landmarks,
        head_pose=head_pose(rigid).astype(np.float32),
        boxes=(corners / np.tile(face.picture_size, 2)).astype(np.float32),
        track_id=0,
        picture_size=face.picture_size,
    )


def _rotations(turns_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn heads by yaw, then pitch, then roll, with the signs of `head_pose`."""
    yaw, pitch, roll = np.radians(turns_deg).T
    one, none = np.ones(len(yaw)), np.zeros(len(yaw))

    def matrix(*cells: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(cells, axis=-1).reshape(-1, 3, 3)

    about_y = matrix(
        np.cos(yaw), none, -np.sin(yaw), none, one, none, np.sin(yaw), none, np.cos(yaw)
    )
    about_x = matrix(
        one, none, none, none, np.cos(pitch), -np.sin(pitch), none, np.sin(pitch), np.cos(pitch)
    )
    about_z = matrix(
        np.cos(roll), -np.sin(roll), none, np.sin(roll), np.cos(roll), none, none, none, one
    )
    rotation: NDArray[np.float64] = about_z @ about_x @ about_y
    return rotation
