"""The traps among the real clips; skipped where there are none."""

import os
from pathlib import Path

import numpy as np
import pytest
from media import packet_hashes, packet_times

from avalign.media import iter_frames, probe, read_audio, shift_audio

CLIPS = os.environ.get("AVALIGN_CLIPS")
pytestmark = pytest.mark.skipif(
    not CLIPS, reason="AVALIGN_CLIPS does not name the folder of real clips"
)

TRAPS = {
    "natural_hamilton_short_hamilton_clip.mp4": "the picture starts at 0.85 s",
    "natural_retalk_1_1.mp4": "22.13 frames per second",
    "natural_youssef_phone_test_video0000.mp4": "stored rotated",
    "lrs3_av2av_2_2.webm": "Opus with pre-skip",
    "grid_s23_lrwp9a.mpg": "MPEG-1 system stream",
    "negative_unknown_video.mp4": "the sound starts at 10 ms",
}


def clip(name):
    return Path(CLIPS) / "clips" / name


def test_a_picture_that_starts_late_stays_late():
    found = probe(clip("natural_hamilton_short_hamilton_clip.mp4"))
    first = next(iter_frames(found.path))
    assert found.video_tracks[0].start_s == pytest.approx(0.852, abs=0.001)
    assert first.time_s == pytest.approx(0.852, abs=0.001)
    assert found.audio_tracks[0].start_s == pytest.approx(0.008, abs=0.001)


def test_a_phone_clip_stands_upright():
    found = probe(clip("natural_youssef_phone_test_video0000.mp4"))
    (video,) = found.video_tracks
    assert (video.width, video.height) == (720, 1280)
    assert video.rotation_deg in (90, 270)
    assert next(iter_frames(found.path, max_side=640)).image.shape == (640, 360, 3)


def test_an_odd_frame_rate_is_read_as_it_is():
    path = clip("natural_retalk_1_1.mp4")
    times = np.array([frame.time_s for frame in iter_frames(path, max_side=64)])
    assert len(times) == 135
    assert float(probe(path).video_tracks[0].frame_rate) == pytest.approx(22.131, abs=0.001)
    assert np.median(np.diff(times)) < 0.05


@pytest.mark.parametrize("name", sorted(TRAPS))
def test_spans_equal_the_whole(name):
    path = clip(name)
    whole = list(iter_frames(path, max_side=160))
    middle = whole[len(whole) // 2].time_s
    parts = [*iter_frames(path, max_side=160, end_s=middle)]
    parts += iter_frames(path, max_side=160, start_s=middle)
    assert [part.time_s for part in parts] == [frame.time_s for frame in whole]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(parts, whole, strict=True))


@pytest.mark.parametrize("lag_s", [0.1234, -0.2345])
@pytest.mark.parametrize("name", sorted(TRAPS))
def test_repairs_move_the_sound_by_the_lag_alone(tmp_path, name, lag_s):
    source = clip(name)
    output = tmp_path / f"out{source.suffix}"
    result = shift_audio(source, output, audio_lag_s=lag_s)
    assert result.method == "copied"
    assert packet_hashes(output) == packet_hashes(source)
    before, after = packet_times(source), packet_times(output)
    assert after - after[0] == pytest.approx(before - before[0], abs=0.0006)
    old, new = probe(source).video_tracks[0], probe(output).video_tracks[0]
    assert (new.width, new.height, new.rotation_deg) == (
        old.width,
        old.height,
        old.rotation_deg,
    )
    moved = sound_lag(read_audio(source), read_audio(output)) - (new.start_s - old.start_s)
    assert moved == pytest.approx(-lag_s, abs=0.002)


def sound_lag(one, other):
    """Time of `other` minus time of `one`, two readings of the same sound."""
    rate = one.sample_rate_hz
    size = 1 << (len(one.samples) + len(other.samples)).bit_length()
    spectra = [np.fft.rfft(stream.samples, size) for stream in (one, other)]
    match = np.fft.irfft(spectra[1] * np.conj(spectra[0]), size)
    peak = int(match.argmax())
    samples = peak - size if peak > size // 2 else peak
    return samples / rate + other.start_s - one.start_s
