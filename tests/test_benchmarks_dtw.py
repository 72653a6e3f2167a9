"""The benchmark of dynamic time warping: what it checks, measures and writes."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("psutil")

from avalign.errors import ParameterError
from benchmarks.__main__ import main
from benchmarks.dtw import figure, machine, memory
from benchmarks.dtw.contest import Limits, hold
from benchmarks.dtw.peers import PEERS, Call, Peer, find
from benchmarks.dtw.reference import Answer, find_fault, solve
from benchmarks.dtw.report import Report, versions
from benchmarks.dtw.scaling import Curve
from benchmarks.dtw.timing import interleave, ratio
from benchmarks.dtw.workloads import Bar, Task, Workload, select

TINY = Workload(
    "x", "tiny", "path", 40, 40, radius=7, bars=(Bar("ratio", 1, 2, "dtaidistance"),)
)
TINY_FULL = Workload("x", "", "distance", 4, 12)
LIMITS = Limits(budget_s=0.01, slow_imports=False, least_rounds=1)


def _peer(name: str, value: float) -> Peer:
    """Make a peer that always says the same."""
    return Peer(
        name,
        "numpy",
        "numpy",
        {"path": lambda task: Call(lambda: value, Answer)},
    )


def _right(task: Task) -> float:
    return float(solve(task).value)


@pytest.mark.slow
@pytest.mark.parametrize("radius", [None, 0, 3])
@pytest.mark.parametrize("dimensions", [1, 3])
def test_reference_is_the_least_cost_of_all_paths(radius: int | None, dimensions: int) -> None:
    workload = Workload("x", "", "distance", 5, 5, dimensions, radius=radius)
    task = workload.make()
    x, y = (each.reshape(5, -1) for each in task.series)

    def cost(i: int, j: int) -> float:
        return float(((x[i] - y[j]) ** 2).sum())

    def least(i: int, j: int) -> float:
        if i < 0 or j < 0 or (radius is not None and abs(i - j) > radius):
            return math.inf
        if i == j == 0:
            return cost(0, 0)
        return cost(i, j) + min(least(i - 1, j - 1), least(i - 1, j), least(i, j - 1))

    assert _right(task) == pytest.approx(least(4, 4), rel=1e-12)


def test_reference_finds_the_best_subsequence() -> None:
    task = Workload("x", "", "subsequence", 4, 12).make()
    query, series = task.series
    pairs = itertools.combinations(range(13), 2)
    parts = (Task(TINY_FULL, [query, series[start:stop]]) for start, stop in pairs)
    assert _right(task) == pytest.approx(min(map(_right, parts)), rel=1e-12)


@pytest.mark.slow
def test_soft_reference_agrees_with_finite_differences() -> None:
    task = Workload("x", "", "soft", 6, 6, 2, count=2).make()
    x, y = task.series
    gradient = solve(task).gradient
    assert gradient is not None
    step = 1e-6
    for at in [(0, 0, 0), (0, 3, 1), (1, 5, 0)]:
        above, below = x.copy(), x.copy()
        above[at] += step
        below[at] -= step
        values = [solve(Task(task.workload, [each, y])).value.sum() for each in (above, below)]
        assert gradient[at] == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


@pytest.mark.parametrize(
    ("workload", "cells"),
    [
        (Workload("x", "", "distance", 30, 20), 600),
        (replace(TINY, radius=0), 40),
        (replace(TINY, radius=39), 1600),
        (Workload("x", "", "pairwise", 10, 10, count=4), 600),
    ],
)
def test_cells_are_those_of_the_band(workload: Workload, cells: int) -> None:
    assert workload.cells == cells


def test_cells_of_a_band_are_counted() -> None:
    i, j = np.indices((40, 40))
    assert TINY.cells == np.count_nonzero(abs(i - j) <= 7)


def test_same_seed_makes_same_data() -> None:
    for workload in select(["a-200", "d-13", "e", "f", "g"], quick=True):
        small = replace(workload, rows=30, columns=50 if workload.kind == "subsequence" else 30)
        for one, other in zip(small.make().series, small.make().series, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == workload.dtype


@pytest.mark.slow
@pytest.mark.parametrize(
    "workload",
    [
        Workload("x", "", "distance", 40, 40),
        Workload("x", "", "distance", 40, 40, radius=7),
        Workload("x", "", "distance", 41, 41, 3, radius=6),
        TINY,
        Workload("x", "", "path", 40, 40, 3),
        Workload("x", "", "pairwise", 20, 20, count=4),
        Workload("x", "", "subsequence", 15, 90),
    ],
)
def test_peers_agree_with_the_reference(workload: Workload) -> None:
    # Definitions are converted rightly: roots, windows and orders of axes.
    quick = [
        peer
        for name in ("avalign", "dtaidistance", "dtaidistance, low memory", "dtw-python")
        for peer in [find(name)]
    ]
    outcome = hold(workload, quick, LIMITS)
    assert {each.peer for each in outcome.standings} == {peer.name for peer in quick}
    wrong = [each for each in outcome.standings if each.state == "wrong"]
    assert not wrong
    assert outcome.standings[0].state == "timed"


def test_wrong_answers_are_said_and_not_timed() -> None:
    right = _right(TINY.make())
    outcome = hold(TINY, [_peer("right", right), _peer("wrong", right * 1.01)], LIMITS)
    first, last = outcome.standings
    assert (first.peer, first.state) == ("right", "timed")
    assert (last.peer, last.state, last.seconds.rounds) == ("wrong", "wrong", 0)
    assert "+1.0e-02" in last.reason


def test_approximations_are_timed_and_not_ranked() -> None:
    right = _right(TINY.make())
    about = replace(_peer("about", right * 1.1), approximate=True)
    outcome = hold(TINY, [about, _peer("right", right)], LIMITS)
    assert [each.state for each in outcome.standings] == ["timed", "approximate"]
    assert outcome.standings[1].reason == "+10.0%"
    assert outcome.standings[1].seconds.rounds > 0


def test_peers_that_fail_or_are_not_there_do_not_stop_the_others() -> None:
    def fail(task: Task) -> Call:
        raise RuntimeError("no such thing")

    peers = [
        replace(_peer("absent", 0.0), distribution="no-such-library"),
        replace(_peer("fails", 0.0), kinds={"path": fail}),
        replace(_peer("unable", 0.0), bands=False),
        replace(_peer("slow", 0.0), cells_per_second=1.0),
        replace(_peer("large", 0.0), memory=lambda workload: 1e15),
        _peer("right", _right(TINY.make())),
    ]
    found = {each.peer: each for each in hold(TINY, peers, LIMITS).standings}
    assert found["right"].state == "timed"
    assert found["absent"].state == "absent"
    assert (found["fails"].state, found["fails"].reason) == (
        "wrong",
        "RuntimeError: no such thing",
    )
    assert (found["unable"].state, found["unable"].reason) == (
        "unable",
        "no band of given cells",
    )
    assert found["slow"].state == found["large"].state == "left out"


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ([[0, 0], [1, 1], [2, 2]], ""),
        ([[0, 0], [2, 2]], "not monotone and continuous"),
        ([[0, 0], [1, 1], [1, 1], [2, 2]], "not monotone and continuous"),
        ([[0, 0], [1, 1]], "corner to corner"),
        ([[0, 0], [0, 1], [0, 2], [1, 2], [2, 2]], "leaves the band"),
        ([[0, 0], [1, 0], [2, 1], [2, 2]], "costs"),
    ],
)
def test_faults_of_paths_are_found(path: list[list[int]], fault: str) -> None:
    workload = Workload("x", "", "path", 3, 3, radius=1)
    task = Task(workload, [np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0])])
    found = find_fault(task, Answer(0.0, path=np.array(path)), solve(task))
    assert fault in found
    assert bool(found) == bool(fault)


@pytest.mark.slow
def test_a_wrong_gradient_is_a_fault() -> None:
    task = Workload("x", "", "soft", 5, 5, 2, count=2).make()
    right = solve(task)
    assert right.gradient is not None
    assert not find_fault(task, right, right)
    assert find_fault(task, Answer(right.value, gradient=-right.gradient), right)
    assert find_fault(task, Answer(right.value), right)


def test_rounds_take_turns() -> None:
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    samples, fraction = interleave(calls, budget_s=0.0)
    assert {len(each) for each in samples.values()} == {3}
    turns = [name for name, _ in itertools.groupby(order)]
    assert turns == list("ab" * (1 + 3))
    assert fraction > 0


def test_ratio_is_of_common_rounds() -> None:
    slow = np.array([2.0, 4.0, 6.0, 8.0])
    fast = np.array([1.0, 1.0, np.nan, 4.0])
    found = ratio(slow, fast)
    assert (found.median, found.rounds) == (4.0, 3)
    assert found.low <= found.median <= found.high
    assert math.isnan(ratio(slow, np.full(4, np.nan)).median)


@pytest.mark.parametrize(
    ("bar", "value", "verdict"),
    [
        (Bar("ratio", 8, 15, "x"), 15, "goal"),
        (Bar("ratio", 8, 15, "x"), 8, "floor"),
        (Bar("ratio", 8, 15, "x"), 7.9, "MISSED"),
        (Bar("seconds", 15, 5), 5, "goal"),
        (Bar("megabytes", 64, 10), 65, "MISSED"),
        (Bar("ratio", 8, 15, "x"), math.nan, ""),
    ],
)
def test_bars(bar: Bar, value: float, verdict: str) -> None:
    assert bar.verdict(value) == verdict


def test_narrow_vectors_halve_the_floors_of_ratios_between_libraries() -> None:
    distance, path = select(["a-1000", "c-20000"], quick=False)
    assert distance.with_half_floors().bars == (Bar("ratio", 10, 35, "dtaidistance"),)
    assert path.with_half_floors().bars == path.bars


def test_selection() -> None:
    assert [each.name for each in select(["f", "c-20000"], quick=True)] == ["c-20000", "f-500"]
    assert all(each.quick for each in select(None, quick=True))
    with pytest.raises(ParameterError, match="no workload 'z'"):
        select(["a", "z"], quick=False)


def test_environment_keeps_numba_from_avx512(tmp_path: Path) -> None:
    plain = machine.environment(1, avx2=False, cache=tmp_path)
    assert plain["OMP_NUM_THREADS"] == "1"
    limited = machine.environment(1, avx2=True, cache=tmp_path)
    assert "+avx512" not in limited["NUMBA_CPU_FEATURES"]
    assert limited["NUMBA_CACHE_DIR"] == str(tmp_path)


def test_memory_of_a_call_is_seen() -> None:
    peak = memory.measure(find("dtaidistance"), select(["c-5000"], quick=True)[0])
    # 5001 x 5001 cells of 8 bytes.
    if np.isfinite(peak.call_mb):
        assert 190 < peak.call_mb < 300
        assert peak.process_mb > peak.call_mb


@pytest.mark.slow
def test_report_is_whole(tmp_path: Path) -> None:
    pytest.importorskip("dtaidistance")
    peers = [
        find("avalign"),
        find("dtaidistance"),
        replace(_peer("gone", 0.0), distribution="no-such-library"),
    ]
    report = Report(
        "2026-01-01T00:00:00+00:00",
        machine.describe(),
        0.5,
        0.6,
        [],
        versions(peers),
        [hold(TINY, peers, LIMITS)],
        [],
        [],
        [],
    )
    content = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert content["schema"] == 1
    assert content["peers"]["gone"] == "absent"
    assert content["machine"]["processor"]
    assert content["outcomes"][0]["workload"]["cells"] == TINY.cells
    standings = {each["peer"]: each for each in content["outcomes"][0]["standings"]}
    assert standings["gone"]["state"] == "absent"
    assert standings["gone"]["seconds"]["median"] is None
    assert standings["dtaidistance"]["ratio"]["median"] == 1.0
    assert standings["avalign"]["cells_per_second"] > 0
    page = report.as_markdown()
    assert "gone absent" in page
    assert "| x: tiny | x dtaidistance |" in page
    widths = {line.count("|") for line in page.split("## Bars")[1].splitlines()[2:5]}
    assert len(widths) == 1


def test_figure_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    curves = [
        Curve("avalign", None, [100, 1000], [1e-5, 1e-3]),
        Curve("dtaidistance", None, [100, 1000], [1e-4, 1e-2]),
        Curve("avalign", 10, [100, 1000], [1e-5, 1e-4]),
    ]
    figure.draw(curves, tmp_path / "figure.png", setting="a machine")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_names_of_peers_are_unique() -> None:
    names = [peer.name for peer in PEERS]
    assert len(set(names)) == len(names)
    assert find("avalign, 2 threads").threads == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--only", "z"], "there is no workload 'z'"),
        (["--peers", "numpy"], "the benchmark knows no library 'numpy'"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], expected: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["dtw", *arguments, "--out", str(tmp_path)]) == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"benchmarks: {expected}")


@pytest.mark.slow
def test_command_writes_all(tmp_path: Path) -> None:
    command = ["dtw", "--quick", "--only", "a-200", "--peers", "dtaidistance", "--out"]
    assert main([*command, str(tmp_path)]) == 0
    content = json.loads((tmp_path / "dtw.json").read_text())
    standings = {s["peer"]: s for s in content["outcomes"][0]["standings"]}
    assert standings["avalign"]["state"] == "timed"
    assert standings["dtaidistance"]["ratio"]["median"] == 1.0
    assert "a-200" in (tmp_path / "dtw.md").read_text()
