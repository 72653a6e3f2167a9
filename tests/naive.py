"""Slow, obvious twins of what avalign computes fast: the oracles of the tests.

Everything here is written for reading: one cell at a time, one path at a time, in the
arithmetic of its input (float32 stays float32), so that equality can be asked to the bit.
"""

import itertools
import math

import numpy as np

CLASSIC = (((1, 1, 1.0),), ((1, 0, 1.0),), ((0, 1, 1.0),))


def local_costs(x, y, metric="sqeuclidean"):
    """Cost of every pair of rows, (N, M); features are summed in their order."""
    x, y = np.asarray(x), np.asarray(y)
    if metric == "cosine":
        x, y = (rows / np.sqrt((rows * rows).sum(axis=1))[:, None] for rows in (x, y))
        return local_costs(x, y) * x.dtype.type(0.5)
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    if metric == "euclidean" and x.shape[1] == 1:
        metric = "manhattan"
    total = np.zeros((len(x), len(y)), dtype=np.result_type(x, y))
    for feature in range(x.shape[1]):
        difference = x[:, None, feature] - y[None, :, feature]
        total += abs(difference) if metric == "manhattan" else difference * difference
    return np.sqrt(total) if metric == "euclidean" else total


def band(n, m, radius):
    """The [first, stop) columns of every row in a Sakoe-Chiba band, (N, 2)."""
    allowed = [
        [j for j in range(m) if -radius - max(0, n - m) <= j - i <= radius + max(0, m - n)]
        for i in range(n)
    ]
    return np.array([(columns[0], columns[-1] + 1) for columns in allowed])


def _row_moves_last(moves):
    return sorted(moves, key=lambda move: sum(step[0] for step in move) == 0)


def accumulate(costs, moves=CLASSIC, window=None, open_begin=False):
    """Return the cheapest accumulated cost of every cell, and how each was reached.

    The second result maps a cell to (cell before, the cells of the move): None where a
    path begins. The first move that is cheapest wins; moves within a row come last.
    """
    n, m = costs.shape
    number = costs.dtype.type
    total = np.full((n, m), np.inf, dtype=costs.dtype)
    reached = {}
    inside = np.zeros((n, m), dtype=bool)
    for i in range(n):
        first, stop = (0, m) if window is None else window[i]
        inside[i, first:stop] = True
    for i, j in itertools.product(range(n), range(m)):
        if not inside[i, j]:
            continue
        best, ranked, how = number(np.inf), number(np.inf), None
        if i == 0 and (j == 0 or open_begin):
            best, ranked = costs[i, j], number(0) if moves is CLASSIC else costs[i, j]
        for move in _row_moves_last(moves):
            a, b = i - sum(s[0] for s in move), j - sum(s[1] for s in move)
            if a < 0 or b < 0 or not total[a, b] < np.inf:
                continue
            value, cells, before = total[a, b], [], (a, b)
            for rows, columns, weight in move:
                a, b = a + rows, b + columns
                with np.errstate(invalid="ignore"):  # nothing of a forbidden cell is forbidden
                    value = value + number(weight) * costs[a, b]
                cells.append((a, b))
            if not all(inside[cell] for cell in cells):
                continue
            # The classic recurrence is c + min(three): it compares before it adds.
            rank = total[before] if moves is CLASSIC else value
            if rank < ranked:
                best, ranked, how = value, rank, (before, cells)
        total[i, j] = best
        reached[i, j] = how
    return total, reached


def warp(costs, moves=CLASSIC, window=None, open_begin=False, open_end=False):
    """Distance and path (list of cells); (inf, None) where no path fits."""
    total, reached = accumulate(costs, moves, window, open_begin)
    n, m = costs.shape
    end = int(np.argmin(total[-1])) if open_end else m - 1
    if not total[-1, end] < np.inf:
        return math.inf, None
    path, cell = [], (n - 1, end)
    while reached[cell] is not None:
        before, cells = reached[cell]
        path.extend(reversed(cells))
        cell = before
    path.append(cell)
    return total[-1, end], path[::-1]


def subsequences(query, series, metric="sqeuclidean"):
    """For every end in the series: the cheapest cost of the query, and where it starts."""
    costs = local_costs(query, series, metric)
    total, reached = accumulate(costs, open_begin=True)
    starts = []
    for end in range(costs.shape[1]):
        cell = (len(costs) - 1, end)
        while reached[cell] is not None:
            cell, _ = reached[cell]
        starts.append(cell[1])
    return total[-1], np.array(starts)


def all_paths(n, m):
    """Every warping path of an (n, m) matrix under the classic steps; few cells only."""

    def grow(path):
        i, j = path[-1]
        if (i, j) == (n - 1, m - 1):
            yield path
        for a, b in ((i + 1, j + 1), (i + 1, j), (i, j + 1)):
            if a < n and b < m:
                yield from grow([*path, (a, b)])

    return grow([(0, 0)])


def soft(costs, gamma):
    """Soft-DTW by its definition over all paths: value, and expected alignment (N, M)."""
    costs = np.asarray(costs, dtype=np.float64)
    paths = list(all_paths(*costs.shape))
    lengths = np.array([sum(costs[cell] for cell in path) for path in paths])
    least = lengths.min()
    likelihoods = np.exp(-(lengths - least) / gamma)
    value = least - gamma * math.log(likelihoods.sum())
    expected = np.zeros(costs.shape)
    for path, likelihood in zip(paths, likelihoods / likelihoods.sum(), strict=True):
        for cell in path:
            expected[cell] += likelihood
    return value, expected


def ctc_text(path, blank=0):
    """Labels that CTC reads from a path: repeats count once, blanks not at all."""
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def ctc_paths(log_probs):
    """Yield every path through the rows: its labels, what it spells, its log-probability."""
    n_rows, n_labels = log_probs.shape
    for path in itertools.product(range(n_labels), repeat=n_rows):
        yield path, ctc_text(path), sum(log_probs[row, label] for row, label in enumerate(path))


def ctc_texts(log_probs):
    """Map every text to its probability: the sum over its paths."""
    texts = {}
    for _, text, log_prob in ctc_paths(log_probs):
        texts[text] = texts.get(text, 0.0) + math.exp(log_prob)
    return texts
