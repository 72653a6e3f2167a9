"""A user's own frozen encoder as an extractor."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")


from avalign.errors import ParameterError  # noqa: E402
from avalign.space import (  # noqa: E402
    build_space,
    load_space,
)
from avalign.space.plugins import FrozenEncoder  # noqa: E402
from avalign.types import AudioStream, FeatureStream  # noqa: E402


class Stub(torch.nn.Module):
    """Give the mean and the loudness of every 160 samples."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(2.0))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, samples):
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        return self.dropout(self.gain * torch.stack([frames.mean(1), frames.std(1)], 1))


def sound(seconds=2.0, start_s=0.5, sample_rate_hz=16_000):
    samples = np.random.default_rng(0).normal(size=round(seconds * sample_rate_hz))
    return AudioStream(samples.astype(np.float32), sample_rate_hz, start_s)


def test_a_frozen_encoder_gives_rows_on_its_own_clock():
    stub = Stub()
    encoder = FrozenEncoder(
        encoder=stub, rate_hz=100.0, first_row_s=0.005, sample_rate_hz=16_000
    )
    stream = encoder(sound())
    frames = sound().samples.reshape(-1, 160)
    np.testing.assert_allclose(stream.values[:, 0], 2 * frames.mean(1), atol=1e-5)
    np.testing.assert_allclose(stream.times_s, 0.505 + np.arange(200) / 100)
    assert stream.valid.all()
    assert stream.kind == "embedding"
    assert not stub.training
    assert not stub.gain.requires_grad


def test_what_a_frozen_encoder_gives_can_be_learnt_from_and_saved(tmp_path):
    stream = FrozenEncoder(encoder=Stub(), rate_hz=100.0)(sound())
    lips = stream.values @ np.array([[1.0, 2.0], [0.5, -1.0]]) + 3
    space = build_space("cca").fit(stream.values, lips)
    assert space.score(stream.values, lips) == pytest.approx(1.0, abs=1e-6)
    space.save(tmp_path / "space")
    again = FrozenEncoder(encoder=Stub(), rate_hz=100.0)(sound())
    np.testing.assert_array_equal(
        load_space(tmp_path / "space").transform(again.values), space.transform(stream.values)
    )


def test_a_callable_that_maps_row_by_row_keeps_the_clock_and_what_is_valid():
    times_s = np.array([0.0, 0.04, 0.09, 0.12])
    valid = np.array([True, False, True, True])
    lips = FeatureStream(np.ones((4, 3), np.float32), times_s, valid, "lips")
    stream = FrozenEncoder(encoder=lambda rows: rows[:, :2].tolist(), rate_hz=None)(lips)
    assert stream.values.shape == (4, 2)
    assert stream.values.dtype == np.float32
    np.testing.assert_array_equal(stream.times_s, times_s)
    np.testing.assert_array_equal(stream.valid, valid)
    halved = FrozenEncoder(encoder=lambda rows: rows[:, ::2], rate_hz=12.5, batched=True)(lips)
    np.testing.assert_array_equal(halved.valid, [True, True])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: FrozenEncoder(encoder=3, rate_hz=1.0), "type int"),
        (lambda: FrozenEncoder(encoder=len, rate_hz=0.0), "rate_hz is 0.0"),
        (lambda: FrozenEncoder(encoder=Stub(), rate_hz=50.0)(sound()), "200 rows for 2.00 s"),
        (lambda: FrozenEncoder(encoder=Stub(), rate_hz=None)(sound()), "no rate of its own"),
        (
            lambda: FrozenEncoder(encoder=Stub(), rate_hz=100.0, sample_rate_hz=8000)(sound()),
            "16000 samples per second, not 8000",
        ),
        (lambda: FrozenEncoder(encoder=lambda x: x, rate_hz=1.0)(sound()), "(T, C)"),
        (
            lambda: FrozenEncoder(encoder=lambda x: np.full((20, 1), np.nan), rate_hz=10.0)(
                sound()
            ),
            "not finite",
        ),
    ],
)
def test_encoders_that_do_not_keep_their_word_are_refused(build, words):
    with pytest.raises(ParameterError, match=words.replace("(", r"\(").replace(")", r"\)")):
        build()
