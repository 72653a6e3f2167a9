"""Whether a path fits the whole of two recordings, or only most of it.

Two recordings that share nine sentences of ten share words beyond doubt, and yet their path
is wrong in the tenth. Evidence along the path is therefore held against chance stretch by
stretch; the quarter of the time that fits least says how far the whole is to be believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUARTERS = 4
# A stretch fits if it reaches so far from chance to what good stretches of the pair reach.
_LEAST_OF_GOOD = 0.3
_GOOD_QUANTILE = 0.75
# A quarter with less to judge by than this many full rows is not judged.
_FEWEST_ROWS = 25.0


@dataclass(frozen=True, slots=True)
class Fit:
    """Fraction explained of each quarter of the time, NaN where there is next to nothing.

    `worst` is the least of them, 1 where no quarter can be judged; `worst_s` its time span.
    """

    quarters: tuple[float, ...]
    worst: float
    worst_s: tuple[float, float]


def quarters(
    times_s: NDArray[np.float64], counted: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], ...]:
    """Cut time from the first to the last counted row into quarters: indices of their rows."""
    rows = np.flatnonzero(counted)
    if not len(rows):
        return (rows,) * QUARTERS
    edges = np.linspace(times_s[rows[0]], times_s[rows[-1]], QUARTERS + 1)[1:-1]
    cuts = np.searchsorted(times_s[rows], edges)
    return tuple(np.split(rows, cuts))


def fit_quarters(
    times_s: NDArray[np.float64],
    evidence: NDArray[np.float64],
    by_chance: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    stretch_s: float,
) -> Fit:
    """Find the quarter of the time in which least of the evidence is beyond chance.

    `evidence` [N] lies along the path, `by_chance` [N] along one that can only fit by chance;
    `weights` [N] are the most evidence that a row could show. Averaged over `stretch_s`.
    """
    period = float(times_s[1] - times_s[0])
    span = max(1, round(stretch_s / period))
    heavy = _sums(weights, span)
    judged = heavy >= 0.1 * float(np.median(heavy[weights > 0])) if weights.any() else heavy < 0
    judged &= weights > 0
    if not judged.any():
        return Fit((float("nan"),) * QUARTERS, 1.0, (float(times_s[0]), float(times_s[-1])))
    level, chance = (
        _sums(values, span)[judged] / heavy[judged] for values in (evidence, by_chance)
    )
    usual = float(np.average(chance, weights=weights[judged]))
    good = float(np.quantile(level, _GOOD_QUANTILE))
    fits = np.zeros(len(times_s))
    fits[judged] = level >= usual + _LEAST_OF_GOOD * max(good - usual, 0.0)
    parts = quarters(times_s, judged)
    full = float(np.quantile(weights[judged], 0.9))
    fractions = tuple(
        float(np.average(fits[rows], weights=weights[rows]))
        if weights[rows].sum() >= _FEWEST_ROWS * full
        else float("nan")
        for rows in parts
    )
    known = [number for number, fraction in enumerate(fractions) if fraction == fraction]
    if not known:
        return Fit(fractions, 1.0, (float(times_s[0]), float(times_s[-1])))
    worst = min(known, key=lambda number: fractions[number])
    ends = parts[worst][[0, -1]]
    return Fit(fractions, fractions[worst], (float(times_s[ends[0]]), float(times_s[ends[1]])))


def _sums(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Sum of `span` values around each, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    middle = np.arange(len(values))
    begin, end = (
        np.maximum(middle - span // 2, 0),
        np.minimum(middle + span // 2 + 1, len(values)),
    )
    result: NDArray[np.float64] = sums[end] - sums[begin]
    return result
