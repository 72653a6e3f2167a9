"""The word of each row: it times words, and decides where the characters do not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from ctc import clock_of, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign.errors import NoAnswerError, ParameterError
from avalign.recognition.ctc.alphabet import ENGLISH
from avalign.recognition.ctc.grammar import GRID, grammar_decode
from avalign.recognition.ctc.word_frames import WordFrames, align_word_frames
from avalign.transcript import Transcript, Word

PLACE = {word: column for column, word in enumerate(GRID.vocabulary, start=1)}
# One character per row, and the word of each row: sound reaches beyond its spikes.
SPIKES = "____s_e_t____red______a_t____q____o_ne___n_o_w______"
SOUNDS = [(2, 11, "set"), (11, 18, "red"), (20, 28, "at"), (28, 32, "q"), (33, 40, "one"),
          (40, 49, "now")]  # fmt: skip


def told_of(sounds: list[tuple[int, int, str]], n_rows: int, sure: float = 0.9) -> WordFrames:
    probabilities = np.full((n_rows, 1 + len(PLACE)), (1 - sure) / len(PLACE))
    word_of = np.zeros(n_rows, int)
    for first, stop, word in sounds:
        word_of[first:stop] = PLACE[word]
    probabilities[np.arange(n_rows), word_of] = sure
    return WordFrames(np.log(probabilities), GRID.vocabulary)


def rows_said(words: tuple[Word, ...]) -> list[tuple[int, int, str]]:
    """Undo `clock_of`: the first row of each word, and the row after its last."""
    return [
        (round((word.start_s - 1) * 50 + 0.5), round((word.end_s - 1) * 50 + 0.5), word.text)
        for word in words
    ]


def test_words_are_timed_by_their_rows():
    rows = told_of(SOUNDS, 52)
    said = Transcript(tuple(Word(word) for _, _, word in SOUNDS), "clip")
    found = align_word_frames(rows, clock_of(np.zeros(52)), said)
    assert found.source == "clip"
    assert rows_said(found.words) == SOUNDS
    assert [word.confidence for word in found.words] == pytest.approx([0.9] * 6)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_words_come_in_order_and_do_not_overlap_whatever_the_rows_say(seed):
    scores = np.random.default_rng(seed).normal(scale=3, size=(12, 52))
    rows = WordFrames(scores - np.log(np.exp(scores).sum(1, keepdims=True)), GRID.vocabulary)
    said = Transcript(tuple(Word(word) for _, _, word in SOUNDS))
    words = align_word_frames(rows, clock_of(scores), said).words
    assert [word.text for word in words] == [word for _, _, word in SOUNDS]
    for before, after in pairwise(words):
        assert before.start_s < before.end_s <= after.start_s + 1e-12


def test_words_outside_the_vocabulary_take_what_no_other_word_of_the_text_claims():
    texts = ["set", "red", "at", "queue", "one", "now"]
    said = Transcript(tuple(map(Word, texts)))
    found = align_word_frames(told_of(SOUNDS, 52), clock_of(np.zeros(52)), said).words
    assert rows_said(found) == [
        (first, stop, text) for (first, stop, _), text in zip(SOUNDS, texts, strict=True)
    ]
    assert [word.text for word in found if word.confidence is None] == ["queue"]


def test_rows_give_a_sentence_its_whole_words():
    log_probs = rows_of(SPIKES, ENGLISH)
    clock_s = clock_of(log_probs)
    alone = grammar_decode(log_probs, clock_s, ENGLISH)
    spikes = [(4, 9), (13, 16), (22, 25), (29, 30), (34, 38), (41, 46)]
    assert [row[:2] for row in rows_said(alone.transcript.words)] == spikes
    both = grammar_decode(log_probs, clock_s, ENGLISH, word_frames=told_of(SOUNDS, 52))
    assert rows_said(both.transcript.words) == SOUNDS
    assert both.log_prob == pytest.approx(alone.log_prob)
    assert both.misfit == pytest.approx(0.0, abs=1e-12)


@pytest.mark.slow
def test_rows_decide_where_characters_do_not():
    log_probs = rows_of(SPIKES, ENGLISH)
    letter = SPIKES.index("q")
    log_probs[letter] = np.log(1 / ENGLISH.size)
    clock_s = clock_of(log_probs)
    alone = grammar_decode(log_probs, clock_s, ENGLISH)
    told = told_of(SOUNDS, 52)
    both = grammar_decode(log_probs, clock_s, ENGLISH, word_frames=told, word_weight=0.5)
    assert both.transcript.words[3].text == "q"
    assert both.transcript.words[3].confidence > 0.95
    # Without them each of the 25 letters is as likely.
    assert alone.transcript.words[3].confidence < 0.1


def test_without_weight_rows_change_no_word():
    log_probs = rows_of(SPIKES, ENGLISH)
    wrong = told_of([(0, 52, "bin")], 52)
    found = grammar_decode(
        log_probs, clock_of(log_probs), ENGLISH, word_frames=wrong, word_weight=0.0
    )
    assert found.transcript.text == "set red at q one now"


def test_what_does_not_fit_is_refused():
    clock_s = clock_of(np.zeros(52))
    rows = told_of(SOUNDS, 52)
    with pytest.raises(NoAnswerError, match="no word to align"):
        align_word_frames(rows, clock_s, Transcript(()))
    with pytest.raises(ParameterError, match="one time per row"):
        align_word_frames(rows, clock_s[1:], Transcript((Word("set"),)))
    log_probs = rows_of(SPIKES, ENGLISH)
    few = WordFrames(rows.log_probs, GRID.vocabulary[1:])
    none = WordFrames(np.zeros((52, 1)), ())
    with pytest.raises(ParameterError, match=r"not \(T, 51\)"):
        grammar_decode(log_probs, clock_s, ENGLISH, word_frames=few)
    with pytest.raises(ParameterError, match="'bin' is not among the 0"):
        grammar_decode(log_probs, clock_s, ENGLISH, word_frames=none)
    with pytest.raises(ParameterError, match="word_weight is -1"):
        grammar_decode(log_probs, clock_s, ENGLISH, word_frames=rows, word_weight=-1.0)
