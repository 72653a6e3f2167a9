"""What a CTC model would emit: planted sentences, and noise."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from avalign.recognition.ctc.alphabet import Alphabet


def rows_of(path: str, alphabet: Alphabet, sure: float = 0.9) -> np.ndarray:
    """Log-probabilities of a model that says `path`, one character per row, "_" blank."""
    probabilities = np.full((len(path), alphabet.size), (1 - sure) / (alphabet.size - 1))
    for row, character in enumerate(path):
        probabilities[row, 0 if character == "_" else alphabet.encode(character)[0]] = sure
    return np.log(probabilities)


def clock_of(log_probs: np.ndarray) -> np.ndarray:
    return 1.0 + np.arange(len(log_probs)) / 50


@st.composite
def small_emissions(draw, n_labels: int = 4, most_rows: int = 5):
    n_rows = draw(st.integers(1, most_rows))
    seed = draw(st.integers(0, 2**32 - 1))
    scores = np.random.default_rng(seed).normal(scale=2.0, size=(n_rows, n_labels))
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
