"""synctoolbox: Numba over a matrix of costs that the caller has to make."""

from __future__ import annotations

from benchmarks.dtw.peers.record import Call, Peer, full_matrix
from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import Task


def _path(task: Task) -> Call:
    from scipy.spatial.distance import cdist
    from synctoolbox.dtw.core import compute_warping_path

    x, y = (each.reshape(len(each), -1) for each in task.as_float64())
    return Call(
        lambda: compute_warping_path(C=cdist(x, y, "sqeuclidean")),
        lambda found: Answer(float(found[0][-1, -1]), path=found[2].T.astype(int)),
    )


PEERS = (
    Peer(
        "synctoolbox",
        "synctoolbox",
        "synctoolbox.dtw.core",
        {"path": _path},
        bands=False,
        memory=full_matrix(24),
        cells_per_second=2e7,
        note="Numba, keeps matrices of costs, sums and steps",
    ),
)
