import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign.dtw.averages import barycenter, soft_barycenter
from avalign.dtw.soft_dtw.verbs import soft, soft_distance
from avalign.dtw.verbs import distance
from avalign.errors import ParameterError

# Many kernels are compiled for these.
pytestmark = pytest.mark.slow


def ramps(count, features=None, seed=0):
    """One shape at several speeds, of several lengths, with a little noise."""
    rng = np.random.default_rng(seed)
    found = []
    for length in rng.integers(20, 40, count):
        time = np.linspace(0, 1, length) ** rng.uniform(0.6, 1.6)
        shape = np.sin(2 * np.pi * time[:, None] * np.arange(1, (features or 1) + 1))
        noisy = shape + rng.normal(scale=0.05, size=shape.shape)
        found.append(noisy if features else noisy[:, 0])
    return found


def total(center, series, weights=None, **given):
    weights = np.ones(len(series)) if weights is None else weights
    return sum(
        w * distance(center, one, **given) for w, one in zip(weights, series, strict=True)
    )


def test_the_average_of_one_series_is_the_series():
    (one,) = ramps(1)
    found = barycenter([one])
    np.testing.assert_array_equal(found.values, one)
    assert found.converged
    assert found.cost == 0


def test_aligned_rows_are_averaged_by_weight():
    series = [[0.0, 0.0, 4.0, 0.0], [0.0, 0.0, 8.0, 0.0]]
    np.testing.assert_allclose(barycenter(series).values, [0, 0, 6, 0])
    found = barycenter(series, weights=[3.0, 1.0])
    np.testing.assert_allclose(found.values, [0, 0, 5, 0])
    assert found.cost == pytest.approx(3 * 1 + 1 * 9)


@pytest.mark.parametrize("features", [None, 3])
@pytest.mark.parametrize("radius", [None, 4])
def test_costs_fall_to_a_fixed_point_that_beats_every_series(features, radius):
    series = ramps(6, features)
    found = barycenter(series, radius=radius, tolerance=0, max_iterations=200)
    assert found.converged
    assert (np.diff(found.costs) <= 0).all()
    assert found.cost == pytest.approx(total(found.values, series, radius=radius))
    assert found.cost < 0.9 * min(total(one, series, radius=radius) for one in series)
    again = barycenter(series, radius=radius, initial=found.values)
    np.testing.assert_allclose(again.values, found.values, atol=1e-12)


def test_it_begins_at_the_weighted_medoid():
    series = ramps(5)
    weights = [0.1, 5.0, 0.1, 0.1, 0.1]
    sums = [total(one, series, weights) for one in series]
    found = barycenter(series, weights=weights, max_iterations=0)
    np.testing.assert_array_equal(found.values, series[int(np.argmin(sums))])
    assert found.costs == pytest.approx([min(sums)])
    assert found.iterations == 0
    assert not found.converged


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    features=st.sampled_from([None, 2]),
    size=st.integers(1, 9),
    seed=st.integers(0, 999),
)
def test_any_lengths_average(lengths, features, size, seed):
    rng = np.random.default_rng(seed)
    shape = () if features is None else (features,)
    series = [rng.normal(size=(length, *shape)) for length in lengths]
    found = barycenter(series, initial=rng.normal(size=(size, *shape)))
    assert found.values.shape == (size, *shape)
    assert (np.diff(found.costs) <= 0).all()
    assert found.cost == pytest.approx(total(found.values, series))
    # One more mean of what is aligned cannot help by more than the tolerance.
    assert barycenter(series, initial=found.values).cost >= found.cost * (1 - 1e-3)


def test_float32_stays_float32():
    series = [one.astype(np.float32) for one in ramps(3)]
    assert barycenter(series).values.dtype == np.float32
    assert soft_barycenter(series, max_iterations=3).values.dtype == np.float32


def test_the_soft_barycenter_is_stationary():
    series = ramps(4, 2)
    weights = np.array([1.0, 2.0, 0.5, 1.0])
    found = soft_barycenter(
        series, gamma=0.1, weights=weights, tolerance=1e-13, max_iterations=600
    )
    assert (np.diff(found.costs) <= 0).all()
    pairs = list(zip(weights, series, strict=True))
    assert found.cost == pytest.approx(
        sum(w * soft_distance(found.values, one, gamma=0.1) for w, one in pairs)
    )
    slopes = sum(w * soft(found.values, one, gamma=0.1).gradient_x for w, one in pairs)
    begin = barycenter(series, weights=weights, max_iterations=0).values
    at_first = sum(w * soft(begin, one, gamma=0.1).gradient_x for w, one in pairs)
    assert np.abs(slopes).max() < 1e-2 * np.abs(at_first).max()


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_the_soft_barycenter_descends_under_any_metric(metric):
    found = soft_barycenter(ramps(4, 2), gamma=0.1, metric=metric)
    assert (np.diff(found.costs) <= 0).all()
    assert found.costs[0] - found.cost > 0.05 * abs(found.costs[0])


def test_the_soft_barycenter_tends_to_the_hard_one():
    series = ramps(5)
    hard = barycenter(series)
    soft_one = soft_barycenter(series, gamma=1e-3, initial=hard.values)
    assert total(soft_one.values, series) == pytest.approx(hard.cost, rel=0.02)


@pytest.mark.parametrize("average", [barycenter, soft_barycenter])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"series": []}, "no series"),
        ({"series": [[1.0], [[1.0, 2.0]]]}, r"series\[1\]"),
        ({"series": [[1.0], [math.nan]]}, r"series\[1\]"),
        ({"weights": [1.0]}, "weights"),
        ({"weights": [1.0, -1.0]}, "weights"),
        ({"weights": [0.0, 0.0]}, "weights"),
        ({"initial": [[1.0, 2.0]]}, "initial"),
        ({"max_iterations": -1}, "max_iterations"),
        ({"radius": 0.5}, "radius"),
    ],
)
def test_bad_input_is_refused(average, change, message):
    with pytest.raises(ParameterError, match=message):
        average(**({"series": [[1.0, 2.0], [2.0, 3.0]]} | change))
