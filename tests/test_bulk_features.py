"""Features in bulk equal those of one sound at a time, whoever computes them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from avalign.audio import log_mel, mfcc
from avalign.audio.mel import MfccSettings
from avalign.errors import MissingDependencyError, ParameterError
from avalign.recognition.material import bulk_features
from avalign.recognition.material.bulk_features import features_in_bulk
from avalign.types import AudioStream

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

RATE_HZ = 16_000


def sounds() -> list[AudioStream]:
    """Noise, a loud tone over faint noise, a click in silence, silence, speech-like bursts."""
    random = np.random.default_rng(0)
    seconds = np.arange(3 * RATE_HZ) / RATE_HZ
    click = np.zeros(8_001)
    click[4_000] = 1.0
    bursts = random.normal(size=40_007) * (
        np.sin(2 * np.pi * 3 * np.arange(40_007) / RATE_HZ) > 0
    )
    signals = [
        0.3 * random.normal(size=20_000),
        0.9 * np.sin(2 * np.pi * 440 * seconds) + 1e-4 * random.normal(size=len(seconds)),
        click,
        np.zeros(3_000),
        0.1 * bursts,
        random.normal(size=1_300),
    ]
    return [
        AudioStream(signal.astype(np.float32), RATE_HZ, 0.25 * number)
        for number, signal in enumerate(signals)
    ]


def assert_equal_to_reference(settings: MfccSettings | None = None, **options: Any) -> None:
    wanted = sounds()
    for deltas in (0, 2):
        found = features_in_bulk(wanted, settings, deltas=deltas, **options)
        for sound, stream in zip(wanted, found, strict=True):
            expected = mfcc(sound, settings, deltas=deltas)
            np.testing.assert_allclose(stream.values, expected.values, rtol=1e-6, atol=1e-4)
            np.testing.assert_array_equal(stream.times_s, expected.times_s)
            assert (stream.kind, stream.values.dtype) == ("mfcc", np.float32)
            assert stream.valid.all()
    for sound, stream in zip(
        wanted, features_in_bulk(wanted, settings, kind="log_mel", **options), strict=True
    ):
        expected = log_mel(sound, settings)
        np.testing.assert_allclose(stream.values, expected.values, rtol=0, atol=1e-4)
        assert stream.kind == "log_mel"


def test_torch_on_the_cpu_equals_the_reference() -> None:
    assert_equal_to_reference(engine="torch", device="cpu")


@pytest.mark.parametrize(
    "settings",
    [
        MfccSettings(n_mels=64, n_mfcc=20, hop_s=0.005),
        MfccSettings(n_fft=400, window_s=0.0125, fmin_hz=60.0, fmax_hz=4_000.0),
    ],
)
def test_other_settings_too(settings: MfccSettings) -> None:
    assert_equal_to_reference(settings, engine="torch", device="cpu")


def test_small_batches_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_features, "BATCH_SAMPLES", 25_000)
    monkeypatch.setattr(bulk_features, "FRAMES_PER_CHUNK", 16)
    assert_equal_to_reference(engine="torch", device="cpu")


def test_this_process_alone_equals_the_reference() -> None:
    assert_equal_to_reference(engine="processes", jobs=1)


@pytest.mark.slow
def test_processes_equal_the_reference() -> None:
    assert_equal_to_reference(engine="processes", jobs=2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_equals_the_reference() -> None:
    assert_equal_to_reference(engine="torch", device="cuda")
    assert_equal_to_reference()


def test_torchaudio_equals_the_reference() -> None:
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"torchaudio does not load: {error}")
    assert_equal_to_reference(engine="torchaudio", device="cpu")


def test_no_sounds_and_no_samples() -> None:
    assert features_in_bulk([], engine="torch") == []
    empty = AudioStream(np.zeros(0, np.float32), RATE_HZ, 1.0)
    (stream,) = features_in_bulk([empty], engine="torch", device="cpu")
    assert stream.values.shape == mfcc(empty).values.shape == (0, 13)


def test_progress_ends_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_features, "BATCH_SAMPLES", 25_000)
    for options in ({"engine": "torch", "device": "cpu"}, {"engine": "processes", "jobs": 1}):
        fractions: list[float] = []
        features_in_bulk(sounds(), progress=fractions.append, **options)  # type: ignore[arg-type]
        assert fractions == sorted(fractions)
        assert fractions[0] < fractions[-1] == 1.0


def test_without_a_gpu_processes_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bulk_features._choose("auto", None) == "processes"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert bulk_features._choose("auto", None) in ("torch", "torchaudio")


def test_engines_that_do_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(MissingDependencyError, match="engine='torch'"):
        features_in_bulk(sounds(), engine="torchaudio")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert bulk_features._choose("auto", None) == "torch"
    monkeypatch.setitem(sys.modules, "torch", None)
    assert bulk_features._choose("auto", None) == "processes"
    with pytest.raises(MissingDependencyError, match=r"avalign\[torch\]"):
        features_in_bulk(sounds(), engine="torch")


@pytest.mark.parametrize(
    ("samples", "rate_hz", "options", "words"),
    [
        (np.zeros(900), 8_000, {}, "sound 1 has 8000 samples per second"),
        (np.zeros((900, 2)), RATE_HZ, {}, "shape"),
        (np.array([0.0, np.nan]), RATE_HZ, {}, "sound 1 is not a number at sample 1"),
        (np.zeros(900), RATE_HZ, {"deltas": 1}, "sound 1 gives 6"),
        (np.zeros(900), RATE_HZ, {"deltas": 3}, "deltas is 3"),
        (np.zeros(900), RATE_HZ, {"kind": "plp"}, "kind is 'plp'"),
        (np.zeros(900), RATE_HZ, {"engine": "jax"}, "engine is 'jax'"),
        (np.zeros(900), RATE_HZ, {"jobs": 0}, "jobs is 0"),
    ],
)
def test_what_cannot_be_computed_is_told(
    samples: np.ndarray, rate_hz: int, options: dict[str, Any], words: str
) -> None:
    good = AudioStream(np.zeros(16_000, np.float32), RATE_HZ, 0.0)
    bad = AudioStream(samples.astype(np.float32), rate_hz, 0.0)
    with pytest.raises(ParameterError, match=words):
        features_in_bulk([good, bad], **options)
