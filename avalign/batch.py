"""Many files: any executor, one report per file, and no file stops the rest."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avalign.api import check, check_options, failed
from avalign.errors import MediaError, ParameterError
from avalign.types import SyncReport
from avalign.verdict import Tolerance

__all__ = ["check_many"]

# Exit code of a process that was to measure and met an unguarded `check_many` instead.
UNGUARDED = 78


def check_many(
    paths: Iterable[str | Path],
    *,
    tolerance: str | Tolerance = "itu",
    max_lag_s: float = 1.0,
    audio_track: int = 0,
    jobs: int | None = None,
    executor: Executor | None = None,
    in_order: bool = False,
) -> Iterator[SyncReport]:
    """Measure many files, each on its own.

    Parameters
    ----------
    paths : iterable of str or Path
        Media files, or ``.npz`` files of streams.
    tolerance : str or Tolerance
        What counts as in sync; see `Tolerance.parse`.
    max_lag_s : float
        Largest lag searched for, in seconds, on either side; up to 15.
    audio_track : int
        Which sound track, from 0.
    jobs : int, optional
        Files measured at once, one core each; by default as many as there are
        cores or files. With one, files run in this process, one after another,
        and each is spread over all cores.
    executor : Executor, optional
        Where to run instead of a process pool of this machine: anything with
        the interface of `concurrent.futures`, such as the executor of a Dask
        cluster. It stays open.
    in_order : bool
        Give reports in the order of the paths; by default as they come.

    Returns
    -------
    iterator of SyncReport
        One for each path. What cannot be measured has the status ``"error"``,
        its reason, and the exit code of the error.

    Raises
    ------
    ParameterError
        If the tolerance, the largest lag or the number of jobs cannot be used; or
        if processes are needed and the main script calls this without a guard, see
        below.

    Notes
    -----
    Processes of the pool import the main script anew, as those of
    `multiprocessing` do: in a script, call this below
    ``if __name__ == "__main__":``.
    """
    files = [str(path) for path in paths]
    limits = check_options(tolerance, max_lag_s)
    if jobs is not None and jobs < 1:
        raise ParameterError(f"jobs is {jobs}", "name at least one, or leave it out")
    settings: dict[str, Any] = {
        "tolerance": limits,
        "max_lag_s": max_lag_s,
        "audio_track": audio_track,
    }
    # A generator of its own: the arguments above are checked at the call, not
    # when the first report is asked for.
    return _run(files, settings, jobs or min(len(files), _cores()) or 1, executor, in_order)


def _run(
    files: list[str],
    settings: dict[str, Any],
    jobs: int,
    executor: Executor | None,
    in_order: bool,
) -> Iterator[SyncReport]:
    if executor is not None:
        yield from _collect(executor, files, {**settings, "jobs": 1}, in_order)
    elif jobs == 1:
        for file in files:
            yield _report(file, settings)
    else:
        yield from _run_in_pool(files, {**settings, "jobs": 1}, jobs, in_order)


def _run_in_pool(
    files: list[str], settings: dict[str, Any], jobs: int, in_order: bool
) -> Iterator[SyncReport]:
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # This process was started to measure, and is importing the main script for it.
        raise SystemExit(UNGUARDED)
    left = Counter(files)
    try:
        with _process_pool(min(jobs, len(files))) as pool:
            for report in _collect(pool, files, settings, in_order):
                left[report.file] -= 1
                yield report
    except BrokenExecutor:
        # A worker died, and nobody can tell on which file. Each of the files
        # that are left gets a pool of its own, so that only the culprit fails.
        for file in left.elements():
            try:
                with _process_pool(1) as pool:
                    yield from _collect(pool, [file], settings, in_order)
            except BrokenExecutor:
                error = MediaError(
                    f"{file}: the process that measured it died",
                    "the file may be damaged, or memory may have run out; try it alone",
                )
                yield failed(_blank(file, settings), error)


def _collect(
    executor: Executor, files: list[str], settings: dict[str, Any], in_order: bool
) -> Iterator[SyncReport]:
    """Yield reports from an executor; its own failure is raised as `BrokenExecutor`."""
    with _interrupts_held():
        waiting = {executor.submit(_report, file, settings): file for file in files}
    futures = list(waiting)
    for future in futures if in_order else as_completed(futures):
        file = waiting.pop(future)
        try:
            yield future.result()
        except BrokenExecutor:
            raise
        except Exception as error:
            # The report itself was lost on its way, for instance in a cluster.
            yield failed(_blank(file, settings), error)


def _report(file: str, settings: dict[str, Any]) -> SyncReport:
    try:
        return check(file, **settings)
    except Exception as error:
        return failed(_blank(file, settings), error)


def _blank(file: str, settings: dict[str, Any]) -> SyncReport:
    return SyncReport(file, "error", settings["tolerance"].name)


@contextmanager
def _process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool that leaves no process behind, not even on Ctrl-C.

    Processes are spawned, not forked: the libraries they use hold threads.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        with _interrupts_held():
            pool.submit(int)  # starts the first process
        first = set(multiprocessing.active_children()) - others
        yield pool
    except BaseException as error:
        # Ctrl-C, or a caller who wants no more reports: what runs is dropped.
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        # Until the pool's own thread has ended, exit codes may be on their way to it.
        pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(error, BrokenExecutor) and any(
            process.exitcode == UNGUARDED for process in first
        ):
            raise ParameterError(
                "check_many starts processes, each of which imports the main script anew, "
                "and the script would start more of them",
                'call it below if __name__ == "__main__":, or with jobs=1',
            ) from None
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that never see Ctrl-C; this one sees it afterwards.

    A terminal sends Ctrl-C to all of them, and only the parent has an answer.
    The mask of blocked signals is inherited from the very first instruction.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cores() -> int:
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )
