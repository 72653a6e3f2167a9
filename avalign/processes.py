"""Work spread over processes that leave nothing behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from avalign.errors import AvalignError, MediaError, ParameterError

__all__ = ["cores", "end_with_parent", "for_each", "installed_modules_only", "interrupts_held"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# Exit code of a process that was to work and met an unguarded call of its master instead.
UNGUARDED = 78
# Processes that end as they start, one after the other, before the work is given up.
FAILED_STARTS = 3
# How many outcomes wait for an earlier one, for each process, where their order counts.
AHEAD = 16
# How long an idle process may take to end.
ENDING_S = 10.0
# How often a process looks whether its parent is there.
LOOK_EVERY_S = 2.0
WAITING_S = 0.5

_environment = threading.Lock()


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
    in_order: bool = False,
    waiting: Callable[[], None] | None = None,
) -> Iterator[tuple[int, Result | Exception]]:
    """Call a function on each item, in processes; no item stops the rest.

    Processes are spawned, not forked, as libraries hold threads: a script must call this
    below ``if __name__ == "__main__":``. None is left behind. Where one dies, another takes
    its place; its item is tried again when nothing else runs, for want of memory.

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
    in_order : bool
        Give outcomes in the order of the items; by default as they come.
    waiting : callable, optional
        Called every half second in which no outcome comes from a process.

    Yields
    ------
    number : int
        Which item, from 0.
    outcome : object or Exception
        What the function returned, or raised; `MediaError` if its process died.

    Raises
    ------
    ParameterError
        If the main script has no guard.
    AvalignError
        If no process starts.
    """
    workers = min(jobs, len(items))
    if workers <= 1:
        for number, item in enumerate(items):
            yield number, _outcome(function, item)
        return
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(UNGUARDED)  # started to work, and imports the main script for it
    ahead = AHEAD * workers if in_order else None
    pool = _Pool(function, items, workers, caller, name, ahead, waiting)
    try:
        yield from _ordered(pool) if in_order else pool.outcomes()
    except BaseException:
        pool.drop()  # Ctrl-C, or a caller who wants no more
        raise
    finally:
        pool.end()


def _outcome(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    try:
        return function(item)
    except Exception as error:
        return error


def _ordered(pool: _Pool) -> Iterator[tuple[int, Any]]:
    early: dict[int, Any] = {}
    for number, outcome in pool.outcomes():
        early[number] = outcome
        while pool.yielded in early:
            # Counted before it is yielded, as the caller may take long.
            pool.yielded += 1
            yield pool.yielded - 1, early.pop(pool.yielded - 1)


class _Pool:
    """Processes that share the items of one call.

    Parameters
    ----------
    ahead : int or None
        Work on so many items at most after the last that was yielded.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        workers: int,
        caller: str,
        name: Callable[[Any], str],
        ahead: int | None,
        waiting: Callable[[], None] | None,
    ) -> None:
        self._function, self._items, self._name = function, items, name
        self._limit, self._caller = workers, caller
        self._ahead, self._waiting = ahead, waiting
        self.yielded = 0
        self._next = 0
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        # Those whose process died; each is tried once more.
        self._retries: deque[int] = deque()
        self._tried: set[int] = set()

    def outcomes(self) -> Iterator[tuple[int, Any]]:
        """Yield the number and the outcome of each item, as they come."""
        while self._left() or any(worker.number is not None for worker in self._workers):
            self._fill()
            yield from self._assign()
            pipes = [worker.pipe for worker in self._workers]
            ready = connection.wait(pipes, WAITING_S if self._waiting else None)
            if self._waiting and not ready:
                self._waiting()
            for pipe in ready:
                worker = next(one for one in self._workers if one.pipe is pipe)
                yield from self._receive(worker)

    def drop(self) -> None:
        """Stop what runs."""
        for worker in self._workers:
            worker.process.terminate()

    def end(self) -> None:
        """Let the processes end; return when they have."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.join()
        self._workers.clear()

    def _left(self) -> int:
        return len(self._items) - self._next + len(self._retries)

    def _fill(self) -> None:
        """Start as many processes as there is work for."""
        idle = sum(worker.number is None for worker in self._workers)
        missing = min(self._limit - len(self._workers), self._left() - idle)
        for _ in range(missing):
            self._workers.append(_Worker())

    def _assign(self) -> Iterator[tuple[int, Any]]:
        """Give each idle process an item; yield those that cannot be sent."""
        for worker in [one for one in self._workers if one.ready]:
            while worker.number is None:
                number = self._choose()
                if number is None:
                    return
                try:
                    call = ForkingPickler.dumps((self._function, self._items[number]))
                except Exception as error:
                    yield number, error
                    continue
                worker.number = number
                with suppress(OSError):  # it has died, as is found when it is listened to
                    worker.pipe.send_bytes(call)

    def _choose(self) -> int | None:
        """Take the item that is next; None while there is none that may be begun."""
        last = len(self._items)
        if self._ahead is not None:
            last = min(last, self.yielded + self._ahead)
        if self._next < last:
            self._next += 1
            return self._next - 1
        if self._retries and all(one.number is None for one in self._workers):
            return self._retries.popleft()
        return None

    def _receive(self, worker: _Worker) -> Iterator[tuple[int, Any]]:
        answer = None
        with suppress(EOFError, OSError):
            answer = worker.pipe.recv_bytes()
        if answer is None:
            yield from self._handle_death(worker)
            return
        if not worker.ready:
            worker.ready = True
            self._failed_starts = 0
            return
        number, worker.number = worker.number, None
        assert number is not None
        try:
            outcome = ForkingPickler.loads(answer)
        except Exception as error:
            outcome = error
        yield number, outcome

    def _handle_death(self, worker: _Worker) -> Iterator[tuple[int, Any]]:
        """Take note of a process that died."""
        self._workers.remove(worker)
        worker.pipe.close()
        worker.join()
        if not worker.ready:
            self._check_start(worker.process.exitcode)
        number = worker.number
        if number is None:
            return
        if number not in self._tried:
            self._tried.add(number)
            self._retries.append(number)
            return
        yield (
            number,
            MediaError(
                f"{self._name(self._items[number])}: the process that worked on it died",
                "the file may be damaged, or memory may have run out; try it alone",
            ),
        )

    def _check_start(self, exit_code: int | None) -> None:
        if exit_code == UNGUARDED:
            raise ParameterError(
                f"{self._caller} starts processes, each of which imports the main script anew, "
                "and the script would start more of them",
                'call it below if __name__ == "__main__":, or with jobs=1',
            )
        self._failed_starts += 1
        if self._failed_starts >= FAILED_STARTS:
            raise AvalignError(
                f"{self._caller} starts processes, and they end as they start, with exit code "
                f"{exit_code}",
                "memory may be short; try it with jobs=1",
            )


class _Worker:
    """A process that works on one item at a time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other_end = context.Pipe()
        # Where this program ends without being asked for the rest, so does the process.
        self.process = context.Process(target=_serve, args=(other_end,), daemon=True)
        with interrupts_held(), installed_modules_only():
            self.process.start()
        other_end.close()
        self.ready = False
        self.number: int | None = None

    def join(self) -> None:
        """Wait until it has ended; see to it that it does."""
        self.process.join(ENDING_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(pipe: connection.Connection) -> None:
    """Work on what comes through the pipe until it is closed; runs in a worker."""
    end_with_parent()
    try:
        pipe.send_bytes(b"")  # ready
        while True:
            call = pipe.recv_bytes()
            try:
                function, item = ForkingPickler.loads(call)
            except Exception as error:
                outcome = error
            else:
                outcome = _outcome(function, item)
                del function, item
            try:
                answer = ForkingPickler.dumps(outcome)
            except Exception as error:
                answer = ForkingPickler.dumps(
                    TypeError(f"{type(outcome).__name__} cannot be sent back: {error}")
                )
            del outcome
            pipe.send_bytes(answer)
            del call, answer
    except (EOFError, OSError):
        return


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, whatever it does then.

    A parent that is killed leaves no message, and its workers would wait for ever.
    """
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent is not None else os.getppid()

    def watch() -> None:
        # A copy of what ends with the parent may be held by others that it started.
        while os.getppid() == pid:
            if parent is None:
                time.sleep(LOOK_EVERY_S)
            elif connection.wait([parent.sentinel], LOOK_EVERY_S):
                break
        os._exit(1)

    threading.Thread(target=watch, name="avalign-parent", daemon=True).start()


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


@contextmanager
def installed_modules_only() -> Iterator[None]:
    """Start processes that import nothing from the current directory as they start.

    They are started as ``python -c``, which looks there first: a ``signal.py`` beside the
    files at hand, whoever put it there, would be run. What the main script may import is
    passed on to them afterwards.

    Yields
    ------
    None
        While processes may be started.
    """
    with _environment:
        before = os.environ.get("PYTHONSAFEPATH")
        os.environ["PYTHONSAFEPATH"] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ["PYTHONSAFEPATH"]
            else:
                os.environ["PYTHONSAFEPATH"] = before
