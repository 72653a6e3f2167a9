"""aeon: Numba with fastmath; series are (dimensions, rows), costs squared, no root.

Its window is a fraction of the shorter series; half a cell is added, so that its rounding
down gives the cells that were asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.dtw.peers.record import Call, Peer, full_matrix
from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import Task


def _series(task: Task) -> list[Any]:
    # As it wants them: one row per dimension.
    return [np.ascontiguousarray(np.atleast_2d(each.T)) for each in task.series]


def _window(task: Task) -> float | None:
    radius = task.workload.radius
    return None if radius is None else (radius + 0.5) / task.workload.rows


def _distance(task: Task) -> Call:
    from aeon.distances import dtw_distance

    x, y = _series(task)
    window = _window(task)
    return Call(lambda: dtw_distance(x, y, window=window), Answer)


def _path(task: Task) -> Call:
    from aeon.distances import dtw_alignment_path

    x, y = _series(task)
    window = _window(task)
    return Call(
        lambda: dtw_alignment_path(x, y, window=window),
        lambda found: Answer(found[1], path=np.array(found[0])),
    )


def _pairwise(task: Task) -> Call:
    from aeon.distances import dtw_pairwise_distance

    series = np.stack(_series(task))
    return Call(lambda: dtw_pairwise_distance(series), Answer)


PEERS = (
    Peer(
        "aeon",
        "aeon",
        "aeon.distances",
        {"distance": _distance, "path": _path, "pairwise": _pairwise},
        memory=full_matrix(9),
        note="Numba, keeps the whole matrix",
        first_distance="from aeon.distances import dtw_distance; dtw_distance(x, y)",
    ),
)
