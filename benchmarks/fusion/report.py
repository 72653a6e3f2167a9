"""From cells to results: ranks, costs, recovery, missing streams, weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avalign.files import atomic_output
from avalign.fusion import find_family
from benchmarks.fusion.cells import read_cells
from benchmarks.fusion.plan import (
    ALIGNERS,
    AUDIO_ALONE,
    BASELINES,
    CLEAN,
    GATE_SNRS,
    MISALIGNMENTS,
    PRIMARY,
    Plan,
    Scene,
)
from benchmarks.fusion.scores import Scores, number, recovery

__all__ = ["results_of", "write_report"]

LEVELS = (CLEAN, 0.0, -5.0)
# What stands for no noise among levels, beyond the highest.
_QUIET_DB = 60.0


def write_report(
    folder: Path,
    plan: Plan,
    facts: Mapping[str, Any],
    texts: Sequence[tuple[str, str]],
    alignment_errors: Mapping[str, Any],
    left_out: Sequence[str],
) -> Path:
    """Compute results from the cells in a folder; write them, a page and a figure there.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    plan : Plan
        What was measured.
    facts : mapping
        What else decides the results.
    texts : sequence of (str, str)
        Name and words of each test clip.
    alignment_errors : mapping
        How far aligners were from what was planted, by `Scene.rows_key`.
    left_out : sequence of str
        Cells that were not trained for want of time.

    Returns
    -------
    Path
        ``results.json``.
    """
    from benchmarks.fusion.figure import draw
    from benchmarks.fusion.page import page

    cells = read_cells(folder, (*BASELINES, *plan.families))
    path = folder / "results.json"
    if not any(name in plan.families for name in cells):
        return path
    scores = Scores(cells, [text for _, text in texts], plan.seed)
    results = {
        "schema": 1,
        "facts": dict(facts),
        "plan": {
            "quick": plan.quick,
            "steps": plan.steps,
            "seeds": plan.seeds,
            "batch_size": plan.batch_size,
            "learning_rate": plan.learning_rate,
            "versions": plan.versions,
        },
        "left_out": list(left_out),
        "alignment_errors": dict(alignment_errors),
        **results_of(scores, [name for name in plan.families if name in cells]),
    }
    with atomic_output(path, True) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    with atomic_output(folder / "fusion-ablation.md", True) as temporary:
        temporary.write_text(page(results), encoding="utf-8")
    with atomic_output(folder / "fusion-ablation.png", True) as temporary:
        draw(results, temporary)
    return path


def results_of(scores: Scores, names: Sequence[str]) -> dict[str, Any]:
    """Compute everything that is told.

    Parameters
    ----------
    scores : Scores
        Word error rates.
    names : sequence of str
        Families.

    Returns
    -------
    dict
        Plain values; rates and differences in percent, each with its interval.
    """
    ranked = sorted(names, key=lambda name: float(scores.wer(name, PRIMARY)[0]))
    return {
        "decoding": scores.way,
        "clips": len(scores.words),
        "words": int(scores.words.sum()),
        "families": [
            _family(scores, name, rank, ranked[0]) for rank, name in enumerate(ranked, 1)
        ],
        "single_streams": {name: _levels(scores, name) for name in _baselines(scores)},
        "cost": _cost(scores, ranked),
        "recovery": _recovery(scores, ranked),
        "in_sync_penalty": _penalty(scores, ranked),
        "early": _early(scores, ranked),
        "gates": _gates(scores, ranked),
    }


def _baselines(scores: Scores) -> list[str]:
    return [name for name in BASELINES if name in scores.cells]


def _levels(scores: Scores, name: str) -> dict[str, Any]:
    told = {}
    for level in GATE_SNRS:
        scene = Scene(snr_db=level)
        if scores.has(name, scene):
            told[scene.noise] = {
                way: number(scores.wer(name, scene, way))
                for way in dict.fromkeys((scores.way, "greedy"))
            }
    return told


def _family(scores: Scores, name: str, rank: int, best: str) -> dict[str, Any]:
    cells = scores.cells[name]
    entry = find_family(name)
    told = {
        "name": name,
        "row": entry.row,
        "title": entry.title,
        "rank": rank,
        "seeds": len(cells),
        "parameters": cells[0]["parameters"],
        "cpu_s": round(
            float(np.mean([cell["training_cpu_s"] + cell["testing_cpu_s"] for cell in cells])),
            1,
        ),
        "wer": _levels(scores, name),
        "by_seed": [round(rate, 3) for rate in scores.by_seed(name, PRIMARY)],
        "behind_best": number(scores.wer(name, PRIMARY) - scores.wer(best, PRIMARY)),
        "missing": _missing(scores, name),
    }
    if AUDIO_ALONE in scores.cells:
        told["against_audio"] = {}
        for level in LEVELS:
            scene = Scene(snr_db=level)
            if not (scores.has(name, scene) and scores.has(AUDIO_ALONE, scene)):
                continue
            fused, alone = scores.wer(name, scene), scores.wer(AUDIO_ALONE, scene)
            with np.errstate(divide="ignore", invalid="ignore"):
                relative = np.where(alone > 0, 100.0 * (alone - fused) / alone, np.nan)
            told["against_audio"][scene.noise] = {
                "points": number(fused - alone),
                "relative_reduction": number(relative),
            }
    return told


def _missing(scores: Scores, name: str) -> dict[str, Any]:
    """Tell how a family does with one stream, against a model of that stream alone."""
    told = {}
    for alone, streams in BASELINES.items():
        for level in LEVELS:
            given, same = Scene(snr_db=level, streams=streams), Scene(snr_db=level)
            if scores.has(name, given) and scores.has(alone, same):
                rate = scores.wer(name, given)
                told[f"{streams[0]} left, {given.noise}"] = {
                    "wer": number(rate),
                    "behind_single": number(rate - scores.wer(alone, same)),
                }
    return told


def _cost(scores: Scores, names: Sequence[str]) -> dict[str, Any]:
    """Points that each misalignment costs without alignment, by noise."""
    told: dict[str, Any] = {}
    for level in LEVELS:
        for misalignment in MISALIGNMENTS[1:]:
            scene = Scene(misalignment, "none", level)
            if not all(scores.has(name, scene) for name in names):
                continue
            rows = {
                name: number(scores.wer(name, scene) - scores.wer(name, Scene(snr_db=level)))
                for name in names
            }
            together = scores.mean_wer(names, scene) - scores.mean_wer(
                names, Scene(snr_db=level)
            )
            told.setdefault(scene.noise, {})[misalignment] = {
                "all families": number(together),
                **rows,
            }
    return told


def _recovery(scores: Scores, names: Sequence[str]) -> dict[str, Any]:
    """Tell word error rates after each aligner, and what it won back, over all families."""
    told: dict[str, Any] = {}
    for level in LEVELS:
        for misalignment in MISALIGNMENTS[1:]:
            scenes = {aligner: Scene(misalignment, aligner, level) for aligner in ALIGNERS}
            if not all(scores.has(name, one) for name in names for one in scenes.values()):
                continue
            rates = {aligner: scores.mean_wer(names, one) for aligner, one in scenes.items()}
            found: dict[str, Any] = {}
            for aligner, scene in scenes.items():
                found[aligner] = {"wer": number(rates[aligner])}
                if aligner in ("none", "oracle"):
                    continue
                found[aligner]["recovered"] = number(
                    recovery(rates["none"], rates[aligner], rates["oracle"])
                )
                found[aligner]["by_family"] = {
                    name: number(
                        recovery(
                            scores.wer(name, scenes["none"]),
                            scores.wer(name, scene),
                            scores.wer(name, scenes["oracle"]),
                        )
                    )
                    for name in names
                }
            told.setdefault(scenes["none"].noise, {})[misalignment] = found
    return told


def _penalty(scores: Scores, names: Sequence[str]) -> dict[str, Any]:
    """Points that aligning costs where nothing was to be aligned."""
    told: dict[str, Any] = {}
    for level in LEVELS:
        in_sync = Scene(snr_db=level)
        for aligner in ALIGNERS[1:-1]:
            scene = Scene("in_sync", aligner, level)
            if all(scores.has(name, scene) for name in names):
                together = scores.mean_wer(names, scene) - scores.mean_wer(names, in_sync)
                told.setdefault(in_sync.noise, {})[aligner] = {
                    "all families": number(together),
                    **{
                        name: number(scores.wer(name, scene) - scores.wer(name, in_sync))
                        for name in names
                    },
                }
    return told


def _early(scores: Scores, names: Sequence[str]) -> dict[str, Any] | None:
    """Test whether early fusion minds a lag of 320 ms more than the other families."""
    lags = [Scene(f"lag{lag:+d}", "none", 0.0) for lag in (-320, 320)]
    others = [name for name in names if name != "early"]
    if "early" not in names or not others:
        return None
    if not all(scores.has(name, scene) for name in names for scene in lags):
        return None

    def cost(name: str) -> Any:
        moved = np.mean([scores.wer(name, scene) for scene in lags], axis=0)
        return moved - scores.wer(name, PRIMARY)

    costs = {name: cost(name) for name in names}
    order = sorted(names, key=lambda name: -float(costs[name][0]))
    rest = np.mean([costs[name] for name in others], axis=0)
    return {
        "cost": number(costs["early"]),
        "mean_of_others": number(rest),
        "difference": number(costs["early"] - rest),
        "place": order.index("early") + 1,
        "of": len(order),
        "most_sensitive": order[0],
        "least_sensitive": order[-1],
    }


def _gates(scores: Scores, names: Sequence[str]) -> dict[str, Any]:
    """Mean weight of the sound at each level of noise, and its rank correlation with it."""
    from scipy.stats import spearmanr

    told = {}
    scenes = [Scene(snr_db=level) for level in GATE_SNRS]
    levels = [_QUIET_DB if level is None else level for level in GATE_SNRS]
    for name in names:
        weights = np.array(
            [
                [
                    np.mean(cell["scenes"][scene.key]["audio_weight"] or [np.nan])
                    for scene in scenes
                    if scene.key in cell["scenes"]
                ]
                for cell in scores.cells[name]
            ]
        )
        if weights.shape[1] != len(scenes) or not np.isfinite(weights).all():
            continue
        if float(np.ptp(weights, axis=1).min()) < 1e-4:
            continue  # fixed weights, which noise cannot move
        told[name] = {
            "audio_weight": {
                scene.noise: round(float(value), 4)
                for scene, value in zip(scenes, weights.mean(axis=0), strict=True)
            },
            "spearman": round(float(spearmanr(levels, weights.mean(axis=0)).statistic), 4),
            "spearman_by_seed": [
                round(float(spearmanr(levels, row).statistic), 4) for row in weights
            ],
        }
    return told
