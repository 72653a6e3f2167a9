"""Kernels of the general engine: accumulate costs row by row, and follow directions back.

    ring of rows (`totals`, `costs`): row r lies at r % ring, column j at j - base + pad

                   | pad | columns of the windows of the rows swept |
    row i - 2      | inf | inf inf  v   v   v   v   v   v  inf  inf |    as many rows as the
    row i - 1      | inf | inf inf inf  v   v   v   v   v   v   inf |    furthest move looks
    row i          | inf | inf inf inf  v > v > .   .   .   .   inf |    back, and this one

Moves from earlier rows are taken TILE columns at a time, in loops that vectorise; only moves
within the row (>) go cell by cell. `pad` is the reach of the furthest move; cells outside
the window hold infinity.
"""

from __future__ import annotations

import numpy as np

from avalign.dtw.compiled import EUCLIDEAN, MANHATTAN, njit
from avalign.dtw.problem import PRECOMPUTED

# A direction is the number of the move that was taken, or this.
BEGINS_HERE = 255
# Columns that are worked on together; what they need of a few rows stays in L1.
TILE = 512


@njit
def fill_costs(x, y, metric, weights, i, first, costs):
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
            # What is forbidden stays so under a weight of 0.
            if costs[k] < np.inf:
                costs[k] *= weights[abs(first + k - i)]


@njit
def _classic_row(diagonal, above, costs, into, begins, directions):
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
def _moves_from_above(totals, costs, steps, i, left, best, directions, scratch):
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
def _moves_within_row(totals, costs, steps, left, right, directions):
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
def _fill(row, first, stop, value):
    for k in range(first, stop):
        row[k] = value


@njit
def sweep(
    x, y, metric, weights, steps, pad, classic, open_begin, first, stop, window, base, totals,
    costs, directions, origins, matrix,
):  # fmt: skip
    """Accumulate rows [first, stop) of the cost matrix; `totals` holds those before already."""
    # `directions` gets a row per row swept, from the first column of its window on, or has no
    # columns. `origins`, if any, is a ring of the columns where paths begin; it takes one row
    # of directions. `matrix`, if any, gets copies of the totals.
    ring = totals.shape[0]
    traced = min(directions.shape[1], 1)
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
        row = directions[(i - first) % directions.shape[0], : traced * (right - left)]
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
            _classic_row(below, above, here, now[left:right], i == 0, row)
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
                                  row[traced * (tile - left) : traced * (until - left)],
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
def trace(directions, window, steps, first, i, j, path, length):
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
