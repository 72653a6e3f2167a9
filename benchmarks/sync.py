"""``python -m benchmarks sync``: how well avalign measures lags, with intervals.

See `benchmarks.cases` for the protocol.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table as PrintedTable

from avalign.data import (
    LoadedClip,
    Manifest,
    ManifestRow,
    SourceClip,
    load_clip,
    load_clips,
    read_manifest,
)
from avalign.errors import NoAnswerError, ParameterError
from benchmarks.cases import SEARCH_S, Case, Clip, Estimator, Result, make_cases, measure
from benchmarks.estimators import avalign_estimator, baseline_estimator
from benchmarks.own_lags import OwnLag, measure_own_lag, read_own_lags, write_own_lags
from benchmarks.results import write_rows, write_tables
from benchmarks.slices import describe_clip, draw_slices, slice_table
from benchmarks.tables import Row, Table, make_tables

NATURAL_ROLES = ("in_sync", "in_sync_unverified")
# Its one speaker outweighs everything else, and most of it was trained on.
GRID_SPEAKER_LEFT_OUT = "s1"
SAMPLES = Path(__file__).resolve().parents[1] / "samples"
TRUE_SAMPLE_LAG_S = {"talking.mp4": 0.0, "talking-late160.mp4": 0.160}

TABLE_WIDTH = 120

console = Console(stderr=True)


def make_estimator(name: str, manifest: Manifest, *, cache: Path | None = None) -> Estimator:
    """Return an estimator by its name.

    Parameters
    ----------
    name : str
        ``"avalign"``, or ``"cca"`` or ``"kernel-cca"`` for the baseline, which is fitted on
        the split ``train`` first.
    manifest : Manifest
        All clips.
    cache : Path, optional
        Where extracted clips are kept.

    Returns
    -------
    callable
        Takes streams and the range of lags to search in seconds.
    """
    if name == "avalign":
        return avalign_estimator()
    from avalign.train.space import BaselinePlan, train_baseline

    plan = BaselinePlan(kernel=name == "kernel-cca")
    with console.status(f"fitting {name}"):
        return baseline_estimator(train_baseline(manifest, plan=plan, cache_dir=cache))


def run_sync(
    data: Path,
    *,
    out: Path,
    cache: Path | None = None,
    split: str = "dev",
    windows_per_clip: int = 36,
    draws: int = 4,
    seed: int = 0,
    estimator: str = "avalign",
) -> tuple[Table, ...]:
    """Measure, print the tables, and write them, the windows and a figure of the slices.

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
    windows_per_clip : int
        Most windows per clip, task and length.
    draws : int
        How often they are drawn.
    seed : int
        Fixes the draws.
    estimator : str
        What is measured; see `make_estimator`.

    Returns
    -------
    tuple of Table
        What was printed.
    """
    manifest = read_manifest(data)
    lags = read_own_lags()
    clips = known_clips(manifest, benchmark_rows(manifest, split), lags, cache=cache)
    if not clips:
        raise ParameterError(f"{data} holds no clips of the split {split!r} to measure")
    cases = make_cases(clips, windows_per_clip=windows_per_clip, draws=draws, seed=seed)
    estimate = make_estimator(estimator, manifest, cache=cache)
    results = measure_all(clips, cases, estimate)
    settings = {
        "estimator": estimator,
        "split": split,
        "windows_per_clip": windows_per_clip,
        "draws": draws,
        "seed": seed,
    }
    samples = measure_samples(estimate, cache=cache)
    return report_results(results, clips, settings, out, samples=samples)


def measure_all(
    clips: Iterable[Clip], cases: Sequence[Case], estimator: Estimator
) -> list[Result]:
    """Measure all cases, with a progress bar.

    Parameters
    ----------
    clips : iterable of Clip
        The clips that the cases name.
    cases : sequence of Case
        What to measure.
    estimator : callable
        Takes streams and the range of lags to search in seconds.

    Returns
    -------
    list of Result
        One per case, in order.
    """
    measured = measure(clips, cases, estimator)
    return list(track(measured, "measuring windows", total=len(cases), console=console))


def run_own_lags(data: Path, *, cache: Path | None = None, split: str = "all") -> None:
    """Measure the own lags of all clips of the benchmark and freeze them.

    Parameters
    ----------
    data : Path
        Manifest of the clips.
    cache : Path, optional
        Where extracted clips are kept.
    split : str
        Which rows of the manifest; ``"all"`` takes every one.
    """
    manifest = read_manifest(data)
    estimator = avalign_estimator()
    lags: dict[str, OwnLag] = {}
    for loaded in _loading(benchmark_rows(manifest, split), cache):
        name = manifest.name_of(loaded.row)
        if isinstance(loaded.error, NoAnswerError):
            console.print(f"{name}: {loaded.error}")
            continue
        lag = measure_own_lag(_source(loaded).streams, estimator)
        if lag is None:
            console.print(f"{name}: nothing to measure")
            continue
        lags[name] = lag
    write_own_lags(lags)


def benchmark_rows(manifest: Manifest, split: str) -> list[ManifestRow]:
    """Choose natural clips, and those of GRID speakers other than s1.

    Parameters
    ----------
    manifest : Manifest
        All clips.
    split : str
        ``"dev"``, ``"train"``, or ``"all"``.

    Returns
    -------
    list of ManifestRow
        In the order of the manifest.
    """
    chosen = manifest.select(split=None if split == "all" else split, role=NATURAL_ROLES)
    return [
        row for row in chosen if not (is_grid(row) and row.speaker == GRID_SPEAKER_LEFT_OUT)
    ]


def is_grid(row: ManifestRow) -> bool:
    """Tell whether a clip belongs to the GRID corpus."""
    return row.dataset == "grid"


def known_clips(
    manifest: Manifest,
    rows: Iterable[ManifestRow],
    own_lags: Mapping[str, OwnLag],
    *,
    cache: Path | None = None,
) -> list[Clip]:
    """Extract the clips that have an own lag.

    Parameters
    ----------
    manifest : Manifest
        Names the clips.
    rows : iterable of ManifestRow
        The clips.
    own_lags : mapping of str to OwnLag
        By name.
    cache : Path, optional
        Where extracted clips are kept.

    Returns
    -------
    list of Clip
        In the order of the rows.

    Raises
    ------
    ParameterError
        If the own lag of a clip was not measured.
    """
    rows = list(rows)
    for row in rows:
        if manifest.name_of(row) not in own_lags:
            raise ParameterError(
                f"the own lag of {manifest.name_of(row)} is not known",
                "measure it: python -m benchmarks own-lags",
            )
    clips = []
    for loaded in _loading(rows, cache):
        name = manifest.name_of(loaded.row)
        source = _source(loaded)
        clips.append(
            Clip(
                name,
                speaker=loaded.row.speaker or name,
                is_grid=is_grid(loaded.row),
                in_sync=loaded.row.role == "in_sync",
                own_lag_s=own_lags[name].lag_s,
                source=source,
                slices=describe_clip(loaded.row, source),
            )
        )
    return clips


def _loading(rows: Iterable[ManifestRow], cache: Path | None) -> Iterator[LoadedClip]:
    with Progress(console=console) as bars:
        bar = bars.add_task("extracting clips", total=1.0)
        yield from load_clips(
            rows,
            cache_dir=cache,
            progress=lambda fraction: bars.update(bar, completed=fraction),
        )


def _source(loaded: LoadedClip) -> SourceClip:
    if loaded.clip is None:
        raise loaded.error or ParameterError(f"{loaded.row.path} was not loaded")
    return loaded.clip


def measure_samples(estimator: Estimator, *, cache: Path | None = None) -> dict[str, float]:
    """Measure the sample videos, whose lags are known by construction.

    Parameters
    ----------
    estimator : callable
        Takes streams and the range of lags to search in seconds.
    cache : Path, optional
        Where extracted clips are kept.

    Returns
    -------
    dict of str to float
        Measured less true lag in seconds; NaN without an estimate.
    """
    errors_s = {}
    for name, truth_s in TRUE_SAMPLE_LAG_S.items():
        streams = load_clip(SAMPLES / name, cache_dir=cache).streams
        best = estimator(streams, SEARCH_S).alignment
        errors_s[name] = math.nan if best is None else best.audio_lag_s - truth_s
    return errors_s


def print_tables(tables: Iterable[Table]) -> None:
    """Print tables to standard output.

    Parameters
    ----------
    tables : iterable of Table
        What to print.
    """
    # Read in files as often as on screens: never narrower than the rows are long.
    printer = Console(width=max(TABLE_WIDTH, console.width))
    for table in tables:
        printed = PrintedTable(title=table.title, title_justify="left", box=SIMPLE_HEAD)
        for name in ("what", "value", "95 % interval", "cases", "clips", "bar", ""):
            words = name in ("what", "bar", "")
            printed.add_column(name, justify="left" if words else "right", no_wrap=True)
        for row in table.rows:
            printed.add_row(*_cells(row))
        printer.print(printed)


def _cells(row: Row) -> tuple[str, ...]:
    number = row.estimate
    digits = 3 if row.unit == "" else 1
    unit = f" {row.unit}" if row.unit else ""
    interval = f"{number.low:.{digits}f} to {number.high:.{digits}f}"
    return (
        row.what,
        f"{number.value:.{digits}f}{unit}",
        interval if math.isfinite(number.low) else "",
        str(number.cases),
        str(number.groups),
        "" if row.bar is None else str(row.bar),
        "" if row.bar is None else row.bar.verdict(number.value),
    )


def report_results(
    results: Sequence[Result],
    clips: Sequence[Clip],
    settings: Mapping[str, Any],
    out: Path,
    *,
    samples: Mapping[str, float] | None = None,
) -> tuple[Table, ...]:
    """Print the tables, and write them, the windows and a figure, replacing what is there.

    Parameters
    ----------
    results : sequence of Result
        The windows.
    clips : sequence of Clip
        The clips they are of.
    settings : mapping
        How they were drawn.
    out : Path
        Folder; made where it is missing.
    samples : mapping of str to float, optional
        What `measure_samples` returned.

    Returns
    -------
    tuple of Table
        What was printed.
    """
    slices = slice_table(results, clips)
    tables = (*make_tables(results, clips, samples or {}), slices)
    print_tables(tables)
    write_tables(tables, settings, out / "sync.json")
    write_rows(map(_flat, results), out / "sync-windows.csv")
    if slices.rows:
        draw_slices(slices, out / "slices.png")
    return tables


def _flat(result: Result) -> dict[str, Any]:
    measured = asdict(result)
    columns = measured.pop("case") | measured | {"error_s": result.error_s}
    return {
        name: f"{value:.6f}" if isinstance(value, float) else value
        for name, value in columns.items()
    }
