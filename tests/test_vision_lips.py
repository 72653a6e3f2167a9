"""Tracks to streams: units, gaps and the gate."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2", exc_type=ImportError)

from avalign.types import coverage, eye_distance, usable
from avalign.vision.lips import lip_stream
from avalign.vision.mesh_points import CHIN, LIPS, MESH_POINTS, RIGID
from avalign.vision.pose import LAYOUT
from avalign.vision.tracks import Track


def face(eyes=60.0, at=(320.0, 180.0), jaw=0.0):
    """A mesh whose rigid points are the mean face; the lips and chin hang below it."""
    points = np.random.default_rng(3).uniform(-0.6, 0.9, (len(MESH_POINTS), 3))
    points[RIGID] = LAYOUT
    points[CHIN] = (0.0, 1.0 + jaw, 0.0)
    return (points * eyes + [*at, 0.0]).astype(np.float32)


def _track(rows, meshes):
    track = Track(sure=True)
    for row, points in zip(rows, meshes, strict=True):
        track.append(row, points)
    return track


def stream(rows, meshes, count=50, cuts=(), fps=25.0, analysed=(640, 360), shown=(640, 360)):
    clock = np.arange(count) / fps
    return lip_stream(_track(rows, meshes), clock, list(cuts), analysed, shown)


def test_shapes_and_types():
    lips = stream(range(50), [face()] * 50)
    assert lips.kind == "lips"
    assert (lips.values.shape, lips.values.dtype) == ((50, 123), np.float32)
    assert (lips.landmarks.shape, lips.landmarks.dtype) == ((50, 41, 3), np.float32)
    assert (lips.head_pose.shape, lips.head_pose.dtype) == ((50, 3), np.float32)
    assert (lips.boxes.shape, lips.boxes.dtype) == ((50, 4), np.float32)
    assert lips.times_s.dtype == np.float64
    assert lips.valid.all()


def test_values_are_points_in_eye_distances_from_the_middle_of_the_face():
    lips = stream(range(2), [face(), face(eyes=90, at=(100, 90), jaw=0.2)], count=2)
    values = lips.values.reshape(2, 41, 3)
    middle = LAYOUT.mean(axis=0)
    np.testing.assert_allclose(values[0, 40], (0, 1, 0) - middle, atol=1e-4)
    np.testing.assert_allclose(values[1, 40], (0, 1.2, 0) - middle, atol=1e-4)
    np.testing.assert_allclose(values[1, :40], values[0, :40], atol=1e-4)
    np.testing.assert_allclose(lips.landmarks[0, :40], face()[LIPS])
    np.testing.assert_allclose(lips.head_pose, 0, atol=2)


def test_pixels_are_those_of_the_shown_picture():
    lips = stream([0], [face()], count=1, analysed=(640, 360), shown=(1920, 1080))
    np.testing.assert_allclose(lips.landmarks[0, 40], 3 * face()[CHIN], rtol=1e-6)
    assert eye_distance(lips)[0] == pytest.approx(180, rel=1e-4)
    assert lips.picture_size == (1920, 1080)
    same = stream([0], [face()], count=1)
    np.testing.assert_allclose(lips.boxes, same.boxes, atol=1e-6)
    left, top, right, bottom = lips.boxes[0]
    assert 0 < left < 0.5 < right < 1
    assert 0 < top < 0.5 < bottom < 1


def test_short_gap_is_a_straight_line_and_valid():
    rows = [*range(10), *range(14, 50)]
    meshes = [face(jaw=0.0)] * 10 + [face(jaw=0.5)] * 36
    lips = stream(rows, meshes)
    assert lips.valid.all()
    jaw = lips.landmarks[9:15, 40, 1] - lips.landmarks[9, 40, 1]
    np.testing.assert_allclose(jaw, 30 * np.array([0, 0.2, 0.4, 0.6, 0.8, 1]), atol=1e-3)


def test_long_gap_is_marked_and_finite():
    rows = [*range(10), *range(15, 50)]  # 0.24 s between the pictures on both sides
    lips = stream(rows, [face()] * 45)
    np.testing.assert_array_equal(np.flatnonzero(~lips.valid), range(10, 15))
    assert (lips.values[10:15] == 0).all()
    assert np.isnan(lips.landmarks[10:15]).all()
    assert np.isnan(lips.head_pose[10:15]).all()
    assert np.isnan(lips.boxes[10:15]).all()
    assert np.isfinite(lips.values).all()
    assert not usable(lips)[10:15].any()
    assert coverage(lips) == pytest.approx(0.9)


def test_the_clock_and_not_the_count_decides_what_is_short():
    rows = [*range(10), *range(15, 50)]
    assert stream(rows, [face()] * 45, fps=50.0).valid.all()


def test_nothing_is_made_up_across_a_cut_or_outside_the_track():
    rows = [*range(5, 10), *range(12, 40)]
    lips = stream(rows, [face()] * 33, cuts=[11])
    np.testing.assert_array_equal(np.flatnonzero(lips.valid), rows)


def test_gate_wants_size_and_a_frontal_face():
    small = stream(range(50), [face(eyes=13.0)] * 50)
    assert small.valid.all()
    assert not usable(small).any()
    large = stream(range(50), [face(eyes=17.0)] * 50)
    assert usable(large).all()
    pose = large.head_pose.copy()
    pose[:20, 0], pose[20:25, 0] = 60, -60
    assert coverage(replace(large, head_pose=pose)) == pytest.approx(0.5)


def test_gate_counts_pixels_of_the_analysed_picture():
    # 4K is analysed at half its size: 24 pixels as shown are 12 as seen.
    lips = stream([0], [face(eyes=12.0)], 1, analysed=(1920, 1080), shown=(3840, 2160))
    assert eye_distance(lips)[0] == pytest.approx(24, rel=1e-4)
    assert not usable(lips).any()
