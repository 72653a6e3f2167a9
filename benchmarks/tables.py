"""From results to the tables of the sync benchmark, each number with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import CONTEXT_FRAMES, FRAME_S, NATURAL_LENGTHS_S, Clip, Result
from benchmarks.statistics import (
    Estimate,
    area_under_roc,
    bootstrap,
    expected_calibration_error,
)

WITHIN_S = 0.040
SURE = 0.9


@dataclass(frozen=True, slots=True)
class Bar:
    """What a number has to reach.

    Parameters
    ----------
    low, high : float
        The floor and the ceiling that must hold.
    goal : float or None
        What is wanted beyond them.
    """

    low: float = -np.inf
    high: float = np.inf
    goal: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a value passes."""
        return self.low <= value <= self.high

    def verdict(self, value: float) -> str:
        """Say in a word where a value stands; nothing where there is only a goal ahead."""
        if not self.holds(value):
            return "MISSED"
        if self.goal is not None and value >= self.goal:
            return "goal"
        return "" if self.low == -np.inf and self.high == np.inf else "passed"

    def __str__(self) -> str:
        parts = [
            f">= {self.low:g}" if np.isfinite(self.low) else "",
            f"<= {self.high:g}" if np.isfinite(self.high) else "",
            f"goal {self.goal:g}" if self.goal is not None else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a table.

    Parameters
    ----------
    what : str
        What was measured.
    unit : str
        ``"%"``, ``"ms"`` or empty.
    estimate : Estimate
        The number.
    bar : Bar or None
        What it has to reach.
    """

    what: str
    unit: str
    estimate: Estimate
    bar: Bar | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title.

    Parameters
    ----------
    title : str
        What the rows have in common.
    rows : tuple of Row
        The numbers.
    """

    title: str
    rows: tuple[Row, ...]


def make_tables(
    results: Sequence[Result], clips: Iterable[Clip], samples: Mapping[str, float]
) -> tuple[Table, ...]:
    """Compute all tables.

    Parameters
    ----------
    results : sequence of Result
        What was measured.
    clips : iterable of Clip
        The clips it was measured on.
    samples : mapping of str to float
        Measured less true lag, in seconds, of the sample videos; NaN without an estimate.

    Returns
    -------
    tuple of Table
        In the order of the bars.
    """
    natural = _Results(r for r in results if r.case.task == "natural")
    grid = _Results(r for r in results if r.case.task == "grid")
    wrong = _Results(r for r in results if r.case.task == "wrong")
    parity = _Results(r for r in results if r.case.task == "parity")
    whole = _Results(r for r in results if r.case.task == "whole")
    return (
        _accuracy(natural, grid),
        _bias(whole, {clip.name: clip for clip in clips}, samples),
        _wrong_audio(natural, wrong),
        _calibration(_Results([*natural.results, *grid.results])),
        _parity(parity),
    )


class _Results:
    """Results as columns."""

    def __init__(self, results: Iterable[Result]) -> None:
        self.results = list(results)
        self.clips = [r.case.clip for r in self.results]
        self.error_s = self._column(lambda r: r.error_s)
        self.confidence = self._column(lambda r: r.confidence)
        self.answered = self._column(lambda r: r.answered).astype(bool)
        self.covered = self._column(lambda r: r.low_s <= r.case.truth_s <= r.high_s)
        # A comparison with NaN is false: no estimate is never right.
        self.near = np.abs(self.error_s) <= WITHIN_S

    def of(self, keep: Callable[[Result], bool]) -> _Results:
        return _Results(r for r in self.results if keep(r))

    def long(self, length_s: float) -> _Results:
        return self.of(lambda r: abs(r.case.length_s - length_s) < 1e-6)

    def percent(self, column: NDArray[np.float64] | NDArray[np.bool_]) -> Estimate:
        return bootstrap(self.clips, lambda rows: 100.0 * float(np.mean(column[rows])))

    def _column(self, value: Callable[[Result], float]) -> NDArray[np.float64]:
        return np.array([value(r) for r in self.results], dtype=np.float64)


def _accuracy(natural: _Results, grid: _Results) -> Table:
    bars = dict(
        zip(
            NATURAL_LENGTHS_S,
            (Bar(55, goal=70), Bar(72, goal=88), Bar(93, goal=98), Bar(98, goal=99.5)),
            strict=True,
        )
    )
    groups = [(f"natural, {s:g} s", natural.long(s), bar) for s, bar in bars.items()]
    groups.append(("GRID, 3 s", grid, Bar(97, goal=99.5)))
    rows = [Row(what, "%", r.percent(r.near & r.answered), bar) for what, r, bar in groups]
    rows += [Row(f"{what}, best guess", "%", r.percent(r.near)) for what, r, _ in groups]
    for what, r, bar in (
        ("natural, 5 s", natural.long(5.0), Bar(high=10)),
        ("GRID, 3 s", grid, None),
    ):
        # A window without an estimate is further off than any other.
        off_ms = 1e3 * np.nan_to_num(np.abs(r.error_s), nan=np.inf)
        estimate = bootstrap(r.clips, _median_of(off_ms))
        rows.append(Row(f"{what}, median absolute error", "ms", estimate, bar))
    return Table("Within 40 ms (no answer is a miss)", tuple(rows))


def _bias(whole: _Results, clips: Mapping[str, Clip], samples: Mapping[str, float]) -> Table:
    rows = [
        Row(name, "ms", Estimate(1e3 * error_s, np.nan, np.nan, 1, 1), Bar(-20, 20))
        for name, error_s in samples.items()
    ]
    grid = whole.of(lambda r: r.answered and clips[r.case.clip].is_grid)
    in_sync = whole.of(lambda r: r.answered and clips[r.case.clip].in_sync)
    for what, r, bar in (
        ("mean own lag of GRID, speaker-balanced", grid, Bar(-25, 25)),
        ("mean own lag of in_sync, speaker-balanced", in_sync, None),
    ):
        lag_ms = np.array([1e3 * x.lag_s for x in r.results])
        speakers = np.array([clips[name].speaker for name in r.clips], dtype=str)
        rows.append(Row(what, "ms", bootstrap(r.clips, _balanced_mean(lag_ms, speakers)), bar))
    drift_ms = 1e3 * whole.of(lambda r: r.answered).error_s
    moved = whole.of(lambda r: r.answered).clips
    rows.append(
        Row(
            "distance from the frozen own lag, mean",
            "ms",
            bootstrap(moved, lambda rows: float(np.abs(drift_ms[rows]).mean())),
        )
    )
    return Table("Absolute bias (whole clips)", tuple(rows))


def _median_of(values: NDArray[np.float64]) -> Callable[[NDArray[np.intp]], float]:
    return lambda rows: float(np.median(values[rows]))


def _balanced_mean(
    values: NDArray[np.float64], speakers: NDArray[np.str_]
) -> Callable[[NDArray[np.intp]], float]:
    def statistic(rows: NDArray[np.intp]) -> float:
        drawn, names = values[rows], speakers[rows]
        return float(np.mean([drawn[names == name].mean() for name in np.unique(names)]))

    return statistic


def _wrong_audio(natural: _Results, wrong: _Results) -> Table:
    right = natural.long(5.0)
    confidence = np.concatenate([right.confidence, wrong.confidence])
    is_right = np.arange(len(confidence)) < len(right.confidence)

    def statistic(rows: NDArray[np.intp]) -> float:
        kind = is_right[rows]
        return area_under_roc(confidence[rows][kind], confidence[rows][~kind])

    return Table(
        "Another clip's sound against the right one, 5 s",
        (
            Row("AUROC", "", bootstrap([*right.clips, *wrong.clips], statistic), Bar(0.98)),
            Row(
                f"wrong sound with confidence >= {SURE:g}",
                "%",
                wrong.percent(wrong.confidence >= SURE),
                Bar(high=1),
            ),
            Row("wrong sound answered", "%", wrong.percent(wrong.answered)),
        ),
    )


def _calibration(r: _Results) -> Table:
    guessed = r.of(lambda x: np.isfinite(x.lag_s))
    answered = r.of(lambda x: x.answered)
    error = bootstrap(
        r.clips, lambda rows: expected_calibration_error(r.confidence[rows], r.near[rows])
    )
    return Table(
        "Calibration (natural and GRID windows)",
        (
            Row("expected calibration error, 10 bins", "", error, Bar(high=0.04)),
            Row(
                "95 % interval covers, answers",
                "%",
                answered.percent(answered.covered),
                Bar(92, 98),
            ),
            Row("95 % interval covers, best guesses", "%", guessed.percent(guessed.covered)),
        ),
    )


def _parity(parity: _Results) -> Table:
    rows = []
    for frames, goal in zip(CONTEXT_FRAMES, (75.8, 96.1), strict=True):
        r = parity.long(frames * FRAME_S)
        near = np.abs(r.error_s) <= 1.5 * FRAME_S
        rows.append(Row(f"{frames} frames of context", "%", r.percent(near), Bar(goal=goal)))
    return Table("One of 31 lags at 25 fps, within one frame", tuple(rows))
