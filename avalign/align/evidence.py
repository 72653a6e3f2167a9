"""Evidence for every lag: the banded cost matrix of two embedded streams, summed in blocks.

The cost of pairing a lip row with an audio row is minus the inner product of
their embeddings. A rigid alignment is a diagonal of that matrix, so the
evidence for a lag is minus the cost along its diagonal. Keeping the sums in
short blocks of time, rather than the matrix, bounds the memory and still tells
where in the clip the evidence comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.space import grid_indices
from avalign.types import split_at_pauses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.types import FeatureStream

BLOCK_ROWS = 10
LARGEST_LAG_S = 15.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Log evidence for each lag in each block of time.

    Parameters
    ----------
    values : ndarray of shape (B, L), float64
        Sum of inner products over a block's rows; 0 where sound and lips do
        not overlap.
    lags_s : ndarray of shape (L,), float64
        Audio lags, increasing by one embedding row.
    times_s : ndarray of shape (B,), float64
        Picture time at the middle of each block.
    used : ndarray of shape (B,), bool
        Blocks in which the lips are seen at all.
    lip_indices, audio_indices : ndarray of shape (T,), int64
        Number of each row of the embeddings on their clocks, which may have gaps.
    first_shift : int
        Audio index that the first lag pairs with lip index 0.
    """

    values: NDArray[np.float64]
    lags_s: NDArray[np.float64]
    times_s: NDArray[np.float64]
    used: NDArray[np.bool_]
    lip_indices: NDArray[np.int64]
    audio_indices: NDArray[np.int64]
    first_shift: int

    @property
    def total(self) -> NDArray[np.float64]:
        """Evidence for each lag over the whole clip, shape (L,)."""
        return self.values.sum(axis=0)


def gather_evidence(audio: FeatureStream, lips: FeatureStream, max_lag_s: float) -> Evidence:
    """Sum the banded cost matrix along its diagonals, block by block.

    Parameters
    ----------
    audio, lips : FeatureStream
        Embeddings of one `Space`, on uniform clocks of the same rate; gaps may be left out.
    max_lag_s : float
        Half width of the band in seconds.

    Returns
    -------
    Evidence
        Evidence per block and lag.

    Raises
    ------
    ParameterError
        If a stream is empty, the dimensions differ or the range is out of bounds.
    """
    if not 0 < max_lag_s <= LARGEST_LAG_S:
        raise ParameterError(
            f"the largest lag is {max_lag_s:g} s",
            f"use more than 0 and up to {LARGEST_LAG_S:g} s",
        )
    if len(audio) < 2 or len(lips) < 2:
        raise ParameterError(
            f"the streams have {len(audio)} and {len(lips)} rows", "two rows each are needed"
        )
    if audio.values.shape[1] != lips.values.shape[1]:
        raise ParameterError(
            f"audio has {audio.values.shape[1]} and lips {lips.values.shape[1]} dimensions",
            "embed both streams with the same model",
        )
    lip_indices, period = grid_indices(lips)
    audio_indices, _ = grid_indices(audio)
    lead = float(audio.times_s[0] - lips.times_s[0])
    first = int(np.ceil((-max_lag_s - lead) / period - 1e-6))
    last = int(np.floor((max_lag_s - lead) / period + 1e-6))
    lags_s = lead + period * np.arange(first, last + 1)

    blocks = [
        slice(begin, min(begin + BLOCK_ROWS, part.stop))
        for part in split_at_pauses(lip_indices.astype(np.float64), 1.0)
        for begin in range(part.start, part.stop, BLOCK_ROWS)
    ]
    values = np.empty((len(blocks), len(lags_s)))
    for block, rows in enumerate(blocks):
        part = lips.values[rows]
        # Row i of the band needs the audio at indices i + first ... i + last.
        begin = int(lip_indices[rows.start]) + first
        reached = _rows_at_indices(audio, audio_indices, begin, len(part) + len(lags_s) - 1)
        products = part @ reached.T
        row_bytes, column_bytes = products.strides
        diagonals = np.lib.stride_tricks.as_strided(
            products,
            (len(part), len(lags_s)),
            (row_bytes + column_bytes, column_bytes),
            writeable=False,
        )
        values[block] = diagonals.sum(axis=0)
    middles = [min(rows.start + BLOCK_ROWS // 2, rows.stop - 1) for rows in blocks]
    used = np.array([lips.valid[rows].any() for rows in blocks])
    return Evidence(
        values, lags_s, lips.times_s[middles], used, lip_indices, audio_indices, first
    )


def _rows_at_indices(
    stream: FeatureStream, indices: NDArray[np.int64], begin: int, count: int
) -> NDArray[np.float32]:
    """Take the rows at `count` indices from `begin` on; those that are not there are zeros."""
    first, last = np.searchsorted(indices, (begin, begin + count))
    if last - first == count:
        return stream.values[first:last]
    taken = np.zeros((count, stream.values.shape[1]), np.float32)
    taken[indices[first:last] - begin] = stream.values[first:last]
    return taken


def match_log_odds(total: NDArray[np.float64], no_match: float) -> float:
    """Log odds that audio and lips belong together, from the evidence of all lags [L]."""
    top = float(total.max())
    return top + float(np.log(np.exp(total - top).mean())) - no_match


def add_evidence(first: Evidence, second: Evidence) -> Evidence:
    """Join the evidence of two tracks that are never seen together, blocks in order of time."""
    # Tracks begin between rows of each other's clock: bring the second's lags over.
    position = np.interp(first.lags_s, second.lags_s, np.arange(len(second.lags_s)))
    left = np.minimum(position.astype(int), len(second.lags_s) - 2)
    fraction = position - left
    moved = second.values[:, left] * (1 - fraction) + second.values[:, left + 1] * fraction
    times_s = np.concatenate([first.times_s, second.times_s])
    order = np.argsort(times_s, kind="stable")
    return replace(
        first,
        values=np.concatenate([first.values, moved])[order],
        times_s=times_s[order],
        used=np.concatenate([first.used, second.used])[order],
    )
