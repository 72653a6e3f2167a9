"""A portrait whose mouth, jaw and head move.

A triangle mesh covers the picture and leaves the inside of the lips open. Lips and chin
are moved by hand, the skin between them and all that stays still by a thin-plate spline,
and each triangle carries its piece of the portrait along. Through the opening one sees
the teeth, which stay with the skull, and the dark of the mouth.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import Delaunay

__all__ = ["FaceShape", "HeadPose", "TalkingFace", "head_motion"]

Points = NDArray[np.float64]
Picture = NDArray[np.uint8]

# Numbers of points of MediaPipe's face mesh.
OUTER_LIPS = [
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
]
INNER_LIPS = [
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
]
OVAL = [
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288),
    *(397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136),
    *(172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
]
CHIN, OUTER_EYES = 152, (33, 263)
RIGID = [33, 133, 362, 263, 168, 6, 1, 4, 5, 195, 197]  # eye corners, ridge and tip of the nose

# Rows of a ring of lip points: the corner on the left, nine points below, the corner on
# the right, nine points above on the way back.
LOWER, UPPER = np.arange(1, 10), np.arange(19, 10, -1)
MIDDLE = 4  # of LOWER and of UPPER

SUPERSAMPLING = 2
SUBPIXEL_BITS = 4
GRID_STEP = 0.10  # of the mesh, in eye distances
# Fraction of a change of the opening that the upper lip takes.
UPPER_FRACTION_OPENING, UPPER_FRACTION_CLOSING = 0.15, 0.40
CAVITY_RGB, TONGUE_RGB, GUM_RGB = (40, 16, 16), (118, 58, 56), (112, 62, 60)


@dataclass(frozen=True)
class FaceShape:
    """Points of the portrait's face in pixels, arrays of shape (n, 2).

    Both rings of lip points have 20 rows, see LOWER and UPPER. ``oval`` runs round the
    face; ``chin_row`` is the row of the tip of the chin. ``rigid`` moves with the skull
    only. The eye distance is that of the outer corners.
    """

    outer_lips: Points
    inner_lips: Points
    oval: Points
    chin_row: int
    rigid: Points
    eye_distance: float

    @classmethod
    def of_mesh(cls, landmarks: Points) -> FaceShape:
        """Take the points from MediaPipe's face mesh, an array of shape (468 or 478, 2)."""
        return cls(
            outer_lips=landmarks[OUTER_LIPS],
            inner_lips=landmarks[INNER_LIPS],
            oval=landmarks[OVAL],
            chin_row=OVAL.index(CHIN),
            rigid=landmarks[RIGID],
            eye_distance=float(
                np.linalg.norm(landmarks[OUTER_EYES[1]] - landmarks[OUTER_EYES[0]])
            ),
        )


@dataclass(frozen=True)
class HeadPose:
    """Shift in eye distances, roll in degrees, and scale of the head."""

    x: float
    y: float
    roll_deg: float
    scale: float

    def matrix(self, centre: Points, eye_distance: float) -> NDArray[np.float64]:
        """Similarity transform of shape (2, 3) about a point."""
        angle = np.radians(self.roll_deg)
        turn = self.scale * np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        shift = centre - turn @ centre + eye_distance * np.array([self.x, self.y])
        return np.column_stack([turn, shift])


def head_motion(time_s: float) -> HeadPose:
    """Sway a little, as nobody keeps the head still; unrelated to what is said."""

    def wave(period_s: float, phase: float) -> float:
        return float(np.sin(2 * np.pi * (time_s / period_s + phase)))

    return HeadPose(
        x=0.030 * wave(5.3, 0.10) + 0.010 * wave(2.1, 0.70),
        y=0.018 * wave(4.1, 0.45) + 0.008 * wave(1.7, 0.20),
        roll_deg=1.3 * wave(6.1, 0.85) + 0.4 * wave(2.3, 0.30),
        scale=1 + 0.008 * wave(7.3, 0.60),
    )


class TalkingFace:
    """Draw the portrait with a given mouth and head.

    Parameters
    ----------
    portrait : ndarray of shape (H, H, 3), uint8
        The picture, RGB, at SUPERSAMPLING times the size wanted.
    shape : FaceShape
        Where the face is in it.
    """

    def __init__(self, portrait: Picture, shape: FaceShape) -> None:
        self._portrait = portrait
        self._shape = shape
        self._size = len(portrait)
        self._gap = shape.inner_lips[LOWER, 1] - shape.inner_lips[UPPER, 1]
        self._interior = self._draw_interior()
        self._build_mesh()

    def draw(self, opening: float, width: float, jaw: float, head: HeadPose) -> Picture:
        """Draw one picture of shape (H / SUPERSAMPLING, H / SUPERSAMPLING, 3).

        Parameters
        ----------
        opening, width, jaw : float
            See `visemes.Articulation`.
        head : HeadPose
            Where the head is.
        """
        centre = self._shape.oval.mean(axis=0)
        transform = head.matrix(centre, self._shape.eye_distance)
        vertices = self._vertices + self._spread @ self._displacements(opening, width, jaw)
        moved = vertices @ transform[:, :2].T + transform[:, 2]
        vertices += self._follows_head[:, None] * (moved - vertices)

        triangles = vertices[self._triangles]
        owner = np.zeros((self._size, self._size), np.int32)
        corners = np.round(triangles * 2**SUBPIXEL_BITS).astype(np.int32)
        for number, corner in enumerate(corners, start=1):
            cv2.fillConvexPoly(owner, corner, number, shift=SUBPIXEL_BITS)
        homogeneous = np.concatenate([triangles, np.ones((*triangles.shape[:2], 1))], axis=2)
        back = np.linalg.solve(homogeneous, self._vertices[self._triangles])
        back = np.concatenate([np.zeros((1, 3, 2)), back]).astype(np.float32)[owner]
        y, x = np.mgrid[: self._size, : self._size].astype(np.float32)
        source = (
            x[..., None] * back[..., 0, :] + y[..., None] * back[..., 1, :] + back[..., 2, :]
        )
        skin = cv2.remap(self._portrait, source, None, cv2.INTER_LINEAR)
        interior = cv2.warpAffine(self._interior, transform, (self._size, self._size))
        canvas = np.where(owner[..., None] > 0, skin, interior)
        small = self._size // SUPERSAMPLING
        return np.asarray(cv2.resize(canvas, (small, small), interpolation=cv2.INTER_AREA))

    def _build_mesh(self) -> None:
        shape, size = self._shape, self._size
        edge = np.linspace(0, size - 1, 12)
        zero, far = np.zeros_like(edge), np.full_like(edge, size - 1)
        border = np.concatenate(
            [
                np.stack(side, axis=1)
                for side in ((edge, zero), (edge, far), (zero, edge), (far, edge))
            ]
        )
        border = np.unique(border, axis=0)
        controls = np.concatenate([shape.outer_lips, shape.oval, shape.rigid, border])

        step = GRID_STEP * shape.eye_distance
        axis = np.arange(step / 2, size - 1, step)
        grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        outline = shape.outer_lips.astype(np.float32)
        clear = [cv2.pointPolygonTest(outline, p, True) < -step / 3 for p in grid.tolist()]
        skin = np.concatenate([grid[clear], border])

        # Displacements known by hand are those of outer lips, inner lips and oval; the
        # spline is linear in them, so that it is one matrix for all pictures.
        n_outer, n_oval = len(shape.outer_lips), len(shape.oval)
        spline = RBFInterpolator(controls, np.eye(len(controls)), kernel="thin_plate_spline")(
            skin
        )
        outer, inner = np.eye(2 * n_outer + n_oval)[: 2 * n_outer].reshape(2, n_outer, -1)
        of_skin = np.concatenate(
            [
                spline[:, :n_outer],
                np.zeros((len(skin), n_outer)),
                spline[:, n_outer : n_outer + n_oval],
            ],
            axis=1,
        )
        middle = (shape.outer_lips + shape.inner_lips) / 2
        self._vertices = np.concatenate([shape.outer_lips, middle, shape.inner_lips, skin])
        self._spread = np.concatenate([outer, (outer + inner) / 2, inner, of_skin])

        triangles = Delaunay(self._vertices).simplices
        centroids = self._vertices[triangles].mean(axis=1)
        hole = shape.inner_lips.astype(np.float32)
        outside = [cv2.pointPolygonTest(hole, p, False) < 0 for p in centroids.tolist()]
        self._triangles = triangles[outside]
        # The picture's edge stays where it is, the head moves as a whole.
        to_edge = np.minimum(self._vertices, size - 1 - self._vertices).min(axis=1)
        ramp = np.clip(to_edge / (0.12 * size), 0, 1)
        self._follows_head = ramp**2 * (3 - 2 * ramp)

    def _displacements(self, opening: float, width: float, jaw: float) -> Points:
        """Move outer lips, inner lips and oval; array of shape (n, 2)."""
        shape, eyes = self._shape, self._shape.eye_distance
        outer, inner = np.zeros_like(shape.outer_lips), np.zeros_like(shape.inner_lips)
        change = self._gap * (opening * eyes / self._gap[MIDDLE] - 1)
        upper_fraction = (
            UPPER_FRACTION_OPENING if change[MIDDLE] > 0 else UPPER_FRACTION_CLOSING
        )
        inner[UPPER, 1] = -upper_fraction * change
        inner[LOWER, 1] = (1 - upper_fraction) * change
        # Lips are thinner where they are stretched and fuller where they meet.
        outer[:, 1] = 0.8 * inner[:, 1]
        centre = shape.outer_lips.mean(axis=0)
        half = np.ptp(shape.outer_lips[:, 0]) / 2
        for ring, moved in ((shape.outer_lips, outer), (shape.inner_lips, inner)):
            from_centre = ring[:, 0] - centre[0]
            moved[:, 0] += (width - 1) * from_centre
            # A narrower mouth smiles less.
            moved[:, 1] += 0.2 * eyes * (1 - width) * (from_centre / half) ** 2
        from_chin = np.abs(np.arange(len(shape.oval)) - shape.chin_row)
        oval = np.zeros_like(shape.oval)
        oval[:, 1] = jaw * eyes * np.cos(np.pi / 2 * np.minimum(1, from_chin / 9))
        return np.concatenate([outer, inner, oval])

    def _draw_interior(self) -> Picture:
        """Draw what is behind the lips: teeth as in the portrait, tongue, and the dark."""
        inner, eyes = self._shape.inner_lips, self._shape.eye_distance
        top = inner[UPPER[MIDDLE], 1]
        depth = np.clip((np.arange(self._size) - top) / (0.30 * eyes), 0, 1)[:, None, None]
        canvas = (1 - depth) * CAVITY_RGB + depth * TONGUE_RGB + np.zeros((1, self._size, 1))
        gum = self._mask(inner - (0, 0.05 * eyes))
        canvas += gum * (np.array(GUM_RGB) - canvas)
        canvas += self._mask(inner) * (self._portrait - canvas)
        return canvas.astype(np.uint8)

    def _mask(self, outline: Points) -> NDArray[np.float32]:
        mask = np.zeros((self._size, self._size), np.float32)
        cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1.0)
        mask = cv2.erode(mask, np.ones((3, 3), np.uint8))
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.5))[..., None]
