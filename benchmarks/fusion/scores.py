"""Word error rates of all cells, and their paired differences by clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalign.recognition.metrics import recovery_ratio
from benchmarks.fusion.plan import Scene

__all__ = ["Number", "Scores", "number", "recovery"]

RESAMPLES = 2000

# A value with the ends of its 95 % interval; None where it is not defined.
Number = dict[str, float | None]


class Scores:
    """Word error rates in percent, resampled by clip.

    Clips are drawn once for everything, so that all differences are paired: by clip, and
    over the same words in the same noise. Errors are means over the seeds.

    Parameters
    ----------
    cells : mapping of str to sequence of dict
        As of `benchmarks.fusion.cells.read_cells`.
    texts : sequence of str
        What is said in each clip.
    seed : int
        Of the draws.
    """

    def __init__(
        self, cells: Mapping[str, Sequence[Mapping[str, Any]]], texts: Sequence[str], seed: int
    ) -> None:
        self.cells = cells
        self.words = np.array([len(text.split()) for text in texts], np.float64)
        clips = len(texts)
        draws = np.random.default_rng(seed).integers(clips, size=(RESAMPLES, clips))
        # The first "draw" is the clips themselves.
        self._draws = np.concatenate([np.arange(clips)[None], draws])
        first = next(iter(cells.values()))[0]
        ways = next(iter(first["scenes"].values()))["errors"]
        self.way = "grammar" if "grammar" in ways else "greedy"
        self._known: dict[tuple[str, str, str], NDArray[np.float64]] = {}

    def has(self, name: str, scene: Scene) -> bool:
        """Tell whether a family was tested in a scene.

        Parameters
        ----------
        name : str
            The family.
        scene : Scene
            The scene.

        Returns
        -------
        bool
            Whether all of its cells have it.
        """
        return name in self.cells and all(
            scene.key in cell["scenes"] for cell in self.cells[name]
        )

    def wer(self, name: str, scene: Scene, way: str | None = None) -> NDArray[np.float64]:
        """Word error rate of a family in a scene.

        Parameters
        ----------
        name : str
            The family.
        scene : Scene
            The scene.
        way : str, optional
            ``"greedy"`` or ``"grammar"``; by default the better one that there is.

        Returns
        -------
        ndarray of shape (1 + draws,), float64
            Percent: of all clips, then of each draw.
        """
        way = way or self.way
        key = name, scene.key, way
        if key not in self._known:
            errors = np.mean(
                [cell["scenes"][scene.key]["errors"][way] for cell in self.cells[name]], axis=0
            )
            drawn = errors[self._draws].sum(axis=1) / self.words[self._draws].sum(axis=1)
            self._known[key] = 100.0 * drawn
        return self._known[key]

    def mean_wer(self, names: Sequence[str], scene: Scene) -> NDArray[np.float64]:
        """Mean word error rate over families.

        Parameters
        ----------
        names : sequence of str
            The families.
        scene : Scene
            The scene.

        Returns
        -------
        ndarray of shape (1 + draws,), float64
            As of `wer`.
        """
        mean: NDArray[np.float64] = np.mean([self.wer(name, scene) for name in names], axis=0)
        return mean

    def by_seed(self, name: str, scene: Scene) -> list[float]:
        """Word error rate of each seed.

        Parameters
        ----------
        name : str
            The family.
        scene : Scene
            The scene.

        Returns
        -------
        list of float
            Percent.
        """
        return [
            100.0 * sum(cell["scenes"][scene.key]["errors"][self.way]) / float(self.words.sum())
            for cell in self.cells[name]
        ]


def number(drawn: NDArray[np.float64]) -> Number:
    """Turn a value and its draws into a value with its interval.

    Parameters
    ----------
    drawn : ndarray of shape (1 + draws,), float64
        NaN where it is not defined.

    Returns
    -------
    dict
        ``"value"``, ``"low"``, ``"high"``.
    """
    value, known = float(drawn[0]), drawn[1:][np.isfinite(drawn[1:])]
    if not np.isfinite(value):
        return {"value": None, "low": None, "high": None}
    # An interval of draws most of which are undefined would tell of the rest only.
    low, high = (
        np.percentile(known, [2.5, 97.5]) if len(known) > len(drawn) / 2 else (None,) * 2
    )
    return {
        "value": round(value, 4),
        "low": None if low is None else round(float(low), 4),
        "high": None if high is None else round(float(high), 4),
    }


def recovery(
    misaligned: NDArray[np.float64], aligned: NDArray[np.float64], oracle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fraction of the cost of misalignment that alignment wins back, in percent.

    Parameters
    ----------
    misaligned, aligned, oracle : ndarray of shape (1 + draws,), float64
        Word error rates.

    Returns
    -------
    ndarray of shape (1 + draws,), float64
        NaN where misalignment costs nothing.
    """
    # Rates are quotients of counts: costs that are rounding errors must come out as none.
    rates = np.round(np.stack([misaligned, aligned, oracle], axis=1), 9)
    ratios = [recovery_ratio(*errors) for errors in rates.tolist()]
    return np.array([np.nan if ratio is None else 100.0 * ratio for ratio in ratios])
