"""Segment graphs: stretches of speech matched with stretches of a moving mouth.

Each stream becomes a chain of segments, a small graph whose nodes are segments and whose
edges are the times between them. Two graphs are matched in the order of time so that
matched segments are alike in length and lie alike far apart; segments without a partner
cost a fixed price. This works even where the streams are minutes apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.types import FeatureStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from avalign.types import LipStream

# Segments that may be passed over between two matched ones, on either side.
_MOST_SKIPPED = 5
# Inner lip: upper and lower points among the 40 lip points, of three values each.
_UPPER, _LOWER = (36, 35, 34), (24, 25, 26)
_MOVEMENT_SPAN_S = 0.4


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time in which something goes on.

    Parameters
    ----------
    start_s, end_s : float
        When it begins and ends.
    """

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


def active_segments(
    activity: FeatureStream,
    *,
    threshold: float = 0.5,
    shortest_s: float = 0.15,
    longest_gap_s: float = 0.2,
) -> tuple[Segment, ...]:
    """Cut a stream of one column into the stretches in which it is high.

    Parameters
    ----------
    activity : FeatureStream
        Shape (T, 1), such as the probability of speech.
    threshold : float, optional
        What counts as high.
    shortest_s : float, optional
        Shorter stretches are left out, once gaps are closed.
    longest_gap_s : float, optional
        Stretches closer than this are one.

    Returns
    -------
    tuple of Segment
        In the order of time.

    Raises
    ------
    ParameterError
        If the stream has several columns.
    """
    if activity.values.ndim != 2 or activity.values.shape[1] != 1:
        raise ParameterError(
            f"an activity has the shape {activity.values.shape}", "give one column"
        )
    if len(activity) < 2:
        return ()
    period = float(np.median(np.diff(activity.times_s)))
    high = activity.valid & (activity.values[:, 0] > threshold)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], high.astype(np.int8), [0]])))
    found: list[Segment] = []
    for first, last in edges.reshape(-1, 2):
        start_s, end_s = float(activity.times_s[first]), float(activity.times_s[last - 1])
        if found and start_s - found[-1].end_s <= longest_gap_s:
            found[-1] = Segment(found[-1].start_s, end_s + period)
        else:
            found.append(Segment(start_s, end_s + period))
    return tuple(each for each in found if each.duration_s >= shortest_s)


def lip_movement(lips: LipStream) -> FeatureStream:
    """Measure how much the mouth opens and closes nearby.

    Parameters
    ----------
    lips : LipStream
        One face.

    Returns
    -------
    FeatureStream
        Shape (T, 1), kind ``"movement"``: the standard deviation of the height of the
        inner lip within 0.4 s, against that of the whole stream; around 1 in speech.
    """
    heights = lips.values.reshape(len(lips), -1, 3)[:, :, 1].astype(np.float64)
    opening = heights[:, _LOWER].mean(axis=1) - heights[:, _UPPER].mean(axis=1)
    opening = np.where(lips.valid, opening, 0.0)
    begin = np.searchsorted(lips.times_s, lips.times_s - _MOVEMENT_SPAN_S / 2, "left")
    end = np.searchsorted(lips.times_s, lips.times_s + _MOVEMENT_SPAN_S / 2, "right")
    counts = _slide_windows(lips.valid.astype(np.float64), begin, end)
    mean = _slide_windows(opening, begin, end) / np.maximum(counts, 1.0)
    square = _slide_windows(np.square(opening), begin, end) / np.maximum(counts, 1.0)
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    usual = float(np.sqrt(np.mean(spread[lips.valid] ** 2))) if lips.valid.any() else 0.0
    values = (spread / max(usual, 1e-9))[:, None].astype(np.float32)
    return FeatureStream(values, lips.times_s, lips.valid, "movement")


def match_segments(
    first: Sequence[Segment],
    second: Sequence[Segment],
    *,
    unmatched_cost: float = 1.0,
    scale_s: float = 0.2,
) -> tuple[tuple[int, int], ...]:
    """Match two chains of segments in the order of time.

    Parameters
    ----------
    first, second : sequence of Segment
        Both in the order of time; their clocks need not agree.
    unmatched_cost : float, optional
        Price of a segment without a partner.
    scale_s : float, optional
        Difference in length, or in the distance of neighbours, that costs 1.

    Returns
    -------
    tuple of (int, int)
        Matched segments by their places, increasing on both sides.

    Raises
    ------
    ParameterError
        If the price or the scale is not positive.

    References
    ----------
    .. [1] S. B. Needleman and C. D. Wunsch, "A general method applicable to the search for
       similarities in the amino acid sequence of two proteins", J. Molecular Biology
       48 (3), 1970: the recurrence, here with edges between matched nodes.
    """
    if not (unmatched_cost > 0 and scale_s > 0):
        raise ParameterError(
            f"unmatched_cost={unmatched_cost:g} and scale_s={scale_s:g}",
            "both must be positive",
        )
    rows, columns = len(first), len(second)
    best = np.full((rows, columns), np.inf)
    came_from = np.full((rows, columns, 2), -1)
    for i in range(rows):
        for j in range(columns):
            node = abs(first[i].duration_s - second[j].duration_s) / scale_s
            best[i, j] = node + unmatched_cost * (i + j)
            for a in range(max(0, i - 1 - _MOST_SKIPPED), i):
                for b in range(max(0, j - 1 - _MOST_SKIPPED), j):
                    step_a = first[i].start_s - first[a].start_s
                    step_b = second[j].start_s - second[b].start_s
                    skipped = unmatched_cost * (i - a - 1 + j - b - 1)
                    cost = best[a, b] + node + abs(step_a - step_b) / scale_s + skipped
                    if cost < best[i, j]:
                        best[i, j] = cost
                        came_from[i, j] = a, b
    if rows == 0 or columns == 0:
        return ()
    left_over = np.arange(rows)[::-1, None] + np.arange(columns)[::-1]
    total = best + unmatched_cost * left_over
    i, j = (int(index) for index in np.unravel_index(np.argmin(total), total.shape))
    if total[i, j] >= unmatched_cost * (rows + columns):
        return ()  # nothing is alike
    matched = []
    while i >= 0:
        matched.append((i, j))
        i, j = (int(index) for index in came_from[i, j])
    return tuple(reversed(matched))


def _slide_windows(
    values: NDArray[np.float64], begin: NDArray[np.intp], end: NDArray[np.intp]
) -> NDArray[np.float64]:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    result: NDArray[np.float64] = sums[end] - sums[begin]
    return result
