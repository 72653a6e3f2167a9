"""One alignment problem, checked and laid out: what every engine is asked to solve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.dtw import windows
from avalign.dtw.compiled import EUCLIDEAN, MANHATTAN, SQEUCLIDEAN
from avalign.dtw.steps import StepPattern

PRECOMPUTED = 3
METRIC_CODES = {
    "sqeuclidean": SQEUCLIDEAN,
    "euclidean": EUCLIDEAN,
    "manhattan": MANHATTAN,
    # Of rows of length 1, the cosine distance is half the squared Euclidean one.
    "cosine": SQEUCLIDEAN,
    "precomputed": PRECOMPUTED,
}


@dataclass(slots=True, eq=False)
class Problem:
    """Two series, or a matrix of costs, and how they may be aligned."""

    # Contiguous, both float32 or both float64; two-dimensional where D > 1. With precomputed
    # costs x is the matrix and y is None.
    x: NDArray[Any]
    y: NDArray[Any] | None
    metric: str
    radius: int  # Sakoe-Chiba, in cells; -1 for none
    window: NDArray[np.int64] | None  # [first, stop) columns of each row, (N, 2)
    pattern: StepPattern
    open_begin: bool  # the path may begin, or end, in any column of y
    open_end: bool
    weights: NDArray[Any] | None  # a factor of the local cost for each |i - j|

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the cost matrix."""
        return len(self.x), self.x.shape[1] if self.y is None else len(self.y)

    @property
    def metric_code(self) -> int:
        """What kernels know the metric by."""
        if self.metric == "euclidean" and self.x.ndim == 1:
            return MANHATTAN
        return METRIC_CODES[self.metric]

    @property
    def scale(self) -> float:
        """What to multiply the costs by that kernels return; a power of two, so exact."""
        return 0.5 if self.metric == "cosine" else 1.0

    @property
    def is_textbook(self) -> bool:
        """Whether the recurrence is the textbook's, but for a radius and the ends."""
        return (
            self.y is not None
            and self.window is None
            and self.weights is None
            and self.pattern.is_classic
        )

    @property
    def is_plain(self) -> bool:
        """Whether nothing but a radius departs from the textbook."""
        return self.is_textbook and self._ends_are_closed

    @property
    def suits_strips(self) -> bool:
        """Whether the kernels on one-dimensional series do what is asked."""
        return (
            self.y is not None
            and self.x.ndim == 1
            and self.window is None
            and self.weights is None
            and self._ends_are_closed
            and self.pattern.diagonal_weight > 0
        )

    @property
    def _ends_are_closed(self) -> bool:
        return not (self.open_begin or self.open_end)

    def columns_allowed(self) -> NDArray[np.int64]:
        """Return the [first, stop) columns of each row, a new array."""
        if self.window is not None:
            return self.window.copy()
        rows, columns = self.shape
        if self.radius >= 0:
            return windows.sakoe_chiba(rows, columns, self.radius)
        return np.repeat(np.array([[0, columns]], np.int64), rows, axis=0)
