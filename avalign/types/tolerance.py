"""How much lag is too much: named tolerances and the verdict on a lag.

People notice early sound sooner than late sound, because late sound is what
distance makes ordinary; every tolerance therefore has two sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from avalign.errors import ParameterError

Verdict = Literal["in_sync", "noticeable", "unacceptable"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How early and how late the audio may be.

    Parameters
    ----------
    name : str
        What ``--tolerance`` takes: a name of `TOLERANCES`, or ``EARLY/LATE``.
    early_ms, late_ms : float
        Largest audio lead and largest audio lag that pass, in milliseconds,
        both as positive numbers. The limits themselves pass.
    source : str
        Where the limits come from.

    References
    ----------
    ITU-R BT.1359-1 (1998), EBU R37 (2007), ATSC IS-191 (2003).
    """

    name: str
    early_ms: float
    late_ms: float
    source: str

    @classmethod
    def parse(cls, text: str | Tolerance) -> Tolerance:
        """Read a tolerance by name or from ``EARLY/LATE`` in milliseconds.

        Parameters
        ----------
        text : str or Tolerance
            ``"itu"``, ``"itu-accept"``, ``"ebu"``, ``"atsc"``, or two positive
            numbers such as ``"20/40"``: 20 ms early, 40 ms late.

        Returns
        -------
        Tolerance
            The limits; an argument that is a Tolerance already comes back as it is.

        Raises
        ------
        ParameterError
            If the text is neither a known name nor two numbers above zero.
        """
        if isinstance(text, Tolerance):
            return text
        known = TOLERANCES.get(text.strip().lower())
        if known is not None:
            return known
        early, slash, late = text.partition("/")
        try:
            limits = (float(early), float(late))
        except ValueError:
            limits = (math.nan, math.nan)
        if not slash or not all(math.isfinite(limit) and limit > 0 for limit in limits):
            raise ParameterError(
                f"tolerance is {text!r}, which is neither a name nor EARLY/LATE in ms",
                f"take {', '.join(TOLERANCES)}, or two positive numbers such as 20/40",
            )
        return cls(f"{limits[0]:g}/{limits[1]:g}", *limits, source="the limit you set")

    @property
    def option(self) -> str:
        """What `parse` reads as these limits: a known name, or ``EARLY/LATE``."""
        known = TOLERANCES.get(self.name) == self
        return self.name if known else f"{self.early_ms:g}/{self.late_ms:g}"

    def limit_ms(self, lag_ms: float) -> float:
        """Give the limit on the side of a lag.

        Parameters
        ----------
        lag_ms : float
            Audio lag in milliseconds; positive means the audio is late.

        Returns
        -------
        float
            ``late_ms`` for a late audio, else ``early_ms``.
        """
        return self.late_ms if lag_ms > 0 else self.early_ms

    def accepts(self, lag_ms: float) -> bool:
        """Tell whether a lag passes.

        Parameters
        ----------
        lag_ms : float
            Audio lag in milliseconds; positive means the audio is late.

        Returns
        -------
        bool
            True up to and including the limit of its side.
        """
        return -self.early_ms <= lag_ms <= self.late_ms

    def excludes(self, lowest_ms: float, highest_ms: float) -> bool:
        """Tell whether no lag of an interval passes.

        Parameters
        ----------
        lowest_ms, highest_ms : float
            Ends of the interval in milliseconds.

        Returns
        -------
        bool
            True where all of it lies beyond the limit of one side.
        """
        return highest_ms < -self.early_ms or lowest_ms > self.late_ms

    def judge(self, lag_ms: float) -> Verdict:
        """Put a lag in one of three classes.

        Parameters
        ----------
        lag_ms : float
            Audio lag in milliseconds; positive means the audio is late.

        Returns
        -------
        {"in_sync", "noticeable", "unacceptable"}
            ``"in_sync"`` inside this tolerance; ``"noticeable"`` outside it but
            inside the limits of acceptability of ITU-R BT.1359 (90 ms early,
            185 ms late); ``"unacceptable"`` beyond both.
        """
        if self.accepts(lag_ms):
            return "in_sync"
        return "noticeable" if ACCEPTABLE.accepts(lag_ms) else "unacceptable"


ACCEPTABLE = Tolerance("itu-accept", 90.0, 185.0, "ITU-R BT.1359")
"""Where ``"noticeable"`` ends and ``"unacceptable"`` begins."""

TOLERANCES: dict[str, Tolerance] = {
    tolerance.name: tolerance
    for tolerance in (
        Tolerance("itu", 45.0, 125.0, "ITU-R BT.1359"),
        ACCEPTABLE,
        Tolerance("ebu", 40.0, 60.0, "EBU R37"),
        Tolerance("atsc", 15.0, 45.0, "ATSC IS-191"),
    )
}
"""The named tolerances: detectable, acceptable, and two of the broadcasters."""
