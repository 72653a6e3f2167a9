"""``python -m benchmarks speed``: how fast a whole command is, and how much memory it takes.

The clips are made from one video of a talking face, repeated and scaled to 25 pictures
per second at 640x360 and 1920x1080. The command runs as a user runs it, start-up and all;
the parts are measured beside it, each step alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from avalign.errors import AvalignError, MissingDependencyError
from avalign.files import atomic_output
from avalign.media import Frame, iter_audio, iter_frames, open_video_writer, read_audio
from avalign.processes import cores
from avalign.types import AudioStream

FRAME_RATE = 25.0
SAMPLE_RATE_HZ = 48_000
SIZES = {"360p": ((640, 360), 6.0), "1080p": ((1920, 1080), 3.0)}
SPEED_LENGTH_S = 60.0
MEMORY_LENGTH_S = 600.0
MEMORY_BAR_MB = 700.0
POLL_S = 0.05
# In tolerance, out of it, and no reliable answer: in each case everything was measured.
OK_CODES = (0, 1, 4)

console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one clip was checked.

    Parameters
    ----------
    clip : str
        Which clip.
    length_s : float
        Its length.
    command_s : float
        Wall time of ``avalign check``.
    times_real_time, bar : float
        Length by wall time, and what it must reach.
    start_up_s, decode_s, landmarks_s, sound_s : float
        Wall time of each step alone; ``landmarks_s`` is reading lips less decoding.
    """

    clip: str
    length_s: float
    command_s: float
    times_real_time: float
    bar: float
    start_up_s: float
    decode_s: float
    landmarks_s: float
    sound_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak memory of a command with all processes it started.

    Parameters
    ----------
    length_s : float
        Length of the clip.
    proportional_mb : float
        Largest sum of the proportional set sizes: memory that processes share counts
        once. NaN where the system does not tell.
    resident_mb : float
        Largest sum of the resident set sizes: what is shared counts in each.
    processes : int
        Most processes at one time.
    bar_mb : float
        What must not be exceeded.
    """

    length_s: float
    proportional_mb: float
    resident_mb: float
    processes: int
    bar_mb: float = MEMORY_BAR_MB


def run_speed(video: Path, *, out: Path, memory: bool = False) -> None:
    """Measure, print a table, and write ``speed.json`` or ``memory.json``.

    Parameters
    ----------
    video : Path
        A talking face with sound.
    out : Path
        Folder to write to.
    memory : bool
        Measure peak memory on ten minutes instead of speed on one.
    """
    with tempfile.TemporaryDirectory() as folder:
        if memory:
            measured: list[Speed] | list[Memory] = [_measure_memory(video, Path(folder))]
        else:
            measured = [_measure_speed(video, name, Path(folder)) for name in SIZES]
    _print(measured)
    out.mkdir(parents=True, exist_ok=True)
    content = {"schema": 1, "cores": cores(), "results": [asdict(m) for m in measured]}
    with atomic_output(out / ("memory.json" if memory else "speed.json"), True) as temporary:
        Path(temporary).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def make_clip(video: Path, target: Path, size: tuple[int, int], length_s: float) -> None:
    """Repeat a video up to a length, at 25 pictures per second, scaled to fill a size.

    Parameters
    ----------
    video : Path
        A talking face with sound.
    target : Path
        The MP4 to write.
    size : tuple of int
        Width and height.
    length_s : float
        Wanted length.
    """
    import cv2

    audio = read_audio(video, rate_hz=SAMPLE_RATE_HZ)
    with open_video_writer(
        target, size=size, frame_rate=FRAME_RATE, sample_rate_hz=SAMPLE_RATE_HZ
    ) as writer:
        n_pictures = round(length_s * FRAME_RATE)
        written = 0
        while written < n_pictures:
            start_s = written / FRAME_RATE
            for image in islice(_steady(iter_frames(video)), n_pictures - written):
                fitted = cv2.resize(_cropped(image, size), size, interpolation=cv2.INTER_AREA)
                writer.write_frame(fitted.astype(np.uint8), written / FRAME_RATE)
                written += 1
            # As much sound as there were pictures, so that repetitions stay in step.
            shown_s = written / FRAME_RATE - start_s
            samples = np.zeros(round(shown_s * SAMPLE_RATE_HZ), np.float32)
            first = max(0, round(audio.start_s * SAMPLE_RATE_HZ))
            heard = audio.samples[: max(0, len(samples) - first)]
            samples[first : first + len(heard)] = heard
            writer.write_audio(AudioStream(samples, SAMPLE_RATE_HZ, start_s))


def _steady(frames: Iterator[Frame]) -> Iterator[NDArray[np.uint8]]:
    """Repeat and drop pictures, so that there are 25 per second."""
    shown: NDArray[np.uint8] | None = None
    ticks = 0
    for frame in frames:
        while shown is not None and ticks / FRAME_RATE < frame.time_s:
            yield shown
            ticks += 1
        shown = frame.image
    if shown is not None:
        yield shown


def _cropped(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Cut to the shape of the size, the middle in width and the upper part in height."""
    height, width = image.shape[:2]
    wanted = size[0] / size[1]
    if width / height > wanted:
        keep = round(height * wanted)
        left = (width - keep) // 2
        return image[:, left : left + keep]
    keep = round(width / wanted)
    top = (height - keep) // 4
    return image[top : top + keep]


def _measure_speed(video: Path, name: str, folder: Path) -> Speed:
    from avalign.streams import mfcc_and_speech
    from avalign.vision import lip_streams

    size, bar = SIZES[name]
    clip = folder / f"{name}.mp4"
    with console.status(f"making the {name} clip"):
        make_clip(video, clip, size, SPEED_LENGTH_S)
    with console.status(f"measuring {name}"):
        command_s = _seconds(lambda: _check(clip))
        start_up_s = _seconds(lambda: _avalign("--version"))
        decode_s = _seconds(lambda: sum(1 for _ in iter_frames(clip, max_side=1280)))
        lips_s = _seconds(lambda: lip_streams(clip))
        sound_s = _seconds(lambda: mfcc_and_speech(iter_audio(clip)))
    return Speed(
        name,
        SPEED_LENGTH_S,
        command_s,
        SPEED_LENGTH_S / command_s,
        bar,
        start_up_s,
        decode_s,
        max(0.0, lips_s - decode_s),
        sound_s,
    )


def _measure_memory(video: Path, folder: Path) -> Memory:
    clip = folder / "long.mp4"
    with console.status("making the ten-minute clip"):
        make_clip(video, clip, SIZES["360p"][0], MEMORY_LENGTH_S)
    with console.status("measuring memory"):
        process = subprocess.Popen(
            _command("check", str(clip)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        proportional, resident, processes = watch_memory(process)
    assert process.stderr is not None
    _require(process.returncode, process.stderr.read())
    return Memory(MEMORY_LENGTH_S, proportional, resident, processes)


def watch_memory(process: subprocess.Popen[bytes]) -> tuple[float, float, int]:
    """Watch a process and all it starts until it ends.

    Parameters
    ----------
    process : subprocess.Popen
        What to watch.

    Returns
    -------
    proportional_mb, resident_mb : float
        Largest sums in units of 1e6 bytes; the first is NaN where the system does not tell.
    processes : int
        Most processes at one time.
    """
    try:
        import psutil
    except ImportError as error:
        raise MissingDependencyError(
            "measuring memory needs psutil", "pip install 'avalign[bench]'"
        ) from error
    root = psutil.Process(process.pid)
    proportional, resident, processes = 0.0, 0.0, 0
    while process.poll() is None:
        shared_once, counted_each, alive = 0.0, 0.0, 0
        with suppress(psutil.Error):
            for each in [root, *root.children(recursive=True)]:
                with suppress(psutil.Error):
                    memory = each.memory_full_info()
                    shared_once += getattr(memory, "pss", float("nan"))
                    counted_each += memory.rss
                    alive += 1
        proportional = max(proportional, shared_once)
        resident, processes = max(resident, counted_each), max(processes, alive)
        time.sleep(POLL_S)
    return proportional / 1e6, resident / 1e6, processes


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def _command(*arguments: str) -> list[str]:
    beside = Path(sys.executable).with_name("avalign")
    program = str(beside) if beside.exists() else shutil.which("avalign")
    if program is None:
        raise MissingDependencyError("there is no avalign command", "install it: pip install .")
    return [program, *arguments]


def _check(clip: Path) -> None:
    done = subprocess.run(_command("check", str(clip)), capture_output=True, check=False)
    _require(done.returncode, done.stderr)


def _avalign(*arguments: str) -> None:
    subprocess.run(_command(*arguments), capture_output=True, check=True)


def _require(code: int, errors: bytes) -> None:
    if code not in OK_CODES:
        words = errors.decode(errors="replace").strip().splitlines()
        raise AvalignError(
            f"avalign check ended with {code}: {words[-1] if words else 'no message'}",
            "give a video that it can measure",
        )


def _print(measured: list[Speed] | list[Memory]) -> None:
    rows = [asdict(each) for each in measured]
    table = Table(title="avalign check, whole command", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("what", no_wrap=True)
    for row in rows:
        table.add_column(str(row.get("clip", "")), justify="right", no_wrap=True)
    for name in rows[0]:
        values = (row[name] for row in rows)
        cells = (f"{value:.2f}" if isinstance(value, float) else str(value) for value in values)
        table.add_row(name, *cells)
    Console().print(table)
