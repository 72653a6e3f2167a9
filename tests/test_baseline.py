"""The baseline: frames against planted mouths, and lags against planted clips."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from avalign.data.clips import LoadedClip
from avalign.data.manifest import read_manifest
from avalign.errors import NoFaceError, ParameterError
from avalign.space.cca import CCA
from avalign.space.frames import FrameSpace, audio_frames, lip_frames, lip_measures
from avalign.space.kernel_cca import KernelCCA
from avalign.train.space import baseline
from avalign.train.space.baseline import (
    BaselinePlan,
    baseline_clip,
    fit_baseline,
    train_baseline,
)
from avalign.train.space.own_lag import own_lag_s
from avalign.types import ClipStreams, FeatureStream, LipStream
from benchmarks import sync
from benchmarks.estimators import baseline_estimator

RING = np.linspace(0, 2 * np.pi, 20, endpoint=False)
SMALL = BaselinePlan(kernel=False, n_components=2)


def mouth(width, height, *, protrusion=0.0, chin=1.0, thickness=0.1):
    """Lip points of an elliptic mouth, the ring beginning at the left corner, downwards."""
    points = np.zeros((41, 3))
    for rows, grown in ((slice(20), thickness), (slice(20, 40), 0.0)):
        points[rows, 0] = -(width / 2 + grown) * np.cos(RING)
        points[rows, 1] = (height / 2 + grown) * np.sin(RING)
        points[rows, 2] = protrusion * np.abs(np.sin(RING))
    points[40, 1] = chin
    return points.reshape(-1)


def lip_stream(values, times_s, valid=None):
    values = np.asarray(values, np.float32)
    count = len(values)
    return LipStream(
        values=values,
        times_s=times_s,
        valid=np.ones(count, bool) if valid is None else valid,
        kind="lips",
        landmarks=100 * values.reshape(count, 41, 3),
        head_pose=np.zeros((count, 3), np.float32),
        boxes=np.tile(np.float32([0.4, 0.2, 0.6, 0.7]), (count, 1)),
        track_id=0,
        picture_size=(640, 480),
    )


def voice(seed):
    """Two smooth signals of speech's pace that are not repeated: a function of time."""
    random = np.random.default_rng(seed)
    hz, phases = random.uniform(1.0, 6.0, (2, 12)), random.uniform(0, 2 * np.pi, (2, 12))

    def at(times_s):
        return np.sin(2 * np.pi * hz * times_s[:, None, None] + phases).mean(axis=2)

    return at


def planted(lag_s, seed, *, duration_s=8.0, noise=0.3, frame_rate=25.0):
    """A clip whose mouth moves with its sound, which is late by so much."""
    random = np.random.default_rng(seed + 1000)
    said = voice(seed)
    heard_s = np.arange(round(100 * duration_s)) / 100
    mixing = np.random.default_rng(99).normal(size=(2, 13))
    sound = 20 * said(heard_s - lag_s) @ mixing
    sound += noise * sound.std() * random.normal(size=sound.shape)
    seen_s = np.arange(round(frame_rate * duration_s)) / frame_rate
    opening, chin = said(seen_s).T
    shapes = [
        mouth(0.6 - 0.1 * o, 0.3 + 0.2 * o, chin=1 + 0.1 * c)
        for o, c in zip(opening, chin, strict=True)
    ]
    mfcc = FeatureStream(sound.astype(np.float32), heard_s, np.ones(len(heard_s), bool), "mfcc")
    speech = FeatureStream(
        np.ones((len(heard_s), 1), np.float32), heard_s, mfcc.valid, "speech"
    )
    return ClipStreams(
        mfcc, speech, (lip_stream(shapes, seen_s),), f"{seed}.mp4", duration_s, frame_rate
    )


def test_measures_of_a_planted_mouth():
    found = lip_measures(np.float32([mouth(0.6, 0.4, protrusion=0.05, chin=1.2)]))[0]
    polygon = 10 * np.sin(2 * np.pi / 20)  # area of 20 points on the unit circle
    beside = (1 + 2 * np.cos(2 * np.pi / 20)) / 3
    wanted = [
        *(0.6, 0.4 * beside, 0.8, 0.6),
        *(polygon * 0.4 * 0.3, polygon * 0.3 * 0.2),
        *(1.2, 0.05, 0.1, 0.1),
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def swing(hz, *, duration_s=10.0, valid=None):
    times_s = np.arange(round(50 * duration_s)) / 50
    shapes = [mouth(0.6, 0.3 + 0.1 * np.sin(2 * np.pi * hz * t)) for t in times_s]
    return lip_stream(shapes, times_s, valid)


def test_lip_frames_hold_moves_at_the_pace_of_speech_only():
    # A quick move over a slow one of three times its size: what is left is the quick one.
    times_s = np.arange(500) / 50
    quick = np.sin(2 * np.pi * 4 * times_s)
    slow = 3 * np.sin(2 * np.pi * 0.1 * times_s)
    shapes = [mouth(0.6, 0.5 + 0.1 * height) for height in quick + slow]
    height = lip_frames(lip_stream(shapes, times_s)).values[50:-50, 40]
    np.testing.assert_allclose(height, np.sqrt(2) * quick[50:-50], atol=0.15)


def test_frames_hold_their_context_in_order():
    frames = lip_frames(swing(3.0))
    assert frames.values.shape == (500, 100)
    assert frames.kind == "frames"
    for tap, step in enumerate(range(-4, 5, 2)):
        middle, beside = (
            frames.values[10:400, 40:60],
            frames.values[:, 20 * tap : 20 * tap + 20],
        )
        np.testing.assert_array_equal(beside[10 - step : 400 - step], middle)
    sound = audio_frames(planted(0.0, 0).mfcc)
    assert sound.values.shape == (800, 117)
    rows = sound.values[:, 52:65]
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(rows.std(axis=0), 1, atol=1e-3)
    np.testing.assert_array_equal(sound.values[24:, :13], rows[:-24])


def test_rows_that_cannot_be_used_are_zero_and_disturb_no_others():
    valid = np.ones(500, bool)
    valid[200:240] = False
    whole, holed = lip_frames(swing(3.0)), lip_frames(swing(3.0, valid=valid))
    assert not holed.valid[201:239].any()
    assert (holed.values[~holed.valid] == 0).all()
    np.testing.assert_allclose(holed.values[:180, 40], whole.values[:180, 40], atol=0.3)
    usable = np.zeros(500, bool)
    usable[100:300] = True
    assert lip_frames(swing(3.0), usable).times_s[0] == 2.0
    nothing = lip_frames(swing(3.0), np.zeros(500, bool))
    assert nothing.values.shape == (0, 100)
    assert lip_frames(swing(3.0, duration_s=0.02)).values.shape == (1, 100)


def test_streams_of_the_wrong_width_are_refused():
    short = FeatureStream(np.zeros((5, 12), np.float32), np.arange(5.0), np.ones(5, bool), "x")
    with pytest.raises(ParameterError, match=r"\(5, 12\)"):
        audio_frames(short)
    with pytest.raises(ParameterError, match=r"\(5, 12\)"):
        lip_frames(short)


@pytest.fixture(scope="module")
def space():
    lags_s = [0.08, -0.04, 0.02, 0.06]
    clips = [baseline_clip(planted(s, n), "abbb"[n], 1.0) for n, s in enumerate(lags_s)]
    return SimpleNamespace(fitted=fit_baseline(clips, SMALL), clips=clips, lags_s=lags_s)


@pytest.mark.slow
def test_own_lags_are_found_and_the_speakers_mean_is_zero(space):
    found = np.array(
        [own_lag_s(space.fitted, clip.mfcc, clip.lips, clip.lips_valid) for clip in space.clips]
    )
    # Speaker a is at 80 ms, b at 13 ms on average.
    expected = np.array(space.lags_s) - (0.08 + 0.04 / 3) / 2
    np.testing.assert_allclose(found - space.fitted.zero_lag_s, expected, atol=0.006)


@pytest.mark.parametrize("kernel", [False, True])
def test_estimates_find_the_lag_of_clips_never_seen(kernel):
    clips = [baseline_clip(planted(0.0, seed), str(seed), 1.0) for seed in range(6)]
    plan = BaselinePlan(kernel=kernel, n_components=2, n_features=200, rounds=1)
    fitted = fit_baseline(clips, plan)
    assert isinstance(fitted.model, KernelCCA if kernel else CCA)
    estimate = baseline_estimator(fitted)
    for number, lag_s in enumerate((-0.6, -0.13, 0.0, 0.25, 0.7)):
        answer = estimate(planted(lag_s, 50 + number, frame_rate=30.0), 1.0)
        assert answer.face == 0
        assert answer.reason is None
        assert answer.alignment.audio_lag_s == pytest.approx(lag_s, abs=0.02)


def test_the_face_that_fits_is_chosen(space):
    streams, other = planted(0.1, 60), planted(0.0, 61).lips[0]
    right = streams.lips[0]
    both = ClipStreams(
        streams.mfcc,
        streams.speech,
        (other, LipStream(**{**fields(right), "track_id": 1})),
        "two.mp4",
        streams.duration_s,
        streams.frame_rate,
    )
    assert baseline_estimator(space.fitted)(both, 1.0).face == 1


def fields(lips):
    return {name: getattr(lips, name) for name in LipStream.__dataclass_fields__}


def test_without_a_face_there_is_no_estimate(space):
    streams = planted(0.0, 62)
    blind = ClipStreams(streams.mfcc, streams.speech, (), "blind.mp4", 8.0, 25.0)
    answer = baseline_estimator(space.fitted)(blind, 1.0)
    assert answer.alignment is None
    assert "face" in answer.reason
    assert baseline_clip(blind, "a", 1.0) is None
    assert baseline_clip(planted(0.0, 1, duration_s=0.6), "a", 1.0) is None


def test_weights_of_rows_reach_the_fit():
    fine = [baseline_clip(planted(0.0, n), str(n), 1.0) for n in range(3)]
    noise = [baseline_clip(planted(0.0, n, noise=30.0), str(n), 1e-6) for n in range(10, 13)]
    plan = BaselinePlan(kernel=False, n_components=1, rounds=1)
    alone, beside = fit_baseline(fine, plan), fit_baseline([*fine, *noise], plan)
    np.testing.assert_allclose(beside.model.correlations_, alone.model.correlations_, atol=1e-3)


def test_what_is_learnt_from_is_drawn_from_the_manifest(monkeypatch, tmp_path):
    lines = ["path,split,role,dataset,speaker,weights_ok"]
    lines += [f"s{n}.mp4,train,in_sync,grid,s,1" for n in range(9)]
    lines += [
        "natural.mp4,train,in_sync_unverified,hdtf,n,1",
        "nobody.mp4,train,in_sync,hdtf,,1",
        "faceless.mp4,train,in_sync,hdtf,m,1",
        "dev.mp4,dev,in_sync,hdtf,d,1",
        "dubbed.mp4,train,suspected_dubbed,hdtf,u,1",
        "licence.mp4,train,in_sync,hdtf,l,0",
    ]
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    manifest = read_manifest(tmp_path / "manifest.csv")
    read, learnt = [], []

    def load(rows, *, cache_dir):
        for row in rows:
            read.append(row.path.name)
            if row.path.name == "faceless.mp4":
                yield LoadedClip(row, None, NoFaceError("no picture"))
            else:
                yield LoadedClip(row, SimpleNamespace(streams=planted(0.0, len(read))), None)

    def fit(clips, plan):
        learnt.extend(clips)
        return FrameSpace(CCA(1))

    monkeypatch.setattr(baseline, "load_clips", load)
    monkeypatch.setattr(baseline, "fit_baseline", fit)
    train_baseline(manifest, plan=BaselinePlan(clips_per_speaker=4))
    assert sum(name.startswith("s") for name in read) == 4
    assert set(read) > {"natural.mp4", "nobody.mp4", "faceless.mp4"}
    assert len(read) == 7
    assert sorted((clip.speaker, clip.weight) for clip in learnt) == [
        ("n", 1.0),
        ("nobody.mp4", 1.0),
        *[("s", 0.3)] * 4,
    ]
    with pytest.raises(ParameterError, match="no clip to learn from"):
        fit_baseline([])


def test_the_benchmark_fits_the_baseline_that_was_named(monkeypatch):
    fitted = []

    def train(manifest, *, plan, cache_dir):
        fitted.append((manifest, plan.kernel, cache_dir))
        return FrameSpace(CCA(1))

    monkeypatch.setattr(baseline, "train_baseline", train)
    manifest = SimpleNamespace()
    for name in ("cca", "kernel-cca"):
        assert callable(sync.make_estimator(name, manifest, cache=Path("kept")))
    assert fitted == [(manifest, False, Path("kept")), (manifest, True, Path("kept"))]
