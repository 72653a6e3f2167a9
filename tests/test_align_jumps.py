"""What was put in or left out of a take is found, and no more is claimed than fits."""

from dataclasses import replace

import numpy as np
import pytest
from test_align_elastic import mfcc, mfcc_of_speech, speech

from avalign.align import MATCH_CONFIDENCE, align_pair, pair_audio, residuals_s
from avalign.align.recordings.coarse import lag_band
from avalign.align.recordings.whole import fit_quarters
from avalign.audio import stretch_audio
from avalign.dtw.general.jumps import path_with_jumps
from avalign.types import FeatureStream, TimeWarp

RATE = 16000
AT_S = 3.5


def best_by_hand(a, b, step_cost, jump_cost):
    """The recurrence, cell by cell, without tricks."""
    rows, lags = len(a), len(b) - len(a) + 1
    evidence = np.array(
        [[float(a[i] @ b[i + lag]) for lag in range(lags)] for i in range(rows)]
    )
    best = np.full((rows, lags), -np.inf)
    best[0] = evidence[0]
    passed = np.full((rows, lags), -np.inf)
    for i in range(1, rows):
        for lag in range(lags):
            here = evidence[i, lag]
            ways = [best[i - 1, lag] + here]
            if i > 2 and lag + 1 < lags:
                between = evidence[i - 2, lag + 1] + evidence[i - 1, lag + 1]
                ways.append(best[i - 3, lag + 1] + between + here - step_cost)
            if i > 1 and lag > 0:
                between = evidence[i - 1, lag - 1] + evidence[i, lag - 1]
                ways.append(best[i - 2, lag - 1] + between - step_cost)
            if lag > 0:
                ways.append(best[i - 1, :lag].max() - jump_cost + here)
            if lag + 1 < lags:
                passed[i, lag] = max(passed[i - 1, lag + 1], best[i - 1, lag + 1] - jump_cost)
            best[i, lag] = max(*ways, passed[i, lag])
    return best[-1].max()


@pytest.mark.parametrize("jump_cost", [0.5, 3.0, np.inf])
def test_no_path_with_jumps_has_more_evidence(jump_cost):
    rng = np.random.default_rng(0)
    for rows, lags in ((2, 1), (2, 5), (9, 4), (40, 12), (30, 25)):
        a = rng.normal(size=(rows, 3)).astype(np.float32)
        b = rng.normal(size=(rows + lags - 1, 3)).astype(np.float32)
        found = path_with_jumps(a, b, step_cost=0.4, jump_cost=jump_cost)
        assert found.total == pytest.approx(best_by_hand(a, b, 0.4, jump_cost), abs=1e-3)
        steps = np.diff(found.path, axis=0)
        assert (steps >= 0).all()
        assert (steps.max(axis=1, initial=1) == 1).all()


def changed(kind, length_s):
    """The sample with something put in or left out in the middle, and where things went."""
    samples, at = speech().samples, round(AT_S * RATE)
    count = round(length_s * RATE)
    noise = np.random.default_rng(1).normal(0, 0.003, count).astype(np.float32)
    if kind == "cut":
        take = np.concatenate([samples[:at], samples[at + count :]])
    else:
        put_in = noise if kind == "pause" else samples[::-1][np.arange(count) % len(samples)]
        take = np.concatenate([samples[:at], put_in, samples[at:]])
    moved_s = -length_s if kind == "cut" else length_s
    gone_s = length_s if kind == "cut" else 0.0
    audio = replace(speech(), samples=take.astype(np.float32))

    def other_s(reference_s):
        reference_s = np.asarray(reference_s) - speech().start_s
        later = np.where(reference_s < AT_S + gone_s, np.nan, reference_s + moved_s)
        return np.where(reference_s < AT_S, reference_s, later) + speech().start_s

    return audio, other_s


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "length_s"),
    [("pause", 1.5), ("words", 3.0), ("words", 20.0), ("cut", 1.0), ("cut", 1.5)],
)
def test_what_was_put_in_or_left_out_is_found(kind, length_s):
    take, other_s = changed(kind, length_s)
    found = align_pair(pair_audio(mfcc_of_speech(), mfcc(take)))
    assert found.confidence > 0.95
    assert found.model in ("piecewise", "elastic")
    assert len(found.warp.jumps) == 1
    times_s = np.arange(0.6, 6.9, 0.05)
    errors = 1e3 * np.abs(found.warp.to_other(times_s) - other_s(times_s))
    beside = np.abs(times_s - AT_S - speech().start_s) > 0.15
    assert np.nanpercentile(errors[beside], 95) < 40
    assert (np.diff(found.path, axis=0).max(axis=1) == 1).all()


def test_no_certainty_is_claimed_where_a_part_does_not_fit():
    take, _ = changed("words", 3.0)
    # One lag was asked for, and the band leaves no room for the other one.
    found = align_pair(pair_audio(mfcc_of_speech(), mfcc(take)), band_s=0.5)
    assert found.diagnostics["same_words"] > MATCH_CONFIDENCE
    assert found.confidence < MATCH_CONFIDENCE


def test_pieces_widen_the_band():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1500, 8)).astype(np.float32)

    def stream(values):
        count = len(values)
        return FeatureStream(values, np.arange(count) / 50, np.ones(count, bool), "embedding")

    strange = rng.normal(size=(1000, 8)).astype(np.float32)
    other = stream(np.concatenate([rows[:700], strange, rows[700:]]))
    low_s, high_s = lag_band(stream(rows), other, 0.0, reach_s=1.0, widest_s=120.0)
    assert (low_s, high_s) == pytest.approx((-1.0, 21.0), abs=0.1)
    assert lag_band(stream(rows), stream(strange), 0.0, reach_s=1.0, widest_s=9.0) == (
        -1.0,
        1.0,
    )


def test_the_quarter_that_fits_least_speaks_for_the_whole():
    times_s, ones = np.arange(1000) / 50, np.ones(1000)
    rng = np.random.default_rng(0)
    evidence, by_chance = 0.8 + rng.normal(0, 0.1, 1000), rng.normal(0, 0.1, 1000)
    fit = fit_quarters(times_s, evidence, by_chance, ones, stretch_s=1.0)
    assert fit.worst == 1.0
    evidence[760:880] = by_chance[:120]
    fit = fit_quarters(times_s, evidence, by_chance, ones, stretch_s=1.0)
    assert fit.worst == pytest.approx(1 - 120 / 250, abs=0.1)
    assert fit.worst_s == pytest.approx((15.0, 20.0), abs=0.1)


def test_residuals_are_told_at_their_worst():
    found = align_pair(pair_audio(mfcc_of_speech(), mfcc(speech())))
    times_s = found.agreement.times_s
    late_s = np.where(times_s > 0.8 * times_s[-1], 0.3, 0.0)
    left = residuals_s(replace(found, warp=TimeWarp(times_s, times_s + late_s)))
    assert left[0] == pytest.approx(0.3)
    assert left[1] == pytest.approx((0.0, 0.0, 0.0, 0.3))


def test_retimed_sound_is_cut_and_silent_at_jumps():
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(10 * 8000) / 8000).astype(np.float32)
    tone[2 * 8000 : 4 * 8000] = 0.9  # put in
    warp = TimeWarp(
        np.array([0.0, 2.0, 2.01, 4.0, 5.0, 7.0]),
        np.array([0.0, 2.0, 4.00, 5.99, 6.0, 8.0]),
        (1, 3),
    )
    blocks = list(
        stretch_audio(iter(np.array_split(tone[None], 9, axis=1)), 8000, 0.0, warp, 7.0)
    )
    made = np.concatenate(blocks, axis=1)[0]
    assert len(made) == 7 * 8000
    # Fades reach 10 ms into what is cut out.
    cut = slice(int(1.98 * 8000), int(2.03 * 8000))
    assert np.delete(made, cut).max() < 0.55
    assert np.abs(made[int(4.05 * 8000) : int(4.95 * 8000)]).max() == 0.0
    for begin_s in (0.5, 2.5, 5.5):
        part = made[int(begin_s * 8000) : int((begin_s + 1) * 8000)]
        assert np.sqrt(np.mean(part**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
        assert np.fft.rfftfreq(8000, 1 / 8000)[np.abs(np.fft.rfft(part)).argmax()] == 200
