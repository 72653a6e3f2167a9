"""What a CTC model emits: log-probabilities per row, and the words that a path spells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.recognition.ctc.alphabet import BLANK
from avalign.transcript import Word

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LARGEST_LOG_PROB = 1e-2  # what half precision makes of 0


@dataclass(frozen=True, slots=True, eq=False)
class Emissions:
    """Checked output of a CTC model."""

    log_probs: NDArray[np.float64]  # float64 [T, C], natural logarithms; column 0 is the blank
    times_s: NDArray[np.float64]  # float64 [T]

    def word(self, text: str, path: NDArray[np.int64], first: int, last: int) -> Word:
        """Make a word of the rows `first` to `last` (inclusive) of a path int64 [T].

        Its confidence is the geometric mean of the path's probabilities in these rows.
        """
        rows = np.arange(first, last + 1)
        confidence = float(np.exp(self.log_probs[rows, path[rows]].mean()))
        start_s, end_s = self.span_s(first, last)
        return Word(text, start_s, end_s, min(confidence, 1.0))

    def span_s(self, first: int, last: int) -> tuple[float, float]:
        """Return the instants halfway to the row before `first` and to the row after `last`."""
        return self._edge_s(first), self._edge_s(last + 1)

    def _edge_s(self, row: int) -> float:
        """Return the instant between a row and the one before it."""
        times_s = self.times_s
        inner = min(max(row, 1), len(times_s) - 1)
        if inner < 1:
            return float(times_s[0])
        edge_s = (times_s[inner - 1] + times_s[inner]) / 2
        return float(edge_s + (row - inner) * (times_s[inner] - times_s[inner - 1]))


@dataclass(frozen=True, slots=True)
class Token:
    """One character of a path, and its first and last row, both inclusive."""

    label: int
    first: int
    last: int


def check_emissions(log_probs: ArrayLike, times_s: ArrayLike, n_labels: int) -> Emissions:
    """Check log-probabilities [T, C] (-inf allowed) and strictly increasing times [T]."""
    checked = np.ascontiguousarray(log_probs, np.float64)
    clock_s = np.ascontiguousarray(times_s, np.float64)
    if checked.ndim != 2 or checked.shape[1] != n_labels or len(checked) == 0:
        raise ParameterError(
            f"log_probs has the shape {checked.shape}, not (T, {n_labels}) with T >= 1",
            "pass one clip's output, with the blank first and the model's own labels",
        )
    if clock_s.shape != checked.shape[:1]:
        raise ParameterError(
            f"times_s has the shape {clock_s.shape}, log_probs {checked.shape}",
            "pass one time per row",
        )
    if not np.isfinite(clock_s).all() or (np.diff(clock_s) <= 0).any():
        raise ParameterError("times_s does not increase strictly", "pass the rows in order")
    largest = checked.max()
    if not largest <= LARGEST_LOG_PROB:  # also where it is NaN
        raise ParameterError(
            f"log_probs holds {largest:.3g}, which is no logarithm of a probability",
            "apply log_softmax to the model's output first",
        )
    return Emissions(checked, clock_s)


def tokens_of_path(path: NDArray[np.int64]) -> list[Token]:
    """Read the characters of a path int64 [T] as CTC does: repeats once, blanks not at all."""
    changes = np.flatnonzero(np.diff(path)) + 1
    firsts = [0, *changes.tolist()]
    lasts = [*(changes - 1).tolist(), len(path) - 1]
    return [
        Token(int(path[first]), first, last)
        for first, last in zip(firsts, lasts, strict=True)
        if path[first] != BLANK
    ]
