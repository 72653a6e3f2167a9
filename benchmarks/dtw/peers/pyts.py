"""pyts: Numba; distances are roots of sums; one-dimensional series only."""

from __future__ import annotations

from typing import Any

from benchmarks.dtw.peers.record import Call, Peer, full_matrix
from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import Task


def _arguments(task: Task) -> dict[str, Any]:
    x, y = task.as_float64()
    radius = task.workload.radius
    if radius is None:
        return {"x": x, "y": y}
    return {"x": x, "y": y, "method": "sakoechiba", "options": {"window_size": radius}}


def _distance(task: Task) -> Call:
    from pyts.metrics import dtw

    arguments = _arguments(task)
    return Call(lambda: dtw(**arguments), lambda root: Answer(root**2))


def _path(task: Task) -> Call:
    from pyts.metrics import dtw

    arguments = _arguments(task)
    return Call(
        lambda: dtw(**arguments, return_path=True),
        lambda found: Answer(found[0] ** 2, path=found[1].T),
    )


PEERS = (
    Peer(
        "pyts",
        "pyts",
        "pyts.metrics",
        {"distance": _distance, "path": _path},
        multivariate=False,
        slow_import=True,
        memory=full_matrix(24),
        note="Numba, keeps matrices of costs and sums",
        first_distance="from pyts.metrics import dtw; dtw(x, y)",
    ),
)
