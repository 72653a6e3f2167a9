"""How two streams lie in time: a lag with its evidence, or a warp."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from avalign.types.streams import FeatureStream


@dataclass(frozen=True, slots=True)
class LagCurve:
    """How well sound and lips agree at every lag that was searched.

    Parameters
    ----------
    lags_s : ndarray of shape (L,), float64
        Audio lags, increasing.
    score : ndarray of shape (L,), float64
        Log evidence for "matched at this lag" against "not matched".
    posterior : ndarray of shape (L,), float64
        Probability of each lag; sums to one less the probability of no match.
    """

    lags_s: NDArray[np.float64]
    score: NDArray[np.float64]
    posterior: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LagMap:
    """The cost matrix of two streams around their path, by lag in place of column.

    Parameters
    ----------
    lags_s : ndarray of shape (L,), float64
        Time in the other stream minus time in the reference, increasing.
    times_s : ndarray of shape (B,), float64
        The reference's clock, increasing.
    values : ndarray of shape (B, L), float64
        Evidence for each lag at each time: minus the cost.
    """

    lags_s: NDArray[np.float64]
    times_s: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TimeWarp:
    """A map between two clocks that never goes back, straight between its knots.

    Before the first knot and after the last one both clocks run alike.

    Parameters
    ----------
    reference_s : ndarray of shape (K,), float64
        Instants on the reference's clock, strictly increasing.
    other_s : ndarray of shape (K,), float64
        The same instants on the other recording's clock, strictly increasing.
    jumps : tuple of int, optional
        Knots after which one clock runs ahead: what lies between such a knot and the next
        one in one recording has no counterpart in the other.
    """

    reference_s: NDArray[np.float64]
    other_s: NDArray[np.float64]
    jumps: tuple[int, ...] = ()

    @property
    def lag_s(self) -> NDArray[np.float64]:
        """Time in the other recording minus time in the reference, at each knot."""
        return self.other_s - self.reference_s

    @property
    def inverse(self) -> TimeWarp:
        """The map from the other recording's clock to the reference's."""
        return TimeWarp(self.other_s, self.reference_s, self.jumps)

    @property
    def pieces(self) -> tuple[TimeWarp, ...]:
        """The stretches between jumps, each a warp without any."""
        first = 0
        found = []
        for last in (*self.jumps, len(self.reference_s) - 1):
            knots = slice(first, last + 1)
            found.append(TimeWarp(self.reference_s[knots], self.other_s[knots]))
            first = last + 1
        return tuple(found)

    def to_other(self, reference_s: ArrayLike) -> NDArray[np.float64]:
        """Find when the other recording shows or sounds what the reference does.

        Parameters
        ----------
        reference_s : array-like of float
            Times on the reference's clock.

        Returns
        -------
        ndarray of float64
            Times on the other recording's clock, of the same shape.
        """
        import numpy as np

        times_s = np.asarray(reference_s, np.float64)
        inside_s = np.clip(times_s, self.reference_s[0], self.reference_s[-1])
        moved_s = np.interp(inside_s, self.reference_s, self.other_s)
        return np.asarray(moved_s + (times_s - inside_s))


@dataclass(frozen=True, slots=True)
class Alignment:
    """A path through the cost matrix of two streams, and how far to trust it.

    The streams are the lips and the sound of a clip or, where two recordings are
    aligned, the reference (a picture or a sound) and the other recording's sound.

    Parameters
    ----------
    audio_lag_s : float
        Time of an event in the audio minus its time in the picture. Positive:
        the audio is late. Where the lag changes over time, its median.
    interval_s : tuple of float
        95 % interval of the lag; where it changes over time, the range that it
        keeps to for 95 % of the time.
    confidence : float
        Calibrated probability that the lag is within 40 ms of the truth; of two
        recordings, that they hold the same words, times the fraction that the path
        explains of the quarter of the time in which it explains least.
    at_edge : bool
        The best lag lies at the edge of the range that was searched, so the
        true one may lie beyond.
    path : ndarray of shape (K, 2), int32
        Warping path: rows of the lip grid against rows of the audio grid, or rows
        of the reference against rows of the other recording.
    curve : LagCurve
        Evidence over lags.
    agreement : FeatureStream
        Evidence at the best lag over time, shape (B, 1): above 0 where sound
        and lips fit, below where they do not.
    speech_s : float
        Seconds of speech heard while the face was seen.
    drift_ppm : float or None
        Change of the lag in parts per million; None where it was not modelled.
    segments : tuple or None
        Spans with one lag line each; None where they were not modelled.
    warp : TimeWarp or None
        The lag at every instant, smooth between jumps, of two recordings; else None.
    model : str
        How free the path is: ``"rigid"``, ``"drift"``, ``"piecewise"`` (lines between
        jumps) or ``"elastic"``.
    diagnostics : dict of str to float
        What the confidence was computed from.
    """

    audio_lag_s: float
    interval_s: tuple[float, float]
    confidence: float
    at_edge: bool
    path: NDArray[np.int32]
    curve: LagCurve
    agreement: FeatureStream
    speech_s: float
    drift_ppm: float | None = None
    segments: tuple[object, ...] | None = None
    warp: TimeWarp | None = None
    model: str = "rigid"
    diagnostics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaceAlignment:
    """One face of the picture and how the sound fits it.

    Parameters
    ----------
    track_id : int
        Number of the face, from 0.
    place : str
        Where it is, in words that no other face of the clip has, such as ``"left"``,
        ``"upper right"``, ``"second from the left"``, ``"centre, from 12.4 s"``.
    box : tuple of float
        Median left, top, right and bottom as fractions of the picture.
    coverage : float
        Fraction of the frames in which the face is usable.
    alignment : Alignment or None
        None where the face is not usable at all.
    """

    track_id: int
    place: str
    box: tuple[float, float, float, float]
    coverage: float
    alignment: Alignment | None
