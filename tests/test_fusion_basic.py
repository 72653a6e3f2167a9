"""The families without attention: known answers."""

import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from avalign.errors import ParameterError  # noqa: E402
from avalign.fusion import ModalityDropout, build_fusion  # noqa: E402
from avalign.fusion.layers.masking import (  # noqa: E402
    lengths_to_mask,
)

SIX = {"atol": 1e-6, "rtol": 1e-6}
close = torch.testing.assert_close


pytestmark = pytest.mark.usefixtures("one_thread")


def train(parameters, loss_of, steps, rate=1e-2):
    optimizer = torch.optim.Adam(parameters, lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()


# F1


def test_early_fusion_tells_a_missing_stream_from_one_that_is_zero():
    fusion = build_fusion("early", {"audio": 3, "lips": 2}, 4)
    audio = torch.randn(1, 5, 3)
    zero = fusion({"audio": audio, "lips": torch.zeros(1, 5, 2)})
    assert not torch.allclose(zero.pooled, fusion({"audio": audio}).pooled)


# F2


def late(kind, n_streams, n_classes, **options):
    dims = {f"s{number}": n_classes for number in range(n_streams)}
    return build_fusion(f"late_{kind}", dims, n_classes, given_predictions=True, **options)


def predictions(*rows):
    """One item of one row for each stream."""
    return {f"s{number}": torch.tensor([[row]]) for number, row in enumerate(rows)}


def test_the_average_is_of_the_streams_that_are_there():
    given = predictions([1.0, 2.0], [3.0, 8.0], [50.0, 50.0])
    gone = {"s2": torch.tensor([False])}
    output = late("average", 3, 2)(given, present=gone)
    assert output.sequence.tolist() == [[[2.0, 5.0]]]
    assert {key: share.item() for key, share in output.weights.items()} == {
        "s0": 0.5,
        "s1": 0.5,
        "s2": 0.0,
    }


def test_weights_are_shared_anew_among_the_streams_that_are_there():
    given = predictions([1.0, 0.0], [0.0, 1.0], [5.0, 5.0])
    fusion = late("weighted", 3, 2, shares={"s0": 3.0, "s1": 1.0, "s2": 4.0}, learn=False)
    close(fusion(given).pooled, torch.tensor([[23 / 8, 21 / 8]]), **SIX)
    gone = {"s2": torch.tensor([False])}
    close(fusion(given, present=gone).pooled, torch.tensor([[0.75, 0.25]]), **SIX)
    assert not any(parameter.requires_grad for parameter in fusion.parameters())


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"s0": 1.0}, "wanted one for each of s0, s1"), ({"s0": 1.0, "s1": 0.0}, "'s1' is 0.0")],
)
def test_bad_shares_are_named(shares, message):
    with pytest.raises(ParameterError, match=message):
        late("weighted", 2, 3, shares=shares)


def test_predictions_must_be_as_wide_as_the_answer():
    with pytest.raises(ParameterError, match=r"stream 'lips' is 5 wide.*width 4"):
        build_fusion("late_average", {"audio": 4, "lips": 5}, 4, given_predictions=True)


# F3


def test_a_majority_outvotes_one_loud_stream():
    given = predictions([100.0, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.2, 0.0])
    output = late("voting", 3, 3)(given)
    votes = output.pooled[0].floor()
    assert votes.tolist() == [1.0, 2.0, 0.0]
    assert late("average", 3, 3)(given).pooled.argmax() == 0


def test_ties_go_to_the_more_probable_class():
    given = predictions([0.0, 2.0], [1.0, 0.0])
    assert late("voting", 2, 2)(given).pooled.argmax() == 1


def test_votes_learn_as_the_probabilities_that_cast_them():
    logits = torch.randn(2, 3, 4, requires_grad=True)
    late("voting", 1, 4)({"s0": logits}).sequence[..., 0].sum().backward()
    met = logits.grad.clone()
    logits.grad = None
    (1.5 * torch.softmax(logits, dim=-1)[..., 0].sum()).backward()
    close(met, logits.grad, **SIX)


# F4


def test_stacking_learns_what_an_average_cannot():
    # The answer is whether the streams disagree.
    sides = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    labels = sides[:, 0] ^ sides[:, 1]
    given = {
        f"s{number}": 4.0 * functional.one_hot(sides[:, number], 2).float()[:, None]
        for number in range(2)
    }
    stacking, average = late("stacking", 2, 2, hidden=16), late("average", 2, 2)
    train(
        stacking.parameters(),
        lambda: functional.cross_entropy(stacking(given).pooled, labels),
        steps=200,
    )
    assert (stacking(given).pooled.argmax(dim=1) == labels).all()
    assert (average(given).pooled.argmax(dim=1) == labels).sum() < 4


# F5


def test_two_streams_meet_in_a_sum_only():
    fusion = build_fusion("two_stream", {"audio": 3, "lips": 2}, 4)
    audio, lips = torch.randn(2, 1, 6, 3), torch.randn(2, 1, 6, 2)

    def fuse(first, second):
        return fusion({"audio": audio[first], "lips": lips[second]}).sequence

    close(fuse(0, 0) + fuse(1, 1), fuse(0, 1) + fuse(1, 0), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(fuse(0, 0), fuse(0, 1))


# F6


def test_a_hybrid_lies_between_early_and_late():
    fusion = build_fusion("hybrid", {"audio": 3, "lips": 2}, 4)
    streams = {"audio": torch.randn(2, 6, 3), "lips": torch.randn(2, 6, 2)}
    masks = {key: torch.ones(2, 6, dtype=torch.bool) for key in streams}
    joint = fusion.joint(streams).sequence
    apart = torch.stack(list(fusion.heads(streams, masks).values()))
    close(fusion(streams).sequence, (joint + apart.sum(dim=0)) / 3, **SIX)
    with torch.no_grad():
        fusion.logits.copy_(torch.tensor([0.0, 0.0, 100.0]))
        close(fusion(streams).sequence, joint, **SIX)
        fusion.logits.copy_(torch.tensor([0.0, 0.0, -100.0]))
        close(fusion(streams).sequence, apart.mean(dim=0), **SIX)


# F13


@pytest.mark.slow
@pytest.mark.parametrize("informative", ["audio", "lips"])
def test_the_gate_saturates_to_the_informative_stream(informative):
    fusion = build_fusion("modality_gates", {"audio": 4, "lips": 4}, 4, hidden=16)

    def loss():
        streams = {"audio": torch.randn(32, 4, 4), "lips": torch.randn(32, 4, 4)}
        wanted = 3.0 * streams[informative].roll(1, dims=-1).tanh()
        return functional.mse_loss(fusion(streams).sequence, wanted)

    train(fusion.parameters(), loss, steps=200)
    fresh = {"audio": torch.randn(8, 4, 4), "lips": torch.randn(8, 4, 4)}
    assert fusion(fresh).weights[informative].min() > 0.5
    assert fusion(fresh).weights[informative].mean() > 0.95


# F14


def test_the_gated_multimodal_unit_of_two_streams_is_the_paper_s():
    fusion = build_fusion("gmu", {"audio": 3, "lips": 2}, 4)
    audio, lips = torch.randn(2, 5, 3), torch.randn(2, 5, 2)
    h_audio = torch.tanh(fusion.transforms.layers[0](audio))
    h_lips = torch.tanh(fusion.transforms.layers[1](lips))
    gate = fusion.gates.weight[:4] - fusion.gates.weight[4:]
    z = torch.sigmoid(torch.cat([audio, lips], dim=-1) @ gate.T)
    output = fusion({"audio": audio, "lips": lips})
    close(output.sequence, z * h_audio + (1 - z) * h_lips, **SIX)
    close(output.weights["audio"], z.mean(dim=-1), **SIX)
    close(fusion({"lips": lips}).sequence, h_lips, **SIX)


# F15


@pytest.mark.parametrize(("cell", "theirs"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_recurrence_equals_that_of_torch_on_packed_sequences(cell, theirs):
    fusion = build_fusion("recurrent", {"audio": 3}, 6, cell=cell, hidden=5)
    audio, lengths = torch.randn(3, 7, 3), torch.tensor([7, 4, 1])
    mask = lengths_to_mask(lengths)
    reference = theirs(6, 5, batch_first=True, bidirectional=True)
    forwards, backwards = fusion.directions
    state = {**forwards.state_dict()}
    state |= {f"{key}_reverse": value for key, value in backwards.state_dict().items()}
    reference.load_state_dict(state)
    rows = torch.cat(
        [fusion.encoders({"audio": audio}, {"audio": mask})["audio"], mask[..., None]], dim=-1
    )
    packed = pack_padded_sequence(rows, lengths, batch_first=True)
    states, _ = pad_packed_sequence(reference(packed)[0], batch_first=True)
    wanted = fusion.output(states) * mask[..., None]
    close(fusion({"audio": audio}, {"audio": mask}).sequence, wanted, **SIX)


def test_the_state_passes_over_rows_without_a_stream():
    fusion = build_fusion("recurrent", {"audio": 3}, 6)
    audio = torch.randn(1, 8, 3)
    mask = torch.tensor([[False, True, True, False, False, True, True, False]])
    close(
        fusion({"audio": audio}, {"audio": mask}).sequence[mask],
        fusion({"audio": audio[mask][None]}).sequence[0],
        **SIX,
    )


def test_a_one_way_recurrence_does_not_look_ahead():
    fusion = build_fusion("recurrent", {"audio": 3}, 6, bidirectional=False)
    audio = torch.randn(1, 8, 3)
    close(fusion({"audio": audio}).sequence[:, :5], fusion({"audio": audio[:, :5]}).sequence)
    with pytest.raises(ParameterError, match=r"no recurrent cell 'rnn'.*lstm, gru"):
        build_fusion("recurrent", {"audio": 3}, 6, cell="rnn")


# F19


def test_weight_falls_with_measured_quality():
    scales = {"audio": (10.0, 10.0)}
    fusion = build_fusion("quality_weights", {"audio": 3, "lips": 2}, 4, quality_scales=scales)
    streams = {"audio": torch.randn(1, 5, 3), "lips": torch.randn(1, 5, 2)}
    plain = fusion(streams).weights["audio"]
    met = [
        fusion(streams, quality={"audio": torch.full((1, 5), snr_db)}).weights["audio"]
        for snr_db in (-10.0, 0.0, 10.0, 20.0)
    ]
    assert all((worse < better).all() for worse, better in itertools.pairwise(met))
    # The ordinary quality is what is assumed where none is known, and one step of it
    # multiplies the odds by e.
    close(met[2], plain, **SIX)
    close(met[3] / (1 - met[3]), math.e * plain / (1 - plain), atol=1e-3, rtol=1e-3)


def test_quality_of_rows_that_are_not_there_does_not_matter():
    fusion = build_fusion("quality_weights", {"audio": 3, "lips": 2}, 4)
    streams = {"audio": torch.randn(1, 5, 3), "lips": torch.randn(1, 5, 2)}
    masks = {"audio": torch.tensor([[True, True, False, True, True]])}
    quality = torch.ones(1, 5)
    quality[0, 2] = math.nan
    clean = fusion(streams, masks, quality={"audio": torch.ones(1, 5)})
    close(fusion(streams, masks, quality={"audio": quality}).pooled, clean.pooled)
    with pytest.raises(ParameterError, match="quality of stream 'audio' is not finite"):
        fusion(streams, quality={"audio": quality})
    with pytest.raises(ParameterError, match=r"has shape \(1, 5, 1\), wanted \(1, 5\)"):
        fusion(streams, quality={"audio": quality[..., None]})


@pytest.mark.slow
def test_weight_falls_with_noise_that_nothing_measures():
    fusion = build_fusion("quality_weights", {"audio": 4, "lips": 4}, 4, hidden=16)

    def batch(noise):
        """Two noisy views of one slow latent."""
        latent = torch.randn(len(noise), 1, 4) + torch.zeros(1, 12, 1)
        streams = {
            "audio": latent + noise[:, None, None] * torch.randn(len(noise), 12, 4),
            "lips": latent + 1.0 * torch.randn(len(noise), 12, 4),
        }
        return streams, latent

    def loss():
        streams, latent = batch(3.0 * torch.rand(32))
        return functional.mse_loss(fusion(streams).sequence, latent)

    train(fusion.parameters(), loss, steps=250)
    levels = torch.tensor([0.1, 0.7, 1.5, 3.0]).repeat_interleave(64)
    weights = fusion(batch(levels)[0]).weights["audio"].reshape(4, -1).mean(dim=1)
    assert (weights.diff() < 0).all()
    assert weights[0] > 0.6
    assert weights[-1] < 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 4}, "window has 4 rows"),
        ({"quality_scales": {"hands": (0.0, 1.0)}}, "'hands', which is not a stream"),
        ({"quality_scales": {"audio": (0.0, 0.0)}}, "'audio' has a step of 0.0"),
        ({"hidden": 0}, "hidden is 0"),
        ({"dropout": 1.0}, r"dropout is 1\.0"),
    ],
)
def test_bad_options_of_quality_weights_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        build_fusion("quality_weights", {"audio": 3}, 4, **options)


# M1


def full_masks(n_items, n_rows, *names):
    return {name: torch.ones(n_items, n_rows, dtype=torch.bool) for name in names}


def test_streams_are_hidden_at_the_rate_and_never_all():
    hidden = ModalityDropout(stream_rate=0.3)(full_masks(20_000, 2, "a", "b", "c"))
    there = torch.stack([mask.all(dim=1) for mask in hidden.values()])
    assert there.any(dim=0).all()
    # 0.3 of 3 streams is one, with probability 0.9.
    assert set((~there).sum(dim=0).tolist()) == {0, 1}
    # Five standard deviations of 20 000 draws.
    np.testing.assert_allclose((~there).float().mean(dim=1), 0.3, atol=0.017)


def test_no_rate_hides_the_last_stream_or_row():
    masks = full_masks(200, 6, "a", "b")
    masks["b"][:100] = False
    hidden = ModalityDropout(stream_rate=0.99, row_rate=0.99)(masks)
    assert (hidden["a"] | hidden["b"]).any(dim=1).all()
    assert not hidden["b"][:100].any()
    assert (hidden["a"][:100].sum(dim=1) == 1).all()


def test_rows_are_hidden_at_the_exact_rate():
    masks = full_masks(50, 40, "a")
    masks["a"][:, 30:] = False
    hidden = ModalityDropout(stream_rate=0, row_rate=0.2)(masks)["a"]
    assert (hidden.sum(dim=1) == 24).all()
    assert not hidden[:, 30:].any()
    # Which rows they are changes from item to item.
    assert len({tuple(row) for row in hidden.tolist()}) > 40


def test_nothing_is_hidden_in_evaluation():
    masks = full_masks(4, 5, "a", "b")
    kept = ModalityDropout(0.5, 0.5).eval()(masks)
    assert all(torch.equal(kept[name], masks[name]) for name in masks)
    with pytest.raises(ParameterError, match="row_rate is 1"):
        ModalityDropout(row_rate=1)
