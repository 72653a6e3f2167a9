"""Accuracy by slice, from results whose errors are planted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avalign.data import ManifestRow, load_clip
from benchmarks.cases import Case, Clip, Result
from benchmarks.slices import describe_clip, draw_slices, slice_table

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "talking.mp4"


def clip_of(name, **slices):
    return Clip(name, f"speaker of {name}", False, True, 0.0, source=None, slices=slices)


def result_of(clip, error_s, *, length_s=5.0, reason="", task="natural"):
    case = Case(task, clip.name, clip.name, 0.0, length_s, 0.0, 0.0)
    return Result(case, error_s, error_s - 0.02, error_s + 0.02, 0.9, reason)


@pytest.fixture
def clips():
    rates = ("below 24", "24 to 28", "24 to 28", "from 31", "from 31")
    return [
        clip_of(f"{number}.mp4", language="pt", **{"frames per second": rate})
        for number, rate in enumerate(rates)
    ]


def test_each_slice_counts_its_own_windows(clips):
    errors_s = (0.1, 0.01, 0.1, 0.01, -0.03)
    results = [result_of(clip, error) for clip, error in zip(clips, errors_s, strict=True)]
    results += [result_of(clip, 1.0, length_s=2.0) for clip in clips]  # of another length
    results += [result_of(clip, 1.0, task="wrong") for clip in clips]
    rows = slice_table(results, clips).rows
    assert [(row.what, row.estimate.value, row.estimate.groups) for row in rows] == [
        ("frames per second: below 24", 0.0, 1),
        ("frames per second: 24 to 28", 50.0, 2),
        ("frames per second: from 31", 100.0, 2),
        ("language: pt", 60.0, 5),
    ]


def test_no_answer_and_no_estimate_are_misses(clips):
    results = [
        result_of(clips[0], 0.0, reason="the mouth is hidden"),
        result_of(clips[0], np.nan, reason="no face"),
        result_of(clips[0], 0.0),
    ]
    (row,) = (row for row in slice_table(results, clips).rows if "language" in row.what)
    assert row.estimate.value == pytest.approx(100 / 3)


def test_languages_are_graded_where_enough_speak_them(clips):
    def graded(chosen):
        results = [result_of(clip, 0.0) for clip in chosen]
        return [row.what for row in slice_table(results, chosen).rows if row.bar is not None]

    assert graded(clips) == ["language: pt"]
    assert graded([replace(clip, slices={"language": "unknown"}) for clip in clips]) == []
    assert graded(clips[:4]) == []


def test_a_clip_is_described_by_what_it_is():
    row = ManifestRow(SAMPLE, dataset="samples", language="en")
    slices = describe_clip(row, load_clip(SAMPLE))
    assert (slices["source"], slices["language"]) == ("samples", "en")
    assert slices["frames per second"] == "28 to 31"
    assert slices["yaw, degrees"] == "below 10"
    assert slices["frames with lips, %"] == "from 98"
    assert slices["face width, pixels"] in ("120 to 240", "from 240")


def test_the_figure_is_drawn(clips, tmp_path):
    table = slice_table([result_of(clip, 0.0) for clip in clips], clips)
    path = tmp_path / "slices.png"
    draw_slices(table, path)
    assert path.read_bytes().startswith(b"\x89PNG")
