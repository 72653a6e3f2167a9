"""Every verb with the vector engines off: the general engine and the naive twins agree."""

import inspect
import os
import subprocess
import sys

import naive
import numpy as np
import pytest

from avalign import dtw
from avalign.dtw import dispatch

# Many kernels are compiled for these.
pytestmark = pytest.mark.slow

METRICS = ["sqeuclidean", "euclidean", "manhattan"]


def walks(features, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((57, features), (71, features)) if features > 1 else ((57,), (71,))
    return [rng.normal(size=shape).cumsum(axis=0).astype(dtype) for shape in shapes]


def matches(x, y):
    found = dtw.subsequence(x[:20], y, top_k=3)
    return [(match.start, match.stop, match.distance) for match in found]


def online(x, y):
    follower = dtw.OnlineDtw(y, radius=20)
    return follower.push(x), follower.costs


def jumps(x, y):
    a, b = (series.reshape(len(series), -1).astype(np.float32) for series in (x, y))
    found = dtw.path_with_jumps(a, b, step_cost=1.0, jump_cost=5.0)
    return found.path, found.total


VERBS = {
    "barycenter": lambda x, y: dtw.barycenter([x, y, x[:30]], max_iterations=3).values,
    "cost_matrix": lambda x, y: dtw.cost_matrix(x, y, radius=9),
    "derivative": lambda x, y: dtw.distance(dtw.derivative(x), dtw.derivative(y)),
    "distance": lambda x, y: [dtw.distance(x, y, radius=radius) for radius in (None, 0, 9)],
    "envelope": lambda x, y: dtw.envelope(y, radius=5, rows=len(x)),
    "lb_improved": lambda x, y: dtw.lb_improved(x, y, radius=5),
    "lb_keogh": lambda x, y: dtw.lb_keogh(x, y, radius=5),
    "lb_kim": lambda x, y: dtw.lb_kim(x, y),
    "logistic_weights": lambda x, y: dtw.distance(x, y, weights=dtw.logistic_weights(len(y))),
    "multiscale_path": lambda x, y: dtw.multiscale_path(x, y).path,
    "nearest": lambda x, y: dtw.nearest(x, [y, y[:40], x[:50]], top_k=3, radius=9).distances,
    "pairwise": lambda x, y: dtw.pairwise([x, y, x[:30], y[9:], x[9:]]),
    "path": lambda x, y: dtw.path(x, y, radius=9).path,
    "path_with_jumps": jumps,
    "rabiner_juang": lambda x, y: dtw.path(x, y, step_pattern=dtw.rabiner_juang(3, "d")).path,
    "soft": lambda x, y: dtw.soft(x, y).gradient_y,
    "soft_alignment": lambda x, y: dtw.soft_alignment(x, y),
    "soft_barycenter": lambda x, y: dtw.soft_barycenter([x, y], max_iterations=2).values,
    "soft_distance": lambda x, y: dtw.soft_distance(x, y, radius=9),
    "soft_divergence": lambda x, y: dtw.soft_divergence(x, y).distance,
    "subsequence": matches,
    "OnlineDtw": online,
}


def flat(result):
    parts = result if isinstance(result, tuple | list) else [result]
    return np.concatenate([np.ravel(part) for part in parts])


@pytest.fixture
def general(monkeypatch):
    """Turn the vector engines off, and see to it that none is asked."""
    monkeypatch.setattr(dispatch, "VECTOR_ENGINES", False)

    class Forbidden:
        def __getattr__(self, name):
            raise AssertionError(f"a vector engine was asked for {name}")

    for engine in ("multivariate", "replay", "spotting", "strips"):
        monkeypatch.setattr(dispatch, engine, Forbidden())
    monkeypatch.setattr(dtw.matrices, "lanes", Forbidden())


def test_all_verbs_are_here():
    verbs = {name for name in dtw.__all__ if inspect.isfunction(getattr(dtw, name))}
    assert verbs - {"ignore_local_settings"} | {"OnlineDtw"} == set(VERBS)


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("verb", VERBS)
def test_verbs_say_the_same_without_vectors(verb, features, request):
    x, y = walks(features)
    with_vectors = flat(VERBS[verb](x, y))
    request.getfixturevalue("general")
    # With several features vector kernels round once where others round twice.
    few_bits = {"rtol": 0 if features == 1 else 1e-12}
    np.testing.assert_allclose(flat(VERBS[verb](x, y)), with_vectors, **few_bits)


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("radius", [None, 0, 9])
def test_without_vectors_the_naive_twin_is_met(general, features, metric, radius):
    for dtype in (np.float64, np.float32):
        x, y = walks(features, dtype)
        costs = naive.local_costs(x, y, metric)
        window = None if radius is None else naive.band(len(x), len(y), radius)
        distance, cells = naive.warp(costs, window=window)
        matrix, _ = naive.accumulate(costs, window=window)
        found = dtw.path(x, y, metric=metric, radius=radius)
        assert found.distance == distance == dtw.distance(x, y, metric=metric, radius=radius)
        assert found.path.tolist() == [list(cell) for cell in cells]
        assert dtw.pairwise([x], [y], metric=metric, radius=radius).item() == distance
        assert dtw.nearest(x, [y], metric=metric, radius=radius).distances.item() == distance
        np.testing.assert_array_equal(
            dtw.cost_matrix(x, y, metric=metric, radius=radius), matrix
        )


@pytest.mark.parametrize("metric", METRICS)
def test_without_vectors_matches_are_those_of_the_naive_twin(general, metric):
    x, y = walks(1)
    costs, starts = naive.subsequences(x[:20], y, metric)
    for match in dtw.subsequence(x[:20], y, metric=metric, exclusion=0):
        assert match.distance == costs[match.stop - 1]
        assert match.start == starts[match.stop - 1]


@pytest.mark.parametrize(("value", "wanted"), [("0", "False"), ("1", "True")])
def test_the_environment_turns_them_off(value, wanted):
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "from avalign.dtw import dispatch as d; print(d.VECTOR_ENGINES)",
        ],
        env={**os.environ, "AVALIGN_DTW_VECTORS": value},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == wanted
