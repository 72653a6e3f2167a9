"""The vector kernels equal the plain recurrence, to the last bit and to the last cell."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign.dtw.compiled import MANHATTAN, SQEUCLIDEAN, njit
from avalign.dtw.search import spotting
from avalign.dtw.simd.registers import VECTORS
from avalign.dtw.simd.vectors import BYTES
from avalign.dtw.univariate import lanes, replay, strips, tiling

# Many kernels are compiled for these.
pytestmark = pytest.mark.slow

HEIGHT = {np.float64: VECTORS * BYTES // 8, np.float32: VECTORS * BYTES // 4}
DTYPES = [np.float64, np.float32]
METRICS = [SQEUCLIDEAN, MANHATTAN]
PRIMES = [3, 7, 61, 211]


@njit
def local_cost(x, y, i, j, metric):
    difference = x[i] - y[j]
    return difference * difference if metric == 0 else abs(difference)


@njit
def plain(x, y, radius, metric, diagonal):
    """Return the distance and the path backwards, diagonals first, then moves along x."""
    n, m = x.size, y.size
    before = n if radius < 0 else radius + max(0, n - m)
    after = m if radius < 0 else radius + max(0, m - n)
    total = np.full((n + 1, m + 1), np.inf, x.dtype)
    total[0, 0] = 0
    for i in range(n):
        for j in range(max(0, i - before), min(m, i + after + 1)):
            cost = local_cost(x, y, i, j, metric)
            across = cost + cost if diagonal == 2 and i + j > 0 else cost
            total[i + 1, j + 1] = min(
                total[i, j] + across, total[i, j + 1] + cost, total[i + 1, j] + cost
            )
    i, j = n, m
    cells = [(i - 1, j - 1)]
    while i > 1 or j > 1:
        # Moves that count alike are compared before their cost is added.
        cost = local_cost(x, y, i - 1, j - 1, metric) if diagonal == 2 else x.dtype.type(0)
        across = total[i - 1, j - 1] + (cost + cost) if i > 1 and j > 1 else np.inf
        down = total[i - 1, j] + cost if i > 1 else np.inf
        along = total[i, j - 1] + cost if j > 1 else np.inf
        if across <= down and across <= along and i > 1 and j > 1:
            i, j = i - 1, j - 1
        elif (down <= along or j == 1) and i > 1:
            i -= 1
        else:
            j -= 1
        cells.append((i - 1, j - 1))
    return total[n, m], cells


def walks(rng, n, m, dtype):
    return (rng.normal(size=k).cumsum().astype(dtype) for k in (n, m))


def check(x, y, radius, metric, diagonal=1):
    expected, cells = plain(x, y, radius, metric, diagonal)
    distance, path = replay.path(x, y, radius, metric, diagonal)
    assert strips.distance(x, y, radius, metric, diagonal) == expected
    assert distance == expected
    assert path.dtype == np.int32
    np.testing.assert_array_equal(path, cells[::-1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_length_around_the_height_of_a_strip(dtype):
    rng = np.random.default_rng(0)
    height = HEIGHT[dtype]
    lengths = [1, 2, *PRIMES, *(k * height + d for k in (1, 2) for d in (-1, 0, 1))]
    for n in lengths:
        for m in lengths:
            check(*walks(rng, n, m, dtype), -1, SQEUCLIDEAN)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("remembered", [True, False])
def test_bands(monkeypatch, dtype, metric, remembered):
    if not remembered:
        monkeypatch.setattr(tiling, "ONE_TILE", 0)
    rng = np.random.default_rng(1)
    for n, m in [(1, 300), (300, 1), (97, 97), (331, 401), (700, 650), (97, 1009)]:
        for radius in [-1, 0, 1, 2, 10, 47, 48, 100, 2000]:
            check(*walks(rng, n, m, dtype), radius, metric)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", METRICS)
def test_diagonals_that_count_twice(dtype, metric):
    rng = np.random.default_rng(7)
    for n, m in [(1, 1), (1, 60), (60, 1), (2, 3), (48, 49), (97, 211), (700, 650)]:
        for radius in [-1, 0, 10, 100]:
            check(*walks(rng, n, m, dtype), radius, metric, 2)
            check(*rng.integers(0, 3, (2, n)).astype(dtype), radius, metric, 2)
    X = [rng.normal(size=n).cumsum().astype(dtype) for n in range(1, 40)]
    expected = [[strips.distance(x, y, -1, metric, 2) for y in X] for x in X]
    matrix = lanes.pairwise(X, None, metric, diagonal=2)
    np.testing.assert_array_equal(matrix, expected)


@settings(max_examples=200)
@given(data=st.data())
def test_ties(data):
    numbers = st.lists(st.integers(0, 2), min_size=1, max_size=150)
    x, y = (np.array(data.draw(numbers), np.float64) for _ in range(2))
    radius = data.draw(st.integers(-1, 20))
    check(x, y, radius, data.draw(st.sampled_from(METRICS)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", METRICS)
def test_huge_tiny_and_denormal_numbers(dtype, metric):
    rng = np.random.default_rng(2)
    info = np.finfo(dtype)
    for scale in [info.max / 8, np.sqrt(info.max), np.sqrt(info.tiny), info.smallest_subnormal]:
        x, y = (series / np.abs(series).max() for series in walks(rng, 130, 150, np.float64))
        check((x * scale).astype(dtype), (y * scale).astype(dtype), 20, metric)
        check((x * scale).astype(dtype), (y * scale).astype(dtype), -1, metric)


def test_single_precision_is_near_double():
    x, y = walks(np.random.default_rng(3), 500, 700, np.float64)
    exact = strips.distance(x, y, -1, SQEUCLIDEAN)
    single = strips.distance(x.astype(np.float32), y.astype(np.float32), -1, SQEUCLIDEAN)
    assert single == pytest.approx(exact, rel=2e-5)


@settings(max_examples=50)
@given(n=st.integers(1, 400), m=st.integers(1, 400), radius=st.integers(-1, 60))
def test_distance_of_swapped_series_is_the_same(n, m, radius):
    x, y = walks(np.random.default_rng(n * 1000 + m), n, m, np.float64)
    distance = strips.distance(x, y, radius, SQEUCLIDEAN)
    assert strips.distance(y, x, radius, SQEUCLIDEAN) == distance
    assert strips.distance(x, x, radius, SQEUCLIDEAN) == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_paths_over_many_tiles(dtype):
    # Long enough for several groups of strips, each with several slabs of steps.
    x, y = walks(np.random.default_rng(4), 1500, 2100, dtype)
    tiles = tiling.plan(x.size, y.size, -1, x.itemsize)
    assert min(tiles.groups, tiles.slabs) > 3
    check(x, y, -1, SQEUCLIDEAN)
    check(x, y, 250, SQEUCLIDEAN)


def test_memory_of_a_path_is_linear_in_the_length():
    for n in (20_000, 1_000_000):
        tiles = tiling.plan(n, n, -1 if n == 20_000 else 2_000, 8)
        assert tiles.footprint(n, 8) < (10e6 if n == 20_000 else 200e6)
    for n, m in [(10, 1_000_000), (1_000_000, 10)]:
        assert tiling.plan(n, m, -1, 8).footprint(m, 8) < 150e6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_matrices_hold_the_distances_of_pairs(dtype, metric, n_jobs):
    rng = np.random.default_rng(5)
    lengths = [1, 2, 5, 6, 7, 12, 13, 150, 200, 331, *rng.integers(1, 60, 10)]
    X = [rng.normal(size=n).cumsum().astype(dtype) for n in lengths]
    Y = [rng.normal(size=n).cumsum().astype(dtype) for n in lengths[3:14]]
    expected = [[strips.distance(x, y, -1, metric) for y in Y] for x in X]
    matrix = lanes.pairwise(X, Y, metric, n_jobs)
    assert matrix.dtype == dtype
    np.testing.assert_array_equal(matrix, expected)
    mirrored = [[strips.distance(x, y, -1, metric) for y in X] for x in X]
    np.testing.assert_array_equal(lanes.pairwise(X, None, metric, n_jobs), mirrored)


def test_matrices_report_their_progress():
    X = [np.arange(3.0)] * 20
    reported = []
    lanes.pairwise(X, None, SQEUCLIDEAN, progress=lambda *numbers: reported.append(numbers))
    assert reported[-1] == (400, 400)
    assert reported == sorted(reported)


NARROW = """
import numpy as np
from avalign.dtw.search import spotting
from avalign.dtw.univariate import lanes, replay, strips
rng = np.random.default_rng(0)
x, y = rng.normal(size=211), rng.normal(size=307)
print(strips.distance(x, y, -1, 0).hex(), strips.distance(x, y, 20, 2).hex())
spotter = spotting.Spotter(x, y, 0)
print(spotter.costs.sum().hex(), sum(map(spotter.start, range(y.size))))
print(replay.path(x, y, 30, 0)[1].sum(), lanes.pairwise([x, y], None, 0)[0, 1].hex())
"""


def test_machines_with_narrow_vectors_get_the_same_numbers(tmp_path):
    def run(**environment):
        return subprocess.run(
            [sys.executable, "-c", NARROW],
            env={**environment, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert run() == run(NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES="+avx2,+fma,+avx,+sse4.2")


def test_a_disk_that_cannot_be_written_costs_only_the_compilation(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    program = (
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = [caching.UserProvidedCacheLocator]\n"
        "import numpy as np\nfrom avalign.dtw.univariate import strips\n"
        "print(strips.distance(np.ones(3), np.zeros(4), -1, 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"NUMBA_CACHE_DIR": str(blocked / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "4.0\n", done.stderr


@njit
def spot(query, series, metric):
    """Fill the matrix of a subsequence search, with the first column of each path."""
    n, m = query.size, series.size
    total = np.full((n, m + 1), np.inf, query.dtype)
    starts = np.zeros((n, m + 1), np.int64)
    for i in range(n):
        for j in range(m):
            cost = query[i] - series[j]
            cost = cost * cost if metric == 0 else abs(cost)
            if i == 0:
                total[i, j + 1], starts[i, j + 1] = cost, j
                continue
            diagonal, up, left = total[i - 1, j], total[i - 1, j + 1], total[i, j]
            best = min(diagonal, up, left)
            start = starts[i, j] if up > best else starts[i - 1, j + 1]
            starts[i, j + 1] = starts[i - 1, j] if diagonal == best else start
            total[i, j + 1] = cost + best
    return total[-1, 1:], starts[-1, 1:]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", METRICS)
def test_spotting_equals_the_plain_recurrence(dtype, metric):
    rng = np.random.default_rng(6)
    for n in [1, 2, 5, 6, 7, 47, 48, 49, 95, 96, 97, 211]:
        for m in [1, 2, 47, 48, 61, 300, 4999]:
            ties = (rng.integers(0, 3, k).astype(dtype) for k in (n, m))
            for query, series in (ties, walks(rng, n, m, dtype)):
                spotter = spotting.Spotter(query, series, metric)
                costs, starts = spot(query, series, metric)
                np.testing.assert_array_equal(spotter.costs, costs)
                found = {end: spotter.start(end) for end in rng.permutation(m).tolist()}
                assert [found[end] for end in range(m)] == starts.tolist()


def test_a_start_far_before_its_end_is_traced_back_to():
    series = np.ones(9 * spotting.LEAST_STEPS)
    series[[0, 5000]] = 0, 7
    spotter = spotting.Spotter(np.array([0.0, 1.0]), series, 0)
    assert [spotter.start(end) for end in (4999, 1, 0)] == [0, 0, 0]
    assert spotter.costs[[0, 1, 4999]].tolist() == [1, 0, 0]
    # After that, no path is better than the shortest, by a diagonal step.
    assert spotter.start(series.size - 1) == series.size - 2
    assert spotter.costs[-1] == 1
