"""Places in a picture: boxes, and the regions the face mesh looks at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.vision.mesh_points import OUTER_EYES

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The landmark model sees the face with this much around it.
_REGION_SCALE = 1.5


def box_of(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return left, top, right and bottom of a mesh (..., P, 3)."""
    flat = landmarks[..., :2]
    return np.concatenate([flat.min(axis=-2), flat.max(axis=-2)], axis=-1)


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return intersection over union of two boxes (left, top, right, bottom)."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return float(shared / (areas - shared))


@dataclass(frozen=True, slots=True)
class Region:
    """A square of the picture, turned with the head.

    Parameters
    ----------
    x, y : float
        Centre in pixels.
    size : float
        Side in pixels.
    roll_rad : float
        Clockwise turn.
    """

    x: float
    y: float
    size: float
    roll_rad: float

    @classmethod
    def around(cls, landmarks: NDArray[np.float32]) -> Region:
        """Where the face of `landmarks` should be looked for in the next picture.

        Parameters
        ----------
        landmarks : ndarray of shape (P, 3), float32
            What `FaceMesh.fit` returned.

        Returns
        -------
        Region
            A square about half as large again as the face.
        """
        eyes = landmarks[OUTER_EYES[1]] - landmarks[OUTER_EYES[0]]
        return cls.of_face(box_of(landmarks), math.atan2(float(eyes[1]), float(eyes[0])))

    @classmethod
    def of_face(cls, box: NDArray[np.float32], roll_rad: float) -> Region:
        """Return the region for a face in `box` (left, top, right, bottom)."""
        left, top, right, bottom = (float(edge) for edge in box)
        return cls(
            x=(left + right) / 2,
            y=(top + bottom) / 2,
            size=_REGION_SCALE * max(right - left, bottom - top),
            roll_rad=roll_rad,
        )

    def mirrored(self, width: int) -> Region:
        """Find the region again in the mirror image of its picture.

        Parameters
        ----------
        width : int
            Width of the picture in pixels.

        Returns
        -------
        Region
            The region, with left and right exchanged.
        """
        return Region(width - self.x, self.y, self.size, -self.roll_rad)


@dataclass(frozen=True, slots=True)
class Detection:
    """A face: its box in pixels, the clockwise turn of the eyes, and the score from 0 to 1."""

    box: NDArray[np.float32]
    roll_rad: float
    score: float

    @property
    def region(self) -> Region:
        """Where the landmark model should look for this face."""
        return Region.of_face(self.box, self.roll_rad)
