"""The multiscale path: a path, between its bounds, near the best one."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign import dtw
from avalign.dtw.search import multiscale

METRICS = ("sqeuclidean", "euclidean", "manhattan", "cosine")


@pytest.fixture
def coarse(monkeypatch):
    """Go through the levels although the series are short."""
    monkeypatch.setattr(multiscale, "EXACT_COSTS", 100)
    monkeypatch.setattr(multiscale, "BOUND_COSTS", 3000)


def warped(generator, rows, features, *, noise=0.05):
    """A smooth random walk, and a slower and faster copy of it."""
    base = np.cumsum(generator.normal(size=(rows, features)), axis=0)
    times = np.linspace(0, rows - 1, rows + rows // 10)
    times = np.clip(times + rows / 40 * np.sin(times * 12 / rows), 0, rows - 1)
    copy = [np.interp(times, np.arange(rows), base[:, k]) for k in range(features)]
    return base, np.stack(copy, axis=1) + noise * generator.normal(size=(len(times), features))


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(4))
def test_path_and_bounds(coarse, metric, seed):
    generator = np.random.default_rng(seed)
    x, y = warped(generator, int(generator.integers(50, 300)), 3)
    if seed % 2:
        x, y = y.astype(np.float32), x.astype(np.float32)
    found = dtw.multiscale_path(x, y, metric=metric, radius=8)
    exact = dtw.distance(x, y, metric=metric)
    single = x.dtype == np.float32
    assert found.lower_bound <= exact * (1 + (1e-5 if single else 1e-12))
    assert exact <= found.distance * (1 + (1e-5 if single else 1e-12))
    assert found.distance <= 1.2 * exact
    assert found.lower_bound > 0
    assert found.radius == 8
    steps = np.diff(found.path, axis=0)
    assert ((steps >= 0) & (steps <= 1)).all()
    assert steps.any(axis=1).all()
    assert found.path[0].tolist() == [0, 0]
    assert found.path[-1].tolist() == [len(x) - 1, len(y) - 1]
    costs = naive.local_costs(x.astype(float), y.astype(float), metric)
    assert costs[tuple(found.path.T)].sum() == pytest.approx(found.distance, rel=1e-4)


@given(
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=60),
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=60),
    st.integers(0, 3),
    st.integers(1, 4000),
)
@settings(max_examples=80)
def test_the_truth_lies_between_the_bounds(x, y, radius, budget):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiscale, "EXACT_COSTS", 30)
        patch.setattr(multiscale, "BOUND_COSTS", budget)
        found = dtw.multiscale_path(x, y, radius=radius)
    exact = dtw.distance(x, y)
    assert 0 <= found.lower_bound <= exact <= found.distance


def test_a_wide_radius_gives_the_exact_path(coarse):
    x, y = np.random.default_rng(0).normal(size=(2, 150, 2))
    found = dtw.multiscale_path(x, y, radius=150)
    assert found.distance == dtw.distance(x, y)
    assert found.path.tolist() == dtw.path(x, y).path.tolist()


def test_small_problems_are_exact():
    x, y = np.random.default_rng(0).normal(size=(2, 100))
    found = dtw.multiscale_path(x, y)
    assert found.is_exact
    assert found.distance == dtw.distance(x, y)


def test_the_bound_may_be_left_out(coarse):
    x, y = np.random.default_rng(0).normal(size=(2, 100))
    found = dtw.multiscale_path(x, y, bounded=False)
    assert found.lower_bound == 0
    assert not found.is_exact


def test_the_bound_is_tight_where_boxes_are_small(coarse, monkeypatch):
    x, y = warped(np.random.default_rng(1), 200, 1)
    gaps = []
    for budget in (200, 2000, 20_000, 200_000):
        monkeypatch.setattr(multiscale, "BOUND_COSTS", budget)
        found = dtw.multiscale_path(x, y, radius=40)
        gaps.append(found.distance - found.lower_bound)
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] <= 1e-9 * found.distance


def test_one_row_against_many(coarse):
    found = dtw.multiscale_path([1.0], np.zeros(3000))
    assert found.distance == 3000
    assert len(found.path) == 3000


@pytest.mark.slow
def test_two_hundred_thousand_rows():
    generator = np.random.default_rng(0)
    x = np.cumsum(generator.normal(size=(200_000, 2)), axis=0)
    truth = np.clip(np.cumsum(generator.integers(0, 3, len(x))), 0, len(x) - 1)
    y = x[truth] + 0.05 * generator.normal(size=(len(truth), 2))
    found = dtw.multiscale_path(x, y)
    # Rows of x that y left out cost a step of the walk each, 1 in both features.
    planted = ((x[truth] - y) ** 2).sum() + 2 * (len(x) - len(np.unique(truth)))
    assert found.distance < 1.1 * planted
    local = ((x[found.path[:, 0]] - y[found.path[:, 1]]) ** 2).sum()
    assert found.distance == pytest.approx(local, rel=1e-9)
    assert 0 < found.lower_bound <= found.distance
