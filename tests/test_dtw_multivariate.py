"""Kernels on vector series against their obvious twin."""

import naive
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avalign.dtw.compiled import EUCLIDEAN, MANHATTAN, SQEUCLIDEAN
from avalign.dtw.multivariate import engine as multivariate
from avalign.dtw.multivariate import plan as multivariate_plan
from avalign.dtw.univariate import replay

# Many kernels are compiled for these.
pytestmark = pytest.mark.slow

METRICS = {"sqeuclidean": SQEUCLIDEAN, "euclidean": EUCLIDEAN, "manhattan": MANHATTAN}


def series(length, dimensions, seed, dtype=np.float64):
    """Whole numbers in a small range: sums are exact in any arithmetic, and ties are many."""
    generator = np.random.default_rng(seed)
    return generator.integers(-3, 4, (length, dimensions)).astype(dtype)


def expect(x, y, radius, metric):
    window = None if radius < 0 else naive.band(len(x), len(y), radius)
    return naive.warp(naive.local_costs(x, y, metric), window=window)


def assert_same(x, y, radius, metric):
    expected_distance, expected_path = expect(x, y, radius, metric)
    distance, path = multivariate.path(x, y, radius, METRICS[metric])
    assert distance == expected_distance
    assert path.dtype == np.int32
    assert [tuple(cell) for cell in path.tolist()] == expected_path
    assert multivariate.distance(x, y, radius, METRICS[metric]) == expected_distance


@settings(max_examples=50)
@given(
    n=st.integers(1, 40),
    m=st.integers(1, 40),
    dimensions=st.sampled_from([1, 2, 3, 13]),
    radius=st.integers(-1, 12),
    metric=st.sampled_from(list(METRICS)),
    dtype=st.sampled_from([np.float64, np.float32]),
    seed=st.integers(0, 99),
)
@example(n=1, m=1, dimensions=1, radius=-1, metric="sqeuclidean", dtype=np.float64, seed=0)
@example(n=1, m=40, dimensions=2, radius=0, metric="sqeuclidean", dtype=np.float64, seed=0)
@example(n=40, m=1, dimensions=2, radius=0, metric="manhattan", dtype=np.float32, seed=0)
def test_distance_and_path_are_those_of_the_plain_recurrence(
    n, m, dimensions, radius, metric, dtype, seed
):
    x, y = series(n, dimensions, seed, dtype), series(m, dimensions, seed + 100, dtype)
    assert_same(x, y, radius, metric)


# A strip has 32 rows of float64 or 64 of float32.
@pytest.mark.parametrize(
    ("n", "m"),
    [(31, 32), (32, 33), (33, 31), (63, 64), (64, 65), (65, 63), (67, 131), (129, 2)],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("radius", [-1, 5])
def test_lengths_around_whole_strips(n, m, dtype, radius):
    assert_same(series(n, 2, 1, dtype), series(m, 2, 2, dtype), radius, "sqeuclidean")


@pytest.mark.parametrize("dimensions", [4, 32, 39, 123])
@pytest.mark.parametrize("metric", METRICS)
def test_any_number_of_dimensions(dimensions, metric):
    assert_same(series(40, dimensions, 3), series(37, dimensions, 4), -1, metric)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-5)])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_rounding_of_local_costs_stays_small(dtype, tolerance, scale):
    generator = np.random.default_rng(5)
    x = (scale * generator.standard_normal((50, 39))).astype(dtype)
    y = (scale * generator.standard_normal((60, 39))).astype(dtype)
    expected, _ = expect(x.astype(np.float64), y.astype(np.float64), -1, "sqeuclidean")
    assert multivariate.distance(x, y, -1, SQEUCLIDEAN) == pytest.approx(
        expected, rel=tolerance
    )


def test_path_readds_to_the_distance():
    generator = np.random.default_rng(6)
    x, y = generator.standard_normal((300, 13)), generator.standard_normal((277, 13))
    for radius in (-1, 20):
        distance, path = multivariate.path(x, y, radius, SQEUCLIDEAN)
        costs = ((x[path[:, 0]] - y[path[:, 1]]) ** 2).sum(axis=1)
        assert costs.sum() == pytest.approx(distance, rel=1e-13)
        assert distance == multivariate.distance(x, y, radius, SQEUCLIDEAN)
        assert {tuple(step) for step in np.diff(path, axis=0)} <= {(1, 1), (1, 0), (0, 1)}
        if radius >= 0:
            offsets = path[:, 1] - path[:, 0]
            assert offsets.min() >= -radius - 23
            assert offsets.max() <= radius


def test_a_wide_band_excludes_nothing():
    generator = np.random.default_rng(7)
    x, y = generator.standard_normal((150, 3)), generator.standard_normal((90, 3))
    distance, path = multivariate.path(x, y, -1, EUCLIDEAN)
    in_band = multivariate.path(x, y, 150, EUCLIDEAN)
    assert in_band[0] == distance
    assert np.array_equal(in_band[1], path)


def test_symmetry_and_identity():
    generator = np.random.default_rng(8)
    x, y = generator.standard_normal((130, 13)), generator.standard_normal((77, 13))
    there, back = (multivariate.distance(*pair, 9, SQEUCLIDEAN) for pair in ((x, y), (y, x)))
    assert there == back
    distance, path = multivariate.path(x, x, -1, SQEUCLIDEAN)
    assert distance == 0
    assert np.array_equal(path, np.stack([np.arange(130)] * 2, axis=1))


@pytest.mark.parametrize("radius", [-1, 3])
def test_costs_that_overflow_give_infinity_and_a_path_in_the_matrix(radius):
    x, y = np.full((70, 2), 1e200), np.full((50, 2), -1e200)
    distance, path = multivariate.path(x, y, radius, SQEUCLIDEAN)
    assert distance == np.inf
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [69, 49]
    assert {tuple(step) for step in np.diff(path, axis=0)} <= {(1, 1), (1, 0), (0, 1)}


@pytest.mark.parametrize("radius", [-1, 4000])
def test_a_matrix_with_checkpoints_far_apart(radius):
    # So many cells that checkpoints are thinned out. The univariate kernel shares no code.
    x, y = series(12_500, 1, 9), series(12_000, 1, 10)
    distance, path = multivariate.path(x, y, radius, SQEUCLIDEAN)
    expected_distance, expected_path = replay.path(
        x[:, 0].copy(), y[:, 0].copy(), radius, SQEUCLIDEAN
    )
    assert distance == expected_distance
    assert np.array_equal(path, expected_path)


@pytest.mark.parametrize("radius", [-1, 60])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("memory", "per_row"), [(0, 8), (1 << 12, 0), (1 << 13, 0)])
def test_little_memory_for_checkpoints(radius, dtype, memory, per_row, monkeypatch):
    x, y = series(500, 3, 11, dtype), series(430, 3, 12, dtype)
    distance, path = multivariate.path(x, y, radius, MANHATTAN)
    rich = multivariate_plan.plan(x, y, radius, checkpoints=True)
    monkeypatch.setattr(multivariate_plan, "MEMORY", memory)
    monkeypatch.setattr(multivariate_plan, "MEMORY_PER_ROW", per_row)
    poor = multivariate_plan.plan(x, y, radius, checkpoints=True)
    assert rich.group == 1
    assert poor.group > 1
    assert poor.chunk > rich.chunk
    distance_again, path_again = multivariate.path(x, y, radius, MANHATTAN)
    assert distance_again == distance
    assert np.array_equal(path_again, path)
