"""Probe, sound and pictures: times as a player shows them, whatever the file is like."""

import collections
import gc
import re
import resource
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media import (
    SUFFIX_CODECS,
    Recipe,
    click_times,
    click_track,
    flash_times,
    make_clip,
    remuxed,
)

from avalign.errors import MediaError, NoAudioError, NoFaceError, ParameterError
from avalign.media import iter_audio, iter_frames, open_channels, probe, read_audio, shift_audio
from avalign.types import AudioStream


@pytest.mark.slow
@pytest.mark.parametrize("suffix", sorted(set(SUFFIX_CODECS) - {".avi"}))
@pytest.mark.parametrize("b_frames", [0, 2])
def test_events_are_read_at_the_times_they_were_made_at(tmp_path, suffix, b_frames):
    clip = make_clip(tmp_path / f"clip{suffix}", Recipe(b_frames=b_frames))
    flashes = np.array(flash_times(iter_frames(clip)))
    clicks = np.array(click_times(read_audio(clip, rate_hz=48000)))
    # Broadcast containers have no zero of their own: the first track starts there.
    origin = probe(clip).video_tracks[0].start_s
    assert flashes - origin == pytest.approx([1.0, 2.0], abs=0.0005)
    assert clicks - origin == pytest.approx([1.0, 2.0], abs=0.0015)


def test_a_clip_tells_what_it_holds(tmp_path):
    recipe = Recipe(sound_tracks=2, languages=("eng", "fra"), fps=Fraction(30000, 1001))
    clip = probe(make_clip(tmp_path / "clip.mkv", recipe))
    assert clip.path == tmp_path / "clip.mkv"
    assert "matroska" in clip.format_name
    assert clip.duration_s == pytest.approx(3.0, abs=0.05)
    (video,) = clip.video_tracks
    assert (video.codec, video.width, video.height, video.rotation_deg) == ("h264", 96, 64, 0)
    assert float(video.frame_rate) == pytest.approx(29.97, abs=0.01)
    assert [track.language for track in clip.audio_tracks] == ["eng", "fra"]
    assert [track.index for track in clip.audio_tracks] == [0, 1]
    assert {(t.codec, t.sample_rate_hz, t.channels) for t in clip.audio_tracks} == {
        ("aac", 48000, 2)
    }


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    "starts", [(0.8, 0.0), (0.0, 0.52)], ids=["picture-late", "sound-late"]
)
def test_tracks_that_start_late_keep_their_place(tmp_path, suffix, starts):
    video_start, audio_start = starts
    recipe = Recipe(video_start_s=video_start, audio_start_s=audio_start)
    clip = make_clip(tmp_path / f"clip{suffix}", recipe)
    found = probe(clip)
    audio = read_audio(clip, rate_hz=48000)
    assert found.video_tracks[0].start_s == pytest.approx(video_start, abs=0.001)
    assert found.audio_tracks[0].start_s == pytest.approx(audio.start_s, abs=1e-9)
    assert flash_times(iter_frames(clip)) == pytest.approx(
        [1.0 + video_start, 2.0 + video_start], abs=0.001
    )
    assert click_times(audio) == pytest.approx([1.0, 2.0], abs=0.0015)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_track_is_as_long_as_it_is_whenever_it_starts(tmp_path, suffix):
    recipe = Recipe(events_s=(), video_start_s=30.0, audio_start_s=30.0)
    clip = probe(make_clip(tmp_path / f"clip{suffix}", recipe))
    for track in (*clip.video_tracks, *clip.audio_tracks):
        assert track.start_s == pytest.approx(30.0, abs=0.05)
        assert track.duration_s == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize(
    "told", ["99999999:00:00.000", "0:0:" + 14 * "9", "0:0:inf" + 11 * " "]
)
def test_a_length_beyond_belief_is_no_length(tmp_path, told):
    clip = make_clip(tmp_path / "clip.mkv")
    data = clip.read_bytes()
    assert data.count(b"00:00:03.0") == 2
    clip.write_bytes(re.sub(rb"00:00:03\.\d{9}", told.encode(), data))
    found = probe(clip)
    assert found.duration_s == pytest.approx(3.0, abs=0.05)
    assert found.video_tracks[0].duration_s is None
    assert found.audio_tracks[0].duration_s is None


def test_variable_frame_rate_keeps_every_picture_at_its_own_time(tmp_path):
    gaps = np.random.default_rng(1).uniform(0.02, 0.09, 50)
    times = (0.0, *np.cumsum(gaps))
    clip = make_clip(tmp_path / "vfr.mp4", Recipe(frame_times_s=times))
    read = [frame.time_s for frame in iter_frames(clip)]
    assert read == pytest.approx(times, abs=1 / 12800)


def test_no_picture_is_lost_where_avi_stores_them_out_of_order(tmp_path):
    recipe = Recipe(b_frames=2, video_codec="libx264", duration_s=8.0, gop=60)
    clip = make_clip(tmp_path / "clip.avi", recipe)
    whole = list(iter_frames(clip))
    times = np.array([frame.time_s for frame in whole])
    # AVI has no place for the delay of B-frames: everything is two pictures late.
    assert times == pytest.approx(0.04 * np.arange(2, 202), abs=1e-9)
    assert flash_times(whole) == pytest.approx([1.08, 2.08])
    assert probe(clip).video_tracks[0].start_s == pytest.approx(0.08)
    for row in (60, 61, 120, 150):  # the key pictures too
        part = list(iter_frames(clip, start_s=times[row]))
        assert [frame.time_s for frame in part] == pytest.approx(times[row:])
        assert np.array_equal(part[0].image, whole[row].image)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_applied_clockwise(tmp_path, degrees):
    clip = make_clip(tmp_path / "turned.mp4", Recipe(rotation_deg=degrees, duration_s=0.4))
    video = probe(clip).video_tracks[0]
    image = next(iter(iter_frames(clip))).image
    assert video.rotation_deg == degrees
    assert (video.width, video.height) == ((64, 96) if degrees in (90, 270) else (96, 64))
    assert image.shape == (video.height, video.width, 3)
    assert image.flags.c_contiguous
    # The red corner is drawn top left; a quarter turn clockwise takes it top right.
    corner = {0: (0, 0), 90: (0, -1), 180: (-1, -1), 270: (-1, 0)}[degrees]
    rows = slice(0, 8) if corner[0] == 0 else slice(-8, None)
    columns = slice(0, 8) if corner[1] == 0 else slice(-8, None)
    red, green, _ = image[rows, columns].reshape(-1, 3).mean(axis=0)
    assert red > 120 > 80 > green


def test_pixels_become_square(tmp_path):
    clip = make_clip(tmp_path / "wide.mkv", Recipe(pixel_shape=Fraction(4, 3), duration_s=0.4))
    assert next(iter(iter_frames(clip))).image.shape == (64, 128, 3)
    assert (probe(clip).video_tracks[0].width, probe(clip).video_tracks[0].height) == (128, 64)


def test_scaling_goes_down_only_and_keeps_the_shape(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Recipe(duration_s=0.4))
    assert next(iter(iter_frames(clip, max_side=48))).image.shape == (32, 48, 3)
    assert next(iter(iter_frames(clip, max_side=960))).image.shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("codec", "layout", "rate"),
    [
        ("pcm_u8", "mono", 8000),
        ("pcm_s16le", "stereo", 44100),
        ("pcm_s24le", "mono", 96000),
        ("pcm_f32le", "stereo", 48000),
        ("pcm_f64le", "mono", 22050),
        ("flac", "5.1", 48000),
        ("pcm_s16le", "hexadecagonal", 16000),
    ],
)
def test_any_sample_format_and_layout_becomes_the_same_mono(tmp_path, codec, layout, rate):
    recipe = Recipe(audio_codec=codec, layout=layout, rate_hz=rate)
    clip = make_clip(tmp_path / "sound.mkv", recipe, picture=False)
    audio = read_audio(clip, rate_hz=rate)
    assert audio.samples.dtype == np.float32
    assert audio.start_s == 0.0
    truth = click_track(recipe)
    assert len(audio.samples) == len(truth)
    tolerance = 0.01 if codec == "pcm_u8" else 0.001
    assert np.abs(audio.samples - truth).max() < tolerance


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_all_channels_keep_their_place(tmp_path, suffix):
    recipe = Recipe(audio_codec="pcm_s16le", audio_start_s=0.52)
    clip = make_clip(tmp_path / f"clip{suffix}", recipe)
    with open_channels(clip) as sound:
        assert sound.start_s == pytest.approx(0.52, abs=0.001)
        left, right = np.concatenate(list(sound.blocks), axis=1)
    assert np.array_equal(left, right)
    assert np.abs(left - click_track(recipe)).max() < 0.001


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_u8", "aac"])
def test_two_channels_that_cancel_out_are_heard(tmp_path, codec):
    sound = click_track(Recipe(rate_hz=16000))
    clip = tmp_path / "inverted.mkv"
    with av.open(str(clip), "w") as out:
        stream = out.add_stream(codec, rate=16000)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(
            np.stack([sound, -sound]), format="fltp", layout="stereo"
        )
        frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
        for packet in stream.encode(frame) + stream.encode(None):
            out.mux(packet)
    heard = read_audio(clip)
    assert click_times(heard) == pytest.approx([1.0, 2.0], abs=0.01)
    assert np.abs(heard.samples).max() == pytest.approx(np.abs(sound).max(), rel=0.1)


def two_recordings_in_one(folder, layout, rate_hz):
    """Make a 3 s track that goes on as stereo of 48 kHz; clicks at 1, 2, 4 and 5 s."""
    kinds = [Recipe(layout=layout, rate_hz=rate_hz), Recipe()]
    parts = [
        make_clip(folder / f"{number}.ac3", replace(kind, audio_codec="ac3"), picture=False)
        for number, kind in enumerate(kinds)
    ]
    joined = folder / "joined.ac3"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    return joined


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "rate_hz"), [("5.1(side)", 48000), ("stereo", 32000)])
def test_a_track_that_changes_its_layout_or_rate_is_read_on(tmp_path, layout, rate_hz):
    path = two_recordings_in_one(tmp_path, layout, rate_hz)
    clicks = [1.0, 2.0, 4.0, 5.0]
    assert click_times(read_audio(path, rate_hz=48000)) == pytest.approx(clicks, abs=0.05)
    with open_channels(path) as sound:
        left = np.concatenate(list(sound.blocks), axis=1)[0]
        assert (sound.layout, sound.sample_rate_hz) == (layout, rate_hz)
        stream = AudioStream(left, rate_hz, sound.start_s)
    assert click_times(stream) == pytest.approx(clicks, abs=0.05)
    video = make_clip(tmp_path / "clip.webm", sound=False)
    result = shift_audio(video, tmp_path / "out.webm", audio_lag_s=0.1, audio_file=path)
    assert result.method == "re-encoded"
    written = click_times(read_audio(result.path, rate_hz=48000))
    assert written == pytest.approx(np.subtract(clicks, 0.1), abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["7.1", "7.1.2", "22.2"])
def test_many_planar_channels_are_read(tmp_path, layout):
    options = {"mapping_family": "255"}
    recipe = Recipe(audio_codec="libopus", layout=layout, audio_options=options)
    audio = read_audio(make_clip(tmp_path / "many.mkv", recipe, picture=False), rate_hz=48000)
    assert click_times(audio) == pytest.approx([1.0, 2.0], abs=0.0085)


def test_blocks_follow_each_other_and_make_the_whole(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Recipe(rate_hz=44100))
    whole = read_audio(clip)
    blocks = list(iter_audio(clip, block_s=0.7))
    assert whole.sample_rate_hz == 16000
    assert all(len(block.samples) == 11200 for block in blocks[:-1])
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), whole.samples)
    ends = [block.start_s + block.duration_s for block in blocks]
    assert [block.start_s for block in blocks[1:]] == pytest.approx(ends[:-1], abs=1e-9)
    assert click_times(whole) == pytest.approx([1.0, 2.0], abs=0.0015)


def test_a_gap_is_filled_with_silence(tmp_path):
    clip = make_clip(tmp_path / "whole.mkv", Recipe(audio_codec="pcm_s16le"), picture=False)

    def drop_middle(packet):
        return not 1.2 <= packet.pts * packet.time_base < 1.8

    gap = read_audio(remuxed(clip, tmp_path / "gap.mkv", drop_middle))
    assert gap.duration_s == pytest.approx(3.0, abs=0.01)
    assert click_times(gap) == pytest.approx([1.0, 2.0], abs=0.0015)
    silent = gap.samples[round(1.35 * 16000) : round(1.7 * 16000)]
    assert np.abs(silent).max() == 0


def test_long_pauses_cost_nothing(tmp_path):
    clip = make_clip(tmp_path / "whole.mkv", Recipe(audio_codec="pcm_s16le"))
    counts = collections.Counter()

    def an_hour_apart(packet):
        kind = packet.stream.type
        packet.pts = packet.dts = round(3500 / packet.time_base) * counts[kind]
        counts[kind] += 1

    days = remuxed(clip, tmp_path / "days.mkv", an_hour_apart)
    times_s = [frame.time_s for frame in iter_frames(days)]
    assert times_s == pytest.approx(3500 * np.arange(counts["video"]))
    blocks = list(iter_audio(days))
    starts_s = [block.start_s for block in blocks]
    assert starts_s == pytest.approx(3500 * np.arange(counts["audio"]))
    assert sum(len(block.samples) for block in blocks) == pytest.approx(3 * 16000, rel=0.01)
    with pytest.raises(MediaError, match=r"its 3\.0 s of sound lie \d{5,} s apart"):
        read_audio(days)


def test_a_slide_show_is_read_to_its_end(tmp_path):
    times = (0.0, 60.0, 600.0, 3600.0, 6000.0)
    clip = make_clip(tmp_path / "slides.mp4", Recipe(frame_times_s=times), sound=False)
    assert [frame.time_s for frame in iter_frames(clip)] == pytest.approx(times)


def test_an_overlap_is_dropped(tmp_path):
    clip = make_clip(tmp_path / "whole.mkv", Recipe(audio_codec="pcm_s16le"), picture=False)
    doubled = tmp_path / "doubled.mka"
    with av.open(str(clip)) as reader, av.open(str(doubled), "w", format="matroska") as writer:
        stream = writer.add_stream_from_template(reader.streams.audio[0], opaque=True)
        last = -1
        for packet in reader.demux():
            if packet.size == 0:
                continue
            early = 100 if packet.pts > 1500 else 0  # ms; timestamps still have to grow
            last = packet.pts = packet.dts = max(packet.pts - early, last + 1)
            packet.stream = stream
            writer.mux(packet)
    audio = read_audio(doubled)
    assert audio.duration_s == pytest.approx(2.9, abs=0.01)
    assert click_times(audio) == pytest.approx([1.0, 1.9], abs=0.0015)


def test_corrupt_packets_leave_the_rest_in_place(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Recipe(duration_s=3.0))
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        spots = [
            (packet.pos, packet.size)
            for packet in container.demux()
            if packet.size and 1.3 < packet.pts * packet.time_base < 1.6
        ]
    for position, size in spots:
        data[position : position + size] = b"\xff" * size
    clip.write_bytes(data)
    audio = read_audio(clip, rate_hz=48000)
    assert click_times(audio)[0] == pytest.approx(1.0, abs=0.0015)
    assert click_times(audio)[-1] == pytest.approx(2.0, abs=0.0015)
    assert flash_times(iter_frames(clip)) == pytest.approx([1.0, 2.0], abs=0.001)


def test_a_truncated_file_is_read_as_far_as_it_goes(tmp_path):
    clip = make_clip(tmp_path / "clip.mkv")
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) * 6 // 10])
    assert click_times(read_audio(clip, rate_hz=48000)) == pytest.approx([1.0], abs=0.0015)
    frames = list(iter_frames(clip))
    assert flash_times(frames) == pytest.approx([1.0], abs=0.001)
    assert 25 < len(frames) < 75


def test_a_truncated_mp4_without_its_index_is_one_clear_error(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4")
    clip.write_bytes(clip.read_bytes()[:4000])
    for read in (probe, read_audio, lambda path: list(iter_frames(path))):
        with pytest.raises(MediaError, match=r"clip\.mp4"):
            read(clip)


def test_tiny_and_short_clips_are_read(tmp_path):
    clip = make_clip(
        tmp_path / "tiny.mkv",
        Recipe(size=(2, 2), duration_s=0.3, events_s=(), video_codec="ffv1", rate_hz=8000),
    )
    frames = list(iter_frames(clip, max_side=640))
    assert len(frames) in (7, 8)
    assert frames[0].image.shape == (2, 2, 3)
    assert read_audio(clip).duration_s == pytest.approx(0.3, abs=0.15)


def test_missing_tracks_have_their_own_errors(tmp_path):
    silent = make_clip(tmp_path / "silent.mp4", sound=False)
    blind = make_clip(tmp_path / "blind.mp4", picture=False)
    with pytest.raises(NoAudioError, match="no sound track"):
        read_audio(silent)
    with pytest.raises(NoFaceError, match="no picture track"):
        list(iter_frames(blind))
    with pytest.raises(ParameterError, match=r"no sound track 3 .it has sound track 0"):
        read_audio(blind, track=3)
    assert probe(silent).audio_tracks == ()
    assert probe(blind).video_tracks == ()


def test_the_track_asked_for_is_read(tmp_path):
    clip = tmp_path / "two.mkv"
    with av.open(str(clip), "w") as out:
        streams = [out.add_stream("pcm_s16le", rate=8000) for _ in range(2)]
        for stream in streams:
            stream.layout = "mono"
        for stream, level in zip(streams, (0.1, 0.5), strict=True):
            block = np.full((1, 8000), level, np.float32)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate = 8000
            out.mux(stream.encode(frame))
    assert read_audio(clip, track=0).samples[8000] == pytest.approx(0.1, abs=0.01)
    assert read_audio(clip, track=1).samples[8000] == pytest.approx(0.5, abs=0.01)


def test_cover_art_is_no_picture_track(tmp_path):
    clip = make_clip(tmp_path / "plain.m4a", picture=False)
    covered = add_cover(clip, tmp_path / "song.m4a")
    assert len(av.open(str(covered)).streams.video) == 1
    assert probe(covered).video_tracks == ()
    with pytest.raises(NoFaceError):
        next(iter_frames(covered))


def add_cover(source, target):
    """Copy `source` and put a picture on its sleeve."""
    with av.open(str(source)) as reader, av.open(str(target), "w", format="mp4") as writer:
        streams = {
            s.index: writer.add_stream_from_template(s, opaque=True) for s in reader.streams
        }
        cover = writer.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
        for packet in cover.encode(image) + cover.encode(None):
            writer.mux(packet)
        for packet in reader.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                writer.mux(packet)
    return target


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Recipe(size=(640, 480), duration_s=12.0, gop=100))

    def resident_mb():
        return (
            int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
        )

    gc.disable()  # a reference cycle per picture would show
    try:
        frames = iter_frames(clip, max_side=320, threads=1)
        for _ in range(50):
            next(frames)
        before = resident_mb()
        assert sum(1 for _ in frames) == 250
        assert resident_mb() - before < 40  # 250 pictures would be 115 MB
    finally:
        gc.enable()


def test_bad_arguments_are_refused(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Recipe(duration_s=0.4))
    with pytest.raises(ParameterError):
        next(iter_audio(clip, rate_hz=0))
    with pytest.raises(ParameterError):
        next(iter_audio(clip, block_s=0.0))
    with pytest.raises(ParameterError):
        next(iter_frames(clip, max_side=0))
