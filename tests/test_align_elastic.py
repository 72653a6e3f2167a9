"""Two recordings of the same words: planted warps are found, and played back in time."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from avalign.align import MATCH_CONFIDENCE, align_pair, lag_map, pair_audio, pair_lips
from avalign.align.recordings.coarse import resample_at_pace
from avalign.align.warp import choose_model, fit_warp, weighted_quantile
from avalign.audio import place_audio, stretch_audio
from avalign.errors import NoAnswerError, ParameterError
from avalign.media import read_audio
from avalign.streams.extraction import mfcc_and_speech
from avalign.types import AudioStream, FeatureStream, TimeWarp

SAMPLES = Path(__file__).parents[1] / "samples"


@cache
def speech():
    """The sound of the sample, in which the mouth is heard at the time it is seen."""
    return read_audio(SAMPLES / "talking.mp4")


@cache
def mfcc_of_speech():
    return mfcc_and_speech(iter([speech()]))[0]


def played(audio, other_s):
    """The sound as heard where the reference's time t is at `other_s(t)` of the result."""
    rate = audio.sample_rate_hz
    grid_s = np.arange(-2.0, audio.duration_s + 2.0, 0.01)
    wanted_s = np.arange(int(other_s(audio.duration_s) * rate)) / rate
    source_s = np.interp(wanted_s, other_s(grid_s), grid_s)
    samples = np.interp(source_s, np.arange(len(audio.samples)) / rate, audio.samples, 0.0, 0.0)
    return AudioStream(samples.astype(np.float32), rate, 0.0)


def wandering(reference_s):
    """Up to a tenth slower and faster, and a fifth of a second late."""
    return reference_s + 0.2 + 0.1 * 4.0 / (2 * np.pi) * np.sin(2 * np.pi * reference_s / 4.0)


def mfcc(audio):
    return mfcc_and_speech(iter([audio]))[0]


def errors_ms(alignment, other_s):
    """Errors where the sample speaks; the tone of a room tells no time."""
    times_s = np.arange(0.6, 6.9, 0.05)
    return 1e3 * np.abs(alignment.warp.to_other(times_s) - other_s(times_s))


@pytest.mark.slow
def test_a_planted_warp_is_found_by_sound():
    reference = mfcc_of_speech()
    found = align_pair(pair_audio(reference, mfcc(played(speech(), wandering))))
    assert found.model == "elastic"
    assert found.confidence > 0.99
    assert np.median(errors_ms(found, wandering)) < 6
    assert np.percentile(errors_ms(found, wandering), 95) < 20
    steps = np.diff(found.path, axis=0)
    assert found.path.dtype == np.int32
    assert (steps >= 0).all()
    assert (steps.max(axis=0) <= 1).all()


def test_one_lag_is_rigid_and_exact():
    other = mfcc(played(speech(), lambda t: t + 0.437))
    found = align_pair(pair_audio(mfcc_of_speech(), other))
    assert found.model == "rigid"
    assert found.audio_lag_s == pytest.approx(0.437, abs=0.003)
    assert found.drift_ppm == pytest.approx(0.0, abs=1e-6)


def test_a_clock_that_runs_slow_is_drift():
    reference = mfcc_of_speech()
    found = align_pair(
        pair_audio(reference, mfcc(played(speech(), lambda t: 1.01 * t + 0.1))), model="drift"
    )
    assert found.drift_ppm == pytest.approx(10_000, rel=0.1)
    assert np.percentile(errors_ms(found, lambda t: 1.01 * t + 0.1), 95) < 10


@pytest.mark.slow
def test_far_apart_recordings_are_brought_together():
    silence = np.zeros(20 * 16000, np.float32)
    late = replace(speech(), samples=np.concatenate([silence, speech().samples]), start_s=0.0)
    found = align_pair(pair_audio(mfcc_of_speech(), mfcc(late)))
    assert found.audio_lag_s == pytest.approx(20.0 - speech().start_s, abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("pause_s", [2.0, 20.0])
def test_pauses_before_and_after_a_slower_take_do_not_draw_it_away(pause_s):
    def slower(reference_s):
        return 1.15 * reference_s

    take = played(speech(), slower)
    pause = np.zeros(round(pause_s * take.sample_rate_hz), np.float32)
    padded = replace(take, samples=np.concatenate([pause, take.samples, pause]))
    found = align_pair(pair_audio(mfcc_of_speech(), mfcc(padded)))
    assert found.confidence > 0.99
    errors = errors_ms(found, lambda reference_s: slower(reference_s) + pause_s)
    assert np.percentile(errors, 95) < 30


@pytest.mark.slow
@pytest.mark.parametrize("pace", [0.76, 0.87, 1.15, 1.31])
def test_a_take_at_another_pace_is_found_whatever_it_is(pace):
    take = played(speech(), lambda reference_s: pace * reference_s + 0.3)
    found = align_pair(pair_audio(mfcc_of_speech(), mfcc(take)))
    assert found.model == "elastic"
    assert found.confidence > MATCH_CONFIDENCE
    assert np.percentile(errors_ms(found, lambda t: pace * t + 0.3), 95) < 50
    steps = np.diff(found.path, axis=0)
    assert (steps >= 0).all()
    assert (steps.max(axis=1) == 1).all()
    rows = found.path[(found.path[:, 0] > 40) & (found.path[:, 0] < 340)]
    assert rows[:, 1] == pytest.approx(pace * rows[:, 0] + 15, abs=3)


def test_film_at_the_pace_of_television_is_drift():
    take = played(speech(), lambda reference_s: 24 / 25 * reference_s)
    found = align_pair(pair_audio(mfcc_of_speech(), mfcc(take)))
    assert found.model == "drift"
    assert found.drift_ppm == pytest.approx(-40_000, abs=1000)


def test_a_stream_at_another_pace_keeps_its_clock():
    rows = np.arange(100, dtype=np.float32)[:, None]
    stream = FeatureStream(rows, 3.0 + np.arange(100) / 50, np.ones(100, bool), "embedding")
    paced = resample_at_pace(stream, 1.25)
    assert np.diff(paced.times_s) == pytest.approx(1 / 50)
    assert 1.25 * paced.times_s == pytest.approx(3.0 + paced.values[:, 0] / 50)
    assert paced.times_s[-1] * 1.25 == pytest.approx(stream.times_s[-1], abs=1 / 50)


def test_other_words_are_not_believed():
    backwards = replace(speech(), samples=speech().samples[::-1].copy())
    found = align_pair(pair_audio(mfcc_of_speech(), mfcc(backwards)))
    assert found.confidence < MATCH_CONFIDENCE


def test_the_lag_map_is_highest_on_the_path():
    pair = pair_audio(mfcc_of_speech(), mfcc(played(speech(), wandering)))
    found = align_pair(pair)
    drawn = lag_map(pair, found, band_s=0.5)
    assert drawn.values.shape == (len(drawn.times_s), len(drawn.lags_s))
    inside = (drawn.times_s > 0.5) & (drawn.times_s < speech().duration_s - 0.7)
    best_s = drawn.lags_s[drawn.values.argmax(axis=1)]
    path_s = found.warp.to_other(drawn.times_s) - drawn.times_s
    assert np.median(np.abs(best_s - path_s)[inside]) < 0.02


def test_options_and_lengths_are_checked():
    pair = pair_audio(mfcc_of_speech(), mfcc_of_speech())
    with pytest.raises(ParameterError, match="model"):
        align_pair(pair, model="curved")
    with pytest.raises(ParameterError, match="band"):
        align_pair(pair, band_s=0.0)
    short = replace(speech(), samples=speech().samples[:8000])
    with pytest.raises(NoAnswerError, match="less than 1 s"):
        align_pair(pair_audio(mfcc_of_speech(), mfcc(short)))


def test_lips_that_come_much_later_than_the_sound_ends():
    from planted import lips

    face = lips(duration_s=3.0)
    late = replace(face, times_s=face.times_s + 60.0)
    with pytest.raises(NoAnswerError, match="apart"):
        align_pair(pair_lips(late, late.valid, mfcc_of_speech()))


def test_a_warp_goes_both_ways_and_on_beyond_its_ends():
    warp = TimeWarp(np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 5.0]))
    assert warp.to_other([0.0, 1.0, 3.0]) == pytest.approx([1.0, 1.5, 3.5])
    assert warp.to_other([-1.0, 6.0]) == pytest.approx([0.0, 7.0])
    there_s = np.linspace(-1, 6, 30)
    assert warp.inverse.to_other(warp.to_other(there_s)) == pytest.approx(there_s)
    assert warp.lag_s == pytest.approx([1.0, 0.0, 1.0])


def test_a_smooth_warp_takes_no_notice_of_weightless_rows():
    times_s = np.arange(500) / 50
    truth_s = 0.2 * np.sin(2 * np.pi * times_s / 8)
    weights = np.ones(500)
    lag_s = truth_s.copy()
    lag_s[200:230], weights[200:230] = 3.0, 0.0
    warp = fit_warp(times_s, lag_s, weights, "elastic", smoothing_s=1.0)
    assert np.abs(warp.to_other(times_s) - times_s - truth_s).max() < 0.02
    assert choose_model(times_s, lag_s, weights, tolerance_s=0.01) == "elastic"
    assert choose_model(times_s, 0.04 * times_s, weights, tolerance_s=0.01) == "drift"
    assert choose_model(times_s, 0.1 * times_s, weights, tolerance_s=0.01) == "elastic"
    assert choose_model(times_s, 0 * times_s + 7, weights, tolerance_s=0.01) == "rigid"


def test_a_warp_never_runs_faster_than_twice_or_slower_than_half():
    times_s = np.arange(500) / 50
    jumps_s = np.where(times_s < 5, 0.0, 2.0) - np.where(times_s < 8, 0.0, 3.0)
    warp = fit_warp(times_s, jumps_s, np.ones(500), "elastic", smoothing_s=0.3)
    pace = np.diff(warp.other_s) / np.diff(warp.reference_s)
    assert pace.min() >= 0.5 - 1e-9
    assert pace.max() <= 2.0 + 1e-9


def test_weighted_quantiles():
    values, weights = np.array([5.0, 1.0, 3.0]), np.array([1.0, 1.0, 8.0])
    assert weighted_quantile(values, weights, 0.5) == 3.0
    assert weighted_quantile(values, np.zeros(3), 0.9) == 5.0


def chirps(rate, duration_s, every_s=0.25):
    """Short tones in faint noise: their places tell where the sound was put."""
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.003, int(duration_s * rate)).astype(np.float32)
    tone = np.hanning(rate // 50) * np.sin(2 * np.pi * 900 * np.arange(rate // 50) / rate)
    for start in np.arange(every_s, duration_s - every_s, every_s):
        place = round(start * rate)
        sound[place : place + len(tone)] += 0.7 * tone
    return sound


def onsets_s(sound, rate):
    size = rate // 100
    level = np.convolve(np.abs(sound), np.ones(size) / size, mode="same")
    loud = np.flatnonzero(level > 0.25 * level.max())
    split_at_pauses = np.split(loud, np.flatnonzero(np.diff(loud) > rate // 20) + 1)
    return np.array([run.mean() for run in split_at_pauses]) / rate


def test_stretched_sound_is_where_the_warp_says_and_keeps_its_pitch():
    rate = 8000
    sound = chirps(rate, 60.0)
    both = np.stack([sound, 0.5 * sound])
    knots_s = np.arange(0.0, 50.0, 0.1)
    warp = TimeWarp(knots_s, knots_s + 1.0 + 0.1 * np.sin(2 * np.pi * knots_s / 7) / 0.9)
    blocks = iter(np.array_split(both, 37, axis=1))
    made = np.concatenate(list(stretch_audio(blocks, rate, 0.0, warp, 50.0)), axis=1)
    assert made.shape == (2, 50 * rate)
    assert np.allclose(made[1], 0.5 * made[0], atol=1e-5)
    heard_s = warp.to_other(onsets_s(made[0], rate))
    truth_s = onsets_s(sound, rate)
    error_s = np.abs(heard_s[:, None] - truth_s).min(axis=1)
    assert len(heard_s) > 180
    assert error_s.max() < 0.008
    assert abs(np.mean(heard_s - truth_s[np.abs(heard_s[:, None] - truth_s).argmin(1)])) < 0.003
    spectrum = np.abs(np.fft.rfft(made[0]))
    assert np.fft.rfftfreq(made.shape[1], 1 / rate)[spectrum.argmax()] == pytest.approx(
        900, abs=25
    )


def test_sound_that_is_laid_out_keeps_its_samples():
    samples = np.arange(1, 11, dtype=np.float32)[None] / 10
    blocks = iter(np.array_split(samples, 3, axis=1))
    made = np.concatenate(list(place_audio(blocks, 10, 0.3, 2.0)), axis=1)[0]
    assert made == pytest.approx([0, 0, 0, *samples[0], *[0] * 7])
    early = np.concatenate(list(place_audio(iter([samples]), 10, -0.4, 0.5)), axis=1)[0]
    assert early == pytest.approx(samples[0, 4:9])


def test_sound_of_no_length_is_refused():
    warp = TimeWarp(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    with pytest.raises(ParameterError, match="length"):
        next(stretch_audio(iter([np.zeros((1, 10), np.float32)]), 10, 0.0, warp, 0.0))
    with pytest.raises(ParameterError, match="no sound"):
        next(stretch_audio(iter([]), 10, 0.0, warp, 1.0))


def test_an_empty_stream_is_too_short():
    empty = FeatureStream(np.zeros((0, 13), np.float32), np.zeros(0), np.zeros(0, bool), "mfcc")
    with pytest.raises(NoAnswerError):
        align_pair(pair_audio(mfcc_of_speech(), empty))
