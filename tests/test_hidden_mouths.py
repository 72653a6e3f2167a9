"""Mouths behind masks and blur, painted over the sample's face."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avalign.align import align_streams
from avalign.streams.extraction import extract
from avalign.streams.files import load_streams, save_streams
from avalign.types import coverage, hidden, usable
from benchmarks.frame_rates import at_frame_rate
from benchmarks.hidden_mouths import check_clip

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "talking.mp4"
REASON = "the mouth is hidden or blurred"


@pytest.fixture(scope="module")
def streams():
    return extract(SAMPLE)


@pytest.fixture(scope="module")
def checked():
    """The beginning of the sample as it is and behind looks that were not learnt from."""
    looks = ("surgical mask", "box blur")
    results = check_clip((SAMPLE, "talking.mp4"), 4.0, looks)
    return {(result["look"], result["judged"]): result for result in results}


@pytest.mark.slow
def test_a_mouth_in_view_keeps_its_verdict(checked):
    assert checked["", True]["verdict"] == checked["", False]["verdict"] == "in_sync"
    assert checked["", True]["lag_ms"] == checked["", False]["lag_ms"]


@pytest.mark.slow
@pytest.mark.parametrize("look", ["surgical mask", "box blur"])
def test_a_hidden_mouth_gives_no_lag_but_the_reason(checked, look):
    result = checked[look, True]
    assert (result["verdict"], result["lag_ms"]) == ("", "")
    assert result["reason"] == REASON
    assert float(result["coverage"]) < 0.2


def judged(streams, log_odds):
    (face,) = streams.lips
    mouth = np.full(len(face), np.nan, np.float32)
    mouth[::3] = log_odds
    return replace(streams, lips=(replace(face, mouth_log_odds=mouth),))


@pytest.mark.slow
def test_streams_of_a_hidden_mouth_give_the_reason(streams):
    found = align_streams(judged(streams, -3.0))
    assert found.alignment is None
    assert found.reason == REASON
    assert align_streams(judged(streams, 3.0)).reason is None


@pytest.mark.slow
def test_single_pictures_do_not_decide(streams):
    (face,) = judged(streams, 4.0).lips
    face.mouth_log_odds[30] = -8.0
    assert not hidden(face).any()
    assert coverage(face) == pytest.approx(coverage(streams.lips[0]))


@pytest.mark.slow
def test_a_hand_before_the_mouth_hides_that_time_alone(streams):
    (face,) = judged(streams, 3.0).lips
    during = (face.times_s >= 1.0) & (face.times_s < 3.0)
    face.mouth_log_odds[during] *= -1
    well_within = (face.times_s >= 1.3) & (face.times_s < 2.7)
    outside = (face.times_s < 0.5) | (face.times_s > 3.5)
    assert hidden(face)[well_within].all()
    assert not hidden(face)[outside].any()
    assert not usable(face)[well_within].any()


def test_streams_saved_before_mouths_were_judged_are_read(streams, tmp_path):
    (face,) = streams.lips
    old = replace(streams, lips=(replace(face, mouth_log_odds=None),))
    for number, one in enumerate((streams, old)):
        save_streams(one, tmp_path / f"{number}.npz")
    new_again, old_again = (load_streams(tmp_path / f"{n}.npz").lips[0] for n in (0, 1))
    np.testing.assert_array_equal(new_again.mouth_log_odds, face.mouth_log_odds)
    assert old_again.mouth_log_odds is None
    np.testing.assert_array_equal(usable(old_again), usable(face))


@pytest.mark.slow
@pytest.mark.parametrize("rate_hz", [8, 10, 12, 15])
def test_fewer_pictures_show_the_same_lag(streams, rate_hz):
    known = align_streams(streams).alignment
    for way in ("kept", "converted"):
        (face,) = streams.lips
        fewer = replace(streams, lips=(at_frame_rate(face, rate_hz, way),))
        found = align_streams(fewer).alignment
        low_s, high_s = found.interval_s
        assert low_s <= known.audio_lag_s <= high_s
        if way == "kept":
            assert found.audio_lag_s == pytest.approx(known.audio_lag_s, abs=0.008)


@pytest.mark.slow
def test_pictures_of_up_to_50_ms_do_not_widen_the_interval(streams):
    (face,) = streams.lips
    known = align_streams(streams).alignment
    half_s = []
    for rate_hz in (25, 8):
        shown = replace(streams, lips=(at_frame_rate(face, rate_hz, "kept"),))
        low_s, high_s = align_streams(shown).alignment.interval_s
        half_s.append((high_s - low_s) / 2)
    low_s, high_s = known.interval_s
    assert half_s[0] == pytest.approx((high_s - low_s) / 2, abs=1e-9)
    assert half_s[1] > half_s[0] + (1 / 8 - 0.05) / 2 - 0.005
