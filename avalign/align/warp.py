"""From a lag per row to a warp: one lag, a line, or a smooth curve, and jumps between them.

The curve is Whittaker's: of all curves, the one that strikes the best balance between
following the lags where they are sharp and bending little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from avalign.types import TimeWarp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Model = Literal["rigid", "drift", "piecewise", "elastic"]

# A warp may not run slower or faster than this.
SLOWEST, FASTEST = 0.5, 2.0
# Clocks differ by less, and films at the pace of television, too: beyond, someone speaks
# slower or faster, and the pitch has to stay.
MOST_DRIFT = 0.045
# Knots of a curve are this far apart; shorter bends are smoothed away long before.
KNOT_S = 0.1
# One lag that is smaller cannot be told from none.
_SMALLEST_S = 0.0005
# The least that a clock goes on between two knots.
_LEAST_STEP_S = 1e-4
# Rounds of reweighting, so that rows far off the line count little.
_ROUNDS = 8


def fit_warp(
    times_s: NDArray[np.float64],
    lag_s: NDArray[np.float64],
    weights: NDArray[np.float64],
    model: Model,
    *,
    smoothing_s: float,
) -> TimeWarp:
    """Fit a warp to a lag per row; its pace stays between half and twice the reference's.

    `lag_s` [N] is time in the other recording minus time in the reference; `weights` [N] say
    how far to trust each row. Waves of length `smoothing_s` keep half of their height, shorter
    ones vanish. Without jumps, piecewise is a line.

    Source: E. T. Whittaker, "On a new method of graduation", Proceedings of the Edinburgh
    Mathematical Society 41, 1922; P. H. C. Eilers, "A perfect smoother", Analytical Chemistry
    75 (14), 2003.
    """
    ends = np.array([0, len(times_s) - 1])
    if model == "rigid":
        lag = weighted_quantile(lag_s, weights, 0.5)
        lag = 0.0 if abs(lag) < _SMALLEST_S else lag
        return TimeWarp(times_s[ends], times_s[ends] + lag)
    if model in ("drift", "piecewise"):
        line = _straight_line(times_s, lag_s, weights)
        return TimeWarp(times_s[ends], times_s[ends] + line[ends])
    period = float(times_s[1] - times_s[0])
    curve = _smooth(lag_s, weights, smoothing_s / period)
    knots = np.unique(np.append(np.arange(0, len(times_s), round(KNOT_S / period)), ends))
    return _limit_pace(times_s[knots], times_s[knots] + curve[knots])


def fit_pieces(
    times_s: NDArray[np.float64],
    lag_s: NDArray[np.float64],
    weights: NDArray[np.float64],
    pieces: Sequence[NDArray[np.intp]],
    model: Model,
    *,
    smoothing_s: float,
    tolerance_s: float,
) -> TimeWarp:
    """Fit a warp that jumps between pieces (indices of rows, in order), and nowhere else.

    Piecewise takes one lag for a piece where that fits, and else a line. One lag or one line
    for everything leaves no room for jumps.
    """
    if model in ("rigid", "drift") or len(pieces) == 1:
        rows = np.concatenate(list(pieces))
        return fit_warp(
            times_s[rows], lag_s[rows], weights[rows], model, smoothing_s=smoothing_s
        )
    fitted: list[TimeWarp] = []
    for rows in pieces:
        part = times_s[rows], lag_s[rows], weights[rows]
        straight: Model = choose_model(*part, tolerance_s=tolerance_s)
        # Piecewise is never elastic: a piece that no line fits gets a line all the same.
        own = model if model != "piecewise" or straight == "elastic" else straight
        warp = fit_warp(*part, own, smoothing_s=smoothing_s)
        later = _drop_before(warp, fitted[-1].other_s[-1] + _LEAST_STEP_S) if fitted else warp
        if later is not None:
            fitted.append(later)
    ends = np.cumsum([len(warp.reference_s) for warp in fitted]) - 1
    return TimeWarp(
        np.concatenate([warp.reference_s for warp in fitted]),
        np.concatenate([warp.other_s for warp in fitted]),
        tuple(int(end) for end in ends[:-1]),
    )


def _drop_before(warp: TimeWarp, other_s: float) -> TimeWarp | None:
    """Drop the part of a warp before a time on the other clock, which another piece has."""
    if warp.other_s[0] >= other_s:
        return warp
    if warp.other_s[-1] <= other_s:
        return None
    first = int(np.searchsorted(warp.other_s, other_s, side="right"))
    return TimeWarp(
        np.append(warp.inverse.to_other(other_s), warp.reference_s[first:]),
        np.append(other_s, warp.other_s[first:]),
    )


def choose_model(
    times_s: NDArray[np.float64],
    lag_s: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    tolerance_s: float,
) -> Literal["rigid", "drift", "elastic"]:
    """Choose the simplest model without jumps that explains the lags.

    Nine rows in ten, by weight, lie within `tolerance_s` of it in each quarter of the time.
    """
    lag = weighted_quantile(lag_s, weights, 0.5)
    if _largest_deviation(lag_s - lag, weights) <= tolerance_s:
        return "rigid"
    line = _straight_line(times_s, lag_s, weights)
    drift = abs(float(line[-1] - line[0])) / float(times_s[-1] - times_s[0])
    if drift <= MOST_DRIFT and _largest_deviation(lag_s - line, weights) <= tolerance_s:
        return "drift"
    return "elastic"


def _largest_deviation(off_s: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Find what nine rows in ten keep within, in the quarter that is furthest off."""
    parts = zip(np.array_split(np.abs(off_s), 4), np.array_split(weights, 4), strict=True)
    # A quarter that weighs next to nothing does not count.
    enough = 0.02 * float(weights.sum())
    return max(
        weighted_quantile(off, weight, 0.9)
        for off, weight in parts
        if len(off) and weight.sum() >= enough
    )


def weighted_quantile(
    values: NDArray[np.float64], weights: NDArray[np.float64], fraction: float
) -> float:
    """Value below which a fraction of the weight lies; weights of 0 alone count the same."""
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order] if weights.any() else np.ones(len(values)))
    index = int(np.searchsorted(mass, fraction * mass[-1]))
    return float(values[order[min(index, len(values) - 1)]])


def _straight_line(
    times_s: NDArray[np.float64], lag_s: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Least absolute distances, by reweighted least squares."""
    middle = float(times_s.mean())
    design = np.column_stack([np.ones(len(times_s)), times_s - middle])
    even = weights if weights.any() else np.ones(len(times_s))
    pull, line = even, np.zeros(len(times_s))
    for _ in range(_ROUNDS):
        normal = design.T @ (design * pull[:, None])
        steadied = normal + 1e-12 * np.trace(normal) * np.eye(2)
        coefficients = np.linalg.solve(steadied, design.T @ (pull * lag_s))
        line = coefficients[0] + coefficients[1] * (times_s - middle)
        pull = even / np.maximum(np.abs(lag_s - line), 1e-3)
    return line


def _smooth(
    values: NDArray[np.float64], weights: NDArray[np.float64], wave_rows: float
) -> NDArray[np.float64]:
    """Minimise ``sum w (values - s)^2 + stiffness * sum (second difference of s)^2``."""
    from scipy.linalg import solveh_banded

    count = len(values)
    if count < 3:
        return values
    # A wave of this length loses half its height where all rows weigh 1.
    stiffness = (wave_rows / (2 * np.pi)) ** 4
    typical = float(weights[weights > 0].mean()) if weights.any() else 1.0
    # A little weight everywhere carries the curve through rows without weight.
    pull = np.maximum(weights / typical, 1e-3)
    second = np.zeros((3, count))
    for shift, products in enumerate(_second_difference_products(count)):
        second[2 - shift, shift:] = stiffness * products
    second[2] += pull
    result: NDArray[np.float64] = solveh_banded(second, pull * values)
    return result


def _second_difference_products(count: int) -> tuple[NDArray[np.float64], ...]:
    """Diagonals 0, 1 and 2 of D'D, where D takes second differences."""
    main, beside = np.zeros(count), np.zeros(count - 1)
    for index, weight in enumerate((1.0, 4.0, 1.0)):
        main[index : index + count - 2] += weight
    beside[: count - 2] -= 2.0
    beside[1:] -= 2.0
    return main, beside, np.ones(count - 2)


def _limit_pace(reference_s: NDArray[np.float64], other_s: NDArray[np.float64]) -> TimeWarp:
    """Hold the pace within its bounds, and the middle of the curve where it is."""
    steps = np.diff(reference_s)
    paces = np.clip(np.diff(other_s) / steps, SLOWEST, FASTEST)
    held = np.concatenate([[0.0], np.cumsum(paces * steps)])
    return TimeWarp(reference_s, held + float(np.median(other_s - held)))
