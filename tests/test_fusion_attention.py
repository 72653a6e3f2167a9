"""Known answers of the families that attend."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from avalign.errors import ParameterError  # noqa: E402
from avalign.fusion import attention_lag, build_fusion  # noqa: E402
from avalign.fusion.families.attention.gated import GatedCrossAttention  # noqa: E402
from avalign.fusion.layers.attention import (  # noqa: E402
    AdditiveAttention,
    MultiHeadAttention,
    time_window_bias,
)
from avalign.fusion.layers.transformer import Memory, TransformerBlock  # noqa: E402

DIMS = {"audio": 5, "lips": 7}
UNALIGNED = [
    "cross_attention",
    "gated_cross_attention",
    "multimodal_transformer",
    "bottleneck_transformer",
]


pytestmark = pytest.mark.usefixtures("one_thread")


def random_streams(items=3, rows=None, dims=DIMS):
    return {name: torch.randn(items, (rows or {}).get(name, 8), dims[name]) for name in dims}


def build(name, dims=DIMS, **options):
    return build_fusion(name, dims=dims, out_dim=16, **options).eval()


# F7


def test_additive_attention_is_the_textbook_formula():
    attention = AdditiveAttention(2, 3, query_dim=2).double()
    rows, query = torch.randn(4, 2).double(), torch.randn(2).double()
    w, u, b = attention.query.weight, attention.key.weight, attention.key.bias
    v = attention.score.weight[0]
    scores = torch.stack([v @ torch.tanh(w @ query + u @ row + b) for row in rows])
    expected = scores.exp() / scores.exp().sum()
    context, weights = attention(rows, torch.ones(4, dtype=torch.bool), query)
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(
        context, sum(a * row for a, row in zip(expected, rows, strict=True))
    )


def test_additive_attention_of_equal_rows_is_even_over_the_valid_ones():
    attention = AdditiveAttention(3, 4)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    context, weights = attention(torch.ones(2, 3, 3), mask)
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(context, torch.tensor([[1.0] * 3, [0.0] * 3]))


def test_a_width_of_nothing_is_refused():
    with pytest.raises(ParameterError, match="hidden is 0"):
        build("additive_attention", hidden=0)


def test_additive_fusion_weighs_what_is_there():
    fusion = build("additive_attention")
    masks = {"audio": torch.ones(3, 8).bool(), "lips": torch.ones(3, 8).bool()}
    masks["lips"][:, 4:] = False
    out = fusion(random_streams(), masks)
    torch.testing.assert_close(sum(out.weights.values()), torch.ones(3, 8))
    assert (out.weights["lips"][:, 4:] == 0).all()
    assert ((out.weights["lips"][:, :4] > 0) & (out.weights["lips"][:, :4] < 1)).all()


# F8


def test_block_equals_torch():
    """Ours against torch's pre-norm encoder layer under the same weights."""
    ours = TransformerBlock(16, 4)
    theirs = torch.nn.TransformerEncoderLayer(
        16, 4, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    attention, feed_forward = ours.attention, ours.feed_forward
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat(
                [part.weight for part in (attention.query, attention.key, attention.value)]
            ),
            "self_attn.in_proj_bias": torch.cat(
                [part.bias for part in (attention.query, attention.key, attention.value)]
            ),
            "self_attn.out_proj.weight": attention.output.weight,
            "self_attn.out_proj.bias": attention.output.bias,
            "norm1.weight": ours.norm.weight,
            "norm1.bias": ours.norm.bias,
            "norm2.weight": feed_forward[0].weight,
            "norm2.bias": feed_forward[0].bias,
            "linear1.weight": feed_forward[1].weight,
            "linear1.bias": feed_forward[1].bias,
            "linear2.weight": feed_forward[4].weight,
            "linear2.bias": feed_forward[4].bias,
        }
    )
    rows, mask = torch.randn(2, 6, 16), torch.ones(2, 6).bool()
    mask[1, 4:] = False
    answer, _ = ours(rows, mask)
    expected = theirs(rows, src_key_padding_mask=~mask)
    torch.testing.assert_close(answer[mask], expected[mask], atol=1e-6, rtol=1e-5)


def test_self_attention_equals_sdpa():
    fusion = build("self_attention")
    streams = random_streams()
    out = fusion(streams, need_weights=True)
    everywhere = {name: torch.ones(3, 8).bool() for name in DIMS}
    encoded = fusion.encoders(streams, everywhere)
    rows = torch.cat([fusion.positions(encoded[name]) for name in ("audio", "lips")], dim=1)
    (block,) = fusion.transformer.blocks
    normed = block.norm(rows)
    heads = [
        part(normed).reshape(3, 16, 4, 4).transpose(1, 2)
        for part in (block.attention.query, block.attention.key, block.attention.value)
    ]
    context = functional.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(3, 16, 16)
    rows = rows + block.attention.output(context)
    rows = fusion.norm(rows + block.feed_forward(rows))
    expected = sum(
        out.weights[name][..., None] * rows[:, 8 * place : 8 * place + 8]
        for place, name in enumerate(("audio", "lips"))
    )
    torch.testing.assert_close(out.sequence, expected, atol=1e-6, rtol=1e-5)
    weights = torch.softmax(heads[0] @ heads[1].transpose(-2, -1) / 2, dim=-1)
    torch.testing.assert_close(out.attention["joint"], weights, atol=1e-6, rtol=1e-5)


# F9


def test_cross_attention_equals_sdpa():
    fusion = build("cross_attention", target="lips")
    streams = random_streams(rows={"audio": 11})
    out = fusion(streams, need_weights=True)
    masks = {name: torch.ones(values.shape[:2]).bool() for name, values in streams.items()}
    encoded = fusion.encoders(streams, masks)
    placed = {name: fusion.add_positions(name, rows) for name, rows in encoded.items()}
    (cross,) = fusion.cross
    memory = cross.memory_norm(placed["audio"])
    query, key, value = (
        part(rows).unflatten(-1, (4, 4)).transpose(1, 2)
        for part, rows in (
            (cross.attention.query, cross.query_norm(placed["lips"])),
            (cross.attention.key, memory),
            (cross.attention.value, memory),
        )
    )
    context = functional.scaled_dot_product_attention(query, key, value)
    rows = placed["lips"] + cross.attention.output(context.transpose(1, 2).flatten(2))
    rows = fusion.norm(rows + fusion.feed_forward[0](rows))
    torch.testing.assert_close(out.sequence, rows, atol=1e-6, rtol=1e-5)
    assert out.attention["lips->audio"].shape == (3, 4, 8, 11)
    torch.testing.assert_close(
        out.attention["lips->audio"].sum(dim=-1), torch.ones(3, 4, 8), atol=1e-6, rtol=0
    )


def test_hard_window_forbids_what_is_far_in_time():
    fusion = build(
        "cross_attention",
        target="lips",
        window=0.045,
        hard_window=True,
        rates_hz={"lips": 25, "audio": 100},
    )
    streams = random_streams(rows={"lips": 10, "audio": 40})
    attention = fusion(streams, need_weights=True).attention["lips->audio"]
    distance_s = (torch.arange(10)[:, None] / 25 - torch.arange(40) / 100).abs()
    near = distance_s <= 0.045
    assert (attention[..., ~near] == 0).all()
    assert (attention[..., near] > 0).all()
    # What lies outside every window has no influence either.
    changed = {**streams, "audio": streams["audio"].clone()}
    changed["audio"][:, 20] += 10
    same = (fusion(changed).sequence == fusion(streams).sequence).all(dim=-1).all(dim=0)
    assert same.tolist() == [not near[row, 20] for row in range(10)]


def test_soft_window_adds_a_gaussian_to_the_logits():
    fusion = build("cross_attention", target="lips", window=2.0)
    free = build("cross_attention", target="lips")
    free.load_state_dict(fusion.state_dict())
    streams = random_streams()
    ours = fusion(streams, need_weights=True).attention["lips->audio"]
    other = free(streams, need_weights=True).attention["lips->audio"]
    bias = time_window_bias(torch.arange(8.0), torch.arange(8.0), 2.0)
    torch.testing.assert_close(ours, torch.softmax(other.log() + bias, dim=-1))


def test_one_bias_serves_all_items_with_or_without_a_mask():
    attention = MultiHeadAttention(8, 2)
    query, memory = torch.randn(3, 4, 8), torch.randn(3, 5, 8)
    bias = time_window_bias(torch.tensor([0.0, 1, 2, 9]), torch.arange(5.0), 1.0, hard=True)
    expected, weights = attention(query, memory, bias=bias.expand(3, 4, 5), need_weights=True)
    rows, ours = attention(query, memory, bias=bias, need_weights=True)
    torch.testing.assert_close(rows, expected)
    torch.testing.assert_close(ours, weights)
    assert (rows[:, 3] == 0).all()  # nothing within its window
    everywhere = torch.ones(3, 5, dtype=torch.bool)
    masked, _ = attention(query, memory, bias=bias, key_mask=everywhere)
    torch.testing.assert_close(masked, expected)


@pytest.mark.parametrize("name", UNALIGNED)
def test_streams_of_unequal_length_meet_on_the_clock_of_the_target(name):
    fusion = build(name, target="lips", rates_hz={"lips": 25, "audio": 100})
    streams = random_streams(rows={"lips": 10, "audio": 50})
    out = fusion(streams)
    assert out.sequence.shape == (3, 10, 16)
    assert out.mask.all()
    # Lips end after row 5; the sound, of 30 rows, reaches to 0.29 s, nearest to row 7.
    masks = {name: torch.ones(values.shape[:2]).bool() for name, values in streams.items()}
    masks["lips"][:, 6:] = False
    masks["audio"][:, 30:] = False
    assert fusion(streams, masks).mask.tolist() == [[True] * 8 + [False] * 2] * 3


@pytest.mark.parametrize("name", UNALIGNED)
def test_unequal_padding_changes_nothing(name):
    fusion = build(name, target="lips")
    streams = random_streams(rows={"lips": 6, "audio": 9})
    padded = {
        "lips": functional.pad(streams["lips"], (0, 0, 0, 5), value=float("nan")),
        "audio": functional.pad(streams["audio"], (0, 0, 0, 2), value=7.0),
    }
    masks = {
        "lips": torch.arange(11).expand(3, -1) < 6,
        "audio": torch.arange(11).expand(3, -1) < 9,
    }
    out = fusion(padded, masks)
    torch.testing.assert_close(
        out.sequence[:, :6], fusion(streams).sequence, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("name", UNALIGNED)
def test_missing_target_leaves_the_others(name):
    fusion = build(name, target="lips")
    streams = random_streams()
    out = fusion({"audio": streams["audio"]})
    assert out.mask.all()
    other = fusion({"audio": streams["audio"] + 1 + torch.randn(3, 8, 5)})
    if name != "gated_cross_attention":  # its gates are closed at first
        assert not torch.allclose(out.sequence, other.sequence, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "sound"}, "target 'sound' is not a stream"),
        ({"rates_hz": {"lips": 25}}, "rates_hz names lips"),
        ({"rates_hz": {"lips": 25, "audio": 0}}, "rate of stream 'audio' is 0"),
        ({"window": -1.0}, "window is -1.0"),
        ({"layers": 0}, "layers is 0"),
        ({"heads": 3}, "3 attention heads do not divide a width of 16"),
    ],
)
def test_unusable_options_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        build("cross_attention", **options)


# A7


@pytest.mark.slow
def test_cross_attention_learns_a_planted_lag():
    """Rows carry codes; the answer to the lips lies in the sound 3 rows later."""
    items, rows, lag = 32, 12, 3
    codes = torch.randn(items, rows, 6)
    secret = torch.randn(items, rows, 1)
    lips = codes
    audio = functional.pad(torch.cat([codes, secret], dim=-1), (0, 0, lag, 0))
    fusion = build("cross_attention", {"audio": 7, "lips": 6}, target="lips", heads=1)
    head = torch.nn.Linear(16, 1)
    optimiser = torch.optim.Adam([*fusion.parameters(), *head.parameters()], 0.01)
    for _ in range(150):
        optimiser.zero_grad()
        answer = head(fusion({"lips": lips, "audio": audio}).sequence)
        functional.mse_loss(answer, secret).backward()
        optimiser.step()
    attention = fusion({"lips": lips, "audio": audio}, need_weights=True).attention
    found = attention_lag(
        attention["lips->audio"].mean(dim=0, keepdim=True),
        torch.arange(rows) / 25,
        torch.arange(rows + lag) / 25,
    )
    assert found.lag_s[0] == pytest.approx(lag / 25, abs=0.02)
    assert found.concentration[0] > 0.2


# F10


def test_co_attention_is_symmetric_under_swap():
    fusion = build("co_attention", {"audio": 6, "lips": 6}, layers=2)
    first, second = fusion.encoders.layers
    second.load_state_dict(first.state_dict())
    one, other = torch.randn(2, 3, 8, 6)
    masks = {"audio": torch.rand(3, 8) > 0.3, "lips": torch.rand(3, 8) > 0.3}
    swapped = {"audio": masks["lips"], "lips": masks["audio"]}
    straight = fusion({"audio": one, "lips": other}, masks, need_weights=True)
    crossed = fusion({"audio": other, "lips": one}, swapped, need_weights=True)
    torch.testing.assert_close(straight.sequence, crossed.sequence, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        straight.attention["audio->lips"],
        crossed.attention["lips->audio"],
        atol=1e-6,
        rtol=1e-5,
    )
    # Not because it ignores one of them.
    assert not torch.allclose(
        straight.sequence, fusion({"audio": one, "lips": one}, masks).sequence, atol=1e-3
    )


# F11


@pytest.mark.parametrize("name", ["multimodal_transformer", "bottleneck_transformer"])
def test_each_stream_reaches_the_rows_of_the_other(name):
    fusion = build(name)
    streams = {name: values.requires_grad_() for name, values in random_streams().items()}
    out = fusion(streams)
    for values in streams.values():
        (slope,) = torch.autograd.grad(out.sequence[:, 2].sum(), values, retain_graph=True)
        assert (slope[:, 6].abs().sum(dim=-1) > 0).all()


def test_multimodal_transformer_has_a_map_for_each_direction():
    dims = {**DIMS, "text": 4}
    out = build("multimodal_transformer", dims, layers=3)(
        random_streams(rows={"text": 5}, dims=dims), need_weights=True
    )
    lengths = {"audio": 8, "lips": 8, "text": 5}
    for asks in dims:
        for answers in dims:
            heads = 4 if asks == answers else 12
            assert out.attention[f"{asks}->{answers}"].shape == (
                3,
                heads,
                lengths[asks],
                lengths[answers],
            )


def test_streams_meet_in_the_bottleneck_only():
    fusion = build("bottleneck_transformer", layers=2, fuse_from=0, bottleneck=3)
    streams = random_streams()
    masks = [torch.ones(3, 8).bool()] * 2
    encoded = fusion.encoders(streams, dict(zip(("audio", "lips"), masks, strict=True)))
    shared = fusion.bottleneck.expand(3, -1, -1)
    layer = fusion.layers[0]
    rows = list(encoded.values())
    told, agreed, _ = layer(rows, masks, shared)
    changed, disagreed, _ = layer([rows[0], rows[1] + torch.randn(3, 8, 16)], masks, shared)
    torch.testing.assert_close(told[0], changed[0])
    assert not torch.allclose(agreed, disagreed, atol=1e-3)
    # A stream that is missing has no opinion.
    alone, own, _ = layer(rows, [masks[0], ~masks[1]], shared)
    torch.testing.assert_close(alone[0], told[0])
    expected = layer.blocks[0](torch.cat([rows[0], shared], 1), torch.ones(3, 11).bool())[0]
    torch.testing.assert_close(own, expected[:, 8:])


def test_bottleneck_needs_a_layer_to_tell_and_one_to_hear():
    with pytest.raises(ParameterError, match="fuse_from is 2 of 3 layers"):
        build("bottleneck_transformer", layers=3, fuse_from=2)


# F12


def test_gated_block_is_the_identity_at_first():
    block = GatedCrossAttention(16, 4)
    rows = torch.randn(2, 5, 16)
    memory = Memory(torch.randn(2, 9, 16), torch.ones(2, 9).bool())
    assert torch.equal(block(rows, [memory])[0], rows)
    with torch.no_grad():
        block.attention_gate.fill_(0.5)
    answers, _ = block.cross(rows, [memory])
    expected = rows + 0.46211716 * answers
    torch.testing.assert_close(block(rows, [memory])[0], expected)


def test_gated_fusion_begins_as_the_target_alone():
    fusion = build("gated_cross_attention", target="lips")
    streams = random_streams()
    both = fusion(streams).sequence
    assert torch.equal(both, fusion({"lips": streams["lips"]}).sequence)
    with torch.no_grad():
        fusion.gated[0].attention_gate.fill_(1.0)
    assert not torch.allclose(both, fusion(streams).sequence, atol=1e-3)


def test_gates_learn_from_the_start():
    fusion = build("gated_cross_attention", target="lips")
    fusion(random_streams()).sequence.square().mul(torch.arange(16)).sum().backward()
    for gated in fusion.gated:
        assert gated.attention_gate.grad.abs() > 0
        assert gated.feed_forward_gate.grad.abs() > 0
