"""linmdtw: Cython, float32 within, Euclidean local cost: another sum, checked as such."""

from __future__ import annotations

import numpy as np

from benchmarks.dtw.peers.record import Call, Peer, full_matrix
from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import Task


def _path(task: Task) -> Call:
    import linmdtw

    x, y = (
        np.ascontiguousarray(each.reshape(len(each), -1), np.float32) for each in task.series
    )
    return Call(
        lambda: linmdtw.dtw_brute_backtrace(x, y),
        lambda found: Answer(float(found[0]), path=found[1]),
    )


def _distance(task: Task) -> Call:
    import linmdtw

    x, y = (
        np.ascontiguousarray(each.reshape(len(each), -1), np.float32) for each in task.series
    )
    return Call(lambda: linmdtw.dtw_brute(x, y), lambda found: Answer(float(found["cost"])))


PEERS = (
    Peer(
        "linmdtw",
        "linmdtw",
        "linmdtw",
        {"distance": _distance, "path": _path},
        metric="euclidean",
        single_precision=frozenset({"distance", "path"}),
        bands=False,
        memory=full_matrix(20),
        note="Cython, float32, Euclidean local cost",
        first_distance=(
            "import linmdtw, numpy;"
            "linmdtw.dtw_brute(x[:, None].astype('f4'), y[:, None].astype('f4'))"
        ),
    ),
)
