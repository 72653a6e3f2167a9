"""Alphabets: numbers come back as the text they were, and strangers are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalign.errors import ParameterError
from avalign.recognition.ctc.alphabet import ENGLISH, Alphabet


def test_zero_is_the_blank_and_characters_count_from_one():
    alphabet = Alphabet("ab ")
    assert alphabet.size == 4
    assert alphabet.separator == 3
    assert alphabet.encode("ba a").tolist() == [2, 1, 3, 1]
    assert alphabet.decode([0, 2, 2, 0, 1]) == "bba"
    assert Alphabet("ab").separator is None


@given(st.text(ENGLISH.characters))
def test_text_comes_back(text):
    assert ENGLISH.decode(ENGLISH.encode(text)) == text


def test_a_character_outside_is_named_with_its_place():
    with pytest.raises(ParameterError, match=r"'7' at 4 in 'bin 7'"):
        ENGLISH.encode("bin 7")


@pytest.mark.parametrize("number", [-1, 29])
def test_a_number_outside_is_refused(number):
    with pytest.raises(ParameterError, match=f"{number} stands for no character"):
        ENGLISH.decode([number])


@pytest.mark.parametrize("characters", ["", "aba"])
def test_an_alphabet_that_makes_no_sense_is_refused(characters):
    with pytest.raises(ParameterError):
        Alphabet(characters)


@pytest.mark.parametrize(
    ("word", "spelling"),
    [
        ("bin", "bin"),
        ("Bin,", "bin"),
        ("don't", "don't"),
        ("don\u2019t", "don't"),
        ("Café!", "cafe"),
        ("Cafe\u0301", "cafe"),
        ("well-known", "wellknown"),
        ("—", ""),
    ],
)
def test_running_text_is_spelt_in_what_the_model_knows(word, spelling):
    assert ENGLISH.spell(word) == spelling


def test_case_follows_the_alphabet():
    assert Alphabet("AB").spell("ab") == "AB"
    assert Alphabet("abAB").spell("aB") == "aB"


@pytest.mark.parametrize("word", ["7th", "слово", "5€"])
def test_what_is_said_and_cannot_be_spelt_is_an_error(word):
    with pytest.raises(ParameterError, match="is not in the alphabet"):
        ENGLISH.spell(word)
