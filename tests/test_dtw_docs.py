"""What the page on DTW shows, run; and the numbers of other libraries that it names."""

import re
from pathlib import Path

import numpy as np
import pytest

from avalign import dtw

PAGE = Path(__file__).parents[1] / "docs" / "dtw.md"

generator = np.random.default_rng(0)
X, Y = generator.normal(size=(40, 3)), generator.normal(size=(50, 3))
x, y = X[:, 0].copy(), Y[:, 0].copy()


@pytest.mark.slow
def test_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 6
    names = {}
    exec(compile("\n".join(blocks), PAGE.name, "exec"), names)  # our own page
    assert (names["places"][0].start, names["places"][0].stop) == (200, 300)
    assert abs(names["follower"].position - 499) < 5


def test_the_page_names_every_verb():
    page = PAGE.read_text(encoding="utf-8")
    verbs = {"distance", "path", "cost_matrix", "pairwise", "nearest", "subsequence"}
    verbs |= {"OnlineDtw", "multiscale_path", "barycenter", "soft", "lb_keogh", "derivative"}
    assert verbs <= set(dtw.__all__)
    assert all(f"`{verb}`" in page or f"dtw.{verb}(" in page for verb in verbs)


def test_the_page_names_every_step_pattern():
    listed = set(re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8")))
    by_type = [name for name in dtw.STEP_PATTERNS if name.startswith("rabiner_juang")]
    plain = [name for name in by_type if not name.endswith("smoothed")]
    # Of these the page names the first and the last.
    assert set(dtw.STEP_PATTERNS) - set(by_type) | {min(plain), max(plain)} <= listed


class TestNumbersOfOthers:
    """Whoever is installed: each line of the table is true."""

    def test_dtaidistance(self):
        found = pytest.importorskip("dtaidistance").dtw.distance(x, y, window=4)
        assert found == pytest.approx(np.sqrt(dtw.distance(x, y, radius=3)))

    @pytest.mark.slow  # it compiles for half a minute
    def test_tslearn(self):
        found = pytest.importorskip("tslearn.metrics").dtw(
            X, Y, global_constraint="sakoe_chiba", sakoe_chiba_radius=3
        )
        assert found == pytest.approx(np.sqrt(dtw.distance(X, Y, radius=3)))

    def test_aeon(self):
        distances = pytest.importorskip("aeon.distances")
        weights = dtw.logistic_weights(50, steepness=0.2)
        slopes = dtw.derivative(x)[1:-1], dtw.derivative(y)[1:-1]
        for found, ours in (
            (distances.dtw_distance(X.T, Y.T), dtw.distance(X, Y)),
            (distances.wdtw_distance(x, y, g=0.2), dtw.distance(x, y, weights=weights)),
            (distances.ddtw_distance(x, y), dtw.distance(*slopes)),
        ):
            assert found == pytest.approx(ours)

    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    def test_librosa(self, metric):
        align = pytest.importorskip("librosa").sequence.dtw
        costs = align(X.T, Y.T, metric=metric, backtrack=False)
        assert costs[-1, -1] == pytest.approx(dtw.distance(X, Y, metric=metric))
        costs = align(X.T, Y.T, metric=metric, subseq=True, backtrack=False)
        assert costs[-1].min() == pytest.approx(
            dtw.distance(X, Y, metric=metric, open_begin=True, open_end=True)
        )

    def test_dtw_python(self):
        found = pytest.importorskip("dtw").dtw(X, Y)
        ours = dtw.path(X, Y, metric="euclidean", step_pattern="symmetric2")
        assert found.distance == pytest.approx(ours.distance)
        assert found.normalizedDistance == pytest.approx(ours.normalized_distance)

    @pytest.mark.slow  # pyts compiles for half a minute
    def test_fastdtw_and_pyts(self):
        found, _ = pytest.importorskip("fastdtw").dtw(x, y)
        assert found == pytest.approx(dtw.distance(x, y, metric="euclidean"))
        found = pytest.importorskip("pyts.metrics").dtw(x, y[:40])
        assert found == pytest.approx(np.sqrt(dtw.distance(x, y[:40])))
