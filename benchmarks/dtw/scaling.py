"""How time grows with length, up to a million rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.dtw.contest import Limits, hold
from benchmarks.dtw.peers import Peer
from benchmarks.dtw.workloads import Workload

RADIUS = 500
FULL = (100, 300, 1000, 3000, 10_000, 30_000)
BANDED = (3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class Curve:
    """Times of one contender over the length.

    Parameters
    ----------
    peer : str
        Who.
    radius : int or None
        Half width of the band; None without one.
    rows : list of int
        Lengths of both series.
    seconds : list of float
        Median times.
    """

    peer: str
    radius: int | None
    rows: list[int]
    seconds: list[float]


def measure(peers: Iterable[Peer], *, quick: bool) -> list[Curve]:
    """Time distances of more and more rows, whole matrix and band.

    Parameters
    ----------
    peers : iterable of Peer
        Who takes part, as far as time and memory allow.
    quick : bool
        Leave out the longest series and the slowest contenders.

    Returns
    -------
    list of Curve
        Of those with at least two points; only right answers, and approximations.
    """
    peers = list(peers)
    limits = Limits(
        budget_s=1.0 if quick else 3.0,
        call_s=0.3 if quick else 10.0,
        slow_imports=not quick,
        least_rounds=1,
    )
    times: dict[tuple[str, int | None], dict[int, float]] = {}
    for radius, lengths in ((None, FULL), (RADIUS, BANDED)):
        for n in lengths[:-2] if quick else lengths:
            outcome = hold(
                Workload(f"scaling-{n}", "", "distance", n, n, radius=radius), peers, limits
            )
            for standing in outcome.standings:
                if math.isfinite(standing.seconds.median):
                    curve = times.setdefault((standing.peer, radius), {})
                    curve[n] = standing.seconds.median
    return [
        Curve(peer, radius, list(curve), list(curve.values()))
        for (peer, radius), curve in times.items()
        if len(curve) > 1
    ]
