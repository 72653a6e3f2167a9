"""Balance of streams: a planted imbalance is reported, and losses alone are those alone."""

import json
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from avalign.errors import ParameterError
from avalign.fusion import build_fusion
from avalign.train.recognizer.balance import balance_report, unimodal_losses

DIMS = {"audio": 6, "lips": 5}


@pytest.fixture(autouse=True)
def one_thread():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def task(told_by, items=48, rows=8, family="early"):
    """Streams that each tell the label so clearly, a model of them, and its loss."""
    label = torch.arange(items) % 2
    lean = (2.0 * label - 1.0)[:, None, None]
    streams = {
        name: torch.randn(items, rows, width) + told_by[name] * lean
        for name, width in DIMS.items()
    }
    fusion, head = build_fusion(family, dims=DIMS, out_dim=16), torch.nn.Linear(16, 2)

    def loss(streams, masks, present, chosen):
        return cross_entropy(head(fusion(streams, masks, present).pooled), label[chosen])

    return streams, loss, [*fusion.parameters(), *head.parameters()]


def train(parameters, loss, steps=40):
    learner = torch.optim.Adam(parameters, lr=1e-2)
    for _ in range(steps):
        learner.zero_grad()
        loss().backward()
        learner.step()


def joint(loss, streams):
    everyone = torch.arange(len(streams["audio"]))
    return loss(streams, {}, {}, everyone)


def test_a_planted_imbalance_is_reported():
    streams, loss, parameters = task({"audio": 2.0, "lips": 0.0})
    train(parameters, lambda: joint(loss, streams))
    report = balance_report(loss, streams, limit=2.0)
    assert report.dominant == "audio"
    assert report.neglected == ("lips",)
    assert report.gradient_ratio > 2.0
    assert report.streams["audio"].unimodal_loss < 0.2 < report.streams["lips"].unimodal_loss
    fractions = [stream.gradient_share for stream in report.streams.values()]
    assert sum(fractions) == pytest.approx(1.0)


def test_streams_alike_are_in_balance():
    streams, loss, parameters = task({"audio": 1.0, "lips": 1.0})
    train(parameters, lambda: joint(loss, streams))
    report = balance_report(loss, streams)
    assert report.dominant is None
    assert report.neglected == ()


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_units_do_not_matter(scale):
    weights = {"audio": torch.randn(6), "lips": torch.randn(5)}

    def loss_in(unit):
        def loss(streams, masks, present, chosen):
            sums = (streams["audio"] / unit) @ weights["audio"] + streams["lips"] @ weights[
                "lips"
            ]
            return sums.square().mean()

        return loss

    streams, _, _ = task({"audio": 0.0, "lips": 0.0})
    other = streams | {"audio": streams["audio"] * scale}
    before, after = balance_report(loss_in(1.0), streams), balance_report(loss_in(scale), other)
    assert after.gradient_ratio == pytest.approx(before.gradient_ratio, rel=1e-4)


def test_a_stream_that_is_not_used_makes_the_ratio_infinite():
    streams, _, _ = task({"audio": 1.0, "lips": 1.0})
    report = balance_report(lambda streams, *_: streams["audio"].square().mean(), streams)
    assert math.isinf(report.gradient_ratio)
    assert report.neglected == ("lips",)
    assert json.loads(json.dumps(report.as_dict()))["dominant"] == "audio"


def test_losses_alone_are_those_of_a_model_that_has_no_more():
    streams, loss, _ = task({"audio": 1.0, "lips": 1.0})
    everyone, nobody = torch.ones(48, dtype=torch.bool), torch.zeros(48, dtype=torch.bool)
    found = unimodal_losses(loss, streams)
    expected = loss(streams, {}, {"audio": everyone, "lips": nobody}, torch.arange(48))
    torch.testing.assert_close(found["audio"], expected)


def test_items_without_the_stream_are_left_out():
    streams, loss, _ = task({"audio": 1.0, "lips": 1.0})
    present = {"lips": torch.arange(48) < 10}
    asked = []

    def spy(streams, masks, present, chosen):
        asked.append(chosen.tolist())
        return loss(streams, masks, present, chosen)

    unimodal_losses(spy, streams, None, present)
    assert asked == [list(range(48)), list(range(10))]
    nobody = {"lips": torch.zeros(48, dtype=torch.bool)}
    assert set(unimodal_losses(loss, streams, None, nobody)) == {"audio"}
    assert math.isnan(balance_report(loss, streams, None, nobody).streams["lips"].unimodal_loss)


def test_losses_alone_keep_a_weak_stream_learning():
    def lips_alone(weight):
        torch.manual_seed(1)
        streams, loss, parameters = task({"audio": 3.0, "lips": 0.4})
        train(
            parameters,
            lambda: (
                joint(loss, streams) + weight * sum(unimodal_losses(loss, streams).values())
            ),
        )
        return unimodal_losses(loss, streams)["lips"].item()

    assert lips_alone(1.0) < 0.5 * lips_alone(0.0)


def test_refusals():
    streams, loss, _ = task({"audio": 1.0, "lips": 1.0})
    with pytest.raises(ParameterError, match="no stream"):
        unimodal_losses(loss, {})
    with pytest.raises(ParameterError, match=r"the loss is \(48, 8\)"):
        unimodal_losses(lambda streams, *_: streams["audio"].sum(2), streams)
    with pytest.raises(ParameterError, match=r"the limit is 0\.5"):
        balance_report(loss, streams, limit=0.5)
