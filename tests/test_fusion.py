"""What every family of fusion keeps to, however it fuses."""

import itertools
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from avalign.errors import ParameterError  # noqa: E402
from avalign.fusion import FAMILIES, build_fusion, find_family, list_fusions  # noqa: E402

DIMS = {"audio": 7, "lips": 5, "words": 3}
OUT_DIM = 8
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}
# Every non-empty subset of the streams.
SUBSETS = [
    subset for size in (1, 2, 3) for subset in itertools.combinations(sorted(DIMS), size)
]

every_family = pytest.mark.parametrize("name", list_fusions())


pytestmark = pytest.mark.usefixtures("one_thread")


def make(name, dims=DIMS, out_dim=OUT_DIM, **options):
    torch.manual_seed(1)
    return build_fusion(name, dims=dims, out_dim=out_dim, **options).eval()


def random_streams(n_items=3, n_rows=6, dims=DIMS):
    return {name: torch.randn(n_items, n_rows, width) for name, width in dims.items()}


def random_masks(streams):
    """Masks with gaps and padding, in which each item keeps the first row of a stream."""
    masks = {name: torch.rand(values.shape[:2]) < 0.6 for name, values in streams.items()}
    masks["audio"][:, 0] = True
    return masks


def soiled(streams, masks):
    """The same streams, with NaN and infinity where the masks are False."""
    dirty = {}
    for name, values in streams.items():
        rows = values.clone()
        rows[~masks[name]] = float("nan")
        rows[~masks[name], 0] = float("inf")
        dirty[name] = rows
    return dirty


def assert_same(first, second, n_rows=None, **tolerance):
    tolerance = tolerance or TOLERANCE
    n_rows = first.sequence.shape[1] if n_rows is None else n_rows
    torch.testing.assert_close(
        first.sequence[:, :n_rows], second.sequence[:, :n_rows], **tolerance
    )
    assert torch.equal(first.mask[:, :n_rows], second.mask[:, :n_rows])
    torch.testing.assert_close(first.pooled, second.pooled, **tolerance)
    assert first.weights.keys() == second.weights.keys()
    for name in first.weights:
        one, other = first.weights[name], second.weights[name]
        if one.ndim == 2:
            one, other = one[:, :n_rows], other[:, :n_rows]
        torch.testing.assert_close(one, other, **tolerance)
    for name in first.aux_losses:
        torch.testing.assert_close(first.aux_losses[name], second.aux_losses[name], **tolerance)


def assert_all_finite(output):
    parts = [output.sequence, output.pooled]
    for named in (output.weights, output.attention, output.aux_losses):
        parts += named.values()
    assert all(part.isfinite().all() for part in parts)


@every_family
def test_shapes_and_what_is_zero(name):
    streams = random_streams()
    masks = random_masks(streams)
    output = make(name)(streams, masks)
    assert output.sequence.shape == (3, 6, OUT_DIM)
    assert output.pooled.shape == (3, OUT_DIM)
    assert output.mask.dtype == torch.bool
    assert (output.sequence[~output.mask] == 0).all()
    assert not output.attention
    if type(make(name)).aligned:
        there = masks["audio"] | masks["lips"] | masks["words"]
        assert torch.equal(output.mask, there)


@every_family
def test_padding_never_changes_what_stands_elsewhere(name):
    streams = random_streams()
    masks = random_masks(streams)
    fusion = make(name)
    plain = fusion(streams, masks)
    longer = {
        key: torch.cat([values, torch.randn(3, 4, values.shape[2])], dim=1)
        for key, values in soiled(streams, masks).items()
    }
    more = {
        key: torch.cat([mask, torch.zeros(3, 4, dtype=torch.bool)], dim=1)
        for key, mask in masks.items()
    }
    padded = fusion(longer, more)
    assert_same(plain, padded, n_rows=6)
    assert not padded.mask[:, 6:].any()


@every_family
def test_the_order_of_the_streams_does_not_matter(name):
    streams = random_streams()
    masks = random_masks(streams)
    backwards = dict(reversed(streams.items()))
    torch.testing.assert_close(
        make(name)(streams, masks).sequence,
        make(name, dict(reversed(DIMS.items())))(backwards, masks).sequence,
        atol=0,
        rtol=0,
    )


@every_family
def test_items_do_not_see_each_other_and_may_lack_any_streams(name):
    streams = random_streams(len(SUBSETS))
    present = {key: torch.tensor([key in subset for subset in SUBSETS]) for key in DIMS}
    fusion = make(name)
    together = fusion(streams, present=present)
    assert_all_finite(together)
    for item, subset in enumerate(SUBSETS):
        alone = fusion({key: streams[key][item : item + 1] for key in subset})
        torch.testing.assert_close(alone.pooled[0], together.pooled[item], **TOLERANCE)
        torch.testing.assert_close(alone.sequence[0], together.sequence[item], **TOLERANCE)


@every_family
def test_weights_are_fractions_of_the_streams_that_are_there(name):
    streams = random_streams()
    masks = random_masks(streams)
    output = make(name)(streams, masks)
    if not output.weights:
        pytest.skip("this family has no weights")
    assert sorted(output.weights) == sorted(DIMS)
    total = torch.stack(list(output.weights.values())).sum(dim=0)
    there = output.mask if total.ndim == 2 else torch.ones(3, dtype=torch.bool)
    torch.testing.assert_close(total, there.float(), **TOLERANCE)
    for key, weight in output.weights.items():
        missing = ~masks[key] if weight.ndim == 2 else ~masks[key].any(dim=1)
        assert (weight[missing] == 0).all()


@every_family
def test_gradients_are_finite_and_reach_every_parameter(name):
    streams = {key: values.requires_grad_() for key, values in random_streams(7).items()}
    present = {key: torch.tensor([key in subset for subset in SUBSETS]) for key in DIMS}
    fusion = make(name).train()
    output = fusion(streams, random_masks(streams), {**present, "audio": torch.ones(7).bool()})
    loss = output.sequence.square().sum() + output.pooled.square().sum()
    (loss + sum(output.aux_losses.values())).backward()
    for key, parameter in fusion.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    assert all(values.grad.isfinite().all() for values in streams.values())


@every_family
def test_state_dicts_round_trip(name, tmp_path):
    streams = random_streams()
    fusion = make(name)
    torch.save(fusion.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(2)
    other = build_fusion(name, dims=DIMS, out_dim=OUT_DIM).eval()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert_same(fusion(streams), other(streams), atol=0, rtol=0)


@pytest.mark.slow
@every_family
def test_32_items_can_be_learned_by_heart(name):
    dims = {"audio": 12, "lips": 10}
    streams = random_streams(32, 4, dims)
    labels = torch.arange(32) % 4
    torch.manual_seed(1)
    fusion = build_fusion(name, dims=dims, out_dim=32)
    model = torch.nn.ModuleList([fusion, torch.nn.Linear(32, 4)])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        output = fusion(streams)
        logits = model[1](output.pooled)
        if bool((logits.argmax(dim=1) == labels).all()):
            break
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits, labels)
        (loss + sum(output.aux_losses.values())).backward()
        optimizer.step()
    accuracy = (model[1](fusion(streams).pooled).argmax(dim=1) == labels).float().mean()
    assert accuracy == 1.0


@every_family
def test_autocast_stays_close(name):
    streams = random_streams()
    masks = random_masks(streams)
    fusion = make(name)
    plain = fusion(streams, masks)
    with torch.autocast("cpu", torch.bfloat16):
        cast = fusion(streams, masks)
    assert_all_finite(cast)
    scale = plain.pooled.abs().max()
    assert (cast.pooled.float() - plain.pooled).abs().max() < 0.1 * scale


@every_family
def test_one_row_of_one_item_is_enough(name):
    streams = random_streams(1, 1)
    fusion = make(name).train()
    output = fusion(streams)
    assert_all_finite(output)
    assert output.sequence.shape == (1, 1, OUT_DIM)
    torch.testing.assert_close(fusion.eval()({"lips": streams["lips"]}).mask, output.mask)


@every_family
def test_double_precision_works_throughout(name):
    streams = random_streams()
    masks = random_masks(streams)
    fusion = make(name)
    plain = fusion(streams, masks)
    double = fusion.double()({key: values.double() for key, values in streams.items()}, masks)
    assert double.sequence.dtype == double.pooled.dtype == torch.float64
    torch.testing.assert_close(double.sequence.float(), plain.sequence, **TOLERANCE)


@pytest.mark.slow
@every_family
def test_work_grows_at_most_with_the_square_of_time(name):
    fusion = make(name)
    work = []
    for n_rows in (64, 128):
        with FlopCounterMode(display=False) as counter:
            fusion(random_streams(1, n_rows))
        work.append(counter.get_total_flops())
    assert work[1] <= 4 * work[0]


@every_family
def test_streams_of_different_lengths(name):
    streams = random_streams()
    streams["lips"] = torch.randn(3, 9, DIMS["lips"])
    fusion = make(name)
    if type(fusion).aligned:
        with pytest.raises(ParameterError, match=r"'lips'.*\(3, 9, 5\).*from_alignment"):
            fusion(streams)
    else:
        assert_all_finite(fusion(streams))


@every_family
def test_attention_comes_only_when_asked_for_and_changes_nothing(name):
    streams = random_streams()
    masks = random_masks(streams)
    fusion = make(name)
    plain, watched = fusion(streams, masks), fusion(streams, masks, need_weights=True)
    assert_same(plain, watched)
    for attention in watched.attention.values():
        totals = attention.sum(dim=-1)
        # A query without a key attends to nothing.
        assert torch.isclose(totals, totals.round(), atol=1e-5).all()
        assert ((totals > -1e-5) & (totals < 1 + 1e-5)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["early", "gmu"])
def test_torch_compile_captures_the_whole_graph(name):
    streams = random_streams()
    masks = random_masks(streams)
    fusion = make(name)
    compiled = torch.compile(fusion, fullgraph=True, backend="aot_eager")
    assert_same(fusion(streams, masks), compiled(streams, masks))


@pytest.mark.slow
def test_torch_compile_with_its_own_backend():
    streams = random_streams()
    fusion = make("gmu")
    assert_same(fusion(streams), torch.compile(fusion)(streams))


def replaced(name, values):
    return lambda streams: {**streams, name: values}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"streams": replaced("lips", torch.zeros(3, 5))},
            r"stream 'lips' has shape \(3, 5\), wanted \(B, T, 5\)",
        ),
        (
            {"streams": replaced("lips", torch.zeros(3, 6, 4))},
            r"stream 'lips' has shape \(3, 6, 4\), wanted \(B, T, 5\)",
        ),
        (
            {"streams": replaced("lips", torch.zeros(2, 6, 5))},
            r"stream 'lips' has shape \(2, 6, 5\).*wanted \(3, T, 5\)",
        ),
        (
            {"streams": replaced("lips", torch.zeros(3, 6, 5, dtype=torch.int32))},
            r"stream 'lips' has dtype torch.int32, wanted floating",
        ),
        (
            {"streams": replaced("lips", torch.zeros(3, 6, 5, dtype=torch.float64))},
            r"stream 'lips' has dtype torch.float64, the weights torch.float32",
        ),
        (
            {"streams": replaced("lips", torch.zeros(3, 6, 5, device="meta"))},
            r"stream 'lips' is on meta, the weights on cpu",
        ),
        (
            {"streams": replaced("lips", [[0.0]])},
            r"stream 'lips' is a list, wanted a tensor \(B, T, 5\)",
        ),
        (
            {"streams": replaced("hands", torch.zeros(3, 6, 5))},
            r"stream 'hands' is not a stream of this fusion.*audio, lips, words",
        ),
        ({"streams": lambda _: {}}, "all streams are missing"),
        (
            {"streams": replaced("lips", torch.full((3, 6, 5), torch.nan))},
            r"stream 'lips' of shape \(3, 6, 5\) is not finite at item 0, row 0, column 0",
        ),
        (
            {"masks": lambda _: {"lips": torch.ones(3, 6)}},
            r"mask of stream 'lips' is torch.float32, wanted a bool tensor of shape \(3, 6\)",
        ),
        (
            {"masks": lambda _: {"lips": torch.ones(3, 5).bool()}},
            r"mask of stream 'lips' has shape \(3, 5\), wanted \(3, 6\)",
        ),
        (
            {"masks": lambda _: {"hands": torch.ones(3, 6).bool()}},
            r"mask 'hands' is not a stream",
        ),
        (
            {"present": lambda _: {"lips": torch.ones(3, 6).bool()}},
            r"present of stream 'lips' has shape \(3, 6\), wanted \(3,\)",
        ),
        (
            {"present": lambda _: dict.fromkeys(DIMS, torch.tensor([True, False, True]))},
            "all streams of item 1 are missing",
        ),
        (
            {"quality": lambda _: {"lips": torch.ones(3, 6)}},
            "EarlyFusion does not use quality",
        ),
    ],
)
def test_bad_input_is_named(changes, message):
    streams = random_streams()
    given = {"streams": streams, **{key: change(streams) for key, change in changes.items()}}
    with pytest.raises(ParameterError, match=message) as caught:
        make("early")(**given)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("erly", DIMS, 8), "no fusion family 'erly'.*did you mean 'early'"),
        (("early", {}, 8), "names no stream"),
        (("early", {"audio": 0}, 8), "'audio' is 0"),
        (("early", DIMS, 8.0), "out_dim is 8.0"),
    ],
)
def test_bad_families_and_widths_are_named(arguments, message):
    with pytest.raises(ParameterError, match=message):
        build_fusion(*arguments)


def test_unknown_options_are_named():
    with pytest.raises(ParameterError, match=r"'early' has no option 'depth'.*hidden, dropout"):
        build_fusion("early", DIMS, 8, depth=3)


def test_streams_may_have_any_names():
    dims = {"keys": 2, "lip.points": 3, "training": 4}
    for name in list_fusions():
        output = make(name, dims)(random_streams(dims=dims))
        assert output.pooled.isfinite().all()


def test_the_registry_is_complete_and_unique():
    assert len(set(list_fusions())) == len(FAMILIES)
    for entry in FAMILIES:
        assert find_family(entry.name) is entry
        assert entry.load().__doc__
        assert entry.row.startswith("F")
        assert entry.when.endswith(".")


def test_the_registry_is_read_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from avalign.fusion import list_fusions; assert 'early' in list_fusions()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
