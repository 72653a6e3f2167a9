"""Cuts are found; movement, noise, fades and dimming are not cuts."""

import numpy as np
import pytest

pytest.importorskip("cv2", exc_type=ImportError)

from avalign.vision.shots import CutFinder, difference, thumbnail


def scene(seed, size=(90, 160)):
    """A picture with large patches of colour."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    rows = np.arange(size[0]) * 6 // size[0]
    columns = np.arange(size[1]) * 8 // size[1]
    return coarse[rows][:, columns]


def cuts(pictures):
    finder = CutFinder()
    return [row for row, each in enumerate(pictures) if finder.begins_shot(thumbnail(each))]


def test_cut_is_found_where_it_is():
    assert cuts([scene(1)] * 10 + [scene(2)] * 10 + [scene(3)] * 5) == [10, 20]


def test_weak_cut_stands_out_from_a_quiet_shot():
    dark = (scene(1) // 5).astype(np.uint8)
    other = (scene(2) // 5).astype(np.uint8)
    assert 12 < difference(thumbnail(dark), thumbnail(other)) < 24
    assert cuts([dark] * 20 + [other] * 10) == [20]


@pytest.mark.parametrize("speed", [1, 3])
def test_a_pan_has_no_cut(speed):
    wide = scene(4, (90, 640))
    assert cuts([wide[:, x : x + 160] for x in range(0, 60 * speed, speed)]) == []


def test_noise_and_dimming_have_no_cut():
    rng = np.random.default_rng(0)
    pictures = [
        np.clip(scene(5) * (1 - row / 60) + rng.normal(0, 12, (90, 160, 3)), 0, 255)
        for row in range(40)
    ]
    assert cuts([each.astype(np.uint8) for each in pictures]) == []


def test_slow_fade_has_no_cut():
    steps = np.linspace(0, 1, 40)
    fade = [(scene(6) * (1 - step) + scene(7) * step).astype(np.uint8) for step in steps]
    assert cuts(fade) == []


@pytest.mark.parametrize("size", [(2, 2), (3, 700), (1080, 1920)])
def test_thumbnail_of_any_size(size):
    thumb = thumbnail(np.full((*size, 3), 70, np.uint8))
    assert thumb.shape == (32, 32, 3)
    np.testing.assert_allclose(thumb, 70, atol=1)
