"""From a posterior to a confidence that means what it says, and an interval to match."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import MediaError
from avalign.space.model import SHIPPED_WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SHIPPED_CALIBRATION", "Calibration", "load_calibration", "tempered_interval"]

SHIPPED_CALIBRATION = SHIPPED_WEIGHTS.with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic map from the evidence to the probability of being right.

    Parameters
    ----------
    intercept : float
        Constant term.
    log_odds_weight : float
        Weight of the log odds of the posterior mass within 40 ms of the peak.
    log_overlap_weight : float
        Weight of the logarithm of the overlap in seconds.
    smallest_deviation_s : float
        Standard deviation of the lag that remains however long the clip is.

    References
    ----------
    J. Platt, "Probabilistic outputs for support vector machines", Advances in
    Large Margin Classifiers, 1999.
    """

    intercept: float
    log_odds_weight: float
    log_overlap_weight: float
    smallest_deviation_s: float

    def confidence(self, posterior_mass: float, overlap_s: float) -> float:
        """Probability that the lag is within 40 ms of the truth.

        Parameters
        ----------
        posterior_mass : float
            Posterior probability within 40 ms of the peak.
        overlap_s : float
            Seconds in which sound and lips overlap at the peak.

        Returns
        -------
        float
            The confidence, in 0..1.
        """
        log_odds, log_overlap = self.features(posterior_mass, overlap_s)
        score = (
            self.intercept
            + self.log_odds_weight * log_odds
            + self.log_overlap_weight * log_overlap
        )
        return 1.0 / (1.0 + math.exp(-score))

    @staticmethod
    def features(posterior_mass: float, overlap_s: float) -> tuple[float, float]:
        """Return what the logistic map weighs: both bounded, both logarithmic.

        Parameters
        ----------
        posterior_mass : float
            Posterior probability within 40 ms of the peak.
        overlap_s : float
            Seconds in which sound and lips overlap at the peak.

        Returns
        -------
        tuple of float
            Log odds of the mass and logarithm of the overlap.
        """
        mass = min(max(posterior_mass, 1e-9), 1.0 - 1e-9)
        log_odds = min(max(math.log(mass / (1.0 - mass)), -4.0), 9.0)
        # More than a minute says little more: what could be wrong by then is
        # not the amount of evidence.
        return log_odds, math.log(min(max(overlap_s, 0.1), 60.0))

    def to_json(self) -> str:
        """Write the calibration as JSON.

        Returns
        -------
        str
            What `load_calibration` reads from a file.
        """
        return json.dumps(asdict(self), indent=2) + "\n"


@lru_cache(maxsize=4)
def load_calibration(path: Path | str = SHIPPED_CALIBRATION) -> Calibration:
    """Load a calibration; without an argument, the shipped model's.

    Parameters
    ----------
    path : path-like, optional
        A JSON file written by `avalign train space`.

    Returns
    -------
    Calibration
        The calibration.

    Raises
    ------
    MediaError
        If the file is not one.
    """
    try:
        fields = json.loads(Path(path).read_text(encoding="utf-8"))
        return Calibration(**{name: float(value) for name, value in fields.items()})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise MediaError(
            f"{path}: cannot read the calibration: {error}", "reinstall avalign"
        ) from None


def tempered_interval(
    lags_s: NDArray[np.float64],
    evidence: NDArray[np.float64],
    lag_s: float,
    confidence: float,
    smallest_deviation_s: float,
    *,
    close_s: float = 0.040,
    coverage: float = 0.95,
) -> tuple[float, float]:
    """Interval of a posterior that is made as sure as the confidence, no surer.

    The posterior is raised to the power at which its mass within `close_s` of
    the lag equals the confidence; the interval holds the central `coverage` of
    it, widened by the deviation that no amount of evidence removes.

    Parameters
    ----------
    lags_s : ndarray of shape (L,), float64
        Lags on a fine, even grid.
    evidence : ndarray of shape (L,), float64
        Log posterior up to a constant.
    lag_s : float
        The estimate.
    confidence : float
        Calibrated probability that the estimate is within `close_s`.
    smallest_deviation_s : float
        Standard deviation that remains however much evidence there is.
    close_s : float, optional
        What the confidence calls close.
    coverage : float, optional
        Probability that the interval is to hold the truth.

    Returns
    -------
    tuple of float
        Lower and upper end in seconds; they always enclose `lag_s`.
    """
    close = np.abs(lags_s - lag_s) <= close_s
    relative = evidence - evidence.max()

    def tempered(power: float) -> NDArray[np.float64]:
        weights = np.exp(power * relative)
        result: NDArray[np.float64] = weights / weights.sum()
        return result

    low, high = 1e-3, 1.0
    if tempered(high)[close].sum() > confidence:
        for _ in range(30):
            power = math.sqrt(low * high)
            if tempered(power)[close].sum() > confidence:
                high = power
            else:
                low = power
    mass = np.cumsum(tempered(high))
    tail = (1.0 - coverage) / 2.0
    lower = float(lags_s[np.searchsorted(mass, tail)])
    upper = float(lags_s[min(int(np.searchsorted(mass, 1.0 - tail)), len(lags_s) - 1)])
    floor = 1.96 * smallest_deviation_s
    return (
        lag_s - math.hypot(max(lag_s - lower, 0.0), floor),
        lag_s + math.hypot(max(upper - lag_s, 0.0), floor),
    )
