"""From a posterior to a calibrated confidence, and an interval to match."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import MediaError
from avalign.files import read_json
from avalign.space import SHIPPED_WEIGHTS, blame_installation

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Evidence against a match says less than evidence for one: some mouths fit their own
# voice badly, and show its lag all the same.
_AGAINST_WEIGHT = 1 / 3

_LARGEST_BYTES = 2**20
_LARGEST_NUMBER = 1e6

SHIPPED_CALIBRATION = SHIPPED_WEIGHTS.with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class LagCalibration:
    """The probability of being right: that sound and lips match, times that the lag is close.

    Each is a logistic map. Sound and lips that do not match cannot have a right lag,
    however clearly one stands out; so the two are multiplied, and neither makes up for
    the other.

    Parameters
    ----------
    match_intercept, match_weight : float
        Log odds that they match: constant term, and weight of `match_feature`.
    lag_intercept, lag_weight, lag_match_weight : float
        Log odds that the lag is close if they do: constant term, and weights of
        `lag_feature` and `match_feature`.
    interval_scale : float
        Factor on the width of the tempered posterior's interval.
    smallest_half_width_s : float
        Half width of the interval that remains however long the clip is.

    References
    ----------
    J. Platt, "Probabilistic outputs for support vector machines", Advances in
    Large Margin Classifiers, 1999.
    """

    match_intercept: float
    match_weight: float
    lag_intercept: float
    lag_weight: float
    lag_match_weight: float
    interval_scale: float
    smallest_half_width_s: float

    def match_probability(self, match_log_odds: float, overlap_s: float) -> float:
        """Probability that the sound belongs to the lips.

        Parameters
        ----------
        match_log_odds, overlap_s : float
            As in `match_feature`.

        Returns
        -------
        float
            The probability, in 0..1.
        """
        match = self.match_feature(match_log_odds, overlap_s)
        return _logistic(self.match_intercept + self.match_weight * match)

    def confidence(
        self, mass_within_40_ms: float, match_log_odds: float, overlap_s: float
    ) -> float:
        """Probability that the lag is within 40 ms of the truth.

        Parameters
        ----------
        mass_within_40_ms : float
            As in `lag_feature`.
        match_log_odds, overlap_s : float
            As in `match_feature`.

        Returns
        -------
        float
            The confidence, in 0..1.
        """
        match = self.match_feature(match_log_odds, overlap_s)
        lag = self.lag_feature(mass_within_40_ms)
        close = _logistic(
            self.lag_intercept + self.lag_weight * lag + self.lag_match_weight * match
        )
        return close * self.match_probability(match_log_odds, overlap_s)

    @staticmethod
    def lag_feature(mass_within_40_ms: float) -> float:
        """Say how clearly one lag stands out.

        Parameters
        ----------
        mass_within_40_ms : float
            Posterior probability within 40 ms of the peak, given a match.

        Returns
        -------
        float
            Its log odds, bounded.
        """
        mass = min(max(mass_within_40_ms, 1e-9), 1.0 - 1e-9)
        return min(max(math.log(mass / (1.0 - mass)), -4.0), 9.0)

    @staticmethod
    def match_feature(match_log_odds: float, overlap_s: float) -> float:
        """Say how well sound and lips fit at any lag.

        Parameters
        ----------
        match_log_odds : float
            Log odds of a match at any lag against none.
        overlap_s : float
            Seconds in which sound and lips overlap at the peak.

        Returns
        -------
        float
            The log odds per root of the overlap (which is how their noise grows),
            bounded; below 0 they count a third.
        """
        match = min(max(match_log_odds / math.sqrt(max(overlap_s, 0.3)), -30.0), 6.0)
        return match if match > 0 else _AGAINST_WEIGHT * match

    def to_json(self) -> str:
        """Write the calibration as JSON.

        Returns
        -------
        str
            What `load_calibration` reads from a file.
        """
        return json.dumps(asdict(self), indent=2) + "\n"


@lru_cache(maxsize=4)
def load_calibration(path: Path | str = SHIPPED_CALIBRATION) -> LagCalibration:
    """Load a calibration; without an argument, the shipped model's.

    Parameters
    ----------
    path : path-like, optional
        A JSON file written by `avalign train space`.

    Returns
    -------
    LagCalibration
        The calibration.

    Raises
    ------
    MediaError
        If the file is not one.
    InstallationError
        If the shipped one is not one.
    """
    hint = "name one written by `avalign train space`"
    with blame_installation(path == SHIPPED_CALIBRATION):
        try:
            fields = read_json(path, largest_bytes=_LARGEST_BYTES, hint=hint)
            calibration = LagCalibration(
                **{name: _number(name, value) for name, value in fields.items()}
            )
            if min(calibration.interval_scale, calibration.smallest_half_width_s) < 0.0:
                raise ValueError("the width of the interval is negative")
            return calibration
        except (ValueError, TypeError, AttributeError) as error:
            raise MediaError(f"{path}: cannot read the calibration: {error}", hint) from None


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is no number")
    if abs(value) > _LARGEST_NUMBER:
        raise ValueError(f"{name} is {value:g}, which is out of range")
    return float(value)


def _logistic(log_odds: float) -> float:
    if log_odds < 0.0:  # so that nothing overflows
        return 1.0 - _logistic(-log_odds)
    return 1.0 / (1.0 + math.exp(-log_odds))


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

    The posterior over `lags_s` (L,), a fine even grid, is raised to the power at which its
    mass within `close_s` of the lag equals the confidence; the interval, in seconds, holds the
    central `coverage` of it and always encloses the lag.
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
