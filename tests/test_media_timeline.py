"""Files joined from parts whose clocks start anew, and pictures that change their size."""

from pathlib import Path

import av
import numpy as np
import pytest
from media import Recipe, click_times, flash_times, make_clip, packet_times, remuxed

from avalign.errors import MediaError
from avalign.media import iter_frames, probe, read_audio, shift_audio
from avalign.media.reading.opening import open_input
from avalign.media.reading.timeline import timeline


def joined(target: Path, *parts: Path) -> Path:
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A part whose sound ends half a second after its picture, and an ordinary one."""
    folder = tmp_path_factory.mktemp("parts")
    whole = make_clip(folder / "whole.ts")

    def shorter_picture(packet):
        return packet.stream.type == "audio" or packet.pts * packet.time_base < 2.5 + 1.4

    return remuxed(whole, folder / "uneven.ts", shorter_picture), whole


def test_streams_of_joined_parts_are_moved_together(parts, tmp_path):
    uneven, whole = parts
    clip = joined(tmp_path / "joined.ts", uneven, whole, uneven)
    flashes, clicks = flash_times(iter_frames(clip)), click_times(read_audio(clip))
    assert len(flashes) == len(clicks) == 6
    assert np.subtract(clicks, flashes) == pytest.approx(np.zeros(6), abs=0.03)
    assert np.diff(flashes)[1::2] == pytest.approx([2.0, 2.0], abs=0.1)
    found = probe(clip)
    assert found.restarts == 2
    assert found.duration_s == pytest.approx(9.0, abs=0.2)


def test_a_span_of_joined_parts_holds_what_the_whole_holds(parts, tmp_path):
    clip = joined(tmp_path / "joined.ts", *parts)
    whole = [frame.time_s for frame in iter_frames(clip)]
    span = [frame.time_s for frame in iter_frames(clip, start_s=2.0, end_s=4.5)]
    assert span == [time_s for time_s in whole if 2.0 <= time_s < 4.5]
    assert len(span) > 40


def test_what_is_written_of_joined_parts_has_one_clock(parts, tmp_path):
    clip = joined(tmp_path / "joined.ts", *parts)
    out = tmp_path / "moved.mkv"
    shift_audio(clip, out, audio_lag_s=-0.2)
    assert (np.diff(np.sort(packet_times(out))) < 0.6).all()
    flashes, clicks = flash_times(iter_frames(out)), click_times(read_audio(out))
    assert np.subtract(clicks, flashes) == pytest.approx(0.2 * np.ones(4), abs=0.03)
    assert probe(out).restarts == 0


def later(source: Path, target: Path, shift_s: float, **options) -> Path:
    """Copy a clip with a clock that has run for a while when it begins."""
    with av.open(str(source)) as reader, av.open(str(target), "w", options=options) as out:
        streams = [out.add_stream_from_template(each, opaque=True) for each in reader.streams]
        for packet in reader.demux():
            if packet.size:
                ticks = round(shift_s / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return target


def test_a_clock_that_steps_hours_ahead_in_a_broadcast_is_a_joint(tmp_path):
    first = make_clip(tmp_path / "first.ts")
    late = later(first, tmp_path / "late.ts", 36_000.0)
    clip = joined(tmp_path / "joined.ts", first, late)
    assert probe(clip).restarts == 1
    assert probe(clip).duration_s == pytest.approx(6.0, abs=0.2)
    assert list(iter_frames(clip))[-1].time_s < 7


def test_a_single_damaged_time_moves_nothing(tmp_path):
    clip = make_clip(tmp_path / "whole.ts")
    data = bytearray(clip.read_bytes())
    at = 0
    for _ in range(40):  # the fortieth picture's header
        at = data.index(b"\0\0\1\xe0", at + 1)
    for field in range(at + 9, at + 9 + data[at + 8], 5):
        data[field + 1] ^= 0x0F  # hours away
    clip.write_bytes(data)
    assert probe(clip).restarts == 0
    times_s = [frame.time_s for frame in iter_frames(clip)]
    assert len(times_s) == 75
    assert np.diff(times_s) == pytest.approx(np.full(74, 0.04), abs=0.001)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_clock_that_has_run_for_hours_begins_at_zero(tmp_path, suffix):
    live = {
        "movflags": "frag_keyframe+empty_moov+default_base_moof+frag_discont",
        "use_editlist": "0",
        "avoid_negative_ts": "disabled",
    }
    clip = make_clip(tmp_path / f"clip{suffix}")
    clip = later(clip, tmp_path / f"live{suffix}", 36_000.0, **live)
    found = probe(clip)
    assert found.duration_s == pytest.approx(3.0, abs=0.1)
    assert found.video_tracks[0].start_s == pytest.approx(0.0, abs=0.1)
    assert found.video_tracks[0].duration_s == pytest.approx(3.0, abs=0.1)
    assert list(iter_frames(clip))[-1].time_s < 3.1
    out = tmp_path / "moved.mp4"
    shift_audio(clip, out, audio_lag_s=0.1)
    assert packet_times(out).max() < 3.2
    assert probe(out).duration_s < 3.3


def test_a_stream_that_comes_up_late_is_passed_over(tmp_path):
    """The middle part carries a sound track that nothing announced when it was opened."""
    one = make_clip(tmp_path / "one.ts")
    two = make_clip(tmp_path / "two.ts", Recipe(sound_tracks=2))
    nothing = tmp_path / "nothing"
    nothing.write_bytes((b"\x47\x1f\xff\x10" + 184 * b"\xff") * 40_000)
    clip = joined(tmp_path / "late.ts", one, nothing, two, nothing, one)
    with av.open(str(clip)) as container:
        assert len(container.streams) == 2  # else this tests nothing
    assert len(flash_times(iter_frames(clip))) == 6
    assert len(click_times(read_audio(clip))) == 6


def test_the_file_is_read_once_for_its_clock(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "whole.ts")
    with open_input(clip) as container:
        first = timeline(container)
        assert timeline(container) is first
        assert first.is_as_stored
    make_clip(clip, Recipe(duration_s=2.0))
    with open_input(clip) as container:
        assert timeline(container) is not first


@pytest.mark.parametrize(("other", "inside"), [((48, 32), (96, 64)), ((64, 96), (43, 64))])
def test_pictures_that_change_their_size_are_fitted_into_the_first(tmp_path, other, inside):
    clip = joined(
        tmp_path / "sizes.ts",
        make_clip(tmp_path / "a.ts", Recipe(duration_s=1.0, events_s=())),
        make_clip(tmp_path / "b.ts", Recipe(duration_s=1.0, events_s=(), size=other)),
    )
    frames = list(iter_frames(clip))
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert len(frames) == 50
    spans = [*iter_frames(clip, end_s=1.0), *iter_frames(clip, start_s=1.0)]
    assert {frame.image.shape for frame in spans} == {(64, 96, 3)}
    lit = frames[-1].image.max(axis=2) > 20
    height, width = np.ptp(np.argwhere(lit), axis=0) + 1
    assert (width, height) == pytest.approx(inside, abs=2)


@pytest.mark.parametrize("kind", ["sound", "pictures"])
def test_a_track_of_which_half_has_no_time_is_no_answer(tmp_path, kind):
    clip = make_clip(
        tmp_path / "whole.mkv",
        Recipe(audio_codec="pcm_s16le", video_codec="mpeg4", duration_s=6.0),
        sound=kind == "sound",
        picture=kind == "pictures",
    )

    def in_place(packet):
        packet.pts = packet.dts = round(packet.pts * 0.4)

    def all_at_once(packet):
        packet.pts = packet.dts = min(packet.pts, round(1 / packet.time_base))

    damage = in_place if kind == "sound" else all_at_once
    damaged = remuxed(clip, tmp_path / "damaged.mkv", damage)
    with pytest.raises(MediaError, match="no time of their own"):
        read_audio(damaged) if kind == "sound" else list(iter_frames(damaged))
