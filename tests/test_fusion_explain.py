"""Seeing inside: attention, saliency, contributions and the swap test, by known answers."""

import numpy as np
import pytest
import torch

from avalign.errors import MissingDependencyError, ParameterError
from avalign.fusion import Fusion, attention_lag, build_fusion
from avalign.fusion.explain import attention_maps, integrated_gradients
from avalign.fusion.influence import contributions, swap_test
from avalign.fusion.interface import make_output
from avalign.fusion.layers.attention import attend

DIMS = {"audio": 5, "lips": 7, "words": 3}


@pytest.fixture(autouse=True)
def one_thread():
    torch.manual_seed(0)
    torch.set_num_threads(1)


class Matching(Fusion):
    """Each row of the lips looks where the sound is the same."""

    def fuse(self, inputs):
        lips, audio = (3 * inputs.streams[name][:, None] for name in ("lips", "audio"))
        rows, weights = attend(lips, audio, audio, need_weights=inputs.need_weights)
        return make_output(rows[:, 0], inputs.masks["lips"], attention={"lips->audio": weights})


def batch_of(items=4, rows=9, dims=DIMS):
    """Streams with padding in item 0, and item 1 without lips."""
    streams = {name: torch.randn(items, rows, width) for name, width in dims.items()}
    masks = {name: torch.ones(items, rows, dtype=torch.bool) for name in dims}
    for mask in masks.values():
        mask[0, 6:] = False
    present = {"lips": torch.ones(items, dtype=torch.bool)}
    present["lips"][1] = False
    return streams, masks, present


def score_with(family, dims=DIMS):
    fusion = build_fusion(family, dims=dims, out_dim=8).eval()
    head = torch.nn.Linear(8, 3)
    return lambda *batch: head(torch.tanh(fusion(*batch).pooled))[:, 1]


def masked_sums(streams, masks, present):
    """One number per stream and item; what is masked or absent counts nothing."""
    return {
        name: (rows * masks[name][..., None]).sum((1, 2)) * present[name]
        for name, rows in streams.items()
    }


class TestAttention:
    def test_weights_sum_to_1(self):
        fusion = build_fusion("cross_attention", dims=DIMS, out_dim=8)
        streams, masks, present = batch_of()
        maps = attention_maps(fusion, streams, masks, present)
        assert maps
        for weights in maps.values():
            assert weights.ndim == 4
            sums = weights.sum(-1)
            assert np.minimum(abs(sums), abs(sums - 1)).max() < 1e-5
            assert sums.max() > 0.99

    def test_a_planted_lag_is_visible(self):
        events = torch.randn(1, 60, 8)
        streams = {"lips": events[:, 5:45], "audio": events[:, :40]}  # 5 rows late
        (weights,) = attention_maps(Matching({"audio": 8, "lips": 8}, 8), streams).values()
        times_s = np.arange(40) / 50
        assert attention_lag(weights, times_s, times_s).lag_s[0] == pytest.approx(0.1, abs=0.01)

    def test_a_family_without_attention_says_so(self):
        with pytest.raises(ParameterError, match="EarlyFusion has no attention"):
            attention_maps(build_fusion("early", dims=DIMS, out_dim=8), batch_of()[0])


class TestIntegratedGradients:
    @pytest.mark.parametrize("family", ["early", "gmu", "self_attention", "recurrent"])
    def test_attributions_sum_to_the_difference(self, family):
        found = integrated_gradients(score_with(family), *batch_of())
        total = sum(values.sum((1, 2)) for values in found.values.values())
        np.testing.assert_allclose(total, found.difference, atol=2e-3)
        np.testing.assert_allclose(total - found.difference, found.error, atol=1e-5)
        assert np.abs(found.difference).max() > 0.01

    def test_a_linear_score_is_attributed_exactly(self):
        weights = {name: torch.randn(width) for name, width in DIMS.items()}
        streams, masks, present = batch_of()

        def score(streams, masks, present):
            return sum((streams[name] @ weights[name]).sum(1) for name in streams)

        found = integrated_gradients(score, streams, masks, present, steps=2)
        for name, values in found.values.items():
            there = (masks[name] & present.get(name, torch.tensor([True] * 4))[:, None])[
                ..., None
            ]
            np.testing.assert_allclose(values, streams[name] * weights[name] * there, atol=1e-5)

    def test_what_is_masked_has_none_even_where_it_is_no_number(self):
        streams, masks, present = batch_of()
        streams["audio"][0, 7] = float("nan")
        found = integrated_gradients(score_with("early"), streams, masks, present)
        assert not found.values["audio"][0, 6:].any()
        assert not found.values["lips"][1].any()
        assert all(np.isfinite(values).all() for values in found.values.values())

    def test_a_baseline_of_the_streams_leaves_nothing_to_explain(self):
        streams, masks, present = batch_of()
        found = integrated_gradients(
            score_with("early"), streams, masks, present, baseline=streams
        )
        assert not any(values.any() for values in found.values.values())

    def test_refusals(self, monkeypatch):
        with pytest.raises(ParameterError, match="steps is 0"):
            integrated_gradients(score_with("early"), *batch_of(), steps=0)
        with pytest.raises(ParameterError, match=r"the score is \(4, 9, 7\)"):
            integrated_gradients(lambda streams, *_: streams["lips"], batch_of()[0], steps=1)
        monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
        with pytest.raises(MissingDependencyError, match="captum") as caught:
            integrated_gradients(score_with("early"), *batch_of())
        assert "avalign[explain]" in caught.value.hint


class TestContributions:
    @pytest.mark.parametrize("family", ["early", "self_attention", "tensor_fusion"])
    def test_they_sum_to_the_difference(self, family):
        found = contributions(score_with(family), *batch_of(), empty=-0.7)
        total = sum(found.values.values())
        np.testing.assert_allclose(total, found.full - found.empty, atol=1e-6)
        np.testing.assert_allclose(found.empty, -0.7)
        assert found.values["lips"][1] == 0.0
        assert found.values["lips"][0] != 0.0

    def test_an_additive_score_gives_each_stream_its_own(self):
        batch = batch_of()

        def score(*batch):
            return sum(masked_sums(*batch).values())

        found = contributions(score, *batch)
        everyone = {name: torch.ones(4, dtype=torch.bool) for name in DIMS} | batch[2]
        for name, expected in masked_sums(batch[0], batch[1], everyone).items():
            np.testing.assert_allclose(found.values[name], expected, atol=1e-5)

    def test_the_glove_game(self):
        # Audio is a left glove, lips and words are right ones; a pair is worth 1.
        def score(streams, masks, present):
            return (present["audio"] & (present["lips"] | present["words"])).float()

        streams, _, _ = batch_of()
        found = contributions(score, streams)
        np.testing.assert_allclose(found.values["audio"], 4 / 6)
        np.testing.assert_allclose(found.values["lips"], 1 / 6)
        np.testing.assert_allclose(found.values["words"], 1 / 6)

    def test_too_many_streams_are_refused(self):
        many = {f"s{place}": torch.randn(1, 2, 1) for place in range(13)}
        with pytest.raises(ParameterError, match="8192 subsets"):
            contributions(lambda *batch: torch.zeros(1), many)
        with pytest.raises(ParameterError, match="no stream"):
            contributions(lambda *batch: torch.zeros(1), {})


class TestSwap:
    def test_a_planted_dependence_is_found(self):
        found = swap_test(lambda *batch: masked_sums(*batch)["audio"], batch_of(items=8)[0])
        assert found.size["audio"] > 1.0
        assert found.size["lips"] == found.size["words"] == 0.0

    def test_only_the_relation_of_two_streams_matters(self):
        audio = torch.randn(16, 9, 5)
        streams = {"audio": audio, "lips": audio.clone()}

        def agreement(streams, masks, present):
            return -(streams["audio"] - streams["lips"]).square().mean((1, 2))

        found = swap_test(agreement, streams)
        for name in streams:
            assert (found.change[name] < -0.5).all()
        assert not found.own.any()

    def test_nobody_keeps_their_own(self):
        streams = {"audio": torch.arange(6.0).reshape(6, 1, 1)}
        found = swap_test(lambda streams, *_: streams["audio"][:, 0, 0], streams, rounds=1)
        assert (found.change["audio"] != 0).all()
        assert found.change["audio"].sum() == 0.0

    def test_who_lacks_the_stream_is_left_out(self):
        streams, masks, present = batch_of()
        found = swap_test(score_with("early"), streams, masks, present)
        assert np.isnan(found.change["lips"]).tolist() == [False, True, False, False]
        assert np.isfinite(found.change["audio"]).all()
        present["lips"][1:] = False
        alone = swap_test(score_with("early"), streams, masks, present)
        assert np.isnan(alone.size["lips"])

    def test_the_seed_decides(self):
        streams, _, _ = batch_of(items=8)
        score = score_with("early")
        first, again, other = (swap_test(score, streams, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first.change["lips"], again.change["lips"])
        assert (first.change["lips"] != other.change["lips"]).any()

    def test_refusals(self):
        with pytest.raises(ParameterError, match="nobody to swap with"):
            swap_test(
                score_with("early"), batch_of(items=2)[0] | {"audio": torch.randn(1, 9, 5)}
            )
        with pytest.raises(ParameterError, match="rounds is 0"):
            swap_test(score_with("early"), batch_of()[0], rounds=0)
