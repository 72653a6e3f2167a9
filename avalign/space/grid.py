"""Streams onto uniform clocks, centred and scaled over a sliding window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import NoAnswerError, ParameterError
from avalign.types import FeatureStream, split_at_pauses

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The 40 lip points and the chin, three coordinates each.
LIP_COLUMNS = 123
# Rows further apart than this say nothing about what lies between them.
LONGEST_GAP_S = 0.2
# Of a longer gap, only what is next to known rows is laid out.
_MARGIN_S = 1.0
# Rows for gaps may be so many times the rows that are known, or last this long in any case.
_MOST_GAPS = 20
_LONGEST_GAPS_S = 3600.0
# Times that differ by less are the same.
_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows on a uniform clock, without those of long gaps.

    `indices` are the indices of the rows on the clock, which starts at `start_s`.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    indices: NDArray[np.int64]
    start_s: float
    rate_hz: float

    def parts(self) -> list[slice]:
        """Divide the rows where some of the clock are left out."""
        return split_at_pauses(self.indices.astype(np.float64), 1.0)


def require_mfcc(stream: FeatureStream, columns: int) -> None:
    """Refuse a stream of audio with fewer columns than a space reads."""
    shape = stream.values.shape
    if len(shape) != 2 or shape[1] < columns:
        raise ParameterError(f"the MFCC stream has shape {shape}, not (T, {columns}) or wider")


def require_lips(stream: FeatureStream, columns: int = LIP_COLUMNS) -> None:
    """Refuse a stream that does not hold lip points."""
    shape = stream.values.shape
    if len(shape) != 2 or shape[1] != columns:
        raise ParameterError(f"the lip stream has shape {shape}, not (T, {columns})")


def to_uniform(
    stream: FeatureStream, rate_hz: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_], float]:
    """Interpolate a stream linearly onto a uniform clock.

    The new clock starts at the stream's first valid row, so that nothing is
    interpolated where the stream is uniform already.

    Parameters
    ----------
    stream : FeatureStream
        Rows at any times.
    rate_hz : float
        Rows per second wanted.

    Returns
    -------
    values : ndarray of shape (T, D), float32
        Interpolated rows; 0 where not valid.
    valid : ndarray of shape (T,), bool
        True where both neighbours are valid and at most 0.2 s apart.
    start_s : float
        Time of the first row.

    Raises
    ------
    NoAnswerError
        If next to nothing but gaps would be laid out.
    """
    grid = to_grid(stream, rate_hz)
    count = int(grid.indices[-1]) + 1 if len(grid.indices) else 0
    if count == len(grid.indices):
        return grid.values, grid.valid, grid.start_s
    _refuse_gaps(count, len(grid.indices), rate_hz)
    values = np.zeros((count, grid.values.shape[1]), np.float32)
    valid = np.zeros(count, bool)
    values[grid.indices], valid[grid.indices] = grid.values, grid.valid
    return values, valid, grid.start_s


def to_grid(stream: FeatureStream, rate_hz: float, stride: int = 1) -> Grid:
    """Interpolate a stream linearly onto a uniform clock, and leave out its long gaps.

    As `to_uniform`, less the rows that are more than a second or so from any valid row.
    Each part between gaps begins at a multiple of `stride`, so that it can be thinned out.
    """
    times_s = stream.times_s[stream.valid]
    if len(times_s) == 0:
        nothing = np.zeros((0, stream.values.shape[1]), np.float32)
        return Grid(nothing, np.zeros(0, bool), np.zeros(0, np.int64), 0.0, rate_hz)
    start_s = float(times_s[0])
    count = int(np.floor((times_s[-1] - start_s) * rate_hz + 1e-6)) + 1
    spans = []
    reached = 0
    for run in split_at_pauses(times_s, 2 * _MARGIN_S):
        first_s, last_s = (times_s[[run.start, run.stop - 1]] - start_s).tolist()
        first = int((first_s - _MARGIN_S) * rate_hz) // stride * stride
        last = int((last_s + _MARGIN_S) * rate_hz) + 1
        spans.append(np.arange(max(first, reached), min(last, count)))
        reached = max(reached, last)
    indices = np.concatenate(spans)
    values, valid = frames_at(stream, start_s + 1.0 / rate_hz * indices)
    return Grid(values, valid, indices, start_s, rate_hz)


def grid_indices(stream: FeatureStream) -> tuple[NDArray[np.int64], float]:
    """Find the index on a uniform clock of each row of a stream, gaps or not.

    Parameters
    ----------
    stream : FeatureStream
        At least two rows.

    Returns
    -------
    indices : ndarray of shape (T,), int64
        Number of each row on the clock, from 0.
    period_s : float
        Time from one row of the clock to the next.
    """
    steps = np.diff(stream.times_s)
    period_s = float(steps[0]) if steps[0] <= 2 * steps.min() else float(steps.min())
    elapsed = (stream.times_s - stream.times_s[0]) / period_s
    return np.rint(elapsed).astype(np.int64), period_s


def fill_gaps(stream: FeatureStream) -> FeatureStream:
    """Lay out the gaps of a stream on a uniform clock as rows that are not valid.

    Parameters
    ----------
    stream : FeatureStream
        Rows on a uniform clock, without some.

    Returns
    -------
    FeatureStream
        Every row of the clock; 0 where nothing was known.

    Raises
    ------
    NoAnswerError
        If next to nothing but gaps would be laid out.
    """
    if len(stream) < 2:
        return stream
    indices, period_s = grid_indices(stream)
    count = int(indices[-1]) + 1
    if count == len(stream):
        return stream
    _refuse_gaps(count, len(stream), 1.0 / period_s)
    values = np.zeros((count, stream.values.shape[1]), np.float32)
    valid = np.zeros(count, bool)
    values[indices], valid[indices] = stream.values, stream.valid
    times_s = stream.times_s[0] + period_s * np.arange(count)
    return replace(stream, values=values, times_s=times_s, valid=valid)


def _refuse_gaps(count: int, known: int, rate_hz: float) -> None:
    if count - known > max(_MOST_GAPS * known, _LONGEST_GAPS_S * rate_hz):
        raise NoAnswerError(
            f"{known / rate_hz:.1f} s of it lie {count / rate_hz / 3600:.1f} hours apart",
            "its clock may be damaged; cut it in parts",
        )


def frames_at(
    stream: FeatureStream, wanted_s: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Interpolate a stream linearly at given times.

    Parameters
    ----------
    stream : FeatureStream
        Rows at any times; those that are not valid are passed over.
    wanted_s : ndarray of shape (T,), float64
        The times, in any order.

    Returns
    -------
    values : ndarray of shape (T, D), float32
        Interpolated rows; 0 where not valid.
    valid : ndarray of shape (T,), bool
        True where valid rows lie on both sides, at most 0.2 s apart, or at the very time.
    """
    rows = np.flatnonzero(stream.valid)
    count = len(wanted_s)
    if len(rows) == 0:
        return np.zeros((count, stream.values.shape[1]), np.float32), np.zeros(count, bool)
    times = stream.times_s[rows]
    inside = (wanted_s >= times[0] - _ROUNDING_S) & (wanted_s <= times[-1] + _ROUNDING_S)
    if len(rows) == 1:
        values = np.where(inside[:, None], stream.values[rows], 0).astype(np.float32)
        return values, inside
    right = np.clip(np.searchsorted(times, wanted_s, side="right"), 1, len(times) - 1)
    left = right - 1
    gap = times[right] - times[left]
    fraction = np.clip((wanted_s - times[left]) / gap, 0.0, 1.0).astype(np.float32)[:, None]
    values = stream.values[rows[left]] * (1 - fraction) + stream.values[rows[right]] * fraction
    on_a_row = (fraction[:, 0] < 1e-3) | (fraction[:, 0] > 1 - 1e-3)
    valid = inside & ((gap <= LONGEST_GAP_S) | on_a_row)
    return np.where(valid[:, None], values, 0).astype(np.float32), valid


def uniform_stream(
    values: NDArray[np.float32],
    valid: NDArray[np.bool_],
    start_s: float,
    rate_hz: float,
    kind: str,
) -> FeatureStream:
    """Give rows [T, D] on a uniform clock their times, the inverse of `to_uniform`."""
    times_s = start_s + np.arange(len(values)) / rate_hz
    return FeatureStream(values, times_s, valid, kind)


def normalise(
    values: NDArray[np.float32],
    valid: NDArray[np.bool_],
    span: int,
    prior_scale: NDArray[np.float32],
    prior_rows: float,
    indices: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Centre and scale each column over a window of rows that slides along.

    The scale is shrunk towards the training data's: with `prior_rows` rows of
    evidence, half of the variance comes from the window.

    Parameters
    ----------
    values : ndarray of shape (T, D), float32
        Rows on a uniform clock.
    valid : ndarray of shape (T,), bool
        Rows that count.
    span : int
        Length of the window in rows; near the ends it is moved inside, never
        shortened, so that a stream of at most `span` rows is normalised as a
        whole.
    prior_scale : ndarray of shape (D,), float32
        Standard deviation of each column in the training data.
    prior_rows : float
        Weight of `prior_scale` in rows.
    indices : ndarray of shape (T,), int64, optional
        Number of each row on the clock, where some are left out.

    Returns
    -------
    ndarray of shape (T, D), float32
        Normalised rows; 0 where not valid.
    """
    indices = np.arange(len(values)) if indices is None else indices
    length = int(indices[-1]) + 1 if len(indices) else 0
    weights = valid.astype(np.float64)[:, None]
    begin = np.clip(indices - span // 2, 0, max(0, length - span))
    first, last = (np.searchsorted(indices, edge) for edge in (begin, begin + span))

    def windowed(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
        return total[last] - total[first]

    # Taking the overall mean off first keeps the sums of squares well conditioned.
    rows = (values - (values * weights).sum(0) / max(weights.sum(), 1.0)) * weights
    count = np.maximum(windowed(weights), 1.0)
    mean = windowed(rows) / count
    spread = np.maximum(windowed(rows * rows) - count * mean * mean, 0.0)
    variance = (spread + prior_rows * prior_scale.astype(np.float64) ** 2) / (
        count + prior_rows
    )
    return ((rows - mean) / np.sqrt(variance) * weights).astype(np.float32)
