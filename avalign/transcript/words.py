"""Words, and when they are said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from avalign.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Word:
    """One word, and when it is said.

    Parameters
    ----------
    text : str
        The word, without blanks.
    start_s, end_s : float or None
        Presentation times of its first and last sound; both None where the word has
        no time yet.
    confidence : float or None
        Probability that the word is right; None where nobody estimated one.

    Raises
    ------
    ParameterError
        If the text is empty or holds blanks, or the times are no interval.
    """

    text: str
    start_s: float | None = None
    end_s: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        if not self.text or any(character.isspace() for character in self.text):
            raise ParameterError(
                f"a word must be text without blanks, not {self.text!r}", "split it"
            )
        if self.start_s is None and self.end_s is None:
            return
        start_s, end_s = self.start_s, self.end_s
        if (
            start_s is None
            or end_s is None
            or not (math.isfinite(start_s) and math.isfinite(end_s))
            or end_s < start_s
        ):
            raise ParameterError(
                f"the word {self.text!r} is given the times {start_s} to {end_s}",
                "name a start and an end that is not before it, or neither",
            )


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words in the order in which they are said.

    Parameters
    ----------
    words : tuple of Word
        The words; those with times start no earlier than the ones before them.
    source : str
        Where they come from, such as the name of a file.

    Raises
    ------
    ParameterError
        If a word starts before an earlier one.
    """

    words: tuple[Word, ...]
    source: str = ""

    def __post_init__(self) -> None:
        timed = (word for word in self.words if word.start_s is not None)
        for before, after in pairwise(timed):
            if (after.start_s or 0.0) < (before.start_s or 0.0):
                raise ParameterError(
                    f"the word {after.text!r} starts at {after.start_s} s, before "
                    f"{before.text!r} at {before.start_s} s",
                    "sort the words by their start",
                )

    def __len__(self) -> int:
        return len(self.words)

    @property
    def text(self) -> str:
        """All words, with a blank between any two."""
        return " ".join(word.text for word in self.words)

    @property
    def has_times(self) -> bool:
        """Whether every word has its times."""
        return all(word.start_s is not None for word in self.words)

    def as_dict(self) -> dict[str, Any]:
        """Turn the transcript into plain values that JSON can hold.

        Returns
        -------
        dict
            ``text`` and ``words``, each of these with ``text``, ``start_s``, ``end_s`` and
            ``confidence``; None wherever something is not known.
        """
        return {
            "text": self.text,
            "words": [
                {
                    "text": word.text,
                    "start_s": word.start_s,
                    "end_s": word.end_s,
                    "confidence": word.confidence,
                }
                for word in self.words
            ],
        }


def timed_words(transcript: Transcript) -> list[tuple[str, float, float]]:
    """Return (text, start_s, end_s) of every word; refuse words without times."""
    timed = []
    for word in transcript.words:
        if word.start_s is None or word.end_s is None:
            raise ParameterError(
                f"the word {word.text!r} has no time",
                "align the transcript with the sound first",
            )
        timed.append((word.text, word.start_s, word.end_s))
    return timed
