"""A picture of an answer: the evidence over lags, and lips over sound."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.plots.figures import AUDIO, FAINT, INK, LIPS, in_own_style, new_figure, save_png
from avalign.plots.signals import (
    busiest_span_s,
    choose_face,
    lip_opening,
    loudness,
    smooth,
    unit_range,
)
from avalign.reports import SyncReport, best_guess
from avalign.types import Alignment, ClipStreams, LipStream, Tolerance

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTERVAL, TOLERANCE = "#f2b134", "#5fa777"
EMPTY = "#f4f5f6"
SHOWN_S = 8.0
SHOWN_AT_LEAST_S = 0.2
MARGIN = 0.04
LAG_LABEL_FRACTION = 0.11  # of the width of the panel

VERDICTS = {
    "in_sync": "in sync",
    "noticeable": "viewers notice",
    "unacceptable": "viewers object",
}


@in_own_style
def plot_sync(
    report: SyncReport,
    streams: ClipStreams,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> None:
    """Draw an answer: evidence over lags, and lips over speech before and after the shift.

    Parameters
    ----------
    report : SyncReport
        The answer about a clip, or why there is none.
    streams : ClipStreams
        The streams it was measured on.
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
    figure = new_figure(9.0, 6.6)
    top = figure.add_axes((MARGIN, 0.535, 1 - 2 * MARGIN, 0.29))
    before = figure.add_axes((MARGIN, 0.275, 1 - 2 * MARGIN, 0.14))
    after = figure.add_axes((MARGIN, 0.085, 1 - 2 * MARGIN, 0.14))
    headline, subtitle = _words(report)
    figure.text(MARGIN, 0.945, headline, fontsize=17, fontweight="bold", color=INK)
    figure.text(MARGIN, 0.907, subtitle, fontsize=10.5, color=FAINT)

    guess = best_guess(report)
    alignment = report.alignment or (guess.alignment if guess is not None else None)
    if alignment is None:
        _write_message(top, "Nothing to align")
    else:
        _draw_curve(top, alignment, Tolerance.parse(report.tolerance))

    lips = choose_face(report, streams)
    if lips is None or len(streams.mfcc) == 0:
        for axes in (before, after):
            _write_message(axes, "No face" if lips is None else "No sound")
    else:
        traces = _Traces.of(lips, streams)
        shows_lag = alignment is not None and _has_lag(alignment)
        lag_s = alignment.audio_lag_s if alignment is not None and shows_lag else None
        traces.draw(before, 0.0, "Lips and sound as recorded", legend=True)
        if lag_s is None:
            _write_message(after, "No shift to show")
        else:
            hedge = "" if report.alignment is not None else " (best guess)"
            moved = f"sound {_milliseconds(-lag_s)}{hedge}"
            traces.draw(after, lag_s, f"After the shift: {moved}")
        before.tick_params(labelbottom=False)
        after.set_xlabel("time [s]", color=INK)
    save_png(figure, path, overwrite)


@dataclass(frozen=True, slots=True)
class _Traces:
    """Lips and sound of the span that is shown."""

    span_s: tuple[float, float]
    lip_times_s: NDArray[np.float64]
    opening: NDArray[np.float64]
    audio_times_s: NDArray[np.float64]
    level: NDArray[np.float64]

    @classmethod
    def of(cls, lips: LipStream, streams: ClipStreams) -> _Traces:
        raw = lip_opening(lips)
        start_s, end_s = busiest_span_s(lips, raw, SHOWN_S)
        audio = streams.mfcc
        return cls(
            (start_s, max(end_s, start_s + SHOWN_AT_LEAST_S)),
            lips.times_s,
            unit_range(smooth(raw, lips.times_s, 0.06)),
            audio.times_s,
            # Squared, because decibels make every murmur look like a shout.
            unit_range(smooth(loudness(audio), audio.times_s, 0.06)) ** 2,
        )

    def draw(self, axes: Any, lag_s: float, title: str, *, legend: bool = False) -> None:
        times_s = self.audio_times_s - lag_s
        axes.fill_between(
            times_s, self.level, color=AUDIO, alpha=0.35, linewidth=0, label="loudness"
        )
        axes.plot(
            self.lip_times_s, self.opening, color=LIPS, linewidth=1.6, label="lip opening"
        )
        axes.set(xlim=self.span_s, ylim=(0, 1.06), yticks=[])
        axes.set_title(title, loc="left", fontsize=10.5, color=INK)
        if legend:
            _legend_above(axes, "lower right")


def _draw_curve(axes: Any, alignment: Alignment, tolerance: Tolerance) -> None:
    curve = alignment.curve
    lags_ms = 1e3 * curve.lags_s
    score = curve.score - np.min(curve.score)
    axes.axvspan(
        -tolerance.early_ms,
        tolerance.late_ms,
        color=TOLERANCE,
        alpha=0.22,
        linewidth=0,
        label=f"tolerance ({tolerance.source})",
    )
    low_ms, high_ms = (1e3 * end_s for end_s in alignment.interval_s)
    shows_lag = _has_lag(alignment)
    if shows_lag:
        axes.axvspan(
            low_ms, high_ms, color=INTERVAL, alpha=0.55, linewidth=0, label="95 % interval"
        )
    posterior = curve.posterior / max(float(np.max(curve.posterior)), 1e-300)
    axes.fill_between(
        lags_ms, posterior, color=LIPS, alpha=0.28, linewidth=0, label="probability"
    )
    axes.plot(lags_ms, posterior, color=LIPS, linewidth=1.0)
    score = score / max(float(np.max(score)), 1e-12)
    axes.plot(lags_ms, score, color=INK, linewidth=1.6, label="evidence")
    axes.set(xlim=(lags_ms[0], lags_ms[-1]), ylim=(0, 1.22), yticks=[])
    if shows_lag:
        lag_ms = 1e3 * alignment.audio_lag_s
        axes.axvline(lag_ms, color=INK, linewidth=1.0, linestyle=(0, (3, 2)))
        _write_lag(axes, lag_ms, [(low_ms, high_ms), (-tolerance.early_ms, tolerance.late_ms)])
    axes.set_xlabel("audio lag [ms]  (left: audio early, right: audio late)", color=INK)
    _legend_above(axes, "lower left")


def _has_lag(alignment: Alignment) -> bool:
    """Tell a best guess from a peak at the edge, or of lips without speech."""
    return alignment.confidence > 0


def _write_lag(axes: Any, lag_ms: float, bands_ms: list[tuple[float, float]]) -> None:
    """Write the lag beside its line and clear of the bands about it, if there is room."""
    first_ms, last_ms = axes.get_xlim()
    width_ms = LAG_LABEL_FRACTION * (last_ms - first_ms)
    left_ms, right_ms = lag_ms, lag_ms
    for low_ms, high_ms in bands_ms:
        if low_ms - width_ms < lag_ms < high_ms + width_ms and high_ms - low_ms < 2 * width_ms:
            left_ms, right_ms = min(left_ms, low_ms), max(right_ms, high_ms)
    rightwards = right_ms - lag_ms <= lag_ms - left_ms
    if rightwards and right_ms + width_ms > last_ms:
        rightwards = False
    elif not rightwards and left_ms - width_ms < first_ms:
        rightwards = True
    axes.annotate(
        _signed(lag_ms),
        (right_ms if rightwards else left_ms, 1.1),
        xytext=(6 if rightwards else -6, 0),
        textcoords="offset points",
        ha="left" if rightwards else "right",
        va="center",
        fontsize=11,
        fontweight="bold",
        color=INK,
    )


def _legend_above(axes: Any, corner: str) -> None:
    axes.legend(
        loc=corner,
        bbox_to_anchor=(1.0 if "right" in corner else 0.0, 0.98),
        ncols=4,
        frameon=False,
        fontsize=9.5,
        borderpad=0.2,
        borderaxespad=0.2,
        handlelength=1.6,
    )


def _words(report: SyncReport) -> tuple[str, str]:
    """Say the answer in one line, and what it rests on in another."""
    answer = report.alignment
    name = Path(report.file).name
    if answer is None:
        reason = _shortened(report.reason or "the evidence is too weak", 90)
        return "No reliable answer", f"{_shortened(name, 110 - len(reason))}  ·  {reason}"
    lag_s = answer.audio_lag_s
    side = _milliseconds(lag_s, zero="on time", after=" late", before=" early")
    low_s, high_s = answer.interval_s
    judged = VERDICTS.get(report.verdict or "", "")
    if report.verdict == "noticeable" and report.tolerance != "itu":
        judged = "out of tolerance"
    parts = [
        _shortened(name, 60),
        f"95 %: {_signed(1e3 * low_s)} to {_signed(1e3 * high_s)}",
        f"confidence {answer.confidence:.2f}",
        judged,
    ]
    headline = f"The audio is {side}" if report.verdict else f"Unsure: the audio may be {side}"
    return headline, "  ·  ".join(part for part in parts if part)


def _shortened(text: str, most: int) -> str:
    """Leave out the middle of a text that is too long."""
    head = most * 2 // 3
    return text if len(text) <= most else f"{text[:head]}…{text[head + 1 - most :]}"


def _milliseconds(
    seconds: float,
    *,
    zero: str = "left as it is",
    after: str = " later",
    before: str = " earlier",
) -> str:
    milliseconds = round(1e3 * seconds)
    if milliseconds == 0:
        return zero
    return f"{abs(milliseconds)} ms{after if milliseconds > 0 else before}"


def _signed(milliseconds: float) -> str:
    return f"{round(milliseconds):+d} ms".replace("-", "\N{MINUS SIGN}").replace("+0", "0")


def _write_message(axes: Any, words: str) -> None:
    axes.text(0.5, 0.5, words, ha="center", va="center", color=FAINT, transform=axes.transAxes)
    axes.set(xticks=[], yticks=[], facecolor=EMPTY)
    axes.spines["bottom"].set_visible(False)
