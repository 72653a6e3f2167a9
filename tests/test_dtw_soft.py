import itertools
import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import band, local_costs

from avalign.dtw.compiled import njit
from avalign.dtw.simd.vectors import load, store
from avalign.dtw.soft_dtw import solver as soft_solver
from avalign.dtw.soft_dtw.scaled import exp2, power_of_two
from avalign.dtw.soft_dtw.verbs import soft, soft_alignment, soft_distance, soft_divergence
from avalign.dtw.verbs import distance
from avalign.errors import ParameterError

# Many kernels are compiled for these.
pytestmark = pytest.mark.slow

METRICS = ("sqeuclidean", "euclidean", "manhattan", "cosine", "precomputed")


def paths(n, m):
    """Every warping path of n by m cells."""
    if n == 1 and m == 1:
        return [[(0, 0)]]
    shorter = [(n - a, m - b) for a, b in ((1, 1), (1, 0), (0, 1)) if n > a and m > b]
    return [[*path, (n - 1, m - 1)] for before in shorter for path in paths(*before)]


def allowed(n, m, radius):
    inside = np.zeros((n, m), bool)
    rows = [(0, m)] * n if radius is None else band(n, m, radius)
    for row, (first, stop) in enumerate(rows):
        inside[row, first:stop] = True
    return inside


def by_enumeration(costs, gamma, radius=None):
    """The soft minimum and the fraction of paths through each cell, path by path."""
    inside = allowed(*costs.shape, radius)
    ways = [path for path in paths(*costs.shape) if all(inside[cell] for cell in path)]
    totals = np.array([sum(costs[cell] for cell in path) for path in ways])
    weights = np.exp(-(totals - totals.min()) / gamma)
    fractions = np.zeros(costs.shape)
    for path, weight in zip(ways, weights / weights.sum(), strict=True):
        for cell in path:
            fractions[cell] += weight
    return totals.min() - gamma * math.log(weights.sum()), fractions


def in_logarithms(costs, gamma, radius=None):
    """The textbook recurrence, one cell at a time, on logarithms."""
    n, m = costs.shape
    total = np.full((n + 1, m + 1), -np.inf)
    total[0, 0] = 0
    inside = allowed(n, m, radius)
    for i, j in itertools.product(range(n), range(m)):
        if inside[i, j]:
            before = [total[i, j], total[i, j + 1], total[i + 1, j]]
            total[i + 1, j + 1] = np.logaddexp.reduce(before) - costs[i, j] / gamma
    return -gamma * total[n, m]


def series(rng, metric, n, m, features):
    if metric == "precomputed":
        return rng.uniform(0.0, 3.0, (n, m)), None
    shape = (features,) if features > 1 or metric == "cosine" else ()
    return rng.normal(size=(n, *shape)), rng.normal(size=(m, *shape))


def costs_of(x, y, metric):
    return x if y is None else local_costs(x, y, metric)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (2, 2), (3, 5), (5, 4)])
@pytest.mark.parametrize("radius", [None, 0, 1])
def test_it_is_the_sum_over_all_paths(metric, shape, radius):
    rng = np.random.default_rng(10 * shape[0] + shape[1])
    x, y = series(rng, metric, *shape, 3)
    wanted, fractions = by_enumeration(costs_of(x, y, metric), 0.7, radius)
    given = {"gamma": 0.7, "metric": metric, "radius": radius}
    assert soft_distance(x, y, **given) == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(soft_alignment(x, y, **given), fractions, rtol=1e-11, atol=0)


@settings(max_examples=60)
@given(
    n=st.integers(1, 90),
    m=st.integers(1, 90),
    features=st.sampled_from([1, 2, 4, 5, 13]),
    metric=st.sampled_from(METRICS[:4]),
    radius=st.none() | st.integers(0, 12),
    block=st.integers(1, 40),
    exponent=st.integers(-8, 8),
    seed=st.integers(0, 2**20),
)
def test_any_shape_band_and_block_gives_the_textbook_value(
    n, m, features, metric, radius, block, exponent, seed
):
    rng = np.random.default_rng(seed)
    x, y = series(rng, metric, n, m, max(features, 2) if metric == "cosine" else features)
    gamma = 4.0**exponent
    given = {"gamma": gamma, "metric": metric, "radius": radius}
    with mock.patch.object(soft_solver, "BLOCK", block):
        found = soft(x, y, **given)
        fractions = soft_alignment(x, y, **given)
    wanted = in_logarithms(costs_of(x, y, metric), gamma, radius)
    assert found.distance == pytest.approx(wanted, rel=1e-11, abs=gamma * 1e-11)
    inside = allowed(n, m, radius)
    assert not fractions[~inside].any()
    # Paths visit every anti-diagonal or skip it by a diagonal step.
    sums = [np.fliplr(fractions).trace(m - 1 - d) for d in range(n + m - 1)]
    assert max(sums) <= 1 + 1e-10
    assert fractions[0, 0] == pytest.approx(1, abs=1e-10)
    assert fractions[-1, -1] == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "m"), [(1, 5), (9, 6), (17, 23)])
@pytest.mark.parametrize("radius", [None, 2])
def test_gradients_are_finite_differences(metric, n, m, radius):
    rng = np.random.default_rng(7)
    x, y = series(rng, metric, n, m, 5)
    given = {"gamma": 0.4, "metric": metric, "radius": radius}
    found = soft(x, y, **given)
    pairs = (
        [(x, found.gradient_x)] if y is None else [(x, found.gradient_x), (y, found.gradient_y)]
    )
    for values, gradient in pairs:
        assert gradient.shape == values.shape
        direction = rng.normal(size=values.shape)
        kept, step, ends = values.copy(), 1e-6, []
        for sign in (1, -1):
            values[...] = kept + sign * step * direction
            ends.append(soft_distance(x, y, **given))
        values[...] = kept
        slope = (ends[0] - ends[1]) / (2 * step)
        assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_univariate_gradients_have_one_axis():
    found = soft([0.0, 1.0, 3.0], [0.0, 3.0])
    assert found.gradient_x.shape == (3,)
    assert found.gradient_y.shape == (2,)
    # Moving both series together changes no cost.
    assert found.gradient_x.sum() == pytest.approx(-found.gradient_y.sum(), rel=1e-12)


@pytest.mark.parametrize("metric", METRICS[:4])
def test_it_tends_to_dtw(metric):
    x, y = series(np.random.default_rng(3), metric, 60, 41, 4)
    exact = distance(x, y, metric=metric)
    for gamma in (1e-3, 1e-6, 1e-9):
        above = exact - soft_distance(x, y, gamma=gamma, metric=metric)
        # At most the logarithm of the number of paths.
        assert -1e-12 <= above <= gamma * 101 * math.log(3)


@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1e20, 1e140])
def test_costs_may_be_huge_or_tiny(scale):
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(50, 3))
    plain = soft(x, y, gamma=0.5)
    scaled = soft(x * scale, y * scale, gamma=0.5 * scale**2)
    assert scaled.distance / scale**2 == pytest.approx(plain.distance, rel=1e-12)
    np.testing.assert_allclose(
        scaled.gradient_x / scale, plain.gradient_x, rtol=1e-9, atol=1e-10
    )


def test_a_wall_does_not_drown_the_only_way_through():
    # Every path crosses row 5, of which one cell costs 1e6 and the others 1e7.
    costs = np.zeros((11, 11))
    costs[5] = 1e7
    costs[5, 8] = 1e6
    assert soft_distance(costs, metric="precomputed", gamma=1.0) == pytest.approx(1e6, abs=20)
    assert soft_alignment(costs, metric="precomputed", gamma=1.0)[5, 8] == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_float32_stays_float32_and_close(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 300, 6)).astype(np.float32)
    single, double = soft(x, y), soft(x.astype(float), y.astype(float))
    assert single.gradient_x.dtype == np.float32
    assert single.distance == pytest.approx(double.distance, rel=1e-6)
    np.testing.assert_allclose(single.gradient_x, double.gradient_x, atol=1e-3)


def test_float32_turns_to_float64_where_it_must():
    x, y = np.random.default_rng(5).normal(size=(2, 80)).astype(np.float32)
    found = soft(x, y, gamma=1e-7)
    assert found.gradient_x.dtype == np.float32
    # Below the smallest difference of paths the alignment is the path of DTW.
    wide = soft(x.astype(float), y.astype(float), gamma=1e-7)
    np.testing.assert_allclose(found.gradient_x, wide.gradient_x, rtol=1e-6)
    large = soft_distance(x * np.float32(1e25), y * np.float32(1e25), gamma=1e50)
    assert large == pytest.approx(
        1e50 * soft_distance(x.astype(float), y.astype(float)), rel=1e-5
    )


def test_swapping_the_series_transposes_everything():
    x, y = (np.random.default_rng(6).normal(size=(n, 3)) for n in (33, 48))
    one, other = soft(x, y, radius=9), soft(y, x, radius=9)
    assert one.distance == pytest.approx(other.distance, rel=1e-13)
    np.testing.assert_allclose(one.gradient_x, other.gradient_y, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(
        soft_alignment(x, y, radius=9), soft_alignment(y, x, radius=9).T, rtol=1e-9, atol=1e-300
    )


@pytest.mark.parametrize("metric", METRICS[:4])
def test_the_divergence_is_least_between_equals(metric):
    x, y = series(np.random.default_rng(8), metric, 30, 22, 3)
    assert soft_divergence(x, x, metric=metric).distance == pytest.approx(0, abs=1e-11)
    np.testing.assert_allclose(soft_divergence(x, x, metric=metric).gradient_x, 0, atol=1e-11)
    found = soft_divergence(x, y, metric=metric)
    assert found.distance > 0
    parts = [soft_distance(a, b, metric=metric) for a, b in ((x, y), (x, x), (y, y))]
    assert found.distance == pytest.approx(parts[0] - parts[1] / 2 - parts[2] / 2)
    direction = np.random.default_rng(9).normal(size=x.shape)
    ends = [
        soft_divergence(x + step * direction, y, metric=metric).distance
        for step in (1e-6, -1e-6)
    ]
    slope = (ends[0] - ends[1]) / 2e-6
    assert (found.gradient_x * direction).sum() == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_arrays_of_any_layout_work():
    whole = np.random.default_rng(10).normal(size=(60, 8))
    x, y = whole[::2, ::2], whole[1::2, 1::2]
    whole.flags.writeable = False
    wanted = soft(x.copy(), y.copy()).gradient_x
    np.testing.assert_array_equal(soft(x, y).gradient_x, wanted)
    np.testing.assert_array_equal(soft(np.asfortranarray(x), y).gradient_x, wanted)


@pytest.mark.parametrize("gamma", [0, -1.0, math.inf, math.nan])
def test_gamma_must_be_a_positive_number(gamma):
    with pytest.raises(ParameterError, match="gamma is"):
        soft_distance([1.0], [2.0], gamma=gamma)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("gamma", [1e-300, 1e-45, 1e-39, 1e30, 1e39, 1e42, 1e46, 1e306])
def test_a_gamma_near_the_ends_of_floats_is_computed_right(kind, gamma):
    # All costs are equal: the soft distance is that of DTW less the logarithm of 63 paths.
    x, y = np.zeros(4, kind), np.zeros(4, kind)
    found = soft(x, y, gamma=gamma)
    assert found.distance == pytest.approx(-gamma * math.log(63), rel=1e-6)
    assert not found.gradient_x.any()
    assert not found.gradient_y.any()
    # A single path: what is left of its cost beside gamma is right.
    value = np.full(1, 0.5 * math.sqrt(min(gamma, 1e30)), kind)
    cost = soft_distance(value, y[:1], gamma=gamma)
    assert cost == pytest.approx(float(value[0]) ** 2, rel=1e-5, abs=1e-6 * gamma)


@pytest.mark.parametrize("gamma", [5e-324, 1e-308, 1e308, 1.7e308, "1", None, 1j])
def test_a_gamma_at_the_ends_of_floats_is_refused(gamma):
    for call in (soft, soft_distance, soft_alignment, soft_divergence):
        with pytest.raises(ParameterError, match=r"gamma is .* 1e-307 to 1e\+307"):
            call([1.0, 2.0], [2.0], gamma=gamma)


def test_soft_distances_that_overflow_are_refused():
    for gamma in (1.0, 1e200, 1e300, 1e307):
        with pytest.raises(ParameterError, match=r"too large for a gamma|overflows float64"):
            soft_distance(np.full((9, 9), 1e308), metric="precomputed", gamma=gamma)
    with pytest.raises(ParameterError, match="costs that overflow are too large"):
        soft([1e200], [-1e200])


def test_what_cannot_be_resolved_is_refused():
    with pytest.raises(ParameterError, match="too large for a gamma"):
        soft([0.0, 3.0], [1.0, 5.0], gamma=1e-30)
    with pytest.raises(ParameterError, match="precomputed"):
        soft_divergence([[1.0]], [[1.0]], metric="precomputed")
    with pytest.raises(ParameterError, match="nan"):
        soft([0.0, math.nan], [1.0, 5.0])


@njit
def _exp2_of_all(x, mantissas, exponents):
    for at in range(0, x.size, 64 // x.itemsize):
        mantissa, exponent = exp2(load(x, at))
        store(mantissas, at, mantissa)
        store(exponents, at, exponent)


@njit
def _powers_of_two(x, out):
    for at in range(0, x.size, 64 // x.itemsize):
        store(out, at, power_of_two(load(x, at)))


@pytest.mark.parametrize(("kind", "bound"), [(np.float64, 2e-16), (np.float32, 1.2e-7)])
def test_exp2_is_right_to_the_last_bits(kind, bound):
    x = np.random.default_rng(11).uniform(-0.5, 0.5, 4096).astype(kind)
    mantissas, exponents = np.empty_like(x), np.empty_like(x)
    _exp2_of_all(x, mantissas, exponents)
    error = mantissas / np.exp2(x.astype(np.longdouble)) - 1
    assert not exponents.any()
    assert np.abs(error).max() < bound
    far = np.array([0.0, -1e15, 1e15 + 0.25, -1e9, 1e-300, 3.0, -7.5, 7.5]).astype(kind)
    if kind is np.float64:
        _exp2_of_all(far, mantissas[:8], exponents[:8])
        np.testing.assert_array_equal(exponents[:6], [0, -1e15, 1e15, -1e9, 0, 3])
        np.testing.assert_allclose(mantissas[:6], [1, 1, 2**0.25, 1, 1, 1], rtol=bound)


@pytest.mark.parametrize(("kind", "least"), [(np.float64, -1022), (np.float32, -126)])
def test_powers_of_two_are_exact_and_vanish_below(kind, least):
    x = np.array([0, -1, 5, least, least - 1, -1e6, -np.inf, 100], kind).repeat(2)
    out = np.empty_like(x)
    _powers_of_two(x, out)
    wanted = np.exp2(x)
    wanted[x < least] = 0
    np.testing.assert_array_equal(out, wanted)
