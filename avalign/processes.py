"""Work spread over processes that leave nothing behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

from avalign.errors import MediaError, ParameterError

__all__ = ["cores", "for_each", "interrupts_held", "process_pool", "refuse_unguarded"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# Exit code of a process that was to work and met an unguarded call of its master instead.
UNGUARDED = 78


def cores() -> int:
    """Count the cores this process may use.

    Returns
    -------
    int
        At least 1.
    """
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


def for_each(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    jobs: int,
    caller: str,
    name: Callable[[Item], str] = str,
) -> Iterator[tuple[int, Result | Exception]]:
    """Call a function on each item, in processes; no item stops the rest.

    Parameters
    ----------
    function : callable
        A function of a module, of one argument that can be pickled.
    items : sequence
        What to call it on.
    jobs : int
        Processes at once; with one, the calls run in this process.
    caller : str
        The public function that asks, for messages.
    name : callable
        What an item is called in messages.

    Yields
    ------
    number : int
        Which item, from 0; as they are done.
    outcome : object or Exception
        What the function returned, or raised; `MediaError` if its process died.

    Raises
    ------
    ParameterError
        If the main script calls this without a guard; see `process_pool`.
    """
    workers = min(jobs, len(items))
    if workers <= 1:
        for number, item in enumerate(items):
            yield number, _outcome(function, item)
        return
    refuse_unguarded()
    left = set(range(len(items)))
    try:
        with process_pool(workers, caller) as pool:
            for number, outcome in _collect(pool, function, items, sorted(left)):
                left.discard(number)
                yield number, outcome
    except BrokenExecutor:
        # A worker died, and nobody can tell on which item. Each of those that are left
        # gets a pool of its own, so that only the culprit fails.
        for number in sorted(left):
            try:
                with process_pool(1, caller) as pool:
                    yield from _collect(pool, function, items, [number])
            except BrokenExecutor:
                yield (
                    number,
                    MediaError(
                        f"{name(items[number])}: the process that worked on it died",
                        "the file may be damaged, or memory may have run out; try it alone",
                    ),
                )


def _collect(
    pool: ProcessPoolExecutor,
    function: Callable[[Item], Result],
    items: Sequence[Item],
    numbers: Sequence[int],
) -> Iterator[tuple[int, Result | Exception]]:
    with interrupts_held():
        waiting = {pool.submit(_outcome, function, items[number]): number for number in numbers}
    for future in as_completed(list(waiting)):
        number = waiting.pop(future)
        try:
            yield number, future.result()
        except BrokenExecutor:
            raise
        except Exception as error:
            # The result could not be sent back.
            yield number, error


def _outcome(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    try:
        return function(item)
    except Exception as error:
        return error


def refuse_unguarded() -> None:
    """End a process that was started to work and is importing the main script for it.

    Raises
    ------
    SystemExit
        With a code by which `process_pool` knows.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(UNGUARDED)


@contextmanager
def process_pool(workers: int, caller: str) -> Iterator[ProcessPoolExecutor]:
    """Give a pool that leaves no process behind, not even on Ctrl-C.

    Processes are spawned, not forked: the libraries they use hold threads. Each imports
    the main script anew, so a script must call for them below
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    workers : int
        Processes.
    caller : str
        The public function that asks, for messages.

    Yields
    ------
    ProcessPoolExecutor
        The pool.

    Raises
    ------
    ParameterError
        If the main script has no guard.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        with interrupts_held():
            pool.submit(int)  # starts the first process
        first = set(multiprocessing.active_children()) - others
        yield pool
    except BaseException as error:
        # Ctrl-C, or a caller who wants no more results: what runs is dropped.
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        # Until the pool's own thread has ended, exit codes may be on their way to it.
        pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(error, BrokenExecutor) and any(
            process.exitcode == UNGUARDED for process in first
        ):
            raise ParameterError(
                f"{caller} starts processes, each of which imports the main script anew, "
                "and the script would start more of them",
                'call it below if __name__ == "__main__":, or with jobs=1',
            ) from None
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Start processes that never see Ctrl-C; this one sees it afterwards.

    A terminal sends Ctrl-C to all of them, and only the parent has an answer.
    The mask of blocked signals is inherited from the very first instruction.

    Yields
    ------
    None
        While the signal waits.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
