"""The ablation, whole, on a tiny world: sentences of tones and lip openings."""

import json
import runpy
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import lips as still_face

from avalign.fusion.ranks import read_ranks
from avalign.recognition.ctc.alphabet import ENGLISH
from avalign.recognition.ctc.grammar import GRID
from avalign.recognition.material.utterances import Utterance
from avalign.recognition.model.recognizer import Recognizer
from avalign.recognition.model.settings import RecognizerSettings, StreamSettings
from avalign.streams.extraction import mfcc_and_speech
from avalign.types import AudioStream, ClipStreams, FeatureStream
from benchmarks.fusion.aligners import align_scenes, find_warp
from benchmarks.fusion.cells import read_cells
from benchmarks.fusion.material import make_material, moved
from benchmarks.fusion.page import page
from benchmarks.fusion.plan import ALIGNERS, MISALIGNMENTS, PRIMARY, Plan, Scene, planted_warp
from benchmarks.fusion.run import measure
from benchmarks.fusion.scores import Scores, number, recovery

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
RATE_HZ, WORD_S = 16_000, 0.4
SETTINGS = RecognizerSettings(
    streams={
        "audio": StreamSettings.of("mfcc"),
        "lips": StreamSettings.of("lip_points", components=4, velocity=True),
    },
    width=8,
    dropout=0.0,
    characters=ENGLISH.characters,
    vocabulary=GRID.vocabulary,
    word_rows=True,
)


def sentence(number):
    """Say a sentence of GRID's grammar, a tone and a lip shape for each word."""
    random = np.random.default_rng(number)
    words = [str(random.choice(slot.words)) for slot in GRID.slots]
    numbers = [1 + GRID.vocabulary.index(word) for word in words]
    time_s = np.arange(round(WORD_S * RATE_HZ)) / RATE_HZ
    samples = np.concatenate([np.sin(2 * np.pi * (200 + 100 * n) * time_s) for n in numbers])
    samples = 0.1 * samples + 0.003 * random.standard_normal(len(samples))
    sound = AudioStream(samples.astype(np.float32), RATE_HZ, 0.0)
    duration_s = len(samples) / RATE_HZ
    face = still_face(duration_s=duration_s)
    world = np.random.default_rng(7).normal(size=(len(GRID.vocabulary) + 1, 123))
    said = [numbers[min(int(t / WORD_S), len(numbers) - 1)] for t in face.times_s]
    rows = 0.1 * world[said] + 0.002 * random.standard_normal((len(said), 123))
    pixels = 200 * rows.reshape(len(rows), 41, 3)
    face = replace(face, values=rows.astype(np.float32), landmarks=pixels.astype(np.float32))
    lips = FeatureStream(face.values, face.times_s, face.valid, "lips")
    text = " ".join(words)
    utterance = Utterance(
        f"clip{number}",
        "someone",
        sound,
        {"lips": lips},
        round(duration_s * 50) + 1,
        text=text,
        tokens=ENGLISH.encode(text),
        words=tuple((WORD_S * k, WORD_S * (k + 1), n) for k, n in enumerate(numbers)),
    )
    mfcc, speech = mfcc_and_speech(iter([sound]))
    return utterance, ClipStreams(mfcc, speech, (face,), f"clip{number}", duration_s, 25.0)


FACTS = {"encoders": "random", "corpus": "tests, 1 speaker"}


@pytest.fixture(scope="module")
def material():
    torch.set_num_threads(1)
    return make_material(
        [sentence(number)[0] for number in range(6)],
        [sentence(100 + number) for number in range(3)],
        seed=0,
    )


@pytest.fixture(scope="module")
def run(material, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    plan = Plan(("early", "gmu"), seeds=2, steps=3, versions=2, quick=True, batch_size=4)
    torch.manual_seed(0)
    model = Recognizer(SETTINGS).eval()
    path = measure(model, material, plan, folder, FACTS)
    return model, plan, folder, json.loads(path.read_text())


def test_misalignments_are_what_they_say():
    random = np.random.default_rng(0)
    at_s = np.array([0.0, 1.0, 2.0])

    def lag_s(name):
        return planted_warp(name, 3.0, random).to_other(at_s) - at_s

    np.testing.assert_allclose(lag_s("in_sync"), 0, atol=1e-12)
    np.testing.assert_allclose(lag_s("lag-320"), -0.32)
    np.testing.assert_allclose(lag_s("drift"), [0.0, 0.03, 0.06])
    for _ in range(20):
        warp = planted_warp("warp", 3.0, random)
        assert (np.diff(warp.other_s) > 0).all()
        assert np.abs(warp.lag_s).max() < 0.35
        assert np.ptp(warp.lag_s) > 0.02


def test_plans_hold_every_scene_and_quick_ones_what_the_results_need():
    full = {scene.key for scene in Plan(("early",)).scenes}
    quick = {scene.key for scene in Plan(("early",), quick=True).scenes}
    assert quick < full
    aligned = len(MISALIGNMENTS) * len(ALIGNERS) - 1  # in sync there is nothing to undo
    assert sum("audio+lips" in key for key in full) == 3 * aligned + 4  # and levels for gates
    for aligner in ALIGNERS:
        assert Scene("lag+320", aligner, 0.0).key in quick
    assert PRIMARY.key in quick


def test_the_oracle_undoes_what_was_planted(material):
    clip = material.test[0]
    planted = clip.planted("warp")
    heard = moved(clip.streams.mfcc, planted)
    undone = moved(heard, find_warp("oracle", clip.streams, planted).inverse)
    np.testing.assert_allclose(undone.times_s, clip.streams.mfcc.times_s, atol=1e-9)
    untouched = find_warp("none", clip.streams, planted)
    np.testing.assert_allclose(untouched.to_other([0.3]), 0.3)


def test_aligners_find_a_lag_that_was_planted_in_a_real_way(material, monkeypatch, tmp_path):
    """Sound and lips from one rhythm: raw DTW has a metric in common, and finds the lag."""
    rows = np.random.default_rng(1).normal(size=(60, 13)).cumsum(axis=0).astype(np.float32)
    rows = np.repeat(rows, 2, axis=0)
    valid = np.ones(120, bool)
    sound = FeatureStream(rows, np.arange(120) / 50, valid, "mfcc")
    face = still_face(duration_s=2.4)
    seen = replace(face, values=np.pad(rows[::2], [(0, 0), (0, 110)]))
    monkeypatch.setattr("benchmarks.fusion.aligners._components", lambda rows: rows[:, :13])
    streams = replace(material.test[0].streams, mfcc=sound, lips=(seen,))
    late = replace(streams, mfcc=replace(sound, values=np.roll(rows, 10, axis=0)))
    lag_s = find_warp("raw_dtw", late, planted_warp("in_sync", 1, None)).to_other(1.2) - 1.2
    assert lag_s == pytest.approx(0.2, abs=0.03)


def test_noise_has_its_level_and_is_the_same_at_all_of_them(material):
    clip = material.test[0]
    clean = clip.sound_at(None).samples
    loud, soft = (clip.sound_at(level).samples - clean for level in (-5.0, 10.0))
    power = np.mean(np.square(clean, dtype=float))
    assert 10 * np.log10(power / np.mean(np.square(loud, dtype=float))) == pytest.approx(
        -5, abs=0.01
    )
    np.testing.assert_allclose(loud / loud.std(), soft / soft.std(), atol=0.01)


def test_the_whole_ablation_runs_and_tells_everything(run):
    _, plan, folder, results = run
    assert [one["rank"] for one in results["families"]] == [1, 2]
    assert {one["name"] for one in results["families"]} == {"early", "gmu"}
    rates = [one["wer"]["0dB"]["grammar"]["value"] for one in results["families"]]
    assert rates == sorted(rates)
    assert results["decoding"] == "grammar"
    assert set(results["single_streams"]) == {"audio_alone", "lips_alone"}
    assert set(results["recovery"]["0dB"]) == {"lag-320", "lag+320", "drift", "warp"}
    assert set(results["in_sync_penalty"]) == {"clean", "0dB", "-5dB"}
    assert len(results["cost"]["0dB"]) == len(MISALIGNMENTS) - 1
    assert results["early"]["of"] == 2
    assert set(results["gates"]) == {"gmu"}
    assert all("lips left, clean" in one["missing"] for one in results["families"])
    assert results["left_out"] == []
    written = (folder / "fusion-ablation.md").read_text()
    assert written == page(results)
    assert "| 1 | `" in written
    assert (folder / "fusion-ablation.png").read_bytes()[:4] == b"\x89PNG"
    cells = read_cells(folder, plan.families)
    assert [cell["seed"] for cell in cells["gmu"]] == [0, 1]
    for cell in cells["early"]:
        assert set(cell["scenes"]) == {scene.key for scene in plan.scenes}
        assert all(len(scene["errors"]["grammar"]) == 3 for scene in cell["scenes"].values())


def test_a_second_run_does_nothing_anew(run, material):
    model, plan, folder, results = run
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.[nj][ps][zo]*")}
    (folder / "cells" / "gmu-1.json").unlink()
    again = measure(model, material, plan, folder, FACTS)
    repeated = json.loads(again.read_text())
    assert _without_times(repeated) == _without_times(results)
    stayed = [path for path, time in kept.items() if path.stat().st_mtime_ns == time]
    assert {path.name for path in kept} - {path.name for path in stayed} <= {
        "gmu-1.json", "results.json",
    }  # fmt: skip
    assert any("scenes" in str(path) for path in stayed)


def test_a_folder_of_another_run_is_refused(run, material):
    model, plan, folder, _ = run
    with pytest.raises(ValueError, match=r"encoders='random', not 'others'"):
        measure(model, material, plan, folder, {"encoders": "others"})


def test_what_there_is_no_time_for_is_left_out_and_said(run, material, tmp_path):
    model, plan, folder, _ = run
    later = replace(plan, families=("early", "gmu", "late_average"), seeds=1)
    path = measure(model, material, later, folder, {"encoders": "random"}, deadline=0.0)
    results = json.loads(path.read_text())
    assert results["left_out"] == ["late_average-0"]
    assert "late_average-0" in page(results)


def test_alignments_are_kept(material, tmp_path):
    scenes = [Scene("lag+160", "lag_search"), Scene("lag+160", "oracle")]
    told = []
    first = align_scenes(
        material.test, scenes, tmp_path / "a.json", jobs=1, progress=lambda *n: told.append(n)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    again = align_scenes(
        material.test, scenes, tmp_path / "a.json", jobs=1, progress=lambda *n: told.append(n)
    )
    assert len(told) == 3
    for clip, found in first.items():
        for key, warp in found.items():
            np.testing.assert_array_equal(warp.other_s, again[clip][key].other_s)
    name = material.test[0].utterance.name
    np.testing.assert_allclose(first[name]["lag+160/oracle/0dB"].lag_s, 0.16)


def test_scores_are_those_of_known_errors():
    def cell(*errors):
        told = {PRIMARY.key: {"errors": {"greedy": list(errors)}, "audio_weight": []}}
        return {"scenes": told}

    texts = ["a b c d", "a b", "a b c d"]
    scores = Scores({"x": [cell(1, 0, 1), cell(3, 0, 1)], "y": [cell(0, 0, 0)]}, texts, 0)
    assert scores.wer("x", PRIMARY)[0] == pytest.approx(30.0)
    assert scores.by_seed("x", PRIMARY) == [20.0, 40.0]
    told = number(scores.wer("x", PRIMARY) - scores.wer("y", PRIMARY))
    assert told["value"] == pytest.approx(30.0)
    assert 0 <= told["low"] < 30 < told["high"] <= 50


def test_recovery_is_undefined_where_nothing_was_lost():
    found = recovery(np.array([30.0, 10.0]), np.array([12.0, 9.0]), np.array([10.0, 10.0]))
    assert found[0] == pytest.approx(90.0)
    assert np.isnan(found[1])
    assert number(np.array([np.nan, 1.0])) == {"value": None, "low": None, "high": None}


def test_documentation_and_ranks_are_made_of_the_results(run, tmp_path, monkeypatch):
    *_, results = run
    kept = tmp_path / "results.json"  # the run's own may be of a later plan by now
    kept.write_text(json.dumps(results))
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "avalign" / "fusion").mkdir(parents=True)
    make = runpy.run_path(str(ROOT / "docs" / "make_fusion_ablation.py"))
    assert make["main"](str(kept), str(kept), root=tmp_path) == 0
    written = (tmp_path / "docs" / "fusion-ablation.md").read_text()
    first, second = written.split("## The same on tests, 1 speaker")
    assert first == page(results) + "\n"
    assert second.count("\n### ") == 4
    assert (tmp_path / "docs" / "images" / "fusion-ablation.png").stat().st_size > 10_000
    monkeypatch.setattr(resources, "files", lambda package: tmp_path / "avalign" / "fusion")
    read_ranks.cache_clear()
    try:
        told = read_ranks()
    finally:
        read_ranks.cache_clear()
    best = results["families"][0]
    assert (told[best["name"]].place, told[best["name"]].of) == (1, 2)
    assert told[best["name"]].error == best["wer"]["0dB"]["grammar"]["value"]
    assert str(told[best["name"]]).startswith("1 of 2: ")


def _without_times(value):
    if isinstance(value, dict):
        return {name: _without_times(one) for name, one in value.items() if name != "cpu_s"}
    return [_without_times(one) for one in value] if isinstance(value, list) else value
