"""The recogniser: what goes in, what comes out, and what is kept of it."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from recognition import settings  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from avalign.errors import MediaError, ParameterError  # noqa: E402
from avalign.fusion import list_fusions  # noqa: E402
from avalign.recognition.model.encoders import Standardisation  # noqa: E402
from avalign.recognition.model.files import load_model, save_model  # noqa: E402
from avalign.recognition.model.recognizer import Recognizer  # noqa: E402
from avalign.recognition.model.settings import RecognizerSettings, StreamSettings  # noqa: E402

FULL = {"labels": ("calm", "sad"), "values": ("valence",), "vocabulary": ("ab", "c")}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def model(seed=0, **changes):
    torch.manual_seed(seed)
    return Recognizer(settings(**{**FULL, "word_rows": True, **changes})).eval()


def batch(rows=21, items=3, seed=1):
    random = torch.Generator().manual_seed(seed)
    streams = {
        "audio": torch.randn(items, rows, 39, generator=random),
        "lips": torch.randn(items, rows, 123, generator=random),
    }
    masks = {name: torch.ones(items, rows, dtype=torch.bool) for name in streams}
    masks["audio"][1, 13:] = masks["lips"][1, 13:] = False
    masks["lips"][2] = False
    return streams, masks


def test_answers_have_the_shapes_that_are_told():
    told = model()(*batch())
    assert told.answers.log_probs.shape == (3, 21, 5)
    assert told.answers.words.shape == (3, 21, 3)
    assert told.answers.logits.shape == (3, 2)
    assert told.answers.values.shape == (3, 1)
    assert told.lengths.tolist() == [21, 13, 21]
    assert told.present["lips"].tolist() == [True, True, False]
    torch.testing.assert_close(told.answers.log_probs.exp().sum(-1), torch.ones(3, 21))
    assert set(told.unimodal) == {"audio", "lips"}
    only_classes = model(characters="", values=(), word_rows=False)(*batch())
    assert only_classes.answers.log_probs is only_classes.answers.values is None


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padding_changes_nothing(stride):
    network = model(stride=stride)
    streams, masks = batch()
    padded = {
        name: torch.cat([rows, torch.full((3, 8, rows.shape[2]), torch.nan)], dim=1)
        for name, rows in streams.items()
    }
    longer = {name: torch.nn.functional.pad(mask, (0, 8)) for name, mask in masks.items()}
    short, long = network(streams, masks).answers, network(padded, longer).answers
    torch.testing.assert_close(long.logits, short.logits, atol=1e-5, rtol=0)
    for item, length in enumerate((21, 13, 21)):
        torch.testing.assert_close(
            long.log_probs[item, :length], short.log_probs[item, :length], atol=1e-5, rtol=0
        )


@pytest.mark.slow
@pytest.mark.parametrize("fusion", list_fusions())
def test_every_family_recognises_with_any_streams(fusion):
    network = Recognizer(settings(**FULL, fusion=fusion, width=8))
    streams, masks = batch()
    for names in (("audio", "lips"), ("audio",), ("lips",)):
        given = {name: streams[name] for name in names}
        present = {name: torch.tensor([True, True, name != "lips"]) for name in names}
        if names == ("lips",):
            present = {}
        told = network(given, {} if names == ("lips",) else masks_of(masks, names), present)
        (told.answers.log_probs.sum() + told.answers.logits.sum()).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all(), name
        network.zero_grad()


def masks_of(masks, names):
    return {name: masks[name] for name in names}


def test_standardisation_takes_the_training_data_to_mean_0_and_scale_1():
    random = np.random.default_rng(0)
    rows = torch.from_numpy(random.normal([5, -2, 0], [2, 0.5, 3], (4000, 3)).astype("f4"))
    valid = torch.ones(4000, dtype=torch.bool)
    valid[-100:] = False
    rows[-100:] = torch.nan
    layer = Standardisation(StreamSettings("x", 3, centre=False))
    layer.fit([(rows[:1000], valid[:1000]), (rows[1000:], valid[1000:])])
    made = layer(rows[None], valid[None])[0]
    torch.testing.assert_close(made[:-100].mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(made[:-100].std(0), torch.ones(3), atol=1e-3, rtol=0)
    assert (made[-100:] == 0).all()


def test_components_are_the_axes_along_which_clips_move():
    """Two planted axes of unequal strength, and a place of each clip that must not matter."""
    random = np.random.default_rng(0)
    axes = np.linalg.qr(random.normal(size=(10, 2)))[0].T
    clips = []
    for _ in range(5):
        moves = random.normal(size=(500, 2)) * [4.0, 1.0]
        rows = (
            moves @ axes + 100 * random.normal(size=10) + 1e-3 * random.normal(size=(500, 10))
        )
        clips.append((torch.from_numpy(rows.astype("f4")), torch.ones(500, dtype=torch.bool)))
    layer = Standardisation(StreamSettings("x", 10, components=2))
    layer.fit(clips)
    overlap = np.abs(layer.components.numpy().T @ axes.T)
    np.testing.assert_allclose(overlap, np.eye(2), atol=0.05)
    made = layer(clips[0][0][None], clips[0][1][None])[0]
    torch.testing.assert_close(made.mean(0), torch.zeros(2), atol=1e-3, rtol=0)
    np.testing.assert_allclose(made.std(0), 1.0, atol=0.1)


def test_a_kept_model_says_the_same_and_what_it_knows(tmp_path):
    network = model()
    save_model(network, tmp_path / "new" / "model")
    again = load_model(tmp_path / "new" / "model")
    assert again.settings == network.settings
    assert again.settings.vocabulary == ("ab", "c")
    assert again.settings.labels == ("calm", "sad")
    assert not again.training
    torch.testing.assert_close(
        again(*batch()).answers.log_probs, network(*batch()).answers.log_probs, atol=0, rtol=0
    )
    with pytest.raises(MediaError, match="exists already"):
        save_model(network, tmp_path / "new" / "model")


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    save_model(model(), tmp_path)
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace('"calm"', '"glad"'))
    with pytest.raises(MediaError, match="another configuration"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 10**9}, "width"),
        ({"width": 2.0}, "width"),
        ({"width": True}, "width"),
        ({"streams": {}}, "streams"),
        ({"streams": {"a": {"feature": "mfcc", "columns": -1}}}, "columns"),
        ({"streams": [1]}, "cannot be read"),
        ({"labels": "calm"}, "labels"),
        ({"labels": ["x", "x"]}, "labels"),
        ({"fusion": "__import__"}, "fusion"),
        ({"fusion": 3}, "fusion"),
        ({"fusion_options": {"hidden": [1]}}, "fusion option"),
        ({"fusion_options": {"hidden": 10**12}}, "hidden"),
        ({"characters": "aa"}, "alphabet"),
        ({"dropout": float("nan")}, "NaN is no number"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_hostile_settings_are_refused_in_one_line(tmp_path, changes, message):
    save_model(model(), tmp_path)
    fields = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**fields, **changes}))
    with pytest.raises(MediaError, match=message) as caught:
        load_model(tmp_path)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(b"\xff" * 64),
        lambda path: path.write_bytes((2**63).to_bytes(8, "little") + b"{}"),
    ],
)
@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_damaged_files_are_refused(tmp_path, name, spoil):
    save_model(model(), tmp_path)
    spoil(tmp_path / name)
    with pytest.raises(MediaError, match=name):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(more=torch.zeros(3)),
        lambda state: state.popitem(),
        lambda state: state.update({next(iter(state)): torch.zeros(1)}),
        lambda state: next(iter(state.values())).fill_(torch.nan),
        lambda state: state.update({k: v.half() for k, v in state.items()}),
    ],
)
def test_other_arrays_are_refused(tmp_path, change):
    network = model()
    save_model(network, tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    change(state)
    save_file(state, tmp_path / "model.safetensors", {"settings": network.settings.digest})
    with pytest.raises(MediaError, match="array"):
        load_model(tmp_path)


def test_streams_that_do_not_fit_are_named():
    network = model()
    streams, _ = batch()
    for given, message in (
        ({}, "all streams are missing"),
        ({"smell": streams["audio"]}, "no stream 'smell'"),
        ({"lips": streams["audio"]}, r"'lips' has shape \(3, 21, 39\), wanted \(B, T, 123\)"),
    ):
        with pytest.raises(ParameterError, match=message):
            network(given)


def test_settings_without_a_task_are_refused():
    with pytest.raises(ParameterError, match="neither characters"):
        RecognizerSettings({"audio": StreamSettings.of("mfcc")})
