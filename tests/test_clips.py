"""Extracted clips are kept, and found again only where they still hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avalign.data import clips
from avalign.errors import MediaError
from avalign.media.writing.video_writer import open_video_writer
from avalign.streams import extraction
from avalign.types import AudioStream


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    noise = 0.1 * np.random.default_rng(0).normal(size=16_000).astype(np.float32)
    with open_video_writer(path, size=(64, 64), frame_rate=25, sample_rate_hz=16_000) as writer:
        writer.write_audio(AudioStream(noise, 16_000, 0.0))
        for i in range(25):
            writer.write_frame(np.full((64, 64, 3), 9 * i, np.uint8), i / 25)
    return path


@pytest.fixture
def extracted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Names of the files that were really extracted."""
    calls: list[Path] = []
    real = extraction.extract

    def counted(path: Path, **settings: object) -> object:
        calls.append(Path(path))
        return real(path, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr("avalign.streams.extract", counted)
    return calls


def test_a_clip_is_extracted_once_whatever_its_name(
    tmp_path: Path, video: Path, extracted: list[Path]
) -> None:
    first = clips.load_clip(video, cache_dir=tmp_path / "cache")
    again = clips.load_clip(video.rename(tmp_path / "other.mp4"), cache_dir=tmp_path / "cache")
    assert len(extracted) == 1
    np.testing.assert_array_equal(first.audio.samples, again.audio.samples)
    assert first.audio.start_s == again.audio.start_s
    assert first.audio.sample_rate_hz == again.audio.sample_rate_hz == 16_000
    np.testing.assert_array_equal(first.streams.mfcc.values, again.streams.mfcc.values)
    assert first.streams.frame_rate == again.streams.frame_rate == 25.0


def test_other_bytes_and_other_code_are_extracted_anew(
    tmp_path: Path, video: Path, extracted: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clips.load_clip(video, cache_dir=tmp_path / "cache")
    with video.open("ab") as file:
        file.write(b"\0\0\0\x08free")
    clips.load_clip(video, cache_dir=tmp_path / "cache")
    assert len(extracted) == 2
    monkeypatch.setattr("avalign.streams.EXTRACTION_VERSION", 0)
    clips.load_clip(video, cache_dir=tmp_path / "cache")
    assert len(extracted) == 3


@pytest.mark.parametrize("kind", ["streams", "audio"])
def test_a_damaged_cache_is_as_good_as_none(
    tmp_path: Path, video: Path, extracted: list[Path], kind: str
) -> None:
    clips.load_clip(video, cache_dir=tmp_path / "cache")
    (kept,) = (tmp_path / "cache").glob(f"*.{kind}.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    clips.load_clip(video, cache_dir=tmp_path / "cache")
    assert len(extracted) == 2
    clips.load_clip(video, cache_dir=tmp_path / "cache")
    assert len(extracted) == 2


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path, video: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MediaError, match="cannot be made"):
        clips.load_clip(video, cache_dir=tmp_path / "file" / "cache")
    with pytest.raises(MediaError, match="no such file"):
        clips.load_clip(tmp_path / "missing.mp4", cache_dir=tmp_path)


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert clips.default_cache_dir() == tmp_path / "avalign" / "clips"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert clips.default_cache_dir().is_relative_to(Path.home())
