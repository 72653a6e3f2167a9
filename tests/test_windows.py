"""Windows: what is cut lands where it should, and nothing beyond it is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avalign.data.windows import (
    SourceClip,
    cut_audio,
    cut_lips,
    cut_window,
    face_fraction,
    speech_fraction,
    usable_starts,
    video_span_s,
)
from avalign.errors import ParameterError
from avalign.types import AudioStream, ClipStreams, FeatureStream, LipStream

RATE_HZ = 16_000
FRAME_RATE = 25.0


def lips_of(times_s: np.ndarray, *, jump_s: float = np.inf, track_id: int = 0) -> LipStream:
    """A mouth that is shut before the jump and open after it."""
    n = len(times_s)
    return LipStream(
        values=np.repeat((times_s >= jump_s)[:, None], 123, axis=1).astype(np.float32),
        times_s=times_s,
        valid=np.ones(n, bool),
        kind="lips",
        landmarks=np.zeros((n, 41, 3), np.float32),
        head_pose=np.zeros((n, 3), np.float32),
        boxes=np.tile(np.float32([0.4, 0.4, 0.6, 0.6]), (n, 1)),
        track_id=track_id,
        picture_size=(360, 288),
    )


def speech_of(duration_s: float, *spans_s: tuple[float, float]) -> FeatureStream:
    times_s = np.arange(round(duration_s * 100)) / 100
    spoken = sum(((times_s >= a) & (times_s < b)) for a, b in spans_s)
    values = np.asarray(spoken, np.float32).reshape(-1, 1) * np.ones(
        (len(times_s), 1), np.float32
    )
    return FeatureStream(values, times_s, np.ones(len(times_s), bool), "speech")


def clip_of(
    *, event_s: float = 4.0, duration_s: float = 10.0, audio_start_s: float = 0.0
) -> SourceClip:
    """A click in the sound and a jump of the lips, both at the event."""
    samples = np.zeros(round((duration_s - audio_start_s) * RATE_HZ), np.float32)
    samples[round((event_s - audio_start_s) * RATE_HZ)] = 1.0
    empty = FeatureStream(np.zeros((0, 13), np.float32), np.zeros(0), np.zeros(0, bool), "mfcc")
    streams = ClipStreams(
        mfcc=empty,
        speech=speech_of(duration_s, (0, duration_s)),
        lips=(lips_of(np.arange(round(duration_s * FRAME_RATE)) / FRAME_RATE, jump_s=event_s),),
        source="clip",
        duration_s=duration_s,
        frame_rate=FRAME_RATE,
    )
    return SourceClip(streams, AudioStream(samples, RATE_HZ, audio_start_s))


def heard_s(window: ClipStreams) -> float:
    """When the click is heard: the middle of the frames that hold it."""
    loudness = window.mfcc.values[:, 0]
    loud = loudness > (loudness.min() + loudness.max()) / 2
    return float(window.mfcc.times_s[loud].mean())


def seen_s(window: ClipStreams) -> float:
    lips = window.lips[0]
    return float(lips.times_s[np.argmax(lips.values[:, 0] > 0.5)])


@pytest.mark.parametrize("lag_s", [0.0, 0.3, -0.3, 0.12345, -0.777])
@pytest.mark.parametrize("audio_start_s", [0.0, 0.85, -0.021])
def test_positive_lag_makes_the_audio_late(lag_s: float, audio_start_s: float) -> None:
    clip = clip_of(event_s=4.0, audio_start_s=audio_start_s)
    window = cut_window(clip, start_s=2.6, length_s=3.0, audio_lag_s=lag_s)
    assert seen_s(window) == pytest.approx(4.0 - 2.6, abs=1e-9)
    assert heard_s(window) - seen_s(window) == pytest.approx(lag_s, abs=0.006)


@pytest.mark.parametrize("lag_s", [0.0, 0.4, -0.4])
def test_a_window_holds_its_length_of_sound_and_picture_and_no_more(lag_s: float) -> None:
    window = cut_window(clip_of(), start_s=3.0, length_s=2.0, audio_lag_s=lag_s)
    assert len(window.lips[0]) == 50
    assert window.lips[0].times_s[0] == pytest.approx(0)
    assert len(window.mfcc) == 201
    assert window.mfcc.times_s[0] == pytest.approx(0, abs=1 / RATE_HZ)
    assert window.duration_s == 2.0
    np.testing.assert_array_equal(window.speech.times_s, window.mfcc.times_s)


@pytest.mark.parametrize("lag_s", [0.0, 0.5, -0.5])
def test_nothing_outside_the_window_is_heard(lag_s: float) -> None:
    rng = np.random.default_rng(1)
    clip = clip_of()
    noise = rng.normal(size=len(clip.audio.samples)).astype(np.float32)
    inside = slice(round((3.0 - lag_s) * RATE_HZ), round((5.0 - lag_s) * RATE_HZ))
    other = 0.01 * rng.normal(size=len(noise)).astype(np.float32)
    other[inside] = noise[inside]
    windows = [
        cut_window(
            SourceClip(clip.streams, replace(clip.audio, samples=samples)),
            start_s=3.0,
            length_s=2.0,
            audio_lag_s=lag_s,
        )
        for samples in (noise, other)
    ]
    np.testing.assert_array_equal(windows[0].mfcc.values, windows[1].mfcc.values)
    np.testing.assert_array_equal(windows[0].speech.values, windows[1].speech.values)


def test_where_the_clip_has_no_sound_it_starts_late_or_ends_early() -> None:
    audio = AudioStream(np.ones(10 * RATE_HZ, np.float32), RATE_HZ, 0.0)
    early = cut_audio(audio, start_s=-0.5, length_s=2.0)
    assert early.start_s == pytest.approx(0.5)
    assert early.duration_s == pytest.approx(1.5)
    late = cut_audio(audio, start_s=9.5, length_s=2.0)
    assert late.start_s == pytest.approx(0.0)
    assert late.duration_s == pytest.approx(0.5)
    assert len(cut_audio(audio, start_s=20.0, length_s=1.0).samples) == 0
    assert len(cut_audio(audio, start_s=-5.0, length_s=1.0).samples) == 0


def test_the_clock_of_cut_sound_is_exact_between_samples() -> None:
    audio = AudioStream(np.arange(100, dtype=np.float32), 10, 0.0)
    cut = cut_audio(audio, start_s=2.03, length_s=1.0)
    np.testing.assert_array_equal(cut.samples, np.arange(21, 31))
    assert cut.start_s == pytest.approx(0.07)


def test_a_margin_of_sound_is_given_on_both_sides() -> None:
    clip = clip_of(event_s=4.0)
    window = cut_window(clip, start_s=4.2, length_s=0.2, audio_lag_s=0.0, audio_margin_s=0.6)
    assert heard_s(window) == pytest.approx(-0.2, abs=0.006)
    assert window.mfcc.times_s[0] == pytest.approx(-0.6, abs=1e-4)
    assert window.mfcc.times_s[-1] == pytest.approx(0.8, abs=1e-4)
    assert len(window.lips[0]) == 5


def test_a_face_that_is_not_in_the_window_is_left_out() -> None:
    clip = clip_of()
    later = lips_of(6 + np.arange(50) / FRAME_RATE, track_id=1)
    clip = SourceClip(replace(clip.streams, lips=(*clip.streams.lips, later)), clip.audio)
    assert [x.track_id for x in cut_window(clip, start_s=2, length_s=2).lips] == [0]
    assert [x.track_id for x in cut_window(clip, start_s=5, length_s=2).lips] == [0, 1]


def test_every_row_of_a_face_is_cut_alike() -> None:
    lips = lips_of(np.arange(100) / FRAME_RATE)
    rows = np.arange(100, dtype=np.float32)
    lips = replace(
        lips,
        values=np.tile(rows[:, None], 123),
        landmarks=np.tile(rows[:, None, None], (1, 41, 3)),
        head_pose=np.tile(rows[:, None], 3),
        boxes=np.tile(rows[:, None], 4),
        valid=rows % 2 == 0,
    )
    cut = cut_lips(lips, start_s=1.0, length_s=2.0)
    expected = np.arange(25, 75)
    for field in ("values", "landmarks", "head_pose", "boxes"):
        np.testing.assert_array_equal(getattr(cut, field).reshape(50, -1)[:, 0], expected)
    np.testing.assert_array_equal(cut.valid, expected % 2 == 0)
    np.testing.assert_allclose(cut.times_s, expected / FRAME_RATE - 1.0)


def test_windows_side_by_side_share_no_picture_and_lose_none() -> None:
    lips = lips_of(np.arange(300) / 29.97)
    cuts = [cut_lips(lips, start_s=i * 0.5, length_s=0.5) for i in range(21)]
    times_s = np.concatenate([cut.times_s + i * 0.5 for i, cut in enumerate(cuts)])
    np.testing.assert_allclose(times_s, lips.times_s)


def test_fractions_are_those_of_the_picture_at_its_place() -> None:
    clip = clip_of()
    lips = replace(clip.streams.lips[0], valid=clip.streams.lips[0].times_s < 5)
    streams = replace(clip.streams, lips=(lips,), speech=speech_of(10.0, (3.0, 6.0)))
    starts_s = np.array([0.0, 2.0, 4.0, 4.5, 5.0])
    np.testing.assert_allclose(
        face_fraction(streams, starts_s, 2.0), [1, 1, 0.5, 0.26, 0], atol=0.021
    )
    np.testing.assert_allclose(
        speech_fraction(streams, starts_s, 2.0), [0, 0.5, 1, 0.75, 0.5], atol=0.01
    )


def test_pictures_that_a_short_track_lacks_count_as_missing() -> None:
    clip = clip_of()
    short = lips_of(np.arange(25) / FRAME_RATE)
    streams = replace(clip.streams, lips=(short,))
    np.testing.assert_allclose(face_fraction(streams, np.array([0.0]), 2.0), [0.5])


def test_any_face_counts_and_each_picture_once() -> None:
    clip = clip_of()
    whole = clip.streams.lips[0]
    first = replace(whole, valid=whole.times_s < 5)
    second = replace(whole, valid=(whole.times_s >= 4) & (whole.times_s < 7), track_id=1)
    streams = replace(clip.streams, lips=(first, second))
    fractions = face_fraction(streams, np.array([3.0, 4.0, 6.0]), 2.0)
    np.testing.assert_allclose(fractions, [1, 1, 0.5], atol=0.021)


def test_usable_starts_meet_both_conditions_and_miss_none() -> None:
    clip = clip_of()
    valid = clip.streams.lips[0].times_s < 6
    streams = replace(
        clip.streams,
        lips=(replace(clip.streams.lips[0], valid=valid),),
        speech=speech_of(10.0, (2.0, 10.0)),
    )
    starts_s = usable_starts(streams, 2.0)
    # Speech in half of the window from 1 s on, a face in 80 % of it up to 4.4 s.
    assert starts_s[0] == pytest.approx(1.0, abs=0.021)
    assert starts_s[-1] == pytest.approx(4.4, abs=0.041)
    assert np.allclose(np.diff(starts_s), 0.02)
    assert len(usable_starts(streams, 11.0)) == 0


def test_a_window_may_be_as_long_as_the_clip() -> None:
    clip = clip_of(duration_s=3.0, event_s=1.0)
    np.testing.assert_allclose(usable_starts(clip.streams, 3.0), [0.0])


def test_the_span_of_the_picture_starts_where_the_picture_does() -> None:
    clip = clip_of()
    streams = replace(clip.streams, lips=(lips_of(0.85 + np.arange(50) / FRAME_RATE),))
    assert video_span_s(streams) == pytest.approx((0.85, 2.85))
    assert video_span_s(replace(streams, lips=())) == (0.0, 0.0)
    assert len(usable_starts(replace(streams, lips=()), 1.0)) == 0


def test_a_clip_without_sound_gives_a_window_without_rows() -> None:
    clip = clip_of()
    mute = SourceClip(clip.streams, replace(clip.audio, samples=np.zeros(0, np.float32)))
    window = cut_window(mute, start_s=1.0, length_s=1.0)
    assert len(window.mfcc) == len(window.speech) == 0


@pytest.mark.parametrize(
    "bad",
    [{"length_s": 0.0}, {"length_s": np.nan}, {"start_s": np.inf}, {"audio_lag_s": np.nan}],
)
def test_impossible_windows_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="cannot be cut"):
        cut_window(clip_of(), **({"start_s": 0.0, "length_s": 1.0} | bad))
