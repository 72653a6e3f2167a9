"""Decoders against the enumeration of all paths, and against cases worked out by hand."""

from __future__ import annotations

import math
import re

import naive
import numpy as np
import pytest
from ctc import clock_of, rows_of, small_emissions
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign.errors import NoAnswerError, ParameterError
from avalign.recognition.ctc.alphabet import ENGLISH, Alphabet
from avalign.recognition.ctc.decoding import beam_decode, greedy_decode
from avalign.recognition.ctc.grammar import GRID, Grammar, Slot, grammar_decode

AB = Alphabet("ab ")
SMALL = Grammar((Slot("first", ("ab", "b")), Slot("second", ("a", "bb"))))
SMALL_TEXT = re.compile(r" *(ab|b) *(a|bb) *")


def test_greedy_reads_repeats_once_and_times_words_halfway_between_rows():
    log_probs = rows_of("__aab_bb__ _a_", AB)
    decoding = greedy_decode(log_probs, clock_of(log_probs), AB)
    first, second = decoding.transcript.words
    assert decoding.transcript.text == "abb a"
    assert (first.start_s, first.end_s) == pytest.approx((1.03, 1.15))
    assert (second.start_s, second.end_s) == pytest.approx((1.23, 1.25))
    assert decoding.log_prob == pytest.approx(14 * math.log(0.9))
    assert first.confidence == pytest.approx(0.9)


def test_edges_lie_between_rows_of_a_clock_that_is_not_even():
    log_probs = rows_of("ab", AB)
    word = greedy_decode(log_probs, [1.0, 3.0], AB).transcript.words[0]
    assert (word.start_s, word.end_s) == (0.0, 4.0)
    alone = greedy_decode(log_probs[:1], [1.0], AB).transcript.words[0]
    assert (alone.start_s, alone.end_s) == (1.0, 1.0)


@pytest.mark.slow
def test_silence_is_no_word():
    log_probs = rows_of("___ _ ", AB)
    for decode in (greedy_decode, beam_decode):
        assert decode(log_probs, clock_of(log_probs), AB).transcript.words == ()


def test_the_beam_finds_the_text_that_the_best_path_hides():
    # P(blank) = 0.6 and P(a) = 0.4 twice: the best path is silent at 0.36, but "a" is said
    # on three paths: 0.4 * 0.4 + 2 * 0.4 * 0.6 = 0.64.
    log_probs = np.log([[0.6, 0.4], [0.6, 0.4]])
    a = Alphabet("a")
    assert greedy_decode(log_probs, [0, 1], a).transcript.text == ""
    found = beam_decode(log_probs, [0, 1], a)
    assert found.transcript.text == "a"
    assert found.log_prob == pytest.approx(math.log(0.64))


@given(small_emissions())
@settings(max_examples=60)
def test_a_wide_beam_is_exact(log_probs):
    texts = naive.ctc_texts(log_probs)
    found = beam_decode(log_probs, clock_of(log_probs), AB, width=400)
    best = max(texts.values())
    assert math.exp(found.log_prob) == pytest.approx(best)
    likeliest = [AB.decode(text) for text, prob in texts.items() if prob > best * (1 - 1e-9)]
    assert found.transcript.text in [" ".join(text.split()) for text in likeliest]


@given(small_emissions(), st.integers(1, 6))
@settings(max_examples=40)
def test_a_narrow_beam_never_claims_more_than_its_text_has(log_probs, width):
    texts = naive.ctc_texts(log_probs)
    found = beam_decode(log_probs, clock_of(log_probs), AB, width=width)
    probability = math.exp(found.log_prob)
    spelt = [
        prob
        for text, prob in texts.items()
        if " ".join(AB.decode(text).split()) == found.transcript.text
    ]
    assert probability <= max(spelt) * (1 + 1e-9)


def test_a_label_that_is_ruled_out_is_never_read():
    log_probs = rows_of("ab", AB)
    log_probs[:, 2] = -np.inf
    assert beam_decode(log_probs, [0, 1], AB).transcript.text == "a"
    with pytest.raises(NoAnswerError):
        beam_decode(np.full((2, 4), -np.inf), [0, 1], AB)


@pytest.mark.slow
@given(small_emissions(most_rows=6))
@settings(max_examples=40)
def test_the_grammar_finds_the_best_of_all_paths(log_probs):
    paths = [
        (log_prob, match.groups())
        for _, text, log_prob in naive.ctc_paths(log_probs)
        if (match := SMALL_TEXT.fullmatch(AB.decode(text)))
    ]
    if not paths:
        with pytest.raises(NoAnswerError, match="no sentence of the grammar"):
            grammar_decode(log_probs, clock_of(log_probs), AB, SMALL)
        return
    found = grammar_decode(log_probs, clock_of(log_probs), AB, SMALL)
    best = max(paths)
    words = found.transcript.words
    assert tuple(word.text for word in words) == best[1]
    assert found.log_prob == pytest.approx(best[0])
    free = log_probs.max(axis=1).sum()
    assert found.free_log_prob == pytest.approx(free)
    assert found.misfit == pytest.approx((free - best[0]) / len(log_probs))
    total = sum(math.exp(log_prob) for log_prob, _ in paths)
    for slot, word in enumerate(words):
        same = sum(math.exp(log_prob) for log_prob, said in paths if said[slot] == word.text)
        assert word.confidence == pytest.approx(same / total)


SPIKES = ("s_e_t", "gre_en", "wi_th", "q", "thre_e", "soo_on")


@pytest.mark.parametrize("pause", ["_ __", " ", "_", ""])
def test_a_sentence_of_grid_is_read_with_its_times(pause):
    said = f"__{pause.join(SPIKES)}___"
    log_probs = rows_of(said, ENGLISH)
    found = grammar_decode(log_probs, clock_of(log_probs), ENGLISH)
    words = found.transcript.words
    assert [word.text for word in words] == ["set", "green", "with", "q", "three", "soon"]
    assert found.misfit == pytest.approx(0.0, abs=1e-12)
    # One row tells the letter, several the other words.
    assert words[3].confidence == pytest.approx(0.9 / (0.9 + 24 * 0.1 / 28), abs=0.01)
    assert min(word.confidence for word in words if word.text != "q") > 0.99
    for word, spelt in zip(words, SPIKES, strict=True):
        first = said.index(spelt)
        assert word.start_s == pytest.approx(1 + (first - 0.5) / 50)
        assert word.end_s == pytest.approx(1 + (first + len(spelt) - 0.5) / 50)


def test_the_grammar_corrects_what_is_misread_and_doubts_what_it_cannot_be():
    near = rows_of("_set_ _wlue_ _at_ _f_ _two_ _now_", ENGLISH)
    found = grammar_decode(near, clock_of(near), ENGLISH)
    assert found.transcript.text == "set blue at f two now"
    strange = rows_of("_how_ _do_ _you_ _like_ _my_ _new_ _kitchen_", ENGLISH)
    doubt = grammar_decode(strange, clock_of(strange), ENGLISH)
    assert doubt.misfit > 10 * found.misfit > 0


def test_words_that_share_a_letter_where_they_meet_need_a_blank():
    grammar = Grammar((Slot("one", ("ab",)), Slot("two", ("ba",))))
    log_probs = rows_of("ab_ba", AB)
    assert grammar_decode(log_probs, clock_of(log_probs), AB, grammar).misfit == 0.0
    joined = rows_of("abbba", AB)
    assert grammar_decode(joined, clock_of(joined), AB, grammar).misfit > 0.1


def test_grid_has_its_51_words():
    assert len(GRID.vocabulary) == 51
    assert "w" not in GRID.vocabulary


@pytest.mark.parametrize(
    "words", [(), ("",), ("a", "a"), ("a b",)], ids=["none", "empty", "twice", "blank"]
)
def test_slots_that_make_no_sense_are_refused(words):
    with pytest.raises(ParameterError, match="the slot 'x'"):
        Slot("x", words)


def test_a_grammar_the_model_cannot_spell_is_refused():
    with pytest.raises(ParameterError, match="'c' at 0"):
        grammar_decode(rows_of("a", AB), [0], AB, Grammar((Slot("x", ("c",)),)))
    with pytest.raises(ParameterError, match="has no letter"):
        grammar_decode(rows_of("a", AB), [0], AB, Grammar((Slot("x", ("-",)),)))
    with pytest.raises(ParameterError, match="0 words"):
        Grammar(())


@pytest.mark.parametrize("decode", [greedy_decode, beam_decode, grammar_decode])
@pytest.mark.parametrize(
    ("log_probs", "times_s", "says"),
    [
        (np.zeros((0, 4)), [], "shape"),
        (np.zeros((2, 3)), [0, 1], "shape"),
        (np.zeros(4), [0], "shape"),
        (np.zeros((2, 4)), [0], "one time per row"),
        (np.zeros((2, 4)), [0, 0], "increase"),
        (np.zeros((2, 4)), [0, np.inf], "increase"),
        (np.ones((2, 4)), [0, 1], "log_softmax"),
        (np.full((2, 4), np.nan), [0, 1], "log_softmax"),
    ],
)
def test_what_no_model_emits_is_refused(decode, log_probs, times_s, says):
    with pytest.raises(ParameterError, match=says):
        decode(log_probs, times_s, AB)


@pytest.mark.parametrize("width", [0, 2**24])
def test_a_beam_that_cannot_be_kept_is_refused(width):
    with pytest.raises(ParameterError, match=f"width is {width}"):
        beam_decode(rows_of("ab", AB), [0, 1], AB, width=width)
