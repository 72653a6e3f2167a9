"""Statistics of a stream over a clip: what they measure, and what they must not mind."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from recognition import LABELS, settings  # noqa: E402

from avalign.errors import MediaError  # noqa: E402
from avalign.recognition.model.files import load_model, save_model  # noqa: E402
from avalign.recognition.model.pooling import StatisticsPooling  # noqa: E402
from avalign.recognition.model.recognizer import Recognizer  # noqa: E402
from avalign.recognition.model.settings import StreamSettings  # noqa: E402
from avalign.train.recognizer.plans import RecognizerPlan, emotion_plan  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def pooling(columns=3, centre=False):
    torch.manual_seed(0)
    return StatisticsPooling(StreamSettings("x", columns, centre=centre), 8, 0.0).eval()


def clips(number=40, rows=30, columns=3, seed=0):
    """Clips whose places and movements differ."""
    random = np.random.default_rng(seed)
    for _ in range(number):
        place, size = random.normal([5, -2, 0], 2), random.uniform(0.5, 2.0, columns)
        values = place + size * random.normal(size=(rows, columns))
        yield torch.from_numpy(values.astype("f4")), torch.ones(rows, dtype=torch.bool)


def emotion_model(**changes):
    torch.manual_seed(0)
    fields = {"characters": "", "labels": LABELS, "statistics": True, "width": 6}
    return Recognizer(settings(**{**fields, **changes})).eval()


def rows_of(model, items=2, rows=20, seed=1):
    random = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(items, rows, stream.columns, generator=random)
        for name, stream in sorted(model.settings.streams.items())
    }


def test_mean_and_deviation_are_those_of_the_valid_rows():
    values = torch.tensor([[[1.0, 2.0, 0.0], [3.0, 2.0, 4.0], [torch.nan] * 3]])
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(
        pooling().statistics(values, mask),
        torch.tensor([[2.0, 2.0, 2.0, 1.0, 1e-4, 2.0]]),
    )
    centred = pooling(centre=True)
    torch.testing.assert_close(
        centred.statistics(values, mask), torch.tensor([[1.0, 1e-4, 2.0]])
    )
    # Where a clip's own mean is taken off, it is not to come back this way.
    assert torch.equal(centred(values, mask), centred(values + 2.0, mask))


def test_the_training_clips_have_mean_0_and_deviation_1():
    layer, known = pooling(), list(clips())
    layer.fit(known)
    table = torch.cat([layer.statistics(rows[None], mask[None]) for rows, mask in known])
    standard = (table - layer.mean) * layer.scale
    torch.testing.assert_close(standard.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(standard.std(0, correction=0), torch.ones(6))


def test_a_column_that_never_moved_in_training_says_nothing_and_a_far_one_not_everything():
    layer = pooling()
    layer.fit([(torch.cat([rows[:, :2], rows[:, :1] * 0], 1), mask) for rows, mask in clips()])
    values, mask = next(clips(1, seed=9))
    moved, far, further = values.clone(), values.clone(), values.clone()
    moved[:, 2] = 100.0
    still = values.clone()
    still[:, 2] = 0.0
    assert torch.equal(layer(moved[None], mask[None]), layer(still[None], mask[None]))
    far[:, 0] += 100.0
    further[:, 0] += 300.0
    torch.testing.assert_close(
        layer(far[None], mask[None]), layer(further[None], mask[None]), atol=1e-4, rtol=0
    )


def test_nothing_to_measure_gives_zeros_and_gradients_that_are_numbers():
    layer = pooling()
    before = layer.mean.clone()
    nothing = torch.zeros(2, 5, dtype=torch.bool)
    layer.fit([(torch.full((5, 3), torch.nan), nothing[0])])
    assert torch.equal(layer.mean, before)
    values = torch.randn(2, 5, 3, requires_grad=True)
    mask = nothing.clone()
    mask[0, :1] = True
    made = layer(values, mask)
    assert (made[1] == 0).all()
    made.sum().backward()
    assert values.grad.isfinite().all()


def test_how_a_clip_is_as_a_whole_reaches_the_answer_and_a_missing_stream_does_not():
    model = emotion_model()
    given = rows_of(model)
    masks = {name: torch.ones(2, 20, dtype=torch.bool) for name in given}
    masks["lips"][1] = False
    told = model(given, masks).answers.logits
    with torch.no_grad():
        for layer in model.statistics:
            layer.project.weight.mul_(2.0)
    assert not torch.allclose(model(given, masks).answers.logits, told)
    other = {**given, "lips": given["lips"].clone()}
    other["lips"][1] = 7.0
    changed = model(other, masks).answers.logits
    torch.testing.assert_close(changed, model(given, masks).answers.logits)
    alone = {"audio": given["audio"]}
    torch.testing.assert_close(
        model(alone, {"audio": masks["audio"]}).answers.logits[1], changed[1]
    )


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["late_average", "late_stacking", "cross_attention"])
def test_a_level_that_no_stream_is_centred_by_is_learnt_at_once(fusion):
    """Labels are where lips are at rest, and clips are new: statistics show it."""
    streams = {
        "audio": StreamSettings("x", 3, centre=False),
        "lips": StreamSettings("y", 3, centre=False),
    }
    model = emotion_model(streams=streams, fusion=fusion, labels=("up", "down"))
    random = torch.Generator().manual_seed(3)

    def draw(items):
        label = torch.arange(items) % 2
        rows = {n: torch.randn(items, 12, 3, generator=random) for n in ("audio", "lips")}
        rows["lips"] += 0.8 * (1.0 - 2.0 * label)[:, None, None]
        return rows, label

    rows, label = draw(32)
    whole = torch.ones(12, dtype=torch.bool)
    model.fit_standardisation(
        [{name: (rows[name][item], whole) for name in rows} for item in range(32)]
    )
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=0.01)
    for _ in range(15):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(rows).answers.logits, label).backward()
        optimizer.step()
    rows, label = draw(64)
    found = model.eval()(rows).answers.logits.argmax(dim=1)
    assert (found == label).float().mean() > 0.9


def test_a_model_from_before_statistics_is_read_as_it_was(tmp_path):
    from safetensors.torch import load_file, save_file

    from avalign.recognition.model.settings import settings_digest

    model = emotion_model(statistics=False)
    save_model(model, tmp_path)
    fields = json.loads((tmp_path / "model.json").read_text())
    assert fields.pop("statistics") is False
    old = json.dumps(fields, indent=1, sort_keys=True)
    (tmp_path / "model.json").write_text(old)
    with pytest.raises(MediaError, match="another configuration"):
        load_model(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    save_file(state, tmp_path / "model.safetensors", {"settings": settings_digest(old)})
    given = rows_of(model)
    assert torch.equal(load_model(tmp_path)(given).answers.logits, model(given).answers.logits)


def test_a_kept_model_keeps_what_it_measured(tmp_path):
    model = emotion_model()
    given = rows_of(model, items=5)
    whole = torch.ones(20, dtype=torch.bool)
    model.fit_standardisation(
        [{n: (r[item], whole) for n, r in given.items()} for item in range(5)]
    )
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    assert again.settings.statistics
    assert torch.equal(again(given).answers.logits, model(given).answers.logits)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"statistics": true', '"statistics": 1'))
    with pytest.raises(MediaError, match="statistics has the wrong type"):
        load_model(tmp_path)


def test_emotion_reads_statistics_and_speech_does_not():
    assert emotion_plan().shape()["statistics"] is True
    assert RecognizerPlan().shape()["statistics"] is False
