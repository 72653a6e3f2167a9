"""pysdtw: soft-DTW for torch, in Numba on a CPU."""

from __future__ import annotations

from benchmarks.dtw.peers.avalign import soft_call
from benchmarks.dtw.peers.record import Call, Peer, full_matrix
from benchmarks.dtw.workloads import GAMMA, Task


def _soft(task: Task) -> Call:
    import torch
    from pysdtw import SoftDTW

    x, y = (torch.from_numpy(each) for each in task.series)
    return soft_call(x, y, SoftDTW(gamma=GAMMA, use_cuda=False))


PEERS = (
    Peer(
        "pysdtw",
        "pysdtw",
        "pysdtw",
        {"soft": _soft},
        memory=full_matrix(200),
        single_precision=frozenset({"soft"}),
        note="Numba, float32 between forward and backward",
    ),
)
