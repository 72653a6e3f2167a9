"""Where faces are, in words: as few as tell them apart."""

from dataclasses import replace

import numpy as np
import planted
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalign.align.places import name_places


def faces(*middles, size=0.1, seen=None):
    """Faces of one size about these points, each seen in these pictures; default all."""
    found = []
    for number, (x, y) in enumerate(middles):
        lips = planted.lips(number)
        half = size / 2
        boxes = np.tile(np.float32([x - half, y - half, x + half, y + half]), (len(lips), 1))
        valid = np.ones(len(lips), bool)
        if seen is not None:
            valid[:] = False
            valid[slice(*seen[number])] = True
        boxes[~valid] = np.nan
        found.append(replace(lips, boxes=boxes, valid=valid))
    return found


@pytest.mark.parametrize(
    ("middles", "names"),
    [
        ([(0.2, 0.5)], ["left"]),
        ([(0.5, 0.9)], ["centre"]),
        ([(0.8, 0.4), (0.5, 0.5), (0.1, 0.6)], ["right", "centre", "left"]),
        ([(0.1, 0.7), (0.3, 0.3), (0.8, 0.5)], ["lower left", "upper left", "right"]),
        (
            [(0.5, 0.1), (0.5, 0.5), (0.5, 0.9)],
            ["upper centre", "centre", "lower centre"],
        ),
        (
            [(x, y) for y in (0.3, 0.7) for x in (0.2, 0.8)],
            ["upper left", "upper right", "lower left", "lower right"],
        ),
        ([(0.3, 0.5), (0.1, 0.5)], ["second from the left", "first from the left"]),
        # A little lower is no other row.
        ([(0.6, 0.5), (0.45, 0.53)], ["second from the left", "first from the left"]),
        (
            [(0.7, 0.5), (0.1, 0.5), (0.3, 0.5)],
            ["third from the left", "first from the left", "second from the left"],
        ),
        (
            [(0.1, 0.2), (0.3, 0.2), (0.1, 0.8), (0.9, 0.8)],
            [
                "first from the left in row 1",
                "second from the left in row 1",
                "first from the left in row 2",
                "second from the left in row 2",
            ],
        ),
    ],
)
def test_the_fewest_words_that_tell_faces_apart(middles, names):
    assert list(name_places(faces(*middles))) == names


def test_faces_before_and_after_a_cut_are_told_apart_by_time():
    both = faces((0.5, 0.5), (0.5, 0.5), (0.1, 0.5), seen=[(0, 20), (25, 75), (25, 75)])
    # 25 pictures per second; the third face shares pictures with the second alone.
    assert name_places(both) == ("centre, from 0.0 s", "centre, from 1.0 s", "left")


def test_faces_that_share_pictures_through_a_third_are_one_company():
    row = faces((0.1, 0.5), (0.2, 0.5), (0.3, 0.5), seen=[(0, 30), (20, 60), (50, 75)])
    assert name_places(row) == (
        "first from the left",
        "second from the left",
        "third from the left",
    )


def test_a_place_in_one_company_is_not_taken_for_one_in_another():
    people = faces((0.2, 0.5), (0.1, 0.5), (0.3, 0.5), seen=[(0, 20), (25, 75), (25, 75)])
    assert name_places(people) == (
        "left, from 0.0 s",
        "first from the left, from 1.0 s",
        "second from the left, from 1.0 s",
    )


def test_nobody_has_no_name_and_who_is_never_seen_has_one():
    assert name_places([]) == ()
    unseen = faces((0.5, 0.5), (0.5, 0.5), seen=[(0, 0), (0, 0)])
    assert len(set(name_places(unseen))) == 2


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 74), st.integers(1, 75)),
        max_size=9,
    ),
    st.floats(0.01, 0.5),
)
def test_no_two_names_are_equal_and_they_do_not_depend_on_the_day(found, size):
    middles = [(x, y) for x, y, _, _ in found]
    seen = [(start, start + length) for _, _, start, length in found]
    people = faces(*middles, size=size, seen=seen)
    names = name_places(people)
    assert len(set(names)) == len(names) == len(found)
    assert names == name_places(people)
