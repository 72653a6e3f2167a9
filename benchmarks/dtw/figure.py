"""The log-log figure of time over length."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from avalign.plots import AUDIO, FAINT, INK, LIPS, new_figure, save_png
from benchmarks.dtw.peers import SUBJECT
from benchmarks.dtw.scaling import Curve
from benchmarks.dtw.workloads import BASELINE

# Lines end beside their names; names closer than this fraction of the height move apart.
LABEL_GAP = 0.043


def draw(curves: Sequence[Curve], path: str | os.PathLike[str], *, setting: str) -> None:
    """Draw one panel without a band and one with.

    Parameters
    ----------
    curves : sequence of Curve
        What was measured.
    path : path-like
        The PNG; replaced if it exists.
    setting : str
        Processor and instruction set, for the foot.
    """
    figure = new_figure(11, 5)
    panels = figure.subplots(1, 2, sharey=True)
    radii = sorted({each.radius for each in curves if each.radius is not None})
    titles = ["whole matrix", f"band, radius {radii[0]}" if radii else "band"]
    shown = [
        [each for each in curves if each.radius is None],
        [each for each in curves if each.radius is not None],
    ]
    for axes, title, drawn in zip(panels, titles, shown, strict=True):
        _panel(axes, title, drawn)
    # Only now are the common limits known.
    for axes, drawn in zip(panels, shown, strict=True):
        _name_ends(axes, drawn)
    panels[0].set_ylabel("seconds per call", color=INK)
    figure.text(0.01, 0.015, setting, color=FAINT, fontsize=8)
    figure.subplots_adjust(left=0.07, right=0.87, bottom=0.15, top=0.9, wspace=0.42)
    save_png(figure, path, overwrite=True)


def _panel(axes: Any, title: str, curves: Sequence[Curve]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.set_xlabel("rows of each series", color=INK)
    axes.grid(visible=True, which="major", color=FAINT, alpha=0.2, linewidth=0.6)
    for curve in curves:
        axes.plot(
            curve.rows,
            curve.seconds,
            color=_colour(curve.peer),
            linewidth=2.2 if curve.peer == SUBJECT else 1.2,
            marker="o",
            markersize=3.5 if curve.peer == SUBJECT else 2.5,
            zorder=3 if curve.peer == SUBJECT else 2,
        )
    axes.margins(x=0.03)


def _name_ends(axes: Any, curves: Sequence[Curve]) -> None:
    """Write each name right of the panel, at the height where its line ends."""
    to_axes = (axes.transScale + axes.transLimits).transform
    axes.autoscale_view()
    ends = sorted(
        ((to_axes((curve.rows[-1], curve.seconds[-1])), curve.peer) for curve in curves),
        key=lambda end: end[0][1],
    )
    heights = [y for (_, y), _ in ends]
    for i in range(1, len(ends)):
        heights[i] = max(heights[i], heights[i - 1] + LABEL_GAP)
    ceiling = 1.0
    for i in reversed(range(len(ends))):
        heights[i] = min(heights[i], ceiling)
        ceiling = heights[i] - LABEL_GAP
    for ((x, y), peer), height in zip(ends, heights, strict=True):
        axes.annotate(
            peer,
            xy=(x, y),
            xytext=(1.03, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=8.5,
            color=_colour(peer),
            fontweight="bold" if peer == SUBJECT else "normal",
            arrowprops={"arrowstyle": "-", "color": FAINT, "alpha": 0.4, "linewidth": 0.6},
            annotation_clip=False,
        )


def _colour(peer: str) -> str:
    if peer == SUBJECT:
        return LIPS
    if peer == BASELINE:
        return AUDIO
    return INK if peer.startswith(BASELINE) else FAINT
