"""avalign, by its public verbs only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.dtw.peers.record import Call, Peer, Prepare
from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import DISTANCE_ONLY, GAMMA, Kind, Task


def _distance(task: Task) -> Call:
    from avalign import dtw

    x, y = task.series
    radius = task.workload.radius
    return Call(lambda: dtw.distance(x, y, radius=radius), Answer)


def _path(task: Task) -> Call:
    from avalign import dtw

    x, y = task.series
    radius = task.workload.radius
    return Call(
        lambda: dtw.path(x, y, radius=radius),
        lambda found: Answer(found.distance, path=found.path),
    )


def _pairwise(task: Task, n_jobs: int = 1) -> Call:
    from avalign import dtw

    series = task.series
    return Call(lambda: dtw.pairwise(series, n_jobs=n_jobs), Answer)


def _subsequence(task: Task) -> Call:
    from avalign import dtw

    query, series = task.series
    return Call(
        lambda: dtw.subsequence(query, series, top_k=1),
        lambda matches: Answer(matches[0].distance),
    )


def _soft(task: Task) -> Call:
    import torch

    from avalign.dtw.soft_dtw.loss import soft_distance

    x, y = (torch.from_numpy(each) for each in task.series)
    return soft_call(x, y, partial(soft_distance, gamma=GAMMA))


def soft_call(x: Any, y: Any, function: Callable[[Any, Any], Any]) -> Call:
    """Value and gradient with torch, as in training."""
    x = x.clone().requires_grad_()

    def run() -> tuple[Any, Any]:
        x.grad = None
        values = function(x, y)
        values.sum().backward()
        return values, x.grad

    def read(found: tuple[Any, Any]) -> Answer:
        values, gradient = (each.detach().numpy().astype(np.float64) for each in found)
        return Answer(values, gradient=gradient)

    return Call(run, read)


_KINDS: dict[Kind, Prepare] = {
    "distance": _distance,
    "path": _path,
    "pairwise": _pairwise,
    "subsequence": _subsequence,
    "soft": _soft,
}

PEERS = (
    Peer(
        "avalign",
        "avalign",
        "avalign.dtw",
        _KINDS,
        cells_per_second=1e9,
        first_distance="from avalign import dtw; dtw.distance(x, y)",
    ),
    Peer(
        DISTANCE_ONLY,
        "avalign",
        "avalign.dtw",
        {"path": _distance},
        cells_per_second=1e9,
        note="what the path costs beyond the distance",
    ),
)


def threaded(n_jobs: int) -> Peer:
    """Make a peer that uses several threads.

    Parameters
    ----------
    n_jobs : int
        How many.

    Returns
    -------
    Peer
        For those kinds of task that can be shared out.
    """
    return Peer(
        f"avalign, {n_jobs} threads",
        "avalign",
        "avalign.dtw",
        {"pairwise": partial(_pairwise, n_jobs=n_jobs)},
        threads=n_jobs,
        cells_per_second=1e9,
    )
