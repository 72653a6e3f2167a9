"""Words as rows of numbers on a clock, so that text is a stream like any other."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Literal, TypeAlias

from avalign.errors import ParameterError
from avalign.transcript.words import Transcript, timed_words
from avalign.types import FeatureStream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

TextFeature: TypeAlias = Literal["characters", "words"]

CHARACTERS = "abcdefghijklmnopqrstuvwxyz'0123456789"


def transcript_stream(
    transcript: Transcript,
    times_s: ArrayLike,
    *,
    feature: TextFeature = "characters",
    dim: int = 64,
    spread_s: float = 0.05,
) -> FeatureStream:
    """Put a transcript on a clock, as a stream that fuses with sound and lips.

    Parameters
    ----------
    transcript : Transcript
        Words with their times.
    times_s : array-like of shape (T,)
        Presentation times of the rows, strictly increasing; mostly those of the stream
        that the text joins.
    feature : {"characters", "words"}
        ``"characters"``: one column per character of ``a`` to ``z``, ``'`` and the digits
        and one for all others, each character in its part of the word's time.
        ``"words"``: `dim` columns, a hashed bag of each word's letter groups: words that
        are spelt alike have similar rows, no vocabulary is needed, and the same word has
        the same row everywhere.
    dim : int
        Columns of a hashed word.
    spread_s : float
        How far a word reaches beyond its times, falling to nothing: times are not exact,
        and a model should see no edge where there is none.

    Returns
    -------
    FeatureStream
        Kind ``"text"``, shape (T, D); D is 39 for characters, ``dim + 1`` for words. The
        last column is how much of the row no word takes up: 1 in silence. All rows are
        valid, since a transcript also tells where nothing is said.

    Raises
    ------
    ParameterError
        If a word has no time, or an argument cannot be used.

    References
    ----------
    .. [1] K. Weinberger et al., "Feature hashing for large scale multitask learning",
       ICML 2009.
    .. [2] P. Bojanowski et al., "Enriching word vectors with subword information",
       TACL 2017.
    """
    import numpy as np

    clock_s = np.asarray(times_s, np.float64)
    if clock_s.ndim != 1 or not np.isfinite(clock_s).all() or (np.diff(clock_s) <= 0).any():
        raise ParameterError(
            f"times_s must be one row of increasing times, not of shape {clock_s.shape}",
            "pass the clock of the stream that the text joins",
        )
    if feature not in ("characters", "words"):
        raise ParameterError(f"feature is {feature!r}", "use 'characters' or 'words'")
    if dim < 1:
        raise ParameterError(f"dim is {dim}", "use at least 1 column")
    if not (math.isfinite(spread_s) and spread_s >= 0):
        raise ParameterError(f"spread_s is {spread_s}", "use 0 or more seconds")
    pieces = _character_pieces if feature == "characters" else _word_pieces
    width = len(CHARACTERS) + 1 if feature == "characters" else dim
    values = np.zeros((len(clock_s), width + 1))
    taken = np.zeros(len(clock_s))
    for start_s, end_s, row in pieces(timed_words(transcript), width):
        first, stop = np.searchsorted(clock_s, (start_s - spread_s, end_s + spread_s))
        near_s = clock_s[first : stop + 1]
        beyond_s = np.maximum(np.maximum(start_s - near_s, near_s - end_s), 0.0)
        weight = np.maximum(0.0, 1.0 - beyond_s / spread_s) if spread_s else beyond_s == 0
        values[first : stop + 1, :width] += weight[:, None] * row
        taken[first : stop + 1] += weight
    values /= np.maximum(taken, 1.0)[:, None]
    values[:, width] = np.maximum(0.0, 1.0 - taken)
    return FeatureStream(
        values.astype(np.float32), clock_s, np.ones(len(clock_s), np.bool_), "text"
    )


TimedRows: TypeAlias = "list[tuple[float, float, NDArray[np.float64]]]"


def _character_pieces(words: list[tuple[str, float, float]], width: int) -> TimedRows:
    import numpy as np

    columns = {character: column for column, character in enumerate(CHARACTERS)}
    rows = np.eye(width)
    pieces = []
    for text, start_s, end_s in words:
        characters = text.lower()
        edges_s = np.linspace(start_s, end_s, len(characters) + 1)
        for character, begin_s, stop_s in zip(
            characters, edges_s[:-1], edges_s[1:], strict=True
        ):
            row = rows[columns.get(character, width - 1)]
            pieces.append((float(begin_s), float(stop_s), row))
    return pieces


def _word_pieces(words: list[tuple[str, float, float]], width: int) -> TimedRows:
    return [(start_s, end_s, _hashed_word(text, width)) for text, start_s, end_s in words]


def _hashed_word(text: str, dim: int) -> NDArray[np.float64]:
    """Return the signed, hashed bag of a word's groups of three letters, of length 1."""
    import numpy as np

    framed = f"<{text.lower()}>"
    groups = [framed, *(framed[i : i + 3] for i in range(len(framed) - 2))]
    row = np.zeros(dim)
    for group in groups:
        digest = int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest())
        row[(digest >> 1) % dim] += 1.0 if digest & 1 else -1.0
    length = float(np.linalg.norm(row))
    return row / length if length else row
