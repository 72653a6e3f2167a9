"""Known answers of tensor fusion, whole and of low rank."""

import pytest

torch = pytest.importorskip("torch")

from avalign.errors import ParameterError  # noqa: E402
from avalign.fusion import build_fusion  # noqa: E402
from avalign.fusion.families.tensor_fusion import augmented_outer_product  # noqa: E402

DIMS = {"audio": 5, "lips": 7, "text": 4}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def random_streams(dims=DIMS):
    return {name: torch.randn(3, 6, width) for name, width in dims.items()}


def test_outer_product_by_hand():
    product = augmented_outer_product([torch.tensor([2.0, 3.0]), torch.tensor([5.0])])
    assert product.tolist() == [10, 2, 15, 3, 5, 1]


def test_tensor_fusion_equals_the_explicit_outer_product():
    fusion = build_fusion("tensor_fusion", DIMS, 9, stream_dim=3)
    streams = random_streams()
    masks = {name: torch.rand(3, 6) > 0.3 for name in DIMS}
    masks["audio"][:] = True
    out = fusion(streams, masks)
    encoded = fusion.encoders(streams, masks)
    one = torch.ones(3, 6, 1)
    a, b, c = (torch.cat([encoded[name], one], dim=-1) for name in sorted(DIMS))
    weight = fusion.output.weight.reshape(9, 4, 4, 4)
    expected = torch.einsum("oijk,bti,btj,btk->bto", weight, a, b, c) + fusion.output.bias
    torch.testing.assert_close(out.sequence, expected, atol=1e-5, rtol=1e-5)


def test_missing_stream_leaves_the_terms_of_the_others():
    fusion = build_fusion("tensor_fusion", {"audio": 5, "lips": 7}, 9, stream_dim=3)
    streams = random_streams({"audio": 5, "lips": 7})
    out = fusion({"audio": streams["audio"]})
    there = {"audio": torch.ones(3, 6).bool(), "lips": torch.zeros(3, 6).bool()}
    audio = fusion.encoders(streams, there)["audio"]
    alone = fusion.output.weight.reshape(9, 4, 4)[:, :, 3]
    expected = audio @ alone[:, :3].T + alone[:, 3] + fusion.output.bias
    torch.testing.assert_close(out.sequence, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("streams", [1, 2, 3, 4, 8, 14])
def test_default_fits_any_number_of_streams_up_to_fourteen(streams):
    dims = {f"stream{place}": 3 for place in range(streams)}
    fusion = build_fusion("tensor_fusion", dims, 4)
    out = fusion({name: torch.randn(2, 3, 3) for name in dims})
    assert out.sequence.shape == (2, 3, 4)


def test_too_large_a_product_names_its_size_and_the_way_out():
    with pytest.raises(ParameterError, match=r"3 streams of 32 .* 35937 columns") as caught:
        build_fusion("tensor_fusion", DIMS, 8, stream_dim=32)
    assert caught.value.hint.startswith("lower stream_dim to 24 at most")
    build_fusion("tensor_fusion", DIMS, 8, stream_dim=24)
    many = {f"stream{place}": 3 for place in range(15)}
    with pytest.raises(ParameterError, match="low_rank_fusion"):
        build_fusion("tensor_fusion", many, 8)
    build_fusion("low_rank_fusion", many, 8)


@pytest.mark.parametrize("names", [["audio"], ["audio", "lips"], sorted(DIMS)])
def test_low_rank_fusion_equals_tensor_fusion_with_the_rebuilt_tensor(names):
    dims = {name: DIMS[name] for name in names}
    fusion = build_fusion("low_rank_fusion", dims, 9, rank=3, stream_dim=4)
    with torch.no_grad():
        fusion.bias.normal_()
    streams = random_streams(dims)
    masks = {name: torch.rand(3, 6) > 0.3 for name in dims}
    masks["audio"][:, 0] = True
    twin = fusion.to_tensor_fusion()
    torch.testing.assert_close(
        fusion(streams, masks).sequence, twin(streams, masks).sequence, atol=1e-5, rtol=1e-5
    )
    explicit = sum(
        torch.einsum(
            {1: "io->oi", 2: "io,jo->oij", 3: "io,jo,ko->oijk"}[len(names)],
            *(factor[term] for factor in fusion.factors),
        )
        for term in range(3)
    )
    torch.testing.assert_close(fusion.rebuild_weight(), explicit.flatten(1))


def test_low_rank_fusion_begins_at_unit_scale():
    dims = {f"stream{place}": 8 for place in range(6)}
    fusion = build_fusion("low_rank_fusion", dims, 256)
    spread = fusion({name: torch.randn(20, 10, 8) for name in dims}).sequence.std()
    assert 0.5 < spread < 2


@pytest.mark.parametrize("name", ["tensor_fusion", "low_rank_fusion"])
def test_widths_are_checked(name):
    with pytest.raises(ParameterError, match="stream_dim is 0"):
        build_fusion(name, DIMS, 8, stream_dim=0)
