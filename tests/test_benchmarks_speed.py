"""The speed benchmark: the clips it makes, and the memory it sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avalign.media import iter_frames, probe, read_audio
from avalign.media.writing.video_writer import open_video_writer
from avalign.types import AudioStream
from benchmarks.__main__ import main
from benchmarks.speed import make_clip, watch_memory

BLOCK_BYTES = 200_000_000


def test_repetitions_stay_in_step(tmp_path: Path) -> None:
    # 1 s at 12.5 pictures per second; picture and sound change at 0.48 s.
    source, target = tmp_path / "source.mp4", tmp_path / "clip.mp4"
    tone = np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000).astype(np.float32)
    tone[: round(0.48 * 48_000)] = 0
    with open_video_writer(
        source, size=(64, 64), frame_rate=12.5, sample_rate_hz=48_000
    ) as writer:
        writer.write_audio(AudioStream(0.5 * tone, 48_000, 0.0))
        for i in range(13):
            image = np.full((64, 64, 3), 200 if i >= 6 else 20, np.uint8)
            writer.write_frame(image, i / 12.5)
    make_clip(source, target, (64, 36), 3.0)
    clip = probe(target)
    assert (clip.video_tracks[0].width, clip.video_tracks[0].height) == (64, 36)
    frames = list(iter_frames(target))
    assert len(frames) == 75
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(75) / 25, atol=1e-4)
    bright = np.array([f.image.mean() > 100 for f in frames])
    audio = read_audio(target)
    heard = [
        np.abs(audio.samples[round((f.time_s + 0.01 - audio.start_s) * 16_000) :][:320]).max()
        > 0.1
        for f in frames
    ]
    changes = np.flatnonzero(np.diff(bright.astype(int)) == 1)
    assert len(changes) == 3
    np.testing.assert_array_equal(np.diff(changes), [25, 25])
    assert np.mean(bright == np.array(heard)) > 0.97


@pytest.mark.slow
def test_memory_of_children_counts(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    child = f"x = bytearray({BLOCK_BYTES}); import time; time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent])
    proportional_mb, resident_mb, processes = watch_memory(process)
    assert process.returncode == 0
    assert processes == 2
    block_mb = BLOCK_BYTES / 1e6
    assert block_mb < resident_mb < block_mb + 100
    if np.isfinite(proportional_mb):
        assert block_mb < proportional_mb <= resident_mb + 1


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["sync", "--data", "missing.csv"], 3, "missing.csv: no such file"),
        (["own-lags", "--data", "missing.csv"], 3, "missing.csv: no such file"),
        (["speed", "missing.mp4"], 3, "missing.mp4: no such file"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("benchmarks: ")
    assert expected in last


@pytest.mark.parametrize(
    "arguments", [[], ["sync"], ["sync", "--data", "x", "--windows-per-clip", "0"]]
)
def test_wrong_usage_exits_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
