"""Speech activity on sounds whose answer is known."""

import os
from pathlib import Path

import numpy as np
import pytest

from avalign.audio import MfccSettings, log_mel, mfcc, speech_activity
from avalign.errors import ParameterError
from avalign.media import read_audio
from avalign.types import AudioStream, FeatureStream

RATE = 16_000
SAMPLES = Path(__file__).parent.parent / "samples"
TIME_S = np.arange(6 * RATE) / RATE
# The synthetic voice of samples/talking.mp4 is heard here, and nothing but room tone there.
TALKING_S = ((0.7, 2.2), (2.85, 4.5), (4.95, 6.9))
NOT_TALKING_S = ((0.0, 0.45), (7.3, 8.0))


def sound(samples, start_s=0.0):
    return AudioStream(np.asarray(samples, np.float32), RATE, start_s)


def noise(level, n=6 * RATE):
    return np.random.default_rng(0).normal(0, level, n)


def clicks():
    samples = noise(1e-4)
    samples[::5003] += 0.8
    return samples


def pink():
    spectrum = np.fft.rfft(noise(1.0))
    spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))
    return np.fft.irfft(spectrum, len(TIME_S))


@pytest.fixture(scope="module")
def talking():
    return read_audio(SAMPLES / "talking.mp4")


def mean_between(stream, spans):
    inside = np.zeros(len(stream), bool)
    for start_s, end_s in spans:
        inside |= (stream.times_s >= start_s) & (stream.times_s < end_s)
    return float(stream.values[inside].mean())


NOT_SPEECH = {
    "digital silence": np.zeros_like(TIME_S),
    "white noise": noise(0.05),
    "soft noise": noise(2e-4),
    "pink noise": pink(),
    "hum": 0.2 * np.sign(np.sin(2 * np.pi * 100 * TIME_S)),
    "tone": 0.2 * np.sin(2 * np.pi * 440 * TIME_S),
    "clicks": clicks(),
    "noise that sets in": noise(0.05) * (TIME_S > 3),
}


@pytest.mark.parametrize("name", NOT_SPEECH)
def test_what_is_no_speech_scores_low(name):
    stream = speech_activity(sound(NOT_SPEECH[name]))
    assert stream.values.mean() < 0.06
    assert (stream.values >= 0.5).mean() < 0.06


def test_tone_that_sets_in_is_forgotten_within_a_second():
    stream = speech_activity(sound(0.2 * np.sin(2 * np.pi * 440 * TIME_S) * (TIME_S > 3)))
    far = np.abs(stream.times_s - 3) > 1
    assert stream.values[far].max() < 0.1


def test_sample_speaks_where_it_speaks(talking):
    stream = speech_activity(talking)
    assert mean_between(stream, TALKING_S) > 0.85
    assert mean_between(stream, NOT_TALKING_S) < 0.1
    assert mean_between(speech_activity(read_audio(SAMPLES / "silent.mp4")), [(0, 8)]) < 0.01


def test_sample_speaks_in_noise_at_10_db(talking):
    level = np.sqrt(np.mean(talking.samples**2)) / 10 ** (10 / 20)
    stream = speech_activity(sound(talking.samples + noise(level, len(talking.samples))))
    assert mean_between(stream, TALKING_S) > 0.6
    assert mean_between(stream, NOT_TALKING_S) < 0.1


@pytest.mark.parametrize("gain", [0.1, 3.0])
def test_gain_does_not_matter(talking, gain):
    plain, other = speech_activity(talking), speech_activity(sound(gain * talking.samples))
    assert ((plain.values >= 0.5) == (other.values >= 0.5)).mean() > 0.95


def test_loud_moment_changes_nothing_far_away(talking):
    quiet = np.concatenate([talking.samples, np.zeros(8 * RATE, np.float32)])
    loud = quiet.copy()
    loud[-2 * RATE :] = noise(0.9, 2 * RATE)
    near = slice(0, 800)
    np.testing.assert_allclose(
        speech_activity(sound(quiet)).values[near],
        speech_activity(sound(loud)).values[near],
        atol=1e-6,
    )


def test_clock_is_that_of_the_features(talking):
    bands = log_mel(AudioStream(talking.samples, RATE, 2.5))
    stream = speech_activity(bands)
    assert stream.kind == "speech"
    assert stream.values.shape == (len(bands), 1)
    assert stream.values.dtype == np.float32
    assert np.array_equal(stream.times_s, bands.times_s)
    assert stream.values.min() >= 0
    assert stream.values.max() <= 1


def test_onset_is_found_where_it_is(talking):
    values = speech_activity(talking).values[:, 0]
    onset_s = 0.01 * np.argmax(values >= 0.5)
    assert onset_s == pytest.approx(0.6, abs=0.12)


@pytest.mark.parametrize("deltas", [0, 2])
def test_features_serve_as_well_as_the_sound(talking, deltas):
    from_sound = speech_activity(talking)
    assert np.array_equal(speech_activity(log_mel(talking)).values, from_sound.values)
    from_mfcc = speech_activity(mfcc(talking, deltas=deltas))
    assert ((from_mfcc.values >= 0.5) == (from_sound.values >= 0.5)).mean() > 0.93


@pytest.mark.parametrize("n", [0, 1, 200, 1_700])
def test_short_sounds(n):
    stream = speech_activity(sound(noise(0.1, n)))
    assert stream.values.shape == (0 if n == 0 else 1 + n // 160, 1)
    assert np.isfinite(stream.values).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: speech_activity(stream_of(7, "log_mel")), "7 columns of 'log_mel'"),
        (lambda: speech_activity(stream_of(12, "mfcc")), "12 columns of 'mfcc'"),
        (lambda: speech_activity(stream_of(40, "lips")), "'lips'"),
        (lambda: speech_activity(sound([0.0]), MfccSettings(fmin_hz=5_000)), "no mel band"),
    ],
)
def test_unusable_streams_are_named(call, words):
    with pytest.raises(ParameterError, match=words):
        call()


def stream_of(columns, kind):
    return FeatureStream(
        np.zeros((9, columns), np.float32), 0.01 * np.arange(9), np.ones(9, bool), kind
    )


def grid_sentences():
    root = Path(os.environ.get("AVALIGN_CLIPS", "/nowhere"))
    return sorted(root.glob("grid_s1/*.mkv"))[::50]


@pytest.mark.skipif(not grid_sentences(), reason="AVALIGN_CLIPS is not set")
def test_real_speech_against_word_times():
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    truth, scores = [], []
    for path in grid_sentences():
        stream = speech_activity(read_audio(path))
        words = path.with_name(path.stem.removeprefix("grid_s1_") + ".align").read_text()
        for line in words.splitlines():
            start, end, word = line.split()
            inside = (stream.times_s >= int(start) / 25_000) & (
                stream.times_s < int(end) / 25_000
            )
            scores.append(stream.values[inside, 0])
            truth.append(np.full(inside.sum(), word not in ("sil", "sp")))
    truth, scores = np.concatenate(truth), np.concatenate(scores)
    assert roc_auc_score(truth, scores) > 0.97
    assert balanced_accuracy_score(truth, scores >= 0.5) > 0.92
