"""Reading clips, scoring them, and knowing when not to believe the model."""

from __future__ import annotations

import numpy as np
import pytest

from avalign.errors import MediaError, ParameterError
from avalign.recognition import GRID, RecognizerSettings, StreamSettings, WordTiming
from avalign.recognition.ctc.alphabet import ENGLISH
from avalign.recognition.evaluation.limits import (
    AnswerLimits,
    Limit,
    fit_limit,
    read_calibration,
    write_calibration,
)
from avalign.recognition.evaluation.scores import score_classes, score_speech, score_values
from avalign.recognition.transcriber import CtcOutput, Transcriber, model_grammar
from avalign.transcript import Transcript, Word


def settings(vocabulary, **changes):
    return RecognizerSettings(
        {"audio": StreamSettings.of("mfcc")},
        characters=ENGLISH.characters,
        vocabulary=tuple(vocabulary),
        **changes,
    )


def rows_of(text, sure=0.98):
    """Emit each character in one row of 20 ms, with a blank after it."""
    labels = [number for one in ENGLISH.encode(text) for number in (int(one), 0)]
    probabilities = np.full((len(labels), ENGLISH.size), (1 - sure) / (ENGLISH.size - 1))
    probabilities[np.arange(len(labels)), labels] = sure
    return CtcOutput(np.log(probabilities), None, 0.02 * np.arange(len(labels)))


def test_a_vocabulary_tells_its_grammar():
    assert model_grammar(settings(GRID.vocabulary)) is GRID
    assert model_grammar(settings([*GRID.vocabulary, "hello"])) is None
    assert model_grammar(settings(["bin", "blue"])) is None  # most slots are empty
    assert model_grammar(settings([])) is None


def test_a_sentence_of_the_grammar_fits_and_another_does_not():
    transcriber = Transcriber(settings(GRID.vocabulary))
    fits = transcriber.transcribe(rows_of("bin blue at f two now"))
    strange = transcriber.transcribe(rows_of("good evening and welcome to the show"))
    assert fits.best.text == fits.free.text == "bin blue at f two now"
    assert fits.misfit == pytest.approx(0.0, abs=1e-9)
    assert strange.free.text == "good evening and welcome to the show"
    assert strange.misfit > 0.5


def test_without_a_grammar_unknown_words_are_strange():
    transcriber = Transcriber(settings(["red", "blue", "hello"]))
    assert transcriber.transcribe(rows_of("red hello")).misfit == 0.0
    assert transcriber.transcribe(rows_of("red ab")).misfit == pytest.approx(2 / 5)


def test_known_words_get_times_and_keep_their_spelling():
    transcriber = Transcriber(settings(["ab"]), WordTiming(-0.01, 0.02))
    words = transcriber.time_words(
        rows_of("ab cd"), Transcript((Word("Ab,"), Word("CD."), Word("--")))
    ).words
    assert [word.text for word in words] == ["Ab,", "CD."]
    # Rows 0 to 2 and 6 to 8, each from half a row before it, then moved.
    assert words[0].start_s == pytest.approx(-0.02)
    assert words[0].end_s == pytest.approx(0.07)
    assert words[1].start_s == pytest.approx(0.10)


def test_words_by_row_time_words_of_the_vocabulary():
    told = rows_of("ab cd")
    scores = np.full((10, 3), -5.0)
    scores[[0, 5, 9], 0] = 5.0
    scores[1:5, 1] = 5.0
    scores[6:9, 2] = 5.0
    rows = CtcOutput(told.log_probs, scores, told.times_s)
    transcriber = Transcriber(settings(["ab", "cd"], word_rows=True))
    words = transcriber.time_words(rows, Transcript((Word("AB"), Word("cd")))).words
    assert [word.text for word in words] == ["AB", "cd"]
    assert words[0].start_s == pytest.approx(0.01)
    assert words[0].end_s == pytest.approx(0.09)
    assert words[1].start_s == pytest.approx(0.11)


def test_a_text_fits_what_is_read_as_far_as_its_characters_do():
    transcriber = Transcriber(settings(["ab"]))
    for text, misfit in (("Ab, cd!", 0.0), ("ab", 0.6), ("dd dd", 0.6)):
        words = Transcript(tuple(map(Word, text.split())))
        assert transcriber.misfit(rows_of("ab cd"), words) == pytest.approx(misfit)


@pytest.mark.slow
def test_words_that_are_read_have_the_times_of_their_rows():
    """CTC tells everything at once; the words by row know when it is said."""
    said = "bin blue at f two now"
    told = rows_of(said)
    later = len(told.times_s)
    silence = np.tile(told.log_probs[1], (60, 1))
    log_probs = np.concatenate([told.log_probs, silence])
    vocabulary = GRID.vocabulary
    scores = np.full((len(log_probs), 1 + len(vocabulary)), -5.0)
    scores[:, 0] = 0.0
    for place, word in enumerate(said.split()):
        first = later + 8 * place
        scores[first : first + 6, 1 + vocabulary.index(word)] = 5.0
    rows = CtcOutput(log_probs, scores, 0.02 * np.arange(len(log_probs)))
    read = Transcriber(settings(vocabulary, word_rows=True)).transcribe(rows).best
    assert read.text == said
    starts_s = [word.start_s for word in read.words]
    assert starts_s == pytest.approx([0.02 * (later + 8 * n) - 0.01 for n in range(6)])
    assert all(0 < word.confidence <= 1 for word in read.words)


def test_word_errors_are_counted_over_all_clips():
    metrics, by_clip = score_speech(
        ["a b c", "d"], {"greedy": ["a x c", "d e"], "grammar": ["a b c", "d"]}
    )
    assert metrics["wer_greedy"].value == pytest.approx(2 / 4)
    assert metrics["wer_grammar"].value == 0.0
    assert metrics["ser_greedy"].value == 1.0
    # Draws of two clips: 1/3 or 1/1 from one of them twice, else 2/4.
    assert metrics["wer_greedy"].low == pytest.approx(1 / 3)
    assert metrics["wer_greedy"].high == pytest.approx(1.0)
    assert [row["errors_greedy"] for row in by_clip] == [1.0, 1.0]


def test_intervals_are_the_same_for_the_same_seed():
    truth, found = ["a b"] * 9, {"greedy": ["a b", "a c", "x y"] * 3}
    assert score_speech(truth, found, seed=3) == score_speech(truth, found, seed=3)


def test_silence_cannot_be_scored():
    with pytest.raises(ParameterError, match="no clip has words"):
        score_speech([""], {"greedy": ["a"]})


def test_classes_and_values_are_scored_by_known_answers():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    metrics, details = score_classes(["x", "x", "y", "y"], probabilities, ("x", "y"))
    assert metrics["uar"].value == pytest.approx(0.75)
    assert metrics["auc"].value == 1.0
    assert details["confusion"] == [[2, 0], [1, 1]]
    assert metrics["uar"].low <= 0.75 <= metrics["uar"].high
    numbers = score_values(np.array([0.0, 2.0]), np.array([1.0, 2.0]), "joy")
    assert numbers["mae_joy"].value == pytest.approx(0.5)


def test_a_limit_parts_what_can_be_parted():
    limit = fit_limit([0.0, 0.1, 0.2], [0.6, 0.8, np.inf])
    assert limit == Limit(pytest.approx(0.4), 1.0, 1.0)
    mixed = fit_limit([0.0, 0.1, 0.5], [0.4, 0.6, 0.7, 0.8])
    assert mixed == Limit(pytest.approx(0.55), 1.0, pytest.approx(0.75))


def test_a_calibration_belongs_to_its_weights(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    written = AnswerLimits(
        {"audio": Limit(0.2, 0.9, 1.0)}, {"audio": 0.4}, WordTiming(-0.01, 0.03), {"clips": 3}
    )
    assert read_calibration(tmp_path) is None
    write_calibration(written, tmp_path)
    assert read_calibration(tmp_path) == written
    (tmp_path / "model.safetensors").write_bytes(b"others")
    assert read_calibration(tmp_path) is None


@pytest.mark.parametrize("text", ["[]", "{", '{"weights": 1}', "[" * 100_000])
def test_a_damaged_calibration_is_refused(tmp_path, text):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(MediaError, match=r"is no calibration|cannot be read as JSON"):
        read_calibration(tmp_path)
