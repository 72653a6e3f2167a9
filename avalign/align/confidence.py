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
from avalign.space.model import SHIPPED_WEIGHTS, blame_installation

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SHIPPED_CALIBRATION", "Calibration", "load_calibration", "tempered_interval"]

# Evidence against a match says less than evidence for one, but below what any window of a
# mouth with its own voice has on the split dev, it says more.
_AGAINST_WEIGHT = 1 / 3
_LOWEST_MATCH = -8.0
_MISFIT_WEIGHT = 3.0

SHIPPED_CALIBRATION = SHIPPED_WEIGHTS.with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic map from the evidence to the probability of being right.

    Parameters
    ----------
    intercept : float
        Constant term.
    lag_weight : float
        Weight of how clearly one lag stands out (see `features`).
    match_weight : float
        Weight of how well sound and lips fit at all (see `features`).
    interval_scale : float
        Factor on the width of the tempered posterior's interval.
    smallest_half_width_s : float
        Half width of the interval that remains however long the clip is.

    References
    ----------
    J. Platt, "Probabilistic outputs for support vector machines", Advances in
    Large Margin Classifiers, 1999.
    """

    intercept: float
    lag_weight: float
    match_weight: float
    interval_scale: float
    smallest_half_width_s: float

    def confidence(
        self, mass_within_40_ms: float, match_log_odds: float, overlap_s: float
    ) -> float:
        """Probability that the lag is within 40 ms of the truth.

        Parameters
        ----------
        mass_within_40_ms, match_log_odds, overlap_s : float
            As in `features`.

        Returns
        -------
        float
            The confidence, in 0..1.
        """
        lag, match = self.features(mass_within_40_ms, match_log_odds, overlap_s)
        score = self.intercept + self.lag_weight * lag + self.match_weight * match
        return 1.0 / (1.0 + math.exp(-score))

    @staticmethod
    def features(
        mass_within_40_ms: float, match_log_odds: float, overlap_s: float
    ) -> tuple[float, float]:
        """Return the two things the logistic map weighs, both bounded.

        A speaker may fit the model badly and still show one lag clearly, so the
        two questions "which lag?" and "any match?" are kept apart.

        Parameters
        ----------
        mass_within_40_ms : float
            Posterior probability within 40 ms of the peak, given a match.
        match_log_odds : float
            Log odds of a match at any lag against none.
        overlap_s : float
            Seconds in which sound and lips overlap at the peak.

        Returns
        -------
        tuple of float
            Log odds of the mass; log odds of a match, per root of the overlap
            (which is how their noise grows). Below 0 they count a third: some mouths
            fit their own voice badly, and show its lag all the same. Where they are
            lower than any seen of a mouth with its own voice, the rest counts thrice:
            evidence of which lag, however sharp, is not to be believed there.
        """
        mass = min(max(mass_within_40_ms, 1e-9), 1.0 - 1e-9)
        lag = min(max(math.log(mass / (1.0 - mass)), -4.0), 9.0)
        match = match_log_odds / math.sqrt(max(overlap_s, 0.3))
        against = min(max(match, _LOWEST_MATCH), 0.0)
        misfit = min(match - _LOWEST_MATCH, 0.0)
        match = max(match, 0.0) + _AGAINST_WEIGHT * against + _MISFIT_WEIGHT * misfit
        return lag, min(max(match, -30.0), 6.0)

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
    InstallationError
        If the shipped one is not one.
    """
    with blame_installation(path == SHIPPED_CALIBRATION):
        try:
            fields = json.loads(Path(path).read_text(encoding="utf-8"))
            return Calibration(**{name: float(value) for name, value in fields.items()})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise MediaError(
                f"{path}: cannot read the calibration: {error}",
                "name one written by `avalign train space`",
            ) from None


def tempered_interval(
    lags_s: NDArray[np.float64],
    evidence: NDArray[np.float64],
    lag_s: float,
    confidence: float,
    *,
    close_s: float = 0.040,
    coverage: float = 0.95,
) -> tuple[float, float]:
    """Interval of a posterior that is made as sure as the confidence, no surer.

    The posterior is raised to the power at which its mass within `close_s` of
    the lag equals the confidence; the interval holds the central `coverage` of
    it.

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
    return min(lower, lag_s), max(upper, lag_s)
