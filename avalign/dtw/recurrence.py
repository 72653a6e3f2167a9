"""The general engine: any step pattern, weights, window, open ends, any cost.

One kernel, :func:`_sweep`, accumulates costs row by row. Moves that come from earlier rows
are taken for a stretch of columns at a time, in loops that vectorise; only moves within
the row go cell by cell. It holds as many rows as the furthest reaching move looks back,
and only the columns that the window allows.

A path is found in blocks of rows: where the directions of all cells would take much
memory, the forward pass keeps only the rows between blocks, and the way back computes
each block again. Memory then grows with the square root of the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.dtw.compiled import EUCLIDEAN, MANHATTAN, njit
from avalign.dtw.problem import PRECOMPUTED, Problem
from avalign.dtw.steps import Steps, compiled

__all__ = [
    "classic_row",
    "cost_matrix",
    "distance",
    "fill_costs",
    "last_row",
    "path",
    "path_bytes",
]

Matrix = NDArray[Any]

# A direction is the number of the move that was taken, or one of these.
BEGINS_HERE = 255
# Cells whose directions are kept at once, and the fewest rows to a block.
KEPT_CELLS = 1 << 24
BLOCK_ROWS = 512
# Columns that are worked on together; what they need of a few rows stays in L1.
TILE = 512


@njit
def fill_costs(  # type: ignore[no-untyped-def]
    x, y, metric, weights, i, first, costs
):
    """Write the local costs of row i from column `first` on; y is (features, columns)."""
    n = costs.shape[0]
    if metric == PRECOMPUTED:
        for k in range(n):
            costs[k] = x[i, first + k]
    else:
        for k in range(n):
            costs[k] = 0
        for feature in range(x.shape[1]):
            value = x[i, feature]
            other = y[feature, first : first + n]
            if metric == MANHATTAN:
                for k in range(n):
                    costs[k] += abs(other[k] - value)
            else:
                for k in range(n):
                    difference = other[k] - value
                    costs[k] += difference * difference
        if metric == EUCLIDEAN:
            for k in range(n):
                costs[k] = np.sqrt(costs[k])
    if weights.shape[0] > 0:
        for k in range(n):
            costs[k] *= weights[abs(first + k - i)]


@njit
def classic_row(diagonal, above, costs, into, begins, directions):  # type: ignore[no-untyped-def]
    """One row of c + min(diagonal, above, left); `directions` may be empty."""
    n = costs.shape[0]
    last = into.dtype.type(np.inf)
    for k in range(n):
        into[k] = above[k] if above[k] < diagonal[k] else diagonal[k]
    for k in range(n):
        last = costs[k] + (last if last < into[k] else into[k])
        into[k] = last
    # Asking afterwards where each minimum came from keeps branches out of the chain above.
    for k in range(directions.shape[0]):
        directions[k] = np.uint8(BEGINS_HERE) if begins else np.uint8(above[k] < diagonal[k])
    left, diagonal, above, rest = into[: n - 1], diagonal[1:], above[1:], directions[1:]
    for k in range(rest.shape[0]):
        least = above[k] if above[k] < diagonal[k] else diagonal[k]
        rest[k] = np.uint8(2) if left[k] < least else rest[k]


@njit
def _moves_from_above(  # type: ignore[no-untyped-def]
    totals, costs, steps, i, left, best, directions, scratch
):
    """Take the cheapest move from earlier rows, from ring position `left` on."""
    ring, n = totals.shape[0], best.shape[0]
    for move in range(steps.rising):
        if steps.rows[move] > i:
            continue
        at = left - steps.columns[move]
        value = totals[(i - steps.rows[move]) % ring][at : at + n]
        last = steps.first_cell[move + 1] - 1
        for cell in range(steps.first_cell[move], last + 1):
            at = left - steps.columns_back[cell]
            cost = costs[(i - steps.rows_back[cell]) % ring][at : at + n]
            weight = steps.weights[cell]
            # Outside the window costs are infinite; should the weight be 0, the product
            # is NaN, which is not less than anything either.
            if cell < last:
                for k in range(n):
                    scratch[k] = value[k] + weight * cost[k]
                value = scratch
            elif directions.shape[0] == 0:
                for k in range(n):
                    total = value[k] + weight * cost[k]
                    best[k] = total if total < best[k] else best[k]
            else:
                for k in range(n):
                    total = value[k] + weight * cost[k]
                    better = total < best[k]
                    best[k] = total if better else best[k]
                    directions[k] = np.uint8(move) if better else directions[k]


@njit
def _moves_within_row(  # type: ignore[no-untyped-def]
    totals, costs, steps, left, right, directions
):
    """Take moves along one row of the ring, cell by cell, where they are cheaper still."""
    moves = steps.rows.shape[0]
    if moves == steps.rising + 1 and steps.columns[moves - 1] == 1:
        # One step to the right is all there is: carry the total along in a register.
        weight, last = steps.weights[-1], totals[left - 1]
        scratch = np.empty(TILE, totals.dtype)
        for tile in range(left, right, TILE):
            now, cost = totals[tile : min(tile + TILE, right)], costs[tile : tile + TILE]
            for k in range(now.shape[0]):
                scratch[k] = now[k]
                value = last + weight * cost[k]
                last = value if value < now[k] else now[k]
                now[k] = last
            row = directions[tile - left : tile - left + TILE]
            for k in range(row.shape[0]):
                row[k] = np.uint8(steps.rising) if now[k] < scratch[k] else row[k]
        return
    for k in range(left, right):
        for move in range(steps.rising, moves):
            value = totals[k - steps.columns[move]]
            for cell in range(steps.first_cell[move], steps.first_cell[move + 1]):
                value += steps.weights[cell] * costs[k - steps.columns_back[cell]]
            if value < totals[k]:
                totals[k] = value
                if directions.shape[0] > 0:
                    directions[k - left] = move


@njit
def _fill(row, first, stop, value):  # type: ignore[no-untyped-def]
    for k in range(first, stop):
        row[k] = value


@njit
def _sweep(  # type: ignore[no-untyped-def]
    x, y, metric, weights, steps, pad, classic, open_begin,
    first, stop, window, base, totals, costs, directions, origins, matrix,
):  # fmt: skip
    """Accumulate rows [first, stop) of the cost matrix.

    `totals` and `costs` are rings of rows: row r lies at r % ring, column j at
    j - base + pad, where pad is the reach of the furthest move; `totals` holds the rows
    before `first` already. Cells outside the window hold infinity. `directions` gets one
    row per row swept, from the first column of its window on (or, with no columns, none).
    With `origins`, a ring of the columns where paths begin, one row of it is enough.
    `matrix` gets copies of the totals.
    """
    ring = totals.shape[0]
    kept = min(directions.shape[1], 1)
    before = np.empty(totals.shape[1] if first == 0 else 0, totals.dtype)
    scratch = np.empty(TILE, totals.dtype)
    for i in range(max(0, first - ring + 2), stop):
        slot = i % ring
        now, cost = totals[slot], costs[slot]
        left, right = window[i, 0] - base + pad, window[i, 1] - base + pad
        if i > first and i >= ring:
            _fill(
                now, window[i - ring, 0] - base + pad, window[i - ring, 1] - base + pad, np.inf
            )
            _fill(
                cost, window[i - ring, 0] - base + pad, window[i - ring, 1] - base + pad, np.inf
            )
        fill_costs(x, y, metric, weights, i, window[i, 0], cost[left:right])
        if i < first:
            continue  # the costs are all that is missing of the rows before
        row = directions[(i - first) % directions.shape[0], : kept * (right - left)]
        if classic:
            here, below, above = cost[left:right], before[left:right], before[left:right]
            if i > 0:
                last = totals[(i - 1) % ring]
                below, above = last[left - 1 : right - 1], last[left:right]
            else:
                # What lies before the first row costs nothing where a path may begin.
                _fill(before, left, right, 0 if open_begin else np.inf)
                if window[0, 0] == 0:
                    before[left] = 0
            classic_row(below, above, here, now[left:right], i == 0, row)
        else:
            _fill(row, 0, row.shape[0], BEGINS_HERE)
            if i == 0:
                # A path counts the cell that it begins with once.
                for k in range(left, right):
                    if open_begin or k == pad - base:
                        now[k] = cost[k]
            for tile in range(left, right, TILE):
                until = min(tile + TILE, right)
                _moves_from_above(totals, costs, steps, i, tile, now[tile:until],
                                  row[kept * (tile - left) : kept * (until - left)],
                                  scratch)  # fmt: skip
            _moves_within_row(now, cost, steps, left, right, row)
        if origins.shape[0] > 0:
            for k in range(left, right):
                move = row[k - left]
                if move == BEGINS_HERE:
                    origins[slot, k] = k + base - pad
                else:
                    reached = (i - steps.rows[move]) % ring
                    origins[slot, k] = origins[reached, k - steps.columns[move]]
        if matrix.shape[0] > 0:
            for k in range(left, right):
                matrix[i, k + base - pad] = now[k]


@njit
def _trace(directions, window, steps, first, i, j, path, length):  # type: ignore[no-untyped-def]
    """Follow directions back from cell (i, j) until a row before `first`, or the begin."""
    while i >= first:
        move = directions[i - first, j - window[i, 0]]
        if move == BEGINS_HERE:
            path[length, 0] = i
            path[length, 1] = j
            return -1, j, length + 1
        for cell in range(steps.first_cell[move + 1] - 1, steps.first_cell[move] - 1, -1):
            path[length, 0] = i - steps.rows_back[cell]
            path[length, 1] = j - steps.columns_back[cell]
            length += 1
        i -= steps.rows[move]
        j -= steps.columns[move]
    return i, j, length


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
            compiled(problem.pattern, dtype.name),
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
        """Accumulate a block of rows; return the last rows of it (and their origins).

        `before` are the rows just above, each from the first column of its window on.
        """
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
        _sweep(
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
    keeps = len(sweeper.x) * width <= KEPT_CELLS
    kept: list[NDArray[np.uint8]] = []
    before: list[list[Matrix]] = [[]]
    for first, stop in blocks:
        wanted = keeps or stop == len(sweeper.x)
        kept.append(np.empty((stop - first if wanted else 1, width if wanted else 0), np.uint8))
        before.append(sweeper.sweep(first, stop, before[-1], directions=kept[-1])[0])
    distance, j = sweeper.end(before.pop()[-1])
    found = np.empty((sum(problem.shape), 2), np.int32)
    if distance == np.inf:
        return distance, found[:0]
    i, length = len(sweeper.x) - 1, 0
    for (first, stop), directions, above in zip(
        reversed(blocks), reversed(kept), reversed(before), strict=True
    ):
        if not first <= i < stop:
            continue
        if directions.shape[1] == 0:
            # The path goes on to the left of where it was met: compute no more than that.
            rows = sweeper.window[first - len(above) : i + 1]
            np.minimum(rows, j + 1, out=rows)
            directions = np.empty((i + 1 - first, _widest(rows)), np.uint8)
            sweeper.sweep(first, i + 1, above, directions=directions)
        i, j, length = _trace(
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
    cells = rows * width if rows * width <= KEPT_CELLS else height * width
    return checkpoints + cells + 8 * (rows + columns) + 16 * rows


def _block_rows(problem: Problem) -> int:
    """Rows to a block so that rows kept between blocks and directions in one balance."""
    held = problem.pattern.largest_move[0] * problem.x.itemsize
    return max(BLOCK_ROWS, isqrt(held * problem.shape[0]))


def _widest(window: NDArray[Any]) -> int:
    return int((window[:, 1] - window[:, 0]).max())
