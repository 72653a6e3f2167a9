"""What avalign.dtw refuses: one line, with the value met and the remedy."""

import tracemalloc

import numpy as np
import pytest

from avalign import dtw
from avalign.dtw import checks, windows
from avalign.errors import ParameterError

GOOD = [0.0, 1.0, 2.0]


@pytest.mark.parametrize("verb", [dtw.distance, dtw.path, dtw.cost_matrix])
@pytest.mark.parametrize(
    ("x", "y", "arguments", "message"),
    [
        ([0.0, np.nan], GOOD, {}, r"x is nan in row 1 \(drop or interpolate"),
        (GOOD, [[1, 1], [1, -np.inf], [1, 1]], {}, "y is -inf in row 1"),
        ([], GOOD, {}, r"x is empty, of shape \(0,\)"),
        (GOOD, np.empty((4, 0)), {}, r"y is empty, of shape \(4, 0\)"),
        ([0.0, [1.0, 2.0]], GOOD, {}, "x is no array: .* rows of equal length"),
        ([object()], GOOD, {}, "x holds object"),
        (["1"], GOOD, {}, "x holds <U1"),
        ([1j], GOOD, {}, "x holds complex128"),
        (None, GOOD, {}, "x holds object"),
        (np.zeros((2, 2, 2)), GOOD, {}, r"x has shape \(2, 2, 2\) .* time first"),
        (1.0, GOOD, {}, r"x has shape \(\)"),
        (np.zeros((5, 13)), np.zeros((13, 5)), {}, "x has 13 features a row, y 5 .*transpose"),
        (np.zeros((13, 90)), np.zeros((13, 80)), {}, "time is the first axis.*x.T and y.T"),
        (np.zeros((13, 90)), np.zeros((80, 13)), {}, "time is the first axis.*pass x.T"),
        (np.zeros((90, 13)), np.zeros((13, 80)), {}, "time is the first axis.*pass y.T"),
        (GOOD, None, {}, "y is missing"),
        (GOOD, GOOD, {"metric": "l2"}, "no metric 'l2' .*sqeuclidean, euclidean"),
        (GOOD, GOOD, {"metric": "cosine"}, "one feature a row"),
        (np.eye(3), np.zeros((2, 3)), {"metric": "cosine"}, "row 0 of y is all zeros"),
        (np.eye(3), GOOD, {"metric": "precomputed"}, "and no y"),
        (GOOD, None, {"metric": "precomputed"}, r"costs of shape \(3,\)"),
        (GOOD, GOOD, {"radius": -1}, "radius is -1 .*0 or more"),
        (GOOD, GOOD, {"radius": 1.5}, "radius is 1.5"),
        (GOOD, GOOD, {"radius": True}, "radius is True"),
        (GOOD, GOOD, {"radius": 1, "window": [[0, 3]] * 3}, "both a radius .* and a window"),
        (GOOD, GOOD, {"window": [[0, 3]] * 2}, r"a window of shape \(2, 2\)"),
        (GOOD, GOOD, {"window": [[0.0, 3.0]] * 3}, "type float64 .*give integers"),
        (GOOD, GOOD, {"window": [[0, 3], [1, 1], [0, 3]]}, r"row 1 .*columns \[1, 1\)"),
        (GOOD, GOOD, {"window": [[0, 3], [1, 2], [-1, 3]]}, r"row 2 .*columns \[-1, 3\)"),
        (GOOD, GOOD, {"window": [[0, 4], [1, 2], [0, 3]]}, r"row 0 .*columns \[0, 4\)"),
        (GOOD, GOOD, {"window": [[0, 3], [1], [0, 3]]}, "a window of shape .*give integers"),
        (np.ma.array(GOOD, mask=[0, 1, 0]), GOOD, {}, "x has masked values"),
        (GOOD, GOOD, {"step_pattern": "symmetric3"}, "no step pattern 'symmetric3'"),
        (GOOD, GOOD, {"step_pattern": 2}, "no step pattern 2"),
        (GOOD, GOOD, {"weights": [1.0]}, r"weights of shape \(1,\).* 0 to 2"),
        (GOOD, GOOD, {"weights": [1.0, -1, 1]}, "the least -1.0"),
        (
            np.float32(GOOD),
            np.float32(GOOD),
            {"weights": [1e300] * 3},
            r"weights reach 1e\+300, which overflows float32 \(scale them",
        ),
    ],
)
def test_bad_input_is_one_line_with_a_remedy(verb, x, y, arguments, message):
    with pytest.raises(ParameterError, match=message) as caught:
        verb(x, y, **arguments)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("verb", [dtw.distance, dtw.path])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": [[0, 1], [2, 3], [2, 3]]}, "pattern symmetric1 fits the window"),
        ({"window": [[1, 3], [1, 3], [1, 3]]}, "widen the window, open an end"),
        ({"window": [[0, 2], [0, 2], [0, 2]]}, "fits the window"),
        ({"step_pattern": "symmetricP2", "radius": 0}, None),
    ],
)
def test_infeasible_windows(verb, arguments, message):
    if message is None:
        assert verb(GOOD, GOOD, **arguments) is not None
        return
    with pytest.raises(ParameterError, match=message):
        verb(GOOD, GOOD, **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("verb", [dtw.distance, dtw.path])
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1e200], [-1e200], "costs overflow float64: values reach 1e[+]200 .*scale"),
        (np.float32([1e30]), np.float32([0]), "costs overflow float32.*pass float64"),
    ],
)
def test_overflow(verb, x, y, message):
    with pytest.raises(ParameterError, match=message):
        verb(x, y)
    with pytest.raises(ParameterError, match=message):
        verb(x, y, open_begin=True, open_end=True)
    with pytest.raises(ParameterError, match=message):
        dtw.subsequence(x, y)
    with pytest.raises(ParameterError, match=message):
        dtw.pairwise([x], [y, y, y, y])


@pytest.mark.parametrize("verb", [dtw.distance, dtw.path])
def test_overflow_is_told_from_a_window_that_no_path_fits(verb):
    far = np.full((2, 2), 1e200)
    with pytest.raises(
        ParameterError, match=r"costs overflow float64.*\(scale the series down\)"
    ):
        verb(far, -far, metric="euclidean")
    assert verb(far, far, metric="euclidean") is not None
    with pytest.raises(ParameterError, match="costs overflow float64"):
        verb(np.full((3, 3), -1e308), metric="precomputed")


@pytest.mark.parametrize("verb", [dtw.distance, dtw.path])
def test_overflow_in_the_other_engine(verb):
    pytest.importorskip("dtaidistance")
    with pytest.raises(ParameterError, match="costs overflow float64"):
        verb([1e200], [-1e200], engine="dtaidistance")


@pytest.mark.slow
@pytest.mark.parametrize("radius", [2**31, 2**62, 2**63 - 1, 10**30])
def test_a_radius_beyond_all_integers_is_none(radius):
    x, y = np.sin(np.arange(70.0)), np.sin(np.arange(90.0) + 1)
    wide = np.stack([x[:70], y[:70]], axis=1)
    for a, b in ((x, y), (y, x), (wide, wide[5:])):
        assert dtw.distance(a, b, radius=radius) == dtw.distance(a, b)
        assert np.array_equal(dtw.path(a, b, radius=radius).path, dtw.path(a, b).path)
        assert np.array_equal(dtw.cost_matrix(a, b, radius=radius), dtw.cost_matrix(a, b))
        assert dtw.soft_distance(a, b, radius=radius) == dtw.soft_distance(a, b)
    assert dtw.nearest(x, [y, x], radius=radius).indices == 1
    assert dtw.lb_keogh(x, 2 * y, radius=radius) == dtw.lb_keogh(x, 2 * y)
    assert len(dtw.subsequence(x[:9], y, exclusion=radius)) == 1
    assert windows.sakoe_chiba(2, 3, radius).tolist() == [[0, 3], [0, 3]]
    assert windows.slanted(2, 3, radius).tolist() == [[0, 3], [0, 3]]


def test_a_pattern_that_cannot_stretch_so_far_says_so():
    with pytest.raises(ParameterError, match="no path of step pattern asymmetric fits 3 x 9"):
        dtw.distance(GOOD, np.zeros(9), step_pattern="asymmetric")
    with pytest.raises(ParameterError, match="symmetricP1 fits 9 x 3 cells and radius 2"):
        dtw.path(np.zeros(9), GOOD, step_pattern="symmetricP1", radius=2)


def test_a_matrix_that_exceeds_the_machine_is_refused_before_it_is_allocated(monkeypatch):
    monkeypatch.setattr(checks, "_memory_bytes", lambda: 1 << 30)
    series = np.zeros(20_000)
    with pytest.raises(ParameterError, match=r"20000 x 20000 needs 3\.0 GiB of the 1\.0 GiB"):
        dtw.cost_matrix(series, series)
    with pytest.raises(ParameterError, match="call distance or path, whose memory is linear"):
        dtw.cost_matrix(series, series)
    monkeypatch.setattr(checks, "_memory_bytes", lambda: 1 << 20)
    with pytest.raises(ParameterError, match=r"give a smaller radius, or call multiscale_path"):
        dtw.path(series, series, step_pattern="symmetricP1")
    with pytest.raises(
        ParameterError, match=r"matrix of 500 x 500 distances .*some of the rows"
    ):
        dtw.pairwise(np.zeros((500, 1)))
    monkeypatch.setattr(checks, "_memory_bytes", lambda: None)
    assert dtw.cost_matrix(GOOD, GOOD).shape == (3, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((20_000,), {}),
        ((20_000,), {"radius": 5_000}),
        ((20_000,), {"step_pattern": "symmetric2"}),
        ((20_000,), {"open_begin": True, "open_end": True}),
        ((20_000, 2), {}),
    ],
)
def test_a_path_that_exceeds_the_machine_is_refused_before_it_is_computed(
    monkeypatch, shape, arguments
):
    monkeypatch.setattr(checks, "_memory_bytes", lambda: 1 << 20)
    series = np.zeros(shape)
    with pytest.raises(
        ParameterError, match=r"the path through 20000 x 20000 cells needs .*multiscale_path"
    ):
        dtw.path(series, series, **arguments)
    assert len(dtw.path(series[:50], series[:60], **arguments).path) >= 50


def test_the_memory_announced_is_what_a_path_allocates(monkeypatch):
    announced = []
    monkeypatch.setattr(checks, "memory", lambda needed, *_: announced.append(needed))
    x = np.random.default_rng(0).normal(size=5000)
    for series in (x, np.stack([x, x], axis=1)):
        dtw.path(series, series)  # imports and compiles
        tracemalloc.start()
        dtw.path(series, series)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert announced[-1] == pytest.approx(peak, rel=0.1)


def test_the_memory_of_this_machine_is_known_where_the_system_tells():
    available = checks._memory_bytes()
    assert available is None or available > 1 << 26
    checks.memory(1 << 20, "a little", "nothing to do")


WRONG = [None, "abc", b"abc", 1j, [1.0, 2.0], {}, object(), np.nan, -1, lambda: None]


@pytest.mark.parametrize(
    "call",
    [
        lambda wrong: dtw.distance(wrong, np.eye(3)),
        lambda wrong: dtw.path(GOOD, [[wrong, 1.0], [1.0]]),
        lambda wrong: dtw.cost_matrix(GOOD, np.array([wrong, wrong, None], object)),
        lambda wrong: dtw.distance(GOOD, GOOD, metric=wrong),
        lambda wrong: dtw.distance(GOOD, GOOD, window=wrong if wrong is not None else 1),
        lambda wrong: dtw.distance(GOOD, GOOD, radius=wrong if wrong is not None else "1"),
        lambda wrong: dtw.distance(GOOD, GOOD, step_pattern=wrong),
        lambda wrong: dtw.distance(GOOD, GOOD, open_begin=wrong),
        lambda wrong: dtw.path(GOOD, GOOD, open_end=wrong),
        lambda wrong: dtw.path(GOOD, GOOD, weights=wrong if wrong is not None else "1"),
        lambda wrong: dtw.path(GOOD, GOOD, engine=wrong),
        lambda wrong: dtw.pairwise(wrong, [wrong]),
        lambda wrong: dtw.pairwise(
            [GOOD], progress=wrong if wrong and not callable(wrong) else 1
        ),
        lambda wrong: dtw.pairwise([GOOD], n_jobs=wrong if wrong != -1 else 0),
        lambda wrong: dtw.subsequence(np.eye(3), wrong),
        lambda wrong: dtw.subsequence(GOOD, GOOD, top_k=wrong if wrong is not None else 0),
        lambda wrong: dtw.subsequence(
            GOOD, GOOD, max_distance=wrong if wrong is not None else "1"
        ),
        lambda wrong: dtw.nearest(GOOD, wrong if wrong != [1.0, 2.0] else [wrong, [wrong]]),
        lambda wrong: dtw.nearest(GOOD, [GOOD], top_k=wrong),
        lambda wrong: dtw.nearest(GOOD, [GOOD], n_jobs=wrong if wrong != -1 else 0),
        lambda wrong: dtw.soft_distance(GOOD, GOOD, gamma=wrong),
        lambda wrong: dtw.soft(GOOD, wrong if wrong != [1.0, 2.0] else [wrong, 1.0]),
        lambda wrong: dtw.barycenter(wrong if wrong != [1.0, 2.0] else 1),
        lambda wrong: dtw.barycenter([GOOD], tolerance=wrong),
        lambda wrong: dtw.barycenter([GOOD], max_iterations=wrong),
        lambda wrong: dtw.lb_keogh(GOOD, GOOD, metric=wrong),
        lambda wrong: dtw.envelope(GOOD, rows=wrong if wrong is not None else 0),
        lambda wrong: dtw.multiscale_path(GOOD, GOOD, bounded=wrong),
        lambda wrong: dtw.OnlineDtw(GOOD, open_begin=wrong),
        lambda wrong: dtw.OnlineDtw(GOOD, metric=wrong),
        lambda wrong: dtw.OnlineDtw(np.eye(3)).push(wrong),
        lambda wrong: dtw.derivative(wrong if wrong != [1.0, 2.0] else [1.0]),
        lambda wrong: dtw.logistic_weights(wrong),
        lambda wrong: dtw.logistic_weights(3, steepness=wrong),
        lambda wrong: dtw.rabiner_juang(wrong),
        lambda wrong: dtw.rabiner_juang(1, wrong),
        lambda wrong: dtw.StepPattern("own", wrong),
        lambda wrong: dtw.StepPattern("own", [[(1, 1, wrong)]]),
        lambda wrong: dtw.StepPattern("own", [[(1, 1, 1)]], wrong or "both"),
        lambda wrong: windows.sakoe_chiba(wrong, 3, 1),
        lambda wrong: windows.slanted(3, 3, wrong),
        lambda wrong: windows.itakura(3, 3, wrong),
        lambda wrong: windows.around(wrong, 3, 3, 1),
    ],
)
def test_arguments_of_the_wrong_type_are_refused_in_one_line(call):
    for wrong in WRONG:
        with pytest.raises(ParameterError) as caught:
            call(wrong)
        assert caught.value.hint
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500


def test_a_tensor_that_is_no_array_is_refused_in_one_line():
    class Unwilling:
        def __array__(self, *_, **__):
            raise RuntimeError("call detach()\nfirst")

    with pytest.raises(ParameterError, match=r"x is no array: call detach\(\) first"):
        dtw.distance(Unwilling(), GOOD)


class TestOthers:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"X": []}, "X holds no series"),
            ({"X": 3}, "X holds no series"),
            ({"X": [GOOD], "Y": []}, "Y holds no series"),
            ({"X": [GOOD, [np.nan]]}, r"X\[1\] is nan in row 0"),
            ({"X": [GOOD, np.zeros((3, 2))]}, "1 features a row, y 2"),
            ({"X": [GOOD], "n_jobs": 0}, "n_jobs is 0"),
            ({"X": [GOOD], "n_jobs": -2}, "n_jobs is -2"),
            ({"X": [GOOD], "radius": -1}, "radius is -1"),
            ({"X": [GOOD], "metric": "precomputed"}, "pass series"),
            ({"X": [GOOD, np.zeros(9)], "step_pattern": "asymmetric"}, "no path"),
        ],
    )
    def test_pairwise(self, arguments, message):
        with pytest.raises(ParameterError, match=message):
            dtw.pairwise(**arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"metric": "precomputed"}, "call path"),
            ({"top_k": 0}, "top_k is 0"),
            ({"max_distance": -1.0}, "max_distance is -1.0"),
            ({"max_distance": np.nan}, "max_distance is nan"),
            ({"exclusion": -3}, "exclusion is -3"),
        ],
    )
    def test_subsequence(self, arguments, message):
        with pytest.raises(ParameterError, match=message):
            dtw.subsequence(GOOD, GOOD, **arguments)

    def test_online(self):
        follower = dtw.OnlineDtw(np.zeros((5, 2)))
        with pytest.raises(ParameterError, match=r"rows have shape \(2,\), the reference 2"):
            follower.push([0.0, 0.0])
        with pytest.raises(ParameterError, match="rows is nan"):
            follower.push([[0.0, np.nan]])
        assert follower.rows_seen == 0
        with pytest.raises(ParameterError, match="no online metric 'cosine'"):
            dtw.OnlineDtw(GOOD, metric="cosine")
        with pytest.raises(ParameterError, match="radius is 0"):
            dtw.OnlineDtw(GOOD, radius=0)

    @pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "manhattan"])
    def test_online_costs_that_overflow_leave_it_as_it_was(self, metric):
        follower = dtw.OnlineDtw([0.0, 1.0, 2.0], metric=metric)
        untouched = dtw.OnlineDtw([0.0, 1.0, 2.0], metric=metric)
        follower.push([0.0])
        huge = 1e160 if metric == "sqeuclidean" else 1e308
        with pytest.raises(ParameterError, match=r"costs overflow float64: values reach 1e"):
            follower.push([1.0, huge])
        assert follower.rows_seen == 1
        assert (
            follower.push([1.0, 2.0]).tolist() == untouched.push([0.0, 1.0, 2.0])[1:].tolist()
        )
        assert np.array_equal(follower.costs, untouched.costs)
        assert np.isfinite(follower.costs).all()

    def test_multiscale(self):
        with pytest.raises(ParameterError, match="which it can halve"):
            dtw.multiscale_path(GOOD, GOOD, metric="precomputed")
        with pytest.raises(ParameterError, match="radius is -1"):
            dtw.multiscale_path(GOOD, GOOD, radius=-1)

    def test_windows(self):
        for call in (windows.sakoe_chiba, windows.slanted):
            with pytest.raises(ParameterError, match="radius is -1"):
                call(3, 3, -1)
            with pytest.raises(ParameterError, match="rows is 0"):
                call(0, 3, 1)
        for slope in (0.5, np.nan, np.inf):
            with pytest.raises(ParameterError, match="max_slope is"):
                windows.itakura(3, 3, slope)
        with pytest.raises(ParameterError, match="misses rows"):
            windows.around(np.array([[0, 0], [2, 2]]), 3, 3, 1)
