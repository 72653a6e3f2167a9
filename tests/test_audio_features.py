"""The extractor against librosa, against known times, and against odd deliveries."""

import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalign.audio.features import log_mel, mfcc
from avalign.audio.mel import MfccSettings, dct_basis, mel_filters
from avalign.errors import MissingDependencyError, ParameterError
from avalign.types import AudioStream, FeatureStream

RATE = 16_000
# In decibels, and in units of the orthonormal DCT of decibels. Single precision holds the
# zeroth coefficient of silence, -632, to 6e-5 only.
TOLERANCE = {"rtol": 1e-6, "atol": 1e-4}


def sound(samples, start_s=0.0):
    return AudioStream(np.asarray(samples, np.float32), RATE, start_s)


def noise(n, level=0.1, seed=0):
    return np.random.default_rng(seed).normal(0, level, n).astype(np.float32)


def click(n, at, level=1.0):
    samples = np.zeros(n, np.float32)
    samples[at] = level
    return samples


def chirp(n):
    t = np.arange(n) / RATE
    return 0.5 * np.sin(2 * np.pi * (80 + 1500 * t) * t)


SIGNALS = {
    "noise": noise(20_011),
    "quiet noise": noise(20_000, 1e-6),
    "loud noise": noise(20_000, 10),
    "silence": np.zeros(8_000),
    "clicks": click(16_000, 3_000) + click(16_000, 9_999, -0.3),
    "chirp": chirp(24_000),
    "tone above silence": np.r_[np.zeros(4_000), chirp(8_000), np.zeros(4_001)],
    "shorter than a window": noise(399),
    "one sample": np.ones(1),
    "longer than a chunk": noise(1024 * 160 * 2 + 77),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:n_fft=512 is too large")
@pytest.mark.parametrize("name", SIGNALS)
def test_log_mel_equals_librosa(name):
    ours = log_mel(sound(SIGNALS[name]))
    reference = log_mel(sound(SIGNALS[name]), engine="librosa")
    assert ours.values.shape == reference.values.shape == (1 + len(SIGNALS[name]) // 160, 40)
    np.testing.assert_allclose(ours.values, reference.values, **TOLERANCE)


@pytest.mark.parametrize("deltas", [0, 1, 2])
@pytest.mark.parametrize("name", [n for n in SIGNALS if len(SIGNALS[n]) > 1600])
def test_mfcc_and_deltas_equal_librosa(name, deltas):
    ours = mfcc(sound(SIGNALS[name]), deltas=deltas)
    reference = mfcc(sound(SIGNALS[name]), deltas=deltas, engine="librosa")
    assert ours.values.shape == reference.values.shape
    assert ours.values.shape[1] == 13 * (1 + deltas)
    np.testing.assert_allclose(ours.values, reference.values, **TOLERANCE)


def test_reference_is_what_the_documentation_names():
    """Called here by hand, so that a slip in the adapter cannot hide."""
    librosa = pytest.importorskip("librosa")
    samples = noise(12_345)
    power = librosa.feature.melspectrogram(
        y=samples, sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=40,
        center=True, pad_mode="constant", power=2.0,
    )  # fmt: skip
    bands = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
    coefficients = librosa.feature.mfcc(S=bands, n_mfcc=13, dct_type=2, norm="ortho")
    second = librosa.feature.delta(coefficients, width=9, order=2, mode="interp")
    ours = mfcc(sound(samples), deltas=2).values
    np.testing.assert_allclose(log_mel(sound(samples)).values, bands.T, **TOLERANCE)
    np.testing.assert_allclose(ours[:, :13], coefficients.T, **TOLERANCE)
    np.testing.assert_allclose(ours[:, 26:], second.T, **TOLERANCE)


@pytest.mark.parametrize(
    "settings",
    [
        MfccSettings(),
        MfccSettings(n_mels=80, n_mfcc=20, fmin_hz=60, fmax_hz=7600),
        MfccSettings(sample_rate_hz=22_050, n_fft=1024, fmin_hz=1500, fmax_hz=11_025),
        MfccSettings(n_fft=511, window_s=0.02, hop_s=0.0125),
    ],
)
def test_other_settings_equal_librosa(settings):
    librosa = pytest.importorskip("librosa")
    filters = librosa.filters.mel(
        sr=settings.sample_rate_hz, n_fft=settings.n_fft, n_mels=settings.n_mels,
        fmin=settings.fmin_hz, fmax=settings.fmax_hz,
    )  # fmt: skip
    np.testing.assert_allclose(mel_filters(settings), filters, atol=1e-7)
    audio = AudioStream(noise(20_000), settings.sample_rate_hz, 0.0)
    np.testing.assert_allclose(
        mfcc(audio, settings).values,
        mfcc(audio, settings, engine="librosa").values,
        **TOLERANCE,
    )


def test_dct_basis_is_orthonormal():
    basis = dct_basis(40, 40)
    np.testing.assert_allclose(basis @ basis.T, np.eye(40), atol=1e-12)


def real_clips():
    folder = os.environ.get("AVALIGN_CLIPS")
    if not folder:
        return [pytest.param(None, marks=pytest.mark.skip("AVALIGN_CLIPS is not set"))]
    root = Path(folder)
    return [*sorted(root.glob("grid_s1/*.mkv"))[:2], *sorted(root.glob("clips/hdtf*"))[:2]]


@pytest.mark.parametrize("path", real_clips(), ids=lambda p: getattr(p, "name", "none"))
def test_real_speech_equals_librosa(path):
    from avalign.media import read_audio

    audio = read_audio(path)
    ours, reference = mfcc(audio, deltas=2), mfcc(audio, deltas=2, engine="librosa")
    assert len(ours) > 200
    np.testing.assert_allclose(ours.values, reference.values, **TOLERANCE)


@given(
    n=st.integers(1, 4_000),
    seed=st.integers(0, 9),
    cuts=st.lists(st.integers(0, 4_000), max_size=6),
    start_s=st.sampled_from([0.0, -0.021, 3.7]),
)
def test_blocks_give_the_same_bits(n, seed, cuts, start_s):
    samples = noise(n, seed=seed)
    edges = sorted({0, n, *(min(c, n) for c in cuts)})
    blocks = (AudioStream(samples[a:b], RATE, start_s + a / RATE) for a, b in pairwise(edges))
    whole, parts = mfcc(sound(samples, start_s)), mfcc(blocks)
    assert np.array_equal(whole.values, parts.values)
    assert np.array_equal(whole.times_s, parts.times_s)


@pytest.mark.parametrize("size", [1_600, 163_840, 170_001])
def test_long_sound_gives_the_same_bits_in_any_blocks(size):
    samples = noise(500_000)
    blocks = (sound(samples[i : i + size], i / RATE) for i in range(0, len(samples), size))
    assert np.array_equal(log_mel(blocks).values, log_mel(sound(samples)).values)


@pytest.mark.parametrize("at_s", [0.1, 0.4875, 1.0033])
@pytest.mark.parametrize("start_s", [0.0, -0.2, 12.5])
def test_rows_are_centred_on_their_times(at_s, start_s):
    samples = noise(2 * RATE, 1e-6) + click(2 * RATE, round(at_s * RATE))
    stream = log_mel(sound(samples, start_s))
    power = (10 ** (stream.values / 10)).sum(axis=1, dtype=np.float64)
    centroid_s = (power * stream.times_s).sum() / power.sum()
    assert centroid_s == pytest.approx(start_s + at_s, abs=0.0015)


def test_clock_and_shape():
    stream = mfcc(sound(noise(16_000), 2.5))
    assert stream.kind == "mfcc"
    assert stream.values.dtype == np.float32
    assert stream.times_s.dtype == np.float64
    assert stream.valid.dtype == bool
    np.testing.assert_allclose(stream.times_s, 2.5 + 0.01 * np.arange(101), atol=1e-12)
    assert stream.valid.all()


@pytest.mark.parametrize("engine", ["avalign", "librosa"])
@pytest.mark.parametrize("audio", [[], [sound([])], sound([])])
def test_no_samples_give_no_rows(audio, engine):
    stream = mfcc(audio, engine=engine)
    assert stream.values.shape == (0, 13)
    assert len(stream) == 0


def test_mfcc_of_log_mel_is_the_mfcc_of_the_sound():
    audio = sound(noise(8_000), 1.0)
    direct, by_way = mfcc(audio), mfcc(log_mel(audio))
    assert np.array_equal(direct.values, by_way.values)
    assert np.array_equal(direct.times_s, by_way.times_s)


def test_gain_moves_only_the_zeroth_coefficient():
    quiet, loud = mfcc(sound(noise(8_000, 0.01))), mfcc(sound(10 * noise(8_000, 0.01)))
    difference = loud.values - quiet.values
    np.testing.assert_allclose(difference[:, 0], 20 * np.sqrt(40), atol=1e-3)
    np.testing.assert_allclose(difference[:, 1:], 0, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mfcc(AudioStream(np.zeros(9, np.float32), 44_100, 0.0)), "44100"),
        (lambda: mfcc(sound(np.zeros((2, 9)))), r"\(2, 9\)"),
        (lambda: mfcc(sound([0, np.nan], 1.0)), r"1\.0001 s"),
        (lambda: mfcc([sound([0] * 16), sound([0] * 16, 0.0005)]), r"0\.000500 s.*0\.001000 s"),
        (lambda: mfcc(sound(noise(1_200)), deltas=1), "8"),
        (lambda: mfcc(sound(noise(1_600)), deltas=3), "3"),
        (lambda: mfcc(mfcc(sound(noise(1_600)))), "mfcc"),
        (lambda: mfcc(log_mel(sound(noise(160))), MfccSettings(n_mels=20)), "20"),
        (lambda: MfccSettings(n_mfcc=41), "41"),
        (lambda: MfccSettings(fmax_hz=9_000), "9000"),
        (lambda: MfccSettings(window_s=1.0), "16000 samples"),
        (lambda: MfccSettings(hop_s=0.0), "hop"),
    ],
)
def test_unusable_values_are_named(call, words):
    with pytest.raises(ParameterError, match=words) as caught:
        call()
    assert caught.value.hint


def test_missing_librosa_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(MissingDependencyError, match="pip install librosa"):
        mfcc(sound(noise(1_600)), engine="librosa")


def test_feature_stream_kind_of_log_mel():
    assert isinstance(log_mel(sound(noise(160))), FeatureStream)
    assert log_mel(sound(noise(160))).kind == "log_mel"
