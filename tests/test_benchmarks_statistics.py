"""The statistics of the benchmark, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics import (
    Estimate,
    ReliabilityBin,
    area_under_roc,
    bootstrap,
    expected_calibration_error,
    reliability,
)


def mean_of(values: np.ndarray):
    return lambda rows: float(np.mean(values[rows]))


def test_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    found = bootstrap([str(i) for i in range(400)], mean_of(values), resamples=4000)
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert (found.cases, found.groups) == (400, 400)


def test_groups_are_drawn_not_cases() -> None:
    # Ten clips of a hundred equal windows carry the information of ten cases.
    clips = np.random.default_rng(1).normal(size=10)
    once = bootstrap([str(i) for i in range(10)], mean_of(clips))
    often = bootstrap([str(i // 100) for i in range(1000)], mean_of(np.repeat(clips, 100)))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert (often.cases, often.groups) == (1000, 10)


def test_equal_cases_have_no_spread_and_none_have_no_value() -> None:
    assert bootstrap(["a", "b"], mean_of(np.array([3.0, 3.0]))) == Estimate(3, 3, 3, 2, 2)
    assert np.isnan(bootstrap([], mean_of(np.array([]))).value)


def test_draws_repeat_with_the_seed() -> None:
    values = np.random.default_rng(2).normal(size=30)
    names = [str(i) for i in range(30)]
    assert bootstrap(names, mean_of(values), seed=5) == bootstrap(
        names, mean_of(values), seed=5
    )
    assert bootstrap(names, mean_of(values), seed=5) != bootstrap(
        names, mean_of(values), seed=6
    )


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
)
def test_area_under_roc_counts_pairs(right: list[int], wrong: list[int]) -> None:
    pairs = [(r > w) + 0.5 * (r == w) for r in right for w in wrong]
    assert area_under_roc(right, wrong) == pytest.approx(np.mean(pairs))


def test_area_under_roc_knows_its_ends() -> None:
    assert area_under_roc([2, 3], [0, 1]) == 1.0
    assert area_under_roc([0, 1], [2, 3]) == 0.0
    assert area_under_roc([1, 1], [1]) == 0.5
    assert np.isnan(area_under_roc([], [1]))


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.95 on average with 3 of 4 right, 0.25 with 1 of 2.
    confidence = [0.94, 0.94, 0.96, 0.96, 0.25, 0.25]
    correct = [True, True, True, False, True, False]
    expected = (4 * 0.20 + 2 * 0.25) / 6
    assert expected_calibration_error(confidence, correct) == pytest.approx(expected)
    assert reliability(confidence, correct) == (
        ReliabilityBin(pytest.approx(0.25), 0.5, 2),
        ReliabilityBin(pytest.approx(0.95), 0.75, 4),
    )


def test_calibrated_confidence_has_almost_no_calibration_error() -> None:
    rng = np.random.default_rng(3)
    confidence = rng.uniform(size=100_000)
    correct = rng.uniform(size=100_000) < confidence
    assert expected_calibration_error(confidence, correct) < 0.01
    assert expected_calibration_error(np.sqrt(confidence), correct) == pytest.approx(
        2 / 3 - 1 / 2, abs=0.01
    )


def test_confidences_of_one_and_zero_have_a_bin() -> None:
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0.0
    assert np.isnan(expected_calibration_error([], []))
