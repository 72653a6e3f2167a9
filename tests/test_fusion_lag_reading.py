"""Reading a lag off a cross-attention map."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avalign.errors import ParameterError  # noqa: E402
from avalign.fusion import attention_lag  # noqa: E402

LIPS_S = 0.013 + np.arange(50) / 25
SOUND_S = np.arange(210) / 100


def planted(lag_s: float, width_s: float = 0.02, floor: float = 0.0) -> torch.Tensor:
    """Attention (1, 2, 50, 210) around the time of the query plus a lag."""
    distance_s = SOUND_S[None, :] - LIPS_S[:, None] - lag_s
    weights = np.exp(-0.5 * (distance_s / width_s) ** 2) + floor
    weights /= weights.sum(axis=1, keepdims=True)
    return torch.from_numpy(np.stack([weights, weights])[None])


@pytest.mark.parametrize("lag_s", [-0.2, -0.043, 0.0, 0.127, 0.31])
@pytest.mark.parametrize("method", ["mode", "mean"])
def test_planted_lag_is_read_between_rows(lag_s, method):
    inside = (LIPS_S + lag_s > 0.08) & (LIPS_S + lag_s < SOUND_S[-1] - 0.08)
    found = attention_lag(
        planted(lag_s), LIPS_S, SOUND_S, query_mask=inside[None], method=method
    )
    assert found.lag_s[0] == pytest.approx(lag_s, abs=0.002)
    low, high = found.interval_s[0]
    # 95 % of a Gaussian lies within 1.96 standard deviations.
    assert low == pytest.approx(lag_s - 1.96 * 0.02, abs=0.008)
    assert high == pytest.approx(lag_s + 1.96 * 0.02, abs=0.008)
    assert found.concentration[0] > 0.8


def test_sign_is_that_of_the_audio_lag():
    # One event: seen at 1.0 s, heard at 1.3 s. The sound is late: positive.
    attention = torch.zeros(1, 1, 3, 4)
    attention[0, 0, :, 3] = 1.0
    found = attention_lag(
        attention, [0.9, 1.0, 1.1], [1.0, 1.1, 1.2, 1.3], query_mask=[[False, True, False]]
    )
    assert found.lag_s[0] == pytest.approx(0.3)


def test_mode_withstands_a_floor_that_draws_the_mean():
    attention = planted(0.3, floor=0.05)
    mode = attention_lag(attention, LIPS_S, SOUND_S).lag_s[0]
    mean = attention_lag(attention, LIPS_S, SOUND_S, method="mean").lag_s[0]
    assert mode == pytest.approx(0.3, abs=0.004)
    assert abs(mean - 0.3) > 0.05


def test_mean_is_the_weighted_mean():
    weights = np.array([[[[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]]])
    found = attention_lag(weights, [0.0, 0.1], [0.0, 0.1, 0.2], method="mean")
    assert found.lag_s[0] == pytest.approx((0.25 * 0.1 + 0.25 * 0.2) / 2)


def test_even_attention_tells_nothing():
    found = attention_lag(torch.full((1, 1, 20, 30), 1 / 30), np.arange(20), np.arange(30))
    assert np.isnan(found.lag_s).all()
    assert np.isnan(found.interval_s).all()
    assert found.concentration[0] == pytest.approx(0, abs=1e-9)


def test_items_and_masks_are_apart():
    both = torch.cat([planted(0.1), planted(-0.1), planted(0.2)])
    key_mask = np.ones((3, len(SOUND_S)), bool)
    key_mask[2] = False
    found = attention_lag(both, LIPS_S, SOUND_S, key_mask=key_mask)
    np.testing.assert_allclose(found.lag_s, [0.1, -0.1, np.nan], atol=0.003)


def test_clocks_with_gaps_keep_the_lag():
    kept = np.r_[0:15, 25:50]
    found = attention_lag(planted(0.1)[:, :, kept], LIPS_S[kept], SOUND_S)
    assert found.lag_s[0] == pytest.approx(0.1, abs=0.002)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention": torch.ones(2, 3, 4)}, "not \\(B, H, T, S\\)"),
        ({"attention": torch.full((1, 1, 2, 3), float("nan"))}, "not finite"),
        ({"attention": -torch.ones(1, 1, 2, 3)}, "negative"),
        ({"query_times_s": [0.0]}, "query_times_s has shape \\(1,\\), not \\(2,\\)"),
        ({"key_times_s": [0.0, 0.0, 1.0]}, "key_times_s does not increase"),
        ({"key_mask": torch.ones(1, 3)}, "key_mask has shape"),
        ({"method": "median"}, "'median'"),
    ],
)
def test_unusable_arguments_are_named(change, message):
    arguments = {
        "attention": torch.full((1, 1, 2, 3), 1 / 3),
        "query_times_s": [0.0, 1.0],
        "key_times_s": [0.0, 1.0, 2.0],
    } | change
    with pytest.raises(ParameterError, match=message):
        attention_lag(**arguments)
