"""All faces of one picture, large and small, by two detectors."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from avalign.vision.facemesh import FaceDetector
from avalign.vision.regions import Detection, overlap

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

# Pictures longer than this are searched in square tiles as well: the detector
# sees 192 x 192 pixels, in which a wide picture leaves small faces too small.
SQUARE_ASPECT = 1.2
TILE_STEP = 0.5
# The search for small faces uses tiles of half that side.
SMALL_TILE_STEP = 0.7
SMALLEST_TILE = 192
# No tile is smaller than this part of the longer side: a ribbon of 4096 x 2 pixels
# would have thousands. Nobody is filmed in a format that long.
SMALLEST_FRACTION = 1 / 6

# Two boxes that overlap by more are the same face.
SAME_FACE_OVERLAP = 0.3

# A detection with this score is a face: dogs and patterns score 0.75 at most,
# and so do many people. Seen again with four times as much around it, the
# detector for far faces gives dogs and patterns less than 0.65, mostly nothing.
SURE_SCORE = 0.8
CLOSE_UP = 4.0
SURE_CLOSE_UP = 0.7


class FaceFinder:
    """Finds large and small faces.

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
        height, width = image.shape[:2]
        squares = tiles(height, width, min(height, width), TILE_STEP)
        return _merge(self._near.detect(image) + self._detect_far(image, squares))

    def find_small(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Find faces too small for `find`; takes several times as long.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3), uint8
            The picture, RGB.

        Returns
        -------
        list of Detection
            Each face once, in pixels of `image`, largest first; none where the
            picture is so small that such faces could not be read.
        """
        height, width = image.shape[:2]
        side = min(height, width) // 2
        if side < SMALLEST_TILE:
            return []
        return _merge(self._detect_far(image, tiles(height, width, side, SMALL_TILE_STEP)))

    def is_sure(self, image: NDArray[np.uint8], detection: Detection) -> bool:
        """Say whether there is no doubt, if need be by a closer look.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3), uint8
            The picture, RGB.
        detection : Detection
            What was found in it.

        Returns
        -------
        bool
            False for most of what is not a face, such as dogs.
        """
        if detection.score >= SURE_SCORE:
            return True
        left, top, right, bottom = detection.box
        reach = CLOSE_UP / 2 * max(right - left, bottom - top)
        x, y = (left + right) / 2, (top + bottom) / 2
        first_x, first_y = max(0, int(x - reach)), max(0, int(y - reach))
        near_by = image[first_y : int(y + reach), first_x : int(x + reach)]
        shift = np.array([first_x, first_y, first_x, first_y], np.float32)
        return any(
            each.score >= SURE_CLOSE_UP
            and overlap(each.box + shift, detection.box) > SAME_FACE_OVERLAP
            for each in self._far.detect(np.ascontiguousarray(near_by))
        )

    def _detect_far(
        self, image: NDArray[np.uint8], squares: list[tuple[int, int, int]]
    ) -> list[Detection]:
        found: list[Detection] = []
        for left, top, side in squares:
            tile = np.ascontiguousarray(image[top : top + side, left : left + side])
            shift = np.array([left, top, left, top], np.float32)
            found += [
                Detection(each.box + shift, each.roll_rad, each.score)
                for each in self._far.detect(tile)
            ]
        return found


def _merge(found: list[Detection]) -> list[Detection]:
    """Keep the best detection of each face; largest first."""
    kept: list[Detection] = []
    for detection in sorted(found, key=lambda each: -each.score):
        if all(overlap(detection.box, other.box) < SAME_FACE_OVERLAP for other in kept):
            kept.append(detection)
    return sorted(kept, key=lambda each: -each.region.size)


def tiles(height: int, width: int, side: int, step: float) -> list[tuple[int, int, int]]:
    """Return (left, top, side) of squares that cover the frame, at most `step` sides apart."""
    # Squares may reach beyond a frame that is smaller; one that is nearly the whole becomes it.
    side = max(side, round(SMALLEST_FRACTION * max(height, width)))
    if max(height, width) < SQUARE_ASPECT * side:
        return [(0, 0, max(height, width))]

    def starts(length: int) -> list[int]:
        if length <= side:
            return [0]
        count = 1 + math.ceil((length / side - 1) / step)
        return [round(start) for start in np.linspace(0, length - side, count)]

    return [(left, top, side) for top in starts(height) for left in starts(width)]
