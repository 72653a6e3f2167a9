"""Fit the map from evidence to confidence, on clips the model has not learnt from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.align import CLOSE_S, LagCalibration, align_streams, confidence_interval
from avalign.data import SourceClip, cut_window, load_clips, usable_starts
from avalign.errors import ParameterError
from avalign.types import Alignment

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from avalign.data import ManifestRow
    from avalign.space import Space

ROLES = frozenset({"in_sync", "in_sync_unverified"})
LENGTHS_S = (1.0, 2.0, 5.0, 10.0)
LARGEST_LAG_S = 0.8
WINDOWS_PER_CLIP = 36
# Every window is measured with the sound of another clip as well: such files exist, and a
# confidence that has never met them would trust them. They count as this fraction of all.
FOREIGN_FRACTION = 0.04
# The posterior as it comes, given a match.
NEUTRAL = LagCalibration(30.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Trial:
    """One window with a known answer."""

    speaker: str
    length_s: float
    found: Alignment
    error_s: float  # estimate minus truth; infinite for another clip's audio

    @property
    def features(self) -> tuple[float, float]:
        """How clearly a lag stands out, and how well sound and lips fit."""
        mass, log_odds, overlap_s = self.evidence
        return LagCalibration.lag_feature(mass), LagCalibration.match_feature(
            log_odds, overlap_s
        )

    @property
    def evidence(self) -> tuple[float, float, float]:
        """Mass within 40 ms, log odds of a match, and overlap in seconds."""
        known = self.found.diagnostics
        return known["mass_within_40_ms"], known["match_log_odds"], known["overlap_s"]

    @property
    def correct(self) -> bool:
        """Whether the estimate is within 40 ms of the truth."""
        return abs(self.error_s) <= CLOSE_S


def fit_calibration(
    model: Space,
    rows: Sequence[ManifestRow],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> LagCalibration:
    """Fit a model's calibration on rows that it has not learnt from."""
    return fit_to_trials(
        run_trials(model, rows, cache_dir=cache_dir, seed=seed, jobs=jobs, progress=progress)
    )


def run_trials(
    model: Space,
    rows: Sequence[ManifestRow],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Trial]:
    """Measure windows with injected lags, and some with foreign sound.

    Parameters
    ----------
    model : Space
        The model.
    rows : sequence of ManifestRow
        Where the windows come from.
    cache_dir : path-like, optional
        Where extracted clips are cached.
    seed : int, optional
        Seed of the windows.
    jobs : int, optional
        Clips extracted at a time; default all cores.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    list of Trial
        In the order of the rows.
    """
    natural = [row for row in rows if row.role in ROLES and row.dataset != "grid"]
    clips = [
        (loaded.row, loaded.clip)
        for loaded in load_clips(natural, cache_dir=cache_dir, jobs=jobs)
        if loaded.clip is not None
    ]
    random = np.random.default_rng(seed)
    trials: list[Trial] = []
    for number, (row, clip) in enumerate(clips):
        others = [other for kept, other in clips if kept.speaker != row.speaker]
        trials.extend(_measure(model, row.speaker, clip, others, random))
        if progress:
            progress((number + 1) / len(clips))
    return trials


def _measure(
    model: Space,
    speaker: str,
    clip: SourceClip,
    others: Sequence[SourceClip],
    random: np.random.Generator,
) -> Iterator[Trial]:
    whole = align_streams(clip.streams, model=model, calibration=NEUTRAL).alignment
    if whole is None:
        return
    for length_s in LENGTHS_S:
        starts = usable_starts(clip.streams, length_s)
        for start_s in random.choice(starts, min(len(starts), WINDOWS_PER_CLIP), replace=False):
            start_s, lag_s = (
                float(start_s),
                float(random.uniform(-LARGEST_LAG_S, LARGEST_LAG_S)),
            )
            windows = [(clip, lag_s, whole.audio_lag_s + lag_s)]
            if others:
                other = others[random.integers(len(others))]
                windows.append((_dubbed(clip, other, start_s, length_s, random), 0.0, np.inf))
            for source, moved_s, truth_s in windows:
                window = cut_window(
                    source, start_s=start_s, length_s=length_s, audio_lag_s=moved_s
                )
                found = align_streams(window, model=model, calibration=NEUTRAL).alignment
                if found is not None and not found.at_edge:
                    yield Trial(speaker, length_s, found, found.audio_lag_s - truth_s)


def _dubbed(
    clip: SourceClip,
    other: SourceClip,
    start_s: float,
    length_s: float,
    random: np.random.Generator,
) -> SourceClip:
    """Put any piece of another clip's sound under a window."""
    spare_s = max(0.0, other.audio.duration_s - length_s)
    audio = replace(other.audio, start_s=start_s - float(random.uniform(0, spare_s)))
    return replace(clip, audio=audio)


def fit_to_trials(trials: Sequence[Trial]) -> LagCalibration:
    """Fit the logistic maps, and the deviation that evidence does not remove."""
    correct = np.array([trial.correct for trial in trials], float)
    if len(trials) < 20 or correct.min() == correct.max():
        raise ParameterError(
            f"{len(trials)} windows are too few to calibrate on",
            "give the manifest rows with split=dev and role=in_sync",
        )
    features = np.array([trial.features for trial in trials])
    own = np.array([np.isfinite(trial.error_s) for trial in trials])
    counts = np.ones(len(trials))
    if not own.all():
        counts[own] = (1.0 - FOREIGN_FRACTION) / own.mean()
        counts[~own] = FOREIGN_FRACTION / (1.0 - own.mean())
    match = logistic_regression(features[:, 1:], own.astype(float), counts)
    close = logistic_regression(features[own], correct[own], np.ones(np.count_nonzero(own)))
    unscaled = LagCalibration(
        match_intercept=float(match[0]),
        match_weight=float(match[1]),
        lag_intercept=float(close[0]),
        lag_weight=float(close[1]),
        lag_match_weight=float(close[2]),
        interval_scale=1.0,
        smallest_half_width_s=0.0,
    )
    # What a long clip leaves of the error; half of the longest windows miss by less.
    longest_s = max(trial.length_s for trial in trials if trial.correct)
    at_best = [
        abs(trial.error_s) for trial in trials if trial.correct and trial.length_s == longest_s
    ]
    least_s = float(np.quantile(at_best, 0.5))
    return replace(
        unscaled,
        interval_scale=_interval_scale(trials, unscaled),
        smallest_half_width_s=least_s,
    )


def _interval_scale(trials: Sequence[Trial], calibration: LagCalibration) -> float:
    """Factor at which 95 % of the answers that are rather right than wrong are covered."""
    ratios = []
    for trial in trials:
        confidence = calibration.confidence(*trial.evidence)
        if np.isfinite(trial.error_s) and confidence >= 0.5:
            found = trial.found
            lower, upper = confidence_interval(
                found.curve, found.audio_lag_s, confidence, calibration
            )
            # The truth lies on the lower side of an estimate that is too high.
            late = trial.error_s > 0
            width = found.audio_lag_s - lower if late else upper - found.audio_lag_s
            ratios.append(abs(trial.error_s) / max(width, 1e-4))
    return float(np.quantile(ratios, 0.95)) if ratios else 1.0


def cross_validate(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """Confidence of each trial under a calibration fitted without its speaker.

    Parameters
    ----------
    trials : sequence of Trial
        Windows with known answers.

    Returns
    -------
    ndarray of shape (trials,), float64
        Confidences.
    """
    confidences = np.zeros(len(trials))
    for speaker in {trial.speaker for trial in trials}:
        fitted = fit_to_trials([trial for trial in trials if trial.speaker != speaker])
        for number, trial in enumerate(trials):
            if trial.speaker == speaker:
                confidences[number] = fitted.confidence(*trial.evidence)
    return confidences


def logistic_regression(
    features: NDArray[np.float64],
    outcomes: NDArray[np.float64],
    counts: NDArray[np.float64],
    ridge: float = 1e-2,
) -> NDArray[np.float64]:
    """Fit a logistic map by Newton's method on the likelihood, kept finite by a ridge.

    Parameters
    ----------
    features : ndarray of shape (N, D), float64
        What is known of each case.
    outcomes : ndarray of shape (N,), float64
        1 where it came true, else 0.
    counts : ndarray of shape (N,), float64
        How often each case counts.
    ridge : float, optional
        Weight of the squares of the coefficients.

    Returns
    -------
    ndarray of shape (1 + D,), float64
        The coefficients of the log odds, the intercept first.
    """
    rows = np.column_stack([np.ones(len(features)), features])
    weights = np.zeros(rows.shape[1])
    penalty = ridge * np.eye(rows.shape[1])
    for _ in range(50):
        chance = 1.0 / (1.0 + np.exp(-rows @ weights))
        gradient = rows.T @ (counts * (outcomes - chance)) - penalty @ weights
        curvature = (rows * (counts * chance * (1 - chance))[:, None]).T @ rows + penalty
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return weights
