"""The face mesh: what it places, and what loading it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mediapipe", exc_type=ImportError)

from avalign.media import iter_frames
from avalign.vision.detection import FaceFinder
from avalign.vision.facemesh import FaceMesh
from avalign.vision.mesh_points import LIPS, MESH_POINTS, MIRRORED
from avalign.vision.regions import Region

SAMPLE = Path(__file__).parents[1] / "samples" / "talking.mp4"


@pytest.fixture(scope="module")
def picture():
    return next(iter(iter_frames(SAMPLE))).image


@pytest.fixture(scope="module")
def region(picture):
    with FaceFinder() as finder, FaceMesh() as mesh:
        found = finder.find(picture)[0].region
        for _ in range(3):
            found = Region.around(mesh.fit(picture, found))
    return found


def test_every_point_mirrors_the_one_that_mirrors_it():
    assert sorted(MIRRORED) == list(range(len(MESH_POINTS)))
    np.testing.assert_array_equal(MIRRORED[MIRRORED], np.arange(len(MESH_POINTS)))


def test_left_and_right_exchanged_the_mesh_is_the_mirror_image(picture, region):
    width = picture.shape[1]
    with FaceMesh() as mesh:
        straight = mesh.fit(picture, region)
        flipped = mesh.fit(np.ascontiguousarray(picture[:, ::-1]), region.mirrored(width))
    expected = straight[MIRRORED] * np.array([-1, 1, 1], np.float32)
    expected[:, 0] += width
    np.testing.assert_allclose(flipped, expected, atol=1e-3)


def test_a_picture_gives_the_same_mesh_whatever_was_seen_before(picture, region):
    with FaceMesh() as mesh:
        first = mesh.fit(picture, region)
        mesh.fit(picture[:200], region)
        np.testing.assert_array_equal(mesh.fit(picture, region), first)


def test_where_the_picture_is_does_not_matter(picture, region):
    moved = np.pad(picture, ((24, 0), (40, 0), (0, 0)), mode="edge")
    there = Region(region.x + 40, region.y + 24, region.size, region.roll_rad)
    with FaceMesh() as mesh:
        here, lips = mesh.fit(picture, region), mesh.fit(moved, there) - [40, 24, 0]
    # The face is no larger than 200 pixels; crops begin at whole pixels.
    np.testing.assert_allclose(lips[LIPS], here[LIPS], atol=0.5)


def test_faces_are_found_without_what_draws_and_listens():
    script = """
import sys
from avalign.vision.facemesh import FaceMesh
FaceMesh().close()
print(*sorted({"matplotlib", "sounddevice", "mediapipe.tasks"} & sys.modules.keys()))
import mediapipe
print(mediapipe.solutions.face_mesh.FaceMesh.__name__, "matplotlib" in sys.modules)
FaceMesh().close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["", "FaceMesh True"]
