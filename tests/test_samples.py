"""The sample clips are what their names say, and the program that makes them is sound."""

import csv
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import avalign
from avalign.media import iter_frames, probe, read_audio
from avalign.vision import lip_streams

SAMPLES = Path(__file__).parent.parent / "samples"
NAMES = ("talking", "talking-late160", "silent", "no-face")

sys.path.insert(0, str(SAMPLES))

face, visemes, make_samples = map(import_module, ("face", "visemes", "make_samples"))


@pytest.mark.parametrize("name", NAMES)
def test_clips_are_small_and_ordinary(name):
    clip = probe(SAMPLES / f"{name}.mp4")
    (picture,), (sound,) = clip.video_tracks, clip.audio_tracks
    assert (picture.codec, sound.codec) == ("h264", "aac")
    assert picture.frame_rate == 30
    assert picture.start_s == sound.start_s == 0.0
    assert clip.duration_s == pytest.approx(8.0, abs=0.05)
    times_s = [frame.time_s for frame in iter_frames(clip.path)]
    np.testing.assert_allclose(times_s, np.arange(240) / 30, atol=1e-4)


def test_all_samples_together_are_below_3_mb():
    assert sum(path.stat().st_size for path in SAMPLES.glob("*.*")) < 3_000_000


def sound_lag_s(one, two):
    """Delay of the second sound against the first, from their correlation."""
    a, b = read_audio(one), read_audio(two)
    size = 2 * max(len(a.samples), len(b.samples))
    product = np.fft.irfft(np.fft.rfft(b.samples, size) * np.conj(np.fft.rfft(a.samples, size)))
    lag = int(np.argmax(product))
    return (lag - size * (lag > size // 2)) / a.sample_rate_hz + b.start_s - a.start_s


def test_late_clip_has_the_same_pictures_and_sound_160_ms_later():
    good, late = SAMPLES / "talking.mp4", SAMPLES / "talking-late160.mp4"
    assert sound_lag_s(good, late) == pytest.approx(0.160, abs=1e-4)
    pairs = zip(iter_frames(good), iter_frames(late), strict=True)
    assert all(np.array_equal(a.image, b.image) for a, b in pairs)


def test_silence_is_silent_and_the_speech_without_face_is_the_same_speech():
    assert not read_audio(SAMPLES / "silent.mp4").samples.any()
    assert sound_lag_s(SAMPLES / "talking.mp4", SAMPLES / "no-face.mp4") == 0.0


def phonemes():
    """When each phoneme begins: its name, in the clip, and in the take."""
    with open(SAMPLES / "take.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [row["phoneme"] for row in rows]
    return names, *(np.array([float(row[c]) for row in rows]) for c in ("talking_s", "take_s"))


def test_the_take_is_spoken_when_its_table_says():
    names, talking_s, take_s = phonemes()
    assert names.count("b") == 7  # the letters b of the text
    for name, starts_s in (("talking.mp4", talking_s), ("take.wav", take_s)):
        sound = read_audio(SAMPLES / name)
        rate = sound.sample_rate_hz
        quiet = np.abs(sound.samples[: round((starts_s[0] - 0.02 - sound.start_s) * rate)])
        loud = np.abs(sound.samples[round((starts_s[0] + 0.02 - sound.start_s) * rate) :])
        assert quiet.max() < 0.01 < loud[: rate // 10].max()
        assert (np.diff(starts_s) > 0).all()


def test_the_take_is_another_pace_of_the_same_words():
    _, talking_s, take_s = phonemes()
    pace = np.diff(take_s) / np.diff(talking_s)
    assert 0.8 < np.ptp(take_s) / np.ptp(talking_s) < 0.92
    assert np.ptp(pace) > 0.1


@pytest.mark.parametrize(
    ("to", "median_ms", "most_ms"),
    [("sound", 15, 50), pytest.param("lips", 40, 120, marks=pytest.mark.slow)],
)
def test_the_take_is_fitted_to_the_clip(tmp_path, to, median_ms, most_ms):
    _, talking_s, take_s = phonemes()
    fitted = tmp_path / "fitted.wav"
    report = avalign.align_files(SAMPLES / "talking.mp4", SAMPLES / "take.wav", fitted, to=to)
    assert report.status == "ok"
    errors_ms = 1e3 * np.abs(report.alignment.warp.to_other(talking_s) - take_s)
    assert np.median(errors_ms) <= median_ms
    assert np.percentile(errors_ms, 95) <= most_ms
    # What was written is where the clip has it, measured without avalign's aligner.
    one, other = (_levels(path) for path in (SAMPLES / "talking.mp4", fitted))
    rows = min(len(one), len(other))
    assert np.corrcoef(one[:rows], other[:rows])[0, 1] > 0.8


def _levels(path):
    """Loudness every 20 ms in decibels, floored at the tone of the room."""
    sound = read_audio(path)
    size = sound.sample_rate_hz // 50
    padded = np.concatenate(
        [np.zeros(round(sound.start_s * sound.sample_rate_hz)), sound.samples]
    )
    rows = padded[: len(padded) // size * size].reshape(-1, size)
    return 10 * np.log10(np.square(rows).mean(axis=1) + 1e-5)


def lip_gap(stream):
    """Distance of the inner lips' middles, in eye distances."""
    points = stream.values.reshape(len(stream), 41, 3)
    return np.linalg.norm(points[:, 25, :2] - points[:, 35, :2], axis=1)


@pytest.mark.slow
def test_lips_follow_the_sound_of_the_clip():
    """Nothing learned: opening of the lips against loudness, both from 1 to 8 Hz."""
    from scipy.signal import butter, sosfiltfilt

    (lips,) = lip_streams(SAMPLES / "talking.mp4")
    assert lips.valid.all()
    sound = read_audio(SAMPLES / "talking.mp4")
    at_s = np.arange(0.3, 7.7, 0.001)
    energy = np.convolve(sound.samples**2, np.ones(320) / 320, "same")
    clock_s = sound.start_s + np.arange(len(energy)) / sound.sample_rate_hz
    band = butter(2, (1, 8), "band", fs=1000, output="sos")
    opening = sosfiltfilt(band, np.interp(at_s, lips.times_s, lip_gap(lips)))

    def agreement(lag_s):
        loudness = np.log10(np.interp(at_s + lag_s, clock_s, energy) + 1e-6)
        return np.corrcoef(opening, sosfiltfilt(band, loudness))[0, 1]

    lags_s = np.arange(-0.3, 0.301, 0.005)
    scores = [agreement(lag_s) for lag_s in lags_s]
    assert max(scores) > 0.6
    assert abs(lags_s[int(np.argmax(scores))]) <= 0.020


@pytest.mark.slow
def test_mouth_of_the_silent_clip_is_shut_and_the_last_clip_has_no_face():
    (lips,) = lip_streams(SAMPLES / "silent.mp4")
    assert lips.valid.all()
    assert lip_gap(lips).max() < 0.03
    assert lip_streams(SAMPLES / "no-face.mp4") == ()


def speech(*phonemes, rate=16_000):
    """Speech of given (name, seconds) that hums all the time."""
    spoken, time_s = [], 0.0
    for name, length_s in phonemes:
        spoken.append(visemes.Phoneme(name, time_s, time_s + length_s))
        time_s += length_s
    return visemes.Speech(np.full(round(time_s * rate), 0.1, np.float32), rate, spoken)


FINE_S = np.arange(0, 1.2, 0.001)


def test_mouth_is_shut_around_the_middle_of_the_closure():
    spoken = speech(("_", 0.2), ("A:", 0.2), ("b", 0.1), ("A:", 0.2), ("_", 0.2))
    mouth = visemes.articulate(spoken, FINE_S - visemes.LIP_LEAD_S)
    shut = (mouth.opening < 1e-6) & (FINE_S > 0.3) & (FINE_S < 0.7)
    assert shut.any()
    assert FINE_S[shut].mean() == pytest.approx(0.43, abs=0.004)  # 60 % of 100 ms is closure
    assert mouth.opening.max() > 0.15
    assert FINE_S[np.argmax(mouth.opening[:400])] == pytest.approx(0.30, abs=0.03)


def test_but_for_the_lead_movements_run_alike_in_both_directions_of_time():
    there = speech(("_", 0.3), ("A:", 0.2), ("s", 0.1), ("E", 0.2), ("_", 0.3))
    back = speech(("_", 0.3), ("E", 0.2), ("s", 0.1), ("A:", 0.2), ("_", 0.3))
    at_s = np.arange(0, 1.1005, 0.001)
    led_s = at_s - visemes.LIP_LEAD_S
    one, other = visemes.articulate(there, led_s), visemes.articulate(back, led_s)
    np.testing.assert_allclose(one.opening, other.opening[::-1], atol=0.005)


@pytest.mark.parametrize(
    ("wider", "narrower", "name"),
    [
        ("i:", "u:", "width"),
        ("A:", "i:", "opening"),
        ("A:", "i:", "jaw"),
        ("E", "f", "opening"),
    ],
)
def test_sounds_are_told_apart(wider, narrower, name):
    def extent(phoneme):
        spoken = speech(("t", 0.1), (phoneme, 0.3), ("t", 0.1))
        return getattr(visemes.articulate(spoken, FINE_S), name)[250]

    assert extent(wider) > 1.3 * extent(narrower)


def test_silence_before_a_burst_belongs_to_the_closure():
    spoken = speech(("A:", 0.3), ("p", 0.04), ("A:", 0.3))
    spoken.samples[round(0.25 * 16_000) : round(0.3 * 16_000)] = 0
    mouth = visemes.articulate(spoken, FINE_S - visemes.LIP_LEAD_S)
    assert mouth.opening[(FINE_S > 0.26) & (FINE_S < 0.29)].max() < 1e-6


def test_phoneme_without_viseme_is_named():
    with pytest.raises(KeyError, match="qq"):
        visemes.articulate(speech(("qq", 0.1)), FINE_S)
    for pair in visemes.GLIDES.values():
        assert set(pair) <= set(visemes.TARGETS)


def ring(centre, across, below, above):
    """Twenty points from the left corner below to the right one and back above."""
    angles = np.linspace(np.pi, -np.pi, 21)[:-1]
    y = np.sin(angles)
    return np.stack(
        [centre[0] + across * np.cos(angles), centre[1] + np.where(y > 0, below, above) * y],
        axis=1,
    )


SIZE, EYES = 320, 100.0
STILL = {"x": 0.0, "y": 0.0, "roll_deg": 0.0, "scale": 1.0}


@pytest.fixture(scope="module")
def talker():
    """A face of colour gradients: green skin, white teeth."""
    y, x = np.mgrid[:SIZE, :SIZE]
    portrait = np.stack([x // 3, 120 + y // 4, np.full_like(x, 20)], axis=-1).astype(np.uint8)
    mouth = (160.0, 220.0)
    inner, outer = ring(mouth, 30, 7, 7), ring(mouth, 38, 16, 14)
    teeth = np.round(ring(mouth, 27, 5, 5)).astype(np.int32)
    face.cv2.fillPoly(portrait, [teeth], (255, 255, 255))
    angles = np.linspace(-np.pi / 2, 1.5 * np.pi, 36, endpoint=False)
    oval = np.stack([160 + 80 * np.cos(angles), 170 + 100 * np.sin(angles)], axis=1)
    rigid = np.array([[110.0, 130], [210, 130], [160, 150], [160, 180]])
    shape = face.FaceShape(outer, inner, oval, 18, rigid, EYES)
    return face.TalkingFace(portrait, shape)


def draw(talker, opening=0.14, width=1.0, jaw=0.0, **head):
    pose = face.HeadPose(**(STILL | head))
    return talker.draw(opening, width, jaw, pose).astype(int)


def whites(picture):
    """Rows and columns of what shows of the teeth."""
    return np.argwhere(picture.min(axis=2) > 180)


def test_portrait_at_rest_is_the_portrait(talker):
    small = talker._portrait.reshape(SIZE // 2, 2, SIZE // 2, 2, 3).mean(axis=(1, 3))
    difference = np.abs(draw(talker) - small).max(axis=2)
    assert np.median(difference) <= 1
    assert (difference > 8).mean() < 0.005  # along the edge of the lips


def test_shut_mouth_shows_no_teeth_and_an_open_one_the_dark_below(talker):
    assert len(whites(draw(talker))) > 100
    assert len(whites(draw(talker, opening=0.0))) == 0
    dark = draw(talker, opening=0.35)[110 + 8, 80]
    assert dark.max() < 110


def test_narrow_mouth_shows_fewer_columns_of_teeth(talker):
    wide, narrow = (np.ptp(whites(draw(talker, width=w))[:, 1]) for w in (1.0, 0.7))
    assert narrow < 0.8 * wide


def test_head_takes_the_mouth_along(talker):
    home, moved = (whites(draw(talker, x=x, y=x)).mean(axis=0) for x in (0.0, 0.06))
    np.testing.assert_allclose(moved - home, 0.06 * EYES / 2, atol=0.4)
    assert np.array_equal(draw(talker)[0], draw(talker, x=0.06)[0])  # the edge stays


def test_missing_library_is_exit_code_5(monkeypatch, capsys, tmp_path):
    program = tmp_path / "espeak.py"
    program.write_text("raise SystemExit(3)")
    monkeypatch.setattr("avalign.data.synthetic.speech.PROGRAM", program)
    monkeypatch.setattr(sys, "argv", ["make_samples.py", "--out", str(tmp_path / "out")])
    assert make_samples.main() == 5
    assert "apt-get install espeak-ng" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_voice_marks_closures_where_it_is_softer():
    try:
        spoken = make_samples.synthesise("A baby bought a map.", make_samples.TALKING_VOICE)
    except avalign.MissingDependencyError as error:
        pytest.skip(str(error))
    assert [p.name for p in spoken.phonemes].count("b") == 3

    def level(phoneme):
        times_s = (phoneme.start_s, phoneme.end_s)
        first, last = (round(time_s * spoken.sample_rate_hz) for time_s in times_s)
        return np.sqrt(np.mean(spoken.samples[first:last] ** 2))

    loud = [level(p) for p in spoken.phonemes if p.name in ("eI", "O:", "a")]
    soft = [level(p) for p in spoken.phonemes if p.name == "b"]
    assert max(soft) < 0.7 * min(loud)
