"""Following a known series live: rows come in one by one, and memory stays bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avalign.arguments import choice, flag, whole
from avalign.dtw import checks
from avalign.dtw.compiled import MANHATTAN, njit
from avalign.dtw.general.rows import fill_costs
from avalign.errors import ParameterError


@njit
def _advance(
    rows, reference, metric, radius, open_begin, seen, position, window, costs, totals,
    starts, positions,
):  # fmt: skip
    """Accumulate new rows in place, each over the columns around the position before it."""
    # Diagonal steps weigh 2, others 1: a path to column j of row i that began in column s
    # weighs i + 1 + j - s + 1, and dividing by it makes columns comparable.
    columns = totals.shape[0]
    first, stop = window[0], window[1]
    for new in range(rows.shape[0]):
        i = seen + new
        begin, end = max(position - radius, 0), min(position + radius + 1, columns)
        if i == 0 and open_begin:
            begin, end = 0, columns
        fill_costs(rows, reference, metric, costs[:0], new, begin, costs[begin:end])
        diagonal, start = np.inf, 0
        if begin > first:
            diagonal, start = totals[begin - 1], starts[begin - 1]
        # The window moves: what lies outside of it is out of reach from now on.
        for j in range(first, min(begin, stop)):
            totals[j] = np.inf
        for j in range(max(end, first), stop):
            totals[j] = np.inf
        least = np.inf
        for j in range(begin, end):
            above, above_start, cost = totals[j], starts[j], costs[j]
            total, origin = diagonal + 2 * cost, start
            if above + cost < total:
                total, origin = above + cost, above_start
            if j > begin and totals[j - 1] + cost < total:
                total, origin = totals[j - 1] + cost, starts[j - 1]
            if i == 0 and (open_begin or j == 0):
                total, origin = cost, j
            diagonal, start = above, above_start
            totals[j], starts[j] = total, origin
            normalized = total / (i + j - origin + 2)
            if normalized < least:
                least, position = normalized, j
        first, stop = begin, end
        positions[new] = position
    window[0], window[1] = first, stop


class OnlineDtw:
    """Dynamic time warping of rows as they arrive against a reference that is known.

    Every row extends the accumulated costs by one row of the cost matrix, over the columns
    around the current position only. The position is the row of the reference whose cost
    per unit of path is least. It may step back when later rows speak for that.

    Parameters
    ----------
    reference : array-like, shape (M,) or (M, D)
        The series to follow, time first.
    metric : {"sqeuclidean", "euclidean", "manhattan"}
        The local cost.
    radius : int, optional
        How many rows of the reference before and after the position are looked at; by
        default all. The time that a row takes grows with it.
    open_begin : bool
        Let the live series begin anywhere in the reference, not at its first row.

    Attributes
    ----------
    position : int
        The row of the reference that the last row pushed belongs to.
    rows_seen : int
        How many rows were pushed.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    References
    ----------
    .. [1] S. Dixon, "Live tracking of musical performances using on-line time warping",
       Int. Conf. on Digital Audio Effects, 2005.

    Examples
    --------
    >>> follower = OnlineDtw([0.0, 1.0, 2.0, 3.0, 4.0])
    >>> follower.push([0.0, 0.0, 1.0, 2.0]).tolist()
    [0, 0, 1, 2]
    >>> follower.position, follower.lag
    (2, 1)
    """

    def __init__(
        self,
        reference: ArrayLike,
        *,
        metric: str = "sqeuclidean",
        radius: int | None = None,
        open_begin: bool = False,
    ) -> None:
        choice(metric, "online metric", ("sqeuclidean", "euclidean", "manhattan"))
        problem = checks.problem(reference, reference, metric)
        rows = problem.x.astype(np.float64, copy=False)
        self.position = 0
        self.rows_seen = 0
        self._metric = problem.metric_code
        self._open_begin = flag(open_begin, "open_begin")
        self._reference = np.ascontiguousarray(rows.reshape(len(rows), -1).T)
        self._radius = len(rows) if radius is None else whole(radius, "radius", least=1)
        self._largest_value = float(np.abs(rows).max())
        self._largest_cost = 0.0
        self._window = np.zeros(2, np.int64)
        self._totals = np.full(len(rows), np.inf)
        self._starts = np.zeros(len(rows), np.int64)
        self._costs = np.empty(len(rows))

    def push(self, rows: ArrayLike) -> NDArray[np.int64]:
        """Take the next rows.

        Parameters
        ----------
        rows : array-like, shape (K,) or (K, D)
            The rows that arrived, in order. A single row of D > 1 features is (1, D).

        Returns
        -------
        ndarray of int64, shape (K,)
            The position in the reference after each of them.

        Raises
        ------
        ParameterError
            If the rows cannot be used, or costs might overflow; then none is taken.
        """
        fresh = checks.series(rows, "rows")
        fresh = fresh.reshape(len(fresh), -1)
        features = len(self._reference)
        if fresh.shape[1] != features:
            raise ParameterError(
                f"rows have shape {np.shape(rows)}, the reference {features} features a row",
                f"push arrays of shape (K, {features})",
            )
        largest_cost = self._check_cost(fresh)
        positions = np.empty(len(fresh), np.int64)
        _advance(
            fresh.astype(self._reference.dtype, copy=False), self._reference, self._metric,
            self._radius, self._open_begin, self.rows_seen, self.position, self._window,
            self._costs, self._totals, self._starts, positions,
        )  # fmt: skip
        self.rows_seen += len(fresh)
        self._largest_cost = largest_cost
        self.position = int(positions[-1])
        return positions

    def _check_cost(self, fresh: NDArray[Any]) -> float:
        """Return what no cell so far costs more than, unless sums of it may overflow."""
        largest = float(np.abs(fresh).max())
        apart = largest + self._largest_value
        cost = apart * (apart if self._metric != MANHATTAN else 1.0) * len(self._reference)
        cost = max(cost, self._largest_cost)
        # Diagonal steps count twice.
        cells = self.rows_seen + len(fresh) + self._reference.shape[1]
        if 2 * cells * cost > np.finfo(np.float64).max:
            raise ParameterError(
                f"the costs overflow float64: values reach "
                f"{max(largest, self._largest_value):.3g}",
                "scale the reference and the rows down",
            )
        return cost

    @property
    def lag(self) -> int:
        """Rows that the live series is behind the reference; negative where it is ahead."""
        return self.rows_seen - 1 - int(self.position) if self.rows_seen else 0

    @property
    def costs(self) -> NDArray[Any]:
        """Accumulated cost of ending in each row of the reference; infinite out of reach."""
        return self._totals.copy()
