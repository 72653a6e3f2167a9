"""Lags from planted embeddings: the answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign.align import (
    LagCalibration,
    gather_evidence,
    in_sync_probability,
    load_calibration,
    may_be_in_sync,
    rigid_alignment,
)
from avalign.align.confidence import tempered_interval
from avalign.errors import ParameterError
from avalign.types import FeatureStream, LagCurve

CALIBRATION = LagCalibration(0.0, 1.0, 0.0, 1.0, 0.5, 1.0, 0.004)


def embedding(values, start_s=0.0, valid=None):
    values = np.asarray(values, np.float32)
    times_s = start_s + np.arange(len(values)) / 50
    valid = np.ones(len(values), bool) if valid is None else valid
    return FeatureStream(values, times_s, valid, "embedding")


def planted(shift, length=200, seed=0, strength=1.0, dimensions=8):
    """Embed white rows; row i of the lips is heard in audio row i + shift."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(length + 2 * abs(shift) + 2, dimensions))
    base = abs(shift)
    lips = rows[base : base + length]
    audio = rows[base - shift : base - shift + length]
    return embedding(audio), embedding(strength * lips)


def align(audio, lips, max_lag_s=1.0, **keywords):
    options = {"no_match": 0.0, "zero_lag_s": 0.0, "speech_s": 1.0, "calibration": CALIBRATION}
    return rigid_alignment(gather_evidence(audio, lips, max_lag_s), **{**options, **keywords})


def naive_evidence(audio, lips, lags_s):
    total = np.zeros(len(lags_s))
    for number, lag_s in enumerate(lags_s):
        for row, time_s in enumerate(lips.times_s):
            place = round((time_s + lag_s - audio.times_s[0]) * 50)
            if 0 <= place < len(audio):
                total[number] += lips.values[row] @ audio.values[place]
    return total


@settings(max_examples=25)
@given(
    st.integers(2, 60),
    st.integers(2, 60),
    st.floats(-0.7, 0.7),
    st.floats(0.05, 0.9),
    st.integers(0, 999),
)
def test_evidence_equals_sums_along_diagonals(lip_rows, audio_rows, start_s, max_lag_s, seed):
    random = np.random.default_rng(seed)
    lips = embedding(random.normal(size=(lip_rows, 3)))
    audio = embedding(random.normal(size=(audio_rows, 3)), start_s)
    evidence = gather_evidence(audio, lips, max_lag_s)
    assert (np.abs(evidence.lags_s) <= max_lag_s + 1e-6).all()
    np.testing.assert_allclose(
        evidence.total, naive_evidence(audio, lips, evidence.lags_s), atol=1e-4
    )


@pytest.mark.parametrize("shift", [-40, -7, 0, 3, 45])
def test_planted_lag_is_found_with_its_sign(shift):
    found = align(*planted(shift))
    assert found.audio_lag_s == pytest.approx(shift / 50, abs=0.004)
    assert found.interval_s[0] <= shift / 50 <= found.interval_s[1]
    assert found.confidence > 0.95
    assert not found.at_edge


def test_clock_of_the_sound_counts():
    audio, lips = planted(0)
    late = FeatureStream(audio.values, audio.times_s + 0.1234, audio.valid, "embedding")
    assert align(late, lips).audio_lag_s == pytest.approx(0.1234, abs=0.004)


def test_the_models_zero_is_taken_off():
    assert align(*planted(10), zero_lag_s=0.05).audio_lag_s == pytest.approx(0.15, abs=0.004)


def test_path_pairs_the_rows_of_the_best_diagonal():
    audio, lips = planted(7)
    path = align(audio, lips).path
    assert path.dtype == np.int32
    assert (path[:, 1] - path[:, 0] == 7).all()
    assert len(path) == len(lips) - 7


def test_a_lag_beyond_the_range_is_no_confident_answer():
    found = align(*planted(60, strength=0.02), max_lag_s=0.5)
    assert found.at_edge or found.confidence < 0.5


def test_peak_on_the_last_lag_is_said_to_be_at_the_edge():
    audio, lips = planted(25)
    assert align(audio, lips, max_lag_s=0.5).at_edge
    assert not align(audio, lips, max_lag_s=0.6).at_edge


def test_sound_of_another_clip_is_no_match():
    _, lips = planted(0, seed=1)
    audio, _ = planted(0, seed=2)
    # The bias a trained model learns: unrelated pairs are evidence against a match.
    lips = embedding(np.column_stack([lips.values, np.full(len(lips), -4.0)]))
    audio = embedding(np.column_stack([audio.values, np.ones(len(audio))]))
    found = align(audio, lips)
    assert found.diagnostics["match_log_odds"] < -3
    assert found.curve.posterior.sum() < 0.1
    assert found.at_edge or found.confidence < 0.2


@given(st.floats(0, 1), st.floats(-100, 100), st.floats(0.1, 20))
def test_no_lag_however_sharp_is_surer_than_that_the_sound_belongs_to_the_lips(
    mass, log_odds, overlap_s
):
    shipped = load_calibration()
    confidence = shipped.confidence(mass, log_odds, overlap_s)
    match = shipped.match_probability(log_odds, overlap_s)
    assert 0 < confidence <= match < 1
    assert shipped.confidence(min(1, mass + 0.1), log_odds, overlap_s) >= confidence
    assert shipped.match_probability(log_odds + 1, overlap_s) >= match


def test_shipped_calibration_tells_foreign_sound_by_its_fit_not_by_its_lag():
    shipped = load_calibration()
    for overlap_s in (1.0, 6.0):
        good, poor, hopeless = (
            shipped.confidence(1.0, match * np.sqrt(overlap_s), overlap_s)
            for match in (1, -3, -11)
        )
        assert good > 0.9
        assert 0.4 < poor < 0.9
        assert hopeless < 0.1


def test_less_evidence_is_less_confidence_and_a_wider_interval():
    strong = align(*planted(5, strength=0.5))
    weak = align(*planted(5, strength=0.003))
    assert weak.confidence < strong.confidence
    assert np.diff(weak.interval_s) > np.diff(strong.interval_s)


@given(st.floats(0.05, 0.99))
def test_interval_is_as_wide_as_the_confidence_is_low(confidence):
    lags_s = np.arange(-1, 1.0001, 0.002)
    evidence = -0.5 * (lags_s / 0.01) ** 2
    low, high = tempered_interval(lags_s, evidence, 0.0, confidence)
    # A normal posterior with that much mass within 40 ms has a known quantile.
    from statistics import NormalDist

    deviation = 0.040 / NormalDist().inv_cdf((1 + confidence) / 2)
    wanted = 1.96 * max(deviation, 0.01)
    if wanted < 0.5:
        assert high == pytest.approx(wanted, rel=0.1, abs=0.004)
        assert low == pytest.approx(-wanted, rel=0.1, abs=0.004)
    assert low <= 0 <= high


def test_bad_ranges_and_streams_are_refused():
    audio, lips = planted(0)
    for max_lag_s in (0.0, -1.0, 16.0, float("nan")):
        with pytest.raises(ParameterError, match="lag"):
            gather_evidence(audio, lips, max_lag_s)
    with pytest.raises(ParameterError, match="rows"):
        gather_evidence(audio, embedding(np.zeros((1, 8))), 1.0)
    with pytest.raises(ParameterError, match="dimensions"):
        gather_evidence(audio, embedding(np.zeros((9, 3))), 1.0)


def with_curve(score, lag_s):
    """An alignment whose evidence is known, one lag per 20 ms."""
    lags_s = (np.arange(len(score)) - len(score) // 2) * 0.02
    found = align(*planted(0))
    curve = LagCurve(lags_s, np.asarray(score, float), np.full(len(score), 1 / len(score)))
    return replace(found, curve=curve, audio_lag_s=lag_s)


def test_evidence_that_says_nothing_leaves_the_prior_of_being_in_sync():
    assert in_sync_probability(with_curve(np.zeros(101), 0.4)) == pytest.approx(0.5)
    assert may_be_in_sync(with_curve(np.full(101, 3.0), 0.4))


@pytest.mark.parametrize("margin", [0.0, 2.0, 4.0, 8.0])
def test_in_sync_against_a_lag_is_bayes_rule(margin):
    score = np.full(101, -50.0)
    score[50], score[70] = 0.0, margin
    # Five of the rows are within 45 ms of 0, and 101 lags are possible.
    in_sync, moved = 1 / 5, (1 + np.exp(margin)) / 101
    expected = in_sync / (in_sync + moved)
    assert in_sync_probability(with_curve(score, 0.4)) == pytest.approx(expected, abs=1e-9)


def test_two_lags_that_compete_do_not_make_being_in_sync_likelier():
    score = np.full(101, -20.0)
    score[70], score[25] = 3.0, 2.5
    assert in_sync_probability(with_curve(score, 0.4)) < 0.001
    assert not may_be_in_sync(with_curve(score, 0.4))


def test_a_small_lag_is_told_from_none():
    lags = np.arange(-50, 51)
    sharp = -0.5 * ((lags - 3) / 0.5) ** 2
    assert in_sync_probability(with_curve(sharp, 0.06)) < 0.05
    assert in_sync_probability(with_curve(-0.5 * (lags / 0.5) ** 2, 0.0)) > 0.9


def test_very_much_evidence_overflows_nothing():
    score = np.zeros(101)
    score[70] = 1e6
    assert in_sync_probability(with_curve(score, 0.4)) == 0.0
