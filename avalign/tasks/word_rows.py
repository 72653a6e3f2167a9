"""Which word each row belongs to: what a second head of a speech model tells beside CTC.

CTC emits each character somewhere in its sound; a head that names the word of every row
knows where words begin and end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import NoAnswerError, ParameterError
from avalign.tasks.emissions import Emissions, check_emissions, tokens_of_path
from avalign.tasks.forced_alignment import aligned_path
from avalign.transcript import Transcript

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["WordRows", "align_word_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class WordRows:
    """What a model tells of the word in each row.

    Parameters
    ----------
    log_probs : array-like of shape (T, 1 + V)
        Log-probability of no word, in column 0, and of each word of the vocabulary.
    vocabulary : sequence of str
        The V words.
    """

    log_probs: ArrayLike
    vocabulary: Sequence[str]

    def columns(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Find the columns of words.

        Parameters
        ----------
        words : sequence of str
            Words of the vocabulary.

        Returns
        -------
        ndarray of shape (len(words),), int64
            Columns from 1.

        Raises
        ------
        ParameterError
            If a word is not in the vocabulary.
        """
        column = {word: number for number, word in enumerate(self.vocabulary, start=1)}
        for word in words:
            if word not in column:
                raise ParameterError(
                    f"the word {word!r} is not among the {len(column)} that the model knows",
                    "align it by its characters, which knows no vocabulary",
                )
        return np.array([column[word] for word in words], np.int64)

    def check(self, times_s: ArrayLike) -> Emissions:
        """Check what the model told.

        Parameters
        ----------
        times_s : array-like of shape (T,)
            Presentation time of each row.

        Returns
        -------
        Emissions
            The log-probabilities on their clock.

        Raises
        ------
        ParameterError
            If shapes do not agree, or these are no log-probabilities.
        """
        return check_emissions(self.log_probs, times_s, 1 + len(self.vocabulary))


def align_word_rows(rows: WordRows, times_s: ArrayLike, transcript: Transcript) -> Transcript:
    """Give every word of a transcript its time, by the words that a model sees in each row.

    Parameters
    ----------
    rows : WordRows
        What the model told.
    times_s : array-like of shape (T,)
        Presentation time of each row.
    transcript : Transcript
        What is said, all of it, in words of the vocabulary; times it may have are not
        looked at. The same word twice in a row is parted by at least one row of no word.

    Returns
    -------
    Transcript
        The words with their times. Their confidence is the geometric mean of the
        probabilities that they have in their rows.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or a word is not in the vocabulary.
    NoAnswerError
        If there is no word, or too few rows for all of them.
    """
    told = rows.check(times_s)
    texts = [word.text for word in transcript.words]
    if not texts:
        raise NoAnswerError("the transcript holds no word to align", "name a text with words")
    path = aligned_path(told.log_probs, rows.columns(texts))
    tokens = tokens_of_path(path)
    words = (
        told.word(text, path, token.first, token.last)
        for text, token in zip(texts, tokens, strict=True)
    )
    return Transcript(tuple(words), transcript.source)
