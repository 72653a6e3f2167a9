"""One lag is told for a clip only where one lag holds for all of it."""

from dataclasses import replace

import numpy as np
import pytest

from avalign.align.confidence import load_calibration
from avalign.align.evidence import Evidence
from avalign.align.lag import rigid_alignment
from avalign.align.stability import find_lag_change, quarter_lags_s, with_lag_change

LAGS_S = np.arange(-50, 51) * 0.02


def planted(lag_s, *, seconds=20.0, strength=1.0, seed=0):
    """Evidence of a clip whose lag at picture time t is `lag_s(t)`, in noise."""
    times_s = np.arange(0.1, seconds, 0.2)
    noise = np.random.default_rng(seed).normal(0, 0.6, (len(times_s), len(LAGS_S)))
    noise = (noise + np.roll(noise, 1, 1) + np.roll(noise, 2, 1)) / 3**0.5 - 0.6
    at = np.array([lag_s(t) for t in times_s])[:, None]
    values = noise + strength * 2.0 * np.exp(-0.5 * ((LAGS_S - at) / 0.03) ** 2)
    places = np.arange(10 * len(times_s))
    used = np.ones(len(times_s), bool)
    return Evidence(values, LAGS_S, times_s, used, places, places, -50)


def answer(evidence):
    return rigid_alignment(
        evidence, no_match=0.0, zero_lag_s=0.0, speech_s=20.0, calibration=load_calibration()
    )


@pytest.mark.parametrize("seed", range(5))
def test_one_lag_is_one_lag(seed):
    assert find_lag_change(planted(lambda t: 0.1, seed=seed), 0.0) is None
    # Sound without its lips fits none, however the rest does.
    half = planted(lambda t: 0.1 if t < 12 else 9.0, seed=seed)
    assert find_lag_change(half, 0.0) is None


@pytest.mark.parametrize("at_s", [4.0, 10.0, 16.0])
@pytest.mark.parametrize("jump_s", [0.3, -0.15])
def test_a_jump_is_found_where_it_is(at_s, jump_s):
    evidence = planted(lambda t: 0.02 + jump_s * (t > at_s))
    change = find_lag_change(evidence, 0.0)
    assert change.kind == "jump"
    assert change.at_s == pytest.approx(at_s, abs=0.5)
    assert change.lags_s == pytest.approx((0.02, 0.02 + jump_s), abs=0.015)
    assert change.reason.startswith("the lag changes over the clip: ")

    single = answer(evidence)
    told = with_lag_change(single, change, evidence.times_s)
    assert told.interval_s[0] <= min(change.lags_s)
    assert told.interval_s[1] >= max(change.lags_s)
    longer = max(at_s, 20.0 - at_s) / 20.0
    assert told.confidence == pytest.approx(longer * single.confidence, abs=0.05)


@pytest.mark.parametrize("ppm", [5000, -8000])
def test_drift_is_found(ppm):
    change = find_lag_change(planted(lambda t: 0.05 + 1e-6 * ppm * t), 0.0)
    assert change.kind == "drift"
    assert np.diff(change.lags_s)[0] == pytest.approx(20e-6 * ppm, abs=0.03)
    assert "at its start" in change.reason


def test_the_lag_that_the_model_shows_in_sync_is_taken_off():
    change = find_lag_change(planted(lambda t: 0.1 if t < 10 else 0.4), 0.1)
    assert change.lags_s == pytest.approx((0.0, 0.3), abs=0.015)


def test_quarters_tell_their_own_lags():
    evidence = planted(lambda t: 0.0 if t < 15 else -0.289)
    lags_s = quarter_lags_s(evidence, 0.0)
    assert lags_s == pytest.approx((0.0, 0.0, 0.0, -0.289), abs=0.02)
    silent = replace(
        evidence, values=np.where(evidence.times_s[:, None] < 5, 0.0, evidence.values)
    )
    assert quarter_lags_s(silent, 0.0)[0] is None
