"""From the start of a process to its first distance.

As everywhere, processor time counts; the wall time is given beside it.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.dtw.contest import Judgement
from benchmarks.dtw.peers import SUBJECT, Peer
from benchmarks.dtw.timing import Spread
from benchmarks.dtw.workloads import BASELINE, Bar

ROWS = 1000
ROUNDS = 7
QUICK_ROUNDS = 3
# Who takes longer than this in total is not started again.
MOST_S = 20.0
CACHED_BAR = Bar("seconds", 1.2, 0.8)
FIRST_EVER_BAR = Bar("seconds", 3.0, 3.0)

# The time of day, as other clocks of two processes need not agree.
PROGRAM = """
import numpy as np
rng = np.random.default_rng(0)
x, y = rng.standard_normal((2, {rows}))
{first_distance}
import time
print(time.process_time(), time.time())
"""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """How long a process takes to its first distance.

    Parameters
    ----------
    peer : str
        Whose.
    first_ever_s : float
        Processor time with nothing compiled before.
    cached, cached_wall : Spread
        Later processes: processor time and wall time, in seconds.
    """

    peer: str
    first_ever_s: float
    cached: Spread
    cached_wall: Spread


def measure(peers: Iterable[Peer], *, quick: bool) -> tuple[list[ColdStart], list[Judgement]]:
    """Start each library in turn, with a fresh cache of machine code.

    Parameters
    ----------
    peers : iterable of Peer
        Whose start; those without one, or that are absent, are left out.
    quick : bool
        Only avalign and the baseline, fewer times.

    Returns
    -------
    starts : list of ColdStart
        The fastest first.
    judgements : list of Judgement
        avalign's bars: cached, and the first ever of distance and path together.
    """
    runners = [
        peer
        for peer in peers
        if peer.first_distance
        and peer.version()
        and (not quick or peer.name in (SUBJECT, BASELINE))
    ]
    programs = {
        peer.name: PROGRAM.format(rows=ROWS, first_distance=peer.first_distance)
        for peer in runners
    }
    with tempfile.TemporaryDirectory() as cache:
        first_ever = {name: _start(program, cache)[0] for name, program in programs.items()}
        samples: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            for name, program in programs.items():
                if sum(processor for processor, _ in samples[name]) < MOST_S:
                    samples[name].append(_start(program, cache))
    starts = [
        ColdStart(name, first_ever[name], *map(Spread.of, np.array(samples[name]).T))
        for name in programs
    ]
    judgements = []
    if SUBJECT in programs:
        cached = next(each.cached.median for each in starts if each.peer == SUBJECT)
        judgements = [
            Judgement(CACHED_BAR, cached, CACHED_BAR.verdict(cached)),
            Judgement(FIRST_EVER_BAR, both := _first_of_both(), FIRST_EVER_BAR.verdict(both)),
        ]
    finite = [each for each in starts if math.isfinite(each.cached.median)]
    return sorted(finite, key=lambda each: each.cached.median), judgements


def _first_of_both() -> float:
    """Time avalign's first distance and path, nothing compiled, beyond numba's import."""
    both = "from avalign import dtw; dtw.distance(x, y); dtw.path(x, y)"
    timed = f"import numba, time\nstart = time.process_time()\n{both}\n"
    program = PROGRAM.format(rows=ROWS, first_distance=timed).replace(
        "time.process_time(), ", "time.process_time() - start, "
    )
    with tempfile.TemporaryDirectory() as cache:
        return _start(program, cache)[0]


def _start(program: str, cache: str) -> tuple[float, float]:
    """Run a program; return processor time and wall time up to its end."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    started = time.time()
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        return math.nan, math.nan
    processor, ended = map(float, done.stdout.split()[-2:])
    return processor, ended - started
