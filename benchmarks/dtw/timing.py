"""Interleaved rounds: whatever disturbs the machine disturbs all contenders alike.

What counts is processor time. On a quiet machine it is wall time; on a busy one, wall time
also counts what others do, and most in the longest calls, which would flatter the fastest.
Only calls that use several threads are timed by the clock on the wall.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.statistics import bootstrap

# A sample is at least so long, so that the clock and the first cache misses do not count.
SAMPLE_S = 0.002
CLOCK_S = 1e-7
RESAMPLES = 300
LEAST_ROUNDS, MOST_ROUNDS = 3, 41


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, or a ratio of medians, and how sure it is.

    Parameters
    ----------
    median, low, high : float
        Of times, the 50th, 25th and 75th percentile. Of ratios, the ratio of the medians
        and its 95 % interval. NaN if nothing was measured.
    rounds : int
        How many samples there were.
    """

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, samples: NDArray[np.float64]) -> Spread:
        """Summarise samples; NaN are left out."""
        finite = samples[np.isfinite(samples)]
        if not len(finite):
            return cls(np.nan, np.nan, np.nan, 0)
        low, median, high = np.percentile(finite, [25, 50, 75])
        return cls(float(median), float(low), float(high), len(finite))


def ratio(reference: NDArray[np.float64], samples: NDArray[np.float64]) -> Spread:
    """How many times as fast as a reference, from the rounds that both took part in.

    Parameters
    ----------
    reference, samples : ndarray of float, shape (rounds,)
        Seconds per call; NaN where a round was left out.

    Returns
    -------
    Spread
        The ratio of the medians with its 95 % interval, by bootstrap over the rounds.
    """
    both = np.flatnonzero(np.isfinite(reference) & np.isfinite(samples))
    found = bootstrap(
        [str(each) for each in both],
        lambda drawn: float(
            np.median(reference[both[drawn]]) / np.median(samples[both[drawn]])
        ),
        resamples=RESAMPLES,
    )
    return Spread(found.value, found.low, found.high, found.cases)


def interleave(
    calls: Mapping[str, Callable[[], Any]],
    *,
    budget_s: float,
    always: tuple[str, ...] = (),
    least_rounds: int = 3,
    wall: Collection[str] = (),
) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Time calls in turn, A-B-C-A-B-C, each round one sample of each.

    Parameters
    ----------
    calls : mapping of str to callable
        What to time. Each was called before, so that nothing is compiled or loaded now.
    budget_s : float
        About how long all of it may take. Who has used up an equal part of it takes part
        in no more rounds, but for the least number.
    always : tuple of str
        Who takes part in every round, such as those that ratios are about.
    least_rounds : int
        In how many rounds everybody takes part, whatever that takes.
    wall : collection of str
        Whose wall time counts, not their processor time.

    Returns
    -------
    samples : dict of str to ndarray of float, shape (rounds,)
        Seconds per call; NaN where a round was left out.
    cpu_share : float
        Processor time over wall time of all samples: below 1 somebody else ran meanwhile.
    """
    estimates = {name: _estimate(call) for name, call in calls.items()}
    repeats = {name: max(1, round(SAMPLE_S / each)) for name, each in estimates.items()}
    cost = {name: estimates[name] * repeats[name] for name in calls}
    present = [name for name in always if name in calls]
    each_round = sum(cost[name] for name in present) or sum(cost.values())
    rounds = int(np.clip(budget_s / each_round / 2, LEAST_ROUNDS, MOST_ROUNDS))
    equal_s = budget_s / max(1, len(calls))
    samples = {name: np.full(rounds, np.nan) for name in calls}
    total_wall = total_processor = 0.0
    for i in range(rounds):
        for name, call in calls.items():
            if i >= least_rounds and name not in present and (i + 1) * cost[name] > equal_s:
                continue
            wall_s, processor_s = _sample(call, repeats[name])
            samples[name][i] = (wall_s if name in wall else processor_s) / repeats[name]
            total_wall += wall_s
            total_processor += processor_s
    return samples, total_processor / total_wall if total_wall else float("nan")


def _estimate(call: Callable[[], Any]) -> float:
    """Guess the seconds of a call; a short one that was disturbed would seem long."""
    seconds = max(_sample(call, 1)[1], CLOCK_S)
    while seconds < SAMPLE_S:
        # Ten more calls at a time, until they take long enough or prove to be short.
        again = max(_sample(call, 10)[1] / 10, CLOCK_S)
        if again > seconds / 2:
            return min(again, seconds)
        seconds = again
    return seconds


def _sample(call: Callable[[], Any], repeats: int) -> tuple[float, float]:
    processor = time.process_time()
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    wall = time.perf_counter() - started
    return wall, time.process_time() - processor
