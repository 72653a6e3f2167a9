"""A repaired file: the sound moved by exactly the lag, everything else untouched."""

from fractions import Fraction

import av
import numpy as np
import pytest
from media import (
    SUFFIX_CODECS,
    Recipe,
    click_times,
    flash_times,
    lag_of,
    make_clip,
    packet_hashes,
    packet_times,
    remuxed,
)

from avalign.errors import MediaError, NoAudioError, NoFaceError, ParameterError
from avalign.media import iter_frames, probe, read_audio, shift_audio

SUFFIXES = sorted(SUFFIX_CODECS)
LAGS_S = [0.16, -0.24, 0.0004, 0.0037]


def assert_pictures_untouched(source, output):
    assert packet_hashes(output) == packet_hashes(source)
    before, after = packet_times(source), packet_times(output)
    assert after - after[0] == pytest.approx(before - before[0], abs=0.0006)


def assert_events(path, flashes_s, clicks_s):
    assert flash_times(iter_frames(path)) == pytest.approx(flashes_s, abs=0.001)
    assert click_times(read_audio(path, rate_hz=48000)) == pytest.approx(clicks_s, abs=0.002)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """One clip per container, with B-frames where its codec has them."""
    folder = tmp_path_factory.mktemp("clips")
    return {
        suffix: make_clip(
            folder / f"clip{suffix}", Recipe(b_frames=0 if suffix in (".webm", ".avi") else 2)
        )
        for suffix in SUFFIXES
    }


@pytest.mark.slow
@pytest.mark.parametrize("lag_s", LAGS_S)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exactly_the_lag_is_removed(tmp_path, clips, suffix, lag_s):
    source, output = clips[suffix], tmp_path / f"out{suffix}"
    untouched = source.read_bytes()
    result = shift_audio(source, output, audio_lag_s=lag_s)
    assert result.path == output
    assert lag_of(output) - lag_of(source) == pytest.approx(-lag_s, abs=0.002)
    assert_pictures_untouched(source, output)
    assert result.method == ("re-encoded" if suffix == ".avi" else "copied")
    assert bool(result.notes) == (suffix == ".avi")
    assert source.read_bytes() == untouched
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".ts", ".mpg"])
def test_late_sound_keeps_every_packet(tmp_path, clips, suffix):
    output = tmp_path / f"out{suffix}"
    shift_audio(clips[suffix], output, audio_lag_s=-0.3)
    assert packet_hashes(output, "audio") == packet_hashes(clips[suffix], "audio")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".ts", ".mpg"])
def test_early_sound_loses_only_what_lies_before_the_picture(tmp_path, clips, suffix):
    output = tmp_path / f"out{suffix}"
    shift_audio(clips[suffix], output, audio_lag_s=0.5)
    before = packet_hashes(clips[suffix], "audio")[0][1]
    after = packet_hashes(output, "audio")[0][1]
    assert after == before[-len(after) :]
    packet_s = 3.0 / len(before)
    assert 0.5 / packet_s - 4 <= len(before) - len(after) <= 0.5 / packet_s + 2
    found = probe(output)
    start_s = found.audio_tracks[0].start_s - found.video_tracks[0].start_s
    assert -0.03 < start_s < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("lag_s", [0.16, -0.24])
@pytest.mark.parametrize(
    "starts", [(0.8, 0.0), (0.0, 0.52)], ids=["picture-late", "sound-late"]
)
def test_starts_told_by_edit_lists_are_kept(tmp_path, suffix, lag_s, starts):
    recipe = Recipe(video_start_s=starts[0], audio_start_s=starts[1], b_frames=2)
    source = make_clip(tmp_path / f"clip{suffix}", recipe)
    output = tmp_path / f"out{suffix}"
    shift_audio(source, output, audio_lag_s=lag_s)
    assert lag_of(output) - lag_of(source) == pytest.approx(-lag_s, abs=0.002)
    assert_pictures_untouched(source, output)
    assert flash_times(iter_frames(output)) == pytest.approx(
        flash_times(iter_frames(source)), abs=0.001
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_shift_is_as_fine_as_the_output_allows(tmp_path, clips, suffix):
    # The clock of MP3 in AVI ticks once a packet, each 24 ms.
    output = tmp_path / f"out{suffix}"
    assert shift_audio(clips[".avi"], output, audio_lag_s=0.16).method == "copied"
    assert lag_of(output) - lag_of(clips[".avi"]) == pytest.approx(-0.16, abs=0.001)


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_sound_that_is_encoded_again_keeps_its_start(tmp_path, suffix):
    recipe = Recipe(audio_codec="pcm_s16le", audio_start_s=0.5)
    source, output = make_clip(tmp_path / f"clip{suffix}", recipe), tmp_path / "out.mp4"
    assert shift_audio(source, output, audio_lag_s=0.16).method == "re-encoded"
    assert_events(output, flashes_s=[1.0, 2.0], clicks_s=[0.84, 1.84])


def test_sound_that_is_encoded_again_keeps_its_pauses(tmp_path):
    whole = make_clip(tmp_path / "whole.mkv", Recipe(audio_codec="pcm_s16le"))

    def drop_middle(packet):
        sound = packet.stream.type == "audio"
        return not (sound and 1.2 <= packet.pts * packet.time_base < 1.8)

    source, output = remuxed(whole, tmp_path / "clip.mkv", drop_middle), tmp_path / "out.mp4"
    assert shift_audio(source, output, audio_lag_s=0.16).method == "re-encoded"
    assert_events(output, flashes_s=[1.0, 2.0], clicks_s=[0.84, 1.84])


def test_a_shift_back_and_forth_restores_the_times(tmp_path, clips):
    there, back = tmp_path / "there.mp4", tmp_path / "back.mp4"
    shift_audio(clips[".mp4"], there, audio_lag_s=-0.24)
    shift_audio(there, back, audio_lag_s=0.24)
    assert lag_of(back) == pytest.approx(lag_of(clips[".mp4"]), abs=0.0002)


def rich_clip(path, codec="subrip", format_options=None):
    """Two languages, a name, subtitles, chapters, tags, dispositions and a quarter turn."""
    plain = make_clip(
        path.with_name(f"plain{path.suffix}"),
        Recipe(
            sound_tracks=2,
            languages=("eng", "fra"),
            chapters=(0.0, 1.0, 3.0),
            metadata={"title": "A talk", "artist": "Somebody"},
            rotation_deg=90 if path.suffix in (".mp4", ".mov") else 0,
            b_frames=2,
        ),
    )
    with av.open(str(plain)) as reader, av.open(str(path), "w") as writer:
        writer.metadata.update({"title": "A talk", "artist": "Somebody"})
        writer.set_chapters(reader.chapters())
        streams = {}
        for stream in reader.streams:
            if stream.type in ("video", "audio"):
                streams[stream.index] = writer.add_stream_from_template(stream, opaque=True)
                streams[stream.index].metadata.update(stream.metadata)
        second = writer.streams.audio[1]
        second.disposition = av.stream.Disposition.comment
        second.metadata["title"] = "Comments"
        captions = writer.add_mux_stream(codec, time_base=Fraction(1, 1000))
        captions.metadata["language"] = "deu"
        texts = [(500, 700, "Guten Tag"), (1500, 800, "Auf Wiedersehen")]
        written = iter([*texts, None])
        waiting = next(written)
        for packet in reader.demux():
            if packet.size == 0 or packet.stream.index not in streams:
                continue
            if waiting and packet.pts * packet.time_base * 1000 >= waiting[0]:
                writer.mux(_caption(captions, codec, *waiting))
                waiting = next(written)
            packet.stream = streams[packet.stream.index]
            writer.mux(packet)
    return path


def _caption(stream, codec, start_ms, length_ms, text):
    data = text.encode()
    if codec == "mov_text":
        data = len(data).to_bytes(2, "big") + data
    packet = av.Packet(data)
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = start_ms
    packet.duration = length_ms
    return packet


def described(path):
    with av.open(str(path)) as container:
        streams = [
            (
                stream.type,
                stream.codec_context.codec.canonical_name if stream.codec_context else None,
                stream.codec_context.codec_tag if stream.codec_context else None,
                stream.language,
                stream.metadata.get("title", stream.metadata.get("name")),
                stream.disposition,
            )
            for stream in container.streams
        ]
        chapters = [
            (
                float(chapter["start"] * chapter["time_base"]),
                float(chapter["end"] * chapter["time_base"]),
                chapter["metadata"].get("title"),
            )
            for chapter in container.chapters()
        ]
        tags = {key.lower(): value for key, value in container.metadata.items()}
        return streams, chapters, {key: tags.get(key) for key in ("title", "artist")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "mov_text"), (".mov", "mov_text"), (".mkv", "subrip")]
)
@pytest.mark.parametrize("lag_s", [0.2, -0.2])
def test_everything_else_is_kept(tmp_path, suffix, codec, lag_s):
    source, output = rich_clip(tmp_path / f"rich{suffix}", codec), tmp_path / f"out{suffix}"
    result = shift_audio(source, output, audio_lag_s=lag_s)
    assert result.notes == ()
    streams, chapters, tags = described(output)
    assert (streams, chapters, tags) == described(source)
    assert [kind for kind, *_ in streams].count("subtitle") == 1
    assert [name for *_, name, _ in streams].count("Comments") == 1
    assert len(chapters) == 2
    assert tags == {"title": "A talk", "artist": "Somebody"}
    assert packet_hashes(output, "subtitle") == packet_hashes(source, "subtitle")
    assert packet_times(output, "subtitle") == pytest.approx(packet_times(source, "subtitle"))
    assert probe(output).video_tracks[0].rotation_deg == (0 if suffix == ".mkv" else 90)
    for track in (0, 1):
        change = lag_of(output, track) - lag_of(source, track)
        assert change == pytest.approx(-lag_s, abs=0.002)


@pytest.mark.parametrize(
    ("suffix", "lost"),
    [
        (
            ".ts",
            ["chapters", "title and other tags", "subtitle stream 3", "attachment stream 4"],
        ),
        (".mp4", ["subtitle stream 3", "attachment stream 4"]),
    ],
)
def test_what_another_container_cannot_hold_is_left_out_and_told(tmp_path, suffix, lost):
    plain = rich_clip(tmp_path / "bare.mkv", "subrip")
    source, output = tmp_path / "rich.mkv", tmp_path / f"out{suffix}"
    with av.open(str(plain)) as reader, av.open(str(source), "w") as writer:
        writer.metadata.update(reader.metadata)
        writer.set_chapters(reader.chapters())
        streams = [writer.add_stream_from_template(s, opaque=True) for s in reader.streams]
        writer.add_attachment("notes.txt", "text/plain", b"remember")
        for packet in reader.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                writer.mux(packet)
    notes = shift_audio(source, output, audio_lag_s=0.2).notes
    assert [note.split(" was")[0].split(" were")[0] for note in notes] == lost
    kinds = [kind for kind, *_ in described(output)[0]]
    assert kinds[:3] == ["video", "audio", "audio"]
    assert "attachment" not in kinds
    assert lag_of(output) - lag_of(source) == pytest.approx(-0.2, abs=0.003)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_only_the_track_asked_for_moves(tmp_path, suffix):
    source = make_clip(tmp_path / f"two{suffix}", Recipe(sound_tracks=2))
    output = tmp_path / f"out{suffix}"
    shift_audio(source, output, audio_lag_s=0.25, audio_track=1)
    assert lag_of(output, 1) - lag_of(source, 1) == pytest.approx(-0.25, abs=0.002)
    assert lag_of(output, 0) == pytest.approx(lag_of(source, 0), abs=0.002)
    hashes = [track[1] for track in packet_hashes(source, "audio")]
    assert packet_hashes(output, "audio")[0][1] == hashes[0]


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "libx264"), (".mov", "libx264"), (".mov", "jpeg2000")]
)
def test_a_time_code_is_kept(tmp_path, suffix, codec):
    recipe = Recipe(video_codec=codec, metadata={"timecode": "01:00:00:00"})
    source = make_clip(tmp_path / f"clip{suffix}", recipe)
    output = tmp_path / f"out{suffix}"
    assert shift_audio(source, output, audio_lag_s=0.1).notes == ()
    assert described(output)[0] == described(source)[0]
    with av.open(str(output)) as container:
        (track,) = container.streams.data
        assert track.metadata["timecode"] == "01:00:00:00"


def test_a_time_code_goes_through_matroska_and_is_told_where_it_is_lost(tmp_path):
    source = make_clip(tmp_path / "clip.mov", Recipe(metadata={"timecode": "01:00:00:00"}))
    between, back = tmp_path / "between.mkv", tmp_path / "back.mov"
    assert shift_audio(source, between, audio_lag_s=0.1).notes == ()
    assert shift_audio(between, back, audio_lag_s=-0.1).notes == ()
    with av.open(str(back)) as container:
        assert container.streams.data[0].metadata["timecode"] == "01:00:00:00"
    for number, path in enumerate((source, between)):
        notes = shift_audio(path, tmp_path / f"{number}.ts", audio_lag_s=0.1).notes
        assert "the time code was left out: mpegts has none" in notes


def test_a_cut_in_front_told_by_an_edit_list_stays_hidden(tmp_path):
    whole = make_clip(tmp_path / "whole.mkv", Recipe(b_frames=2, gop=60))
    source, output = tmp_path / "cut.mp4", tmp_path / "out.mp4"
    with av.open(str(whole)) as reader, av.open(str(source), "w") as writer:
        streams = {
            s.index: writer.add_stream_from_template(s, opaque=True) for s in reader.streams
        }
        for packet in reader.demux():
            if packet.size:
                packet.pts -= 500
                if packet.dts is not None:
                    packet.dts -= 500
                packet.stream = streams[packet.stream.index]
                writer.mux(packet)
    shown = [frame.time_s for frame in iter_frames(source)]
    assert 60 <= len(shown) <= 63  # the other dozen is only there to decode from
    for lag_s in (0.16, -0.24):
        shift_audio(source, output, audio_lag_s=lag_s, overwrite=True)
        assert [frame.time_s for frame in iter_frames(output)] == pytest.approx(
            shown, abs=0.001
        )
        assert lag_of(output) - lag_of(source) == pytest.approx(-lag_s, abs=0.002)
        assert packet_hashes(output) == packet_hashes(source)
    for suffix in (".mkv", ".ts"):
        with pytest.raises(MediaError, match="cannot hide the pictures in front"):
            shift_audio(source, tmp_path / f"out{suffix}", audio_lag_s=0.16)


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cut_behind_told_by_an_edit_list_stays_cut(tmp_path, suffix, b_frames):
    source, output = tmp_path / "cut.mp4", tmp_path / f"out{suffix}"
    whole = make_clip(tmp_path / "whole.mp4", Recipe(b_frames=b_frames))
    data = bytearray(whole.read_bytes())
    # The first edit list is that of the picture; its first field is how long to show it.
    field = slice(data.index(b"elst") + 12, data.index(b"elst") + 16)
    data[field] = (int.from_bytes(data[field], "big") // 2).to_bytes(4, "big")
    source.write_bytes(data)
    shown = [frame.time_s for frame in iter_frames(source)]
    assert 37 <= len(shown) <= 38
    shift_audio(source, output, audio_lag_s=-0.1)
    written = [frame.time_s for frame in iter_frames(output)]
    assert written[: len(shown)] == pytest.approx(shown, abs=0.001)
    # The last picture shown may need one from behind the cut.
    assert len(written) - len(shown) <= (b_frames > 0)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".ts", ".mp4", ".mkv"])
@pytest.mark.parametrize("duration_s", [3.0, 11.0])
def test_where_a_clock_starts_again_both_parts_are_written(tmp_path, suffix, duration_s):
    source, output = tmp_path / "glued.ts", tmp_path / f"out{suffix}"
    part = make_clip(tmp_path / "part.ts", Recipe(duration_s=duration_s))
    source.write_bytes(2 * part.read_bytes())
    assert shift_audio(source, output, audio_lag_s=0.16).notes == ()
    clicks = click_times(read_audio(output, rate_hz=48000))
    flashes = flash_times(iter_frames(output))
    assert np.subtract(clicks, flashes) == pytest.approx(np.full(4, -0.16), abs=0.005)
    pictures = [packet_hashes(path)[0][1] for path in (output, part)]
    assert len(pictures[0]) == 2 * len(pictures[1])


def test_the_codec_tag_that_players_go_by_is_kept(tmp_path):
    source, output = tmp_path / "clip.mp4", tmp_path / "out.mp4"
    make_clip(source, Recipe(video_codec="libx265", video_tag="hvc1"))
    shift_audio(source, output, audio_lag_s=0.1)
    assert described(output)[0] == described(source)[0]
    assert described(output)[0][0][2] == "hvc1"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_cover_art_and_attachments_are_kept(tmp_path, suffix):
    plain = make_clip(tmp_path / f"plain{suffix}")
    source = tmp_path / f"covered{suffix}"
    with av.open(str(plain)) as reader, av.open(str(source), "w") as writer:
        streams = {
            s.index: writer.add_stream_from_template(s, opaque=True) for s in reader.streams
        }
        picture = _png()
        if suffix == ".mkv":
            writer.add_attachment("cover.png", "image/png", picture)
            writer.add_attachment("notes.txt", "text/plain", b"remember")
        else:
            cover = writer.add_stream("png", rate=1)
            cover.width, cover.height, cover.pix_fmt = 16, 16, "rgb24"
            cover.disposition = av.stream.Disposition.attached_pic
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts = cover, 0, 0
            writer.mux(packet)
        for packet in reader.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                writer.mux(packet)
    output = tmp_path / f"out{suffix}"
    shift_audio(source, output, audio_lag_s=0.1)
    assert picture in output.read_bytes()
    assert len(probe(output).video_tracks) == 1
    if suffix == ".mkv":
        assert b"remember" in output.read_bytes()
    with av.open(str(source)) as one, av.open(str(output)) as other:
        assert [s.type for s in other.streams] == [s.type for s in one.streams]
    assert lag_of(output) == pytest.approx(-0.1, abs=0.002)


def _png():
    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = 16, 16, "rgb24"
    context.time_base = Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


@pytest.mark.slow
@pytest.mark.parametrize("lag_s", [0.3, -0.3])
@pytest.mark.parametrize(
    ("suffix", "sound"),
    [
        (".mp4", ".wav"),
        (".mkv", ".wav"),
        (".mp4", ".mp4"),
        (".webm", ".wav"),
        (".avi", ".wav"),
        (".ts", ".mp4"),
    ],
)
def test_a_separate_sound_file_replaces_the_sound(tmp_path, suffix, sound, lag_s):
    events = (0.7, 1.7)
    source = make_clip(tmp_path / f"clip{suffix}")
    other = Recipe(events_s=events, audio_codec="pcm_s16le" if sound == ".wav" else "aac")
    wav = make_clip(tmp_path / f"sound{sound}", other, picture=False)
    output = tmp_path / f"out{suffix}"
    result = shift_audio(source, output, audio_lag_s=lag_s, audio_file=wav)
    assert_pictures_untouched(source, output)
    assert len(probe(output).audio_tracks) == 1
    clicks = click_times(read_audio(output, rate_hz=48000))
    flashes = flash_times(iter_frames(output))
    origin = flashes[-1] - flash_times(iter_frames(source))[-1]
    assert clicks[-1] - origin == pytest.approx(1.7 - lag_s, abs=0.002)
    assert result.method in ("copied", "re-encoded")
    assert bool(result.notes) == (result.method == "re-encoded")


@pytest.mark.slow
@pytest.mark.parametrize("tracks", [1, 2])
def test_sound_tracks_that_a_separate_file_replaces_are_told(tmp_path, tracks):
    source = make_clip(tmp_path / "clip.mkv", Recipe(sound_tracks=tracks))
    sound = make_clip(tmp_path / "sound.mka", Recipe(format="matroska"), picture=False)
    output = tmp_path / "out.mkv"
    notes = shift_audio(source, output, audio_lag_s=0.1, audio_file=sound).notes
    assert len(probe(output).audio_tracks) == 1
    told = ("the sound of sound.mka took the place of all 2 sound tracks",)
    assert notes == (told if tracks == 2 else ())


def test_progress_goes_from_start_to_end(tmp_path, clips):
    fractions = []
    shift_audio(clips[".mp4"], tmp_path / "out.mp4", audio_lag_s=0.1, progress=fractions.append)
    assert all(0.0 <= fraction <= 1.0 for fraction in fractions)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_missing_tracks_and_wrong_numbers(tmp_path):
    silent = make_clip(tmp_path / "silent.mp4", sound=False)
    blind = make_clip(tmp_path / "blind.mp4", picture=False)
    output = tmp_path / "out.mp4"
    with pytest.raises(NoAudioError):
        shift_audio(silent, output, audio_lag_s=0.1)
    with pytest.raises(NoFaceError):
        shift_audio(blind, output, audio_lag_s=0.1)
    both = make_clip(tmp_path / "both.mp4")
    with pytest.raises(ParameterError, match="no sound track 4"):
        shift_audio(both, output, audio_lag_s=0.1, audio_track=4)
    with pytest.raises(ParameterError):
        shift_audio(both, output, audio_lag_s=float("nan"))
    with pytest.raises(ParameterError, match="ending"):
        shift_audio(both, tmp_path / "out.png", audio_lag_s=0.1)
    with pytest.raises(ParameterError, match=r"only from \.avi"):
        shift_audio(both, tmp_path / "out.avi", audio_lag_s=0.1)
    with pytest.raises(ParameterError, match="its own input"):
        shift_audio(both, both, audio_lag_s=0.1, overwrite=True)
    with pytest.raises(MediaError):
        shift_audio(tmp_path / "none.mp4", output, audio_lag_s=0.1)
    assert not output.exists()
