"""States that follow one another: the best path through them, and the sum over all paths.

Forced alignment and grammars are both such graphs: each state writes one label per row
of a CTC model's output, and a path visits one state per row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.recognition.ctc.alphabet import BLANK
from avalign.recognition.ctc.compiled import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CELLS = 2**29  # rows times states; two bytes each


@dataclass(frozen=True, slots=True, eq=False)
class StateGraph:
    """States with their labels and the states that may come before them."""

    labels: NDArray[np.int64]  # int64 [S], written in every row that the state holds
    # int64 [E], predecessors of state 0, 1, ...; each state's own first
    before: NDArray[np.int64]
    # int64 [S + 1], where each state's predecessors begin in `before`
    pointers: NDArray[np.int64]
    is_first: NDArray[np.bool_]  # bool [S], whether a path may begin there
    is_last: NDArray[np.bool_]  # bool [S], whether a path may end there


class GraphBuilder:
    """Collect states and the steps between them."""

    def __init__(self) -> None:
        self.labels: list[int] = []
        self._before: list[list[int]] = []

    def state(self, label: int) -> int:
        """Add a state that writes `label` and may follow itself; return its number."""
        self.labels.append(label)
        self._before.append([len(self._before)])
        return len(self._before) - 1

    def connect(self, sources: Iterable[int], targets: Iterable[int]) -> None:
        """Let each target follow each source, but for two states that write the same character.

        CTC reads those two as one: they need a blank between them.
        """
        starts = list(sources)
        for target in targets:
            label = self.labels[target]
            self._before[target].extend(
                source
                for source in starts
                if source != target and (label == BLANK or self.labels[source] != label)
            )

    def build(self, first: Iterable[int], last: Iterable[int]) -> StateGraph:
        """Finish the graph, with the states in which paths may begin and end."""
        lengths = [len(sources) for sources in self._before]
        is_first, is_last = np.zeros((2, len(lengths)), np.bool_)
        is_first[list(first)] = True
        is_last[list(last)] = True
        return StateGraph(
            labels=np.array(self.labels, np.int64),
            before=np.array([s for sources in self._before for s in sources], np.int64),
            pointers=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            is_first=is_first,
            is_last=is_last,
        )


def best_path(
    graph: StateGraph, log_probs: NDArray[np.float64]
) -> tuple[NDArray[np.int64], float]:
    """Find the most probable path (Viterbi): states int64 [T], and its log-probability.

    Of equal paths, the one that stays longer in later states; -inf where there is none.
    """
    n_cells = len(log_probs) * len(graph.labels)
    if n_cells > MAX_CELLS:
        raise ParameterError(
            f"{len(log_probs)} rows by {len(graph.labels)} states are {n_cells} cells, more "
            f"than the {MAX_CELLS} that fit in memory",
            "cut the recording and its text into pieces",
        )
    states, log_prob = _best_path(
        log_probs, graph.labels, graph.before, graph.pointers, graph.is_first, graph.is_last
    )
    return states, float(log_prob)


def entry_probabilities(
    graph: StateGraph, log_probs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the expected entries of each state over all paths: float64 [S].

    Where a path can enter a state only once, this is a probability. NaN if there is no path.
    """
    return _entry_probabilities(
        log_probs,
        graph.labels,
        graph.before,
        graph.pointers,
        graph.is_first,
        graph.is_last,
    )


@njit
def _best_path(log_probs, labels, before, pointers, is_first, is_last):  # type: ignore[no-untyped-def]
    n_rows, n_states = len(log_probs), len(labels)
    # Which of its predecessors each state was reached from.
    choice = np.empty((n_rows, n_states), np.int16)
    score = np.where(is_first, 0.0, -np.inf)
    for state in range(n_states):
        score[state] += log_probs[0, labels[state]]
    reached = np.empty(n_states)
    for row in range(1, n_rows):
        for state in range(n_states):
            start = pointers[state]
            best, best_choice = score[before[start]], 0
            for edge in range(start + 1, pointers[state + 1]):
                if score[before[edge]] > best:
                    best, best_choice = score[before[edge]], edge - start
            reached[state] = best + log_probs[row, labels[state]]
            choice[row, state] = best_choice
        score, reached = reached, score
    state, log_prob = -1, -np.inf
    for candidate in range(n_states):
        if is_last[candidate] and (state < 0 or score[candidate] > log_prob):
            state, log_prob = candidate, score[candidate]
    states = np.empty(n_rows, np.int64)
    for row in range(n_rows - 1, -1, -1):
        states[row] = state
        if row:
            state = before[pointers[state] + choice[row, state]]
    return states, log_prob


@njit
def _entry_probabilities(log_probs, labels, before, pointers, is_first, is_last):  # type: ignore[no-untyped-def]
    n_rows, n_states = len(log_probs), len(labels)
    forward = np.full((n_rows, n_states), -np.inf)
    for state in range(n_states):
        if is_first[state]:
            forward[0, state] = log_probs[0, labels[state]]
    for row in range(1, n_rows):
        for state in range(n_states):
            total = -np.inf
            for edge in range(pointers[state], pointers[state + 1]):
                total = np.logaddexp(total, forward[row - 1, before[edge]])
            forward[row, state] = total + log_probs[row, labels[state]]
    # `backward` holds what comes after a row, without the row itself.
    backward = np.where(is_last, 0.0, -np.inf)
    log_total = -np.inf
    for state in range(n_states):
        log_total = np.logaddexp(log_total, forward[n_rows - 1, state] + backward[state])
    entries = np.zeros(n_states)
    earlier = np.empty(n_states)
    for row in range(n_rows - 1, -1, -1):
        earlier[:] = -np.inf
        for state in range(n_states):
            after = backward[state] + log_probs[row, labels[state]]
            if row == 0:
                if is_first[state]:
                    entries[state] += np.exp(after - log_total)
                continue
            for edge in range(pointers[state], pointers[state + 1]):
                source = before[edge]
                earlier[source] = np.logaddexp(earlier[source], after)
                if source != state:
                    entries[state] += np.exp(forward[row - 1, source] + after - log_total)
        backward, earlier = earlier, backward
    return entries
