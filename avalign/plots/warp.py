"""A picture of two recordings: the cost matrix around the path, and the path in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.plots.figures import AUDIO, FAINT, INK, LIPS, in_own_style, new_figure, save_png

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.reports import AlignReport
    from avalign.types import Alignment, LagMap

MARGIN = 0.09
# Columns and rows the matrix is brought down to: a picture shows no more.
MOST_CELLS = 1200
NO_ANSWER = "#f4f5f6"


@in_own_style
def plot_warp(
    report: AlignReport,
    lag_map: LagMap | None,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> None:
    """Draw how the clock of one recording runs against another's.

    Above, the cost matrix with its path, turned so that a constant lag is a level line;
    below, the evidence along the path.

    Parameters
    ----------
    report : AlignReport
        The answer, or why there is none.
    lag_map : LagMap or None
        The matrix; None without an answer.
    path : path-like
        The PNG to write.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    MediaError
        If the file exists already or cannot be written.
    """
    figure = new_figure(9.0, 5.6)
    matrix = figure.add_axes((MARGIN, 0.31, 0.97 - MARGIN, 0.52))
    below = figure.add_axes((MARGIN, 0.1, 0.97 - MARGIN, 0.15))
    headline, subtitle = _words(report)
    figure.text(MARGIN, 0.935, headline, fontsize=17, fontweight="bold", color=INK)
    figure.text(MARGIN, 0.885, subtitle, fontsize=10.5, color=FAINT)
    alignment = report.alignment
    if alignment is None or lag_map is None:
        for axes in (matrix, below):
            axes.set(xticks=[], yticks=[], facecolor=NO_ANSWER)
        matrix.text(0.5, 0.5, "No path", ha="center", color=FAINT, transform=matrix.transAxes)
    else:
        _draw_matrix(matrix, alignment, lag_map)
        _draw_agreement(below, alignment, lag_map)
    save_png(figure, path, overwrite)


def _draw_matrix(axes: Any, alignment: Alignment, lag_map: LagMap) -> None:
    # Rows are lags. A short mean over time lets the eye find what the path follows.
    values = _shrunk(_shrunk(_averaged(lag_map.values), 0), 1).T
    low, high = np.percentile(values, [5.0, 99.7])
    extent = (
        *(float(lag_map.times_s[end]) for end in (0, -1)),
        *(1e3 * float(lag_map.lags_s[end]) for end in (0, -1)),
    )
    axes.imshow(
        -values,
        aspect="auto",
        origin="lower",
        cmap="bone",
        extent=extent,
        vmin=-high,
        vmax=-low,
        interpolation="nearest",
    )
    if alignment.warp is not None:
        warp = alignment.warp
        axes.plot(
            warp.reference_s, 1e3 * warp.lag_s, color=LIPS, linewidth=1.8, label="the path"
        )
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.set_ylabel("lag of the other recording [ms]", color=INK)
    axes.set_title(
        "cost of each lag over time: dark is cheap", loc="left", fontsize=10.5, color=INK
    )
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), frameon=False, fontsize=9.5)
    axes.tick_params(labelbottom=False)


def _draw_agreement(axes: Any, alignment: Alignment, lag_map: LagMap) -> None:
    shown = alignment.agreement
    level = np.where(shown.valid, shown.values[:, 0], np.nan)
    axes.fill_between(shown.times_s, level, color=AUDIO, alpha=0.35, linewidth=0)
    axes.plot(shown.times_s, level, color=AUDIO, linewidth=1.2)
    axes.axhline(0.0, color=FAINT, linewidth=0.8)
    axes.set(xlim=(lag_map.times_s[0], lag_map.times_s[-1]), yticks=[0.0])
    axes.set_title("evidence along the path", loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel("time in the reference [s]", color=INK)


def _averaged(values: NDArray[np.float64], span: int = 3) -> NDArray[np.float64]:
    if len(values) <= span:
        return values
    padded = np.pad(values, ((span // 2, span // 2), (0, 0)), mode="edge")
    result: NDArray[np.float64] = sum(
        (padded[shift : shift + len(values)] for shift in range(span)),
        np.zeros_like(values),
    )
    return result / span


def _shrunk(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Mean over groups of neighbours, so that at most `MOST_CELLS` are left."""
    count = values.shape[axis]
    starts = np.unique(
        np.linspace(0, count, min(count, MOST_CELLS), endpoint=False).astype(int)
    )
    sums = np.add.reduceat(values, starts, axis=axis)
    counts = np.diff(np.append(starts, count))
    result: NDArray[np.float64] = sums / (counts[:, None] if axis == 0 else counts)
    return result


def _words(report: AlignReport) -> tuple[str, str]:
    """Say the answer in one line, and what it rests on in another."""
    names = f"{Path(report.other).name}  ·  {report.to} of {Path(report.reference).name}"
    answer = report.alignment
    if answer is None:
        return "No reliable answer", f"{names}  ·  {report.reason or 'too little evidence'}"
    low_ms, high_ms = (1e3 * end for end in answer.interval_s)
    headline = {
        "rigid": f"One lag: {1e3 * answer.audio_lag_s:+.0f} ms",
        "drift": f"A drift of {answer.drift_ppm or 0.0:+.0f} ppm",
    }.get(answer.model, f"The lag lies mostly between {low_ms:+.0f} and {high_ms:+.0f} ms")
    headline = headline.replace("-", "\N{MINUS SIGN}")
    return headline, f"{names}  ·  confidence {answer.confidence:.2f}"
