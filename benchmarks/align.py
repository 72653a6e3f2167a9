"""``python -m benchmarks align``: how well two recordings are aligned, with intervals.

The other recording is the clip's own sound, played at a pace that wanders smoothly by up
to a tenth: the samples are read off at the planted times, so the truth is exact (the pitch
moves along, which makes it harder, not easier). It is aligned with the sound of the clip,
as it is and behind noise and a filter, and with the lips. An error is taken every tenth of
a second at which the clip speaks; lips are graded against the planted warp moved by the
clip's own lag, frozen as for ``sync``. Foreign sound is that of another speaker.
"""

from __future__ import annotations

import csv
import io
import json
import resource
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from avalign.align import (
    MATCH_CONFIDENCE,
    EmbeddedPair,
    align_pair,
    pair_lips,
    pair_sounds,
)
from avalign.data.manifest import read_manifest
from avalign.errors import NoAnswerError, ParameterError
from avalign.extraction import sound_features
from avalign.media import atomic_output
from avalign.types import Alignment, AudioStream, FeatureStream
from avalign.vision import usable
from benchmarks.cases import Clip
from benchmarks.own_lags import read_own_lags
from benchmarks.statistics import area_under_roc, bootstrap
from benchmarks.sync import benchmark_rows, console, load_clips, print_tables
from benchmarks.tables import Bar, Row, Table

MOST_PACE = 0.10
PERIODS_S = (4.0, 20.0)
GRID_S = 0.1
SHORTEST_CLIP_S = 2.5
NOISE_DB = 10.0
LONG_S = 600.0
CONDITIONS = ("sound", "noisy sound", "lips")
BARS_MS = {"sound": (15.0, 50.0), "noisy sound": (15.0, 50.0), "lips": (40.0, 120.0)}


@dataclass(frozen=True, slots=True)
class PlantedWarp:
    """Which time of the source is heard at each time of the warped recording.

    Parameters
    ----------
    warped_s, source_s : ndarray of shape (K,), float64
        Both increasing.
    """

    warped_s: NDArray[np.float64]
    source_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of one pair.

    Parameters
    ----------
    condition : str
        ``"sound"``, ``"noisy sound"`` or ``"lips"``.
    clip, other : str
        Where the reference and the other sound come from.
    foreign : bool
        Whether the other sound is another speaker's.
    confidence : float
        Probability of the same words.
    model : str
        The model that was chosen.
    errors_ms : ndarray
        Distance from the truth at each instant of speech; empty for foreign sound.
    """

    condition: str
    clip: str
    other: str
    foreign: bool
    confidence: float
    model: str
    errors_ms: NDArray[np.float64]

    @property
    def answered(self) -> bool:
        """Whether the aligner stands by it."""
        return self.confidence >= MATCH_CONFIDENCE


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
        for clip in load_clips(manifest, rows, read_own_lags(), cache=cache)
        if clip.source.audio.duration_s >= SHORTEST_CLIP_S
    ]
    if not clips:
        raise ParameterError(f"{data} holds no clips of the split {split!r} to measure")
    outcomes = [
        outcome
        for clip in track(clips, "aligning", console=console)
        for outcome in _outcomes(clip, clips, warps_per_clip, seed)
    ]
    tables = (
        *(_accuracy(condition, outcomes, clips) for condition in CONDITIONS),
        _foreign(outcomes),
        _speed(clips, seed),
    )
    print_tables(tables)
    settings = {"split": split, "warps_per_clip": warps_per_clip, "seed": seed}
    _write_results(tables, outcomes, settings, out)
    return tables


def plant_warp(duration_s: float, rng: np.random.Generator) -> PlantedWarp:
    """Draw a pace that wanders smoothly, at its most a tenth fast or slow.

    Parameters
    ----------
    duration_s : float
        Length of the source.
    rng : numpy.random.Generator
        Where the draw comes from.

    Returns
    -------
    PlantedWarp
        From the start of the source to its end.
    """
    warped_s = np.arange(0.0, duration_s / (1.0 - MOST_PACE) + 1.0, 0.01)
    waves = np.zeros_like(warped_s)
    for _ in range(3):
        period_s, phase = rng.uniform(*PERIODS_S), rng.uniform(0.0, 2 * np.pi)
        waves += rng.uniform(0.3, 1.0) * np.sin(2 * np.pi * warped_s / period_s + phase)
    pace = 1.0 + MOST_PACE * waves / np.abs(waves).max()
    source_s = np.concatenate([[0.0], np.cumsum(pace[:-1] * np.diff(warped_s))])
    return PlantedWarp(warped_s, source_s)


def apply_warp(audio: AudioStream, warp: PlantedWarp) -> AudioStream:
    """Play a sound at the planted pace, by reading samples off between samples.

    Parameters
    ----------
    audio : AudioStream
        The sound.
    warp : PlantedWarp
        Times from the sound's start.

    Returns
    -------
    AudioStream
        From the same start on.
    """
    from scipy.ndimage import map_coordinates

    rate = audio.sample_rate_hz
    length_s = np.interp(audio.duration_s, warp.source_s, warp.warped_s)
    wanted_s = np.arange(int(length_s * rate)) / rate
    places = np.interp(wanted_s, warp.warped_s, warp.source_s) * rate
    samples = map_coordinates(audio.samples.astype(np.float64), places[None], mode="nearest")
    return replace(audio, samples=np.clip(samples, -1.0, 1.0).astype(np.float32))


def _outcomes(clip: Clip, clips: Sequence[Clip], warps: int, seed: int) -> Iterator[Outcome]:
    rng = np.random.default_rng([seed, zlib.crc32(clip.name.encode())])
    others = [one for one in clips if one.speaker != clip.speaker]
    for _ in range(warps):
        warp = plant_warp(clip.source.audio.duration_s, rng)
        warped = apply_warp(clip.source.audio, warp)
        strange = others[rng.integers(len(others))] if others else None
        for condition in CONDITIONS:
            heard = _noisy(warped, rng) if condition == "noisy sound" else warped
            yield from _outcome(condition, clip, clip, heard, warp)
            if strange is not None:
                yield from _outcome(condition, clip, strange, strange.source.audio, None)


def _outcome(
    condition: str, clip: Clip, other: Clip, heard: AudioStream, warp: PlantedWarp | None
) -> Iterator[Outcome]:
    pair = _pair(condition, clip, sound_features(iter([heard]))[0])
    if pair is None:
        return
    try:
        found = align_pair(pair)
    except NoAnswerError:
        yield Outcome(condition, clip.name, other.name, warp is None, 0.0, "", np.empty(0))
        return
    errors_ms = np.empty(0) if warp is None else _errors_ms(condition, clip, found, warp)
    yield Outcome(
        condition, clip.name, other.name, warp is None, found.confidence, found.model, errors_ms
    )


def _pair(condition: str, clip: Clip, heard: FeatureStream) -> EmbeddedPair | None:
    streams = clip.source.streams
    if condition != "lips":
        return pair_sounds(streams.mfcc, heard)
    if not streams.lips:
        return None
    lips = max(streams.lips, key=lambda face: int(usable(face).sum()))
    return pair_lips(lips, usable(lips), heard)


def _errors_ms(
    condition: str, clip: Clip, found: Alignment, warp: PlantedWarp
) -> NDArray[np.float64]:
    """Errors at every tenth of a second at which the clip speaks and, for lips, is seen."""
    assert found.warp is not None
    audio, speech = clip.source.audio, clip.source.streams.speech
    times_s = np.arange(found.warp.reference_s[0], found.warp.reference_s[-1], GRID_S)
    # What the reference shows at a time is heard in the clip's own sound this much later.
    own_lag_s = clip.own_lag_s if condition == "lips" else 0.0
    source_s = times_s + own_lag_s - audio.start_s
    truth_s = np.interp(source_s, warp.source_s, warp.warped_s) + audio.start_s
    spoken = np.interp(times_s + own_lag_s, speech.times_s, speech.values[:, 0]) > 0.5
    inside = (source_s >= 0) & (source_s <= audio.duration_s)
    if condition == "lips":
        seen = found.agreement
        nearest = np.abs(seen.times_s[None] - times_s[:, None]).argmin(axis=1)
        inside &= seen.valid[nearest]
    graded = spoken & inside
    return 1e3 * np.abs(found.warp.to_other(times_s[graded]) - truth_s[graded])


def _noisy(audio: AudioStream, rng: np.random.Generator) -> AudioStream:
    """Another microphone: brighter, and in noise."""
    samples = audio.samples.astype(np.float64)
    bright = samples - 0.7 * np.concatenate([[0.0], samples[:-1]])
    noise = rng.normal(size=len(bright)) * bright.std() * 10 ** (-NOISE_DB / 20)
    return replace(audio, samples=np.clip(bright + noise, -1.0, 1.0).astype(np.float32))


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
        for share, bar in ((50, median_bar), (95, most_bar)):
            rows.append(
                Row(
                    f"{'median' if share == 50 else '95th percentile'}: {what}",
                    "ms",
                    bootstrap(names, _percentile_of(errors, share)),
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


def _percentile_of(values: NDArray[np.float64], share: float) -> Any:
    return lambda rows: float(np.percentile(values[rows], share))


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
    mfcc = [sound_features(iter([one]))[0] for one in (audio, warped)]
    align_pair(pair_sounds(*(_first(stream, 500) for stream in mfcc)))  # compiles
    started, busy = time.perf_counter(), time.process_time()
    align_pair(pair_sounds(*mfcc))
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


def _write_results(
    tables: Sequence[Table], outcomes: Sequence[Outcome], settings: dict[str, Any], out: Path
) -> None:
    from avalign.schema import versions

    out.mkdir(parents=True, exist_ok=True)
    content = {
        "schema": 1,
        "settings": settings,
        "versions": versions(),
        "tables": [asdict(table) for table in tables],
    }
    # A bar without one of its limits is infinite there, which JSON cannot say.
    text = (
        json.dumps(content, indent=2).replace("-Infinity", "null").replace("Infinity", "null")
    )
    _write(out / "align.json", text.replace("NaN", "null") + "\n")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ("condition", "clip", "other", "foreign", "confidence", "model", "median_ms", "p95_ms")
    )
    for one in outcomes:
        ends = np.percentile(one.errors_ms, [50, 95]) if len(one.errors_ms) else [np.nan] * 2
        writer.writerow(
            (one.condition, one.clip, one.other, int(one.foreign), f"{one.confidence:.4f}",
             one.model, *(f"{end:.2f}" for end in ends))
        )  # fmt: skip
    _write(out / "align-pairs.csv", buffer.getvalue())


def _write(path: Path, text: str) -> None:
    with atomic_output(path, True) as temporary:
        temporary.write_text(text, encoding="utf-8")
