"""``python -m benchmarks growth``: memory and descriptors over thousands of clips.

One short clip of a talking face is copied, each time with other bytes in a box that nobody
reads, so that no copy is taken for another. What is measured is all processes of a command
together, while it goes through them.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from avalign.errors import AvalignError, MissingDependencyError
from avalign.files import atomic_output
from benchmarks.speed import make_clip

SIZE = (320, 240)
# What is loaded with the first clips, by each process, is no growth.
SETTLED = 50
GROWTH_BAR_MB = 100.0
DESCRIPTOR_BAR = 8
POLL_S = 0.5
API = """
import sys, avalign
for line in open(sys.argv[1], encoding="utf-8"):
    try:
        avalign.check(line.rstrip("\\n"), jobs=1)
    except avalign.AvalignError:
        pass
    print(flush=True)
"""

console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a command held at one time.

    Parameters
    ----------
    clips : int
        Clips done.
    resident_mb : float
        Sum of the resident set sizes of its processes, in units of 1e6 bytes.
    descriptors : int
        Sum of what they have open; 0 where the system does not tell.
    processes : int
        How many there are.
    """

    clips: int
    resident_mb: float
    descriptors: int
    processes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """How a command grew.

    Parameters
    ----------
    way : str
        Which command.
    samples : tuple of Sample
        In order of time.
    growth_mb : float
        Median of the last tenth less the median of the tenth after `SETTLED` clips for each
        process.
    more_descriptors : float
        The same of descriptors.
    seconds : float
        Wall time.
    """

    way: str
    samples: tuple[Sample, ...]
    growth_mb: float
    more_descriptors: float
    seconds: float


def run_growth(
    video: Path, *, clips: int, length_s: float, ways: Sequence[str], out: Path
) -> None:
    """Measure, print a table, and write ``growth.json``.

    Parameters
    ----------
    video : Path
        A talking face with sound.
    clips : int
        Copies to go through.
    length_s : float
        Length of each.
    ways : sequence of str
        Commands: ``api``, ``check-1``, ``check-2``, ``extract``.
    out : Path
        Folder to write to.
    """
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        files = _copies(video, Path(folder), clips, length_s)
        for way in ways:
            with console.status(f"{way}: {clips} clips"):
                measured.append(_measure(way, files, Path(folder)))
            _print(measured[-1])
    out.mkdir(parents=True, exist_ok=True)
    content = {
        "schema": 1,
        "clips": clips,
        "length_s": length_s,
        "results": [asdict(m) for m in measured],
    }
    with atomic_output(out / "growth.json", True) as temporary:
        Path(temporary).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    grown = [
        each.way
        for each in measured
        if each.growth_mb > GROWTH_BAR_MB or each.more_descriptors > DESCRIPTOR_BAR
    ]
    if grown:
        raise AvalignError(f"grew by more than allowed: {', '.join(grown)}")


def _copies(video: Path, folder: Path, clips: int, length_s: float) -> list[Path]:
    first = folder / "clip.mp4"
    make_clip(video, first, SIZE, length_s)
    content = first.read_bytes()
    files = []
    for number in range(clips):
        file = folder / f"{number}.mp4"
        file.write_bytes(content + struct.pack(">I4sQ", 16, b"free", number))
        files.append(file)
    return files


def _measure(way: str, files: Sequence[Path], folder: Path) -> Growth:
    listed = folder / "list.txt"
    listed.write_text("".join(f"{file}\n" for file in files), encoding="utf-8")
    manifest = folder / "manifest.csv"
    manifest.write_text("path\n" + listed.read_text(encoding="utf-8"), encoding="utf-8")
    cache, told = folder / "cache", folder / f"{way}.txt"
    program = "import sys; from avalign_cli.main import main; sys.exit(main())"

    def lines() -> int:
        return told.read_bytes().count(b"\n")

    def kept() -> int:
        with suppress(FileNotFoundError):
            return sum(name.endswith(".audio.npz") for name in os.listdir(cache))
        return 0

    done: Callable[[], int] = kept if way == "extract" else lines
    command = {
        "api": [API, str(listed)],
        "check-1": [program, "check", "--json", "-j", "1", "-"],
        "check-2": [program, "check", "--json", "-j", "2", "-"],
        "extract": [
            program,
            *("data", "extract", str(manifest), "-j", "2", "--cache"),
            str(cache),
        ],
    }[way]
    started = time.perf_counter()
    with listed.open("rb") as names, told.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", *command],
            stdin=names,
            stdout=output,
            stderr=subprocess.PIPE,
        )
        samples = _watch(process, done)
    assert process.stderr is not None
    words = process.stderr.read().decode(errors="replace").strip()
    if done() < len(files):
        raise AvalignError(f"{way} went through {done()} of {len(files)} clips: {words[-300:]}")
    return _growth(way, samples, len(files), time.perf_counter() - started)


def _watch(process: subprocess.Popen[bytes], done: Callable[[], int]) -> list[Sample]:
    try:
        import psutil
    except ImportError as error:
        raise MissingDependencyError(
            "measuring memory needs psutil", "pip install 'avalign[bench]'"
        ) from error
    root = psutil.Process(process.pid)
    samples = []
    while process.poll() is None:
        resident, descriptors, alive = 0, 0, 0
        with suppress(psutil.Error):
            for each in [root, *root.children(recursive=True)]:
                with suppress(psutil.Error):
                    resident += each.memory_info().rss
                    descriptors += each.num_fds() if hasattr(each, "num_fds") else 0
                    alive += 1
        if alive:
            samples.append(Sample(done(), resident / 1e6, descriptors, alive))
        time.sleep(POLL_S)
    return samples


def _growth(way: str, samples: Sequence[Sample], clips: int, seconds: float) -> Growth:
    most = max((sample.processes for sample in samples), default=1)
    tenth = max(1, clips // 10)
    first = min(SETTLED * most, clips // 4)
    # While processes come and go, their sum says nothing.
    full = [sample for sample in samples if sample.processes == most]
    early = [sample for sample in full if first <= sample.clips <= first + tenth]
    late = [sample for sample in full if sample.clips >= clips - tenth]
    if not (early and late):
        raise AvalignError(f"{way} was over too soon", "take more clips")
    return Growth(
        way,
        tuple(samples),
        _median([one.resident_mb for one in late])
        - _median([one.resident_mb for one in early]),
        _median([one.descriptors for one in late])
        - _median([one.descriptors for one in early]),
        seconds,
    )


def _median(values: Sequence[float]) -> float:
    return float(sorted(values)[len(values) // 2])


def _print(growth: Growth) -> None:
    table = Table(
        title=f"{growth.way}: {growth.growth_mb:+.0f} MB, "
        f"{growth.more_descriptors:+.0f} descriptors, {growth.seconds:.0f} s",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    for name in ("clips", "MB", "descriptors", "processes"):
        table.add_column(name, justify="right")
    step = max(1, len(growth.samples) // 20)
    for sample in growth.samples[step - 1 :: step]:
        table.add_row(
            *map(str, (sample.clips, round(sample.resident_mb))),
            *map(str, (sample.descriptors, sample.processes)),
        )
    Console().print(table)
