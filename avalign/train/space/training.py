"""Train the shared space on a manifest, and calibrate it; see `avalign.train.space.trainer`."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avalign.data import ManifestRow, load_clips, read_manifest
from avalign.errors import ParameterError, import_guard
from avalign.files import atomic_outputs, check_target
from avalign.processes import cores
from avalign.train.space.corpus import Corpus, TrainingClip, training_clip

with import_guard("training needs torch, which does not load", 'pip install "avalign[torch]"'):
    from avalign.space import to_model
    from avalign.train.space.trainer import (
        SpacePlan,
        anchored_mean,
        clip_own_lag_s,
        train_members,
    )

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from avalign.space import SpaceModel

ROLES = frozenset({"in_sync", "in_sync_unverified", "suspected_dubbed"})
MASS_CLIPS = 50


def train_space(
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    plan: SpacePlan | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
    left_out: Callable[[str], None] | None = None,
) -> SpaceModel:
    """Train the shared space on a manifest and write weights and calibration.

    Rows of the split ``train`` with ``weights_ok`` are learnt from. The split
    ``dev`` sets two things only: the zero of lags (the mean own lag over the
    speakers of all ``in_sync`` clips, train and dev) and the calibration, which
    is written beside the weights.

    Parameters
    ----------
    manifest : path-like
        CSV or Parquet, one row per clip.
    output : path-like
        The ``.safetensors`` file to write.
    plan : SpacePlan, optional
        How to train; default as the shipped weights were.
    cache_dir : path-like, optional
        Where extracted clips are cached.
    overwrite : bool, optional
        Replace `output`.
    jobs : int, optional
        Clips read at a time, and then members trained, each on one core; default all
        cores. The result does not depend on it.
    progress : callable, optional
        Called with the fraction done, 0 to 1.
    left_out : callable, optional
        Called with a line on each clip that cannot be used.

    Returns
    -------
    SpaceModel
        The model.

    Raises
    ------
    ParameterError
        If the manifest holds nothing to learn from.
    MediaError
        If `output` cannot be written.
    MissingDependencyError
        If torch is missing.
    """
    from avalign.space import save_model
    from avalign.train.space.calibration import fit_calibration

    plan = SpacePlan() if plan is None else plan
    output = Path(output)
    beside = output.with_name("calibration.json")
    check_target(
        (manifest,), output, beside=(beside.name,), overwrite=overwrite, suffix=".safetensors"
    )
    report_progress = progress or (lambda _: None)
    table = read_manifest(manifest)
    clips = load_corpus_clips(
        table.select(split="train", weights_ok=True).rows,
        plan.groups,
        cache_dir=cache_dir,
        jobs=jobs,
        progress=lambda f: report_progress(0.2 * f),
        left_out=left_out,
    )
    anchors = load_corpus_clips(
        table.select(split="dev", weights_ok=True, role="in_sync").rows,
        plan.groups - {"mass"},
        cache_dir=cache_dir,
        jobs=jobs,
        progress=lambda f: report_progress(0.2 + 0.1 * f),
        left_out=left_out,
    )
    model = fit_space(
        clips,
        plan,
        anchors=anchors,
        jobs=jobs,
        progress=lambda f: report_progress(0.3 + 0.6 * f),
    )
    calibration = fit_calibration(
        model,
        table.select(split="dev").rows,
        cache_dir=cache_dir,
        seed=plan.seed,
        jobs=jobs,
        progress=lambda f: report_progress(0.9 + 0.1 * f),
    )
    with atomic_outputs(output, beside, overwrite=overwrite) as (weights, settings):
        save_model(model, weights)
        settings.write_text(calibration.to_json(), encoding="utf-8")
    return model


def load_corpus_clips(
    rows: Sequence[ManifestRow],
    groups: Collection[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
    left_out: Callable[[str], None] | None = None,
) -> list[TrainingClip]:
    """Extract what can be learnt from; clips without sound or face are passed over.

    Parameters
    ----------
    rows : sequence of ManifestRow
        Rows of a manifest; roles of talking faces are used.
    groups : collection of str
        Groups wanted; clips of others are left out.
    cache_dir : path-like, optional
        Where extracted clips are cached.
    jobs : int, optional
        Clips extracted at a time; default all cores.
    progress : callable, optional
        Called with the fraction done, 0 to 1.
    left_out : callable, optional
        Called with a line on each clip that cannot be used.

    Returns
    -------
    list of TrainingClip
        The clips in the order of `rows`.
    """
    rows = [row for row in rows if row.role in ROLES]
    count = Counter(row.speaker for row in rows)

    def group_of(row: ManifestRow) -> str:
        if count[row.speaker] >= MASS_CLIPS:
            return "mass"
        return "read" if row.dataset == "grid" else "natural"

    wanted = [row for row in rows if group_of(row) in groups]
    clips = []
    for loaded in load_clips(wanted, cache_dir=cache_dir, jobs=jobs, progress=progress):
        row, group = loaded.row, group_of(loaded.row)
        clip, reason = None, f"{row.path}: shows a face for too short a time, or has no sound"
        if loaded.clip is not None:
            anchors = row.role == "in_sync" and group != "mass"
            clip = training_clip(
                loaded.clip, row.path.name, row.speaker, group, anchors=anchors
            )
        elif loaded.error is not None:
            reason = loaded.error.message
        if clip is not None:
            clips.append(clip)
        elif left_out is not None:
            left_out(reason)
    return clips


def fit_space(
    clips: Sequence[TrainingClip],
    plan: SpacePlan,
    *,
    anchors: Sequence[TrainingClip] = (),
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> SpaceModel:
    """Train all members and anchor the zero of lags.

    Parameters
    ----------
    clips : sequence of TrainingClip
        What to learn from.
    plan : SpacePlan
        How to learn.
    anchors : sequence of TrainingClip, optional
        Clips not to learn from, but whose own lags take part in the zero.
    jobs : int, optional
        Members trained at a time, each on one core; default all cores. The
        result does not depend on it.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    SpaceModel
        The ensemble.

    Raises
    ------
    ParameterError
        If there is no clip of a group that training ends with.
    """
    if not any(plan.fractions.get(clip.group) for clip in clips):
        raise ParameterError(
            "no clip to learn from", "give the manifest rows with split=train and role=in_sync"
        )
    corpus = Corpus(clips)
    report_progress = progress or (lambda _: None)
    jobs = min(jobs or cores(), plan.members)
    members = train_members(corpus, plan, jobs, report_progress)
    model = to_model(members)
    anchors = [clip for clip in (*clips, *anchors) if clip.anchors]
    lags_s = np.array([clip_own_lag_s(model, clip) for clip in anchors])
    return to_model(members, anchored_mean(anchors, lags_s))
