"""From a video file to lip streams, on a portrait that is moved on purpose."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mediapipe", exc_type=ImportError)

from faces import FACE_CENTRE, FACE_SIZE, blank, portrait, show, similarity, write_clip
from media import Recipe, make_clip

from avalign.errors import MissingDependencyError, NoFaceError, ParameterError
from avalign.types import coverage, eye_distance, usable
from avalign.vision import extraction, lip_streams

LIP_CENTRE = (226.0, 146.0)  # in the portrait, to about 4 pixels


def assert_same(ones, others):
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        for name in ("values", "times_s", "valid", "landmarks", "head_pose", "boxes"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """A face that moves, rolls and grows for 6.4 s (two spans), and its true places."""
    phase = np.linspace(0, 1, 64)
    places = [
        similarity(130 + 70 * p, 120, scale=1.0 + 0.5 * p, roll_deg=25 * np.sin(6.28 * p))
        for p in phase
    ]
    path = tmp_path_factory.mktemp("moving") / "moving.mp4"
    write_clip(path, (show(place) for place in places), fps=10, start_s=0.5)
    return path, places


@pytest.fixture(scope="module")
def moving_lips(moving):
    (lips,) = lip_streams(moving[0], jobs=2)
    return lips


@pytest.mark.slow
def test_one_row_per_picture_on_the_clock_of_the_file(moving_lips):
    # Players begin a file at its first picture; what counts is the step.
    np.testing.assert_allclose(np.diff(moving_lips.times_s), 0.1, atol=1e-6)
    assert len(moving_lips) == 64
    assert moving_lips.kind == "lips"
    assert moving_lips.track_id == 0
    assert moving_lips.picture_size == (320, 240)
    assert coverage(moving_lips) == 1.0


@pytest.mark.slow
def test_landmarks_follow_the_true_motion(moving, moving_lips):
    places = np.array(moving[1])
    middle = moving_lips.landmarks[:, :40, :2].mean(axis=1)
    still = np.linalg.inv(places[:, :, :2]) @ (middle - places[:, :, 2])[..., None]
    still = still[..., 0]  # where the lips were in the portrait
    assert np.abs(still - np.median(still, axis=0)).max() < 4.0
    np.testing.assert_allclose(np.median(still, axis=0), LIP_CENTRE, atol=5)


def test_values_do_not_change_with_place_roll_and_size(moving_lips):
    values = moving_lips.values.reshape(-1, 41, 3)[..., :2]
    away = np.abs(values - np.median(values, axis=0))
    assert np.median(away) < 0.015
    assert np.quantile(away, 0.99) < 0.08


@pytest.mark.slow
def test_size_and_roll_are_the_true_ones(moving, moving_lips):
    turns = np.array(moving[1])[:, :, 0]
    scale = np.hypot(*turns.T)
    size = eye_distance(moving_lips) / scale
    np.testing.assert_allclose(size, np.median(size), rtol=0.06)
    roll = moving_lips.head_pose[:, 2] - np.degrees(np.arctan2(turns[:, 1], turns[:, 0]))
    np.testing.assert_allclose(roll, np.median(roll), atol=4)
    assert abs(np.median(roll)) < 8  # she holds her head a little tilted


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_number_of_jobs(moving, moving_lips):
    assert_same(lip_streams(moving[0], jobs=1), (moving_lips,))


def test_a_mirrored_face_looks_the_other_way(tmp_path):
    leaning = show(similarity(160, 120, 1.3, roll_deg=15))
    path = write_clip(tmp_path / "both.mp4", [leaning] * 10 + [leaning[:, ::-1]] * 10)
    (lips,) = lip_streams(path)
    one, other = np.median(lips.head_pose[:10], axis=0), np.median(lips.head_pose[10:], axis=0)
    assert one[2] > 10
    np.testing.assert_allclose(other, one * [-1, 1, -1], atol=5)


@pytest.mark.slow
def test_two_faces_side_by_side_are_two_streams_in_their_places(tmp_path):
    large, small = show(similarity(160, 120, 1.3)), show(similarity(160, 120, 0.8))
    path = write_clip(tmp_path / "two.mp4", [np.hstack([small, large])] * 25)
    streams = lip_streams(path)
    assert [lips.track_id for lips in streams] == [0, 1]
    assert [coverage(lips) for lips in streams] == [1.0, 1.0]
    places = [np.median(lips.boxes[:, [0, 2]]) for lips in streams]
    np.testing.assert_allclose(places, [0.75, 0.25], atol=0.03)
    ratio = np.median(eye_distance(streams[0])) / np.median(eye_distance(streams[1]))
    assert ratio == pytest.approx(1.3 / 0.8, rel=0.08)
    assert len(lip_streams(path, max_faces=1)) == 1


def test_a_small_face_in_a_wide_picture_is_found(tmp_path):
    wide = blank((1280, 720))
    side = 240
    wide[300 : 300 + side, 900 : 900 + side] = show(similarity(120, 100, 0.4), (side, side))
    streams = lip_streams(write_clip(tmp_path / "wide.mp4", [wide] * 12))
    (lips,) = streams
    assert coverage(lips) == 1.0
    centre = np.nanmedian(lips.landmarks[..., :2], axis=(0, 1))
    shift = 0.4 * (np.array(LIP_CENTRE) - FACE_CENTRE)
    np.testing.assert_allclose(centre, np.array([1020, 400]) + shift, atol=4)


def test_a_cut_splits_and_a_return_joins(tmp_path):
    left = show(similarity(90, 120, 1.2))
    right = 255 - blank(level=0)
    right[:, 160:] = show(similarity(240, 120, 0.9))[:, 160:]
    path = write_clip(tmp_path / "cuts.mp4", [left] * 15 + [right] * 12 + [left] * 15)
    first, second = lip_streams(path)
    np.testing.assert_array_equal(np.flatnonzero(first.valid), [*range(15), *range(27, 42)])
    np.testing.assert_array_equal(np.flatnonzero(second.valid), range(15, 27))


def test_a_hidden_face_leaves_a_marked_gap(tmp_path):
    seen = show(similarity(160, 120, 1.3))
    path = write_clip(tmp_path / "gap.mp4", [seen] * 15 + [blank()] * 10 + [seen] * 15)
    (lips,) = lip_streams(path)
    np.testing.assert_array_equal(np.flatnonzero(~lips.valid), range(15, 25))
    assert np.isfinite(lips.values).all()
    assert (lips.values[15:25] == 0).all()
    assert np.isnan(lips.landmarks[15:25]).all()
    assert coverage(lips) == pytest.approx(0.75)


def test_no_face_gives_no_stream(tmp_path):
    assert lip_streams(write_clip(tmp_path / "empty.mp4", [blank()] * 20)) == ()


def test_a_face_seen_for_a_moment_is_left_out(tmp_path):
    seen = show(similarity(160, 120, 1.3))
    path = write_clip(tmp_path / "short.mp4", [blank()] * 13 + [seen] * 6 + [blank()] * 13)
    assert lip_streams(path) == ()


@pytest.mark.parametrize("size", [(2, 2), (16, 16)])
def test_tiny_pictures_give_no_stream(tmp_path, size):
    assert lip_streams(write_clip(tmp_path / "tiny.mp4", [blank(size)] * 5)) == ()


@pytest.mark.slow
def test_a_file_that_promises_more_than_it_holds(moving, moving_lips, monkeypatch):
    true_probe = extraction.as_clip

    def boasting_probe(path):
        clip = true_probe(path)
        track = replace(clip.video_tracks[0], duration_s=3600.0)
        return replace(clip, video_tracks=(track,))

    monkeypatch.setattr(extraction, "as_clip", boasting_probe)
    (lips,) = lip_streams(moving[0], jobs=2)
    np.testing.assert_array_equal(lips.times_s, moving_lips.times_s)
    assert lips.valid.all()
    np.testing.assert_allclose(lips.values, moving_lips.values, atol=0.05)


@pytest.mark.slow
def test_progress_rises_to_one(moving):
    fractions = []
    lip_streams(moving[0], progress=fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)


def test_nothing_but_pythons_own_words_on_standard_error(tmp_path, capfd):
    path = write_clip(tmp_path / "one.mp4", [show(similarity(160, 120))] * 8)
    lip_streams(path, progress=lambda _: print("busy", file=sys.stderr))
    out, err = capfd.readouterr()
    assert out == ""
    assert err
    assert set(err.split()) == {"busy"}


def test_a_missing_mediapipe_says_how_to_get_it(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "one.mp4", [blank()] * 3)
    for name in [name for name in sys.modules if name.split(".")[0] == "mediapipe"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        lip_streams(path)


@pytest.mark.parametrize("setting", [{"max_faces": 0}, {"jobs": 0}])
def test_wrong_settings(setting):
    with pytest.raises(ParameterError, match="=0 must be at least 1"):
        lip_streams("unused.mp4", **setting)


def test_sound_alone_has_no_picture(tmp_path):
    path = make_clip(tmp_path / "sound.mp4", Recipe(duration_s=1.0), picture=False)
    with pytest.raises(NoFaceError, match="no picture"):
        lip_streams(path)


def test_the_portrait_is_what_these_tests_take_it_for():
    assert portrait().shape == (512, 512, 3)
    assert FACE_SIZE < 128


@pytest.fixture
def clips():
    folder = os.environ.get("AVALIGN_CLIPS")
    if not folder:
        pytest.skip("AVALIGN_CLIPS does not name the folder of real clips")
    return Path(folder) / "clips"


def test_real_small_face_on_a_stage(clips):
    (lips,) = lip_streams(clips / "mtedx_av2av_10_10.webm")
    assert len(lips) == 77
    assert coverage(lips) > 0.95
    assert 55 < np.median(eye_distance(lips)) < 85


def test_real_tennis_has_no_face(clips):
    assert lip_streams(clips / "ZYc410CE4Rg_0_10000_2.mp4") == ()


@pytest.mark.slow
def test_real_dog_is_no_face(clips):
    assert lip_streams(clips / "3qesirWAGt4_20000_30000.mp4") == ()


@pytest.mark.slow
def test_real_split_screen_has_four_faces(clips):
    streams = lip_streams(clips / "multiface_multi_demo.mp4")
    assert len(streams) == 4
    assert all(usable(lips).mean() > 0.95 for lips in streams)
    places = sorted(round(float(np.nanmean(lips.boxes[:, [0, 2]])), 1) for lips in streams)
    assert places == [0.3, 0.3, 0.7, 0.7]


def test_a_picture_that_is_upside_down_is_noticed(tmp_path):
    from avalign.vision.extraction import is_upside_down

    upright = show(similarity(160, 120))
    clips = {"down": upright[::-1, ::-1], "none": blank()}
    found = {
        name: is_upside_down(write_clip(tmp_path / f"{name}.mp4", [picture] * 6))
        for name, picture in clips.items()
    }
    assert found == {"down": True, "none": False}
