"""The rigid part of a face: its mean shape, its scale and turn, and where it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Mean of the points `mesh_points.RIGID`, made symmetric: x to the right and y down
# as seen in the picture, z away from the camera; unit: the distance between the
# outer eye corners. A generalised Procrustes mean of MediaPipe's own 3-D
# landmarks over 55 clips of people who look about into the camera.
LAYOUT = np.array(
    [
        [-0.5000, -0.1315, 0.2621],  # 33, outer corner of the eye on the left
        [-0.1932, -0.1150, 0.2021],  # 133, its inner corner
        [0.1932, -0.1150, 0.2021],  # 362, inner corner of the eye on the right
        [0.5000, -0.1315, 0.2621],  # 263, its outer corner
        [0.0000, -0.1824, 0.0165],  # 168, from between the eyes ...
        [0.0000, -0.0927, -0.0324],  # 6
        [0.0000, 0.3217, -0.2184],  # 1, under the tip of the nose
        [0.0000, 0.2454, -0.2414],  # 4, the tip
        [0.0000, 0.1468, -0.2136],  # 5
        [0.0000, 0.0653, -0.1504],  # 195
        [0.0000, -0.0110, -0.0888],  # 197
    ]
)

# The distance of the camera that head pose assumes, in outer eye distances:
# about a metre. The picture does not tell it, and the angles hardly depend on it.
CAMERA_DISTANCE = 10.0


def to_layout(
    rigid: NDArray[np.float32], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Take position, roll and scale out of `points`.

    Per row, the turn, scale and shift in the picture plane that bring the rigid
    points closest to `LAYOUT` in the least-squares sense are applied to
    `points`; z is scaled by the same factor.

    Parameters
    ----------
    rigid : ndarray of shape (T, 11, 3), float32
        The points `mesh_points.RIGID` in pixels.
    points : ndarray of shape (T, N, 3), float32
        What to normalise, in pixels.

    Returns
    -------
    normalised : ndarray of shape (T, N, 3), float32
        `points` relative to the mean of the rigid points; unit: the distance
        between the outer eye corners.
    eye_distance : ndarray of shape (T,), float32
        That unit in pixels.

    References
    ----------
    Umeyama, "Least-squares estimation of transformation parameters between two
    point patterns", IEEE TPAMI 13(4), 1991.
    """
    # In the plane, turn and scale are one complex factor.
    target = LAYOUT[:, 0] + 1j * LAYOUT[:, 1]
    target = target - target.mean()
    centre = rigid.mean(axis=1, keepdims=True, dtype=np.float64)
    source = rigid - centre
    source_plane = source[..., 0] + 1j * source[..., 1]
    spread = (np.abs(source_plane) ** 2).sum(axis=1)
    factor = (target * source_plane.conj()).sum(axis=1) / spread
    moved = points - centre
    plane = (moved[..., 0] + 1j * moved[..., 1]) * factor[:, None]
    depth = moved[..., 2] * np.abs(factor)[:, None]
    normalised = np.stack([plane.real, plane.imag, depth], axis=-1)
    return normalised.astype(np.float32), (1 / np.abs(factor)).astype(np.float32)


def head_pose(rigid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure where heads look, by perspective-n-point on the rigid points.

    Parameters
    ----------
    rigid : ndarray of shape (T, 11, 3), float32
        The points `mesh_points.RIGID` in pixels; z is not used.

    Returns
    -------
    ndarray of shape (T, 3), float32
        Yaw, pitch and roll in degrees, as seen by the viewer: yaw is positive
        where the nose points to the right side of the picture, pitch where it
        points down, roll where the head is turned clockwise. All are 0 for a
        face that looks into the camera, wherever it is in the picture.

    References
    ----------
    Terzakis and Lourakis, "A consistently fast and globally optimal solution to
    the perspective-n-point problem", ECCV 2020.
    """
    import cv2

    # The camera is put in front of the face, so that neither the unknown focal
    # length nor a crop of the picture bends the angles.
    plane = np.array(rigid[..., :2], np.float64, order="C")
    plane -= plane.mean(axis=1, keepdims=True)
    spread = np.sqrt((plane**2).sum(axis=(1, 2), keepdims=True))
    plane *= np.sqrt(((LAYOUT - LAYOUT.mean(axis=0))[:, :2] ** 2).sum()) / spread
    camera = np.diag([CAMERA_DISTANCE, CAMERA_DISTANCE, 1.0])
    angles = np.empty((len(rigid), 3), np.float32)
    for index, seen in enumerate(plane):
        _, turn, _ = cv2.solvePnP(LAYOUT, seen, camera, None, flags=cv2.SOLVEPNP_SQPNP)
        axes, _ = cv2.Rodrigues(turn)
        nose, eyes = -axes[:, 2], axes[:, 0]
        angles[index] = (
            np.arctan2(nose[0], -nose[2]),
            np.arctan2(nose[1], np.hypot(nose[0], nose[2])),
            np.arctan2(eyes[1], eyes[0]),
        )
    return np.degrees(angles)
