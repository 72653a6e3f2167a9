"""Spans of the pictures: what a read of the whole gives, found without reading all."""

import itertools

import numpy as np
import pytest
from media import Recipe, make_clip

from avalign.media import iter_frames
from avalign.media.reading import decoding, seeking


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mpg", ".ts", ".webm"])
def test_spans_read_apart_equal_one_read_of_the_whole(tmp_path, suffix):
    b_frames = 0 if suffix == ".webm" else 2
    clip = make_clip(
        tmp_path / f"long{suffix}", Recipe(duration_s=8.0, gop=60, b_frames=b_frames)
    )
    whole = list(iter_frames(clip))
    assert len(whole) > 190
    assert np.all(np.diff([frame.time_s for frame in whole]) > 0)
    bounds = [None, 1.0, 2.41, 2.4100001, whole[120].time_s, 7.99, None]
    parts = []
    for begin, end in itertools.pairwise(bounds):
        parts += iter_frames(clip, start_s=begin, end_s=end)
    assert [part.time_s for part in parts] == [frame.time_s for frame in whole]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(parts, whole, strict=True))


def _counted(monkeypatch):
    """Return a list that gets a row for each packet read on the way to a span."""
    read = []

    def demux(container, stream):
        for packet in decoding.demux(container, stream):
            read.append(packet.dts)
            yield packet

    monkeypatch.setattr(seeking, "demux", demux)
    return read


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mpg", ".ts"])
def test_a_span_far_into_a_broadcast_is_found_without_reading_all(
    tmp_path, monkeypatch, suffix
):
    recipe = Recipe(events_s=(), duration_s=90.0, b_frames=2, size=(32, 32))
    clip = make_clip(tmp_path / f"long{suffix}", recipe)
    whole = list(iter_frames(clip))
    read = _counted(monkeypatch)
    for row in (1600, 1801, 2100, 2245):
        begin_s = whole[row].time_s
        part = list(iter_frames(clip, start_s=begin_s, end_s=begin_s + 2.0))
        truth = [frame for frame in whole if begin_s <= frame.time_s < begin_s + 2.0]
        assert [frame.time_s for frame in part] == [frame.time_s for frame in truth]
        assert np.array_equal(part[0].image, truth[0].image)
    assert len(read) < 2250 + 4 * 450  # once to see that the clock is steady, then 18 s each


@pytest.mark.slow
def test_a_span_of_a_broadcast_whose_clock_starts_anew_is_not_searched_for(
    tmp_path, monkeypatch
):
    recipe = Recipe(events_s=(), duration_s=70.0, size=(32, 32))
    once = make_clip(tmp_path / "once.ts", recipe)
    twice = tmp_path / "twice.ts"
    twice.write_bytes(2 * once.read_bytes())
    whole = list(iter_frames(twice))
    assert len(whole) == pytest.approx(3500, abs=5)
    assert whole[-1].time_s > 139.0
    begin_s = whole[1700].time_s
    rest = [frame.time_s for frame in iter_frames(twice, start_s=begin_s)]
    assert rest == pytest.approx([frame.time_s for frame in whole[1700:]])


def test_a_span_behind_the_end_is_empty(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Recipe(duration_s=1.0))
    assert list(iter_frames(clip, start_s=50.0, end_s=60.0)) == []
