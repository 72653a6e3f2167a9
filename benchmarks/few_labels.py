"""``python -m benchmarks few-labels``: what is learnt from 1, 10 and 100 % of the labels.

An emotion recogniser is trained from scratch on each fraction of the labels of train, chosen by
the same fraction of dev, and tested on all of test. Every fraction gets as many steps as all
labels do. Repeats draw other labels and other first weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from avalign.data import Manifest, check_split, label_subset, read_manifest
from avalign.errors import ParameterError
from avalign.recognition import (
    Condition,
    Utterance,
    class_metrics,
    condition_batches,
    utterance_name,
)
from avalign.train.recognizer import (
    Corpus,
    RecognizerPlan,
    TrainingCallbacks,
    emotion_plan,
    fit_emotion,
    labelled_utterances,
    settle_classes,
    with_targets,
)
from benchmarks.results import write_rows

__all__ = ["SHARES", "FewLabels", "run_few_labels"]

SHARES = (0.01, 0.1, 1.0)
PARTS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class FewLabels:
    """What a fraction of the labels came to.

    Parameters
    ----------
    share : float
        Fraction of the labels.
    clips : int
        Clips that were learnt from.
    uar : float
        Unweighted average recall on test, mean over repeats.
    uar_deviation : float
        Its standard deviation over repeats; NaN for a single one.
    chance : float
        Unweighted average recall of a guess.
    """

    share: float
    clips: int
    uar: float
    uar_deviation: float
    chance: float


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of a split that could be loaded, and what they hold, in one order."""

    rows: Manifest
    utterances: list[Utterance]

    def subset(self, fraction: float, seed: int) -> list[Utterance]:
        """Keep a fraction of the labels."""
        kept = label_subset(self.rows, fraction, seed=seed)
        names = {utterance_name(kept, row) for row in kept}
        return [one for one in self.utterances if one.name in names]


def run_few_labels(
    data: Path,
    *,
    out: Path,
    cache: Path | None = None,
    shares: Sequence[float] = SHARES,
    repeats: int = 3,
    seed: int = 0,
    plan: RecognizerPlan | None = None,
) -> list[FewLabels]:
    """Train on each fraction of the labels, print the curve, write ``few-labels.csv``.

    Parameters
    ----------
    data : Path
        Manifest with labels, and the splits train, dev and test by speaker.
    out : Path
        Folder of the file.
    cache : Path, optional
        Where extracted clips are kept.
    shares : sequence of float
        Fractions of the labels.
    repeats : int
        How often each fraction is drawn and learnt.
    seed : int
        Of the first repeat.
    plan : RecognizerPlan, optional
        How all labels are learnt; by default as `emotion_plan` says.

    Returns
    -------
    list of FewLabels
        One for each fraction.

    Raises
    ------
    ParameterError
        If a part has no labels, speakers are in several parts, or a fraction is out of range.
    MediaError
        If the manifest cannot be read.
    """
    plan = plan or emotion_plan()
    plan.check()
    manifest = read_manifest(data)
    rows = {name: _labelled(manifest, name) for name in PARTS}
    check_split(Manifest(manifest.path, tuple(row for name in PARTS for row in rows[name])))
    classes = settle_classes(rows["train"], rows["dev"], (), ())
    settle_classes(rows["train"], rows["test"], classes, ())
    parts = {name: _load(rows[name], plan, classes, cache) for name in PARTS}
    console = Console(stderr=True)
    curve = []
    for fraction in shares:
        uars = []
        for repeat in range(repeats):
            console.print(f"{fraction:.0%} of the labels, {repeat + 1} of {repeats} ...")
            uars.append(_trained_uar(parts, plan, classes, fraction, seed + repeat))
        curve.append(
            FewLabels(
                fraction,
                len(parts["train"].subset(fraction, seed)),
                float(np.mean(uars)),
                float(np.std(uars, ddof=1)) if repeats > 1 else float("nan"),
                1 / len(classes),
            )
        )
    _print(curve)
    write_rows([asdict(point) for point in curve], out / "few-labels.csv")
    return curve


def _labelled(manifest: Manifest, name: str) -> Manifest:
    part = manifest.select(split=name)
    if not part.rows:
        raise ParameterError(
            f"{manifest.path} has no rows with split={name} among its {len(manifest)}",
            "make a split of three parts with avalign data split",
        )
    return with_targets(part, ())


def _load(
    rows: Manifest, plan: RecognizerPlan, classes: tuple[str, ...], cache: Path | None
) -> _Part:
    utterances, _ = labelled_utterances(rows, plan, classes, (), cache, None)
    names = {one.name for one in utterances}
    usable = tuple(row for row in rows if utterance_name(rows, row) in names)
    return _Part(Manifest(rows.path, usable), utterances)


def _trained_uar(
    parts: dict[str, _Part],
    plan: RecognizerPlan,
    classes: tuple[str, ...],
    fraction: float,
    seed: int,
) -> float:
    """Train on a fraction of train and dev; give the recall on test."""
    train, dev = (parts[name].subset(fraction, seed) for name in ("train", "dev"))
    longer = max(1, round(len(parts["train"].utterances) / len(train)))
    loop = replace(
        plan.loop,
        seed=seed,
        epochs=plan.loop.epochs * longer,
        patience=plan.loop.patience * longer,
        test_every=plan.loop.test_every * longer,
    )
    with tempfile.TemporaryDirectory() as folder:
        result = fit_emotion(
            Corpus(train, dev, [], {"share_of_labels": fraction}),
            replace(plan, loop=loop),
            classes,
            (),
            Path(folder),
            resume=False,
            callbacks=TrainingCallbacks(),
        )
    batches = condition_batches(
        parts["test"].utterances,
        result.model.settings,
        Condition("all"),
        batch_size=plan.loop.batch_size,
        seed=seed,
    )
    return class_metrics(result.model, batches).unweighted_average_recall


def _print(curve: Sequence[FewLabels]) -> None:
    table = Table(box=SIMPLE_HEAD, title=f"Few labels (chance: {curve[0].chance:.0%})")
    for heading in ("labels", "clips", "UAR", "deviation"):
        table.add_column(heading, justify="right")
    for point in curve:
        table.add_row(
            f"{point.share:.0%}",
            f"{point.clips:,}",
            f"{point.uar:.1%}",
            f"{point.uar_deviation:.1%}",
        )
    Console().print(table)
