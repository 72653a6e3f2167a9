"""Random calls of every verb against slow, obvious twins, until the time is over.

``AVALIGN_FUZZ_SECONDS`` sets how long (20), ``AVALIGN_FUZZ_SEED`` where to begin (0). A call
that fails is named by its seed, which alone repeats it.
"""

import itertools
import os
import time

import naive
import numpy as np
import pytest

from avalign import dtw
from avalign.errors import ParameterError

SECONDS = float(os.environ.get("AVALIGN_FUZZ_SECONDS", "20"))
FIRST_SEED = int(os.environ.get("AVALIGN_FUZZ_SEED", "0"))

METRICS = ("sqeuclidean", "euclidean", "manhattan", "cosine")
# Around where strips of both types and tiles of frames end, and small ones.
LENGTHS = (1, 2, 3, 5, 8, 13, 47, 48, 49, 95, 97)


class Case:
    """What a seed stands for: series and how they are compared."""

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng(seed)
        self.kind = rng.choice([np.float32, np.float64])
        self.metric = str(rng.choice(METRICS))
        self.features = int(rng.choice([2, 5] if self.metric == "cosine" else [1, 1, 2, 5]))
        # Few values make ties; whole ones make sums exact, whatever their order.
        self.whole = bool(rng.random() < 0.5)
        self.radius = None if rng.random() < 0.5 else int(rng.integers(0, 20))
        self.rtol = 1e-4 if self.kind is np.float32 else 1e-9

    def series(self, length=None, *, longest=97):
        if length is None:
            length = int(self.rng.choice([one for one in LENGTHS if one <= longest]))
        shape = (length, self.features) if self.features > 1 else (length,)
        values = (
            self.rng.integers(1, 6, size=shape) if self.whole else self.rng.normal(size=shape)
        )
        return values.astype(self.kind)

    def costs(self, x, y):
        return naive.local_costs(x, y, self.metric)

    def window(self, x, y):
        return None if self.radius is None else naive.band(len(x), len(y), self.radius)

    def distance(self, x, y):
        return naive.warp(self.costs(x, y), window=self.window(x, y))[0]

    def close(self, found, wanted):
        np.testing.assert_allclose(found, wanted, rtol=self.rtol, atol=self.rtol)

    def check_path(self, cells, costs, distance, *, closed=True, moves=naive.CLASSIC):
        """A path is monotone, stays in the matrix, and costs what it says."""
        steps = np.diff(cells, axis=0)
        assert (steps >= 0).all()
        assert (steps.sum(axis=1) > 0).all()
        assert cells[0, 0] == 0
        assert cells[-1, 0] == len(costs) - 1
        if closed:
            assert cells[0, 1] == 0
            assert cells[-1, 1] == costs.shape[1] - 1
        if moves is naive.CLASSIC:
            self.close(costs[tuple(cells.T)].sum(), distance)


def check_distance_and_path(case):
    x, y = case.series(), case.series()
    given = {"metric": case.metric, "radius": case.radius}
    costs = case.costs(x, y)
    wanted, cells = naive.warp(costs, window=case.window(x, y))
    case.close(dtw.distance(x, y, **given), wanted)
    found = dtw.path(x, y, **given)
    case.close(found.distance, wanted)
    case.check_path(found.path, costs, wanted)
    if case.features == 1:  # exact, ties and all
        assert dtw.distance(x, y, **given) == wanted
        assert found.path.tolist() == [list(cell) for cell in cells]
    case.close(dtw.distance(y, x, **given), wanted)


def check_cost_matrix(case):
    x, y = case.series(), case.series()
    total, _ = naive.accumulate(case.costs(x, y), window=case.window(x, y))
    case.close(dtw.cost_matrix(x, y, metric=case.metric, radius=case.radius), total)


def check_step_patterns(case):
    x, y = (case.series(int(case.rng.integers(1, 14))) for _ in "xy")
    pattern = dtw.STEP_PATTERNS[str(case.rng.choice(sorted(dtw.STEP_PATTERNS)))]
    open_begin, open_end = (bool(case.rng.random() < 0.5) for _ in "be")
    moves = naive.CLASSIC if pattern.is_classic else pattern.moves
    costs = case.costs(x, y)
    wanted, _ = naive.warp(costs, moves, case.window(x, y), open_begin, open_end)
    given = {
        "metric": case.metric,
        "radius": case.radius,
        "step_pattern": pattern,
        "open_begin": open_begin,
        "open_end": open_end,
    }
    if wanted == np.inf:
        for verb in (dtw.distance, dtw.path):
            with pytest.raises(ParameterError, match="no path"):
                verb(x, y, **given)
        return
    case.close(dtw.distance(x, y, **given), wanted)
    found = dtw.path(x, y, **given)
    case.close(found.distance, wanted)
    closed = not (open_begin or open_end)
    case.check_path(found.path, costs, wanted, closed=closed, moves=moves)


def check_weights_and_windows(case):
    x, y = (case.series(int(case.rng.integers(1, 14))) for _ in "xy")
    weights = case.rng.random(max(len(x), len(y))).astype(case.kind)
    apart = np.abs(np.subtract.outer(np.arange(len(x)), np.arange(len(y))))
    window = naive.band(len(x), len(y), int(case.rng.integers(0, 5)))
    costs = case.costs(x, y) * weights[apart]
    wanted, _ = naive.warp(costs, window=window)
    given = {"metric": case.metric, "weights": weights, "window": window}
    case.close(dtw.distance(x, y, **given), wanted)
    found = dtw.path(x, y, **given)
    case.check_path(found.path, costs, wanted)
    precomputed = {"metric": "precomputed", "window": window}
    case.close(dtw.distance(costs, **precomputed), wanted)
    case.close(dtw.path(costs, **precomputed).distance, wanted)


def check_pairwise(case):
    series = [case.series(longest=13) for _ in range(int(case.rng.integers(1, 6)))]
    others = [case.series(longest=13) for _ in range(int(case.rng.integers(1, 6)))]
    given = {
        "metric": case.metric,
        "radius": case.radius,
        "n_jobs": int(case.rng.integers(1, 3)),
    }
    wanted = [[case.distance(x, y) for y in others] for x in series]
    case.close(dtw.pairwise(series, others, **given), wanted)
    case.close(
        dtw.pairwise(series, **given), [[case.distance(x, y) for y in series] for x in series]
    )


def check_nearest(case):
    query, *candidates = (case.series(longest=49) for _ in range(int(case.rng.integers(2, 7))))
    top_k, n_jobs = (int(number) for number in case.rng.integers(1, 4, size=2))
    found = dtw.nearest(
        query, candidates, metric=case.metric, radius=case.radius, top_k=top_k, n_jobs=n_jobs
    )
    wanted = np.array([case.distance(query, one) for one in candidates])
    case.close(found.distances, np.sort(wanted)[:top_k])
    case.close(wanted[found.indices], found.distances)
    assert len(set(found.indices.tolist())) == min(top_k, len(candidates))


def check_subsequence(case):
    query, series = case.series(int(case.rng.integers(1, 30))), case.series()
    costs = case.costs(query, series)
    wanted = naive.accumulate(costs, open_begin=True)[0][-1]
    matches = dtw.subsequence(query, series, metric=case.metric, exclusion=0)
    assert sorted(match.stop for match in matches) == list(range(1, len(series) + 1))
    for match in matches:
        case.close(match.distance, wanted[match.stop - 1])
    best = matches[0]
    case.close(best.distance, wanted.min())
    alone = naive.warp(costs[:, best.start : best.stop])[0]
    case.close(alone, best.distance)
    apart = dtw.subsequence(query, series, metric=case.metric)
    rows = list(itertools.chain(*(range(match.start, match.stop) for match in apart)))
    assert len(rows) == len(set(rows))


def check_soft(case):
    x, y = (case.series(int(case.rng.integers(1, 6))) for _ in "xy")
    gamma = float(10 ** case.rng.uniform(-2, 2))
    value, expected = naive.soft(case.costs(x, y), gamma)
    given = {"metric": case.metric, "gamma": gamma}
    tolerance = 10 * case.rtol * (1 + gamma)
    assert dtw.soft_distance(x, y, **given) == pytest.approx(
        value, rel=tolerance, abs=tolerance
    )
    found = dtw.soft(x, y, **given)
    assert found.distance == pytest.approx(value, rel=tolerance, abs=tolerance)
    # Probabilities are as wrong as costs are beside gamma.
    doubt = 10 * case.rtol * (1 + 1 / gamma) * (1 + case.costs(x, y).max())
    np.testing.assert_allclose(dtw.soft_alignment(x, y, **given), expected, atol=doubt)
    ample = dtw.soft_distance(x, y, **given, radius=99)
    assert ample == pytest.approx(value, rel=tolerance, abs=tolerance)


def check_bounds(case):
    x, y = case.series(), case.series()
    distance = case.distance(x, y) * (1 + case.rtol) + case.rtol
    assert dtw.lb_kim(x, y, metric=case.metric) <= distance
    lower, upper = dtw.envelope(y, case.radius, rows=len(x))
    window = case.window(x, y)
    spans = [(0, len(y))] * len(x) if window is None else window
    np.testing.assert_array_equal(lower, [y[a:b].min(axis=0) for a, b in spans])
    np.testing.assert_array_equal(upper, [y[a:b].max(axis=0) for a, b in spans])
    if case.metric == "euclidean" and case.features > 1:
        return
    keogh = dtw.lb_keogh(x, y, metric=case.metric, radius=case.radius)
    improved = dtw.lb_improved(x, y, metric=case.metric, radius=case.radius)
    assert keogh <= improved <= distance


def check_averages(case):
    series = [case.series(int(case.rng.integers(1, 12))) for _ in range(3)]
    found = dtw.barycenter(series, max_iterations=5)
    total = sum(naive.warp(naive.local_costs(found.values, one))[0] for one in series)
    case.close(found.cost, total)
    assert (np.diff(found.costs) <= 0).all()


def check_online(case):
    reference, live = case.series(), case.series()
    if case.metric == "cosine":
        return
    follower = dtw.OnlineDtw(reference, metric=case.metric)
    cut = int(case.rng.integers(0, len(live) + 1))
    for part in (live[:cut], live[cut:]):
        if len(part):
            follower.push(part)
    symmetric2 = dtw.STEP_PATTERNS["symmetric2"].moves
    costs = naive.local_costs(live.astype(float), reference.astype(float), case.metric)
    case.close(follower.costs, naive.accumulate(costs, symmetric2)[0][-1])


def check_multiscale(case):
    x, y = case.series(), case.series()
    found = dtw.multiscale_path(x, y, metric=case.metric)
    wanted = naive.warp(case.costs(x, y))[0]
    case.close(found.distance, wanted)
    assert found.is_exact
    case.check_path(found.path, case.costs(x, y), wanted)


CHECKS = {
    name.removeprefix("check_"): check
    for name, check in sorted(globals().items())
    if name.startswith("check_")
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_random_calls(name):
    started = time.monotonic()
    for seed in itertools.count(FIRST_SEED):
        try:
            CHECKS[name](Case(seed))
        except Exception as error:
            error.add_note(f"AVALIGN_FUZZ_SEED={seed} repeats it")
            raise
        if time.monotonic() - started > SECONDS / len(CHECKS):
            break
