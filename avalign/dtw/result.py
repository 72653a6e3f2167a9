"""What the verbs return."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avalign.dtw.steps import StepPattern

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class DtwResult:
    """A warping path and what it costs.

    Parameters
    ----------
    distance : float
        The sum of weighted local costs along the path; no root is taken.
    path : ndarray of int32, shape (K, 2)
        Cells (row of x, row of y) from the begin to the end. A move of several steps
        shows every cell that it counts.
    shape : (int, int)
        Rows of x and of y.
    metric : str
        The local cost.
    step_pattern : StepPattern
        The moves that were allowed.
    radius : int or None
        The Sakoe-Chiba radius in cells, if there was one. Of a multiscale path: how far
        each level looked around the path of the level below.
    lower_bound : float
        No path is cheaper than this. It equals `distance` where the path is known to be
        the cheapest.
    x, y : ndarray
        The series (or x the precomputed costs, and y None), not copied, for
        :meth:`plot`.
    """

    distance: float
    path: NDArray[np.int32] = field(repr=False)
    shape: tuple[int, int]
    metric: str
    step_pattern: StepPattern = field(repr=False)
    radius: int | None
    lower_bound: float
    x: NDArray[Any] = field(repr=False)
    y: NDArray[Any] | None = field(repr=False)

    @property
    def normalized_distance(self) -> float | None:
        """The distance per unit of path weight, or None if that differs between paths."""
        begin, end = int(self.path[0, 1]), int(self.path[-1, 1])
        rows, columns = self.shape[0], end - begin + 1
        match self.step_pattern.normalization:
            case "N":
                return self.distance / rows
            case "M":
                return self.distance / columns
            case "N+M":
                return self.distance / (rows + columns)
        return None

    @property
    def is_exact(self) -> bool:
        """Whether no path can be cheaper."""
        return self.lower_bound >= self.distance

    def plot(self) -> Figure:
        """Draw the path over the local costs, with the series along the margins.

        Returns
        -------
        matplotlib.figure.Figure
            A figure that is not shown yet: save it with ``savefig``, or end a notebook
            cell with it.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        """
        from avalign.dtw.plotting import plot_path

        return plot_path(self)


@dataclass(frozen=True, eq=False)
class Match:
    """One place in a series where a query fits.

    Parameters
    ----------
    start, stop : int
        The query matches ``series[start:stop]``.
    distance : float
        The cost of that alignment.
    query, series : ndarray
        What was aligned, not copied.
    metric : str
        The local cost.
    step_pattern : StepPattern
        The moves that were allowed.
    """

    start: int
    stop: int
    distance: float
    query: NDArray[Any] = field(repr=False)
    series: NDArray[Any] = field(repr=False)
    metric: str = field(repr=False)
    step_pattern: StepPattern = field(repr=False)

    @cached_property
    def path(self) -> NDArray[np.int32]:
        """Cells (row of the query, row of the whole series), (K, 2); found when asked."""
        from avalign.dtw.verbs import path

        found = path(
            self.query,
            self.series[self.start : self.stop],
            metric=self.metric,
            step_pattern=self.step_pattern,
        )
        return found.path + np.array([[0, self.start]], np.int32)
