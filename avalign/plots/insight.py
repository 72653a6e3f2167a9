"""Plots of a fusion's attention, saliency and contributions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import ParameterError
from avalign.plots.figures import AUDIO, FAINT, INK, LIPS, in_own_style, new_figure, save_png

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Further streams take further colours.
_OTHERS = ("#5b8c5a", "#b08a2e", "#6b5b95", "#4a9ba8")
# Values beyond this percentile of all are shown as strong as the strongest.
_CLIPPED = 99.5


@in_own_style
def plot_attention(
    weights: ArrayLike,
    query_times_s: ArrayLike,
    key_times_s: ArrayLike,
    path: str | os.PathLike[str],
    *,
    query: str = "lips",
    key: str = "audio",
    lag_s: float | None = None,
    overwrite: bool = False,
) -> None:
    """Draw where the rows of one stream look in another.

    Parameters
    ----------
    weights : array-like of shape (Q, K) or (H, Q, K)
        Attention, of which heads are averaged; the weights of a query sum to 1, or to 0.
    query_times_s : array-like of shape (Q,)
        Times of the rows that look.
    key_times_s : array-like of shape (K,)
        Times of the rows that are looked at.
    path : path-like
        The PNG to write.
    query, key : str, optional
        What the streams are.
    lag_s : float, optional
        A lag to draw into the map: time looked at minus time of looking.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ParameterError
        If the shapes do not fit, or the weights are no attention.
    MissingDependencyError
        If matplotlib is not installed.
    MediaError
        If the file exists already or cannot be written.
    """
    shown = np.asarray(weights, np.float64)
    shown = shown.mean(axis=0) if shown.ndim == 3 else shown
    rows_s, columns_s = _clock(query_times_s), _clock(key_times_s)
    if shown.shape != (len(rows_s), len(columns_s)):
        raise ParameterError(
            f"attention of shape {shown.shape} does not fit {len(rows_s)} and "
            f"{len(columns_s)} times",
            "give (Q, K) or (heads, Q, K) weights of one item",
        )
    sums = shown.sum(axis=1)
    if not (np.isfinite(shown).all() and (shown >= 0).all() and _all_0_or_1(sums)):
        raise ParameterError(
            f"the weights of a row sum to between {sums.min():g} and {sums.max():g}",
            "give attention after the softmax",
        )
    figure = new_figure(7.0, 5.6)
    axes = figure.add_axes((0.11, 0.11, 0.84, 0.74))
    figure.text(0.11, 0.93, f"Where the {query} look in the {key}", **_HEADLINE)
    figure.text(0.11, 0.885, "dark: much attention", fontsize=10.5, color=FAINT)
    axes.imshow(
        shown.T,
        aspect="auto",
        origin="lower",
        cmap="bone_r",
        extent=(*_edges(rows_s), *_edges(columns_s)),
        vmin=0.0,
        vmax=float(np.percentile(shown, _CLIPPED)) or None,
        interpolation="nearest",
    )
    if lag_s is not None:
        ends_s = rows_s[[0, -1]]
        axes.plot(ends_s, ends_s + lag_s, color=LIPS, linewidth=1.4, label=_lag(lag_s))
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9.5)
    axes.set(xlim=_edges(rows_s), ylim=_edges(columns_s))
    axes.set_xlabel(f"time of the {query} [s]", color=INK)
    axes.set_ylabel(f"time of the {key} [s]", color=INK)
    save_png(figure, path, overwrite)


@in_own_style
def plot_saliency(
    saliency: Mapping[str, ArrayLike],
    times_s: ArrayLike,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> None:
    """Draw which values of which stream an answer rests on.

    For each stream, its columns over time, and below them their sum.

    Parameters
    ----------
    saliency : mapping of str to array-like of shape (T, D)
        Attributions of one item, by stream.
    times_s : array-like of shape (T,)
        The clock of all of them.
    path : path-like
        The PNG to write.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ParameterError
        If a shape does not fit, or an attribution is not finite.
    MissingDependencyError
        If matplotlib is not installed.
    MediaError
        If the file exists already or cannot be written.
    """
    clock_s = _clock(times_s)
    shown = {name: np.asarray(values, np.float64) for name, values in saliency.items()}
    for name, values in shown.items():
        if values.ndim != 2 or len(values) != len(clock_s) or not np.isfinite(values).all():
            raise ParameterError(
                f"saliency of {name!r} has shape {values.shape}, or holds NaN or infinity",
                f"give ({len(clock_s)}, D) finite attributions of one item",
            )
    _require_streams(shown)
    figure = new_figure(9.0, 1.4 + 2.6 * len(shown))
    height = 1.0 / figure.get_figheight()
    figure.text(0.09, 1 - 0.45 * height, "What the answer rests on", **_HEADLINE)
    figure.text(
        *(0.09, 1 - 0.75 * height),
        "red: for it, blue: against it; below each stream, the sum of its columns",
        fontsize=10.5,
        color=FAINT,
    )
    sums = {name: values.sum(axis=1) for name, values in shown.items()}
    reach = max(max(float(np.abs(each).max()) for each in sums.values()), 1e-12)
    for place, (name, values) in enumerate(shown.items()):
        top = 1 - (1.1 + 2.6 * place) * height
        above = figure.add_axes((0.09, top - 1.35 * height, 0.88, 1.35 * height))
        below = figure.add_axes((0.09, top - 1.95 * height, 0.88, 0.55 * height), sharex=above)
        strongest = max(float(np.percentile(np.abs(values), _CLIPPED)), 1e-12)
        above.imshow(
            values.T,
            aspect="auto",
            origin="lower",
            cmap="RdBu_r",
            extent=(*_edges(clock_s), -0.5, values.shape[1] - 0.5),
            vmin=-strongest,
            vmax=strongest,
            interpolation="nearest",
        )
        above.set_title(name, loc="left", fontsize=10.5, color=INK)
        above.set_ylabel("column", color=INK)
        above.tick_params(labelbottom=False)
        below.fill_between(clock_s, sums[name], color=_colour(name, place), linewidth=0)
        below.axhline(0.0, color=FAINT, linewidth=0.8)
        below.set(xlim=_edges(clock_s), ylim=(-reach, reach), yticks=[0.0])
        below.set_xlabel("time [s]" if place == len(shown) - 1 else "", color=INK)
        below.tick_params(labelbottom=place == len(shown) - 1)
    save_png(figure, path, overwrite)


@in_own_style
def plot_contributions(
    values: Mapping[str, float],
    empty: float,
    path: str | os.PathLike[str],
    *,
    unit: str = "score",
    overwrite: bool = False,
) -> None:
    """Draw the contributions of the streams, from the score without any to the answer.

    Parameters
    ----------
    values : mapping of str to float
        What each stream adds, of one item or on average.
    empty : float
        The score without any stream.
    path : path-like
        The PNG to write.
    unit : str, optional
        What the score is.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ParameterError
        If there is no stream, or a number is not finite.
    MissingDependencyError
        If matplotlib is not installed.
    MediaError
        If the file exists already or cannot be written.
    """
    _require_streams(values)
    steps = np.array(list(values.values()), np.float64)
    if not np.isfinite([*steps, empty]).all():
        raise ParameterError(f"contributions of {steps} to {empty} cannot be drawn")
    ends = empty + np.cumsum(steps)
    begins = np.concatenate([[empty], ends[:-1]])
    names = ["nothing", *values, "all streams"]
    figure, axes = _panel_of_names(
        1.6 + 0.5 * len(names),
        "What each stream contributes",
        f"from {empty:.3g} without any to {ends[-1]:.3g} with all",
    )
    rows = np.arange(len(names))[::-1]
    spread = max(float(np.ptp([empty, *ends])), 1e-9)
    axes.barh(rows[1:-1], steps, left=begins, height=0.62, color=_colours(values))
    axes.plot(
        np.repeat([empty, *ends], 2),
        np.stack([rows[:-1], rows[1:]], axis=1).ravel(),
        color=FAINT,
        linewidth=0.8,
        zorder=0,
    )
    axes.scatter([empty, ends[-1]], rows[[0, -1]], color=INK, s=28, zorder=3)
    for row, step, begin, end in zip(rows[1:-1], steps, begins, ends, strict=True):
        axes.text(
            max(begin, end) + 0.02 * spread, row, f"{step:+.3g}", va="center", fontsize=10
        )
    axes.set_yticks(rows, names)
    lowest, highest = min(empty, *ends), max(empty, *ends)
    axes.set(xlim=(lowest - 0.06 * spread, highest + 0.14 * spread), ylim=(-0.6, rows[0] + 0.6))
    axes.set_xlabel(unit, color=INK)
    save_png(figure, path, overwrite)


@in_own_style
def plot_swap(
    change: Mapping[str, ArrayLike],
    path: str | os.PathLike[str],
    *,
    unit: str = "score",
    overwrite: bool = False,
) -> None:
    """Draw what swapping each stream with somebody else's did to the score.

    One dot per item, and their mean. A stream whose dots stay at 0 does not matter.

    Parameters
    ----------
    change : mapping of str to array-like of shape (B,)
        Change of the score by stream; NaN where nothing was swapped.
    path : path-like
        The PNG to write.
    unit : str, optional
        What the score is.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ParameterError
        If there is no stream, or a stream was never swapped.
    MissingDependencyError
        If matplotlib is not installed.
    MediaError
        If the file exists already or cannot be written.
    """
    _require_streams(change)
    shown = {name: np.asarray(values, np.float64).ravel() for name, values in change.items()}
    shown = {name: values[np.isfinite(values)] for name, values in shown.items()}
    if bare := [name for name, values in shown.items() if not len(values)]:
        raise ParameterError(f"stream {bare[0]!r} was never swapped", "leave it out")
    figure, axes = _panel_of_names(
        1.9 + 0.7 * len(shown),
        "When a stream is somebody else's",
        f"change of the {unit}; a dot is an item, the bar their mean",
    )
    rows = np.arange(len(shown))[::-1]
    scatter = np.random.default_rng(0)  # the same picture every time
    for row, (values, colour) in zip(
        rows, zip(shown.values(), _colours(shown), strict=True), strict=True
    ):
        beside = row + scatter.uniform(-0.22, 0.22, len(values))
        axes.scatter(values, beside, s=16, color=colour, alpha=0.55, edgecolor="none")
        axes.vlines(values.mean(), row - 0.36, row + 0.36, color=INK, linewidth=2.2)
    axes.axvline(0.0, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_yticks(rows, list(shown))
    axes.set(ylim=(-0.6, rows[0] + 0.6))
    axes.set_xlabel(f"change of the {unit}", color=INK)
    save_png(figure, path, overwrite)


_HEADLINE: dict[str, Any] = {"fontsize": 15, "fontweight": "bold", "color": INK}


def _panel_of_names(height: float, headline: str, meaning: str) -> tuple[Any, Any]:
    """Make a figure so many inches high: one panel, room for names on its left."""
    figure = new_figure(7.5, height)
    inch = 1.0 / height
    figure.text(0.04, 1 - 0.5 * inch, headline, **_HEADLINE)
    figure.text(0.04, 1 - 0.8 * inch, meaning, fontsize=10.5, color=FAINT)
    return figure, figure.add_axes((0.2, 0.6 * inch, 0.74, 1 - 1.75 * inch))


def _clock(times_s: ArrayLike) -> NDArray[np.float64]:
    clock = np.asarray(times_s, np.float64)
    if clock.ndim != 1 or len(clock) == 0 or not (np.diff(clock) > 0).all():
        raise ParameterError(
            f"times of shape {clock.shape} are no clock", "give one increasing time per row"
        )
    return clock


def _edges(clock_s: NDArray[np.float64]) -> tuple[float, float]:
    """Where the first row's cell begins and the last one's ends."""
    half = float(np.median(np.diff(clock_s))) / 2 if len(clock_s) > 1 else 0.01
    return float(clock_s[0]) - half, float(clock_s[-1]) + half


def _all_0_or_1(sums: NDArray[np.float64]) -> bool:
    return bool((np.minimum(np.abs(sums), np.abs(sums - 1.0)) < 1e-3).all())


def _lag(lag_s: float) -> str:
    return f"a lag of {1e3 * lag_s:+.0f} ms"


def _require_streams(given: Mapping[str, object]) -> None:
    if not given:
        raise ParameterError("there is no stream to draw", "give one or more, by name")


def _colours(names: Mapping[str, object]) -> list[str]:
    return [_colour(name, place) for place, name in enumerate(names)]


def _colour(name: str, place: int) -> str:
    """Sound and lips look as in all pictures; others take turns."""
    return {"audio": AUDIO, "lips": LIPS}.get(name, _OTHERS[place % len(_OTHERS)])
