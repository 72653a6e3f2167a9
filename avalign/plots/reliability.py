"""The reliability diagram of confidence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.plots.figures import AUDIO, FAINT, INK, in_own_style, new_figure, save_png

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@in_own_style
def plot_reliability(
    confidence: ArrayLike,
    accuracy: ArrayLike,
    counts: ArrayLike,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> None:
    """Draw how often answers of each confidence were right.

    Parameters
    ----------
    confidence : array-like of float, shape (B,)
        Mean confidence of each bin, from 0 to 1.
    accuracy : array-like of float, shape (B,)
        Fraction of the bin that was right.
    counts : array-like of int, shape (B,)
        How many cases the bin holds.
    path : path-like
        The PNG to write.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ParameterError
        If the three differ in length, are empty, or hold no probabilities.
    MissingDependencyError
        If matplotlib is not installed.
    MediaError
        If the file exists already or cannot be written.
    """
    confidence, accuracy, counts = (
        np.asarray(column, np.float64) for column in (confidence, accuracy, counts)
    )
    fractions = np.concatenate([confidence.ravel(), accuracy.ravel()])
    if not (confidence.shape == accuracy.shape == counts.shape == (confidence.size,)) or not (
        confidence.size and ((fractions >= 0) & (fractions <= 1)).all() and (counts > 0).all()
    ):
        raise ParameterError(
            f"bins of shapes {confidence.shape}, {accuracy.shape} and {counts.shape} cannot be "
            "drawn",
            "give one confidence and accuracy from 0 to 1, and a count above 0, per bin",
        )
    error = float(np.average(np.abs(confidence - accuracy), weights=counts))
    # Wilson's interval: it stays within 0 and 1 even in small bins.
    z2 = 1.96**2
    middle = (accuracy + z2 / (2 * counts)) / (1 + z2 / counts)
    half = np.sqrt(z2 * (accuracy * (1 - accuracy) + z2 / (4 * counts)) / counts)
    half = half / (1 + z2 / counts)

    figure = new_figure(5.4, 5.4)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.13, right=0.96, top=0.86, bottom=0.12)
    figure.text(
        0.04,
        0.945,
        "How far to trust the confidence",
        fontsize=14,
        fontweight="bold",
        color=INK,
    )
    figure.text(
        0.04,
        0.9,
        f"{int(counts.sum())} windows, expected calibration error {error:.3f}",
        fontsize=10,
        color=FAINT,
    )
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.vlines(confidence, middle - half, middle + half, color=AUDIO, linewidth=1.5, alpha=0.6)
    area = 30 + 250 * counts / counts.max()
    axes.scatter(confidence, accuracy, s=area, color=AUDIO, edgecolor="white", zorder=3)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xlabel("confidence")
    axes.set_ylabel("share within 40 ms")
    axes.grid(color=FAINT, alpha=0.2)
    save_png(figure, path, overwrite)
