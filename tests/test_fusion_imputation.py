"""Imputation of missing streams, held against leaving them out and against zeros."""

import pytest
import torch

from avalign.errors import ParameterError
from avalign.fusion import build_fusion
from avalign.fusion.imputation import ImputingFusion
from avalign.space.learning.autoencoder import AutoencoderNetwork

DIMS = {"audio": 6, "lips": 5}


@pytest.fixture(autouse=True)
def one_thread():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def talking(items, mixing, rows=12):
    """Two views of one thing that moves; the label is which way it leans on the whole."""
    label = torch.arange(items) % 2
    hidden = torch.randn(items, rows, 2) + (2.0 * label[:, None, None] - 1.0)
    streams = {name: hidden @ mixing[name] for name in DIMS}
    return {name: rows + 0.1 * torch.randn_like(rows) for name, rows in streams.items()}, label


def fit(parameters, loss, steps):
    learner = torch.optim.Adam(parameters, lr=1e-2)
    for _ in range(steps):
        learner.zero_grad()
        loss().backward()
        learner.step()


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    mixing = {"audio": 0.3 * torch.randn(2, 6), "lips": torch.randn(2, 5)}
    streams, label = talking(64, mixing)
    imputer = AutoencoderNetwork(DIMS, components=2, hidden=(16,))
    rows = {name: values.flatten(0, 1) for name, values in streams.items()}
    imputer.adapt(rows)
    fit(imputer.parameters(), lambda: imputer.loss(rows, 0.0), 150)
    fusion, head = build_fusion("early", dims=DIMS, out_dim=8), torch.nn.Linear(8, 2)
    cross_entropy = torch.nn.functional.cross_entropy
    fit(
        [*fusion.parameters(), *head.parameters()],
        lambda: cross_entropy(head(fusion(streams).pooled), label),
        60,
    )
    return mixing, imputer, fusion.eval(), head


@pytest.mark.slow
def test_a_held_out_task_is_done_better_than_without_and_than_with_zeros(trained):
    mixing, imputer, fusion, head = trained
    streams, label = talking(200, mixing)
    absent = {"lips": torch.zeros(200, dtype=torch.bool)}
    zeros = streams | {"lips": torch.zeros_like(streams["lips"])}
    imputing = ImputingFusion(fusion, imputer)
    with torch.no_grad():
        loss = {
            name: torch.nn.functional.cross_entropy(head(fused.pooled), label).item()
            for name, fused in {
                "all": fusion(streams),
                "imputed": imputing(streams, present=absent),
                "absent": fusion(streams, present=absent),
                "zeros": fusion(zeros),
            }.items()
        }
    assert loss["imputed"] < 0.6 * min(loss["absent"], loss["zeros"])
    assert loss["all"] < loss["imputed"] + 0.05


def test_what_is_there_is_left_alone(trained):
    mixing, imputer, fusion, _ = trained
    streams, _ = talking(4, mixing)
    found = ImputingFusion(fusion, imputer)(streams)
    torch.testing.assert_close(found.sequence, fusion(streams).sequence)


def test_gaps_are_filled_and_padding_is_not(trained):
    mixing, imputer, fusion, _ = trained
    streams, _ = talking(2, mixing)
    masks = {name: torch.ones(2, 12, dtype=torch.bool) for name in DIMS}
    masks["lips"][0, 3:5] = False
    masks["audio"][:, 9:] = masks["lips"][:, 9:] = False
    found = ImputingFusion(fusion, imputer)(streams, masks)
    assert found.mask.tolist() == [[True] * 9 + [False] * 3] * 2
    filled = imputer.impute(streams, masks)
    expected = fusion(filled, {"audio": found.mask, "lips": found.mask})
    torch.testing.assert_close(found.sequence, expected.sequence)
    truth = streams["lips"][0, 3:5]
    assert (filled["lips"][0, 3:5] - truth).square().mean() < 0.3 * truth.square().mean()


def test_the_imputer_learns_only_where_it_is_told_to(trained):
    mixing, imputer, fusion, _ = trained
    streams, _ = talking(2, mixing)
    absent = {"lips": torch.zeros(2, dtype=torch.bool)}
    for train_imputer in (True, False):
        imputer.zero_grad()
        wrapped = ImputingFusion(fusion, imputer, train_imputer=train_imputer)
        wrapped(streams, present=absent).pooled.square().sum().backward()
        grads = [weight.grad for weight in imputer.parameters() if weight.grad is not None]
        assert any(grad.any() for grad in grads) is train_imputer


def test_an_imputer_of_other_features_is_refused():
    fusion = build_fusion("early", dims=DIMS, out_dim=8)
    with pytest.raises(ParameterError, match="5 columns of stream 'audio', wanted 6"):
        ImputingFusion(fusion, AutoencoderNetwork({"audio": 5, "lips": 5}, 2))
    with pytest.raises(ParameterError, match="0 columns of stream 'lips', wanted 5"):
        ImputingFusion(fusion, AutoencoderNetwork({"audio": 6}, 2))
