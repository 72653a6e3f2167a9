"""Cuts: where one picture has nothing to do with the one before."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

THUMBNAIL_SIZE = (32, 32)

# Mean difference of two thumbnails, in grey levels. Talking and camera moves
# stay below 10, hard cuts between similar rooms begin at about 15.
CERTAIN_CUT = 24.0
POSSIBLE_CUT = 12.0
# A possible cut must stand out this many times from the pictures before it.
STANDS_OUT = 4.0
HISTORY = 12


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Shrink a frame, uint8 [H, W, 3], to its coarse colours, float32 [32, 32, 3], 0 to 255."""
    import cv2

    step = max(1, min(image.shape[:2]) // (2 * THUMBNAIL_SIZE[0]))
    coarse = np.ascontiguousarray(image[::step, ::step])
    small = cv2.resize(coarse, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA)
    thumb: NDArray[np.float32] = small.astype(np.float32)
    return thumb


def difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the mean difference of two thumbnails in grey levels."""
    return float(np.abs(one - other).mean())


class CutFinder:
    """Tells frame by frame whether a new shot begins."""

    # A flash looks like a cut too. That does no harm: a face that is still in its place is
    # taken for the same face.

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=HISTORY)
        self._last: NDArray[np.float32] | None = None

    def begins_shot(self, thumb: NDArray[np.float32]) -> bool:
        """Take the next frame's `thumbnail`; tell whether a cut lies before it."""
        last, self._last = self._last, thumb
        if last is None:
            return False
        change = difference(last, thumb)
        usual = float(np.median(self._recent)) if self._recent else 0.0
        self._recent.append(change)
        return change > CERTAIN_CUT or (
            len(self._recent) > HISTORY // 2 and change > max(POSSIBLE_CUT, STANDS_OUT * usual)
        )
