"""fastdtw: an approximation in Python, fast for long series only beside other Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.dtw.peers.record import Call, Peer
from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import Task


def _squared(a: Any, b: Any) -> Any:
    return (a - b) ** 2


def _squared_frames(a: Any, b: Any) -> Any:
    return ((a - b) ** 2).sum()


def _path(task: Task) -> Call:
    from fastdtw import fastdtw

    x, y = task.series
    cost = _squared if task.workload.dimensions == 1 else _squared_frames
    return Call(
        lambda: fastdtw(x, y, radius=1, dist=cost),
        lambda found: Answer(found[0], path=np.array(found[1])),
    )


PEERS = (
    Peer(
        "fastdtw",
        "fastdtw",
        "fastdtw",
        {"distance": _path, "path": _path},
        bands=False,
        approximate=True,
        # It visits a few cells per row: 5,000 rows take about a second.
        cells_per_second=1e7,
        note="Python, approximate: radius 1, its default",
        first_distance=(
            "from fastdtw import fastdtw; fastdtw(x, y, dist=lambda a, b: (a - b) ** 2)"
        ),
    ),
)
