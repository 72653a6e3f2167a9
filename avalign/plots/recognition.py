"""A plot of what was recognised: words or emotions over time."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.plots.figures import AUDIO, FAINT, INK, LIPS, in_own_style, new_figure, save_png

if TYPE_CHECKING:
    from collections.abc import Mapping

    from avalign.recognition import Emotion, RecognitionReport, Trace
    from avalign.transcript import Transcript

MARGIN = 0.05
STREAM_COLOURS = {"audio": AUDIO, "lips": LIPS}
PALETTE = ("#2f6690", "#c8375a", "#5fa777", "#f2b134", "#7a5ea8", "#3aa6a6", "#a5673f", "#555")
LEGEND_COLUMNS = 6
LONGEST_SUBTITLE = 105
NARROWEST_LABEL = 0.013  # of the width, for each character


@in_own_style
def plot_recognition(
    report: RecognitionReport, path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Draw an answer: words or emotions over time, and the fraction of each stream.

    Parameters
    ----------
    report : RecognitionReport
        What was recognised, or why nothing was.
    path : path-like
        The PNG to write.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    MediaError
        If the file exists already or cannot be written.
    """
    figure = new_figure(9.0, 5.2)
    figure.text(MARGIN, 0.92, _headline(report), fontsize=17, fontweight="bold", color=INK)
    figure.text(MARGIN, 0.87, _subtitle(report), fontsize=10.5, color=FAINT)
    width = 1 - 2 * MARGIN
    top = figure.add_axes((MARGIN, 0.46, width, 0.33))
    middle = figure.add_axes((MARGIN, 0.16, 0.62 * width, 0.16))
    right = figure.add_axes((MARGIN + 0.72 * width, 0.16, 0.28 * width, 0.16))
    span_s = _span_s(report)
    if report.emotion is not None:
        draw_emotion(top, report.emotion, span_s)
    elif report.transcript is None and report.values:
        _draw_values(top, report.values)
    else:
        _draw_words(top, report.transcript, report.trace, span_s)
    _draw_fractions(middle, report.trace, span_s)
    _draw_contributions(right, report)
    save_png(figure, path, overwrite)


def _headline(report: RecognitionReport) -> str:
    if report.status != "ok":
        return "No reliable answer"
    if report.emotion is not None:
        return str(report.emotion.label)
    if report.transcript is None and report.values:
        return ", ".join(f"{name} {number:.2f}" for name, number in report.values.items())
    text = "" if report.transcript is None else report.transcript.text
    return text if len(text) <= 56 else f"{text[:55]}…"


def _subtitle(report: RecognitionReport) -> str:
    parts = [Path(report.file).name, " and ".join(report.streams)]
    if report.audio_lag_ms is not None:
        how = "repaired" if report.lag_repaired else "left alone"
        lag = f"{report.audio_lag_ms:+.0f}".replace("-", "\N{MINUS SIGN}")
        parts.append(f"audio lag {lag} ms, {how}")
    if report.status != "ok" and report.reason:
        parts.append(report.reason)
    return shorten(", ".join(filter(None, parts)), LONGEST_SUBTITLE, placeholder=" …")


def _span_s(report: RecognitionReport) -> tuple[float, float]:
    if report.trace is None or not len(report.trace.times_s):
        return 0.0, 1.0
    first_s, last_s = report.trace.times_s[[0, -1]].tolist()
    return first_s, max(last_s, first_s + 0.1)


def _draw_words(
    axes: Any, transcript: Transcript | None, trace: Trace | None, span_s: tuple[float, float]
) -> None:
    axes.set_title("Words, darker where they are surer", loc="left", fontsize=11, color=INK)
    if trace is not None and trace.speech is not None:
        axes.fill_between(trace.times_s, 0, 0.3 * trace.speech, color="#dfe3e8", linewidth=0)
    words = () if transcript is None else transcript.words
    for word in words:
        if word.start_s is None or word.end_s is None:
            continue
        sure = 1.0 if word.confidence is None else word.confidence
        length_s = word.end_s - word.start_s
        axes.barh(
            0.65,
            length_s,
            left=word.start_s,
            height=0.4,
            color=AUDIO,
            alpha=0.15 + 0.6 * sure,
            edgecolor="white",
        )
        needed = NARROWEST_LABEL * len(word.text) * (span_s[1] - span_s[0])
        axes.text(
            word.start_s + length_s / 2,
            0.65,
            word.text,
            ha="center",
            va="center",
            fontsize=10.5,
            color=INK,
            rotation=0 if length_s > needed else 90,
        )
    if not words:
        axes.text(
            0.5,
            0.6,
            "No words",
            transform=axes.transAxes,
            ha="center",
            color=FAINT,
            fontsize=11,
        )
    axes.set(xlim=span_s, ylim=(0, 0.95), yticks=[])
    axes.text(
        0.0, 0.02, "how surely a character is said", transform=axes.transAxes, fontsize=8.5,
        color=FAINT,
    )  # fmt: skip


def draw_emotion(axes: Any, emotion: Emotion, span_s: tuple[float, float]) -> None:
    """Draw the probabilities of the classes over time, and of the whole clip."""
    axes.set_title(
        "Probabilities in windows of 2 s; the whole clip at the right",
        loc="left",
        fontsize=11,
        color=INK,
    )
    ranked = sorted(emotion.probabilities.items(), key=lambda pair: -pair[1])
    names = list(emotion.probabilities)
    for place, (name, fraction) in enumerate(ranked):
        colour = PALETTE[place % len(PALETTE)]
        column = emotion.over_time[:, names.index(name)]
        marker = "o" if len(column) < 2 else ""
        axes.plot(
            emotion.times_s, column, color=colour, linewidth=1.8, marker=marker, label=name
        )
        axes.plot([span_s[1]], [fraction], marker="<", color=colour, clip_on=False)
    # Room above for the legend, which must not lie on the lines.
    lines = -(-len(ranked) // LEGEND_COLUMNS)
    axes.set(xlim=span_s, ylim=(0, 1.05 + 0.2 * lines), yticks=[0, 0.5, 1])
    axes.legend(loc="upper left", ncols=LEGEND_COLUMNS, frameon=False, fontsize=9)


def _draw_values(axes: Any, values: Mapping[str, float]) -> None:
    axes.set_title("Numbers of the whole clip", loc="left", fontsize=11, color=INK)
    names = list(values)[::-1]
    axes.barh(names, [values[name] for name in names], color=FAINT, height=0.5)
    axes.axvline(0, color=FAINT, linewidth=0.8)


def _draw_fractions(axes: Any, trace: Trace | None, span_s: tuple[float, float]) -> None:
    axes.set_title("Share of each stream in the fusion", loc="left", fontsize=10, color=INK)
    axes.set_xlabel("time [s]", color=INK)
    axes.set(xlim=span_s, ylim=(0, 1), yticks=[0, 1])
    if trace is None or not trace.fractions:
        axes.text(
            0.5, 0.5, "this family has no shares", transform=axes.transAxes, ha="center",
            va="center", color=FAINT,
        )  # fmt: skip
        return
    below = np.zeros(len(trace.times_s))
    present = sorted(
        (name, fraction) for name, fraction in trace.fractions.items() if np.any(fraction)
    )
    for place, (name, fraction) in enumerate(present):
        colour = STREAM_COLOURS.get(name, PALETTE[(place + 2) % len(PALETTE)])
        axes.fill_between(
            trace.times_s, below, below + fraction, color=colour, alpha=0.75, linewidth=0,
            label=name,
        )  # fmt: skip
        below = below + fraction
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, fontsize=8.5
    )


def _draw_contributions(axes: Any, report: RecognitionReport) -> None:
    unit = "probability" if report.emotion is not None else "nats per character"
    axes.set_title("What each adds to the answer", loc="left", fontsize=10, color=INK)
    names = sorted(report.modality_contribution)
    values = [report.modality_contribution[name] for name in names]
    colours = [STREAM_COLOURS.get(name, FAINT) for name in names]
    if not names:
        why = "no answer" if report.status != "ok" else "not measured for numbers"
        axes.set(xticks=[], yticks=[])
        axes.text(
            0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center",
            color=FAINT,
        )  # fmt: skip
        return
    axes.set_xlabel(unit, color=INK)
    axes.barh(names, values, color=colours, height=0.6)
    axes.axvline(0, color=FAINT, linewidth=0.8)
