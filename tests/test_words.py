"""The words of a row, from its text or its file, as far as its span goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from avalign.data.rows import ManifestRow
from avalign.data.words import row_transcript
from avalign.errors import AvalignError


@pytest.fixture
def align(tmp_path: Path) -> Path:
    path = tmp_path / "a.align"
    path.write_text("0 12500 sil\n12500 25000 bin\n25000 50000 blue\n50000 62500 at\n")
    return path


def words(row: ManifestRow) -> list[tuple[str, float | None, float | None]]:
    transcript = row_transcript(row)
    assert transcript is not None
    return [(word.text, word.start_s, word.end_s) for word in transcript.words]


def test_nobody_states_the_words() -> None:
    assert row_transcript(ManifestRow(Path("/a.mp4"))) is None


def test_text_has_no_times() -> None:
    row = ManifestRow(Path("/a.mp4"), text="  to be  ")
    assert words(row) == [("to", None, None), ("be", None, None)]


def test_a_file_has_times_and_wins_over_text(align: Path) -> None:
    row = ManifestRow(Path("/a.mp4"), text="other", transcript=align)
    assert words(row) == [("bin", 0.5, 1.0), ("blue", 1.0, 2.0), ("at", 2.0, 2.5)]


def test_a_span_keeps_the_words_in_its_middle_on_its_own_clock(align: Path) -> None:
    row = ManifestRow(Path("/a.mp4"), transcript=align, start_s=1.25, end_s=2.2)
    assert words(row) == [("blue", 0.0, 0.75)]
    row = ManifestRow(Path("/a.mp4"), transcript=align, start_s=1.25)
    assert words(row) == [("blue", 0.0, 0.75), ("at", 0.75, 1.25)]


def test_words_without_times_are_all_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to be")
    row = ManifestRow(Path("/a.mp4"), transcript=tmp_path / "a.txt", start_s=1.0)
    assert words(row) == [("to", None, None), ("be", None, None)]


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AvalignError, match=r"gone\.txt"):
        row_transcript(ManifestRow(Path("/a.mp4"), transcript=tmp_path / "gone.txt"))
