"""What happens to rows: faces of other shape, and spans that are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["mask_spans", "move_points"]

_AXES = 3


def mask_spans(
    length: int, count: int, longest: int, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw spans at random places.

    Parameters
    ----------
    length : int
        Rows in all.
    count : int
        Spans to draw; they may overlap.
    longest : int
        Most rows of a span; lengths from 0 to this are equally likely.
    random : Generator
        Source of chance.

    Returns
    -------
    ndarray of shape (length,), bool
        True inside a span.
    """
    inside = np.zeros(length, bool)
    for _ in range(count):
        rows = int(random.integers(0, longest + 1))
        start = int(random.integers(0, max(1, length - rows + 1)))
        inside[start : start + rows] = True
    return inside


def move_points(
    rows: NDArray[np.float32],
    valid: NDArray[np.bool_],
    affine: float,
    jitter: float,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Send points through one random linear map, and let each tremble.

    Parameters
    ----------
    rows : ndarray of shape (T, 3 * P), float32
        x, y and z of points, such as lip points.
    valid : ndarray of shape (T,), bool
        Rows that count; the others stay as they are.
    affine : float
        Deviation of each entry of the map from the identity.
    jitter : float
        Largest deviation of the noise on each coordinate; the deviation itself is drawn.
    random : Generator
        Source of chance.

    Returns
    -------
    ndarray of shape (T, 3 * P), float32
        New rows.
    """
    if affine == 0.0 and jitter == 0.0:
        return rows
    linear = np.eye(_AXES) + affine * random.standard_normal((_AXES, _AXES))
    deviation = np.float32(random.uniform(0.0, jitter))
    points = rows.reshape(len(rows), -1, _AXES) @ linear.astype(np.float32)
    trembling = deviation * random.standard_normal(points.shape, np.float32)
    moved = (points + trembling).reshape(rows.shape)
    return np.where(valid[:, None], moved, rows)
