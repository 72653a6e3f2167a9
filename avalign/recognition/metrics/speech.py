"""How far recognised words are from the true ones, in text and in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError, import_guard
from avalign.recognition.metrics.result import Metrics, check_pairs, ratio

if TYPE_CHECKING:
    from avalign.transcript import Transcript


@dataclass(frozen=True, slots=True)
class SpeechErrors(Metrics):
    """Word and character errors of recognised texts, over all of them together.

    Parameters
    ----------
    word_error_rate, character_error_rate : float or None
        Errors per true word and per true character (blanks included), as fractions; may
        exceed 1. None if nothing was said.
    substitutions, deletions, insertions : int
        Words that were mistaken, left out, and made up.
    n_words, n_sentences : int
        How many true words, and texts, there are.
    sentence_error_rate : float or None
        Fraction of texts with any error in their words.
    """

    word_error_rate: float | None
    character_error_rate: float | None
    substitutions: int
    deletions: int
    insertions: int
    n_words: int
    n_sentences: int
    sentence_error_rate: float | None


def speech_errors(truth: Sequence[str], recognised: Sequence[str]) -> SpeechErrors:
    """Count word and character errors.

    Parameters
    ----------
    truth, recognised : sequence of str
        Texts, one pair per utterance. They are compared as they are, but for blanks: fold
        case and drop punctuation beforehand where these do not count.

    Returns
    -------
    SpeechErrors
        Errors over all texts together.

    Raises
    ------
    ParameterError
        If the numbers of texts differ.
    MissingDependencyError
        If jiwer does not load.
    """
    with import_guard(
        "word error rates need jiwer, which does not load", "pip install 'avalign[recognition]'"
    ):
        import jiwer
    check_pairs("texts", len(truth), len(recognised))
    true = [" ".join(text.split()) for text in truth]
    found = [" ".join(text.split()) for text in recognised]
    # jiwer takes no empty truth; all that is said there was made up.
    silent = [index for index, text in enumerate(true) if not text]
    spoken = [index for index, text in enumerate(true) if text]
    counts = {"substitutions": 0, "deletions": 0, "insertions": 0}
    character_errors = 0
    if spoken:
        pairs = [true[i] for i in spoken], [found[i] for i in spoken]
        words, characters = jiwer.process_words(*pairs), jiwer.process_characters(*pairs)
        counts = {name: int(getattr(words, name)) for name in counts}
        character_errors = sum(int(getattr(characters, name)) for name in counts)
    counts["insertions"] += sum(len(found[i].split()) for i in silent)
    character_errors += sum(len(found[i]) for i in silent)
    n_words = sum(len(text.split()) for text in true)
    n_wrong = sum(a != b for a, b in zip(true, found, strict=True))
    return SpeechErrors(
        word_error_rate=ratio(sum(counts.values()), n_words),
        character_error_rate=ratio(character_errors, sum(map(len, true))),
        **counts,
        n_words=n_words,
        n_sentences=len(true),
        sentence_error_rate=ratio(n_wrong, len(true)),
    )


@dataclass(frozen=True, slots=True)
class WordTimeErrors(Metrics):
    """Errors of the times of words.

    Parameters
    ----------
    median_ms, mean_ms, p90_ms : float
        Absolute errors of starts and ends together: their median, mean and 90th percentile.
    start_median_ms, end_median_ms : float
        Median absolute error of the starts, and of the ends.
    n_words : int
        How many words were compared.
    """

    median_ms: float
    mean_ms: float
    p90_ms: float
    start_median_ms: float
    end_median_ms: float
    n_words: int


def word_time_errors(
    truth: Sequence[Transcript], found: Sequence[Transcript]
) -> WordTimeErrors:
    """Compare the times of the same words.

    Parameters
    ----------
    truth, found : sequence of Transcript
        The same words in the same order, all with times.

    Returns
    -------
    WordTimeErrors
        Errors over all words together.

    Raises
    ------
    ParameterError
        If the words differ, one has no time, or there is none.
    """
    check_pairs("transcripts", len(truth), len(found))
    errors_ms = []
    for true, answer in zip(truth, found, strict=True):
        if [word.text for word in true.words] != [word.text for word in answer.words]:
            raise ParameterError(
                f"{answer.text[:60]!r} has other words than its truth {true.text[:60]!r}",
                "compare the times of the same words",
            )
        for word, other in zip(true.words, answer.words, strict=True):
            if (
                word.start_s is None
                or word.end_s is None
                or other.start_s is None
                or other.end_s is None
            ):
                raise ParameterError(f"the word {word.text!r} has no time", "align it first")
            errors_ms.append((other.start_s - word.start_s, other.end_s - word.end_s))
    if not errors_ms:
        raise ParameterError("there are no words to compare", "pass words with times")
    absolute_ms = np.abs(np.array(errors_ms)) * 1000
    start_ms, end_ms = np.median(absolute_ms, axis=0).tolist()
    return WordTimeErrors(
        median_ms=float(np.median(absolute_ms)),
        mean_ms=float(absolute_ms.mean()),
        p90_ms=float(np.percentile(absolute_ms, 90)),
        start_median_ms=start_ms,
        end_median_ms=end_ms,
        n_words=len(absolute_ms),
    )
