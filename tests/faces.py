"""Small clips of a face whose place, size and turn are known in every picture.

The face is Eileen Collins in NASA's portrait, which scikit-image brings along.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

FACE_CENTRE = (224.0, 120.0)  # in the portrait
FACE_SIZE = 110.0  # about, from the chin to the hairline


def portrait() -> np.ndarray:
    """Return the portrait, uint8 [512, 512, 3], or skip the test."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    return data.astronaut()


def similarity(x: float, y: float, scale: float = 1.0, roll_deg: float = 0.0) -> np.ndarray:
    """Return the [2, 3] map of the portrait that puts the face's centre at (x, y).

    `roll_deg` turns it clockwise.
    """
    angle = math.radians(roll_deg)
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    cx, cy = FACE_CENTRE
    return np.array([[a, -b, x - a * cx + b * cy], [b, a, y - b * cx - a * cy]])


def show(place: np.ndarray, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """Return a picture of (width, height) with the whole portrait at `place`."""
    cv2 = pytest.importorskip("cv2")
    return cv2.warpAffine(
        portrait(), place, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )


def blank(size: tuple[int, int] = (320, 240), level: int = 90) -> np.ndarray:
    """Return a picture with nobody in it: a soft ramp."""
    width, height = size
    ramp = level + np.add.outer(np.arange(height), np.arange(width)) * 40 // (width + height)
    return np.repeat(ramp.astype(np.uint8)[..., None], 3, axis=2)


def write_clip(
    path: Path, pictures: Iterable[np.ndarray], fps: int = 25, start_s: float = 0.0
) -> Path:
    """Write the pictures as an H.264 file."""
    with av.open(str(path), "w") as out:
        stream = None
        for number, picture in enumerate(pictures):
            if stream is None:
                stream = out.add_stream("libx264", rate=fps, options={"crf": "10", "g": "20"})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.time_base = Fraction(1, fps)
            frame.pts = number + round(start_s * fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
