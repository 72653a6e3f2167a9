"""The protocol of the sync benchmark, with estimators planted to know the answer.

The sound of the clips grows steadily louder and the lips move steadily, so that each row
of either stream tells at what time of its clip it was recorded: an estimator that looks
at nothing but a window can read the lag off exactly.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from avalign.audio import mfcc
from avalign.data.manifest import read_manifest
from avalign.data.windows import SourceClip
from avalign.errors import ParameterError
from avalign.types import AudioStream, ClipStreams, FeatureStream, LagCurve, LipStream
from benchmarks import sync
from benchmarks.cases import CANDIDATE_FRAMES, FRAME_S, Case, Clip, make_cases, measure
from benchmarks.own_lags import OwnLag, measure_own_lag, read_own_lags, write_own_lags
from benchmarks.tables import Bar, Table, make_tables

RATE_HZ, FRAME_RATE, LOUDER_DB_PER_S = 16_000, 25.0, 4.0


def sound_of(duration_s: float) -> AudioStream:
    """A buzz of 200 Hz that gets louder all the time."""
    samples = np.zeros(round(duration_s * RATE_HZ), np.float32)
    samples[:: RATE_HZ // 200] = 1.0
    level_db = LOUDER_DB_PER_S * (np.arange(len(samples)) / RATE_HZ - duration_s)
    return AudioStream((samples * 10 ** (level_db / 20)).astype(np.float32), RATE_HZ, 0.0)


def clip_of(
    name: str, duration_s: float, *, own_lag_s: float = 0.0, is_grid: bool = False
) -> Clip:
    times_s = np.arange(round(duration_s * FRAME_RATE)) / FRAME_RATE
    n = len(times_s)
    lips = LipStream(
        values=np.tile(times_s[:, None], 123).astype(np.float32),
        times_s=times_s,
        valid=np.ones(n, bool),
        kind="lips",
        landmarks=np.zeros((n, 41, 3), np.float32),
        head_pose=np.zeros((n, 3), np.float32),
        boxes=np.zeros((n, 4), np.float32),
        track_id=0,
        picture_size=(360, 288),
    )
    audio = replace(sound_of(duration_s), start_s=own_lag_s)
    rows = mfcc(audio)
    speech = FeatureStream(
        np.ones((len(rows), 1), np.float32), rows.times_s, rows.valid, "speech"
    )
    streams = ClipStreams(rows, speech, (lips,), name, duration_s, FRAME_RATE)
    speaker = f"speaker of {name}"
    return Clip(name, speaker, is_grid, True, own_lag_s, SourceClip(streams, audio))


def oracle_for(
    clips: list[Clip],
    *,
    error_s: float = 0.0,
    confidence: float = 0.97,
    reason: str | None = None,
) -> Callable[[ClipStreams, float], SimpleNamespace]:
    """An estimator that reads the lag off, and is off by so much."""
    loudness = {clip.name: clip.source.streams.mfcc for clip in clips}
    own_lag_s = {clip.name: clip.own_lag_s for clip in clips}

    def estimate(streams: ClipStreams, max_lag_s: float) -> SimpleNamespace:
        whole = loudness[streams.source]
        inner = slice(3, -3)  # rows at the ends hear half of a frame
        recorded_s = np.interp(
            streams.mfcc.values[inner, 0],
            whole.values[inner, 0],
            whole.times_s[inner] - own_lag_s[streams.source],
        )
        heard_s = np.median(streams.mfcc.times_s[inner] - recorded_s)
        lips = streams.lips[0]
        seen_s = np.median(lips.times_s - lips.values[:, 0])
        lag_s = float(heard_s - seen_s) + error_s
        lags_s = np.arange(-max_lag_s, max_lag_s + 1e-9, 0.01)
        curve = LagCurve(lags_s, -np.abs(lags_s - lag_s), np.zeros(len(lags_s)))
        alignment = SimpleNamespace(
            audio_lag_s=lag_s,
            interval_s=(lag_s - 0.02, lag_s + 0.02),
            confidence=confidence,
            curve=curve,
        )
        return SimpleNamespace(alignment=alignment, reason=reason)

    return estimate


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [
        clip_of("a.mp4", 14.0, own_lag_s=0.12),
        clip_of("b.mp4", 12.0, own_lag_s=-0.05),
        clip_of("c.mp4", 2.5),
        clip_of("g.mpg", 3.0, own_lag_s=0.02, is_grid=True),
    ]


@pytest.fixture(scope="module")
def cases(clips: list[Clip]) -> tuple[Case, ...]:
    return make_cases(clips, windows_per_clip=4)


def values(tables: tuple[Table, ...]) -> dict[str, float]:
    return {row.what: row.estimate.value for table in tables for row in table.rows}


@pytest.mark.slow
def test_truth_is_what_a_window_shows(clips: list[Clip], cases: tuple[Case, ...]) -> None:
    results = [r for r in measure(clips, cases, oracle_for(clips)) if r.case.task != "wrong"]
    assert {r.case.task for r in results} == {"natural", "grid", "whole", "parity"}
    for result in results:
        tolerance_s = 1e-9 if result.case.task == "parity" else 0.006
        assert result.error_s == pytest.approx(0, abs=tolerance_s), result.case


def test_an_oracle_passes_every_bar(clips: list[Clip], cases: tuple[Case, ...]) -> None:
    results = list(measure(clips, cases, oracle_for(clips)))
    tables = make_tables(results, clips, {"talking.mp4": 0.004})
    found = values(tables)
    for what in ("natural, 1 s", "natural, 2 s", "natural, 5 s", "natural, 10 s", "GRID, 3 s"):
        assert found[what] == 100.0
    assert found["natural, 5 s, median absolute error"] < 4
    assert found["talking.mp4"] == pytest.approx(4)
    assert found["mean own lag of GRID, speaker-balanced"] == pytest.approx(20, abs=4)
    assert found["mean own lag of in_sync, speaker-balanced"] == pytest.approx(
        (120 - 50 + 0 + 20) / 4, abs=4
    )
    assert found["distance from the frozen own lag, mean"] < 4
    assert found["expected calibration error, 10 bins"] == pytest.approx(0.03)
    assert found["95 % interval covers, answers"] == 100.0
    assert found["5 frames of context"] == found["15 frames of context"] == 100.0


def test_a_constant_error_is_seen(clips: list[Clip], cases: tuple[Case, ...]) -> None:
    oracle = oracle_for(clips, error_s=0.1)
    found = values(make_tables(list(measure(clips, cases, oracle)), clips, {}))
    assert found["natural, 5 s"] == found["GRID, 3 s"] == 0.0
    assert found["natural, 5 s, median absolute error"] == pytest.approx(100, abs=4)
    assert found["distance from the frozen own lag, mean"] == pytest.approx(100, abs=4)
    assert found["expected calibration error, 10 bins"] == pytest.approx(0.97)
    assert found["95 % interval covers, answers"] == 0.0
    # Two or three frames off, unless the outermost candidate catches the guess.
    truth = np.array([c.truth_s for c in cases if c.task == "parity" and c.length_s < 0.3])
    caught = 100 * np.mean(truth > 13.5 * FRAME_S)
    assert caught < 50
    assert found["5 frames of context"] == pytest.approx(caught)


def test_no_answer_is_a_miss_but_keeps_its_guess(
    clips: list[Clip], cases: tuple[Case, ...]
) -> None:
    oracle = oracle_for(clips, reason="too short")
    found = values(make_tables(list(measure(clips, cases, oracle)), clips, {}))
    assert found["natural, 2 s"] == 0.0
    assert found["natural, 2 s, best guess"] == 100.0
    assert np.isnan(found["95 % interval covers, answers"])
    assert found["95 % interval covers, best guesses"] == 100.0


@pytest.mark.slow
def test_no_estimate_is_a_miss_everywhere(clips: list[Clip], cases: tuple[Case, ...]) -> None:
    def silent(streams: ClipStreams, max_lag_s: float) -> SimpleNamespace:
        return SimpleNamespace(alignment=None, reason="no face")

    found = values(make_tables(list(measure(clips, cases, silent)), clips, {}))
    assert found["natural, 2 s, best guess"] == 0.0
    assert found["natural, 5 s, median absolute error"] == np.inf
    assert found["5 frames of context"] == 0.0
    assert found["AUROC"] == 0.5


def test_wrong_sound_comes_from_another_speaker(
    clips: list[Clip], cases: tuple[Case, ...]
) -> None:
    wrong = [case for case in cases if case.task == "wrong"]
    assert {(case.clip, case.sound) for case in wrong} == {
        ("a.mp4", "b.mp4"),
        ("b.mp4", "a.mp4"),
    }
    heard = []

    def listen(streams: ClipStreams, max_lag_s: float) -> SimpleNamespace:
        heard.append(float(np.median(streams.mfcc.values[:, 0])))
        return SimpleNamespace(alignment=None, reason="listening")

    list(measure(clips, wrong, listen))
    by_name = {clip.name: clip for clip in clips}
    for case, level in zip(wrong, heard, strict=True):
        donor = by_name[case.sound].source.streams.mfcc
        middle_s = case.start_s - case.injected_s + case.length_s / 2
        expected = np.interp(middle_s, donor.times_s, donor.values[:, 0])
        assert level == pytest.approx(expected, abs=0.5)


def test_right_and_wrong_are_told_apart_by_confidence(
    clips: list[Clip], cases: tuple[Case, ...]
) -> None:
    def sure(case: Case) -> float:
        return 0.95 if case.task != "wrong" or case.clip == "b.mp4" else 0.1

    results = [
        replace(result, confidence=sure(result.case))
        for result in measure(clips, cases, oracle_for(clips))
    ]
    found = values(make_tables(results, clips, {}))
    fraction_b = np.mean([r.case.clip == "b.mp4" for r in results if r.case.task == "wrong"])
    assert found["wrong sound with confidence >= 0.9"] == pytest.approx(100 * fraction_b)
    assert found["AUROC"] == pytest.approx(1 - fraction_b / 2)


def test_draws_are_those_of_the_next_seeds(clips: list[Clip], cases: tuple[Case, ...]) -> None:
    other = make_cases(clips, windows_per_clip=4, seed=1)
    both = make_cases(clips, windows_per_clip=4, draws=2)
    drawn_anew = [case for case in other if case.task != "whole"]
    # By their words: what has no truth, NaN, equals nothing.
    assert Counter(map(str, both)) == Counter(map(str, [*cases, *drawn_anew]))
    lags = {case.injected_s for case in cases if case.task == "natural"}
    assert lags.isdisjoint(case.injected_s for case in drawn_anew)


def test_lags_are_spread_over_the_range_and_parity_over_its_candidates() -> None:
    clip = clip_of("long.mp4", 60.0, own_lag_s=0.033)
    cases = make_cases([clip], windows_per_clip=400)
    natural = np.array([c.injected_s for c in cases if c.task == "natural"])
    assert np.abs(natural).max() <= 0.8
    counts, _ = np.histogram(natural, bins=8, range=(-0.8, 0.8))
    assert counts.min() > 0.7 * counts.mean()
    truth = np.array([c.truth_s for c in cases if c.task == "parity"]) / FRAME_S
    np.testing.assert_allclose(truth, np.round(truth), atol=1e-9)
    assert set(np.round(truth)) == set(CANDIDATE_FRAMES)


def test_windows_of_a_clip_do_not_depend_on_other_clips(clips: list[Clip]) -> None:
    alone = [case for case in make_cases(clips[:1]) if case.task != "wrong"]
    beside = [case for case in make_cases(clips) if case.task != "wrong"]
    assert alone == [case for case in beside if case.clip == "a.mp4"]
    assert make_cases(clips[:1], seed=1) != make_cases(clips[:1], seed=2)


def test_own_lags_survive_freezing(tmp_path: Path, clips: list[Clip]) -> None:
    oracle = oracle_for(clips)
    lags = {clip.name: measure_own_lag(clip.source.streams, oracle) for clip in clips}
    assert lags["a.mp4"] is not None
    assert lags["a.mp4"].lag_s == pytest.approx(0.12, abs=0.004)
    known = {name: lag for name, lag in lags.items() if lag is not None}
    write_own_lags(known, tmp_path / "lags.csv")
    read = read_own_lags(tmp_path / "lags.csv")
    assert read.keys() == known.keys()
    for name, lag in read.items():
        assert lag.lag_s == pytest.approx(known[name].lag_s, abs=1e-5)
        assert lag.confidence == pytest.approx(known[name].confidence, abs=1e-4)
    (tmp_path / "lags.csv").write_text("path,own_lag_ms\na,1\n")
    with pytest.raises(ParameterError, match="line 2"):
        read_own_lags(tmp_path / "lags.csv")


def test_rows_of_the_benchmark_are_natural_clips_and_grid_strangers(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "path,split,role,dataset,speaker\n"
        "natural,dev,in_sync,hdtf,x\n"
        "believed,dev,in_sync_unverified,natural,y\n"
        "dubbed,dev,suspected_dubbed,natural,z\n"
        "stranger,dev,in_sync,grid,s2\n"
        "s1,dev,in_sync,grid,s1\n"
        "other,train,in_sync,hdtf,w\n"
    )
    manifest = read_manifest(tmp_path / "manifest.csv")

    def names(split: str) -> list[str]:
        return [manifest.name_of(row) for row in sync.benchmark_rows(manifest, split)]

    assert names("dev") == ["natural", "believed", "stranger"]
    assert names("all") == ["natural", "believed", "stranger", "other"]


def test_a_clip_without_own_lag_says_how_to_measure_it(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,role\na.mp4,in_sync\n")
    manifest = read_manifest(tmp_path / "manifest.csv")
    with pytest.raises(ParameterError, match=r"a\.mp4 is not known.*own-lags"):
        sync.known_clips(manifest, manifest.rows, {"b.mp4": OwnLag(0, 0, 0, 1)})


def test_results_are_written_whole(
    tmp_path: Path,
    clips: list[Clip],
    cases: tuple[Case, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = list(measure(clips, cases, oracle_for(clips)))
    out = tmp_path / "new" / "folder"
    sync.report_results(results, clips, {"seed": 0}, out, samples={"talking.mp4": np.nan})
    written = json.loads((tmp_path / "new/folder/sync.json").read_text())
    assert written["settings"] == {"seed": 0}
    first = written["tables"][0]["rows"][0]
    assert first["estimate"]["value"] == 100.0
    assert first["bar"] == {"low": 55, "high": None, "goal": 70}
    with (tmp_path / "new/folder/sync-windows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(results)
    assert float(rows[0]["error_s"]) == pytest.approx(results[0].error_s, abs=1e-6)
    assert "natural, 10 s" in capsys.readouterr().out


def test_bars_hold_between_floor_and_ceiling() -> None:
    assert Bar(55, goal=70).holds(55)
    assert not Bar(55, goal=70).holds(54.9)
    assert not Bar(-20, 20).holds(float("nan"))
    assert Bar(55, goal=70).verdict(69) == "passed"
    assert Bar(55, goal=70).verdict(70) == "goal"
    assert Bar(55, goal=70).verdict(54) == Bar(high=10).verdict(float("nan")) == "MISSED"
    assert Bar(goal=75.8).verdict(70) == ""
    assert Bar(goal=75.8).verdict(76) == "goal"
    assert str(Bar(92, 98)) == ">= 92, <= 98"
    assert str(Bar(55, goal=70)) == ">= 55, goal 70"
