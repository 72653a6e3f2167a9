"""tslearn: Numba; distances are roots of sums; its radius is the benchmark's."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.dtw.peers.avalign import soft_call
from benchmarks.dtw.peers.record import Call, Peer, full_matrix
from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import GAMMA, Task


def _band(task: Task) -> dict[str, Any]:
    radius = task.workload.radius
    if radius is None:
        return {}
    return {"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": radius}


def _distance(task: Task) -> Call:
    from tslearn.metrics import dtw

    x, y = task.series
    band = _band(task)
    return Call(lambda: dtw(x, y, **band), lambda root: Answer(root**2))


def _path(task: Task) -> Call:
    from tslearn.metrics import dtw_path

    x, y = task.series
    band = _band(task)
    return Call(
        lambda: dtw_path(x, y, **band),
        lambda found: Answer(found[1] ** 2, path=np.array(found[0])),
    )


def _pairwise(task: Task) -> Call:
    from tslearn.metrics import cdist_dtw

    series = np.stack(task.series)
    return Call(lambda: cdist_dtw(series), lambda roots: Answer(np.square(roots)))


def _subsequence(task: Task) -> Call:
    from tslearn.metrics import dtw_subsequence_path

    query, series = task.series
    return Call(
        lambda: dtw_subsequence_path(query, series), lambda found: Answer(found[1] ** 2)
    )


def _soft(task: Task) -> Call:
    import torch
    from tslearn.metrics import SoftDTWLossPyTorch

    x, y = (torch.from_numpy(each) for each in task.series)
    return soft_call(x, y, SoftDTWLossPyTorch(gamma=GAMMA))


PEERS = (
    Peer(
        "tslearn",
        "tslearn",
        "tslearn.metrics",
        {
            "distance": _distance,
            "path": _path,
            "pairwise": _pairwise,
            "subsequence": _subsequence,
            "soft": _soft,
        },
        memory=full_matrix(9),
        single_precision=frozenset({"soft"}),
        note="Numba, keeps the whole matrix",
        first_distance="from tslearn.metrics import dtw; dtw(x, y)",
    ),
)
