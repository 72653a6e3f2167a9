"""librosa: Numba over a matrix of costs; series are (dimensions, rows).

Its band is a fraction of the shorter series and leaves out its own edge: one cell is added.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.dtw.peers.record import Call, Peer, full_matrix
from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import Task


def _arguments(task: Task) -> dict[str, Any]:
    x, y = (np.ascontiguousarray(np.atleast_2d(each.T)) for each in task.series)
    arguments: dict[str, Any] = {"X": x, "Y": y, "metric": "sqeuclidean"}
    radius = task.workload.radius
    if radius is not None:
        arguments |= {
            "global_constraints": True,
            "band_rad": (radius + 1) / task.workload.rows,
        }
    return arguments


def _distance(task: Task) -> Call:
    from librosa.sequence import dtw

    arguments = _arguments(task)
    return Call(
        lambda: dtw(**arguments, backtrack=False), lambda total: Answer(float(total[-1, -1]))
    )


def _path(task: Task) -> Call:
    from librosa.sequence import dtw

    arguments = _arguments(task)
    return Call(
        lambda: dtw(**arguments),
        lambda found: Answer(float(found[0][-1, -1]), path=found[1][::-1]),
    )


def _subsequence(task: Task) -> Call:
    from librosa.sequence import dtw

    arguments = _arguments(task)
    return Call(
        lambda: dtw(**arguments, subseq=True), lambda found: Answer(float(found[0][-1].min()))
    )


PEERS = (
    Peer(
        "librosa",
        "librosa",
        "librosa.sequence",
        {"distance": _distance, "path": _path, "subsequence": _subsequence},
        memory=full_matrix(28),
        cells_per_second=3e7,
        note="Numba, keeps matrices of costs, sums and steps",
        first_distance=(
            "from librosa.sequence import dtw;"
            "dtw(x[None], y[None], metric='sqeuclidean', backtrack=False)"
        ),
    ),
)
