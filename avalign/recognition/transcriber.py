"""From a speech model's output on one clip to words: by characters, words, a grammar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import NoAnswerError
from avalign.recognition.ctc.alphabet import Alphabet
from avalign.recognition.ctc.decoding import greedy_decode
from avalign.recognition.ctc.forced_alignment import WordTiming, align_transcript
from avalign.recognition.ctc.grammar import GRID, grammar_decode
from avalign.recognition.ctc.word_frames import WordFrames, align_word_frames
from avalign.transcript import Transcript

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.recognition.ctc.grammar import Grammar
    from avalign.recognition.model.settings import RecognizerSettings

# Grammars that a model may turn out to have learnt.
GRAMMARS = (GRID,)


@dataclass(frozen=True, slots=True, eq=False)
class CtcOutput:
    """Output of a speech model for one clip.

    Parameters
    ----------
    log_probs : ndarray of shape (T, 1 + characters)
        Log-probabilities for CTC; the blank is column 0.
    words : ndarray of shape (T, 1 + vocabulary) or None
        Scores of the word in each row; column 0 is silence. None for a model without
        that head.
    times_s : ndarray of shape (T,), float64
        Time of each row.
    """

    log_probs: NDArray[np.float64]
    words: NDArray[np.float64] | None
    times_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Transcription:
    """What was read in one clip.

    `misfit` is the fraction of characters in which the sentence differs from what was read
    freely (infinite where none fits); without a grammar, the fraction of the characters read
    that belong to words outside the vocabulary.
    """

    free: Transcript  # the most probable characters, whatever they spell
    # the best of the grammar; None where there is none, or none fits
    sentence: Transcript | None
    misfit: float

    @property
    def best(self) -> Transcript:
        """The sentence, where there is one, else what was read freely."""
        return self.free if self.sentence is None else self.sentence


def model_grammar(settings: RecognizerSettings) -> Grammar | None:
    """Find the grammar that a model's vocabulary is of.

    Parameters
    ----------
    settings : RecognizerSettings
        The model.

    Returns
    -------
    Grammar or None
        One whose words hold the vocabulary, which has a word for each of its slots; None
        if there is none.
    """
    words = set(settings.vocabulary)
    for grammar in GRAMMARS:
        fills_slots = all(words & set(slot.words) for slot in grammar.slots)
        if fills_slots and words <= set(grammar.vocabulary):
            return grammar
    return None


class Transcriber:
    """Reads clips with all that a model knows: characters, words by row, a grammar.

    Parameters
    ----------
    settings : RecognizerSettings
        A model with a speech head.
    timing : WordTiming, optional
        How far words reach beyond the spikes of the model, for one without words by row.
    """

    def __init__(self, settings: RecognizerSettings, timing: WordTiming | None = None) -> None:
        self.alphabet = Alphabet(settings.characters)
        self.grammar = model_grammar(settings)
        self.vocabulary = settings.vocabulary
        self._known = frozenset(settings.vocabulary)
        self._timing = timing or WordTiming()

    def transcribe(self, output: CtcOutput) -> Transcription:
        """Read one clip.

        Parameters
        ----------
        output : CtcOutput
            Output of the model.

        Returns
        -------
        Transcription
            The words, with times and confidence.
        """
        free = greedy_decode(output.log_probs, output.times_s, self.alphabet).transcript
        if self.grammar is None:
            return Transcription(free, None, self._unknown_fraction(free))
        try:
            sentence = self._sentence(output, self.grammar)
        except NoAnswerError:
            return Transcription(free, None, float("inf"))
        return Transcription(free, sentence, _difference(free.text, sentence.text))

    def time_words(self, output: CtcOutput, transcript: Transcript) -> Transcript:
        """Find when the words of a known text are said.

        Parameters
        ----------
        output : CtcOutput
            Output of the model.
        transcript : Transcript
            What is said, all of it; times it may have are not looked at.

        Returns
        -------
        Transcript
            The words as they were written, with times; what has no sound is left out. Of a
            model that knows the word of each row, words outside its vocabulary have no
            confidence.

        Raises
        ------
        ParameterError
            If the alphabet lacks a character of the text.
        NoAnswerError
            If there is no text, or it cannot be said in so few rows.
        """
        spellings = [
            (word, spelling)
            for word in transcript.words
            if (spelling := self.alphabet.spell(word.text))
        ]
        word_frames = self._word_frames(output)
        n_known = sum(spelling in self._known for _, spelling in spellings)
        # Among strangers the few words that are known are no landmarks.
        if word_frames is None or n_known < len(spellings) / 2 or not spellings:
            found = align_transcript(
                output.log_probs, output.times_s, transcript, self.alphabet
            )
            return self._timing.apply(found)
        bare = tuple(replace(word, text=spelling) for word, spelling in spellings)
        found = align_word_frames(
            word_frames, output.times_s, Transcript(bare, transcript.source)
        )
        written = (
            replace(word, text=original.text)
            for word, (original, _) in zip(found.words, spellings, strict=True)
        )
        return Transcript(tuple(written), found.source)

    def misfit(self, output: CtcOutput, transcript: Transcript) -> float:
        """Say how little a known text is what the model reads.

        Parameters
        ----------
        output : CtcOutput
            Output of the model.
        transcript : Transcript
            What is said.

        Returns
        -------
        float
            The fraction of characters in which the text differs from what is read freely.
        """
        free = greedy_decode(output.log_probs, output.times_s, self.alphabet).transcript
        spelling = " ".join(filter(None, map(self.alphabet.spell, transcript.text.split())))
        return _difference(free.text, spelling)

    def _sentence(self, output: CtcOutput, grammar: Grammar) -> Transcript:
        word_frames = self._word_frames(output)
        if word_frames is not None and not self._known.issuperset(grammar.vocabulary):
            word_frames = None
        found = grammar_decode(
            output.log_probs, output.times_s, self.alphabet, grammar, word_frames=word_frames
        )
        if word_frames is None:
            return found.transcript
        # CTC may tell a word long before it is said; the words by row know their places.
        timed = align_word_frames(word_frames, output.times_s, found.transcript)
        words = (
            replace(word, start_s=other.start_s, end_s=other.end_s)
            for word, other in zip(found.transcript.words, timed.words, strict=True)
        )
        return Transcript(tuple(words), found.transcript.source)

    def _word_frames(self, output: CtcOutput) -> WordFrames | None:
        if output.words is None:
            return None
        scores = np.asarray(output.words, np.float64)
        scores = scores - scores.max(axis=1, keepdims=True)
        log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return WordFrames(log_probs, self.vocabulary)

    def _unknown_fraction(self, transcript: Transcript) -> float:
        lengths = [(len(word.text), word.text in self._known) for word in transcript.words]
        total = sum(length for length, _ in lengths)
        if not self._known or not total:
            return 0.0
        return sum(length for length, known in lengths if not known) / total


def _difference(one: str, other: str) -> float:
    """Return the edits of characters as a fraction of the longer text.

    Unlike the score of the sentence, it depends neither on the silence around it, nor on the
    rows in which a model happens to write its characters.
    """
    row = list(range(len(other) + 1))
    for index, character in enumerate(one, start=1):
        diagonal, row[0] = row[0], index
        for column, candidate in enumerate(other, start=1):
            replaced = diagonal + (character != candidate)
            diagonal = row[column]
            row[column] = min(row[column] + 1, row[column - 1] + 1, replaced)
    return row[-1] / max(1, len(one), len(other))
