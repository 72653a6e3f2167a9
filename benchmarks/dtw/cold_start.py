"""From the start of a process to its first distance."""

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
from benchmarks.dtw.workloads import Bar

ROWS = 1000
CACHED_BAR = Bar("seconds", 1.2, 0.8)
FIRST_EVER_BAR = Bar("seconds", 3.0, 3.0)

# Time of day, as the clocks of two processes need not agree otherwise.
PROGRAM = """
import numpy as np
rng = np.random.default_rng(0)
x, y = rng.standard_normal((2, {rows}))
{first_distance}
import time
print(time.time())
"""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """How long a process takes to its first distance.

    Parameters
    ----------
    peer : str
        Whose.
    first_ever_s : float
        With nothing compiled before.
    cached : Spread
        Later processes, in seconds.
    """

    peer: str
    first_ever_s: float
    cached: Spread


def measure(
    peers: Iterable[Peer], *, rounds: int, slow_imports: bool
) -> tuple[list[ColdStart], list[Judgement]]:
    """Start each library in turn, with a fresh cache of machine code.

    Parameters
    ----------
    peers : iterable of Peer
        Whose start; those without one, or that are absent, are left out.
    rounds : int
        How many processes of each, beside the first.
    slow_imports : bool
        Admit libraries that take tens of seconds to load.

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
        if peer.first_distance and peer.version() and (slow_imports or not peer.slow_import)
    ]
    programs = {
        peer.name: PROGRAM.format(rows=ROWS, first_distance=peer.first_distance)
        for peer in runners
    }
    with tempfile.TemporaryDirectory() as cache:
        first_ever = {name: _start(program, cache) for name, program in programs.items()}
        # What was read from disk for the first time may have come slowly.
        samples: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(rounds):
            for name, program in programs.items():
                samples[name].append(_start(program, cache))
    starts = [
        ColdStart(name, first_ever[name], Spread.of(np.array(samples[name])))
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
    """Time avalign's first distance and first path, nothing compiled, imports included."""
    program = PROGRAM.format(
        rows=ROWS, first_distance="from avalign import dtw; dtw.distance(x, y); dtw.path(x, y)"
    )
    with tempfile.TemporaryDirectory() as cache:
        return _start(program, cache)


def _start(program: str, cache: str) -> float:
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
        return math.nan
    return float(done.stdout.split()[-1]) - started
