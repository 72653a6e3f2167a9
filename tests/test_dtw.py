"""The verbs of avalign.dtw against their naive twin, and by what every DTW must satisfy."""

import subprocess
import sys

import naive
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avalign import dtw
from avalign.dtw import windows
from avalign.dtw.general import recurrence
from avalign.errors import MissingDependencyError, ParameterError

quick = settings(max_examples=60)

METRICS = ("sqeuclidean", "euclidean", "manhattan")
SMALL = st.integers(-3, 3).map(float)
WIDE = st.floats(-1e3, 1e3, allow_subnormal=True)


@st.composite
def pairs(draw, longest=24, most_features=3, values=None):
    """Two series of one type; small integers among them, so that ties are common."""
    features = draw(st.integers(1, most_features))
    numbers = draw(st.sampled_from([SMALL, WIDE])) if values is None else values
    dtype = draw(st.sampled_from([np.float32, np.float64]))

    def series():
        length = draw(st.integers(1, longest))
        rows = draw(
            st.lists(
                st.lists(numbers, min_size=features, max_size=features),
                min_size=length,
                max_size=length,
            )
        )
        return np.array(rows, dtype=dtype)

    return series(), series()


def is_warping_path(path):
    steps = np.diff(path, axis=0)
    return ((steps >= 0) & (steps <= 1)).all() and steps.any(axis=1).all()


def summed(costs, path):
    """Add costs along a path in its order, in their own arithmetic."""
    total = costs.dtype.type(0)
    for cell in path:
        total = costs[tuple(cell)] + total
    return total


class TestTwin:
    @pytest.mark.slow
    @quick
    @given(pairs(), st.sampled_from(METRICS), st.none() | st.integers(0, 8))
    def test_distance_path_and_matrix_equal_the_naive_twin(self, series, metric, radius):
        x, y = series
        costs = naive.local_costs(x, y, metric)
        window = None if radius is None else naive.band(len(x), len(y), radius)
        distance, path = naive.warp(costs, window=window)
        matrix, _ = naive.accumulate(costs, window=window)
        found = dtw.path(x, y, metric=metric, radius=radius)
        exact = x.shape[1] == 1
        few_bits = {"rtol": 1e-5 if x.dtype == np.float32 else 1e-12}
        np.testing.assert_allclose(found.distance, distance, **few_bits)
        np.testing.assert_array_equal(
            dtw.cost_matrix(x, y, metric=metric, radius=radius), matrix
        )
        assert dtw.distance(x, y, metric=metric, radius=radius) == found.distance
        if exact:
            assert found.distance == distance
            assert found.path.tolist() == [list(cell) for cell in path]

    @pytest.mark.slow
    @quick
    @given(
        pairs(longest=14),
        st.sampled_from(sorted(dtw.STEP_PATTERNS)),
        st.booleans(),
        st.booleans(),
        st.none() | st.integers(0, 6),
        st.booleans(),
    )
    def test_general_engine_equals_the_naive_twin_to_the_bit(
        self, series, name, open_begin, open_end, radius, in_blocks
    ):
        x, y = series
        pattern = dtw.STEP_PATTERNS[name]
        moves = naive.CLASSIC if pattern.is_classic else pattern.moves
        costs = naive.local_costs(x, y)
        window = naive.band(len(x), len(y), 99 if radius is None else radius)
        distance, path = naive.warp(costs, moves, window, open_begin, open_end)
        arguments = {
            "window": window,
            "step_pattern": pattern,
            "open_begin": open_begin,
            "open_end": open_end,
        }
        with pytest.MonkeyPatch.context() as patch:
            if in_blocks:  # as if the matrix were too large to keep
                patch.setattr(recurrence, "BLOCK_ROWS", 3)
                patch.setattr(recurrence, "CACHED_CELLS", 0)
                patch.setattr(recurrence, "_block_rows", lambda _: 3)
            matrix, _ = naive.accumulate(costs, moves, window, open_begin)
            np.testing.assert_array_equal(dtw.cost_matrix(x, y, **arguments), matrix)
            if path is None:
                with pytest.raises(ParameterError, match="no path of step pattern"):
                    dtw.path(x, y, **arguments)
                return
            found = dtw.path(x, y, **arguments)
            assert dtw.distance(x, y, **arguments) == distance
        assert found.distance == distance
        assert found.path.tolist() == [list(cell) for cell in path]

    @pytest.mark.slow
    @quick
    @given(pairs(longest=12), st.sampled_from(["symmetric1", "symmetricP1", "asymmetric"]))
    def test_precomputed_costs_may_be_anything_finite(self, series, name):
        costs = naive.local_costs(*series) - series[0].dtype.type(2)
        moves = naive.CLASSIC if name == "symmetric1" else dtw.STEP_PATTERNS[name].moves
        distance, path = naive.warp(costs, moves)
        if path is None:
            return
        found = dtw.path(costs, metric="precomputed", step_pattern=name)
        assert found.distance == distance
        assert found.path.tolist() == [list(cell) for cell in path]

    @quick
    @given(
        pairs(longest=9),
        st.sampled_from(["symmetric1", "symmetric2", "symmetricP1", "rabiner_juang_2c"]),
        st.sampled_from([0.1, 0.3, 0.6]),
        st.booleans(),
        st.booleans(),
        st.integers(0, 2**32 - 1),
    )
    def test_no_path_meets_an_infinite_cost(self, series, name, share, opens, weighs, seed):
        random = np.random.default_rng(seed)
        costs = naive.local_costs(*series)
        costs[random.random(costs.shape) < share] = np.inf
        weights = np.zeros(max(costs.shape), costs.dtype) if weighs else None
        moves = naive.CLASSIC if name == "symmetric1" else dtw.STEP_PATTERNS[name].moves
        weighed = np.where(costs < np.inf, 0, costs).astype(costs.dtype) if weighs else costs
        given = {"metric": "precomputed", "step_pattern": name, "open_end": opens}
        given |= {"open_begin": opens, "weights": weights}
        distance, path = naive.warp(weighed, moves, open_begin=opens, open_end=opens)
        if path is None:
            with pytest.raises(ParameterError, match="no path of"):
                dtw.path(costs, **given)
            return
        found = dtw.path(costs, **given)
        assert dtw.distance(costs, **given) == found.distance == distance
        assert found.path.tolist() == [list(cell) for cell in path]
        assert np.isfinite(costs[tuple(found.path.T)]).all()

    @pytest.mark.slow
    def test_no_path_goes_round_a_wall(self):
        costs = np.ones((4, 5))
        costs[:, 2] = np.inf
        for verb in (dtw.distance, dtw.path):
            with pytest.raises(ParameterError, match="4 x 5 costs goes round the infinite"):
                verb(costs, metric="precomputed")
        with pytest.raises(ParameterError, match="infinite ones"):
            dtw.soft(costs, metric="precomputed")
        costs[3, 2] = 1
        assert dtw.path(costs, metric="precomputed").distance == 6
        assert (dtw.soft(costs, metric="precomputed").gradient_x[:3, 2] == 0).all()
        with pytest.raises(ParameterError, match=r"x is nan in row 0 .*costs inf"):
            dtw.path(np.full((2, 2), np.nan), metric="precomputed")

    @pytest.mark.slow
    @quick
    @given(pairs(most_features=4, values=st.floats(0.5, 9)))
    def test_cosine_is_one_minus_the_normalised_product(self, series):
        x, y = series
        if x.shape[1] == 1:
            x, y = np.hstack([x, x + 1]), np.hstack([y, y + 1])
        units = [rows / np.linalg.norm(rows, axis=1)[:, None] for rows in (x, y)]
        costs = np.maximum(1 - units[0] @ units[1].T, 0)
        single = x.dtype == np.float32
        found = dtw.distance(x, y, metric="cosine")
        assert found == pytest.approx(
            float(naive.warp(costs.astype(np.float64))[0]),
            rel=1e-4 if single else 1e-9,
            abs=1e-5 if single else 1e-13,
        )

    @quick
    @given(pairs(longest=12), st.floats(0, 1))
    def test_weights_multiply_the_costs(self, series, steepness):
        x, y = series
        weights = dtw.logistic_weights(max(len(x), len(y)), steepness=steepness)
        away = np.abs(np.subtract.outer(np.arange(len(x)), np.arange(len(y))))
        costs = naive.local_costs(x, y) * weights.astype(x.dtype)[away]
        assert dtw.distance(x, y, weights=weights) == naive.warp(costs)[0]

    @pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 63, 64, 65, 127, 129, 509, 513])
    @pytest.mark.parametrize("features", [1, 13])
    def test_lengths_around_the_edges_of_strips_and_blocks(self, length, features):
        generator = np.random.default_rng(length)
        x = generator.integers(-9, 9, (length, features)).astype(float)
        y = generator.integers(-9, 9, (length + 3, features)).astype(float)
        full = np.tile([0, len(y)], (length, 1))
        found, general = dtw.path(x, y), dtw.path(x, y, window=full)
        assert found.distance == general.distance == dtw.distance(x, y)
        assert found.path.tolist() == general.path.tolist()
        banded = dtw.path(x, y, radius=5)
        general = dtw.path(x, y, window=windows.sakoe_chiba(length, len(y), 5))
        assert banded.distance == general.distance
        assert banded.path.tolist() == general.path.tolist()

    @pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-160, 1e150])
    def test_denormal_tiny_and_huge_values(self, scale):
        x, y = np.array([0.0, 3, 1, 2]) * scale, np.array([0.0, 1, 3, 3]) * scale
        expected, _ = naive.warp(naive.local_costs(x, y))
        assert dtw.distance(x, y) == expected


class TestProperties:
    @pytest.mark.slow
    @quick
    @given(pairs(), st.sampled_from(METRICS), st.none() | st.integers(0, 8))
    def test_symmetry_and_zero_to_itself(self, series, metric, radius):
        x, y = series
        arguments = {"metric": metric, "radius": radius}
        there, back = dtw.distance(x, y, **arguments), dtw.distance(y, x, **arguments)
        assert there == pytest.approx(back, rel=1e-6 if x.dtype == np.float32 else 1e-13)
        assert dtw.distance(x, x, **arguments) == 0
        assert dtw.path(x, x, **arguments).path.tolist() == [[i, i] for i in range(len(x))]

    @pytest.mark.slow
    @quick
    @given(pairs(), st.none() | st.integers(0, 8))
    def test_paths_are_continuous_and_cost_what_they_say(self, series, radius):
        x, y = series
        found = dtw.path(x, y, radius=radius)
        assert is_warping_path(found.path)
        assert found.path[0].tolist() == [0, 0]
        assert found.path[-1].tolist() == [len(x) - 1, len(y) - 1]
        assert summed(naive.local_costs(x, y), found.path) == pytest.approx(
            found.distance, rel=1e-5 if x.dtype == np.float32 else 1e-12
        )
        if radius is not None:
            first, stop = naive.band(len(x), len(y), radius)[found.path[:, 0]].T
            assert (first <= found.path[:, 1]).all()
            assert (found.path[:, 1] < stop).all()

    @pytest.mark.slow
    @quick
    @given(pairs())
    def test_a_wide_window_is_none(self, series):
        x, y = series
        n, m = len(x), len(y)
        assert dtw.distance(x, y, radius=max(n, m)) == dtw.distance(x, y)
        assert dtw.cost_matrix(x, y, window=[[0, m]] * n).tolist() == (
            dtw.cost_matrix(x, y).tolist()
        )

    @quick
    @given(pairs(values=st.floats(-9, 9, width=32)), st.none() | st.integers(0, 8))
    def test_transposition_swaps_a_path_that_has_no_ties(self, series, radius):
        # Powers of an irrational number make the sums of different costs differ.
        x, y = (rows + np.sqrt(2) ** np.arange(len(rows))[:, None] for rows in series)
        there, back = dtw.path(x, y, radius=radius), dtw.path(y, x, radius=radius)
        totals = np.pad(
            dtw.cost_matrix(x, y, radius=radius), ((1, 0), (1, 0)), constant_values=np.inf
        )
        ways = [(totals[i, j], totals[i, j + 1], totals[i + 1, j]) for i, j in there.path[1:]]
        if all(costs.count(min(costs)) == 1 for costs in map(list, ways)):
            assert there.path.tolist() == back.path[:, ::-1].tolist()

    @quick
    @given(st.integers(1, 40), st.integers(1, 40))
    @example(1, 40)
    @example(40, 1)
    def test_ties_go_diagonal_then_along_x_then_along_y(self, n, m):
        path = dtw.path(np.zeros(n), np.zeros(m)).path.tolist()
        corner = [[0, j] for j in range(m - n)] + [[i, 0] for i in range(n - m)]
        square = min(n, m)
        diagonal = [[n - square + k, m - square + k] for k in range(square)]
        assert path == [*corner, *diagonal]

    @pytest.mark.slow
    @quick
    @given(pairs(longest=12))
    def test_open_ends_are_the_best_of_all_ends(self, series):
        x, y = series
        m = len(y)
        spans = [(a, b) for a in range(m) for b in range(a + 1, m + 1)]
        costs = {span: dtw.distance(x, y[slice(*span)]) for span in spans}

        def best(a_free, b_free):
            return min(
                cost
                for (a, b), cost in costs.items()
                if (a_free or a == 0) and (b_free or b == m)
            )

        for begin, end in [(True, True), (True, False), (False, True)]:
            found = dtw.distance(x, y, open_begin=begin, open_end=end)
            assert found == pytest.approx(best(begin, end), rel=1e-5)

    @pytest.mark.slow
    @quick
    @given(pairs(longest=20))
    def test_float32_is_near_float64(self, series):
        x, y = (rows.astype(np.float32) for rows in series)
        single, double = dtw.distance(x, y), dtw.distance(x.astype(float), y.astype(float))
        # Every sum and product rounds once: features, squares, and N + M additions.
        roundings = 2 * x.shape[1] + len(x) + len(y) + 2
        assert abs(single - double) <= roundings * np.finfo(np.float32).eps * double + 1e-30


class TestArrays:
    def test_layouts_that_must_work(self):
        generator = np.random.default_rng(0)
        x, y = generator.normal(size=(2, 40, 3))
        expected = dtw.distance(x, y)
        frozen = x.copy()
        frozen.flags.writeable = False
        unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float64)
        wide = np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]
        for same in (
            frozen,
            np.asfortranarray(x),
            wide,
            x[::-1].copy()[::-1],
            x.astype(">f8"),
            x.tolist(),
            unaligned.reshape(x.shape),
        ):
            assert dtw.distance(same, y) == expected
            assert dtw.path(y, same).distance == expected
        assert frozen.tolist() == x.tolist()

    def test_one_feature_may_have_a_dimension_of_its_own(self):
        x, y = np.arange(5.0), np.arange(7.0) / 2
        assert dtw.distance(x[:, None], y) == dtw.distance(x, y)

    def test_types(self):
        x = np.arange(5)
        assert dtw.cost_matrix(x, x).dtype == np.float64
        assert dtw.cost_matrix(x.astype(np.float32), x).dtype == np.float64
        single = x.astype(np.float32)
        assert dtw.cost_matrix(single, single).dtype == np.float32
        assert dtw.cost_matrix(x.astype(np.float16), x > 2).dtype == np.float64
        assert dtw.path(x, x).path.dtype == np.int32


class TestResult:
    def test_fields(self):
        found = dtw.path([0.0, 1, 5], [0.0, 5], step_pattern="symmetric2", radius=1)
        assert (found.shape, found.metric, found.radius) == ((3, 2), "sqeuclidean", 1)
        assert found.step_pattern is dtw.STEP_PATTERNS["symmetric2"]
        assert found.is_exact
        assert found.normalized_distance == found.distance / 5
        assert dtw.path([0.0], [1.0]).normalized_distance is None
        with pytest.raises(AttributeError):
            found.distance = 0.0

    def test_normalization_counts_the_rows_on_the_path(self):
        series = [9.0, 9, 1, 2, 3, 9]
        found = dtw.path(
            [1.0, 2, 4], series, step_pattern="symmetric2", open_begin=True, open_end=True
        )
        assert found.path[:, 1].tolist() == [2, 3, 4]
        assert found.normalized_distance == found.distance / 6

    @pytest.mark.parametrize("features", [1, 4])
    def test_plot_shows_path_and_series(self, features, tmp_path):
        pytest.importorskip("matplotlib")
        generator = np.random.default_rng(0)
        x, y = generator.normal(size=(900, features)), generator.normal(size=(30, features))
        found = dtw.path(x, y)
        figure = found.plot()
        middle, left, below = figure.axes
        line = middle.lines[0].get_xydata()
        np.testing.assert_array_equal(line, found.path[:, ::-1])
        assert len(left.lines) == len(below.lines) == (1 if features == 1 else 0)
        figure.savefig(tmp_path / "path.png")
        assert (tmp_path / "path.png").stat().st_size > 10_000
        assert len(dtw.path(np.ones((3, 4)), metric="precomputed").plot().axes) == 1

    def test_plot_without_matplotlib_says_how_to_get_it(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(MissingDependencyError, match=r"avalign\[report\]"):
            dtw.path([0.0], [1.0]).plot()


class TestImports:
    def test_computing_imports_neither_torch_nor_matplotlib(self):
        code = (
            "import sys; from avalign import dtw; dtw.path([0.0, 1], [1.0, 2]);"
            "print(*{'torch', 'matplotlib', 'dtaidistance', 'librosa'} & set(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == []

    def test_every_public_name_is_there(self):
        assert {name for name in dtw.__all__ if not hasattr(dtw, name)} == set()
        assert set(dtw.__all__) <= set(dir(dtw))
        with pytest.raises(AttributeError, match="attribute distanc"):
            dtw.distanc  # noqa: B018

    def test_no_module_hides_a_verb(self):
        code = (
            "import importlib, pkgutil; from avalign import dtw;"
            "found = [m.name for m in pkgutil.iter_modules(dtw.__path__)];"
            "print(*set(found) & set(dtw.__all__) - {'windows'})"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == []


class TestReference:
    @quick
    @given(
        pairs(values=st.floats(-100, 100, width=32)),
        st.sampled_from(METRICS),
        st.none() | st.integers(0, 8),
    )
    def test_dtaidistance_agrees(self, series, metric, radius):
        pytest.importorskip("dtaidistance")
        x, y = (rows.astype(float) for rows in series)
        arguments = {"metric": metric, "radius": radius}
        if metric == "manhattan" and x.shape[1] > 1:
            with pytest.raises(ParameterError, match="dtaidistance does not define this"):
                dtw.distance(x, y, engine="dtaidistance", **arguments)
            return
        close = {"rtol": 1e-9, "atol": 1e-9}
        expected = dtw.path(x, y, **arguments)
        found = dtw.path(x, y, engine="dtaidistance", **arguments)
        np.testing.assert_allclose(found.distance, expected.distance, **close)
        np.testing.assert_allclose(
            dtw.distance(x, y, engine="dtaidistance", **arguments), expected.distance, **close
        )
        costs = naive.local_costs(x, y, metric)
        np.testing.assert_allclose(summed(costs, found.path), expected.distance, **close)
        np.testing.assert_allclose(
            dtw.cost_matrix(x, y, engine="dtaidistance", **arguments),
            dtw.cost_matrix(x, y, **arguments),
            **close,
        )

    @pytest.mark.slow
    def test_librosa_agrees_on_unit_weights(self):
        sequence = pytest.importorskip("librosa").sequence
        x, y = np.random.default_rng(3).normal(size=(2, 50, 4))
        matrix = sequence.dtw(X=x.T, Y=y.T, metric="sqeuclidean", backtrack=False)
        np.testing.assert_allclose(dtw.cost_matrix(x, y), matrix, rtol=1e-12)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"open_end": True},
            {"window": [[0, 2], [0, 2]]},
            {"step_pattern": "symmetric2"},
            {"weights": [1.0, 1.0]},
        ],
    )
    def test_what_it_does_not_define_is_refused(self, arguments):
        with pytest.raises(ParameterError, match="use engine='numba'"):
            dtw.distance([0.0, 1], [1.0, 2], engine="dtaidistance", **arguments)

    def test_unknown_and_missing_engines(self, monkeypatch):
        with pytest.raises(ParameterError, match="no engine 'c'"):
            dtw.distance([0.0], [1.0], engine="c")
        monkeypatch.setitem(sys.modules, "dtaidistance", None)
        with pytest.raises(MissingDependencyError, match="pip install"):
            dtw.distance([0.0], [1.0], engine="dtaidistance")


class TestVariants:
    def test_derivative_by_hand(self):
        # ((4 - 1) + (9 - 1) / 2) / 2, ((9 - 4) + (11 - 4) / 2) / 2
        assert dtw.derivative([1, 4, 9, 11]).tolist() == [3.5, 3.5, 4.25, 4.25]
        slopes = dtw.derivative(np.array([[1, 0], [4, 0], [9, 0], [11, 0]], np.float32))
        assert slopes.dtype == np.float32
        assert slopes.T.tolist() == [[3.5, 3.5, 4.25, 4.25], [0, 0, 0, 0]]
        with pytest.raises(ParameterError, match="x has 2 rows"):
            dtw.derivative([1.0, 2])

    def test_derivative_forgets_offsets(self):
        x = np.sin(np.arange(30.0))
        assert dtw.distance(dtw.derivative(x), dtw.derivative(x + 5)) < 1e-12

    def test_logistic_weights_by_the_formula(self):
        found = dtw.logistic_weights(10, steepness=0.3, maximum=2.0)
        away = np.arange(10)
        np.testing.assert_allclose(found, 2 / (1 + np.exp(-0.3 * (away - 5))), rtol=1e-14)
        assert np.isfinite(dtw.logistic_weights(100_000, steepness=100)).all()
        for wrong in ({"steepness": -1}, {"maximum": 0}, {"steepness": np.inf}):
            with pytest.raises(ParameterError):
                dtw.logistic_weights(5, **wrong)
