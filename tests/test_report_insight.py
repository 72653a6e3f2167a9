"""Pictures of what a fusion looks at and rests on: what they show, and what they refuse."""

import subprocess
import sys

import numpy as np
import pytest

from avalign.errors import MediaError, ParameterError
from avalign.plots import plot_attention, plot_contributions, plot_saliency, plot_swap

TIMES_S = np.arange(100) / 50


def picture(path):
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def attention_late(lag_s, heads=2):
    apart_s = TIMES_S[None, :] - TIMES_S[:, None] - lag_s
    weights = np.exp(-0.5 * (apart_s / 0.03) ** 2) + 1e-9
    return np.repeat((weights / weights.sum(1, keepdims=True))[None], heads, axis=0)


def test_a_planted_lag_is_visible(tmp_path):
    plot_attention(attention_late(0.4), TIMES_S, TIMES_S, tmp_path / "map.png")
    dark = picture(tmp_path / "map.png").sum(axis=2) < 300
    # The map without its margins: 2 s by 2 s, upwards.
    height, width = dark.shape
    inside = dark[
        int(0.15 * height) : int(0.88 * height), int(0.12 * width) : int(0.94 * width)
    ]
    columns = np.flatnonzero(inside.any(axis=0))
    columns = columns[(columns > 0.1 * inside.shape[1]) & (columns < 0.6 * inside.shape[1])]
    heights = inside.shape[0] - np.array([np.flatnonzero(inside[:, c]).mean() for c in columns])
    slope, above = np.polyfit(columns / inside.shape[1], heights / inside.shape[0], 1)
    assert slope == pytest.approx(1.0, abs=0.1)
    assert 2.0 * above == pytest.approx(0.4, abs=0.06)


def test_a_lag_is_drawn_in(tmp_path):
    plot_attention(attention_late(0.0), TIMES_S, TIMES_S, tmp_path / "a.png")
    plot_attention(attention_late(0.0), TIMES_S, TIMES_S, tmp_path / "b.png", lag_s=0.5)
    pink = np.array([200, 55, 90])
    near = [
        (np.abs(picture(tmp_path / name) - pink).sum(axis=2) < 60).sum()
        for name in ("a.png", "b.png")
    ]
    assert near[0] == 0
    assert near[1] > 300


def test_saliency_is_strong_where_it_is(tmp_path):
    early, late = np.zeros((100, 13)), np.zeros((100, 4))
    early[20:30], late[70:80] = 1.0, -1.0
    plot_saliency({"audio": early, "lips": late}, TIMES_S, tmp_path / "s.png")
    shown = picture(tmp_path / "s.png")
    red = (shown[..., 0] < 130) & (shown[..., 1] < 30) & (shown[..., 2] < 60)
    blue = (shown[..., 2] < 120) & (shown[..., 0] < 30) & (shown[..., 1] < 60)
    rows_red, columns_red = np.nonzero(red)
    rows_blue, columns_blue = np.nonzero(blue)
    width = shown.shape[1]
    assert columns_red.mean() / width == pytest.approx(0.09 + 0.88 * 0.25, abs=0.02)
    assert columns_blue.mean() / width == pytest.approx(0.09 + 0.88 * 0.75, abs=0.02)
    assert rows_red.max() < rows_blue.min()


def test_contributions_are_bars_from_nothing_to_all(tmp_path):
    plot_contributions({"audio": 3.0, "lips": 1.0}, 0.0, tmp_path / "c.png")
    shown = picture(tmp_path / "c.png")
    sound = (np.abs(shown - [47, 102, 144]).sum(axis=2) < 30).any(axis=0).sum()
    lips = (np.abs(shown - [200, 55, 90]).sum(axis=2) < 30).any(axis=0).sum()
    assert sound / lips == pytest.approx(3.0, rel=0.05)


def test_swaps_are_dots_where_the_score_went(tmp_path):
    change = {"audio": np.full(30, -2.0), "lips": np.append(np.zeros(30), np.nan)}
    plot_swap(change, tmp_path / "w.png")
    shown = picture(tmp_path / "w.png")
    sound = np.nonzero(shown[..., 2] - shown[..., 0] > 60)[1]
    lips = np.nonzero(shown[..., 0] - shown[..., 2] > 60)[1]
    assert sound.max() < lips.min()


def test_the_same_picture_every_time(tmp_path):
    for name in ("a.png", "b.png"):
        plot_swap({"audio": np.arange(9.0)}, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with pytest.raises(MediaError):
        plot_swap({"audio": np.arange(9.0)}, tmp_path / "a.png")


@pytest.mark.parametrize(
    ("draw", "arguments", "named"),
    [
        (plot_attention, (np.ones((3, 3)), TIMES_S, TIMES_S), "does not fit 100 and 100"),
        (plot_attention, (np.ones((100, 100)), TIMES_S, TIMES_S), "sum to between 100"),
        (plot_attention, (np.eye(100), TIMES_S[::-1], TIMES_S), "no clock"),
        (plot_saliency, ({"audio": np.ones((9, 2))}, TIMES_S), "'audio' has shape"),
        (plot_saliency, ({"audio": np.full((100, 2), np.nan)}, TIMES_S), "NaN"),
        (plot_saliency, ({}, TIMES_S), "no stream"),
        (plot_contributions, ({}, 0.0), "no stream"),
        (plot_contributions, ({"audio": float("inf")}, 0.0), "cannot be drawn"),
        (plot_swap, ({"audio": np.full(3, np.nan)},), "never swapped"),
    ],
)
def test_refusals(tmp_path, draw, arguments, named):
    with pytest.raises(ParameterError, match=named):
        draw(*arguments, tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


def drawn_in(folder):
    """Draw in a process whose current directory is this, and return the bytes."""
    script = """
import numpy as np
from avalign.plots import plot_saliency
values = {"cost in $ and $\\\\frac{1}$": np.ones((100, 2)), "$ $": np.ones((100, 2))}
plot_saliency(values, np.arange(100) / 50, "s.png")
"""
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
    return (folder / "s.png").read_bytes()


@pytest.mark.slow
def test_settings_in_the_current_directory_and_dollars_change_nothing(tmp_path):
    plain, planted = tmp_path / "plain", tmp_path / "planted"
    plain.mkdir()
    planted.mkdir()
    settings = "text.usetex: True\nfont.size: 30\naxes.facecolor: red\nsavefig.dpi: 30\n"
    (planted / "matplotlibrc").write_text(settings)
    assert drawn_in(planted) == drawn_in(plain)
