"""Read sentences of a known form: the best one, exactly, and how badly it fits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import NoAnswerError, ParameterError
from avalign.tasks.alphabet import BLANK, Alphabet
from avalign.tasks.emissions import Emissions, emissions
from avalign.tasks.graph import GraphBuilder, StateGraph, best_path, entry_probabilities
from avalign.transcript import Transcript, Word

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["GRID", "Grammar", "GrammarDecoding", "Slot", "grammar_decode"]

MAX_WORDS = 10_000


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a sentence, and the words that may stand there.

    Parameters
    ----------
    name : str
        What the words are, such as ``"colour"``.
    words : tuple of str
        The alternatives.

    Raises
    ------
    ParameterError
        If there is no word, one that is empty or holds blanks, or the same twice.
    """

    name: str
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        are_words = all(word.split() == [word] for word in self.words)
        if not self.words or not are_words or len({*self.words}) < len(self.words):
            raise ParameterError(
                f"the slot {self.name!r} holds {self.words!r}",
                "name different words, without blanks",
            )


@dataclass(frozen=True, slots=True)
class Grammar:
    """Sentences with one word from each slot, in order.

    Parameters
    ----------
    slots : tuple of Slot
        The places of a sentence.

    Raises
    ------
    ParameterError
        If there is no slot, or more words than can be searched.
    """

    slots: tuple[Slot, ...]

    def __post_init__(self) -> None:
        n_words = sum(len(slot.words) for slot in self.slots)
        if not 1 <= n_words <= MAX_WORDS:
            raise ParameterError(
                f"the grammar has {n_words} words", f"name between 1 and {MAX_WORDS}"
            )

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """All words, sorted."""
        return tuple(sorted({word for slot in self.slots for word in slot.words}))


GRID = Grammar(
    (
        Slot("command", ("bin", "lay", "place", "set")),
        Slot("colour", ("blue", "green", "red", "white")),
        Slot("preposition", ("at", "by", "in", "with")),
        Slot("letter", tuple("abcdefghijklmnopqrstuvxyz")),
        Slot(
            "digit",
            (
                "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
            ),
        ),
        Slot("adverb", ("again", "now", "please", "soon")),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GrammarDecoding:
    """The sentence that was read.

    Parameters
    ----------
    transcript : Transcript
        The words of the best path, one per slot, with times. The confidence of a word is
        its probability among the words of its slot, over all sentences of the grammar:
        given that one of them was said.
    log_prob : float
        Natural logarithm of the probability of the best path.
    free_log_prob : float
        The same of the best path that keeps to no grammar; never less.
    misfit : float
        By how much free speech does better, in nats per row: 0 where it reads the same.
        A sentence that is not of the grammar has a large one.
    """

    transcript: Transcript
    log_prob: float
    free_log_prob: float
    misfit: float


def grammar_decode(
    log_probs: ArrayLike, times_s: ArrayLike, alphabet: Alphabet, grammar: Grammar = GRID
) -> GrammarDecoding:
    """Find the best sentence of a grammar, by an exact search over all of them.

    Parameters
    ----------
    log_probs : array-like of shape (T, C)
        Log-probabilities of a CTC model, the blank in column 0.
    times_s : array-like of shape (T,)
        Presentation time of each row.
    alphabet : Alphabet
        The alphabet of the model. Its space, if it has one, may stand before, between and
        after words, and need not.
    grammar : Grammar
        The sentences.

    Returns
    -------
    GrammarDecoding
        The words with times, and what tells whether to believe them.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or the alphabet lacks a character of the grammar.
    NoAnswerError
        If no sentence can be said in so few rows, or the model rules all of them out.

    References
    ----------
    .. [1] M. Cooke et al., "An audio-visual corpus for speech perception and automatic
       speech recognition", J. Acoust. Soc. Am. 120, 2006.
    """
    emitted = emissions(log_probs, times_s, alphabet)
    network = _compile(grammar, alphabet)
    states, log_prob = best_path(network.graph, emitted.log_probs)
    if np.isneginf(log_prob):
        raise NoAnswerError(
            f"no sentence of the grammar can be read from {len(emitted.log_probs)} rows",
            "check that the recording holds a whole sentence",
        )
    free_log_prob = float(emitted.log_probs.max(axis=1).sum())
    return GrammarDecoding(
        _transcript(emitted, states, network),
        log_prob,
        free_log_prob,
        max(0.0, free_log_prob - log_prob) / len(states),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Network:
    """A grammar as states: `word_of` tells each state's word, -1 between words."""

    graph: StateGraph
    words: list[str]
    word_of: NDArray[np.int64]
    entries: NDArray[np.int64]


@lru_cache(maxsize=8)
def _compile(grammar: Grammar, alphabet: Alphabet) -> _Network:
    builder = GraphBuilder()
    words: list[str] = []
    entries: list[int] = []
    word_of: list[int] = []

    def pause() -> list[int]:
        """Add what may lie between two words: silence and, where there is one, the space."""
        separators = [] if alphabet.separator is None else [alphabet.separator]
        pauses = [builder.state(label) for label in (BLANK, *separators)]
        builder.connect(pauses, pauses)
        word_of.extend([-1] * len(pauses))
        return pauses

    def spell(word: str) -> tuple[int, int]:
        """Add the states of a word; return its first and its last character."""
        before: list[int] = []
        first = len(builder.labels)
        for label in alphabet.encode(alphabet.spell(word)).tolist():
            blanks = [builder.state(BLANK)] if before else []
            builder.connect(before, blanks)
            character = builder.state(label)
            builder.connect([*before, *blanks], [character])
            before = [character]
        if not before:
            raise ParameterError(
                f"the word {word!r} has no letter in the alphabet {alphabet.characters!r}",
                "spell it out",
            )
        word_of.extend([len(words)] * (len(builder.labels) - first))
        words.append(word)
        entries.append(first)
        return first, before[0]

    pauses = pause()
    starts = list(pauses)
    before = list(pauses)
    for number, slot in enumerate(grammar.slots):
        ends = [spell(word) for word in slot.words]
        firsts, lasts = ([end[side] for end in ends] for side in (0, 1))
        builder.connect(before, firsts)
        if number == 0:
            starts += firsts
        pauses = pause()
        builder.connect(lasts, pauses)
        before = [*lasts, *pauses]
    return _Network(builder.build(starts, before), words, np.array(word_of), np.array(entries))


def _transcript(emitted: Emissions, states: NDArray[np.int64], network: _Network) -> Transcript:
    posterior = entry_probabilities(network.graph, emitted.log_probs)[network.entries]
    spoken = network.word_of[states]
    words: list[Word] = []
    for number in dict.fromkeys(spoken[spoken >= 0].tolist()):
        rows = np.flatnonzero(spoken == number)
        start_s, end_s = emitted.span_s(int(rows[0]), int(rows[-1]))
        confidence = min(1.0, float(posterior[number]))
        words.append(Word(network.words[number], start_s, end_s, confidence))
    return Transcript(tuple(words), "speech")
