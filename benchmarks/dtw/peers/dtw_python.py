"""dtw-python: C over a matrix of costs, with many step patterns.

Subsequences need a step pattern that can be normalised, which symmetric1 is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.dtw.peers.record import Call, Peer, full_matrix
from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import Task


def _arguments(task: Task) -> dict[str, Any]:
    x, y = task.as_float64()
    arguments: dict[str, Any] = {
        "x": x,
        "y": y,
        "dist_method": "sqeuclidean",
        "step_pattern": "symmetric1",
    }
    radius = task.workload.radius
    if radius is not None:
        arguments |= {"window_type": "sakoechiba", "window_args": {"window_size": radius}}
    return arguments


def _distance(task: Task) -> Call:
    from dtw import dtw

    arguments = _arguments(task)
    return Call(
        lambda: dtw(**arguments, distance_only=True), lambda found: Answer(found.distance)
    )


def _path(task: Task) -> Call:
    from dtw import dtw

    arguments = _arguments(task)
    return Call(
        lambda: dtw(**arguments),
        lambda found: Answer(
            found.distance, path=np.column_stack([found.index1, found.index2])
        ),
    )


PEERS = (
    Peer(
        "dtw-python",
        "dtw-python",
        "dtw",
        {"distance": _distance, "path": _path},
        memory=full_matrix(40),
        cells_per_second=2e7,
        note="C, keeps matrices of costs, sums and steps",
        first_distance=(
            "from dtw import dtw;"
            "dtw(x, y, 'sqeuclidean', step_pattern='symmetric1', distance_only=True)"
        ),
    ),
)
