"""Times of words from a head that names the word of every row.

CTC emits each character somewhere within its sound; this head marks where words begin and
end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import NoAnswerError, ParameterError
from avalign.recognition.ctc.emissions import Emissions, check_emissions, tokens_of_path
from avalign.recognition.ctc.forced_alignment import aligned_path
from avalign.transcript import Transcript

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SMALLEST_PROBABILITY = 1e-9  # of what is said in a row: nothing is ruled out


@dataclass(frozen=True, slots=True, eq=False)
class WordFrames:
    """Log-probabilities of the words in each row.

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

    def with_stranger(self, words: Sequence[str]) -> WordFrames:
        """Make the words of a text that are not in the vocabulary words of it.

        Each of them is taken to be what the model calls by any other of its words: where
        "zee" is said, a model that knows "z" hears that.

        Parameters
        ----------
        words : sequence of str
            A text.

        Returns
        -------
        WordFrames
            With a column more for every such word. Its logarithm is that of the probability
            of all words of the vocabulary that the text does not hold.
        """
        strange = [word for word in dict.fromkeys(words) if word not in self.vocabulary]
        if not strange:
            return self
        emissions = np.asarray(self.log_probs, np.float64)
        others = [
            column
            for column, word in enumerate(self.vocabulary, start=1)
            if word not in set(words)
        ]
        probability = np.maximum(np.exp(emissions[:, others]).sum(axis=1), SMALLEST_PROBABILITY)
        columns = np.repeat(np.log(np.minimum(probability, 1.0))[:, None], len(strange), axis=1)
        return WordFrames(
            np.concatenate([emissions, columns], axis=1), (*self.vocabulary, *strange)
        )

    def check(self, times_s: ArrayLike) -> Emissions:
        """Check the model's output.

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


def align_word_frames(
    frames: WordFrames, times_s: ArrayLike, transcript: Transcript
) -> Transcript:
    """Give every word of a transcript its time, by the words that a model sees in each row.

    Parameters
    ----------
    frames : WordFrames
        Output of the model.
    times_s : array-like of shape (T,)
        Presentation time of each row.
    transcript : Transcript
        What is said, all of it; times it may have are not looked at. The same word twice in
        a row is parted by at least one row of no word. Words that are not in the vocabulary
        get the rows that `WordFrames.with_stranger` finds for them.

    Returns
    -------
    Transcript
        The words with their times. Their confidence is the geometric mean of the
        probabilities that they have in their rows; words that are not in the vocabulary
        have none.

    Raises
    ------
    ParameterError
        If an argument cannot be used.
    NoAnswerError
        If there is no word, or too few rows for all of them.
    """
    frames.check(times_s)
    texts = [word.text for word in transcript.words]
    if not texts:
        raise NoAnswerError("the transcript holds no word to align", "name a text with words")
    whole = frames.with_stranger(texts)
    emissions = Emissions(
        np.asarray(whole.log_probs, np.float64), np.asarray(times_s, np.float64)
    )
    path = aligned_path(emissions.log_probs, whole.columns(texts))
    words = [
        emissions.word(text, path, token.first, token.last)
        for text, token in zip(texts, tokens_of_path(path), strict=True)
    ]
    known = frozenset(frames.vocabulary)
    return Transcript(
        tuple(word if word.text in known else replace(word, confidence=None) for word in words),
        transcript.source,
    )
