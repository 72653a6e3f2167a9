"""``python -m benchmarks calibration``: the confidence, on speakers it was not fitted on.

The windows are those the shipped calibration was fitted on (dev, some with the sound of
another clip), but each speaker's confidences come from a calibration fitted without them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avalign.data import read_manifest
from avalign.plots import plot_reliability
from avalign.space import load_model
from avalign.train.space import cross_validate, run_trials
from benchmarks.statistics import expected_calibration_error, reliability
from benchmarks.sync import console
from benchmarks.tables import SURE

__all__ = ["run_calibration"]


def run_calibration(
    data: Path, *, out: Path, cache: Path | None = None, seed: int = 0
) -> dict[str, float]:
    """Print the expected calibration error and draw the reliability of the confidence.

    Parameters
    ----------
    data : Path
        Manifest of the clips; the split dev is used.
    out : Path
        Folder to write ``reliability.png`` to.
    cache : Path, optional
        Where extracted clips are kept.
    seed : int
        Fixes the windows; another one than 0 draws windows the calibration has not met.

    Returns
    -------
    dict of str to float
        Expected calibration error over windows with their own sound, and the fraction of
        windows with foreign sound that is trusted.
    """
    rows = read_manifest(data).select(split="dev").rows
    console.print("measuring windows")
    trials = run_trials(load_model(), rows, cache_dir=cache, seed=seed)
    confidences = cross_validate(trials)
    # Foreign sound is as frequent here as the right one, which in life it is not: it is
    # counted apart.
    own = np.isfinite([trial.error_s for trial in trials])
    correct = np.array([trial.correct for trial in trials])[own]
    trusted = float((confidences[~own] >= SURE).mean())
    error = expected_calibration_error(confidences[own], correct)
    print(f"expected calibration error: {error:.3f} over {own.sum()} windows")
    print(f"foreign sound with confidence >= {SURE}: {trusted:.1%} of {(~own).sum()} windows")
    bins = reliability(confidences[own], correct)
    out.mkdir(parents=True, exist_ok=True)
    plot_reliability(
        np.array([each.confidence for each in bins]),
        np.array([each.accuracy for each in bins]),
        np.array([each.cases for each in bins]),
        out / "reliability.png",
        overwrite=True,
    )
    return {"expected_calibration_error": error, "foreign_trusted": trusted}
