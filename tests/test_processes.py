"""Work over processes: results, errors, and workers that die."""

from __future__ import annotations

import multiprocessing
import operator
import os
import signal

import pytest

from avalign.errors import MediaError
from avalign.processes import cores, for_each


def test_with_one_job_work_is_done_here_and_errors_are_outcomes() -> None:
    done = dict(for_each(operator.neg, [1, "two", 3], jobs=1, caller="neg"))
    assert (done[0], done[2]) == (-1, -3)
    assert isinstance(done[1], TypeError)
    assert list(for_each(operator.neg, [], jobs=4, caller="neg")) == []


def test_there_is_a_core() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not of Windows")
def test_a_worker_that_dies_costs_only_its_own_item() -> None:
    # Signal 0 does nothing, signal 9 kills.
    done = dict(
        for_each(
            signal.raise_signal, [0, 9, 0], jobs=2, caller="kill", name=lambda n: f"no. {n}"
        )
    )
    assert done[0] is done[2] is None
    assert isinstance(done[1], MediaError)
    assert done[1].message == "no. 9: the process that worked on it died"
    assert multiprocessing.active_children() == []
