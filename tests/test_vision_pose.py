"""The rigid fit and head pose, against shapes that were turned on purpose."""

import numpy as np
import pytest

pytest.importorskip("cv2", exc_type=ImportError)

from avalign.vision.pose import LAYOUT, head_pose, to_layout


def turned(yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0, size=120.0, at=(300.0, 200.0)):
    """Project the mean face, turned roll-last, through a pinhole 12 eye distances away."""
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    # The nose (0, 0, -1) goes to the right for positive yaw and down for positive pitch.
    about_y = [[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    about_y, about_x, about_z = np.array(about_y), np.array(about_x), np.array(about_z)
    points = (LAYOUT - LAYOUT.mean(axis=0)) @ (about_z @ about_y @ about_x).T
    plane = points[:, :2] / (1 + points[:, 2:] / 12) * size + at
    return np.column_stack([plane, points[:, 2] * size]).astype(np.float32)[None]


@pytest.mark.parametrize("angle", [-40.0, -15.0, 15.0, 40.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_head_pose_recovers_one_angle_with_its_sign(axis, angle):
    angles = np.zeros(3)
    angles[axis] = angle
    if axis == 1:
        angles *= 0.6
    np.testing.assert_allclose(head_pose(turned(*angles))[0], angles, atol=1.5)


def test_nose_to_the_right_is_positive_yaw():
    face = LAYOUT.astype(np.float32)[None] * 100
    face[0, 6:, 0] += 10  # the nose alone
    assert head_pose(face)[0, 0] > 5


@pytest.mark.parametrize("at", [(0.0, 0.0), (1900.0, 40.0)])
@pytest.mark.parametrize("size", [20.0, 400.0])
def test_pose_depends_neither_on_place_nor_on_size(at, size):
    np.testing.assert_allclose(
        head_pose(turned(20, -10, 5, size, at)), head_pose(turned(20, -10, 5)), atol=0.1
    )


def test_layout_takes_out_shift_roll_and_scale_exactly():
    rng = np.random.default_rng(0)
    rigid = (LAYOUT[None] + rng.normal(0, 0.02, (5, 11, 3))).astype(np.float32)
    points = rng.normal(0, 0.5, (5, 41, 3)).astype(np.float32)
    angle, scale = np.radians(27.0), 83.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def move(shape):
        plane = scale * shape[..., :2] @ turn.T + [411.0, -20.0]
        return np.concatenate([plane, scale * shape[..., 2:] + 7.0], -1).astype(np.float32)

    before, unit_before = to_layout(rigid, points)
    after, unit_after = to_layout(move(rigid), move(points))
    np.testing.assert_allclose(after, before, atol=2e-4)
    np.testing.assert_allclose(unit_after, scale * unit_before, rtol=1e-5)


def test_mean_face_keeps_its_shape_in_eye_distances():
    rigid = (LAYOUT * 64.0).astype(np.float32)[None]
    normalised, unit = to_layout(rigid, rigid)
    np.testing.assert_allclose(normalised[0], LAYOUT - LAYOUT.mean(axis=0), atol=1e-5)
    assert unit[0] == pytest.approx(64.0, rel=1e-5)


def test_an_opening_mouth_is_not_taken_out():
    rigid = np.repeat(LAYOUT[None].astype(np.float32), 2, axis=0) * 50
    chin = np.array([[[0.0, 50.0, 0.0]], [[0.0, 60.0, 0.0]]], np.float32)
    normalised, _ = to_layout(rigid, chin)
    np.testing.assert_allclose(normalised[1] - normalised[0], [[0.0, 0.2, 0.0]], atol=1e-5)
