"""Metrics against jiwer, scikit-learn, and cases worked out by hand."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from avalign.errors import MissingDependencyError, ParameterError
from avalign.recognition.metrics import (
    classification_metrics,
    fusion_gain,
    lag_errors,
    recovery_ratio,
    regression_metrics,
    retrieval_metrics,
    speech_errors,
    word_time_errors,
)
from avalign.transcript import Transcript, Word

jiwer = pytest.importorskip("jiwer")

CLASSES = ["angry", "calm", "happy", "sad"]


def test_word_errors_of_a_known_sentence():
    result = speech_errors(["bin blue at f two now"], ["bin  at s two now now"])
    # "blue" is left out, "f" is mistaken, one "now" is made up: 3 of 6 words.
    assert (result.substitutions, result.deletions, result.insertions) == (1, 1, 1)
    assert result.word_error_rate == 0.5
    assert result.sentence_error_rate == 1.0
    assert result.n_words == 6
    assert json.loads(json.dumps(result.as_dict()))["word_error_rate"] == 0.5


texts = st.lists(st.sampled_from(["bin", "blue", "at", "a", "b"]), min_size=1, max_size=5)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_rates_are_those_of_all_sentences_together(pairs):
    truth, found = ([" ".join(words) for words in side] for side in zip(*pairs, strict=True))
    result = speech_errors(truth, found)
    assert result.word_error_rate == pytest.approx(jiwer.wer(truth, found))
    assert result.character_error_rate == pytest.approx(jiwer.cer(truth, found))
    assert result.n_sentences == len(pairs)


def test_what_is_read_from_silence_was_made_up():
    result = speech_errors(["", "bin"], ["a bb", "bin"])
    assert (result.insertions, result.n_words) == (2, 1)
    assert result.word_error_rate == 2.0
    assert result.character_error_rate == pytest.approx(4 / 3)
    assert result.sentence_error_rate == 0.5
    nothing = speech_errors([""], ["a"])
    assert nothing.word_error_rate is None
    assert nothing.character_error_rate is None
    assert speech_errors([], []).sentence_error_rate is None
    missed = speech_errors(["bin blue"], [" "])
    assert (missed.word_error_rate, missed.deletions) == (1.0, 2)


def test_texts_come_in_pairs_and_need_jiwer(monkeypatch):
    with pytest.raises(ParameterError, match="1 true texts against 2"):
        speech_errors(["a"], ["a", "b"])
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(MissingDependencyError, match=r"avalign\[recognition\]"):
        speech_errors(["a"], ["a"])


def test_word_times_are_compared_at_both_ends():
    truth = [Transcript((Word("a", 1.0, 2.0), Word("b", 2.0, 3.0)))]
    found = [Transcript((Word("a", 1.01, 1.98), Word("b", 2.03, 2.9)))]
    result = word_time_errors(truth, found)
    assert result.n_words == 2
    assert result.median_ms == pytest.approx(25)
    assert result.mean_ms == pytest.approx(40)
    assert result.start_median_ms == pytest.approx(20)
    assert result.end_median_ms == pytest.approx(60)
    assert result.p90_ms == pytest.approx(79)
    with pytest.raises(ParameterError, match="other words"):
        word_time_errors(truth, [Transcript((Word("a", 0, 1),))])
    with pytest.raises(ParameterError, match="no words"):
        word_time_errors([], [])
    with pytest.raises(ParameterError, match="'a' has no time"):
        word_time_errors([Transcript((Word("a"),))], [Transcript((Word("a"),))])


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_classes_agree_with_scikit_learn(pairs, seed):
    truth, answers = ([CLASSES[i] for i in side] for side in zip(*pairs, strict=True))
    # Few different scores, so that many are equal.
    scores = np.random.default_rng(seed).integers(1, 5, (len(truth), 4)).astype(float)
    result = classification_metrics(truth, answers, CLASSES, scores)
    assert result.accuracy == pytest.approx(reference.accuracy_score(truth, answers))
    np.testing.assert_array_equal(
        result.confusion, reference.confusion_matrix(truth, answers, labels=CLASSES)
    )
    precision, recall, f1, _ = reference.precision_recall_fscore_support(
        truth, answers, average="macro", zero_division=0
    )
    assert result.macro_precision == pytest.approx(precision)
    assert result.macro_recall == pytest.approx(recall)
    assert result.macro_f1 == pytest.approx(f1)
    occurring = sorted({*truth})
    recalls = reference.recall_score(truth, answers, labels=occurring, average=None)
    assert result.unweighted_average_recall == pytest.approx(recalls.mean())
    if len(occurring) < len(CLASSES):
        assert result.auc is None
    else:
        is_class = np.array(truth)[:, None] == np.array(CLASSES)
        assert result.auc == pytest.approx(reference.roc_auc_score(is_class, scores))


def test_what_is_not_defined_is_none():
    result = classification_metrics(["calm", "calm"], ["calm", "sad"], CLASSES)
    assert result.precision == {"angry": None, "calm": 1.0, "happy": None, "sad": 0.0}
    assert result.recall == {"angry": None, "calm": 0.5, "happy": None, "sad": None}
    assert result.f1 == {"angry": None, "calm": pytest.approx(2 / 3), "happy": None, "sad": 0.0}
    assert result.unweighted_average_recall == 0.5
    assert result.auc is None
    assert json.loads(json.dumps(result.as_dict()))["confusion"][1] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("truth", "answers", "options", "says"),
    [
        ([], [], {}, "no items"),
        (["sad"], [], {}, "1 true items against 0"),
        (["sad"], ["bored"], {}, "'bored' is not among angry, calm"),
        (["sad"], ["sad"], {"scores": [[1, 2]]}, r"shape \(1, 2\)"),
        (["sad"], ["sad"], {"scores": [[1, 2, 3, np.nan]]}, "NaN"),
    ],
)
def test_classes_that_make_no_sense_are_refused(truth, answers, options, says):
    with pytest.raises(ParameterError, match=says):
        classification_metrics(truth, answers, CLASSES, **options)
    with pytest.raises(ParameterError, match="twice"):
        classification_metrics(["a"], ["a"], ["a", "a"])


@given(
    st.lists(
        st.tuples(st.floats(-10, 10, width=16), st.floats(-10, 10, width=16)),
        min_size=1,
        max_size=20,
    )
)
def test_numbers_agree_with_scikit_learn(pairs):
    truth, answers = np.array(pairs).T
    result = regression_metrics(truth, answers)
    assert result.mean_absolute_error == pytest.approx(
        reference.mean_absolute_error(truth, answers)
    )
    assert result.root_mean_squared_error == pytest.approx(
        reference.root_mean_squared_error(truth, answers)
    )


def test_concordance_sees_a_shift_that_correlation_does_not():
    assert regression_metrics([1, 2, 3], [1, 2, 3]).concordance == pytest.approx(1.0)
    # Variances 2/3, distance of the means 1: 2 * 2/3 / (2/3 + 2/3 + 1) = 4/7.
    assert regression_metrics([1, 2, 3], [2, 3, 4]).concordance == pytest.approx(4 / 7)
    assert regression_metrics([1, 1], [1, 1]).concordance is None
    for bad in ([], [np.nan], [[1.0]]):
        with pytest.raises(ParameterError, match="truth has the shape"):
            regression_metrics(bad, bad)
    with pytest.raises(ParameterError, match="2 true numbers against 1"):
        regression_metrics([1, 2], [1])


def test_retrieval_by_hand():
    similarity = [[0.9, 0.5, 0.1], [0.8, 0.7, 0.1], [0.3, 0.2, 0.1]]
    result = retrieval_metrics(similarity, ks=(1, 2, 3))
    assert result.recall_at == {1: pytest.approx(1 / 3), 2: pytest.approx(2 / 3), 3: 1.0}
    assert result.mean_average_precision == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert result.median_rank == 2.0
    assert result.n_queries == 3


@given(st.integers(1, 6), st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_average_precision_agrees_with_scikit_learn(n_queries, n_items, seed):
    random = np.random.default_rng(seed)
    similarity = random.normal(size=(n_queries, n_items))
    relevant = random.random((n_queries, n_items)) < 0.4
    relevant[:, 0] = True
    result = retrieval_metrics(similarity, relevant)
    expected = np.mean(
        [
            reference.average_precision_score(*query)
            for query in zip(relevant, similarity, strict=True)
        ]
    )
    assert result.mean_average_precision == pytest.approx(expected)


def test_a_model_that_cannot_tell_retrieves_nothing():
    result = retrieval_metrics(np.zeros((4, 4)), ks=(1, 3))
    assert result.recall_at == {1: 0.0, 3: 0.0}
    assert result.median_rank == 4


@pytest.mark.parametrize(
    ("similarity", "relevant", "ks", "says"),
    [
        (np.zeros(3), None, (1,), "similarity has the shape"),
        (np.full((2, 2), np.nan), None, (1,), "NaN"),
        (np.zeros((3, 2)), None, (1,), "no relevant item"),
        (np.zeros((2, 2)), np.ones((2, 3)), (1,), "relevant has the shape"),
        (np.zeros((2, 2)), None, (0,), "count from 1"),
    ],
)
def test_rankings_that_make_no_sense_are_refused(similarity, relevant, ks, says):
    with pytest.raises(ParameterError, match=says):
        retrieval_metrics(similarity, relevant, ks=ks)


def test_lag_errors_by_hand():
    result = lag_errors([0.1, 0.1, 0.0], [0.14, 0.05, 0.01])
    assert result.median_ms == pytest.approx(40)
    assert result.mean_ms == pytest.approx(100 / 3)
    assert result.bias_ms == pytest.approx(10)
    assert result.within_40_ms == pytest.approx(2 / 3)
    assert result.p90_ms == pytest.approx(48)


def test_fusion_gain_is_over_the_best_stream():
    assert fusion_gain(0.15, [0.2, 0.6]) == pytest.approx(0.25)
    assert fusion_gain(0.3, [0.2, 0.6]) == pytest.approx(-0.5)
    assert fusion_gain(0.0, [0.0, 0.5]) is None
    with pytest.raises(ParameterError, match=r"an error is -0\.1"):
        fusion_gain(-0.1, [0.2])
    with pytest.raises(ParameterError, match="single_errors"):
        fusion_gain(0.1, [])


@pytest.mark.parametrize(
    ("misaligned", "aligned", "oracle", "ratio"),
    [
        (0.5, 0.1, 0.1, 1.0),
        (0.5, 0.5, 0.1, 0.0),
        (0.5, 0.18, 0.1, 0.8),
        (0.5, 0.7, 0.1, -0.5),
        (0.5, 0.0, 0.1, 1.25),
        (0.1, 0.1, 0.1, None),
        (0.1, 0.0, 0.2, None),
    ],
)
def test_recovery_is_the_fraction_of_the_cost_that_is_won_back(
    misaligned, aligned, oracle, ratio
):
    found = recovery_ratio(misaligned, aligned, oracle)
    assert found is None if ratio is None else found == pytest.approx(ratio)


def test_recovery_of_no_error_rate_is_refused():
    with pytest.raises(ParameterError, match="an error is nan"):
        recovery_ratio(0.5, float("nan"), 0.1)
