"""Metrics of classification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.recognition.metrics.result import Metrics, check_pairs, ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class ClassificationMetrics(Metrics):
    """Metrics of classification.

    Parameters
    ----------
    accuracy : float
        Fraction of right answers.
    unweighted_average_recall : float
        Mean of the recalls of all classes that occur (UAR).
    macro_precision, macro_recall, macro_f1 : float
        Means over all classes that occur or were answered.
    auc : float or None
        Area under the ROC curve, one class against the rest, mean over classes; None
        without scores, or where a class never or always occurs.
    precision, recall, f1 : dict of str to float or None
        By class; None where the class was never answered (precision), never occurs
        (recall), or neither (F1). The macro means count these as 0.
    confusion : list of list of int
        Rows are true classes, columns answers, both in the order of `classes`.
    classes : list of str
        Names of the classes.
    n_items : int
        How many items there are.
    """

    accuracy: float
    unweighted_average_recall: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    auc: float | None
    precision: Mapping[str, float | None]
    recall: Mapping[str, float | None]
    f1: Mapping[str, float | None]
    confusion: list[list[int]]
    classes: list[str]
    n_items: int


def classification_metrics(
    truth: Sequence[str],
    answers: Sequence[str],
    classes: Sequence[str],
    scores: ArrayLike | None = None,
) -> ClassificationMetrics:
    """Compare classes with the true ones.

    Parameters
    ----------
    truth, answers : sequence of str
        The class of each item, and the one that was answered.
    classes : sequence of str
        Names of all classes.
    scores : array-like of shape (N, number of classes), optional
        Scores or probabilities of each class, for `auc`.

    Returns
    -------
    ClassificationMetrics
        All metrics.

    Raises
    ------
    ParameterError
        If there are no items, lengths differ, a class is unknown, or scores are no numbers.
    """
    check_pairs("items", len(truth), len(answers))
    if not truth:
        raise ParameterError("there are no items to compare", "pass at least one")
    names = list(classes)
    number = {name: index for index, name in enumerate(names)}
    if len(number) < len(names):
        raise ParameterError(f"classes holds a name twice: {names}", "name each class once")
    unknown = sorted({*truth, *answers} - number.keys())
    if unknown:
        raise ParameterError(
            f"the class {unknown[0]!r} is not among {', '.join(names)}", "name all classes"
        )
    true = np.array([number[name] for name in truth])
    answered = np.array([number[name] for name in answers])
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (true, answered), 1)
    hits, occurs, given = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    occurring = (occurs + given) > 0
    precision = [ratio(hit, n) for hit, n in zip(hits, given, strict=True)]
    recall = [ratio(hit, n) for hit, n in zip(hits, occurs, strict=True)]
    f1 = [ratio(2 * hit, n) for hit, n in zip(hits, occurs + given, strict=True)]
    return ClassificationMetrics(
        accuracy=float(hits.sum() / len(true)),
        unweighted_average_recall=_mean(recall, occurs > 0),
        macro_precision=_mean(precision, occurring),
        macro_recall=_mean(recall, occurring),
        macro_f1=_mean(f1, occurring),
        auc=None if scores is None else _macro_auc(true, _check_scores(scores, truth, names)),
        precision=dict(zip(names, precision, strict=True)),
        recall=dict(zip(names, recall, strict=True)),
        f1=dict(zip(names, f1, strict=True)),
        confusion=confusion.tolist(),
        classes=names,
        n_items=len(true),
    )


def _mean(values: Sequence[float | None], which: NDArray[np.bool_]) -> float:
    return float(
        np.mean([value or 0.0 for value, use in zip(values, which, strict=True) if use])
    )


def _check_scores(
    scores: ArrayLike, truth: Sequence[str], names: Sequence[str]
) -> NDArray[np.float64]:
    checked = np.asarray(scores, np.float64)
    if checked.shape != (len(truth), len(names)) or np.isnan(checked).any():
        raise ParameterError(
            f"scores has the shape {checked.shape}, or holds NaN",
            f"pass numbers of shape ({len(truth)}, {len(names)})",
        )
    return checked


def _macro_auc(true: NDArray[np.int64], scores: NDArray[np.float64]) -> float | None:
    areas = []
    for column in range(scores.shape[1]):
        is_class = true == column
        n_in, n_out = int(is_class.sum()), int((~is_class).sum())
        if not (n_in and n_out):
            return None
        # Mann-Whitney: the fraction of pairs in the right order; a tie counts one half.
        _, inverse, counts = np.unique(
            scores[:, column], return_inverse=True, return_counts=True
        )
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
        areas.append((ranks[is_class].sum() - n_in * (n_in + 1) / 2) / (n_in * n_out))
    return float(np.mean(areas))
