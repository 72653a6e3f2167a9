"""Which pieces of track are one face."""

import numpy as np
import pytest

pytest.importorskip("cv2", exc_type=ImportError)

from avalign.vision.detection import tiles
from avalign.vision.mesh_points import MESH_POINTS
from avalign.vision.regions import overlap
from avalign.vision.tracks import Span, Track, join_spans

PLAIN = np.zeros((32, 32, 3), np.float32)


def mesh(left, top=100.0, side=80.0):
    """A mesh that fills a square."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0, side, (len(MESH_POINTS), 3))
    points[0], points[1] = 0, side
    return (points + np.array([left, top, 0])).astype(np.float32)


def track(rows, left, sure=True, **place):
    rows = list(rows)
    return Track(rows, [mesh(left, **place) for _ in rows], sure, [1.0] * len(rows))


def span(tracks, start_s=0.0, count=50, cuts=(), ends=(PLAIN, PLAIN)):
    return Span(
        [start_s + 0.04 * row for row in range(count)], tracks, list(cuts), (640, 360), ends
    )


def faces(*spans):
    return join_spans(list(spans))[2]


def test_overlap_known_values():
    def box(*edges):
        return np.array(edges, np.float32)

    assert overlap(box(0, 0, 2, 2), box(0, 0, 2, 2)) == 1
    assert overlap(box(0, 0, 2, 2), box(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap(box(0, 0, 2, 2), box(2, 0, 4, 2)) == 0
    assert overlap(box(0, 0, 4, 4), box(1, 1, 2, 2)) == pytest.approx(1 / 16)


@pytest.mark.parametrize(
    ("height", "width"), [(360, 640), (1920, 1080), (480, 480), (500, 480), (20, 900), (2, 2)]
)
@pytest.mark.parametrize("size", [1, 0.5])
def test_tiles_cover_the_picture(height, width, size):
    seen = np.zeros((height, width), bool)
    square = max(1, round(size * min(height, width)))
    for left, top, side in tiles(height, width, square, step=0.5):
        assert left >= 0
        assert top >= 0
        seen[top : top + side, left : left + side] = True
    assert seen.all()


def test_a_ribbon_has_few_tiles():
    assert len(tiles(2, 4096, 2, step=0.5)) < 20
    assert len(tiles(4096, 2, 1, step=0.5)) < 20


def test_a_face_lost_for_a_moment_goes_on():
    (face,) = faces(span([track(range(10), 100), track(range(15, 30), 130)]))
    assert face.indices == [*range(10), *range(15, 30)]
    assert len(face.landmarks) == 25


def test_a_face_goes_on_over_the_border_of_two_spans():
    times_s, _, (face,) = join_spans(
        [span([track(range(50), 100)]), span([track(range(50), 110)], start_s=2.0)]
    )
    assert face.indices == list(range(100))
    np.testing.assert_allclose(times_s, 0.04 * np.arange(100))


def test_across_a_cut_only_the_same_place_is_the_same_face():
    same = span([track(range(10), 100), track(range(10, 20), 105)], cuts=[10])
    elsewhere = span([track(range(10), 100), track(range(10, 20), 140)], cuts=[10])
    smaller = span([track(range(10), 100), track(range(10, 20), 100, side=40.0)], cuts=[10])
    assert len(faces(same)) == 1
    assert len(faces(elsewhere)) == 2
    assert len(faces(smaller)) == 2


def test_a_cut_on_the_border_of_two_spans_is_found():
    other = np.full_like(PLAIN, 100)
    _, cuts, found = join_spans(
        [
            span([track(range(50), 100)], cuts=[7]),
            span([track(range(50), 140)], start_s=2.0, cuts=[3], ends=(other, other)),
        ]
    )
    assert cuts == [7, 50, 53]
    assert len(found) == 2


def test_a_face_returns_after_the_other_camera():
    first, other, again = (
        track(range(10), 100),
        track(range(10, 20), 400),
        track(range(20, 30), 98),
    )
    found = faces(span([first, other, again], cuts=[10, 20]))
    assert sorted(face.indices for face in found) == [
        [*range(10), *range(20, 30)],
        list(range(10, 20)),
    ]


def test_two_faces_at_a_time_are_never_one():
    found = faces(span([track(range(20), 100), track(range(10, 30), 105)]))
    assert len(found) == 2


def test_what_no_detector_is_sure_of_is_no_face():
    assert faces(span([track(range(50), 100, sure=False)])) == []
