"""The parts that families of fusion share: masks, attention, places, encoders."""

import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from avalign.errors import ParameterError  # noqa: E402
from avalign.fusion.layers.attention import (  # noqa: E402
    MultiHeadAttention,
    attend,
    time_window_bias,
)
from avalign.fusion.layers.encoders import TemporalEncoder, positional_encoding  # noqa: E402
from avalign.fusion.layers.masking import (  # noqa: E402
    lengths_to_mask,
    mask_to_lengths,
    masked_mean,
    masked_softmax,
)

SIX = {"atol": 1e-6, "rtol": 1e-6}
close = torch.testing.assert_close


pytestmark = pytest.mark.usefixtures("one_thread")


# Masks


def test_lengths_and_masks():
    mask = lengths_to_mask(torch.tensor([2, 0, 3]))
    assert mask.tolist() == [[True, True, False], [False] * 3, [True] * 3]
    assert mask_to_lengths(mask).tolist() == [2, 0, 3]
    assert lengths_to_mask(torch.tensor([1]), 4).tolist() == [[True, False, False, False]]
    assert mask_to_lengths(torch.tensor([[False, True, False]])).tolist() == [2]


def test_masked_means_see_valid_rows_only():
    values = torch.tensor([[[1.0], [5.0], [math.nan]], [[1.0], [2.0], [3.0]]])
    mask = torch.tensor([[True, True, False], [False] * 3])
    assert masked_mean(values, mask).tolist() == [[3.0], [0.0]]


def test_masked_softmax_of_nothing_is_zero_with_zero_gradient():
    scores = torch.tensor([[0.0, 0.0, 9.0], [1.0, 2.0, 3.0]], requires_grad=True)
    weights = masked_softmax(scores, torch.tensor([[True, True, False], [False] * 3]))
    assert weights.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    weights[:, 0].sum().backward()
    assert scores.grad.tolist() == [[0.25, -0.25, 0.0], [0.0, 0.0, 0.0]]


# Attention


def test_attention_equals_that_of_torch():
    query, key, value = (
        torch.randn(2, 3, 5, 4),
        torch.randn(2, 3, 6, 4),
        torch.randn(2, 3, 6, 4),
    )
    key_mask = torch.rand(2, 6) < 0.6
    key_mask[:, 0] = True
    bias = torch.randn(2, 5, 6)
    reference = functional.scaled_dot_product_attention
    close(attend(query, key, value)[0], reference(query, key, value), **SIX)
    close(
        attend(query, key, value, key_mask=key_mask)[0],
        reference(query, key, value, key_mask[:, None, None]),
        **SIX,
    )
    both = bias[:, None].masked_fill(~key_mask[:, None, None], -math.inf)
    context, weights = attend(
        query, key, value, key_mask=key_mask, bias=bias, need_weights=True
    )
    close(context, reference(query, key, value, both), **SIX)
    close(weights @ value, context, **SIX)
    close(weights.sum(dim=-1), torch.ones(2, 3, 5), **SIX)


def test_multi_head_attention_equals_that_of_torch():
    rows, memory = torch.randn(2, 5, 8), torch.randn(2, 6, 8)
    key_mask = lengths_to_mask(torch.tensor([6, 2]))
    ours, theirs = MultiHeadAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    wanted, maps = theirs(
        rows, memory, memory, key_padding_mask=~key_mask, average_attn_weights=False
    )
    met, weights = ours(rows, memory, key_mask=key_mask, need_weights=True)
    close(met, wanted, **SIX)
    close(weights, maps, **SIX)


@pytest.mark.parametrize("hard", [False, True])
def test_queries_without_any_key_give_zeros_and_finite_gradients(hard):
    attention = MultiHeadAttention(8, 2)
    nn.init.ones_(attention.output.bias)
    rows = torch.randn(2, 5, 8, requires_grad=True)
    key_mask = torch.tensor([[True] * 5, [False] * 5])
    bias = time_window_bias(torch.arange(5), torch.arange(5) + 3.0, 1.0, hard=hard)
    found, weights = attention(rows, key_mask=key_mask, bias=bias, need_weights=True)
    empty = torch.tensor([[hard, hard, False, False, False], [True] * 5])
    assert (found[empty] == 0).all()
    assert (found[~empty] != 0).any(dim=-1).all()
    close(weights.sum(dim=-1), (~empty).float()[:, None].expand(2, 2, 5), **SIX)
    found.sum().backward()
    assert rows.grad.isfinite().all()


def test_the_time_window_counts_distances_in_widths():
    # Seconds far from 0, where float32 has no milliseconds left.
    start_s = 1e5
    times_s = torch.tensor([start_s, start_s + 0.04], dtype=torch.float64)
    soft = time_window_bias(times_s, times_s, 0.04)
    close(soft, torch.tensor([[0.0, -0.5], [-0.5, 0.0]]), atol=1e-5, rtol=0)
    hard = time_window_bias(times_s, times_s, 0.03, hard=True)
    assert hard.tolist() == [[0.0, -math.inf], [-math.inf, 0.0]]
    with pytest.raises(ParameterError, match="width of the time window is 0"):
        time_window_bias(times_s, times_s, 0)


@pytest.mark.parametrize(("dim", "heads"), [(8, 3), (8, 0)])
def test_heads_must_divide_the_width(dim, heads):
    with pytest.raises(ParameterError, match=f"{heads} attention heads do not divide"):
        MultiHeadAttention(dim, heads)


# Encoders


def test_places_are_told_by_sines_and_cosines():
    met = positional_encoding(torch.tensor([0, 1]), 4)
    slow = 1e4**-0.5
    wanted = [
        [0.0, 0.0, 1.0, 1.0],
        [math.sin(1), math.sin(slow), math.cos(1), math.cos(slow)],
    ]
    close(met, torch.tensor(wanted), **SIX)
    assert positional_encoding(torch.arange(3), 5).shape == (3, 5)


def test_a_convolution_sees_gaps_as_the_end_of_the_sequence():
    encoder = TemporalEncoder(4, layers=2, kernel=3)
    rows = torch.randn(1, 9, 4)
    mask = torch.ones(1, 9, dtype=torch.bool)
    mask[:, 4:] = False
    close(encoder(rows, mask)[:, :4], encoder(rows[:, :4], mask[:, :4]), **SIX)
    with pytest.raises(ParameterError, match="kernel has 4 rows"):
        TemporalEncoder(4, kernel=4)
