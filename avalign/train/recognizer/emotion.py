"""Train emotion recognition on a manifest: classes or numbers, over any fusion.

Actors are never on both sides of a split: a model that recognises them would score too high.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.data import Manifest
from avalign.errors import ParameterError
from avalign.recognition import (
    NO_LABEL,
    Condition,
    EmotionTest,
    RecognizerSettings,
    Skipped,
    Utterance,
    load_utterances,
    training_noises,
)
from avalign.train.recognizer.loop import Result
from avalign.train.recognizer.plans import RecognizerPlan, TrainingCallbacks, emotion_plan
from avalign.train.recognizer.run_folder import run_folder
from avalign.train.recognizer.training import (
    Corpus,
    read_parts,
    refuse_leaks,
    train_recognizer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avalign.data import ManifestRow


def train_emotion(
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    plan: RecognizerPlan | None = None,
    labels: Sequence[str] = (),
    values: Sequence[str] = (),
    permute_labels: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    callbacks: TrainingCallbacks | None = None,
) -> Result:
    """Train an emotion recogniser and write its folder.

    Rows of the split ``train`` that have a label, or the values asked for, are learnt
    from; those of ``dev``, by other speakers, choose the epoch.

    Parameters
    ----------
    manifest : path-like
        CSV or Parquet, one row per utterance, with the column ``label``.
    output : path-like
        Folder for the model; see `avalign.train.recognizer.speech.train_speech`.
    plan : RecognizerPlan, optional
        How to learn; by default as `avalign.train.recognizer.plans.emotion_plan` says.
    labels : sequence of str, optional
        The classes; by default those of the training rows.
    values : sequence of str, optional
        Columns with numbers to predict, such as ``valence``; none by default.
    permute_labels : bool
        Control: permute the labels of the training rows, and those of the
        rows that choose the epoch. What is learnt then must not do better than chance.
    resume, overwrite : bool
        Go on with the run in the folder, or replace it.
    cache_dir : path-like, optional
        Where extracted clips are cached.
    jobs : int, optional
        Files extracted at once; all cores by default.
    callbacks : TrainingCallbacks, optional
        Called as training goes on.

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
    plan, callbacks = plan or emotion_plan(), callbacks or TrainingCallbacks()
    plan.check()
    train_rows, dev_rows = (with_targets(part, values) for part in read_parts(manifest))
    refuse_leaks(train_rows, dev_rows)
    classes = settle_classes(train_rows, dev_rows, labels, values)
    for part in (train_rows, dev_rows):
        for row in part:
            _values(row, values)
    inputs = (manifest, *plan.recordings)
    with run_folder(output, inputs=inputs, overwrite=overwrite, resume=resume) as folder:
        loaded = [
            labelled_utterances(part, plan, classes, values, cache_dir, jobs)
            for part in (train_rows, dev_rows)
        ]
        (train, skipped_train), (dev, skipped_dev) = loaded
        if permute_labels:
            train, dev = (permute_classes(part, plan.loop.seed) for part in (train, dev))
        corpus = Corpus(
            train, dev, [*skipped_train, *skipped_dev], {"labels_permuted": permute_labels}
        )
        return fit_emotion(corpus, plan, classes, tuple(values), folder, resume, callbacks)


def fit_emotion(
    corpus: Corpus,
    plan: RecognizerPlan,
    classes: tuple[str, ...],
    values: tuple[str, ...],
    folder: Path,
    resume: bool,
    callbacks: TrainingCallbacks,
) -> Result:
    """Train on utterances that have their labels.

    Parameters
    ----------
    corpus : Corpus
        What to learn from.
    plan : RecognizerPlan
        How to learn.
    classes, values : tuple of str
        Names of the classes, and of the numbers to predict.
    folder : Path
        Where to.
    resume : bool
        Go on with the run in the folder.
    callbacks : TrainingCallbacks
        Called as training goes on.

    Returns
    -------
    Result
        The model and the curves.

    Raises
    ------
    AvalignError
        As `avalign.train.recognizer.training.train_recognizer`.
    """
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
        training_noises(corpus.train, plan.voices, plan.recordings),
        resume=resume,
        callbacks=callbacks,
    )


def settle_classes(
    train: Manifest, dev: Manifest, labels: Sequence[str], values: Sequence[str]
) -> tuple[str, ...]:
    """Determine the classes, and refuse rows of others.

    Parameters
    ----------
    train, dev : Manifest
        Rows with labels or values.
    labels : sequence of str
        The classes; where there are none, those of the training rows.
    values : sequence of str
        Columns with numbers to predict; with them, there need be no classes.

    Returns
    -------
    tuple of str
        The classes.

    Raises
    ------
    ParameterError
        If a row has another label, or there are fewer than two.
    """
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


def with_targets(part: Manifest, values: Sequence[str]) -> Manifest:
    """Keep the rows that have a label or a value.

    Parameters
    ----------
    part : Manifest
        Rows.
    values : sequence of str
        Columns with numbers to predict.

    Returns
    -------
    Manifest
        Those that say what is to be learnt.

    Raises
    ------
    ParameterError
        If there are none, or none has one of the values.
    """
    for name in values:
        if not any(row.extra.get(name, "") for row in part):
            raise ParameterError(
                f"no row of {part.path} has a number in the column {name!r}",
                "name a column of your own, with numbers in it",
            )
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


def labelled_utterances(
    part: Manifest,
    plan: RecognizerPlan,
    classes: tuple[str, ...],
    values: Sequence[str],
    cache_dir: str | os.PathLike[str] | None,
    jobs: int | None,
) -> tuple[list[Utterance], list[Skipped]]:
    """Load utterances, and give them their labels and values.

    Parameters
    ----------
    part : Manifest
        Rows with labels or values.
    plan : RecognizerPlan
        Which streams are read.
    classes, values : sequence of str
        Names of the classes, and of the columns with numbers.
    cache_dir : path-like or None
        Where extracted clips are cached.
    jobs : int or None
        Files extracted at once.

    Returns
    -------
    utterances : list of Utterance
        In file order.
    skipped : list of Skipped
        Files that cannot be used.

    Raises
    ------
    ParameterError
        If none can be used.
    """
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


def permute_classes(utterances: Sequence[Utterance], seed: int) -> list[Utterance]:
    """Permute the classes of utterances at random: a control that must learn nothing."""
    order = np.random.default_rng(seed).permutation(len(utterances))
    return [
        replace(one, label=utterances[int(other)].label)
        for one, other in zip(utterances, order, strict=True)
    ]
