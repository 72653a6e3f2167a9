"""Sentences of GRID's grammar, drawn by seed."""

from __future__ import annotations

from math import prod

import numpy as np

from avalign.data.corpora import SLOTS, sentence_of
from avalign.errors import ParameterError


def draw_sentences(count: int, seed: int | list[int] = 0) -> dict[str, str]:
    """Draw different sentences, by their GRID names: ``"bbaf2n"`` is "bin blue at f two now".

    With the same seed, more of them begin with the same.
    """
    most = prod(len(slot) for slot in SLOTS) // 2
    if not 1 <= count <= most:
        raise ParameterError(f"{count} sentences cannot be drawn", f"choose from 1 to {most}")
    rng = np.random.default_rng(seed)
    sentences: dict[str, str] = {}
    while len(sentences) < count:
        name = "".join(str(rng.choice([*slot])) for slot in SLOTS)
        sentences[name] = sentence_of(name) or ""
    return sentences
