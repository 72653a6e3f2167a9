"""All faces of one picture, large and small, by two detectors."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from avalign.vision.facemesh import Detection, FaceDetector

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

__all__ = ["FaceFinder", "overlap"]

# Pictures longer than this are searched in square tiles as well: the detector
# sees 192 x 192 pixels, in which a wide picture leaves small faces too small.
SQUARE_ASPECT = 1.2
TILE_STEP = 0.5

# Two boxes that overlap by more are the same face.
SAME_FACE_OVERLAP = 0.3


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return intersection over union of two boxes (left, top, right, bottom)."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return float(shared / (areas - shared))


class FaceFinder:
    """Finds faces from the size of the picture down to a fortieth of it.

    The detector for near faces sees the whole picture, the one for far faces
    overlapping square tiles of it.
    """

    def __init__(self) -> None:
        with ExitStack() as stack:
            self._near = stack.enter_context(FaceDetector(far=False))
            self._far = stack.enter_context(FaceDetector(far=True))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def find(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces of one picture.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3), uint8
            The picture, RGB.

        Returns
        -------
        list of Detection
            Each face once, in pixels of `image`, largest first.
        """
        found = self._near.detect(image)
        for left, top, side in _tiles(*image.shape[:2]):
            tile = np.ascontiguousarray(image[top : top + side, left : left + side])
            shift = np.array([left, top, left, top], np.float32)
            found += [
                Detection(detection.box + shift, detection.roll_rad, detection.score)
                for detection in self._far.detect(tile)
            ]
        kept: list[Detection] = []
        for detection in sorted(found, key=lambda each: -each.score):
            if all(overlap(detection.box, other.box) < SAME_FACE_OVERLAP for other in kept):
                kept.append(detection)
        return sorted(kept, key=lambda each: -each.region.size)


def _tiles(height: int, width: int) -> list[tuple[int, int, int]]:
    """Return (left, top, side) of squares that cover the picture."""
    side, length = min(height, width), max(height, width)
    if length < SQUARE_ASPECT * side:
        return [(0, 0, length)]
    count = 1 + math.ceil((length / side - 1) / TILE_STEP)
    starts = [round(start) for start in np.linspace(0, length - side, count)]
    return [(0, start, side) if height > width else (start, 0, side) for start in starts]
