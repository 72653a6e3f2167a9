"""The face mesh: what it places, and what loading it costs."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mediapipe", exc_type=ImportError)

from avalign.media import iter_frames
from avalign.vision.detection import FaceFinder
from avalign.vision.facemesh import FaceMesh
from avalign.vision.mesh_points import LIPS, MESH_POINTS, MIRRORED, RIGID
from avalign.vision.native_logs import quiet_native_logs
from avalign.vision.pose import to_layout
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


def test_points_lie_where_those_that_mirror_them_do(picture, region):
    """Seen once, and brought upright: averaging two looks would hide a wrong partner."""
    with FaceMesh() as mesh:
        once = mesh._fit(picture, region)[None]
    points = to_layout(once[:, RIGID], once)[0][0, :, :2]

    def distance(partners):
        return np.linalg.norm(points[partners] * [-1, 1] - points, axis=1).max()

    assert distance(MIRRORED) < 0.06  # of the distance between the eyes
    # The partners of a lip ring, one place on: what a slip in the table would do.
    slipped = MIRRORED.copy()
    slipped[:20] = np.roll(slipped[:20], 1)
    assert distance(slipped) > 0.06


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
        here, moved_by = mesh.fit(picture, region), [40, 24, 0]
        lips = mesh.fit(moved, there) - moved_by
    # The model sees the same pixels, but for what the edges of the crop do to them.
    np.testing.assert_allclose(lips[LIPS], here[LIPS], atol=0.5)


@pytest.mark.slow
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


@pytest.mark.slow
def test_faces_are_the_same_whether_or_not_all_of_mediapipe_is_loaded():
    script = f"""
from avalign.media import iter_frames
from avalign.vision.detection import FaceFinder
picture = next(iter(iter_frames({str(SAMPLE)!r}))).image
with FaceFinder() as finder:
    print([(*one.box, one.score) for one in finder.find(picture)])
"""
    answers = {
        subprocess.run(
            [sys.executable, "-c", first + script], check=True, capture_output=True
        ).stdout
        for first in ("", "import mediapipe")
    }
    assert len(answers) == 1


def models():
    """Find the models in the installed package, without loading it."""
    root = Path(find_spec("mediapipe").submodule_search_locations[0])
    found = list(root.glob("modules/face_*/*.tflite"))
    assert len(found) == 4
    return root.parent, found


def truncated(model):
    return model[: len(model) // 2]


def changed(model):
    """Let the weights in the middle be zeros; what describes them is at the ends."""
    third = len(model) // 3
    return model[:third] + bytes(third) + model[2 * third :]


def meshes(folder):
    script = f"""
from avalign.media import iter_frames
from avalign.vision.detection import FaceFinder
from avalign.vision.facemesh import FaceMesh
picture = next(iter(iter_frames({str(SAMPLE)!r}))).image
with FaceFinder() as finder, FaceMesh() as mesh:
    print([mesh.fit(picture, one.region).tobytes() for one in finder.find(picture)])
"""
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, check=True, capture_output=True
    ).stdout


@pytest.mark.slow
@pytest.mark.parametrize("spoilt", [truncated, changed])
def test_models_in_the_current_directory_are_not_opened(tmp_path, spoilt):
    root, found = models()
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for model in found:
        planted = there / model.relative_to(root)
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_bytes(spoilt(model.read_bytes()))
    expected = meshes(elsewhere)
    assert len(expected) > 1000
    assert meshes(there) == expected


def test_a_closed_graph_is_freed_at_once(picture, region):
    """Without the collector, which could not see a cycle through C++ anyway."""
    gc.disable()
    try:
        mesh, finder = FaceMesh(), FaceFinder()
        mesh.fit(picture, region)
        finder.find(picture)
        left = [weakref.ref(one) for one in (mesh, mesh._graph, finder, finder._far._graph)]
        with mesh, finder:
            pass
        del mesh, finder
        assert [one() for one in left] == [None] * len(left)
    finally:
        gc.enable()


NO_TEMPORARY_FOLDER = """
import os, tempfile

def nowhere(*arguments):
    raise FileNotFoundError(2, "No usable temporary directory found")

tempfile._get_default_tempdir = nowhere
if memory is False:
    vars(os).pop("memfd_create", None)
"""


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("closed", ["", "2>&-"])
def test_models_load_without_a_temporary_folder_and_without_stderr(memory, closed):
    script = (
        f"memory = {memory}"
        + NO_TEMPORARY_FOLDER
        + ("from avalign.vision.facemesh import FaceMesh\nFaceMesh().close()\nprint('ok')\n")
    )
    done = subprocess.run(
        ["sh", "-c", f'"$0" "$@" {closed}', sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "ok\n"
    # What is kept out of the terminal otherwise is seen where it cannot be kept.
    assert (done.stderr == "") == (memory or bool(closed))


def test_what_others_say_meanwhile_is_passed_on(capfd):
    with quiet_native_logs():
        os.write(2, b"W0000 00:00:1700000000.1 chatter\nsomething else\n")
    assert capfd.readouterr().err == "something else\n"
