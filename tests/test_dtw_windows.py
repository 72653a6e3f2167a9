"""Windows: their shape, and that a path always fits."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign import dtw
from avalign.dtw import windows

lengths = st.integers(1, 40)
quick = settings(max_examples=80)


def is_sound(window, rows, columns):
    first, stop = window.T
    return (
        window.shape == (rows, 2)
        and (first >= 0).all()
        and (stop <= columns).all()
        and (first < stop).all()
        and first[0] == 0
        and stop[-1] == columns
        and (np.diff(window, axis=0) >= 0).all()
    )


@quick
@given(lengths, lengths, st.integers(0, 45))
def test_sakoe_chiba_is_its_definition(rows, columns, radius):
    window = windows.sakoe_chiba(rows, columns, radius)
    np.testing.assert_array_equal(window, naive.band(rows, columns, radius))
    assert is_sound(window, rows, columns)


@quick
@given(lengths, lengths, st.integers(0, 45), st.floats(1, 50))
def test_paths_fit_into_every_window(rows, columns, radius, slope):
    costs = np.random.default_rng(rows * columns).uniform(size=(rows, columns))
    for window in (
        windows.sakoe_chiba(rows, columns, radius),
        windows.slanted(rows, columns, radius),
        windows.itakura(rows, columns, slope),
    ):
        assert is_sound(window, rows, columns)
        found = dtw.distance(costs, metric="precomputed", window=window)
        assert found >= dtw.distance(costs, metric="precomputed")


def test_itakura_is_a_parallelogram():
    window = windows.itakura(7, 7)
    # Slopes 1/2 and 2 from both corners, as in the paper's figure.
    assert window.tolist() == [[0, 1], [1, 3], [1, 5], [2, 5], [2, 6], [4, 6], [6, 7]]
    inside = np.zeros((7, 7), bool)
    for row, (first, stop) in enumerate(window):
        inside[row, first:stop] = True
    assert (inside == inside[::-1, ::-1]).all()


def test_itakura_of_slope_one_is_the_diagonal():
    assert windows.itakura(9, 9, 1).tolist() == [[i, i + 1] for i in range(9)]


def test_slanted_follows_the_line_between_corners():
    assert windows.slanted(3, 5, 0).tolist() == [[0, 2], [2, 4], [4, 5]]
    assert windows.slanted(5, 9, 1).tolist() == [[0, 2], [1, 4], [3, 6], [5, 8], [7, 9]]


@quick
@given(lengths, lengths, st.integers(0, 5), st.integers(1, 3))
def test_around_is_all_that_is_near(rows, columns, radius, factor):
    coarse = -(-rows // factor), -(-columns // factor)
    costs = np.random.default_rng(rows + columns).uniform(size=coarse)
    path = dtw.path(costs, metric="precomputed").path
    window = windows.around(path, rows, columns, radius, factor=factor)
    near = np.zeros((rows, columns), bool)
    for i, j in path * factor:
        top, left = max(i - radius, 0), max(j - radius, 0)
        near[top : i + factor + radius, left : j + factor + radius] = True
    for row, (first, stop) in enumerate(window):
        assert np.flatnonzero(near[row]).tolist() == list(range(first, stop))


@pytest.mark.parametrize("rows", [1, 2])
def test_one_row_sees_all_columns_it_must(rows):
    for window in (windows.slanted(rows, 30, 0), windows.itakura(rows, 30)):
        assert dtw.path(np.zeros(rows), np.zeros(30), window=window).distance == 0
