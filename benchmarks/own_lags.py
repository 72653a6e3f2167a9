"""The clips' own lags: measured once on whole clips, then frozen in a file.

Real recordings are not at lag zero; several are 60 to 140 ms off. The benchmark grades
injected lags relative to the clip's own, which is what this file holds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from avalign.data import read_table
from avalign.errors import ParameterError
from avalign.files import atomic_output
from avalign.types import ClipStreams
from benchmarks.cases import SEARCH_S, Estimator

__all__ = ["OWN_LAGS", "OwnLag", "measure_own_lag", "read_own_lags", "write_own_lags"]

OWN_LAGS = Path(__file__).with_name("own_lags.csv")
COLUMNS = ("path", "own_lag_ms", "low_ms", "high_ms", "confidence")


@dataclass(frozen=True, slots=True)
class OwnLag:
    """Lag of a clip as it is.

    Parameters
    ----------
    lag_s, low_s, high_s : float
        Estimate and 95 % interval.
    confidence : float
        Probability that it is right within 40 ms.
    """

    lag_s: float
    low_s: float
    high_s: float
    confidence: float


def measure_own_lag(streams: ClipStreams, estimator: Estimator) -> OwnLag | None:
    """Measure a whole clip.

    Parameters
    ----------
    streams : ClipStreams
        The clip.
    estimator : callable
        Takes streams and the range of lags to search in seconds.

    Returns
    -------
    OwnLag or None
        None where there is nothing to measure.
    """
    best = estimator(streams, SEARCH_S).alignment
    if best is None:
        return None
    return OwnLag(best.audio_lag_s, *best.interval_s, best.confidence)


def read_own_lags(path: Path = OWN_LAGS) -> dict[str, OwnLag]:
    """Read the frozen lags.

    Parameters
    ----------
    path : Path
        The table that `write_own_lags` wrote.

    Returns
    -------
    dict of str to OwnLag
        By path in the manifest.

    Raises
    ------
    MediaError, ParameterError
        If the table cannot be read or holds something else than numbers.
    """
    found = {}
    for place, cells in read_table(path, required="path"):
        try:
            lag_ms, low_ms, high_ms, confidence = (float(cells[name]) for name in COLUMNS[1:])
        except (KeyError, ValueError) as error:
            raise ParameterError(
                f"{path}, {place}: {error}", "measure it: python -m benchmarks own-lags"
            ) from error
        found[cells["path"]] = OwnLag(lag_ms / 1e3, low_ms / 1e3, high_ms / 1e3, confidence)
    return found


def write_own_lags(lags: Mapping[str, OwnLag], path: Path = OWN_LAGS) -> None:
    """Freeze lags, sorted by path.

    Parameters
    ----------
    lags : mapping of str to OwnLag
        By path in the manifest.
    path : Path
        The table to write; one that exists is replaced.
    """
    rows: Iterable[tuple[object, ...]] = (
        (name, *(f"{1e3 * t:.2f}" for t in (x.lag_s, x.low_s, x.high_s)), f"{x.confidence:.4f}")
        for name, x in sorted(lags.items())
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    with atomic_output(path, True) as temporary:
        Path(temporary).write_text(text.getvalue(), encoding="utf-8")
