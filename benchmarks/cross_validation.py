"""``python -m benchmarks cross-validate``: strangers, without sparing clips for it.

The speakers of all natural clips, train and dev together, are dealt into folds; those of one
studio share its room, camera and lag, and stay together. For each fold a model is trained on
the clips of all others (and on the read sentences of GRID's train split), calibrated as
shipped, and measured on the fold: each window is answered by a model that has met neither its
speaker nor its studio.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from avalign.data import ManifestRow, read_manifest, speaker_folds
from avalign.train.space import SpacePlan, fit_space, load_corpus_clips
from benchmarks.cases import Clip, Result, make_cases
from benchmarks.estimators import avalign_estimator
from benchmarks.own_lags import OwnLag, measure_own_lag, read_own_lags, write_own_lags
from benchmarks.sync import (
    benchmark_rows,
    console,
    is_grid,
    known_clips,
    measure_all,
    report_results,
)
from benchmarks.tables import Table

__all__ = ["run_cross_validation"]


def run_cross_validation(
    data: Path,
    *,
    out: Path,
    cache: Path | None = None,
    folds: int = 4,
    windows_per_clip: int = 36,
    draws: int = 4,
    seed: int = 0,
    members: int | None = None,
    studios: Collection[str] = (),
    freeze: bool = False,
) -> tuple[Table, ...]:
    """Train and measure fold by fold, print the tables over all windows, and write them.

    The own lag of a clip is measured by the same model as its windows, because no other
    model of the fold has not met the speaker.

    Parameters
    ----------
    data : Path
        Manifest of the clips.
    out : Path
        Folder to write ``cross-validation.json`` and a table of the windows to.
    cache : Path, optional
        Where extracted clips are kept.
    folds : int
        Number of models to train.
    windows_per_clip : int
        Most windows per clip, task and length.
    draws : int
        How often they are drawn.
    seed : int
        Fixes the folds and the draws.
    members : int, optional
        Encoder pairs of each model; by default as many as shipped.
    studios : collection of str
        Datasets that were recorded in one place; each is held out as a whole.
    freeze : bool
        Make the clips' own lags those of the benchmark: see `benchmarks.own_lags`.

    Returns
    -------
    tuple of Table
        What was printed.
    """
    plan = SpacePlan()
    if members is not None:
        plan = replace(plan, members=members)
    manifest = read_manifest(data)
    rows = [row for row in benchmark_rows(manifest, "all") if not is_grid(row)]
    learnable = [row for row in manifest if row.weights_ok]
    read = [row for row in learnable if is_grid(row) and row.split == "train"]
    natural = [row for row in learnable if not is_grid(row)]
    clips: list[Clip] = []
    results: list[Result] = []
    own_lags: dict[str, OwnLag] = {}

    def group(row: ManifestRow) -> str:
        return row.dataset if row.dataset in studios else row.speaker_key

    for number, held_out in enumerate(speaker_folds(rows, folds, seed, group=group)):
        console.print(f"fold {number + 1} of {folds}: training")
        groups = {group(row) for row in held_out}
        known = [row for row in natural if group(row) not in groups] + read
        model = fit_space(load_corpus_clips(known, plan.groups, cache_dir=cache), plan)
        estimator = avalign_estimator(model)
        unknown = {manifest.name_of(row): OwnLag(0.0, 0.0, 0.0, 0.0) for row in held_out}
        for clip in known_clips(manifest, held_out, unknown, cache=cache):
            own = measure_own_lag(clip.source.streams, estimator)
            if own is not None:
                own_lags[clip.name] = own
                clips.append(replace(clip, own_lag_s=own.lag_s))
        of_fold = [clip for clip in clips if clip.name in unknown]
        cases = make_cases(of_fold, windows_per_clip=windows_per_clip, draws=draws, seed=seed)
        results += measure_all(of_fold, cases, estimator)
    if freeze:
        write_own_lags({**read_own_lags(), **own_lags})
    settings = {
        "folds": folds,
        "members": plan.members,
        "windows_per_clip": windows_per_clip,
        "draws": draws,
        "seed": seed,
        "studios": sorted(studios),
    }
    return report_results(results, clips, settings, out / "cross-validation")
