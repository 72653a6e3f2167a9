"""Damaged files by the thousand, each read in a process that is watched."""

from __future__ import annotations

import contextlib
import gc
import json
import multiprocessing
import os
import shutil
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from typing import Any

from .mutators import mutate
from .seeds import Seed, make_seeds
from .targets import TARGETS, complaint

__all__ = ["BAD", "OUTCOMES", "Limits", "Trial", "campaign", "damaged_files"]

Target = Callable[[Path, Random], list[Path]]

# What may come of a file, in the order in which they are told; the first four are right.
OUTCOMES = {
    "answer": "an answer",
    "no answer": "no reliable answer (exit code 4)",
    "refused": "refused with one line (exit code 3)",
    "wrong use": "refused with one line (exit code 2)",
    "unclear": "an error that is not one clear line",
    "warning": "a warning from within avalign",
    "exception": "an exception that is not avalign's",
    "hang": "too slow",
    "memory": "too much memory",
    "crash": "the process died",
    "leftover": "files left behind, or the input changed",
    "descriptor": "descriptors left open",
}
BAD = tuple(OUTCOMES)[4:]


@dataclass(frozen=True)
class Limits:
    """What one file may cost.

    Parameters
    ----------
    seconds : float
        From the first look at the file on.
    bytes : int
        Resident memory of the whole process, at its highest.
    """

    seconds: float = 30.0
    bytes: int = 10**9


@dataclass(frozen=True)
class Trial:
    """What came of one file."""

    number: int
    target: str
    name: str
    how: str
    outcome: str
    detail: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0


def damaged_files(
    seeds: list[Seed], campaign_seed: int, number: int
) -> tuple[Seed, dict[str, bytes], str, Random]:
    """Make the files of one trial: of which seed, all by name, how, and the dice."""
    random = Random(f"{campaign_seed}:{number}")
    seed = random.choices(seeds, [each.weight for each in seeds])[0]
    files, how = mutate(seed, seeds, random)
    return seed, files, how, random


def campaign(
    numbers: list[int],
    *,
    campaign_seed: int,
    jobs: int,
    offenders: Path | None = None,
    limits: Limits = Limits(),
    seeds: list[Seed] | None = None,
    targets: Mapping[str, Target] = TARGETS,
) -> Iterator[Trial]:
    """Read one damaged file after the other.

    Parameters
    ----------
    numbers : list of int
        Which trials; each is the same whenever and wherever it runs.
    campaign_seed : int
        Of all of them.
    jobs : int
        Processes at a time.
    offenders : Path, optional
        Folder in which the files are kept that showed a fault.
    limits : Limits
        Of one file.
    seeds : list of Seed, optional
        What is damaged; by default a file of every kind.
    targets : mapping of str to callable
        What reads them; functions of modules.

    Yields
    ------
    Trial
        As they end.
    """
    seeds = make_seeds() if seeds is None else seeds
    queue = list(reversed(numbers))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        watchers = [
            _Watcher(Path(scratch) / f"{job}", seeds, targets, campaign_seed, limits)
            for job in range(min(jobs, len(numbers)))
        ]
        try:
            for watcher in watchers:
                watcher.give(queue.pop())
            busy = list(watchers)
            while busy:
                wait([watcher.pipe for watcher in busy], timeout=0.05)
                for watcher in list(busy):
                    trial = watcher.result()
                    if trial is None:
                        continue
                    if trial.outcome in BAD and offenders is not None:
                        _keep(trial, seeds, campaign_seed, offenders)
                    if queue:
                        watcher.give(queue.pop())
                    else:
                        busy.remove(watcher)
                    yield trial
        finally:
            for watcher in watchers:
                watcher.end()


def _keep(trial: Trial, seeds: list[Seed], campaign_seed: int, folder: Path) -> None:
    _, files, _, _ = damaged_files(seeds, campaign_seed, trial.number)
    place = folder / f"{trial.number:06d}-{trial.outcome}"
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / name).write_bytes(content)
    (place / "trial.txt").write_text(
        "".join(f"{key}: {value}\n" for key, value in asdict(trial).items()), "utf-8"
    )


class _Watcher:
    """One process that reads files, watched from outside, and replaced when it is lost."""

    def __init__(
        self,
        folder: Path,
        seeds: list[Seed],
        targets: Mapping[str, Target],
        campaign_seed: int,
        limits: Limits,
    ) -> None:
        self._folder = folder
        self._seeds = seeds
        self._targets = targets
        self._campaign_seed = campaign_seed
        self._limits = limits
        self._number = -1
        self._started = 0.0
        self._process: Any = None
        self.pipe: Any = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work,
            args=(
                *(theirs, self._folder, self._seeds, self._targets),
                *(self._campaign_seed, self._limits),
            ),
            daemon=True,
        )
        self._process.start()
        theirs.close()
        self._ready = False

    def give(self, number: int) -> None:
        if not self._process.is_alive():
            self._start()
        self._number = number
        self._started = time.monotonic()
        self.pipe.send(number)

    def result(self) -> Trial | None:
        """What came of the file, if it has come."""
        try:
            while self.pipe.poll():
                told = self.pipe.recv()
                if told == "reading":  # a new process is ready, and begins only now
                    self._started, self._ready = time.monotonic(), True
                    continue
                trial, tired = told
                if tired:
                    self.end()
                return trial
        except (EOFError, ConnectionError):
            self._process.join()
            shutil.rmtree(self._folder, ignore_errors=True)
            return self._lost("crash", f"exit code {self._process.exitcode}")
        if not self._ready:
            return None
        if time.monotonic() - self._started > self._limits.seconds:
            self.end()
            return self._lost("hang", f"over {self._limits.seconds:g} s")
        if (size := _resident(self._process.pid)) > 1.3 * self._limits.bytes:
            self.end()
            return self._lost("memory", f"{size >> 20} MiB and rising")
        return None

    def _lost(self, outcome: str, detail: str) -> Trial:
        seed, _, how, _ = damaged_files(self._seeds, self._campaign_seed, self._number)
        seconds = time.monotonic() - self._started
        return Trial(self._number, seed.target, seed.name, how, outcome, detail, seconds)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


# ------------------------------------------------------------------ within the process

# A process that has grown so far is replaced, lest the next file be blamed.
GROWTH_BYTES = 200 * 2**20


def _work(
    pipe: Connection,
    folder: Path,
    seeds: list[Seed],
    targets: Mapping[str, Target],
    campaign_seed: int,
    limits: Limits,
) -> None:
    """Read files until the pipe closes."""
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = str(temporary)
    tempfile.tempdir = None
    _warm_up(seeds, targets, folder)
    tired_bytes = _resident(os.getpid()) + GROWTH_BYTES
    while True:
        try:
            number = pipe.recv()
        except EOFError:
            return
        pipe.send("reading")
        trial = _trial(seeds, targets, campaign_seed, number, folder, limits)
        pipe.send((trial, _resident(os.getpid()) > tired_bytes))


def _warm_up(seeds: list[Seed], targets: Mapping[str, Target], folder: Path) -> None:
    """Read a whole file of each kind, so that what stays open for good is open."""
    for target in targets:
        seed = next((each for each in seeds if each.target == target), None)
        if seed is not None:
            place = _laid_out(seed, seed.files, folder / "warm" / target)
            with contextlib.suppress(Exception):
                targets[target](place, Random(0))


def _laid_out(seed: Seed, files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / seed.name


def _trial(
    seeds: list[Seed],
    targets: Mapping[str, Target],
    campaign_seed: int,
    number: int,
    folder: Path,
    limits: Limits,
) -> Trial:
    seed, files, how, random = damaged_files(seeds, campaign_seed, number)
    place = folder / f"{number}"
    path = _laid_out(seed, files, place)
    before = _descriptors()
    _forget_peak()
    started = time.monotonic()
    read = targets[seed.target]
    state = random.getstate()
    outcome, detail, written = _outcome(read, path, random)
    seconds, peak = time.monotonic() - started, _peak()
    faults = [(outcome, detail)]
    if left := _left(files, path, written):
        faults.append(("leftover", left))
    if grown := _descriptors() - before:
        # What a library opens once for good is no leak: only what opens again is.
        gc.collect()
        again = _descriptors()
        random.setstate(state)
        for output in written:
            output.unlink(missing_ok=True)
        _outcome(read, path, random)
        gc.collect()
        if _descriptors() - again and again - before:
            faults.append(("descriptor", ", ".join(sorted(grown)[:5])))
    if peak > limits.bytes:
        faults.append(("memory", f"{peak >> 20} MiB"))
    if seconds > limits.seconds:
        faults.append(("hang", f"{seconds:.0f} s"))
    shutil.rmtree(place, ignore_errors=True)
    for other in (folder / "tmp").iterdir():
        faults.append(("leftover", f"in the folder of temporary files: {other.name}"))
        shutil.rmtree(other) if other.is_dir() else other.unlink()
    outcome, detail = max(faults, key=lambda fault: list(OUTCOMES).index(fault[0]))
    return Trial(number, seed.target, seed.name, how, outcome, detail, seconds, peak)


def _outcome(read: Target, path: Path, random: Random) -> tuple[str, str, list[Path]]:
    from avalign.errors import AvalignError

    written: list[Path] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            written = read(path, random)
            outcome, detail = "answer", ""
        except AvalignError as error:
            fault = complaint(error, path)
            kinds = {2: "wrong use", 3: "refused", 4: "no answer"}
            outcome = "unclear" if fault else kinds[error.exit_code]
            detail = fault or error.message.replace(str(path), "FILE")[:300]
        except Exception as error:
            outcome, detail = (
                "exception",
                f"{type(error).__name__}: {error}"[:300] + _where(error),
            )
    own = [one for one in warned if "/avalign/" in one.filename]
    if own and outcome not in BAD:
        first = own[0]
        place = first.filename.rpartition("/avalign/")[2]
        outcome, detail = "warning", f"{first.message} at {place}:{first.lineno}"[:300]
    return outcome, detail, written


def _where(error: BaseException) -> str:
    """Name the last places within avalign that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        f"{frame.filename.rpartition('/avalign/')[2]}:{frame.lineno}"
        for frame in frames
        if "/avalign/" in frame.filename
    ]
    return f" at {' > '.join(own[-4:])}"


def _left(files: dict[str, bytes], path: Path, written: list[Path]) -> str:
    """Say what is in the folder that was not there, and what is not as it was."""
    told = {*files, *(output.name for output in written)}
    odd = sorted({each.name for each in path.parent.iterdir()} - told)
    if odd:
        return f"left behind: {', '.join(odd)}"
    for name, content in files.items():
        if (path.parent / name).read_bytes() != content:
            return f"changed: {name}"
    return ""


def _descriptors() -> Counter[str]:
    found: Counter[str] = Counter()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[os.readlink(f"/proc/self/fd/{name}").partition(":[")[0]] += 1
    return found


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


# ------------------------------------------------------------------ the record


def read_record(path: Path) -> list[Trial]:
    """Read what an earlier run wrote, but for a last line that was cut off."""
    trials = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            trials.append(Trial(**json.loads(line)))
    return trials
