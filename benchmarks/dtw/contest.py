"""One workload, all contenders: every answer is checked before it is timed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.dtw import memory, reference
from benchmarks.dtw.peers import SUBJECT, Call, Peer
from benchmarks.dtw.timing import Spread, interleave, ratio
from benchmarks.dtw.workloads import Bar, Task, Workload

# timed: right, and ranked; approximate: timed, not ranked; wrong: not timed; absent: not
# installed; unable: it has no such function; left out: too slow or too large.
State = Literal["timed", "approximate", "wrong", "absent", "unable", "left out"]

MOST_BYTES = 4e9
NOTHING = Spread(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take.

    Parameters
    ----------
    budget_s : float
        All rounds of a workload.
    call_s : float
        One call, as far as can be foreseen.
    slow_imports : bool
        Admit libraries that take tens of seconds to load.
    least_rounds : int
        In how many rounds everybody takes part, whatever that takes.
    """

    budget_s: float = 8.0
    call_s: float = 10.0
    slow_imports: bool = True
    least_rounds: int = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """How a contender did.

    Parameters
    ----------
    peer : str
        Who.
    state : str
        Whether it was timed and ranked; see `State`.
    reason : str
        Why not, or how far an approximation is off.
    seconds : Spread
        Processor time of a call; wall time, if it uses several threads.
    ratio : Spread
        How many times as fast as the baseline.
    cells_per_second : float
        Cells of the cost matrix by the median time.
    peak : Peak or None
        Memory, where it was asked for.
    """

    peer: str
    state: State
    reason: str = ""
    seconds: Spread = NOTHING
    ratio: Spread = NOTHING
    cells_per_second: float = math.nan
    peak: memory.Peak | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A bar, and what was reached.

    Parameters
    ----------
    bar : Bar
        What to reach.
    value : float
        What was reached.
    verdict : str
        'goal', 'floor', 'MISSED', or nothing where nothing was measured.
    """

    bar: Bar
    value: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a workload.

    Parameters
    ----------
    workload : Workload
        What was done.
    standings : list of Standing
        The ranked ones first, fastest first.
    judgements : list of Judgement
        Its bars.
    cpu_share : float
        Fraction of the wall time in which this process ran: below 1 others disturbed it.
    """

    workload: Workload
    standings: list[Standing]
    judgements: list[Judgement]
    cpu_share: float


def hold(workload: Workload, peers: Iterable[Peer], limits: Limits) -> Outcome:
    """Check and time all contenders of a workload.

    Parameters
    ----------
    workload : Workload
        What to do.
    peers : iterable of Peer
        Who takes part.
    limits : Limits
        How long it may take.

    Returns
    -------
    Outcome
        Every peer has a standing.
    """
    task = workload.make()
    right: dict[str, reference.Answer] = {}
    entered: dict[str, tuple[Peer, Call]] = {}
    standings: dict[str, Standing] = {}
    for peer in peers:
        refusal = _refusal(peer, workload, limits)
        if refusal is None:
            entry = _examine(peer, task, right)
            if isinstance(entry, Standing):
                refusal = entry
            else:
                entered[peer.name] = (peer, entry[0])
                standings[peer.name] = entry[1]
        if refusal is not None:
            standings[peer.name] = refusal
    rivals = {bar.against for bar in workload.bars}
    samples, cpu_share = interleave(
        {name: call.run for name, (_, call) in entered.items()},
        budget_s=limits.budget_s,
        always=(SUBJECT, workload.baseline, *sorted(rivals)),
        least_rounds=limits.least_rounds,
        wall=[name for name, (peer, _) in entered.items() if peer.threads > 1],
    )
    baseline = samples.get(workload.baseline)
    for name, times in samples.items():
        seconds = Spread.of(times)
        before = standings[name]
        standings[name] = Standing(
            name,
            before.state,
            before.reason,
            seconds,
            ratio(baseline, times) if baseline is not None else NOTHING,
            workload.cells / seconds.median,
            memory.measure(entered[name][0], workload) if workload.memory else None,
        )
    judgements = [_judge(bar, standings.get(SUBJECT), samples) for bar in workload.bars]
    return Outcome(workload, sorted(standings.values(), key=_rank), judgements, cpu_share)


def _refusal(peer: Peer, workload: Workload, limits: Limits) -> Standing | None:
    """Say why a peer takes no part, without running it."""
    if lacking := peer.lacks(workload):
        return Standing(peer.name, "unable", lacking)
    if not peer.version():
        return Standing(peer.name, "absent", "not installed")
    if peer.slow_import and not limits.slow_imports:
        return Standing(peer.name, "left out", "slow to import: not in a quick run")
    needed = peer.memory(workload)
    if needed > min(MOST_BYTES, psutil.virtual_memory().available / 2):
        return Standing(peer.name, "left out", f"takes {needed / 1e9:.3g} GB")
    seconds = workload.cells / peer.cells_per_second
    # Without the baseline there would be no ratios.
    if seconds > limits.call_s and peer.name != workload.baseline:
        return Standing(peer.name, "left out", f"may take {seconds:.0f} s a call")
    if fault := peer.fault():
        return Standing(peer.name, "absent", fault)
    return None


def _examine(
    peer: Peer, task: Task, right: dict[str, reference.Answer]
) -> Standing | tuple[Call, Standing]:
    """Run a peer once and check what it says."""
    workload = task.workload
    if peer.metric not in right:
        right[peer.metric] = reference.solve(task, peer.metric)
    try:
        call = peer.kinds[workload.kind](task)
        answer = call.read(call.run())
    except Exception as error:  # Whatever a library raises, the others go on.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Standing(peer.name, "wrong", reason)
    if peer.approximate:
        off = reference.excess(answer, right[peer.metric])
        return call, Standing(peer.name, "approximate", f"{off:+.1%}")
    fault = reference.find_fault(
        task,
        answer,
        right[peer.metric],
        metric=peer.metric,
        dtype="float32" if workload.kind in peer.single_precision else workload.dtype,
    )
    if fault:
        return Standing(peer.name, "wrong", fault)
    return call, Standing(peer.name, "timed")


def _judge(
    bar: Bar, subject: Standing | None, samples: Mapping[str, NDArray[np.float64]]
) -> Judgement:
    value = math.nan
    if subject is not None and subject.state == "timed":
        if bar.measure == "ratio":
            if bar.against in samples:
                value = ratio(samples[bar.against], samples[SUBJECT]).median
        elif bar.measure == "seconds":
            value = subject.seconds.median
        elif subject.peak is not None:
            value = subject.peak.call_mb
    return Judgement(bar, value, bar.verdict(value))


def _rank(standing: Standing) -> tuple[int, float]:
    order = ("timed", "approximate", "wrong", "left out", "unable", "absent")
    seconds = standing.seconds.median
    return order.index(standing.state), seconds if math.isfinite(seconds) else math.inf
