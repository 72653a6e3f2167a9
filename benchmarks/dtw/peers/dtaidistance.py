"""dtaidistance: C, one cell at a time; the baseline. It takes float64 only.

A window of `w` allows cells with ``abs(i - j) <= w - 1``. Distances are roots of sums.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.dtw.peers.record import Call, Peer, linear_memory
from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import BASELINE, PRUNED, Task, Workload


def _module(task: Task) -> ModuleType:
    from dtaidistance import dtw, dtw_ndim

    return dtw if task.workload.dimensions == 1 else dtw_ndim


def _window(task: Task) -> int | None:
    radius = task.workload.radius
    return None if radius is None else radius + 1


def _squared(root: Any) -> Answer:
    return Answer(np.square(root))


def _distance(task: Task, *, pruned: bool) -> Call:
    distance_fast, window = _module(task).distance_fast, _window(task)
    x, y = task.as_float64()
    return Call(lambda: distance_fast(x, y, window=window, use_pruning=pruned), _squared)


def _pairwise(task: Task, *, pruned: bool) -> Call:
    distance_matrix_fast, series = _module(task).distance_matrix_fast, task.as_float64()
    return Call(
        lambda: distance_matrix_fast(series, parallel=False, use_pruning=pruned), _squared
    )


def _path(task: Task, *, low_memory: bool) -> Call:
    from dtaidistance import dtw

    window = _window(task)
    x, y = task.as_float64()
    if low_memory:
        return Call(
            lambda: dtw.warping_path_fast(x, y, use_lowmem=True, window=window),
            lambda path: _path_only(x, y, path),
        )
    return Call(
        lambda: dtw.warping_path_fast(x, y, include_distance=True, window=window),
        lambda found: Answer(found[1] ** 2, path=np.array(found[0])),
    )


def _path_only(x: Any, y: Any, path: Any) -> Answer:
    path = np.array(path)
    return Answer(float(((x[path[:, 0]] - y[path[:, 1]]) ** 2).sum()), path=path)


def _subsequence(task: Task) -> Call:
    from dtaidistance.subsequence.dtw import subsequence_alignment

    query, series = task.as_float64()

    def run() -> Any:
        return subsequence_alignment(query, series, penalty=0, use_c=True).best_match()

    return Call(run, lambda match: Answer(match.distance**2))


def _path_memory(workload: Workload) -> float:
    if workload.kind == "path":
        width = workload.columns if workload.radius is None else 2 * workload.radius + 1
        return 8.0 * workload.rows * width
    if workload.kind == "subsequence":
        return 8.0 * workload.rows * workload.columns
    return 0.0


_C = partial(
    Peer, distribution="dtaidistance", module="dtaidistance.dtw_cc", cells_per_second=1.5e8
)

PEERS = (
    _C(
        name=BASELINE,
        kinds={
            "distance": partial(_distance, pruned=False),
            "path": partial(_path, low_memory=False),
            "pairwise": partial(_pairwise, pruned=False),
            "subsequence": _subsequence,
        },
        memory=_path_memory,
        note="C, pruning off",
        first_distance="from dtaidistance import dtw; dtw.distance_fast(x, y)",
    ),
    _C(
        name=PRUNED,
        kinds={
            "distance": partial(_distance, pruned=True),
            "pairwise": partial(_pairwise, pruned=True),
        },
        note="C, skips cells above an upper bound: how many depends on the data",
    ),
    _C(
        name="dtaidistance, low memory",
        kinds={"path": partial(_path, low_memory=True)},
        memory=linear_memory,
        cells_per_second=7e7,
        note="C, Hirschberg's algorithm",
    ),
)
