"""How a stored picture becomes the picture a player shows: pixel shape, size, rotation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from av.sidedata.sidedata import SideData

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

# Beyond this a pixel shape is a damaged header, not an anamorphic picture.
MOST_STRETCH = 8


@dataclass(frozen=True, slots=True)
class Orientation:
    """A right-angled turn, and what it does to rows and columns."""

    # Rows become columns where `transposed`, before they are flipped. The turn is clockwise.

    rotation_deg: int = 0
    transposed: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn an image of shape (H, W, 3); the result is C-contiguous."""
        if self.transposed:
            image = image.swapaxes(0, 1)
        if self.flip_rows:
            image = image[::-1]
        if self.flip_columns:
            image = image[:, ::-1]
        return np.ascontiguousarray(image)


UPRIGHT = Orientation()


def orientation(frame: av.VideoFrame) -> Orientation:
    """Return the orientation the display matrix of `frame` asks for."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return UPRIGHT
    # Nine 16.16 numbers, row vectors: x' = a x + c y, y' = b x + d y, y down.
    values = np.frombuffer(bytes(matrix), dtype=np.int32).astype(float)
    a, b, c, d = values[[0, 1, 3, 4]]
    rotation_deg = round(math.degrees(math.atan2(b, a)) / 90) * 90 % 360
    if abs(b) > abs(a):
        return Orientation(rotation_deg, True, flip_rows=b < 0, flip_columns=c < 0)
    return Orientation(rotation_deg, False, flip_rows=d < 0, flip_columns=a < 0)


def shown_size(stream: av.VideoStream) -> tuple[int, int]:
    """Return width and height in square pixels, before rotation."""
    width, height = stream.width, stream.height
    shape = stream.sample_aspect_ratio
    if shape and 1 / MOST_STRETCH <= shape <= MOST_STRETCH:
        width = max(1, round(width * shape))
    return width, height


def fit(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """Return `size` scaled down, never up, so that its longer side is `max_side`."""
    width, height = size
    if max_side is None or max(size) <= max_side:
        return size
    scale = max_side / max(size)
    return max(1, round(width * scale)), max(1, round(height * scale))


def fit_inside(width: float, height: float, frame: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size of the shape `width` to `height` that fits into `frame`."""
    scale = min(frame[0] / width, frame[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
