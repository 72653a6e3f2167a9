"""A figure of a path: over the local costs, with the series along the margins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avalign.errors import import_guard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from avalign.dtw.result import DtwResult

PATH, FIRST, SECOND, INK = "#f2b134", "#c8375a", "#2f6690", "#22252a"
# Rows and columns of local costs that are drawn at most.
PIXELS = 600


def plot_path(result: DtwResult) -> Figure:
    """Draw a path over the local costs, x along the left side and y along the bottom."""
    with import_guard(
        "drawing needs matplotlib, which does not load", "pip install 'avalign[report]'"
    ):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=(7, 7), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 5), height_ratios=(5, 1))
    middle = figure.add_subplot(grid[0, 1])
    _draw_costs(middle, result)
    middle.plot(result.path[:, 1], result.path[:, 0], color=PATH, linewidth=1.8)
    middle.set_title(
        f"{result.step_pattern.name}, {result.metric}: distance {result.distance:.6g}",
        color=INK,
        fontsize=11,
    )
    if result.y is None:
        middle.set(xlabel="column", ylabel="row")
        return figure
    middle.tick_params(labelbottom=False, labelleft=False)
    left = figure.add_subplot(grid[0, 0], sharey=middle)
    below = figure.add_subplot(grid[1, 1], sharex=middle)
    _draw_series(left, result.x, FIRST, upright=True)
    _draw_series(below, result.y, SECOND, upright=False)
    left.set_ylabel("row of x", color=FIRST)
    below.set_xlabel("row of y", color=SECOND)
    return figure


def _draw_costs(axes: Any, result: DtwResult) -> None:
    rows, columns = (_pick(length) for length in result.shape)
    if result.y is None:
        costs = result.x[np.ix_(rows, columns)]
    else:
        costs = _local_costs(result.x[rows], result.y[columns], result.metric)
    axes.imshow(
        costs,
        origin="lower",
        aspect="auto",
        cmap="gray_r",
        interpolation="nearest",
        # A few extreme costs would hide the valley that the path runs in.
        vmin=costs.min(),
        vmax=np.percentile(costs, 90) or 1,
        extent=(-0.5, result.shape[1] - 0.5, -0.5, result.shape[0] - 0.5),
    )


def _pick(length: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, length - 1, min(length, PIXELS)).astype(np.int64))


def _local_costs(x: NDArray[Any], y: NDArray[Any], metric: str) -> NDArray[np.float64]:
    x, y = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (x, y))
    costs = np.zeros((len(x), len(y)))
    for feature in range(x.shape[1]):
        off = x[:, None, feature] - y[None, :, feature]
        costs += abs(off) if metric == "manhattan" else off * off
    return np.sqrt(costs) if metric == "euclidean" else costs


def _draw_series(axes: Any, series: NDArray[Any], colour: str, *, upright: bool) -> None:
    """Draw one feature as a line, several as an image with time along the cost matrix."""
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
    if series.ndim == 1:
        values, rows = series, np.arange(len(series))
        axes.plot(*((values, rows) if upright else (rows, values)), color=colour, linewidth=1)
        if upright:
            axes.invert_xaxis()
            axes.set_xticks([])
        else:
            axes.set_yticks([])
        return
    rows = _pick(len(series))
    image = series[rows] if upright else series[rows].T
    edges = (-0.5, len(series) - 0.5), (-0.5, series.shape[1] - 0.5)
    across, along = (edges[1], edges[0]) if upright else edges
    axes.imshow(
        image,
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        interpolation="nearest",
        extent=(*across, *along),
    )
    if upright:
        axes.set_xticks([])
    else:
        axes.set_yticks([])
