"""Forced alignment against the enumeration of all paths, torchaudio, and planted times."""

from __future__ import annotations

import sys

import naive
import numpy as np
import pytest
from ctc import clock_of, rows_of, small_emissions
from hypothesis import given, settings
from hypothesis import strategies as st

from avalign.errors import MissingDependencyError, NoAnswerError, ParameterError
from avalign.recognition.ctc.alphabet import ENGLISH, Alphabet
from avalign.recognition.ctc.forced_alignment import (
    WordTiming,
    align_transcript,
    aligned_path,
    fit_word_timing,
)
from avalign.recognition.ctc.graph import MAX_CELLS, GraphBuilder, best_path
from avalign.transcript import Transcript, Word


@given(small_emissions(), st.lists(st.integers(1, 3), max_size=4))
@settings(max_examples=80)
def test_the_path_is_the_best_of_all_that_spell_the_text(log_probs, labels):
    spelling = [
        (log_prob, path)
        for path, text, log_prob in naive.ctc_paths(log_probs)
        if text == tuple(labels)
    ]
    if not spelling:
        with pytest.raises(NoAnswerError, match="the transcript is too long"):
            aligned_path(log_probs, np.array(labels, np.int64))
        return
    found = aligned_path(log_probs, np.array(labels, np.int64))
    assert tuple(found) == max(spelling)[1]


def loads_torchaudio() -> bool:
    try:
        from torchaudio.functional import forced_align  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


@pytest.mark.skipif(not loads_torchaudio(), reason="torchaudio does not load here")
@pytest.mark.parametrize("seed", range(5))
def test_torchaudio_finds_the_same_path(seed):
    random = np.random.default_rng(seed)
    scores = random.normal(size=(80, 28))
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    labels = random.integers(1, 28, 20)
    np.testing.assert_array_equal(
        aligned_path(log_probs, labels, engine="torchaudio"), aligned_path(log_probs, labels)
    )


def test_without_torchaudio_the_error_names_the_other_engine(monkeypatch):
    for module in ("torchaudio", "torchaudio.functional"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match="numba"):
        aligned_path(np.zeros((3, 2)), np.array([1]), engine="torchaudio")


SAID = "____b_iin_  __blu_e_____"


def test_words_come_back_as_they_were_written_with_their_times():
    log_probs = rows_of(SAID, ENGLISH)
    given_words = Transcript((Word("Bin", 7.0, 8.0), Word("—"), Word("blue.")), "clip.txt")
    found = align_transcript(log_probs, clock_of(log_probs), given_words, ENGLISH)
    assert found.source == "clip.txt"
    assert [word.text for word in found.words] == ["Bin", "blue."]
    for word, spelt in zip(found.words, ("b_iin", "blu_e"), strict=True):
        first = SAID.index(spelt)
        assert word.start_s == pytest.approx(1 + (first - 0.5) / 50)
        assert word.end_s == pytest.approx(1 + (first + len(spelt) - 0.5) / 50)
        assert word.confidence == pytest.approx(0.9)


def test_characters_get_times_of_their_own():
    log_probs = rows_of(SAID, ENGLISH)
    found = align_transcript(
        log_probs, clock_of(log_probs), "bin blue", ENGLISH, unit="characters"
    )
    assert [word.text for word in found.words] == list("binblue")
    assert [round((word.start_s - 1) * 50 + 0.5) for word in found.words] == [
        4, 6, 8, 14, 15, 16, 18,
    ]  # fmt: skip


def test_an_alphabet_without_a_space_still_parts_words():
    alphabet = Alphabet("ab")
    log_probs = rows_of("_ab_a_", alphabet)
    found = align_transcript(log_probs, clock_of(log_probs), "ab a", alphabet)
    assert [round((word.start_s - 1) * 50 + 0.5) for word in found.words] == [1, 4]


def test_words_that_were_not_said_are_doubted():
    log_probs = rows_of(SAID, ENGLISH)
    found = align_transcript(log_probs, clock_of(log_probs), "bin green", ENGLISH)
    said, not_said = found.words
    assert said.confidence > 0.8 > 0.3 > not_said.confidence


def test_what_has_no_answer_says_why():
    log_probs = rows_of("_ab_", Alphabet("ab"))
    clock_s = clock_of(log_probs)
    with pytest.raises(NoAnswerError, match="needs 6 rows at least, and the recording has 4"):
        align_transcript(log_probs, clock_s, "aab b", Alphabet("ab"))
    with pytest.raises(NoAnswerError, match="no word to align"):
        align_transcript(log_probs, clock_s, "... -", Alphabet("ab"))
    with pytest.raises(NoAnswerError, match="probability of zero"):
        align_transcript(np.full((4, 3), -np.inf), clock_s, "a", Alphabet("ab"))
    with pytest.raises(ParameterError, match="'c' at 0"):
        align_transcript(log_probs, clock_s, "c", Alphabet("ab"))
    with pytest.raises(ParameterError, match="unit is 'phones'"):
        align_transcript(log_probs, clock_s, "a", Alphabet("ab"), unit="phones")
    with pytest.raises(ParameterError, match="engine is 'cuda'"):
        align_transcript(log_probs, clock_s, "a", Alphabet("ab"), engine="cuda")


def test_a_search_that_does_not_fit_in_memory_is_refused():
    builder = GraphBuilder()
    graph = builder.build([builder.state(0)], [0])
    # A view without memory of its own, as long as it would take.
    rows = np.broadcast_to(np.zeros((1, 1)), (MAX_CELLS + 1, 1))
    with pytest.raises(ParameterError, match="more than the"):
        best_path(graph, rows)


def test_timing_is_learned_and_makes_up_for_spikes():
    truth = Transcript((Word("a", 1.0, 1.5), Word("b", 1.5, 2.0), Word("c", 2.4, 2.9)))
    spikes = Transcript((Word("a", 1.1, 1.45), Word("b", 1.6, 1.95), Word("c", 2.5, 2.85)), "x")
    timing = fit_word_timing([spikes], [truth])
    assert timing.start_shift_s == pytest.approx(-0.1)
    assert timing.end_shift_s == pytest.approx(0.05)
    moved = timing.apply(spikes)
    assert moved.source == "x"
    for word, true in zip(moved.words, truth.words, strict=True):
        assert (word.start_s, word.end_s) == pytest.approx((true.start_s, true.end_s))


def test_words_that_would_overlap_meet_halfway():
    spikes = Transcript((Word("a", 1.0, 1.4, 0.5), Word("b", 1.5, 1.6)))
    first, second = WordTiming(-0.2, 0.1).apply(spikes).words
    assert (first.start_s, first.end_s) == pytest.approx((0.8, 1.4))
    assert (second.start_s, second.end_s) == pytest.approx((1.4, 1.7))
    assert first.confidence == 0.5
    assert WordTiming().apply(Transcript(())).words == ()


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=6),
    st.floats(-1, 1),
    st.floats(-1, 1),
)
def test_any_timing_leaves_words_in_order(gaps, start_shift_s, end_shift_s):
    words, now_s = [], 0.0
    for gap_s, length_s in gaps:
        words.append(Word("a", now_s + gap_s, now_s + gap_s + length_s))
        now_s += gap_s + length_s
    moved = WordTiming(start_shift_s, end_shift_s).apply(Transcript(tuple(words)))
    assert len(moved) == len(words)  # an order or an interval that is wrong would raise


def test_timing_is_not_learned_from_what_does_not_fit():
    one, two = Transcript((Word("a", 0, 1),)), Transcript((Word("a", 0, 1), Word("b", 1, 2)))
    with pytest.raises(ParameterError, match="1 words, its truth 2"):
        fit_word_timing([one], [two])
    with pytest.raises(ParameterError, match="no words"):
        fit_word_timing([], [])
    with pytest.raises(ParameterError, match="'x' has no time"):
        fit_word_timing([Transcript((Word("x"),))], [one])
