"""Read text from what a CTC model emits, without a grammar: greedily or by beam search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError
from avalign.recognition.ctc.alphabet import BLANK
from avalign.recognition.ctc.compiled import njit
from avalign.recognition.ctc.emissions import Emissions, Token, check_emissions, tokens_of_path
from avalign.recognition.ctc.forced_alignment import aligned_path
from avalign.transcript import Transcript, Word

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from avalign.recognition.ctc.alphabet import Alphabet

MAX_PREFIXES = 2**24  # rows times width; 40 bytes each


@dataclass(frozen=True, slots=True)
class Decoding:
    """The text that was read.

    Parameters
    ----------
    transcript : Transcript
        The words with times. The confidence of a word is the geometric mean of the
        probabilities that its path has in its rows; it is not calibrated.
    log_prob : float
        Natural logarithm of the probability of what was searched for: one path where the
        search was greedy, the text where it was by beam.
    """

    transcript: Transcript
    log_prob: float


def greedy_decode(log_probs: ArrayLike, times_s: ArrayLike, alphabet: Alphabet) -> Decoding:
    """Take the most probable label of each row.

    Parameters
    ----------
    log_probs : array-like of shape (T, C)
        Log-probabilities of a CTC model, the blank in column 0.
    times_s : array-like of shape (T,)
        Presentation time of each row.
    alphabet : Alphabet
        The alphabet of the model.

    Returns
    -------
    Decoding
        The words and the log-probability of the best path.

    Raises
    ------
    ParameterError
        If an argument cannot be used.
    """
    emitted = check_emissions(log_probs, times_s, alphabet.size)
    path = emitted.log_probs.argmax(axis=1)
    log_prob = float(emitted.log_probs.max(axis=1).sum())
    return Decoding(_transcript(emitted, path, alphabet), log_prob)


def beam_decode(
    log_probs: ArrayLike, times_s: ArrayLike, alphabet: Alphabet, *, width: int = 16
) -> Decoding:
    """Find the most probable text: prefix beam search, which adds up the paths of a text.

    Parameters
    ----------
    log_probs : array-like of shape (T, C)
        Log-probabilities of a CTC model, the blank in column 0.
    times_s : array-like of shape (T,)
        Presentation time of each row.
    alphabet : Alphabet
        The alphabet of the model.
    width : int
        How many prefixes are kept after each row; with all of them the search is exact.

    Returns
    -------
    Decoding
        The words, timed along their best path, and the log-probability of the text.

    Raises
    ------
    ParameterError
        If an argument cannot be used.

    References
    ----------
    .. [1] A. Graves and N. Jaitly, "Towards end-to-end speech recognition with recurrent
       neural networks", ICML 2014.
    .. [2] A. Hannun et al., "First-pass large vocabulary continuous speech recognition
       using bi-directional recurrent DNNs", arXiv:1408.2873, 2014.
    """
    emitted = check_emissions(log_probs, times_s, alphabet.size)
    if width < 1 or width * len(emitted.log_probs) > MAX_PREFIXES:
        raise ParameterError(
            f"width is {width} for {len(emitted.log_probs)} rows", "use 1 to some hundreds"
        )
    labels, log_prob = _search_prefixes(emitted.log_probs, width)
    path = aligned_path(emitted.log_probs, labels)
    return Decoding(_transcript(emitted, path, alphabet), float(log_prob))


def _transcript(emitted: Emissions, path: NDArray[np.int64], alphabet: Alphabet) -> Transcript:
    runs: list[list[Token]] = [[]]
    for token in tokens_of_path(path):
        if token.label == alphabet.separator:
            runs.append([])
        else:
            runs[-1].append(token)
    words: list[Word] = []
    for run in filter(None, runs):
        text = alphabet.decode(token.label for token in run)
        words.append(emitted.word(text, path, run[0].first, run[-1].last))
    return Transcript(tuple(words), "speech")


@njit
def _search_prefixes(log_probs, width):  # type: ignore[no-untyped-def]
    n_rows, n_labels = log_probs.shape
    # Prefixes form a tree; node 0 is the empty one. No prefix has two nodes.
    n_most = 1 + n_rows * width
    parent = np.full(n_most, -1, np.int64)
    last = np.full(n_most, BLANK, np.int64)
    first_child = np.full(n_most, -1, np.int64)
    sibling = np.full(n_most, -1, np.int64)
    n_nodes = 1
    # Where a node stands among the candidates of this row; -1 if it was dropped.
    slot = np.full(n_most, -1, np.int64)

    nodes = np.zeros(width, np.int64)
    # Probability of each kept prefix over paths that end in a blank, and in its last label.
    in_blank = np.full(width, -np.inf)
    in_label = np.full(width, -np.inf)
    in_blank[0] = 0.0
    n_kept = 1

    n_candidates_most = width * n_labels
    node_of = np.empty(n_candidates_most, np.int64)
    parent_of = np.empty(n_candidates_most, np.int64)
    label_of = np.empty(n_candidates_most, np.int64)
    new_blank = np.empty(n_candidates_most)
    new_label = np.empty(n_candidates_most)
    total = np.empty(n_candidates_most)

    for row in range(n_rows):
        for k in range(n_kept):
            node = nodes[k]
            slot[node] = k
            node_of[k] = node
            new_blank[k] = np.logaddexp(in_blank[k], in_label[k]) + log_probs[row, BLANK]
            new_label[k] = in_label[k] + log_probs[row, last[node]]
        n_candidates = n_kept
        for k in range(n_kept):
            node = nodes[k]
            either = np.logaddexp(in_blank[k], in_label[k])
            for label in range(1, n_labels):
                # The same label again is a new character only after a blank.
                before = in_blank[k] if label == last[node] else either
                extended = before + log_probs[row, label]
                if extended == -np.inf:
                    continue
                child = first_child[node]
                while child >= 0 and last[child] != label:
                    child = sibling[child]
                if child >= 0 and slot[child] >= 0:
                    new_label[slot[child]] = np.logaddexp(new_label[slot[child]], extended)
                    continue
                node_of[n_candidates] = child
                parent_of[n_candidates] = node
                label_of[n_candidates] = label
                new_blank[n_candidates] = -np.inf
                new_label[n_candidates] = extended
                n_candidates += 1
        for k in range(n_kept):
            slot[nodes[k]] = -1
        for k in range(n_candidates):
            total[k] = -np.logaddexp(new_blank[k], new_label[k])
        order = np.argsort(total[:n_candidates], kind="mergesort")
        n_kept = min(width, n_candidates)
        for k in range(n_kept):
            candidate = order[k]
            node = node_of[candidate]
            if node < 0:
                node = n_nodes
                n_nodes += 1
                parent[node] = parent_of[candidate]
                last[node] = label_of[candidate]
                sibling[node] = first_child[parent[node]]
                first_child[parent[node]] = node
            nodes[k] = node
            in_blank[k] = new_blank[candidate]
            in_label[k] = new_label[candidate]

    labels = []
    node = nodes[0]
    while node > 0:
        labels.append(last[node])
        node = parent[node]
    return np.array(labels[::-1], np.int64), np.logaddexp(in_blank[0], in_label[0])
