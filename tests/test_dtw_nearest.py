import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import accumulate, band, local_costs

from avalign.dtw.search.bounds import envelope, lb_improved, lb_keogh, lb_kim
from avalign.dtw.search.neighbors import nearest
from avalign.dtw.univariate import strips
from avalign.dtw.verbs import distance
from avalign.errors import ParameterError

# Many kernels are compiled for these.
pytestmark = pytest.mark.slow

METRICS = ("sqeuclidean", "euclidean", "manhattan", "cosine")


def naive_distance(x, y, metric, radius):
    x, y = np.asarray(x), np.asarray(y)
    window = None if radius is None else band(len(x), len(y), radius)
    return accumulate(local_costs(x, y, metric), window=window)[0][-1, -1]


def walks(rng, count, features, low=1, high=40):
    """Series that are alike enough for their order to be in doubt."""
    shape = (features,) if features > 1 else ()
    return [
        np.cumsum(rng.normal(size=(rng.integers(low, high), *shape)), axis=0).round(1) + 0.05
        for _ in range(count)
    ]


@given(
    values=st.lists(st.integers(-4, 4), min_size=1, max_size=20),
    rows=st.none() | st.integers(1, 25),
    radius=st.none() | st.integers(0, 8),
)
def test_the_envelope_is_the_extremes_of_the_band(values, rows, radius):
    y = np.array(values, float)
    count = len(y) if rows is None else rows
    lower, upper = envelope(y, radius, rows=rows)
    windows = [(0, len(y))] * count if radius is None else band(count, len(y), radius)
    np.testing.assert_array_equal(lower, [y[first:stop].min() for first, stop in windows])
    np.testing.assert_array_equal(upper, [y[first:stop].max() for first, stop in windows])


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**20),
    features=st.sampled_from([1, 2, 5]),
    metric=st.sampled_from(METRICS),
    radius=st.none() | st.integers(0, 10),
)
def test_bounds_are_below_the_distance(seed, features, metric, radius):
    if features == 1 and metric == "cosine":
        features = 2
    x, y = walks(np.random.default_rng(seed), 2, features, high=15)
    exact = naive_distance(x, y, metric, radius) * (1 + 1e-12) + 1e-12
    assert lb_kim(x, y, metric=metric) <= exact
    if metric == "euclidean" and features > 1:
        with pytest.raises(ParameterError, match="euclidean"):
            lb_keogh(x, y, metric=metric)
        return
    keogh = lb_keogh(x, y, radius=radius, metric=metric)
    improved = lb_improved(x, y, radius=radius, metric=metric)
    assert 0 <= keogh <= improved <= exact


def test_bounds_by_hand():
    x, y = [0.0, 5.0, 2.0], [1.0, 2.0, 9.0]
    # Envelope of y: [1, 2], [1, 9], [2, 9]. The twin of x: 1, 5, 2; its envelope: [1, 5], ...
    assert lb_keogh(x, y, radius=1) == 1
    assert lb_improved(x, y, radius=1) == 1 + 16
    assert lb_keogh(x, y, radius=1, metric="manhattan") == 1
    assert lb_improved(x, y, radius=1, metric="manhattan") == 1 + 4
    assert lb_kim(x, y) == 1 + 49
    assert lb_kim([0.0, 0.0, 3.0, 0.0], [0.0, 4.0, 5.0, 0.0]) == 0 + 0 + 0 + 4
    assert lb_kim([2.0], [5.0]) == 9


def test_bounds_are_tight_when_the_band_is_the_diagonal():
    x, y = np.random.default_rng(1).normal(size=(2, 30))
    assert lb_keogh(x, y, radius=0) == pytest.approx(((x - y) ** 2).sum())


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**20),
    features=st.sampled_from([1, 3]),
    metric=st.sampled_from(METRICS),
    radius=st.none() | st.integers(0, 6),
    top_k=st.integers(1, 6),
    equal_lengths=st.booleans(),
    kind=st.sampled_from([np.float64, np.float32]),
)
def test_the_nearest_are_those_of_all_distances(
    seed, features, metric, radius, top_k, equal_lengths, kind
):
    rng = np.random.default_rng(seed)
    if metric == "cosine":
        features = 3
    low, high = (12, 13) if equal_lengths else (1, 16)
    query, *candidates = (one.astype(kind) for one in walks(rng, 13, features, low, high))
    candidates += candidates[:2]  # of equals the first wins
    given = {"metric": metric, "radius": radius}
    found = nearest(query, candidates, top_k=top_k, **given)
    all_distances = np.array([distance(query, one, **given) for one in candidates])
    best = np.argsort(all_distances, kind="stable")[:top_k]
    np.testing.assert_array_equal(found.indices, best)
    np.testing.assert_array_equal(found.distances, all_distances[best])
    naive = [naive_distance(query, candidates[index], metric, radius) for index in best]
    np.testing.assert_allclose(found.distances, naive, rtol=1e-4, atol=1e-6)
    counted = found.pruned_by_kim + found.pruned_by_keogh + found.pruned_by_improved
    assert counted + found.aligned == len(candidates)
    assert found.aligned >= min(top_k, len(candidates))


def test_most_candidates_leave_early():
    rng = np.random.default_rng(2)
    time = np.linspace(0, 4 * np.pi, 120)
    candidates = [
        np.sin(time * rng.uniform(0.9, 1.1) + phase) + offset + rng.normal(scale=0.1, size=120)
        for phase in rng.uniform(0, 2 * np.pi, 20)
        for offset in rng.normal(scale=0.7, size=20)
    ]
    query = np.sin(time + 1.0)
    found = nearest(query, candidates, top_k=3, radius=6)
    all_distances = [distance(query, one, radius=6) for one in candidates]
    np.testing.assert_array_equal(found.indices, np.argsort(all_distances)[:3])
    np.testing.assert_allclose(found.distances, np.sort(all_distances)[:3], rtol=1e-13)
    for stage in ("pruned_by_kim", "pruned_by_keogh", "pruned_by_improved"):
        assert getattr(found, stage) > 0, stage
    assert found.aligned < 40


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("radius", [None, 0, 3, 40])
def test_a_distance_is_given_up_only_above_the_limit(kind, radius):
    rng = np.random.default_rng(4)
    for rows, columns in ((1, 1), (47, 49), (49, 47), (97, 200), (260, 250), (400, 130)):
        x, y = (np.cumsum(rng.normal(size=n)).astype(kind) for n in (rows, columns))
        reach = -1 if radius is None else radius
        exact = strips.distance(x, y, reach, 0)
        assert exact == distance(x, y, radius=radius)
        assert strips.distance(x, y, reach, 0, limit=exact) == exact
        below = strips.distance(x, y, reach, 0, limit=np.nextafter(exact, 0))
        assert below in (exact, math.inf)
        if min(rows, columns) > 2 * 96:
            assert strips.distance(x, y, reach, 0, limit=exact / 1e3) == math.inf


@pytest.mark.parametrize("features", [1, 3])
def test_threads_find_the_same(features):
    candidates = walks(np.random.default_rng(5), 60, features, 90, 110)
    alone = nearest(candidates[0], candidates, top_k=7, radius=9)
    for n_jobs in (2, 3, 100, -1):
        shared = nearest(candidates[0], candidates, top_k=7, radius=9, n_jobs=n_jobs)
        np.testing.assert_array_equal(shared.indices, alone.indices)
        np.testing.assert_array_equal(shared.distances, alone.distances)
        pruned = shared.pruned_by_kim + shared.pruned_by_keogh + shared.pruned_by_improved
        assert pruned + shared.aligned == 60


def test_rows_of_an_array_are_candidates_and_all_may_be_asked_for():
    candidates = np.random.default_rng(3).normal(size=(5, 20))
    found = nearest(candidates[3], candidates, top_k=99)
    assert found.indices[0] == 3
    assert found.distances[0] == 0
    assert sorted(found.indices) == list(range(5))
    assert found.aligned == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidates": []}, "candidates holds no series"),
        ({"candidates": [[1.0], [[1.0, 2.0]]]}, "features"),
        ({"candidates": [[1.0], [math.inf]]}, "inf"),
        ({"top_k": 0}, "top_k"),
        ({"radius": -1}, "radius"),
        ({"metric": "precomputed"}, "precomputed"),
        ({"metric": "cosine"}, "cosine"),
        ({"query": [1e300], "candidates": [[-1e300]]}, "overflow"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(ParameterError, match=message):
        nearest(**({"query": [1.0, 2.0], "candidates": [[1.0, 2.0]]} | change))


def test_bounds_refuse_precomputed_costs():
    for bound in (lb_kim, lb_keogh, lb_improved):
        with pytest.raises(ParameterError):
            bound([[1.0]], None, metric="precomputed")
