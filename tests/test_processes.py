"""Work over processes: results, errors, and workers that die."""

from __future__ import annotations

import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

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


posix = pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not of Windows")


@pytest.mark.slow
@posix
@pytest.mark.parametrize("in_order", [False, True])
def test_a_worker_that_dies_costs_only_its_own_item(in_order: bool) -> None:
    # Signal 0 does nothing, signal 9 kills.
    items = [0, 9, *[0] * 60, 9, *[0] * 20]
    done = list(
        for_each(
            signal.raise_signal,
            items,
            jobs=2,
            caller="kill",
            name=lambda n: f"no. {n}",
            in_order=in_order,
        )
    )
    numbers = [number for number, _ in done]
    assert sorted(numbers) == list(range(len(items)))
    assert not in_order or numbers == sorted(numbers)
    for number, outcome in done:
        if items[number]:
            assert isinstance(outcome, MediaError)
            assert outcome.message == "no. 9: the process that worked on it died"
        else:
            assert outcome is None
    assert multiprocessing.active_children() == []


@pytest.mark.slow
@posix
def test_after_a_worker_died_the_rest_is_done_side_by_side(tmp_path: Path) -> None:
    """Each of the rest waits for another: one by one, they would wait in vain."""
    pairs = [str(tmp_path / str(number // 2)) for number in range(12)]
    done = dict(for_each(meet, ["die", "die", *pairs], jobs=2, caller="meet"))
    assert isinstance(done[0], MediaError)
    assert isinstance(done[1], MediaError)
    assert [done[number] for number in range(2, 14)] == ["met"] * 12


def meet(place: str) -> str:
    """Wait for the other one who comes to this place."""
    if place == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    Path(f"{place}-{os.getpid()}").touch()
    folder, name = os.path.split(place)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if len(list(Path(folder).glob(f"{name}-*"))) == 2:
            return "met"
        time.sleep(0.01)
    return "nobody came"


@pytest.mark.slow
def test_what_cannot_be_sent_or_sent_back_is_the_outcome_of_its_item() -> None:
    items = [1, lambda: 1, 2, lambda: 2, 3, 4]
    done = dict(for_each(operator.pos, items, jobs=2, caller="pos"))
    assert [done[number] for number in (0, 2)] == [1, 2]
    assert isinstance(done[1], Exception)
    locks = dict(for_each(lock, [0, 1, 2], jobs=2, caller="lock"))
    assert isinstance(locks[0], int)
    assert "cannot be sent back" in str(locks[1])


def lock(number: int) -> object:
    """Return what cannot be pickled, for odd numbers."""
    return threading.Lock() if number % 2 else number


@pytest.mark.slow
def test_with_an_order_no_more_than_some_run_ahead(tmp_path: Path) -> None:
    """The first item takes long; those after it are not all done and held meanwhile."""
    items = [str(tmp_path), *[str(tmp_path / str(number)) for number in range(200)]]
    seen = -1
    for number, outcome in for_each(wait_for_rest, items, jobs=2, caller="w", in_order=True):
        seen = max(seen, outcome if isinstance(outcome, int) else -1)
        assert number or 0 < seen < 100
    assert seen > 0


def wait_for_rest(place: str) -> int:
    """Leave a file; for a folder, count what is left in it after a while."""
    if not os.path.isdir(place):
        Path(place).touch()
        return 0
    count = -1
    while count != (count := len(os.listdir(place))) or not count:
        time.sleep(1.0)
    return count


ORPHANS = """
import os, sys, time
from avalign.processes import for_each

def work(name):
    if name.endswith("python"):
        while True:
            pass
    import ctypes
    ctypes.CDLL(None).sleep(600)  # outside Python

if __name__ == "__main__":
    import multiprocessing, threading
    def tell():
        while len(multiprocessing.active_children()) < 2:
            time.sleep(0.1)
        time.sleep(1.0)
        print(*[one.pid for one in multiprocessing.active_children()], flush=True)
    threading.Thread(target=tell, daemon=True).start()
    list(for_each(work, ["in python", "in c"], jobs=2, caller="work"))
"""


@pytest.mark.slow
@posix
def test_workers_of_a_parent_that_is_killed_end(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(ORPHANS)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    assert all(is_running(pid) for pid in workers)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = [pid for pid in workers if is_running(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


@pytest.mark.slow
def test_workers_import_nothing_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("multiprocessing", "signal", "socket", "threading"):
        (tmp_path / f"{name}.py").write_text("open('run', 'w'); raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    done = dict(for_each(operator.neg, [1, 2, 3], jobs=2, caller="neg"))
    assert done == {0: -1, 1: -2, 2: -3}
    assert not (tmp_path / "run").exists()
    assert "PYTHONSAFEPATH" not in os.environ


def is_running(pid: int) -> bool:
    """Tell whether there is such a process, and more of it than its exit code."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
