"""The answer for a whole clip, with the shipped model on the sample that speaks."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import avalign
from avalign.align import ANSWER_CONFIDENCE, VERDICT_CONFIDENCE, align_streams
from avalign.types import FeatureStream

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


@cache
def talking():
    return avalign.extract(SAMPLES / "talking.mp4")


def delayed(stream, delay_s):
    return FeatureStream(stream.values, stream.times_s + delay_s, stream.valid, stream.kind)


def backwards(stream):
    """Return the same sounds, which no longer fit the lips."""
    return FeatureStream(stream.values[::-1], stream.times_s, stream.valid, stream.kind)


def moved_to(lips, track_id, left, right):
    boxes = lips.boxes.copy()
    boxes[:, 0], boxes[:, 2] = left, right
    return replace(lips, track_id=track_id, boxes=boxes)


def still(lips):
    """Return a mouth that stays as it is at the start."""
    return replace(lips, values=np.repeat(lips.values[:1], len(lips), axis=0))


@pytest.mark.slow
def test_an_added_delay_is_measured_to_the_millisecond():
    streams = talking()
    own = align_streams(streams).alignment
    for delay_s in (-0.333, 0.161, 0.7):
        late = replace(
            streams,
            mfcc=delayed(streams.mfcc, delay_s),
            speech=delayed(streams.speech, delay_s),
        )
        answer = align_streams(late)
        assert answer.reason is None
        assert answer.alignment.audio_lag_s - own.audio_lag_s == pytest.approx(
            delay_s, abs=0.002
        )
        assert answer.alignment.interval_s[0] < answer.alignment.audio_lag_s


@pytest.mark.slow
def test_a_wide_search_finds_a_lag_of_seconds_and_a_narrow_one_does_not_pretend():
    streams = talking()
    late = replace(
        streams, mfcc=delayed(streams.mfcc, 2.5), speech=delayed(streams.speech, 2.5)
    )
    wide = align_streams(late, max_lag_s=4.0)
    assert wide.reason is None
    own = align_streams(streams).alignment
    assert wide.alignment.audio_lag_s == pytest.approx(own.audio_lag_s + 2.5, abs=0.003)
    narrow = align_streams(late)
    # Nothing that would carry a verdict, let alone a repair.
    assert narrow.alignment.confidence < VERDICT_CONFIDENCE


@pytest.mark.slow
def test_the_mouth_that_speaks_is_found_and_named_by_its_place():
    streams = talking()
    lips = streams.lips[0]
    for speaker, place in ((0, "left"), (1, "right")):
        pair = [moved_to(still(lips), 0, 0.1, 0.3), moved_to(still(lips), 1, 0.7, 0.9)]
        pair[speaker] = replace(pair[speaker], values=lips.values)
        answer = align_streams(replace(streams, lips=tuple(pair)))
        assert answer.face == speaker
        assert answer.faces[speaker].place == place
        assert answer.reason is None


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_mouths_that_move_alike_share_the_confidence(count):
    streams = talking()
    alike = [
        moved_to(streams.lips[0], number, number / count, (number + 0.9) / count)
        for number in range(count)
    ]
    answer = align_streams(replace(streams, lips=tuple(alike)))
    assert answer.alignment.confidence == pytest.approx(1 / count, abs=0.01)
    assert answer.alignment.diagnostics["share_among_faces"] == pytest.approx(1 / count)


@pytest.mark.slow
def test_a_face_seen_before_and_after_a_cut_counts_as_one():
    """Either half of the clip alone is less evidence than both as two tracks."""
    streams = talking()
    lips = streams.lips[0]
    middle = len(lips) // 2
    first, second = lips.valid.copy(), lips.valid.copy()
    first[middle:] = False
    second[:middle] = False
    halves = (replace(lips, valid=first), replace(lips, valid=second, track_id=1))
    both = align_streams(replace(streams, lips=halves))
    one = align_streams(replace(streams, lips=halves[:1]))
    assert both.alignment.curve.score.max() > one.alignment.curve.score.max()
    assert both.alignment.speech_s > 1.5 * one.alignment.speech_s
    assert both.alignment.audio_lag_s == pytest.approx(
        align_streams(streams).alignment.audio_lag_s, abs=0.015
    )


@pytest.mark.slow
def test_agreement_is_there_where_the_sound_fits():
    found = align_streams(talking()).alignment
    assert found.agreement.values.sum() == pytest.approx(
        found.diagnostics["evidence"], rel=1e-4
    )
    assert found.agreement.times_s[0] < 0.5
    assert found.agreement.times_s[-1] > 7.0


def test_sound_that_does_not_fit_gets_no_answer_though_one_lag_stands_out():
    streams = talking()
    answer = align_streams(replace(streams, mfcc=backwards(streams.mfcc)))
    assert answer.alignment.diagnostics["mass_within_40_ms"] > 0.9
    assert answer.alignment.confidence < ANSWER_CONFIDENCE
    assert answer.reason == "the voice does not fit the mouth in the picture"


def test_reasons_say_what_is_missing():
    streams = talking()
    lips = streams.lips[0]
    nobody = align_streams(replace(streams, lips=()))
    assert (nobody.reason, nobody.alignment) == ("no face in the picture", None)

    silent = replace(streams.speech, values=np.zeros_like(streams.speech.values))
    unheard = align_streams(replace(streams, speech=silent))
    assert "speech" in unheard.reason
    assert unheard.alignment.confidence == 0

    turned = replace(lips, head_pose=lips.head_pose + np.array([80, 0, 0], np.float32))
    assert "turned away" in align_streams(replace(streams, lips=(turned,))).reason

    deaf = replace(streams.mfcc, valid=np.zeros(len(streams.mfcc), bool))
    assert "no sound" in align_streams(replace(streams, mfcc=deaf)).reason
    two_rows = replace(streams.mfcc, valid=np.arange(len(streams.mfcc)) < 2)
    assert "no sound" in align_streams(replace(streams, mfcc=two_rows)).reason
