"""The path of most evidence in a band of lags, which may jump from one lag to another.

DTW with the affine gaps of sequence alignment [1]_: for a fixed price a path passes over
columns at once (something was inserted) or over rows (something was left out), which then
say nothing, for or against. Between jumps every row is taken once, and two steps along the
diagonal lie between two steps off it. Time grows with the band, whatever the jumps: the best
of all lags to jump from is carried along.

    lag = column - row    lag - 1   lag   lag + 1
    row i - 3                             d         along      a > *
    row i - 2                 u           d         down       d > d > d > *   3 rows, 2 columns
    row i - 1               n u     a     d g       up         u > u > u > *   2 rows, 3 columns
    row i                     u     *               inserted   n > *   from any lesser lag
                                                    left out   g > *   row i says nothing

References
----------
.. [1] O. Gotoh, "An improved algorithm for matching biological sequences", J. Molecular
   Biology 162 (3), 1982.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avalign.dtw.compiled import njit

# Evidence is computed for so many rows at a time.
_BLOCK_ROWS = 256
# How a cell was reached, in the lowest bits of its trace; 0: the path begins there.
_ALONG, _DOWN, _UP, _INSERTED = 1, 2, 3, 4
_HOW = 7
# Further bits: the gap of rows begins here; the gap of columns begins here; it is better to
# arrive at this cell with its row passed over.
_ROWS_OPEN, _COLUMNS_OPEN, _PASSED_OVER = 8, 16, 32


@dataclass(frozen=True, slots=True, eq=False)
class JumpPath:
    """A path of most evidence.

    Parameters
    ----------
    path : ndarray of shape (K, 2), int32
        Rows and columns, also those that are passed over; no step is longer than 1.
    columns : ndarray of shape (N,), float64
        Where each row lies; between two columns where a path takes both.
    passed_over : ndarray of shape (N,), bool
        Rows without a counterpart.
    jumps : ndarray of shape (J,), int64
        Rows before which columns are passed over.
    total : float
        Evidence less prices.
    """

    path: NDArray[np.int32]
    columns: NDArray[np.float64]
    passed_over: NDArray[np.bool_]
    jumps: NDArray[np.int64]
    total: float


def path_with_jumps(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    *,
    step_cost: float,
    jump_cost: float,
) -> JumpPath:
    """Find the path of most evidence; row i may meet columns i to i + M - N.

    Parameters
    ----------
    a, b : ndarray of shape (N, K) and (M, K), float32
        Rows whose inner products are evidence; M is at least N.
    step_cost : float
        Evidence that a step off the diagonal must be worth.
    jump_cost : float
        Evidence that a jump must be worth; infinity allows none.

    Returns
    -------
    JumpPath
        The path. It may begin and end anywhere in the band.
    """
    rows, lags = len(a), len(b) - len(a) + 1
    trace = np.empty((rows, lags), np.uint8)
    best = np.full((3, lags), -np.inf)
    gap = np.full(lags, -np.inf)
    before = np.zeros((2, lags), np.float32)
    for first in range(0, rows, _BLOCK_ROWS):
        part = a[first : first + _BLOCK_ROWS]
        products = part @ b[first : first + len(part) + lags - 1].T
        down, along = products.strides
        evidence = np.ascontiguousarray(
            np.lib.stride_tricks.as_strided(
                products, (len(part), lags), (down + along, along), writeable=False
            )
        )
        _advance(evidence, first, step_cost, jump_cost, best, gap, before, trace)
    last = best[(rows - 1) % 3]
    end = int(np.argmax(last))
    path, columns, passed_over, inserted = _trace_back(trace, end)
    return JumpPath(
        path, columns, passed_over, np.flatnonzero(inserted).astype(np.int64), float(last[end])
    )


@njit
def _advance(evidence, first, step_cost, jump_cost, best, gap, before, trace):
    """Fill some rows of the table: trace uint8 [N, lags]."""
    # best[i % 3]: the best of all paths that end in row i at each lag, its row taken or passed
    # over; gap: of those whose row before is passed over; before[i % 2]: earlier evidence.
    rows, lags = evidence.shape
    for row in range(rows):
        i = first + row
        now, one, two = best[i % 3], best[(i - 1) % 3], best[(i - 2) % 3]
        # Three rows ago lies where this row will lie: read before it is written.
        e, e_one, e_two = evidence[row], before[(i - 1) % 2], before[i % 2]
        inserted = -np.inf
        for lag in range(lags):
            three_above = now[lag + 1] if lag + 1 < lags else -np.inf
            how, code = 0, 0
            value = float(e[lag]) if i == 0 else -np.inf
            if i > 0:
                value, how = one[lag] + e[lag], _ALONG
                if i > 2 and lag + 1 < lags:
                    other = three_above + e_two[lag + 1] + e_one[lag + 1] + e[lag] - step_cost
                    if other > value:
                        value, how = other, _DOWN
                if i > 1 and lag > 0:
                    other = two[lag - 1] + e_one[lag - 1] + e[lag - 1] - step_cost
                    if other > value:
                        value, how = other, _UP
                if lag > 0 and one[lag - 1] - jump_cost >= inserted:
                    inserted = one[lag - 1] - jump_cost
                    code |= _COLUMNS_OPEN
                if inserted + e[lag] > value:
                    value, how = inserted + e[lag], _INSERTED
                passed = -np.inf
                if lag + 1 < lags:
                    passed = gap[lag + 1]
                    if one[lag + 1] - jump_cost >= passed:
                        passed = one[lag + 1] - jump_cost
                        code |= _ROWS_OPEN
                # `gap` is overwritten from the left, and read one to the right.
                gap[lag] = passed
                if passed > value:
                    value = passed
                    code |= _PASSED_OVER
            now[lag] = value
            trace[i, lag] = code | how
        before[i % 2] = e


@njit
def _trace_back(trace, end):
    """Follow a path from the last row at lag `end` to where it begins."""
    rows, lags = trace.shape
    path = np.empty((2 * rows + lags, 2), np.int32)
    columns = np.zeros(rows)
    passed_over = np.zeros(rows, np.bool_)
    inserted = np.zeros(rows, np.bool_)
    at = len(path)
    i, lag = rows - 1, end
    in_gap = trace[i, lag] & _PASSED_OVER != 0
    while True:
        code = trace[i, lag]
        j = i + lag
        at -= 1
        path[at] = i, j
        columns[i] = j
        if in_gap:
            passed_over[i] = True
            opened = code & _ROWS_OPEN != 0
            i, lag = i - 1, lag + 1
            in_gap = not opened or trace[i, lag] & _PASSED_OVER != 0
            continue
        how = code & _HOW
        if how == _ALONG:
            i -= 1
        elif how == _DOWN:
            for back in range(1, 3):
                at -= 1
                path[at] = i - back, j - back + 1
                columns[i - back] = j - back + 1
            i, lag = i - 3, lag + 1
        elif how == _UP:
            for back in range(2):
                at -= 1
                path[at] = i - back, j - back - 1
                columns[i - back] = j - back - 1
            columns[i] = j - 0.5
            i, lag = i - 2, lag - 1
        elif how == _INSERTED:
            inserted[i] = True
            opened = False
            while not opened:
                opened = trace[i, lag] & _COLUMNS_OPEN != 0
                lag -= 1
                at -= 1
                path[at] = i, i + lag
            i -= 1
        else:
            break
        in_gap = trace[i, lag] & _PASSED_OVER != 0
    return path[at:].copy(), columns, passed_over, inserted
