"""The general engine: any step pattern, weights, window, open ends, any cost.

    block 0  | directions dropped |   forth: keep the last rows of each block (====)
             =====================
    block 1  | directions dropped |   back: sweep each block again from the rows above it,
             =====================          to the left of where the path came to it
    block 2  | directions cached  |

Where the directions of all cells would take much memory, it grows with the square root of
the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.dtw.general.rows import sweep, trace
from avalign.dtw.problem import Problem
from avalign.dtw.steps import Steps, compile_steps

Matrix = NDArray[Any]

# Cells whose directions are cached at once, and the fewest rows to a block.
CACHED_CELLS = 1 << 24
BLOCK_ROWS = 512


@dataclass(slots=True)
class _Sweeper:
    """A problem laid out for the kernel, and the rows of it that were accumulated last."""

    problem: Problem
    steps: Steps
    window: NDArray[np.int64]
    x: Matrix
    y: Matrix
    weights: Matrix

    @classmethod
    def of(cls, problem: Problem) -> _Sweeper:
        dtype = problem.x.dtype
        x, y = problem.x, problem.y
        columns_first = np.empty((0, 0), dtype) if y is None else y.reshape(len(y), -1).T
        weights = np.empty(0) if problem.weights is None else problem.weights
        return cls(
            problem,
            compile_steps(problem.pattern, dtype.name),
            problem.columns_allowed(),
            x.reshape(len(x), -1),
            np.ascontiguousarray(columns_first),
            weights.astype(dtype, copy=False),
        )

    @property
    def rows_held(self) -> int:
        """Rows that moves can come from, and the row that they go to."""
        return int(self.steps.rows.max()) + 1

    def blocks(self, height: int) -> list[tuple[int, int]]:
        n = len(self.x)
        return [(first, min(first + height, n)) for first in range(0, n, height)]

    def sweep(
        self,
        first: int,
        stop: int,
        before: list[Matrix],
        *,
        directions: NDArray[np.uint8] | None = None,
        matrix: Matrix | None = None,
        origins: bool = False,
    ) -> tuple[list[Matrix], NDArray[np.int64]]:
        """Accumulate a block of rows; return the last rows of it (and their origins)."""
        # `before` are the rows just above, each from the first column of its window on.
        dtype = self.x.dtype
        above = first - len(before)
        base = int(self.window[above:stop, 0].min())
        pad = int(self.steps.columns.max())
        shape = self.rows_held, pad + int(self.window[above:stop, 1].max()) - base
        totals, costs = np.full(shape, np.inf, dtype), np.full(shape, np.inf, dtype)
        for row, values in enumerate(before, above):
            left, right = pad + self.window[row] - base
            totals[row % self.rows_held, left:right] = values[: right - left]
        if directions is None:
            directions = np.empty((1, shape[1] if origins else 0), np.uint8)
        starts = np.zeros(shape if origins else (0, 0), np.int64)
        sweep(
            self.x, self.y, self.problem.metric_code, self.weights, self.steps, pad,
            self.problem.pattern.is_classic, self.problem.open_begin, first, stop,
            self.window, base, totals, costs, directions, starts,
            np.empty((0, 0), dtype) if matrix is None else matrix,
        )  # fmt: skip
        last = []
        for row in range(max(0, stop - self.rows_held + 1), stop):
            left, right = pad + self.window[row] - base
            last.append(totals[row % self.rows_held, left:right].copy())
        return last, starts[(stop - 1) % self.rows_held, left:] if origins else starts

    def end(self, last_row: Matrix) -> tuple[float, int]:
        """Return the distance, infinite where no path fits, and the column it ends in."""
        first, stop = self.window[-1]
        if self.problem.open_end:
            if stop > first:
                end = int(np.argmin(last_row))
                return float(last_row[end]), int(first) + end
        elif stop == self.problem.shape[1] and stop > first:
            return float(last_row[-1]), int(stop) - 1
        return float("inf"), 0


def distance(problem: Problem) -> tuple[float, int]:
    """Return the distance and the column of y in which the path ends."""
    sweeper = _Sweeper.of(problem)
    last: list[Matrix] = []
    for first, stop in sweeper.blocks(BLOCK_ROWS):
        last, _ = sweeper.sweep(first, stop, last)
    return sweeper.end(last[-1])


def cost_matrix(problem: Problem) -> Matrix:
    """Return the accumulated costs, (N, M), infinite where no path fits."""
    matrix = np.full(problem.shape, np.inf, problem.x.dtype)
    sweeper = _Sweeper.of(problem)
    last: list[Matrix] = []
    for first, stop in sweeper.blocks(BLOCK_ROWS):
        last, _ = sweeper.sweep(first, stop, last, matrix=matrix)
    return matrix


def last_row(problem: Problem) -> tuple[Matrix, NDArray[np.int64]]:
    """Return the cost of ending in each column of y, and the column where that begins."""
    sweeper = _Sweeper.of(problem)
    last, starts = sweeper.sweep(0, len(sweeper.x), [], origins=True)
    return last[-1], starts[: len(last[-1])]


def path(problem: Problem) -> tuple[float, NDArray[np.int32]]:
    """Return the distance and its path, (K, 2), which is empty where no path fits."""
    sweeper = _Sweeper.of(problem)
    blocks = sweeper.blocks(_block_rows(problem))
    width = _widest(sweeper.window)
    fits = len(sweeper.x) * width <= CACHED_CELLS
    cached: list[NDArray[np.uint8]] = []
    before: list[list[Matrix]] = [[]]
    for first, stop in blocks:
        wanted = fits or stop == len(sweeper.x)
        cached.append(
            np.empty((stop - first if wanted else 1, width if wanted else 0), np.uint8)
        )
        before.append(sweeper.sweep(first, stop, before[-1], directions=cached[-1])[0])
    distance, j = sweeper.end(before.pop()[-1])
    found = np.empty((sum(problem.shape), 2), np.int32)
    if distance == np.inf:
        return distance, found[:0]
    i, length = len(sweeper.x) - 1, 0
    for (first, stop), directions, above in zip(
        reversed(blocks), reversed(cached), reversed(before), strict=True
    ):
        if not first <= i < stop:
            continue
        if directions.shape[1] == 0:
            # The path goes on to the left of where it was met: compute no more than that.
            rows = sweeper.window[first - len(above) : i + 1]
            np.minimum(rows, j + 1, out=rows)
            directions = np.empty((i + 1 - first, _widest(rows)), np.uint8)
            sweeper.sweep(first, i + 1, above, directions=directions)
        i, j, length = trace(
            directions, sweeper.window, sweeper.steps, first, i, j, found, length
        )
    return distance, np.ascontiguousarray(found[:length][::-1])


def path_bytes(problem: Problem) -> int:
    """Return how much memory :func:`path` will take at most, without the series."""
    rows, columns = problem.shape
    width = min(columns, _widest(problem.columns_allowed()))
    height = _block_rows(problem)
    held = problem.pattern.largest_move[0]
    checkpoints = -(-rows // height) * held * width * problem.x.itemsize
    cells = rows * width if rows * width <= CACHED_CELLS else height * width
    return checkpoints + cells + 8 * (rows + columns) + 16 * rows


def _block_rows(problem: Problem) -> int:
    """Rows to a block so that rows cached between blocks and directions in one balance."""
    held = problem.pattern.largest_move[0] * problem.x.itemsize
    return max(BLOCK_ROWS, isqrt(held * problem.shape[0]))


def _widest(window: NDArray[Any]) -> int:
    return int((window[:, 1] - window[:, 0]).max())
