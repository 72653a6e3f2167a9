"""The figure of the ablation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.fusion.plan import AUDIO_ALONE, GATE_SNRS, LAGS_MS, LIPS_ALONE, Scene

__all__ = ["draw"]

_STRONG = ("#0b5394", "#c0392b", "#1e8449", "#8e44ad", "#b9770e")
_PALE = "#c8ccd0"
_ALIGNER_NAMES = {
    "none": "not aligned",
    "lag_search": "lag search",
    "raw_dtw": "raw DTW",
    "shared_dtw": "DTW in the shared space",
    "oracle": "oracle",
}


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw the results.

    Parameters
    ----------
    results : mapping
        As of `benchmarks.fusion.report.results_of`.
    path : Path
        The PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 9.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    _ranks(axes[0, 0], results)
    _costs(axes[0, 1], results)
    _aligners(axes[1, 0], results)
    _gates(axes[1, 1], results)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110, format="png")


def _ranks(axis: Any, results: Mapping[str, Any]) -> None:
    families = results["families"]
    noise = Scene().noise
    places = range(len(families))
    rates = [one["wer"][noise][results["decoding"]] for one in families]
    values = [rate["value"] for rate in rates]
    below = [rate["value"] - (rate["low"] or rate["value"]) for rate in rates]
    above = [(rate["high"] or rate["value"]) - rate["value"] for rate in rates]
    axis.errorbar(
        values, places, xerr=[below, above], fmt="o", color=_STRONG[0], ms=4, lw=1, capsize=2
    )
    for color, alone, label in (
        (_STRONG[1], AUDIO_ALONE, "audio alone"),
        (_STRONG[2], LIPS_ALONE, "lips alone"),
    ):
        told = results["single_streams"].get(alone, {}).get(noise)
        if told:
            rate = told[results["decoding"]]["value"]
            axis.axvline(rate, color=color, lw=1, ls="--", label=f"{label}: {rate:.1f} %")
    axis.set_yticks(places, [one["name"] for one in families], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.set_xlabel("word error rate, %")
    axis.set_title("In sync, babble at 0 dB, with 95 % intervals")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8)


def _costs(axis: Any, results: Mapping[str, Any]) -> None:
    cost = results["cost"].get(Scene().noise, {})
    lags = [lag for lag in LAGS_MS if f"lag{lag:+d}" in cost]
    names = [one["name"] for one in results["families"]]
    shown = _shown(results, names)
    points = sorted([*lags, 0])
    for name in [*(n for n in names if n not in shown), *shown]:
        values = [0.0 if lag == 0 else cost[f"lag{lag:+d}"][name]["value"] for lag in points]
        if name in shown:
            color = _STRONG[shown.index(name) % len(_STRONG)]
            axis.plot(points, values, color=color, lw=1.8, marker="o", ms=3, label=name)
        else:
            axis.plot(points, values, color=_PALE, lw=0.9, zorder=1)
    axis.set_xlabel("audio lag, ms (positive: the audio is late)")
    axis.set_ylabel("points of word error rate lost")
    axis.set_title("What a lag costs at 0 dB, not aligned; grey: the other families")
    if shown:
        axis.legend(frameon=False, fontsize=8)


def _shown(results: Mapping[str, Any], names: list[str]) -> list[str]:
    """Pick the best family, early fusion, and those that mind a lag most and least."""
    early = results["early"] or {}
    wanted = [
        names[0], "early", early.get("most_sensitive"), early.get("least_sensitive"),
        "cross_attention",
    ]  # fmt: skip
    return [name for name in dict.fromkeys(wanted) if name in names]


def _aligners(axis: Any, results: Mapping[str, Any]) -> None:
    recovery = results["recovery"].get(Scene().noise, {})
    width = 0.16
    for number, (aligner, label) in enumerate(_ALIGNER_NAMES.items()):
        rates = [found[aligner]["wer"] for found in recovery.values()]
        places = [place + (number - 2) * width for place in range(len(rates))]
        color = ("#c0392b", "#2e86c1", "#d4ac0d", "#0b5394", "#7f8c8d")[number]
        axis.bar(places, [rate["value"] for rate in rates], width, color=color, label=label)
        for place, rate in zip(places, rates, strict=True):
            if rate["low"] is not None:
                axis.plot([place, place], [rate["low"], rate["high"]], color="black", lw=0.8)
    titles = {"drift": "drift 3 %", "warp": "smooth warp"}
    labels = [titles.get(name, f"{name[3:]} ms") for name in recovery]
    axis.set_xticks(range(len(labels)), labels, fontsize=8)
    axis.set_ylabel("word error rate, %, mean of the families")
    axis.set_title("What alignment wins back at 0 dB")
    axis.margins(y=0.25)
    axis.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")


def _gates(axis: Any, results: Mapping[str, Any]) -> None:
    noises = [Scene(snr_db=level).noise for level in GATE_SNRS][::-1]
    for number, (name, gate) in enumerate(results["gates"].items()):
        values = [gate["audio_weight"][noise] for noise in noises]
        label = f"{name} ({gate['spearman']:.2f})"
        style = ("-", "--", ":")[number // len(_STRONG) % 3]
        axis.plot(noises, values, style, color=_STRONG[number % len(_STRONG)], marker="o",
                  ms=3, label=label)  # fmt: skip
    axis.set_xlabel("babble")
    axis.set_ylabel("mean weight of the sound")
    axis.set_ylim(0, 1)
    axis.set_title("Trust in the sound; in brackets: rank correlation with the SNR")
    if results["gates"]:
        axis.legend(frameon=False, fontsize=8)
