"""Many files: any executor, one report per file, and no file stops the rest."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from functools import partial
from pathlib import Path
from typing import Any

from avalign.errors import ParameterError
from avalign.processes import cores, for_each, interrupts_held
from avalign.reports import SyncReport
from avalign.types import Tolerance
from avalign.verbs.measuring import check, check_options, error_report


def check_many(
    paths: Iterable[str | Path],
    *,
    tolerance: str | Tolerance = "itu",
    max_lag_s: float = 1.0,
    video_track: int | None = None,
    audio_track: int | None = None,
    channel: int | None = None,
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
    video_track : int, optional
        Which picture track, from 0; by default the first that shows a face.
    audio_track : int, optional
        Which sound track, from 0; by default the first with speech.
    channel : int, optional
        Which channel of the sound, from 0; by default all are averaged, or the one with
        speech is taken where others hold something else.
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
        If `paths` is one name and no list; if the tolerance, the largest lag or the
        number of jobs cannot be used; or if processes are needed and the main script
        calls this without a guard, see below.

    Notes
    -----
    Processes of the pool import the main script anew, as those of
    `multiprocessing` do: in a script, call this below
    ``if __name__ == "__main__":``.
    """
    if isinstance(paths, str | bytes | os.PathLike):
        raise ParameterError(
            f"paths is one name, {os.fsdecode(paths)!r}", "give a list of them: [...]"
        )
    files = [str(path) for path in paths]
    limits = check_options(tolerance, max_lag_s)
    if jobs is not None and jobs < 1:
        raise ParameterError(f"jobs is {jobs}", "name at least one, or leave it out")
    settings: dict[str, Any] = {
        "tolerance": limits,
        "max_lag_s": max_lag_s,
        "video_track": video_track,
        "audio_track": audio_track,
        "channel": channel,
    }
    # A generator of its own: the arguments above are checked at the call, not
    # when the first report is asked for.
    return _run(files, settings, jobs or min(len(files), cores()) or 1, executor, in_order)


def _run(
    files: list[str],
    settings: dict[str, Any],
    jobs: int,
    executor: Executor | None,
    in_order: bool,
) -> Iterator[SyncReport]:
    if executor is not None:
        yield from _collect(executor, files, {**settings, "jobs": 1}, in_order)
        return
    jobs = min(jobs, len(files))
    if jobs > 1:
        settings = {**settings, "jobs": 1}
    outcomes = for_each(
        partial(_report, settings=settings),
        files,
        jobs=jobs,
        caller="check_many",
        in_order=in_order,
    )
    for number, outcome in outcomes:
        if isinstance(outcome, Exception):
            outcome = error_report(_empty_report(files[number], settings), outcome)
        yield outcome


def _collect(
    executor: Executor, files: list[str], settings: dict[str, Any], in_order: bool
) -> Iterator[SyncReport]:
    """Yield reports from an executor; its own failure is raised as `BrokenExecutor`."""
    with interrupts_held():
        waiting = {executor.submit(_report, file, settings): file for file in files}
    # A report is let go of as soon as it was taken: there may be 100,000.
    for future in _in_order(deque(waiting)) if in_order else as_completed(waiting):
        file = waiting.pop(future)
        try:
            yield future.result()
        except BrokenExecutor:
            raise
        except Exception as error:
            # The report itself was lost on its way, for instance in a cluster.
            yield error_report(_empty_report(file, settings), error)


def _in_order(futures: deque[Future[SyncReport]]) -> Iterator[Future[SyncReport]]:
    while futures:
        yield futures.popleft()


def _report(file: str, settings: dict[str, Any]) -> SyncReport:
    try:
        return check(file, **settings)
    except Exception as error:
        return error_report(_empty_report(file, settings), error)


def _empty_report(file: str, settings: dict[str, Any]) -> SyncReport:
    return SyncReport(file, "error", settings["tolerance"].option)
