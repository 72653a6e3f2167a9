"""Cross-validate emotion recognition over actors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.data import fold_split, read_manifest
from avalign.errors import ParameterError
from avalign.files import atomic_output
from avalign.recognition import Condition, class_metrics, condition_batches
from avalign.recognition.metrics import ClassificationMetrics, classification_metrics
from avalign.train.recognizer.distributed import processes
from avalign.train.recognizer.emotion import (
    fit_emotion,
    labelled_utterances,
    permute_classes,
    settle_classes,
    with_targets,
)
from avalign.train.recognizer.plans import RecognizerPlan, TrainingCallbacks, emotion_plan
from avalign.train.recognizer.run_folder import RUN_FILES, run_folder
from avalign.train.recognizer.training import Corpus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avalign.recognition import Utterance

FOLDS_NAME = "folds.json"


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Metrics of all folds' answers pooled, and of each fold."""

    pooled: ClassificationMetrics
    folds: list[ClassificationMetrics]


def cross_validate_emotion(
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    folds: int = 5,
    plan: RecognizerPlan | None = None,
    labels: Sequence[str] = (),
    permute_labels: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    callbacks: TrainingCallbacks | None = None,
) -> CrossValidation:
    """Leave actors out in turn: train on the others, test on them.

    Each fold is tested once; the one after it chooses the epoch, and all others are
    learnt from. So no actor that is tested has been learnt from, or has chosen the epoch.

    Parameters
    ----------
    manifest : path-like
        CSV or Parquet, one row per utterance, with the columns ``label`` and
        ``speaker``. Its splits do not matter.
    output : path-like
        Folder for the folds' models, ``fold1`` and so on, and ``folds.json``.
    folds : int
        How many; 3 or more, and at most as many as there are speakers.
    plan, labels, permute_labels, resume, overwrite, cache_dir, jobs, callbacks
        As in `train_emotion`.

    Returns
    -------
    CrossValidation
        Metrics of each fold, and of all answers together.

    Raises
    ------
    AvalignError
        As `train_emotion`; ParameterError also if the folds cannot be made.
    """
    plan, callbacks = plan or emotion_plan(), callbacks or TrainingCallbacks()
    plan.check()
    if folds < 3:
        raise ParameterError(
            f"{folds} folds leave nothing to learn from", "choose 3 or more: test, dev, train"
        )
    whole = with_targets(read_manifest(manifest), ())
    for row in whole:
        if not row.speaker:
            raise ParameterError(
                f"{whole.name_of(row)} names no speaker", "fill the column 'speaker'"
            )
    classes = settle_classes(whole, whole, labels, ())
    split = fold_split(whole, folds, seed=plan.loop.seed)
    names = sorted({row.split for row in split})
    run_files = [f"{name}/{file}" for name in names for file in RUN_FILES]
    with run_folder(
        output,
        inputs=(manifest, *plan.recordings),
        overwrite=overwrite,
        resume=resume,
        names=(*run_files, FOLDS_NAME),
    ) as folder:
        utterances, skipped = labelled_utterances(split, plan, classes, (), cache_dir, jobs)
        part_of = {row.speaker: row.split for row in split}
        found: list[ClassificationMetrics] = []
        with processes(plan.device) as team:
            for number, name in enumerate(names):
                train, dev, test = _roles(utterances, part_of, names, number)
                if permute_labels:
                    train, dev = (
                        permute_classes(part, plan.loop.seed) for part in (train, dev)
                    )
                callbacks.begin(f"{name} of {folds}")
                facts = {"labels_permuted": permute_labels, "test": name}
                result = fit_emotion(
                    Corpus(train, dev, skipped, facts),
                    plan,
                    classes,
                    (),
                    folder / name,
                    resume,
                    callbacks.part(number / folds, (number + 1) / folds),
                )
                batches = condition_batches(
                    test,
                    result.model.settings,
                    Condition("all"),
                    batch_size=plan.loop.batch_size,
                    seed=plan.loop.seed,
                )
                found.append(class_metrics(result.model, batches))
            validated = CrossValidation(_pooled(found, classes), found)
            if team.writes:
                _write_folds(folder / FOLDS_NAME, validated, permute_labels)
        return validated


def _roles(
    utterances: Sequence[Utterance],
    part_of: Mapping[str, str],
    names: Sequence[str],
    number: int,
) -> tuple[list[Utterance], list[Utterance], list[Utterance]]:
    """Deal utterances to train, dev and test, when fold `number` is tested."""
    tested, chooser = names[number], names[(number + 1) % len(names)]
    roles: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for one in utterances:
        part = part_of[one.speaker]
        roles["test" if part == tested else "dev" if part == chooser else "train"].append(one)
    for role, members in roles.items():
        if not members:
            raise ParameterError(
                f"{tested}: no clip for {role} can be used", "choose fewer folds"
            )
    return roles["train"], roles["dev"], roles["test"]


def _pooled(
    folds: Sequence[ClassificationMetrics], classes: Sequence[str]
) -> ClassificationMetrics:
    """Compute the metrics of all folds' answers together, from their confusions."""
    pairs = [
        (label, answer)
        for fold in folds
        for label, row in zip(classes, fold.confusion, strict=True)
        for answer, count in zip(classes, row, strict=True)
        for _ in range(count)
    ]
    truth, answers = zip(*pairs, strict=True)
    return classification_metrics(truth, answers, classes)


def _write_folds(path: Path, validated: CrossValidation, permute_classes: bool) -> None:
    uars = [fold.unweighted_average_recall for fold in validated.folds]
    facts: Mapping[str, Any] = {
        "labels_permuted": permute_classes,
        "uar_mean": float(np.mean(uars)),
        "uar_deviation": float(np.std(uars, ddof=1)),
        "pooled": validated.pooled.as_dict(),
        "folds": [fold.as_dict() for fold in validated.folds],
    }
    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
