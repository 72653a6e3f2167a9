"""``python -m benchmarks sync --frame-rates 8,10,12,15``: lags of clips with fewer pictures.

Each whole clip of at least 20 pictures per second whose lag is known well is measured again
with fewer, in two ways that files get their rates: *kept* pictures stay at their own times;
*converted* ones come at even times, each showing the last picture before the middle of the
time until the next, as FFmpeg's filter ``fps`` chooses. Errors are against the full rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from avalign.data import read_manifest, take_lips
from avalign.errors import ParameterError
from avalign.types import ClipStreams, LipStream
from benchmarks.cases import SEARCH_S, Estimator
from benchmarks.estimators import avalign_estimator
from benchmarks.own_lags import read_own_lags
from benchmarks.results import write_rows, write_tables
from benchmarks.statistics import bootstrap
from benchmarks.sync import benchmark_rows, console, known_clips, print_tables
from benchmarks.tables import Bar, Row, Table

Rows: TypeAlias = NDArray[np.intp]
Numbers: TypeAlias = NDArray[np.float64]
Truths: TypeAlias = NDArray[np.bool_]

__all__ = ["WAYS", "at_frame_rate", "run_frame_rates"]

WAYS = ("kept", "converted")
FULL_RATE = 20.0
KNOWN_CONFIDENCE = 0.8
# Another lag altogether is no bias.
GROSS_S = 0.150


def run_frame_rates(
    data: Path,
    rates: Sequence[float],
    *,
    out: Path,
    cache: Path | None = None,
    split: str = "dev",
) -> tuple[Table, ...]:
    """Measure, print the tables, and write ``frame-rates.json`` and ``.csv``.

    Parameters
    ----------
    data : Path
        Manifest of the clips.
    rates : sequence of float
        Pictures per second.
    out : Path
        Folder to write to.
    cache : Path, optional
        Where extracted clips are kept.
    split : str
        Which rows of the manifest; ``"all"`` takes every one.

    Returns
    -------
    tuple of Table
        What was printed.
    """
    manifest = read_manifest(data)
    clips = known_clips(manifest, benchmark_rows(manifest, split), read_own_lags(), cache=cache)
    estimator = avalign_estimator()
    results = []
    for clip in track(clips, "measuring clips", console=console):
        results += list(_measure(clip.name, clip.source.streams, rates, estimator))
    if not results:
        raise ParameterError(f"{data} holds no clips of the split {split!r} to measure")
    tables = tuple(_table(way, rates, results) for way in WAYS)
    print_tables(tables)
    write_tables(tables, {"split": split, "rates": list(rates)}, out / "frame-rates.json")
    write_rows(results, out / "frame-rates.csv")
    return tables


def at_frame_rate(lips: LipStream, rate_hz: float, way: str) -> LipStream:
    """Leave as many pictures as a file of a lower rate has.

    Parameters
    ----------
    lips : LipStream
        One face at the full rate.
    rate_hz : float
        Pictures per second.
    way : str
        ``"kept"`` or ``"converted"``.

    Returns
    -------
    LipStream
        The rows that are left, with the times they are shown at.
    """
    ticks = np.arange(
        np.ceil(lips.times_s[0] * rate_hz), np.floor(lips.times_s[-1] * rate_hz) + 1
    )
    wanted_s = ticks / rate_hz
    if way == "converted":
        rows = np.searchsorted(lips.times_s, wanted_s + 0.5 / rate_hz - 1e-9) - 1
    else:
        middles_s = (lips.times_s[1:] + lips.times_s[:-1]) / 2
        rows = np.searchsorted(middles_s, wanted_s)
    rows, first = np.unique(rows, return_index=True)
    left = take_lips(lips, rows)
    return replace(left, times_s=wanted_s[first]) if way == "converted" else left


def _measure(
    name: str, streams: ClipStreams, rates: Sequence[float], estimator: Estimator
) -> Iterator[dict[str, object]]:
    whole = estimator(streams, SEARCH_S)
    known = whole.alignment
    if streams.frame_rate < FULL_RATE or known is None or whole.reason:
        return
    if known.confidence < KNOWN_CONFIDENCE:
        return
    face = next(lips for lips in streams.lips if lips.track_id == whole.face)
    for rate_hz in rates:
        for way in WAYS:
            fewer = replace(streams, lips=(at_frame_rate(face, rate_hz, way),))
            found = estimator(fewer, SEARCH_S)
            if found.alignment is None or found.reason:
                continue
            low_s, high_s = found.alignment.interval_s
            yield {
                "clip": name,
                "way": way,
                "rate": rate_hz,
                "error_s": found.alignment.audio_lag_s - known.audio_lag_s,
                "half_width_s": (high_s - low_s) / 2,
                "covered": low_s <= known.audio_lag_s <= high_s,
            }


def _table(way: str, rates: Sequence[float], results: list[dict[str, object]]) -> Table:
    rows = []
    for rate_hz in rates:
        cases = [r for r in results if r["way"] == way and r["rate"] == rate_hz]
        clips = [str(r["clip"]) for r in cases]
        error_s = np.array([r["error_s"] for r in cases], np.float64)
        near = np.abs(error_s) < GROSS_S
        covered = np.array([r["covered"] for r in cases], bool)
        half_ms = 1e3 * np.array([r["half_width_s"] for r in cases], np.float64)

        def bias_ms(drawn: Rows, error_s: Numbers = error_s, near: Truths = near) -> float:
            return 1e3 * float(error_s[drawn][near[drawn]].mean())

        def median_ms(drawn: Rows, half_ms: Numbers = half_ms) -> float:
            return float(np.median(half_ms[drawn]))

        def coverage(drawn: Rows, covered: Truths = covered) -> float:
            return 100 * float(covered[drawn].mean())

        what = f"{rate_hz:g} per second"
        bar = Bar(-8, 8) if way == "kept" else None
        rows += [
            Row(f"{what}: bias", "ms", bootstrap(clips, bias_ms), bar),
            Row(f"{what}: the interval covers", "%", bootstrap(clips, coverage), Bar(92)),
            Row(f"{what}: half of the interval", "ms", bootstrap(clips, median_ms)),
        ]
    return Table(f"Fewer pictures, {way}, against the full rate", tuple(rows))
