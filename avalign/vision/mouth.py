"""Whether a mouth is in view: the landmark model puts lips on masks, hands and blur as well."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import InstallationError
from avalign.vision.mesh_points import LIPS, RIGID
from avalign.vision.pose import to_layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOUTH_WEIGHTS = Path(__file__).parent / "weights" / "mouth.safetensors"

# The picture of a mouth: an outer eye distance wide, upright, the lips in its middle.
WIDTH, HEIGHT = 48, 32
# Histograms of gradients: cells of 8 x 8 pixels, four to a block, 9 directions.
_CELL, _BLOCK, _DIRECTIONS = 8, 16, 9
# Of the rows `LIPS`.
_CORNERS = [0, 10]


class MouthJudge:
    """Weighs whether lips that the mesh has placed are lips in the frame; one per thread."""

    # A linear map of histograms of gradients (Dalal and Triggs, CVPR 2005) around the lips,
    # fitted to mouths and to what hides them (`python -m benchmarks hidden-mouths`).

    def __init__(self) -> None:
        self._weights, self._bias = _load_weights()

    def log_odds(self, image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> float:
        """Log odds that the mouth is in view, in an RGB frame, uint8 [H, W, 3]."""
        return float(mouth_features(image, landmarks) @ self._weights) + self._bias


def mouth_features(
    image: NDArray[np.uint8], landmarks: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Describe the picture where the lips were put.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The picture, RGB.
    landmarks : ndarray of shape (P, 3), float32
        What `FaceMesh.fit` found in it.

    Returns
    -------
    ndarray of shape (540,), float32
        Histograms of gradients of 3 x 5 overlapping blocks.
    """
    features: NDArray[np.float32] = _histograms().compute(_mouth(image, landmarks)).ravel()
    return features


@cache
def _histograms() -> Any:
    import cv2

    block, cell = (_BLOCK, _BLOCK), (_CELL, _CELL)
    return cv2.HOGDescriptor((WIDTH, HEIGHT), block, cell, cell, _DIRECTIONS)


def _mouth(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Cut the mouth out, upright and at one size."""
    import cv2

    lips = landmarks[LIPS]
    upright = to_layout(landmarks[None, RIGID], lips[None])[0][0]
    # In the plane, what a step to the right in the cut-out is in the picture.
    corners, upright_corners = lips[_CORNERS, :2], upright[_CORNERS, :2]
    step = complex(*(corners[1] - corners[0])) / complex(
        *(upright_corners[1] - upright_corners[0])
    )
    step /= WIDTH
    # Much larger mouths are scaled down by whole pixels first, so that nothing is passed over.
    shrink = max(1, int(abs(step)))
    centre = lips[:, :2].mean(axis=0)
    reach = abs(step) * (WIDTH + HEIGHT) / 2 + shrink
    left, top = np.maximum(np.floor(centre - reach).astype(int), 0)
    right, bottom = np.ceil(centre + reach).astype(int)
    piece = image[top:bottom, left:right]
    height, width = piece.shape[0] // shrink, piece.shape[1] // shrink
    if not height or not width:
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    if shrink > 1:
        piece = cv2.resize(
            piece[: height * shrink, : width * shrink],
            (width, height),
            interpolation=cv2.INTER_AREA,
        )
    # Pixels are squares around whole numbers.
    middle = (centre - (left, top) + 0.5) / shrink - 0.5
    step /= shrink
    turn = np.array([[step.real, -step.imag], [step.imag, step.real]])
    corner = middle - turn @ ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    cut: NDArray[np.uint8] = cv2.warpAffine(
        piece,
        np.column_stack([turn, corner]),
        (WIDTH, HEIGHT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cut


@cache
def _load_weights() -> tuple[NDArray[np.float32], float]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(MOUTH_WEIGHTS)
        weights, bias = arrays["weights"], arrays["bias"]
    except (OSError, SafetensorError, KeyError) as error:
        raise InstallationError(
            f"avalign is not installed whole: {MOUTH_WEIGHTS}: {error}", "reinstall avalign"
        ) from None
    return weights, float(bias[0])
