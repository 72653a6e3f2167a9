"""Every loss of the shared space against its closed form."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avalign.errors import ParameterError  # noqa: E402
from avalign.space.cca import CCA  # noqa: E402
from avalign.space.learning import losses  # noqa: E402

SIMILARITY = [[2.0, 1.0, 0.0], [-1.0, 0.5, 1.5], [0.0, 3.0, 1.0]]


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("temperature", [1.0, 0.5, 4.0])
def test_info_nce_of_three_pairs_is_the_closed_form_in_both_directions(temperature):
    scaled = [[value / temperature for value in row] for row in SIMILARITY]
    there = back = 0.0
    for k in range(3):
        there -= scaled[k][k] - math.log(sum(math.exp(scaled[k][j]) for j in range(3)))
        back -= scaled[k][k] - math.log(sum(math.exp(scaled[j][k]) for j in range(3)))
    loss = losses.info_nce(torch.tensor(SIMILARITY), temperature)
    assert there != pytest.approx(back, rel=5e-4)
    assert loss.item() == pytest.approx((there + back) / 6, rel=1e-6)


def test_info_nce_of_what_cannot_be_told_apart_is_the_logarithm_of_the_batch():
    assert losses.info_nce(torch.ones(7, 7)).item() == pytest.approx(math.log(7), rel=1e-6)
    assert losses.info_nce(50 * torch.eye(7)).item() == pytest.approx(0.0, abs=1e-6)


def test_the_temperature_can_be_learnt():
    temperature = torch.tensor(2.0, requires_grad=True)
    losses.info_nce(torch.tensor(SIMILARITY), temperature).backward()
    assert temperature.grad.abs() > 1e-3


def test_lag_contrast_is_the_cross_entropy_of_lags_and_no_match():
    matched = torch.tensor([[0.0, 1.0, 3.0]])
    foreign = torch.tensor([[0.5, 0.0, -1.0]])
    no_match = torch.tensor(0.7)
    null = 3 * math.exp(0.7)
    # A target as narrow as this is the lag of +1 row alone.
    found = 3.0 - math.log(math.exp(0) + math.exp(1) + math.exp(3) + null)
    rejected = math.log(null) - math.log(math.exp(0.5) + 1 + math.exp(-1) + null)
    loss = losses.lag_contrast(matched, foreign, no_match, torch.tensor([1.0]), 0.05)
    assert loss.item() == pytest.approx(-found - rejected, rel=1e-6)


def test_lag_contrast_spreads_its_target_over_neighbouring_lags():
    scores = rows(1, 5)
    weights = np.exp(-0.5 * ((np.arange(-2, 3) - 0.5) / 1.5) ** 2)
    weights /= weights.sum()
    posterior = torch.log_softmax(torch.cat([scores[0], torch.tensor([math.log(5)])]), 0)
    wanted = -(torch.as_tensor(weights) * posterior[:5]).sum() - posterior[5]
    loss = losses.lag_contrast(
        scores, scores, torch.tensor(0.0), torch.tensor([0.5]), tolerance_rows=1.5
    )
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_distances_are_those_of_the_textbook():
    first, second = torch.tensor([[3.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 4.0], [2.0, 0]])
    assert losses.distance(first, second).tolist() == [5.0, 1.0]
    assert losses.distance(first, second, "cosine").tolist() == [1.0, 0.0]
    with pytest.raises(ParameterError, match="'manhattan'"):
        losses.distance(first, second, "manhattan")


def test_the_distance_of_equal_rows_has_a_finite_gradient():
    first = torch.ones(2, 3, requires_grad=True)
    losses.distance(first, torch.ones(2, 3)).sum().backward()
    assert torch.isfinite(first.grad).all()


def test_triplet_is_the_mean_hinge():
    anchor = torch.zeros(3, 1)
    positive, negative = (
        torch.tensor([[1.0], [1.0], [2.0]]),
        torch.tensor([[3.0], [1.5], [1.0]]),
    )
    # Hinges: max(0, 1 - 3 + 1), max(0, 1 - 1.5 + 1), max(0, 2 - 1 + 1).
    loss = losses.triplet(anchor, positive, negative, margin=1.0)
    assert loss.item() == pytest.approx((0 + 0.5 + 2) / 3)
    apart = losses.triplet(
        torch.tensor([[1.0, 0.0]]),
        torch.tensor([[0.0, 2.0]]),
        torch.tensor([[5.0, 0.0]]),
        margin=0.25,
        metric="cosine",
    )
    assert apart.item() == pytest.approx(1.25)


def test_max_margin_is_the_hinge_over_strangers_both_ways():
    similarity = torch.tensor(SIMILARITY)
    by_sound, by_mouth = [], []
    for k in range(3):
        others = [j for j in range(3) if j != k]
        by_sound.append([max(0, 0.5 + SIMILARITY[k][j] - SIMILARITY[k][k]) for j in others])
        by_mouth.append([max(0, 0.5 + SIMILARITY[j][k] - SIMILARITY[k][k]) for j in others])
    assert losses.max_margin(similarity, 0.5).item() == pytest.approx(
        np.mean(by_sound) + np.mean(by_mouth)
    )
    assert losses.max_margin(similarity, 0.5, hardest=True).item() == pytest.approx(
        np.mean(np.max(by_sound, 1)) + np.mean(np.max(by_mouth, 1))
    )
    assert losses.max_margin(torch.eye(4), 0.9).item() == 0
    assert losses.max_margin(torch.zeros(1, 1), 0.9).item() == 0


def test_the_pair_loss_pulls_and_pushes():
    distances = torch.tensor([0.5, 2.0, 0.25, 3.0])
    same = torch.tensor([True, True, False, False])
    wanted = (0.5**2 + 2.0**2 + 0.75**2 + 0) / 4 / 2
    assert losses.pair_contrast(distances, same, margin=1.0).item() == pytest.approx(wanted)


def test_the_alignment_penalty_is_zero_for_equal_codes_and_positive_for_others():
    codes = rows(5, 3)
    assert losses.alignment_penalty(codes, codes).item() == 0
    assert losses.alignment_penalty(codes, codes + 2).item() == pytest.approx(12.0, rel=1e-5)


def test_reconstruction_counts_the_rows_of_the_mask_alone():
    target = torch.zeros(2, 3, 2)
    predicted = torch.tensor([[[1.0, 1], [2, 0], [9, 9]], [[9, 9], [9, 9], [0, 2]]])
    mask = torch.tensor([[True, True, False], [False, False, True]])
    assert losses.reconstruction(predicted, target, mask).item() == pytest.approx(5 / 3)
    assert losses.reconstruction(predicted, target).item() == pytest.approx((5 + 243) / 6)
    assert losses.reconstruction(predicted, target, torch.zeros_like(mask)).item() == 0


def test_orthogonality_is_zero_for_orthogonal_and_one_for_the_same():
    time = torch.arange(64) / 64 * 2 * math.pi
    sine, cosine = torch.sin(time)[:, None], torch.cos(time)[:, None]
    twice = torch.sin(2 * time)[:, None]
    shared, private = torch.cat([sine, 3 * twice], 1), 7 + cosine
    assert losses.orthogonality(shared, private).item() == pytest.approx(0, abs=1e-10)
    assert losses.orthogonality(sine, 5 - 2 * sine).item() == pytest.approx(1, rel=1e-5)
    # Of two times one column, one pair is the same and the other orthogonal.
    assert losses.orthogonality(shared, sine).item() == pytest.approx(0.5, rel=1e-5)
    mixed = (sine + cosine) / 2
    assert losses.orthogonality(mixed, sine).item() == pytest.approx(0.5, rel=1e-5)


def test_central_moments_of_equal_distributions_agree():
    codes = rows(50, 2)
    shuffled = codes[torch.randperm(50, generator=torch.Generator().manual_seed(1))]
    assert losses.central_moment_discrepancy(codes, shuffled).item() == pytest.approx(
        0, abs=1e-4
    )
    # A shift changes the mean alone.
    shifted = codes + torch.tensor([3.0, 4.0])
    assert losses.central_moment_discrepancy(codes, shifted).item() == pytest.approx(
        5, rel=1e-4
    )


def test_central_moments_of_two_small_samples_are_the_closed_form():
    first, second = torch.tensor([[-1.0], [1.0]]), torch.tensor([[-2.0], [2.0]])
    # Second moments 1 and 4, third 0 and 0, fourth 1 and 16, fifth 0 and 0.
    assert losses.central_moment_discrepancy(first, second).item() == pytest.approx(3 + 15)
    assert losses.central_moment_discrepancy(first, second, 2).item() == pytest.approx(3)


def test_the_correlation_loss_is_minus_the_sum_of_canonical_correlations():
    first = rows(200, 4)
    second = first[:, :3] + rows(200, 3, seed=1) * torch.tensor([0.1, 1.0, 3.0])
    correlations = CCA(3).fit(first.numpy(), second.numpy()).correlations_
    loss = losses.correlation_loss(first, second, regularisation=0.0)
    assert loss.item() == pytest.approx(-correlations.sum(), rel=1e-5)
    best = losses.correlation_loss(first, second, 1, regularisation=0.0)
    assert best.item() == pytest.approx(-correlations[0], rel=1e-5)
    mapped = first @ rows(4, 4, seed=2)
    same = losses.correlation_loss(first, mapped, regularisation=0.0)
    assert same.item() == pytest.approx(-4, rel=1e-4)


def test_the_correlation_loss_has_a_finite_gradient_where_correlations_are_equal():
    first = rows(50, 3).requires_grad_()
    losses.correlation_loss(first, first.detach() * 2).backward()
    assert torch.isfinite(first.grad).all()


def test_the_divergence_from_normal_is_the_closed_form():
    mean, variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 4.0]])
    wanted = (1 + (4 - 1 - math.log(4))) / 2
    assert losses.divergence_from_normal(mean, variance.log()).item() == pytest.approx(wanted)
    assert losses.divergence_from_normal(torch.zeros(3, 2), torch.zeros(3, 2)).item() == 0


@pytest.mark.parametrize("loss", [losses.info_nce, losses.max_margin])
def test_similarities_that_are_not_square_are_refused(loss):
    with pytest.raises(ParameterError, match=r"\(3, 2\)"):
        loss(torch.zeros(3, 2))
