"""Whether one lag holds for the whole of a clip: change points and drift.

One lag is weighed against two: of all instants, the one is found at which a change of the
lag, the *change point*, gains most evidence; and against a lag that runs along a line, the
*drift*. Both have more freedom than one lag, and gain something from chance; how much more
they must gain was chosen on real clips in sync and on the same with planted changes.

References
----------
.. [1] D. V. Hinkley, "Inference about the change-point in a sequence of random variables",
   Biometrika 57 (1), 1970: the likelihood ratio over all instants.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.align.lag import CLOSE_S, sub_frame_peak
from avalign.align.recordings.whole import quarters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.align.evidence import Evidence
    from avalign.types import Alignment

# Log evidence that two lags must gain on one; more where a part is short, as there are
# many short parts, and one of many lags fits each by chance.
_JUMP_GAIN = 8.0
_SHORT_PART_GAIN = 12.0
_SHORT_PART = 0.25
# Each part must fit at its own lag: sound without its lips has a best lag, too.
_LEAST_OF_A_PART = 5.0
# In less than this, a part is too short to say which of its lags is its own.
_SHORTEST_S = 7.0
# A smaller change is that of one lag between rows.
_SMALLEST_JUMP_S = 0.040
_DRIFT_GAIN = 5.0
# The change over the whole clip that is looked for, and how finely.
_MOST_DRIFT_S = 0.2
_DRIFT_STEP_S = 0.010
# A quarter's lag is told where all but this of its posterior lies close to it.
_REST_OF_A_QUARTER = 0.01
# Evidence is interpolated this finely between two lags.
_FINE = 4
# Evidence is summed to so many blocks at most; none is then longer than 1 % of the clip.
_MOST_BLOCKS = 120


@dataclass(frozen=True, slots=True)
class LagChange:
    """How the lag of a clip changes: kind ``"jump"`` or ``"drift"``.

    `lags_s` are the lag before and after a jump, or at both ends of a drift; `at_s` the picture
    time of the jump, or the middle of the clip; `gain` the log evidence against one lag.
    """

    kind: str
    lags_s: tuple[float, float]
    at_s: float
    span_s: tuple[float, float]
    gain: float

    @property
    def reason(self) -> str:
        """Why one lag is no answer."""
        first, last = (f"{1e3 * lag_s + 0.0:.0f} ms" for lag_s in self.lags_s)
        if self.kind == "drift":
            return (
                f"the lag changes over the clip: from {first} at its start to {last} at its end"
            )
        at_s = self.at_s - self.span_s[0]
        return f"the lag changes over the clip: {first} until {at_s:.1f} s, {last} after it"

    def lag_at(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Lag at picture times, in seconds."""
        if self.kind == "jump":
            return np.where(times_s < self.at_s, *self.lags_s)
        return np.interp(times_s, self.span_s, self.lags_s)


def find_lag_change(evidence: Evidence, zero_lag_s: float) -> LagChange | None:
    """Find the likelier of a jump and a drift; None where one lag will do, or under 7 s."""
    values, times_s = _condense(evidence)
    if len(values) < 4 or values.shape[1] < 7 or times_s[-1] - times_s[0] < _SHORTEST_S:
        return None
    lags_s = evidence.lags_s - zero_lag_s
    found = [
        change
        for change in (_jump(values, times_s, lags_s), _drift(values, times_s, lags_s))
        if change is not None
    ]
    return max(found, key=lambda change: change.gain, default=None)


def with_lag_change(
    alignment: Alignment, change: LagChange, times_s: NDArray[np.float64]
) -> Alignment:
    """Lower the confidence and widen the interval of one lag where the lag changes.

    The confidence is multiplied by the fraction of `times_s`, the times at which lips are seen,
    for which the lag is close; the interval holds every lag of the clip.
    """
    lags_s = change.lag_at(times_s)
    close = np.abs(lags_s - alignment.audio_lag_s) <= CLOSE_S
    low_s, high_s = alignment.interval_s
    return replace(
        alignment,
        confidence=alignment.confidence * float(close.mean()),
        interval_s=(min(low_s, *change.lags_s), max(high_s, *change.lags_s)),
        diagnostics={**alignment.diagnostics, "lag_change_gain": change.gain},
    )


def quarter_lags_s(evidence: Evidence, zero_lag_s: float) -> tuple[float | None, ...]:
    """Lag of each quarter of a clip by itself, None where it does not show one clearly."""
    lags_s = evidence.lags_s - zero_lag_s
    found: list[float | None] = []
    for rows in quarters(evidence.times_s, evidence.used):
        total = evidence.values[rows].sum(axis=0)
        best = int(np.argmax(total))
        lag_s = sub_frame_peak(lags_s, total, best)
        likelihood = np.exp(total - total[best])
        close = float(likelihood[np.abs(lags_s - lag_s) <= CLOSE_S].sum() / likelihood.sum())
        clear = total[best] >= _LEAST_OF_A_PART and close >= 1.0 - _REST_OF_A_QUARTER
        found.append(lag_s if clear and 1 < best < len(lags_s) - 2 else None)
    return tuple(found)


def _condense(evidence: Evidence) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum neighbouring blocks, so that a long clip takes no longer than a short one."""
    values, times_s = evidence.values, evidence.times_s
    if len(values) <= _MOST_BLOCKS:
        return values, times_s
    starts = np.linspace(0, len(values), _MOST_BLOCKS, endpoint=False).astype(int)
    counts = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(values, starts), np.add.reduceat(times_s, starts) / counts


def _jump(
    values: NDArray[np.float64], times_s: NDArray[np.float64], lags_s: NDArray[np.float64]
) -> LagChange | None:
    """Find the change point at which two lags gain most."""
    total = values.sum(axis=0)
    before = np.cumsum(values, axis=0)[:-1]
    after = total - before
    lags = np.stack([before.argmax(axis=1), after.argmax(axis=1)])
    tops = np.stack([before.max(axis=1), after.max(axis=1)])
    gain = tops.sum(axis=0) - total.max()
    at_s = (times_s[1:] + times_s[:-1]) / 2
    span_s = float(times_s[0]), float(times_s[-1])
    shorter = np.minimum(at_s - span_s[0], span_s[1] - at_s) / (span_s[1] - span_s[0])
    wanted = np.where(shorter >= _SHORT_PART, _JUMP_GAIN, _SHORT_PART_GAIN)
    # The best lag at an edge is none: the true one lies beyond, or nowhere.
    inside = ((lags > 1) & (lags < len(lags_s) - 2)).all(axis=0)
    large = np.abs(lags_s[lags[0]] - lags_s[lags[1]]) >= _SMALLEST_JUMP_S - 1e-9
    fits = (tops >= _LEAST_OF_A_PART).all(axis=0)
    allowed = inside & large & fits & (gain >= wanted)
    if not allowed.any():
        return None
    index = int(np.argmax(np.where(allowed, gain, -np.inf)))
    parts = before[index], after[index]
    first_s, last_s = (
        sub_frame_peak(lags_s, part, int(best))
        for part, best in zip(parts, lags[:, index], strict=True)
    )
    return LagChange("jump", (first_s, last_s), float(at_s[index]), span_s, float(gain[index]))


def _drift(
    values: NDArray[np.float64], times_s: NDArray[np.float64], lags_s: NDArray[np.float64]
) -> LagChange | None:
    """Find the straight line of lags with most evidence."""
    positions = np.arange(0, len(lags_s) - 1 + 1e-9, 1 / _FINE)
    fine = _between(values, positions)
    fine_s = np.interp(positions, np.arange(len(lags_s)), lags_s)
    step_s = float(fine_s[1] - fine_s[0])
    one = float(fine.sum(axis=0).max())
    middle_s = (times_s[0] + times_s[-1]) / 2
    fraction = (times_s - middle_s) / (times_s[-1] - times_s[0])
    best: tuple[float, float, float] = (-np.inf, 0.0, 0.0)
    count = round(_MOST_DRIFT_S / _DRIFT_STEP_S)
    for change_s in _DRIFT_STEP_S * np.arange(-count, count + 1):
        moves = np.rint(change_s * fraction / step_s).astype(int)
        most = int(np.abs(moves).max())
        if 2 * most >= len(fine_s):
            continue
        width = len(fine_s) - 2 * most
        total = np.zeros(width)
        for row, move in zip(fine, moves, strict=True):
            total += row[most + move : most + move + width]
        top = int(np.argmax(total))
        if total[top] - one > best[0]:
            best = float(total[top] - one), float(fine_s[most + top]), float(change_s)
    gain, lag_s, change_s = best
    if gain < _DRIFT_GAIN:
        return None
    return LagChange(
        "drift",
        (lag_s - change_s / 2, lag_s + change_s / 2),
        float(middle_s),
        (float(times_s[0]), float(times_s[-1])),
        gain,
    )


def _between(
    values: NDArray[np.float64], positions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cubic interpolation (Catmull and Rom 1974) of every row."""
    left = np.minimum(positions.astype(int), values.shape[1] - 2)
    x = positions - left
    padded = np.pad(values, ((0, 0), (1, 1)), mode="edge")
    a, b, c, d = (padded[:, left + offset] for offset in range(4))
    result: NDArray[np.float64] = b + 0.5 * x * (
        c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a))
    )
    return result
