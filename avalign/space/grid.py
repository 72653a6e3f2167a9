"""Streams onto uniform clocks, centred and scaled over a sliding window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.types import FeatureStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LIP_COLUMNS",
    "normalise",
    "require_lips",
    "require_mfcc",
    "rows_at",
    "to_uniform",
    "uniform_stream",
]

# The 40 lip points and the chin, three coordinates each.
LIP_COLUMNS = 123
# Rows further apart than this say nothing about what lies between them.
LONGEST_GAP_S = 0.2
# Times that differ by less are the same.
_ROUNDING_S = 1e-6


def require_mfcc(stream: FeatureStream, columns: int) -> None:
    """Refuse a stream of sound with fewer columns than a space reads.

    Parameters
    ----------
    stream : FeatureStream
        What was given.
    columns : int
        Columns that are read.

    Raises
    ------
    ParameterError
        If there are fewer.
    """
    shape = stream.values.shape
    if len(shape) != 2 or shape[1] < columns:
        raise ParameterError(f"the MFCC stream has shape {shape}, not (T, {columns}) or wider")


def require_lips(stream: FeatureStream, columns: int = LIP_COLUMNS) -> None:
    """Refuse a stream that does not hold lip points.

    Parameters
    ----------
    stream : FeatureStream
        What was given.
    columns : int, optional
        Columns that are read.

    Raises
    ------
    ParameterError
        If it has another number of columns.
    """
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
    """
    times_s = stream.times_s[stream.valid]
    if len(times_s) == 0:
        return np.zeros((0, stream.values.shape[1]), np.float32), np.zeros(0, bool), 0.0
    start_s, period = float(times_s[0]), 1.0 / rate_hz
    count = int(np.floor((times_s[-1] - start_s) * rate_hz + 1e-6)) + 1
    values, valid = rows_at(stream, start_s + period * np.arange(count))
    return values, valid, start_s


def rows_at(
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
    share = np.clip((wanted_s - times[left]) / gap, 0.0, 1.0).astype(np.float32)[:, None]
    values = stream.values[rows[left]] * (1 - share) + stream.values[rows[right]] * share
    on_a_row = (share[:, 0] < 1e-3) | (share[:, 0] > 1 - 1e-3)
    valid = inside & ((gap <= LONGEST_GAP_S) | on_a_row)
    return np.where(valid[:, None], values, 0).astype(np.float32), valid


def uniform_stream(
    values: NDArray[np.float32],
    valid: NDArray[np.bool_],
    start_s: float,
    rate_hz: float,
    kind: str,
) -> FeatureStream:
    """Give rows on a uniform clock their times, the inverse of `to_uniform`.

    Parameters
    ----------
    values : ndarray of shape (T, D), float32
        Rows on a uniform clock.
    valid : ndarray of shape (T,), bool
        Rows that count.
    start_s : float
        Time of the first row.
    rate_hz : float
        Rows per second.
    kind : str
        What the rows are.

    Returns
    -------
    FeatureStream
        The stream.
    """
    times_s = start_s + np.arange(len(values)) / rate_hz
    return FeatureStream(values, times_s, valid, kind)


def normalise(
    values: NDArray[np.float32],
    valid: NDArray[np.bool_],
    span: int,
    prior_scale: NDArray[np.float32],
    prior_rows: float,
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

    Returns
    -------
    ndarray of shape (T, D), float32
        Normalised rows; 0 where not valid.
    """
    length = len(values)
    weights = valid.astype(np.float64)[:, None]
    first = np.clip(np.arange(length) - span // 2, 0, max(0, length - span))
    last = np.minimum(first + span, length)

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
