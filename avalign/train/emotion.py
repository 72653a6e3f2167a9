"""Train emotion recognition on a manifest: classes or numbers, over any fusion.

Actors are never on both sides of a split: a model that knows a face and a voice seems to
know what they feel.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.data.manifest import Manifest, read_manifest
from avalign.data.splits import fold_split
from avalign.errors import MissingDependencyError, ParameterError
from avalign.media import atomic_output
from avalign.tasks.metrics import ClassificationMetrics, classification_metrics

try:
    from avalign.tasks.settings import RecognizerSettings
    from avalign.train.batches import Condition, condition_batches
    from avalign.train.distributed import processes
    from avalign.train.loop import Result, prepare_folder
    from avalign.train.recognizer import (
        Corpus,
        Telling,
        TrainingPlan,
        read_parts,
        refuse_leaks,
        train_recognizer,
        training_noises,
    )
    from avalign.train.scores import EmotionTest, class_metrics
    from avalign.train.utterances import NO_LABEL, Skipped, Utterance, load_utterances
except (ImportError, OSError) as error:
    raise MissingDependencyError(
        f"training needs torch, which does not load: {error}",
        'pip install "avalign[recognition]"',
    ) from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avalign.data.manifest import ManifestRow

__all__ = ["CrossValidation", "cross_validate_emotion", "train_emotion"]

FOLDS_NAME = "folds.json"


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What leaving actors out in turn told.

    Parameters
    ----------
    pooled : ClassificationMetrics
        Over the answers of all folds together.
    folds : list of ClassificationMetrics
        One per fold.
    """

    pooled: ClassificationMetrics
    folds: list[ClassificationMetrics]


def train_emotion(
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    plan: TrainingPlan | None = None,
    labels: Sequence[str] = (),
    values: Sequence[str] = (),
    permute_labels: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    telling: Telling | None = None,
) -> Result:
    """Train an emotion recogniser and write its folder.

    Rows of the split ``train`` that have a label, or the values asked for, are learnt
    from; those of ``dev``, by other speakers, choose the epoch.

    Parameters
    ----------
    manifest : path-like
        CSV or Parquet, one row per utterance, with the column ``label``.
    output : path-like
        Folder for the model; see `avalign.train.speech.train_speech`.
    plan : TrainingPlan, optional
        How to learn.
    labels : sequence of str, optional
        The classes; by default those of the training rows.
    values : sequence of str, optional
        Columns with numbers to predict, such as ``valence``; none by default.
    permute_labels : bool
        Control: deal the labels of the training rows anew, at random. What is learnt
        then must not do better than chance.
    resume, overwrite : bool
        Go on with the run in the folder, or replace it.
    cache_dir : path-like, optional
        Where extracted clips are kept.
    jobs : int, optional
        Files extracted at once; all cores by default.
    telling : Telling, optional
        Whom to tell how it goes.

    Returns
    -------
    Result
        The best model and the curves.

    Raises
    ------
    ParameterError
        If a part of the manifest is empty or without labels, a label is not among
        `labels`, a value is no number, or speakers are in both parts.
    MediaError
        If a file cannot be read or written.
    NoAnswerError
        If the loss is not finite; the last checkpoint stays.
    """
    plan, telling = plan or TrainingPlan(), telling or Telling()
    plan.check()
    train_rows, dev_rows = (_with_targets(part, values) for part in read_parts(manifest))
    refuse_leaks(train_rows, dev_rows)
    classes = _classes(train_rows, dev_rows, labels, values)
    for part in (train_rows, dev_rows):
        for row in part:
            _values(row, values)
    prepare_folder(Path(output), overwrite=overwrite, resume=resume)
    loaded = [
        _loaded(part, plan, classes, values, cache_dir, jobs) for part in (train_rows, dev_rows)
    ]
    (train, skipped_train), (dev, skipped_dev) = loaded
    if permute_labels:
        train = _permuted(train, plan.loop.seed)
    corpus = Corpus(
        train, dev, [*skipped_train, *skipped_dev], {"labels_permuted": permute_labels}
    )
    return _fit(corpus, plan, classes, tuple(values), Path(output), resume, telling)


def cross_validate_emotion(
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    folds: int = 5,
    plan: TrainingPlan | None = None,
    labels: Sequence[str] = (),
    permute_labels: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    telling: Telling | None = None,
) -> CrossValidation:
    """Leave actors out in turn: train on the others, test on them.

    Each fold is tested once; the one after it chooses the epoch, and all others are
    learnt from. So no actor that is tested has had a say in anything.

    Parameters
    ----------
    manifest : path-like
        CSV or Parquet, one row per utterance, with the columns ``label`` and
        ``speaker``. Its splits do not matter.
    output : path-like
        Folder for the folds' models, ``fold1`` and so on, and ``folds.json``.
    folds : int
        How many; 3 or more, and at most as many as there are speakers.
    plan, labels, permute_labels, resume, overwrite, cache_dir, jobs, telling
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
    plan, telling = plan or TrainingPlan(), telling or Telling()
    plan.check()
    if folds < 3:
        raise ParameterError(
            f"{folds} folds leave nothing to learn from", "choose 3 or more: test, dev, train"
        )
    folder = Path(output)
    whole = _with_targets(read_manifest(manifest), ())
    for row in whole:
        if not row.speaker:
            raise ParameterError(
                f"{whole.name_of(row)} names no speaker", "fill the column 'speaker'"
            )
    classes = _classes(whole, whole, labels, ())
    split = fold_split(whole, folds, seed=plan.loop.seed)
    names = sorted({row.split for row in split})
    for name in names:
        prepare_folder(folder / name, overwrite=overwrite, resume=resume)
    utterances, skipped = _loaded(split, plan, classes, (), cache_dir, jobs)
    part_of = {row.speaker: row.split for row in split}
    found: list[ClassificationMetrics] = []
    with processes(plan.device) as team:
        for number, name in enumerate(names):
            train, dev, test = _roles(utterances, part_of, names, number)
            facts = {"labels_permuted": permute_labels, "test": name}
            result = _fit(
                Corpus(
                    _permuted(train, plan.loop.seed) if permute_labels else train,
                    dev,
                    skipped,
                    facts,
                ),
                plan,
                classes,
                (),
                folder / name,
                resume,
                telling.part(number / folds, (number + 1) / folds),
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


def _fit(
    corpus: Corpus,
    plan: TrainingPlan,
    classes: tuple[str, ...],
    values: tuple[str, ...],
    folder: Path,
    resume: bool,
    telling: Telling,
) -> Result:
    settings = RecognizerSettings(**plan.shape(), labels=classes, values=values)
    conditions = [Condition("all")]
    if len(settings.streams) > 1:
        conditions += [Condition(name, (name,)) for name in sorted(settings.streams)]
    test = EmotionTest(
        corpus.dev,
        settings,
        conditions,
        batch_size=plan.loop.batch_size,
        seed=plan.loop.seed,
    )
    return train_recognizer(
        "emotion",
        settings,
        corpus,
        test,
        plan,
        folder,
        training_noises(corpus.train, plan),
        resume=resume,
        telling=telling,
    )


def _classes(
    train: Manifest, dev: Manifest, labels: Sequence[str], values: Sequence[str]
) -> tuple[str, ...]:
    """Settle the classes, and refuse rows of others."""
    classes = tuple(labels) or tuple(sorted({row.label for row in train if row.label}))
    for row in (*train.rows, *dev.rows):
        if row.label and row.label not in classes:
            raise ParameterError(
                f"{train.name_of(row)} has the unknown label {row.label!r}",
                f"the labels are {', '.join(classes)}",
            )
    if len(classes) < 2 and not (values and not classes):
        raise ParameterError(
            f"{train.path} has only the label {', '.join(classes)!r} in training",
            "give rows of two classes or more",
        )
    return classes


def _with_targets(part: Manifest, values: Sequence[str]) -> Manifest:
    rows = tuple(
        row for row in part.rows if row.label or any(row.extra.get(name, "") for name in values)
    )
    if not rows:
        wanted = " or ".join(["label", *values])
        raise ParameterError(
            f"none of the {len(part)} rows of {part.path} has a {wanted}",
            "fill the column 'label'",
        )
    return Manifest(part.path, rows)


def _values(row: ManifestRow, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    numbers = []
    for name in names:
        text = row.extra.get(name, "")
        try:
            numbers.append(float(text) if text else np.nan)
        except ValueError:
            raise ParameterError(
                f"{row.path.name} has {text!r} as {name}", "write numbers in that column"
            ) from None
    return np.array(numbers, np.float32)


def _loaded(
    part: Manifest,
    plan: TrainingPlan,
    classes: tuple[str, ...],
    values: Sequence[str],
    cache_dir: str | os.PathLike[str] | None,
    jobs: int | None,
) -> tuple[list[Utterance], list[Skipped]]:
    pairs, skipped = load_utterances(part, plan.streams, cache_dir=cache_dir, jobs=jobs)
    if not pairs:
        raise ParameterError(
            f"none of the {len(part)} clips of {part.path} can be used: {skipped[0].reason}"
        )
    targeted = [
        replace(
            utterance,
            label=classes.index(row.label) if row.label else NO_LABEL,
            values=_values(row, values),
        )
        for row, utterance in pairs
    ]
    return targeted, skipped


def _permuted(utterances: Sequence[Utterance], seed: int) -> list[Utterance]:
    order = np.random.default_rng(seed).permutation(len(utterances))
    return [
        replace(one, label=utterances[int(other)].label)
        for one, other in zip(utterances, order, strict=True)
    ]


def _write_folds(path: Path, validated: CrossValidation, permuted: bool) -> None:
    uars = [fold.unweighted_average_recall for fold in validated.folds]
    facts: Mapping[str, Any] = {
        "labels_permuted": permuted,
        "uar_mean": float(np.mean(uars)),
        "uar_deviation": float(np.std(uars, ddof=1)),
        "pooled": validated.pooled.as_dict(),
        "folds": [fold.as_dict() for fold in validated.folds],
    }
    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
