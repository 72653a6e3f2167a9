"""Read sentences of a known form: the best one, exactly, and how badly it fits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import NoAnswerError, ParameterError
from avalign.recognition.ctc.alphabet import BLANK, Alphabet
from avalign.recognition.ctc.emissions import Emissions, check_emissions
from avalign.recognition.ctc.graph import (
    GraphBuilder,
    StateGraph,
    best_path,
    entry_probabilities,
)
from avalign.transcript import Transcript, Word

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from avalign.recognition.ctc.word_frames import WordFrames

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
        Natural logarithm of the probability that CTC gives the best path.
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
    log_probs: ArrayLike,
    times_s: ArrayLike,
    alphabet: Alphabet,
    grammar: Grammar = GRID,
    *,
    word_frames: WordFrames | None = None,
    word_weight: float = 0.25,
    with_confidence: bool = True,
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
    word_frames : WordFrames, optional
        Log-probabilities of the words in each row, of a vocabulary that holds the words
        of the grammar. It helps to find the words, and to find where they begin and end:
        without it words reach from their first to their last spike.
    word_weight : float
        How much a row of `word_frames` counts against one of `log_probs`; less than 1, since
        the rows of a word tell much the same.
    with_confidence : bool
        Compute the confidence of each word, which takes far longer than finding the words.

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
    emitted = check_emissions(log_probs, times_s, alphabet.size)
    if not (math.isfinite(word_weight) and word_weight >= 0):
        raise ParameterError(f"word_weight is {word_weight}", "use a number from 0 to 1")
    network = _compile(grammar, alphabet, word_frames is not None)
    graph, evidence = network.graph, emitted.log_probs
    if word_frames is not None:
        evidence = evidence[:, graph.labels] + word_weight * _word_output(
            word_frames, emitted, network
        )
        graph = replace(graph, labels=np.arange(len(graph.labels)))
    states, score = best_path(graph, evidence)
    if np.isneginf(score):
        raise NoAnswerError(
            f"no sentence of the grammar can be read from {len(emitted.log_probs)} rows",
            "check that the recording holds a whole sentence",
        )
    posterior = (
        entry_probabilities(graph, evidence)[network.entries] if with_confidence else None
    )
    path = network.graph.labels[states]
    log_prob = float(emitted.log_probs[np.arange(len(path)), path].sum())
    free_log_prob = float(emitted.log_probs.max(axis=1).sum())
    return GrammarDecoding(
        _transcript(emitted, states, network, posterior),
        log_prob,
        free_log_prob,
        max(0.0, free_log_prob - log_prob) / len(path),
    )


def _word_output(
    word_frames: WordFrames, emitted: Emissions, network: _Network
) -> NDArray[np.float64]:
    """Return what the rows tell of the word of each state, (T, S)."""
    log_probs_of_words = word_frames.check(emitted.times_s).log_probs
    columns = np.append(word_frames.columns(network.words), 0)  # -1, between words: no word
    by_state = log_probs_of_words[:, columns[network.word_of]]
    # A space lies in the gap between two words or, where they meet, at the edge of either.
    by_state[:, network.is_separator] = log_probs_of_words.max(axis=1, keepdims=True)
    return by_state


@dataclass(frozen=True, slots=True, eq=False)
class _Network:
    """A grammar as states: `word_of` tells each state's word, -1 between words."""

    graph: StateGraph
    words: list[str]
    word_of: NDArray[np.int64]
    # The first character of each word, which every path through the word enters once.
    entries: NDArray[np.int64]
    is_separator: NDArray[np.bool_]


@lru_cache(maxsize=8)
def _compile(grammar: Grammar, alphabet: Alphabet, whole_words: bool) -> _Network:
    """Build the states; whole words hold the silent rows around their spikes, too."""
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

    def spell(word: str) -> tuple[list[int], list[int]]:
        """Add the states of a word; return those it begins with, and those it ends with."""
        numbers = alphabet.encode(alphabet.spell(word)).tolist()
        if not numbers:
            raise ParameterError(
                f"the word {word!r} has no letter in the alphabet {alphabet.characters!r}",
                "spell it out",
            )
        first = len(builder.labels)
        before = begin = [builder.state(BLANK)] if whole_words else []
        for place, label in enumerate(numbers):
            character = builder.state(label)
            builder.connect(before, [character])
            before = [character]
            if place == 0:
                entries.append(character)
                begin = [*begin, character]
            if whole_words or place < len(numbers) - 1:
                blank = builder.state(BLANK)
                builder.connect([character], [blank])
                before = [character, blank]
        word_of.extend([len(words)] * (len(builder.labels) - first))
        words.append(word)
        return begin, before

    pauses = pause()
    starts = list(pauses)
    before = list(pauses)
    for number, slot in enumerate(grammar.slots):
        ends = [spell(word) for word in slot.words]
        firsts, lasts = ([state for end in ends for state in end[side]] for side in (0, 1))
        builder.connect(before, firsts)
        if number == 0:
            starts += firsts
        pauses = pause()
        builder.connect(lasts, pauses)
        before = [*lasts, *pauses]
    graph = builder.build(starts, before)
    is_separator = np.full(len(graph.labels), False)
    if alphabet.separator is not None:
        is_separator = graph.labels == alphabet.separator
    return _Network(graph, words, np.array(word_of), np.array(entries), is_separator)


def _transcript(
    emitted: Emissions,
    states: NDArray[np.int64],
    network: _Network,
    posterior: NDArray[np.float64] | None,
) -> Transcript:
    spoken = network.word_of[states]
    words: list[Word] = []
    for number in dict.fromkeys(spoken[spoken >= 0].tolist()):
        rows = np.flatnonzero(spoken == number)
        start_s, end_s = emitted.span_s(int(rows[0]), int(rows[-1]))
        confidence = None if posterior is None else min(1.0, float(posterior[number]))
        words.append(Word(network.words[number], start_s, end_s, confidence))
    return Transcript(tuple(words), "speech")
