"""``python -m benchmarks align``: how well two recordings are aligned, with intervals."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from avalign.align import MATCH_CONFIDENCE, align_pair, pair_audio
from avalign.data import read_manifest
from avalign.errors import ParameterError
from avalign.streams import mfcc_and_speech
from avalign.types import AudioStream, FeatureStream
from benchmarks.align_cases import CONDITIONS, Outcome, align_clip, apply_warp, plant_warp
from benchmarks.cases import Clip
from benchmarks.own_lags import read_own_lags
from benchmarks.results import write_rows, write_tables
from benchmarks.statistics import area_under_roc, bootstrap
from benchmarks.sync import benchmark_rows, console, known_clips, print_tables
from benchmarks.tables import Bar, Row, Table

__all__ = ["run_align"]

SHORTEST_CLIP_S = 2.5
LONG_S = 600.0
BARS_MS = {"sound": (15.0, 50.0), "noisy sound": (15.0, 50.0), "lips": (40.0, 120.0)}


def run_align(
    data: Path,
    *,
    out: Path,
    cache: Path | None = None,
    split: str = "dev",
    warps_per_clip: int = 3,
    seed: int = 0,
) -> tuple[Table, ...]:
    """Measure, print the tables, and write ``align.json`` and ``align-pairs.csv``.

    Parameters
    ----------
    data : Path
        Manifest of the clips.
    out : Path
        Folder to write to.
    cache : Path, optional
        Where extracted clips are kept.
    split : str
        Which rows of the manifest; ``"all"`` takes every one.
    warps_per_clip : int
        Warps planted in each clip.
    seed : int
        Fixes the draws.

    Returns
    -------
    tuple of Table
        What was printed.
    """
    manifest = read_manifest(data)
    rows = benchmark_rows(manifest, split)
    clips = [
        clip
        for clip in known_clips(manifest, rows, read_own_lags(), cache=cache)
        if clip.source.audio.duration_s >= SHORTEST_CLIP_S
    ]
    if not clips:
        raise ParameterError(f"{data} holds no clips of the split {split!r} to measure")
    outcomes = [
        outcome
        for clip in track(clips, "aligning", console=console)
        for outcome in align_clip(clip, clips, warps_per_clip, seed)
    ]
    tables = (
        *(_accuracy(condition, outcomes, clips) for condition in CONDITIONS),
        _foreign(outcomes),
        _speed(clips, seed),
    )
    print_tables(tables)
    settings = {"split": split, "warps_per_clip": warps_per_clip, "seed": seed}
    write_tables(tables, settings, out / "align.json")
    write_rows(map(_flat, outcomes), out / "align-pairs.csv")
    return tables


def _accuracy(condition: str, outcomes: Sequence[Outcome], clips: Sequence[Clip]) -> Table:
    own = [one for one in outcomes if one.condition == condition and not one.foreign]
    verified = {clip.name for clip in clips if clip.in_sync}
    median_bar, most_bar = (Bar(high=bar) for bar in BARS_MS[condition])
    rows = []
    groups = (
        ("answers", [one for one in own if one.answered], True),
        ("verified, answers",
         [one for one in own if one.answered and one.clip in verified], False),
        ("verified, answered or not",
         [one for one in own if one.clip in verified], False),
        ("all, answered or not", own, False),
    )  # fmt: skip
    for what, chosen, graded in groups:
        errors = np.concatenate([np.empty(0), *(one.errors_ms for one in chosen)])
        names = [one.clip for one in chosen for _ in one.errors_ms]
        for percent, bar in ((50, median_bar), (95, most_bar)):
            rows.append(
                Row(
                    f"{'median' if percent == 50 else '95th percentile'}: {what}",
                    "ms",
                    bootstrap(names, _percentile_of(errors, percent)),
                    bar if graded else None,
                )
            )
    answered = np.array([one.answered for one in own], float)
    rows.append(
        Row(
            "answered",
            "%",
            bootstrap([one.clip for one in own], lambda rows: 100 * answered[rows].mean()),
        )
    )
    return Table(f"To the {condition}: planted warps of up to ±10 % of pace", tuple(rows))


def _percentile_of(values: NDArray[np.float64], percent: float) -> Any:
    return lambda rows: float(np.percentile(values[rows], percent))


def _foreign(outcomes: Sequence[Outcome]) -> Table:
    rows = []
    for condition in CONDITIONS:
        chosen = [one for one in outcomes if one.condition == condition]
        names = [one.clip for one in chosen]
        foreign = np.array([one.foreign for one in chosen], bool)
        confidence = np.array([one.confidence for one in chosen])
        wrong = [name for name, is_foreign in zip(names, foreign, strict=True) if is_foreign]
        answered = 100.0 * (confidence[foreign] >= MATCH_CONFIDENCE)
        rows += [
            Row(
                f"{condition}: AUROC of the confidence",
                "",
                bootstrap(names, _auroc_of(confidence, foreign)),
            ),
            Row(
                f"{condition}: foreign sound answered",
                "%",
                bootstrap(wrong, _mean_of(answered)),
            ),
        ]
    return Table("Another speaker's sound against the clip's own", tuple(rows))


def _auroc_of(confidence: NDArray[np.float64], foreign: NDArray[np.bool_]) -> Any:
    return lambda rows: area_under_roc(
        confidence[rows][~foreign[rows]], confidence[rows][foreign[rows]]
    )


def _mean_of(values: NDArray[np.float64]) -> Any:
    return lambda rows: float(values[rows].mean())


def _speed(clips: Sequence[Clip], seed: int) -> Table:
    """Align ten minutes of speech, clips one after the other, with their warped selves."""
    rng = np.random.default_rng(seed)
    rate = clips[0].source.audio.sample_rate_hz
    joined = np.concatenate([clip.source.audio.samples for clip in clips])
    samples = np.resize(joined, int(LONG_S * rate))
    audio = AudioStream(samples, rate, 0.0)
    warped = apply_warp(audio, plant_warp(LONG_S, rng))
    mfcc = [mfcc_and_speech(iter([one]))[0] for one in (audio, warped)]
    align_pair(pair_audio(*(_first(stream, 500) for stream in mfcc)))  # compiles
    started, busy = time.perf_counter(), time.process_time()
    align_pair(pair_audio(*mfcc))
    elapsed_s, busy_s = time.perf_counter() - started, time.process_time() - busy
    # Kilobytes on Linux, bytes on macOS.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return Table(
        "Ten minutes with ten minutes, sound to sound, from extracted streams",
        (
            Row("time", "s", bootstrap(["once"], lambda _: elapsed_s), Bar(high=20)),
            Row("processor time", "s", bootstrap(["once"], lambda _: busy_s)),
            Row("peak of the whole run", "MB", bootstrap(["once"], lambda _: peak_mb),
                Bar(high=1000)),
        ),
    )  # fmt: skip


def _first(stream: FeatureStream, rows: int) -> FeatureStream:
    return replace(
        stream,
        values=stream.values[:rows],
        times_s=stream.times_s[:rows],
        valid=stream.valid[:rows],
    )


def _flat(one: Outcome) -> dict[str, Any]:
    """One row of the table of pairs."""
    ends = np.percentile(one.errors_ms, [50, 95]) if len(one.errors_ms) else [np.nan] * 2
    return {
        "condition": one.condition,
        "clip": one.clip,
        "other": one.other,
        "foreign": int(one.foreign),
        "confidence": f"{one.confidence:.4f}",
        "model": one.model,
        "median_ms": f"{ends[0]:.2f}",
        "p95_ms": f"{ends[1]:.2f}",
    }
