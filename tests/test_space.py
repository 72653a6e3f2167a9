"""The shared space: clocks, normalisation, and NumPy against torch."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalign.align import confidence
from avalign.align.evidence import gather_evidence
from avalign.errors import InstallationError, MediaError, NoAnswerError, ParameterError
from avalign.space import EncoderPair, EncoderSettings, SpaceSettings, grid, load_model
from avalign.space import model as model_module
from avalign.space.grid import normalise, to_uniform
from avalign.space.model import expected_shapes, save_model
from avalign.types import FeatureStream


def stream(values, times_s, valid=None, kind="lips"):
    values = np.asarray(values, np.float32).reshape(len(times_s), -1)
    valid = np.ones(len(times_s), bool) if valid is None else np.asarray(valid)
    return FeatureStream(values, np.asarray(times_s, float), valid, kind)


@given(st.floats(10, 60), st.floats(-2, 2), st.floats(-3, 3))
def test_a_straight_line_stays_one_on_any_uniform_clock(rate_hz, start_s, slope):
    times_s = start_s + np.arange(40) / rate_hz
    values, valid, first_s = to_uniform(stream(slope * times_s, times_s), 50.0)
    wanted = first_s + np.arange(len(values)) / 50.0
    assert first_s == times_s[0]
    assert valid.all()
    np.testing.assert_allclose(values[:, 0], slope * wanted, atol=1e-4)


def test_long_gaps_are_not_bridged_and_short_ones_are():
    times_s = np.arange(50) / 25
    valid = np.ones(50, bool)
    valid[10:12] = False
    valid[20:30] = False
    values, kept, _ = to_uniform(stream(times_s, times_s, valid), 50.0)
    assert kept[18:24].all()
    assert not kept[40:58].any()
    assert (values[~kept] == 0).all()


def test_a_stream_on_the_clock_is_left_alone():
    times_s = 0.3 + np.arange(30) / 100
    rows = np.random.default_rng(0).normal(size=(30, 3))
    values, valid, _ = to_uniform(stream(rows, times_s), 100.0)
    np.testing.assert_allclose(values, rows.astype(np.float32), atol=1e-5)
    assert valid.all()


def naive_normalise(values, valid, span, prior_scale, prior_rows):
    result = np.zeros_like(values)
    for row in range(len(values)):
        first = min(max(row - span // 2, 0), max(0, len(values) - span))
        inside = values[first : first + span][valid[first : first + span]].astype(float)
        if valid[row]:
            spread = ((inside - inside.mean(0)) ** 2).sum(0)
            variance = (spread + prior_rows * prior_scale**2) / (len(inside) + prior_rows)
            result[row] = (values[row] - inside.mean(0)) / np.sqrt(variance)
    return result


@given(st.integers(1, 60), st.integers(2, 30), st.integers(0, 10_000))
def test_sliding_normalisation_equals_the_obvious_one(length, span, seed):
    random = np.random.default_rng(seed)
    values = random.normal(100, 5, (length, 2)).astype(np.float32)
    valid = random.random(length) < 0.8
    scale = np.array([5, 2], np.float32)
    np.testing.assert_allclose(
        normalise(values, valid, span, scale, 20.0),
        naive_normalise(values, valid, span, scale, 20.0),
        atol=2e-3,
    )


@pytest.fixture(scope="module")
def encoders():
    """Three members that nobody has trained, as torch networks and as the NumPy model."""
    torch = pytest.importorskip("torch")
    from avalign.space.learning.network import SpaceNetwork, to_model

    torch.manual_seed(0)
    random = np.random.default_rng(0)
    settings = SpaceSettings(
        lip_components=6,
        channels=16,
        dimensions=8,
        alternate=EncoderPair(
            EncoderSettings((5, 3), (1, 2), stride=2), EncoderSettings((3, 5), (2, 1))
        ),
    )
    fixed = (
        random.normal(size=(123, 6)).astype(np.float32),
        random.uniform(0.5, 2, 6).astype(np.float32),
        random.uniform(5, 20, 13).astype(np.float32),
    )
    members = [
        SpaceNetwork(settings.of_member(member), *fixed, score_scale=1.0).eval()
        for member in range(3)
    ]
    for member in members:
        for name, array in member.named_parameters():
            if name.endswith(("weight", "bias")):
                # As far from zero as training leaves them, lest anything pass for equal.
                array.data *= 3.0
    return to_model(members), members


def gaps(rows, *spans):
    """Rows that are there but for these spans."""
    there = np.ones(rows, bool)
    for start, end in spans:
        there[start:end] = False
    return there


ROWS = 120


@pytest.mark.parametrize(
    ("heard", "seen"),
    [
        (gaps(2 * ROWS), gaps(ROWS)),
        (gaps(2 * ROWS, (40, 90), (171, 230)), gaps(ROWS)),
        (gaps(2 * ROWS), gaps(ROWS, (30, 60), (99, 119))),
        (gaps(2 * ROWS, (61, 120), (180, 239)), gaps(ROWS, (1, 40), (50, 75))),
    ],
    ids=["whole", "gaps in the sound", "gaps in the lips", "gaps in both"],
)
def test_numpy_encoders_equal_the_torch_network(encoders, heard, seen):
    torch = pytest.importorskip("torch")
    model, members = encoders
    random = np.random.default_rng(1)
    # What stands in a gap must not matter to either.
    sound = np.where(heard[:, None], random.normal(0, 10, (2 * ROWS, 13)), 1e3)
    shape = np.where(seen[:, None], random.normal(0, 0.1, (ROWS, 123)), -50.0)
    sound, shape = sound.astype(np.float32), shape.astype(np.float32)
    audio = model.embed_audio(stream(sound, np.arange(2 * ROWS) / 100, heard, "mfcc"))
    lips = model.embed_lips(stream(shape, np.arange(ROWS) / 50, seen))
    np.testing.assert_array_equal(audio.valid, heard[::2])
    np.testing.assert_array_equal(lips.valid, seen)
    assert (audio.values[~audio.valid] == 0).all()
    assert (lips.values[~lips.valid] == 0).all()

    theirs = 0
    for member in members:
        with torch.no_grad():
            sounds, mouths = member.embed(
                *(torch.as_tensor(array)[None] for array in (sound, heard, shape, seen))
            )
        theirs = theirs + (sounds[0] @ mouths[0].T).numpy() / len(members)
    ours = audio.values @ lips.values.T
    assert ours.shape == (ROWS, ROWS)
    assert np.abs(ours[audio.valid][:, lips.valid]).max() > 5
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_lag_scores_equal_sums_along_diagonals():
    torch = pytest.importorskip("torch")
    from avalign.space.learning.network import lag_scores

    audio, lips = torch.randn(2, 1, 30, 4, generator=torch.Generator().manual_seed(1))
    products = (lips[0] @ audio[0].T).numpy()
    wanted = [np.trace(products, offset=lag) for lag in range(-12, 13)]
    np.testing.assert_allclose(lag_scores(audio, lips, 12)[0], wanted, atol=1e-4)


def test_shipped_model_loads_and_is_small():
    from avalign.space.model import SHIPPED_WEIGHTS

    model = load_model()
    assert model.settings.rate_hz >= 50
    assert SHIPPED_WEIGHTS.stat().st_size <= 5_000_000
    assert "torch" not in type(next(iter(model.weights.values()))).__module__


def test_streams_of_the_wrong_width_are_refused():
    model = load_model()
    with pytest.raises(ParameterError, match="123"):
        model.embed_lips(stream(np.zeros((5, 60)), np.arange(5) / 25))
    with pytest.raises(ParameterError, match="13"):
        model.embed_audio(stream(np.zeros((5, 4)), np.arange(5) / 100))


def write_weights(path, change=None, metadata=None):
    from safetensors.numpy import save_file

    settings = SpaceSettings(lip_components=4, channels=4, dimensions=2)
    weights = {
        name: np.ones(shape, np.float32) for name, shape in expected_shapes(settings).items()
    }
    if change:
        change(weights)
    save_file(weights, path, metadata=metadata or {"settings": settings.to_json()})
    return settings


def test_weights_round_trip(tmp_path):
    settings = write_weights(tmp_path / "a.safetensors")
    assert load_model(tmp_path / "a.safetensors").settings == settings
    transposed = np.arange(492, dtype=np.float32).reshape(4, 123).T
    model = load_model(tmp_path / "a.safetensors")
    model = replace(model, weights={**model.weights, "lip_components": transposed})
    save_model(model, tmp_path / "b.safetensors")
    np.testing.assert_array_equal(
        load_model(tmp_path / "b.safetensors").weights["lip_components"], transposed
    )
    other = replace(settings, zero_lag_s=0.25, members=3)
    assert SpaceSettings.from_json(other.to_json()) == other
    short = EncoderPair(
        EncoderSettings((5,), (1,), stride=2), EncoderSettings((3, 3), (1, 2), stride=1)
    )
    other = replace(other, alternate=short)
    assert SpaceSettings.from_json(other.to_json()) == other
    torn = replace(other, alternate=replace(short, audio=EncoderSettings((5,), (1,), stride=1)))
    with pytest.raises(MediaError, match="strides"):
        SpaceSettings.from_json(torn.to_json())


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.pop("audio_scale"),
        lambda weights: weights.update(lip_scale=np.ones(7, np.float32)),
        lambda weights: weights.update(lip_scale=np.full(4, np.nan, np.float32)),
        lambda weights: weights.update(lip_scale=np.ones(4, np.float64)),
    ],
)
def test_damaged_weights_are_refused(tmp_path, change):
    write_weights(tmp_path / "bad.safetensors", change)
    with pytest.raises(MediaError, match=r"audio_scale|lip_scale"):
        load_model(tmp_path / "bad.safetensors")


def test_files_that_are_no_weights_are_refused(tmp_path):
    (tmp_path / "text.safetensors").write_text("hello")
    write_weights(tmp_path / "alien.safetensors", metadata={"settings": '{"members": "x"}'})
    write_weights(tmp_path / "deep.safetensors", metadata={"settings": "[" * 100_000})
    vast = '{"members": 1000000000, "audio": {"kernels": [3], "dilations": [1], "stride": 2}, '
    vast += '"lips": {"kernels": [3], "dilations": [1], "stride": 1}, "alternate": null}'
    write_weights(tmp_path / "vast.safetensors", metadata={"settings": vast})
    for name in (
        "deep.safetensors",
        "vast.safetensors",
        "text.safetensors",
        "alien.safetensors",
        "absent.safetensors",
    ):
        with pytest.raises(MediaError):
            load_model(tmp_path / name)


def test_shipped_files_that_are_damaged_are_a_fault_of_the_installation(tmp_path, monkeypatch):
    damaged = tmp_path / "damaged"
    damaged.write_text("hello")
    for module, name, load in (
        (model_module, "SHIPPED_WEIGHTS", load_model),
        (confidence, "SHIPPED_CALIBRATION", confidence.load_calibration),
    ):
        with pytest.raises(MediaError) as named:
            load(damaged)
        assert named.value.exit_code == 3
        monkeypatch.setattr(module, name, damaged)
        with pytest.raises(InstallationError, match="not installed whole") as shipped:
            load(damaged)
        assert shipped.value.exit_code == 5
        assert shipped.value.hint == "reinstall avalign"


@pytest.mark.slow
def test_gaps_that_are_left_out_change_nothing_beside_them(monkeypatch):
    model = load_model()
    rng = np.random.default_rng(3)
    times_s = np.concatenate([begin + np.arange(300) / 25 for begin in (0.0, 15.0, 300.004)])
    lips = stream(rng.normal(0, 0.1, (900, 123)).astype(np.float32), times_s)
    sound = stream(rng.normal(0, 10, (900, 13)).astype(np.float32), times_s / 4, kind="mfcc")
    found = model.embed_lips(lips), model.embed_audio(sound)
    monkeypatch.setattr(grid, "_MARGIN_S", 1e6)
    whole = model.embed_lips(lips), model.embed_audio(sound)
    for some, every in zip(found, whole, strict=True):
        assert len(some) < len(every) / 3
        there = np.searchsorted(every.times_s, some.times_s - 1e-6)
        assert every.times_s[there] == pytest.approx(some.times_s)
        assert every.valid.sum() == some.valid.sum() > 400
        np.testing.assert_allclose(some.values, every.values[there], atol=1e-5)
    few, many = (gather_evidence(each[1], each[0], 1.0) for each in (found, whole))
    np.testing.assert_allclose(few.total, many.total, atol=1e-3)


def test_rows_far_apart_cost_no_memory():
    model = load_model()
    ends = stream(np.ones((4, 123), np.float32), np.array([0.0, 0.04, 9e6, 9e6 + 0.04]))
    assert len(model.embed_lips(ends)) < 250
    with pytest.raises(NoAnswerError, match=r"2500\.0 hours apart"):
        grid.to_uniform(ends, 50.0)


def test_weights_of_any_size_end_in_one_line():
    model = load_model()
    weights = {name: array * np.float32(1e20) for name, array in model.weights.items()}
    lips = stream(np.random.default_rng(0).normal(size=(50, 123)), np.arange(50) / 25)
    with pytest.raises(MediaError, match="beyond all bounds"):
        replace(model, weights=weights).embed_lips(lips)
