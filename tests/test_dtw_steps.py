"""Step patterns against published tables and the answers of another library."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign import dtw
from avalign.dtw.steps import compile_steps
from avalign.errors import ParameterError

COSTS = np.array(
    [
        [9, 6, 6, 8, 5, 7, 8, 2],
        [0, 3, 2, 8, 9, 0, 4, 8],
        [1, 7, 1, 4, 8, 3, 3, 2],
        [7, 2, 9, 4, 4, 5, 5, 5],
        [5, 9, 8, 7, 7, 6, 3, 9],
        [4, 2, 8, 1, 8, 6, 1, 0],
        [4, 0, 1, 5, 9, 4, 8, 9],
    ],
    dtype=float,
)
# What dtw-python 1.5.3 returns for these costs, both ends closed: never our own number ...
CLOSED = {
    "symmetric1": 37.0,
    "symmetric2": 46.0,
    "asymmetric": 26.0,
    "symmetricP0": 46.0,
    "asymmetricP0": 23.0,
    "symmetricP05": 49.0,
    "asymmetricP05": 29.333333,
    "symmetricP1": 49.0,
    "asymmetricP1": 30.5,
    "symmetricP2": 61.0,
    "asymmetricP2": 34.0,
    "rabiner_juang_1a": 9.0,
    "rabiner_juang_1a_smoothed": 9.0,
    "rabiner_juang_1b": 37.0,
    "rabiner_juang_1b_smoothed": 37.0,
    "rabiner_juang_1c": 23.0,
    "rabiner_juang_1c_smoothed": 23.0,
    "rabiner_juang_1d": 46.0,
    "rabiner_juang_1d_smoothed": 46.0,
    "rabiner_juang_2a": 20.0,
    "rabiner_juang_2a_smoothed": 26.0,
    "rabiner_juang_2b": 37.0,
    "rabiner_juang_2b_smoothed": 37.0,
    "rabiner_juang_2c": 29.0,
    "rabiner_juang_2c_smoothed": 30.5,
    "rabiner_juang_2d": 49.0,
    "rabiner_juang_2d_smoothed": 55.5,
    "rabiner_juang_3a": 29.0,
    "rabiner_juang_3a_smoothed": 29.0,
    "rabiner_juang_3b": 35.0,
    "rabiner_juang_3b_smoothed": 35.0,
    "rabiner_juang_3c": 31.0,
    "rabiner_juang_3c_smoothed": 31.0,
    "rabiner_juang_3d": 59.0,
    "rabiner_juang_3d_smoothed": 59.0,
    "rabiner_juang_4a": 18.0,
    "rabiner_juang_4a_smoothed": 22.0,
    "rabiner_juang_4b": 35.0,
    "rabiner_juang_4b_smoothed": 35.0,
    "rabiner_juang_4c": 28.0,
    "rabiner_juang_4c_smoothed": 28.0,
    "rabiner_juang_4d": 46.0,
    "rabiner_juang_4d_smoothed": 49.5,
    "rabiner_juang_5a": 18.0,
    "rabiner_juang_5a_smoothed": 24.833333,
    "rabiner_juang_5b": 37.0,
    "rabiner_juang_5b_smoothed": 37.0,
    "rabiner_juang_5c": 29.0,
    "rabiner_juang_5c_smoothed": 29.333333,
    "rabiner_juang_5d": 49.0,
    "rabiner_juang_5d_smoothed": 53.833333,
    "rabiner_juang_6a": 33.0,
    "rabiner_juang_6a_smoothed": 34.0,
    "rabiner_juang_6b": 37.0,
    "rabiner_juang_6b_smoothed": 37.0,
    "rabiner_juang_6c": 33.0,
    "rabiner_juang_6c_smoothed": 34.0,
    "rabiner_juang_6d": 61.0,
    "rabiner_juang_6d_smoothed": 62.0,
    "rabiner_juang_7a": 14.0,
    "rabiner_juang_7a_smoothed": 20.166667,
    "rabiner_juang_7b": 33.0,
    "rabiner_juang_7b_smoothed": 34.0,
    "rabiner_juang_7c": 28.0,
    "rabiner_juang_7c_smoothed": 28.0,
    "rabiner_juang_7d": 44.0,
    "rabiner_juang_7d_smoothed": 48.5,
}
# ... and with an open end, for patterns whose paths all weigh the same.
OPEN_END = {
    "asymmetric": 23.0,
    "asymmetricP0": 23.0,
    "asymmetricP05": 29.333333,
    "asymmetricP1": 30.5,
    "asymmetricP2": 33.0,
    "rabiner_juang_3c": 31.0,
    "rabiner_juang_6c": 32.0,
}


def what_all_paths_weigh(pattern):
    """N, M or N+M, where all paths of the pattern add up to it, else None."""
    ones = np.ones((12, 10))
    least = dtw.distance(ones, metric="precomputed", step_pattern=pattern)
    most = -dtw.distance(-ones, metric="precomputed", step_pattern=pattern)
    # The first cell counts once, where the weights of N+M would have it count twice.
    weights = {"N": 12, "M": 10, "N+M": 12 + 10 - 1}
    return next(
        (name for name in weights if [least, most] == pytest.approx([weights[name]] * 2)), None
    )


def library_pattern(name):
    """The same pattern in dtw-python, under the name that it has there."""
    patterns = pytest.importorskip("dtw").stepPattern
    if not name.startswith("rabiner_juang"):
        return getattr(patterns, name)
    kind, weighting = name.split("_")[2]
    return patterns.rabinerJuangStepPattern(int(kind), weighting, name.endswith("smoothed"))


class TestKnownAnswers:
    @pytest.mark.parametrize("name", CLOSED)
    def test_closed_ends(self, name):
        found = dtw.distance(COSTS, metric="precomputed", step_pattern=name)
        assert found == pytest.approx(CLOSED[name], abs=1e-6)

    @pytest.mark.parametrize("name", OPEN_END)
    def test_open_end(self, name):
        found = dtw.distance(COSTS, metric="precomputed", step_pattern=name, open_end=True)
        assert found == pytest.approx(OPEN_END[name], abs=1e-6)

    def test_every_named_pattern_is_known(self):
        assert set(dtw.STEP_PATTERNS) == {*CLOSED, "itakura"}
        itakura = dtw.distance(COSTS, metric="precomputed", step_pattern="itakura")
        assert itakura == CLOSED["rabiner_juang_4c"]

    @pytest.mark.parametrize("name", CLOSED)
    def test_against_the_library_itself(self, name):
        library = library_pattern(name)
        costs = np.random.default_rng(len(name)).uniform(size=(13, 11))
        align = pytest.importorskip("dtw").dtw
        expected = align(costs, step_pattern=library, keep_internals=True).costMatrix
        found = dtw.cost_matrix(costs, metric="precomputed", step_pattern=name)
        np.testing.assert_allclose(
            np.where(np.isinf(found), np.nan, found), expected, rtol=1e-12
        )


class TestPublishedTables:
    """Sakoe and Chiba 1978, table I, written as there: g(i-1, j-2) + 2 d(i, j-1) + d(i, j)."""

    @pytest.mark.parametrize(
        ("name", "terms"),
        [
            ("symmetricP0", ["(0,1) 1(0,0)", "(1,1) 2(0,0)", "(1,0) 1(0,0)"]),
            ("asymmetricP0", ["(0,1) 0(0,0)", "(1,1) 1(0,0)", "(1,0) 1(0,0)"]),
            (
                "symmetricP05",
                [
                    "(1,3) 2(0,2) 1(0,1) 1(0,0)",
                    "(1,2) 2(0,1) 1(0,0)",
                    "(1,1) 2(0,0)",
                    "(2,1) 2(1,0) 1(0,0)",
                    "(3,1) 2(2,0) 1(1,0) 1(0,0)",
                ],
            ),
            (
                "asymmetricP05",
                [
                    "(1,3) 0.333(0,2) 0.333(0,1) 0.333(0,0)",
                    "(1,2) 0.5(0,1) 0.5(0,0)",
                    "(1,1) 1(0,0)",
                    "(2,1) 1(1,0) 1(0,0)",
                    "(3,1) 1(2,0) 1(1,0) 1(0,0)",
                ],
            ),
            ("symmetricP1", ["(1,2) 2(0,1) 1(0,0)", "(1,1) 2(0,0)", "(2,1) 2(1,0) 1(0,0)"]),
            (
                "asymmetricP1",
                ["(1,2) 0.5(0,1) 0.5(0,0)", "(1,1) 1(0,0)", "(2,1) 1(1,0) 1(0,0)"],
            ),
            (
                "symmetricP2",
                [
                    "(2,3) 2(1,2) 2(0,1) 1(0,0)",
                    "(1,1) 2(0,0)",
                    "(3,2) 2(2,1) 2(1,0) 1(0,0)",
                ],
            ),
            (
                "asymmetricP2",
                [
                    "(2,3) 0.667(1,2) 0.667(0,1) 0.667(0,0)",
                    "(1,1) 1(0,0)",
                    "(3,2) 1(2,1) 1(1,0) 1(0,0)",
                ],
            ),
        ],
    )
    def test_sakoe_and_chiba(self, name, terms):
        steps = compile_steps(dtw.STEP_PATTERNS[name])
        printed = []
        for move, (rows, columns) in enumerate(zip(steps.rows, steps.columns, strict=True)):
            cells = range(steps.first_cell[move], steps.first_cell[move + 1])
            words = [
                f"{steps.weights[k]:.3g}({steps.rows_back[k]},{steps.columns_back[k]})"
                for k in cells
            ]
            printed.append(f"({rows},{columns}) {' '.join(words)}")
        assert sorted(printed) == sorted(terms)

    @pytest.mark.parametrize("pattern", dtw.STEP_PATTERNS.values(), ids=dtw.STEP_PATTERNS)
    def test_normalizations_say_what_all_paths_weigh(self, pattern):
        assert pattern.normalization == what_all_paths_weigh(pattern)


class TestOwnPatterns:
    def test_moves_may_be_any_sequences(self):
        pattern = dtw.StepPattern("mine", [[(1, 1, 1)], [(1, 0, 2), (1, 1, 1)]])
        assert pattern.moves == (((1, 1, 1.0),), ((1, 0, 2.0), (1, 1, 1.0)))
        assert pattern.largest_move == (2, 1)
        assert not pattern.is_classic
        assert hash(pattern) == hash(dtw.StepPattern("mine", pattern.moves))

    def test_a_pattern_that_takes_every_column_once_is_measured_in_columns(self):
        moves = [[(1, 1, 1)], [(0, 1, 1)], [(2, 1, 1)]]
        pattern = dtw.StepPattern("every column once", moves, "M")
        assert what_all_paths_weigh(pattern) == "M"
        found = dtw.path(COSTS, metric="precomputed", step_pattern=pattern)
        assert found.normalized_distance == found.distance / COSTS.shape[1]

    def test_weights_by_hand(self):
        pattern = dtw.StepPattern("mine", [[(1, 1, 10)], [(1, 0, 2), (1, 1, 3)]])
        costs = np.array([[1.0, 9], [5, 9], [9, 7]])
        found = dtw.path(costs, metric="precomputed", step_pattern=pattern)
        assert found.distance == 1 + 2 * 5 + 3 * 7
        assert found.path.tolist() == [[0, 0], [1, 0], [2, 1]]

    def test_of_moves_that_cost_the_same_the_first_wins_and_rows_come_last(self):
        zeros = np.zeros((3, 3))
        up, right, diagonal = [(1, 0, 1)], [(0, 1, 1)], [(1, 1, 1)]
        for moves, second in [
            ([up, diagonal, right], [1, 2]),
            ([right, up, diagonal], [1, 2]),
            ([right, diagonal, up], [1, 1]),
        ]:
            pattern = dtw.StepPattern("mine", moves)
            found = dtw.path(zeros, metric="precomputed", step_pattern=pattern)
            assert found.path[-2].tolist() == second

    @given(st.permutations([((1, 1, 1.0),), ((1, 0, 1.0),), ((0, 1, 1.0),)]))
    @settings(max_examples=6)
    def test_classic_moves_in_any_order_give_the_classic_distance(self, moves):
        pattern = dtw.StepPattern("mine", tuple(moves))
        x, y = np.random.default_rng(0).normal(size=(2, 30))
        # Adding before comparing rounds like comparing before adding.
        assert dtw.distance(x, y, step_pattern=pattern) == dtw.distance(x, y)

    def test_symmetry_is_known(self):
        asymmetric = {name for name, p in dtw.STEP_PATTERNS.items() if not p.is_symmetric}
        assert "symmetricP2" not in asymmetric
        assert "rabiner_juang_5d" not in asymmetric
        assert {"asymmetric", "itakura", "rabiner_juang_2c"} <= asymmetric

    @pytest.mark.parametrize(
        "moves",
        [
            [],
            [[]],
            [[(0, 0, 1)]],
            [[(1, -1, 1)]],
            [[(1, 1, -1)]],
            [[(1, 1, np.inf)]],
            [[(1, 1, np.nan)]],
            [[(1, 1, 1)]] * 251,
            [[(0.5, 1, 1)]],
            [[(1, 1)]],
            [[(1, 10**9, 1)]],
            None,
        ],
    )
    def test_bad_moves(self, moves):
        with pytest.raises(ParameterError, match="step pattern 'bad' has"):
            dtw.StepPattern("bad", moves)

    def test_bad_rabiner_juang(self):
        with pytest.raises(ParameterError, match="types are 1 to 7"):
            dtw.rabiner_juang(8)
        with pytest.raises(ParameterError, match="weighting 'e'"):
            dtw.rabiner_juang(1, "e")
        assert dtw.rabiner_juang(3, "d") == dtw.STEP_PATTERNS["rabiner_juang_3d"]
