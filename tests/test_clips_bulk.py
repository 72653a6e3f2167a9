"""Clips of a whole manifest: in parallel, resumable, whatever some of the files are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from media import Recipe, make_clip

from avalign.data import clips
from avalign.data.rows import ManifestRow
from avalign.errors import AvalignError, MediaError, NoAudioError, ParameterError
from avalign.streams import extraction

SMALL = Recipe(events_s=(0.2, 0.6), duration_s=1.0, size=(64, 48))


@pytest.fixture
def rows(tmp_path: Path) -> list[ManifestRow]:
    return [
        ManifestRow(
            make_clip(
                tmp_path / f"{number}.mp4",
                Recipe(events_s=(0.1 * number,), duration_s=0.8, size=(64, 48)),
            )
        )
        for number in range(3)
    ]


@pytest.fixture
def extracted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were really extracted."""
    calls: list[str] = []
    real = extraction.extract

    def counted(path: Path, **settings: object) -> object:
        calls.append(Path(path).name)
        return real(path, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr("avalign.streams.extract", counted)
    return calls


def test_clips_come_in_order_and_are_extracted_once(
    tmp_path: Path, rows: list[ManifestRow], extracted: list[str]
) -> None:
    cache = tmp_path / "cache"
    clips.load_clip(rows[1].path, cache_dir=cache)
    fractions: list[float] = []
    wanted = [rows[2], rows[0], rows[1], rows[2]]
    loaded = list(clips.load_clips(wanted, cache_dir=cache, jobs=1, progress=fractions.append))
    assert [one.row for one in loaded] == wanted
    assert sorted(extracted) == ["0.mp4", "1.mp4", "2.mp4"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    for one in loaded:
        assert one.error is None
        expected = clips.load_clip(one.row.path, cache_dir=cache)
        assert one.clip is not None
        np.testing.assert_array_equal(one.clip.audio.samples, expected.audio.samples)


def test_bad_files_do_not_stop_the_rest(
    tmp_path: Path, rows: list[ManifestRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = make_clip(tmp_path / "silent.mp4", SMALL, sound=False)
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(b"\0" * 999)
    bad = [ManifestRow(path) for path in (silent, noise, tmp_path / "missing.mp4")]
    real = extraction.extract

    def extract(path: Path, **settings: object) -> object:
        if Path(path) == rows[0].path:
            raise RuntimeError("who could know")
        return real(path, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr("avalign.streams.extract", extract)
    loaded = list(clips.load_clips([*bad, *rows], cache_dir=tmp_path / "cache", jobs=1))
    errors = [one.error for one in loaded]
    assert [type(error) for error in errors[:3]] == [NoAudioError, MediaError, MediaError]
    assert type(errors[3]) is AvalignError
    assert errors[3].exit_code == 70
    assert "0.mp4: a defect: RuntimeError: who could know" in errors[3].message
    assert errors[4:] == [None, None]
    assert all((one.clip is None) == (one.error is not None) for one in loaded)


def test_spans_are_cut_and_start_at_zero(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "long.mp4", Recipe(duration_s=2.0, size=(64, 48)))
    spans = [
        ManifestRow(path, start_s=0.5, end_s=1.25),
        ManifestRow(path, start_s=1.5),
        ManifestRow(path, start_s=9.0),
    ]
    first, second, beyond = clips.load_clips(spans, cache_dir=tmp_path / "cache", jobs=1)
    assert first.clip is not None
    assert second.clip is not None
    whole = clips.load_clip(path, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(first.clip.audio.samples, whole.audio.samples[8_000:20_000])
    assert first.clip.audio.start_s == 0.0
    assert first.clip.streams.duration_s == 0.75
    assert first.clip.streams.mfcc.times_s[0] == 0.0
    assert second.clip.streams.duration_s == pytest.approx(0.5, abs=0.05)
    assert isinstance(beyond.error, ParameterError)
    assert "before the row's start" in beyond.error.message


def test_separate_sound_is_read_and_kept_apart(tmp_path: Path, extracted: list[str]) -> None:
    picture = make_clip(tmp_path / "picture.mp4", SMALL, sound=False)
    for name, event_s in (("one.mp4", 0.1), ("two.mp4", 0.7)):
        make_clip(tmp_path / name, Recipe(events_s=(event_s,), duration_s=1.0), picture=False)
    rows = [ManifestRow(picture, audio=tmp_path / name) for name in ("one.mp4", "two.mp4")]
    for _ in range(2):
        loaded = list(clips.load_clips(rows, cache_dir=tmp_path / "cache", jobs=1))
        loudest_s = [
            int(np.argmax(np.abs(one.clip.audio.samples))) / 16_000 if one.clip else -1
            for one in loaded
        ]
        assert loudest_s == pytest.approx([0.1, 0.7], abs=0.02)
    assert extracted == ["picture.mp4", "picture.mp4"]


def test_the_number_of_jobs_is_checked_at_the_call(rows: list[ManifestRow]) -> None:
    with pytest.raises(ParameterError, match="jobs is 0"):
        clips.extract_clips(rows, jobs=0)
    assert list(clips.extract_clips([])) == []


@pytest.mark.slow
def test_processes_extract_the_same(tmp_path: Path, rows: list[ManifestRow]) -> None:
    missing = ManifestRow(tmp_path / "missing.mp4")
    done = list(clips.extract_clips([*rows, missing], cache_dir=tmp_path / "two", jobs=2))
    assert {one.row.path.name for one in done if one.error is None} == {
        "0.mp4",
        "1.mp4",
        "2.mp4",
    }
    assert [type(one.error) for one in done if one.error] == [MediaError]
    here = clips.load_clip(rows[0].path, cache_dir=tmp_path / "one")
    there = clips.load_clip(rows[0].path, cache_dir=tmp_path / "two")
    np.testing.assert_array_equal(here.streams.mfcc.values, there.streams.mfcc.values)
    np.testing.assert_array_equal(here.audio.samples, there.audio.samples)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is not of Windows")
def test_a_killed_extraction_goes_on_where_it_was(tmp_path: Path) -> None:
    names = [f"{number}.mp4" for number in range(6)]
    for number, name in enumerate(names):
        make_clip(tmp_path / name, Recipe(events_s=(0.1 * number,), size=(64, 48)))
    (tmp_path / "manifest.csv").write_text("path\n" + "\n".join(names) + "\n")
    cache = tmp_path / "cache"
    code = "import sys; from avalign_cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "data", "extract", "manifest.csv"]
    command += ["--cache", "cache", "-j", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as killed:
        while killed.poll() is None and not list(cache.glob("[!.]*.streams.npz")):
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in cache.glob("[!.]*.streams.npz")}
    assert 1 <= len(before) < 6
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files = "1 file" if len(before) == 5 else f"{6 - len(before)} files"
    assert done.stdout == f"manifest.csv: {files} extracted, {len(before)} there already.\n"
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())
    assert len(list(cache.glob("[!.]*.streams.npz"))) == 6
