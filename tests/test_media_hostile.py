"""Bad files, bad outputs and interruptions: one clear error, and nothing half done."""

import errno
import os
import shutil
import stat
import struct
import subprocess
import sys
import textwrap
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
from media import Recipe, make_clip

from avalign.errors import MediaError
from avalign.files.atomic import atomic_output
from avalign.media import iter_frames, probe, read_audio, shift_audio

READERS = [probe, read_audio, lambda path: list(iter_frames(path))]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", Recipe(duration_s=2.0))


def assert_refused(path, words):
    for read in READERS:
        with pytest.raises(MediaError, match=words) as caught:
            read(path)
        assert caught.value.hint
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 3


def test_files_that_are_none(tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert_refused(tmp_path / "none.mp4", "no such file")
    assert_refused(tmp_path, "is a folder")
    assert_refused(empty, "is empty")
    assert_refused("bad\0name.mp4", "no such file")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert_refused(tmp_path / "pipe.mp4", "not a regular file")
    assert_refused("/dev/zero", "not a regular file")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("http://127.0.0.1:9/clip.mp4", "only local files"),
        ("concat:clip.mp4|clip.mp4", "only local files"),
        ("file:clip.mp4", "only local files"),
        ("pipe:0", "only local files"),
        ("-", "standard input"),
    ],
)
def test_names_that_ask_for_something_else(tmp_path, monkeypatch, clip, name, words):
    shutil.copy(clip, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    assert_refused(name, words)


def _texts(clip):
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
    return {
        "text.mp4": "This is no film.\n" * 200,
        "noise.mp4": np.random.default_rng(3).bytes(20000),
        "list.m3u8": playlist.format(f"file://{clip}"),
        "playlist.mp4": playlist.format(clip),
        "script.mp4": f"ffconcat version 1.0\nfile '{clip}'\n",
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "manifest.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
        'type="static" mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType='
        f'"video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{clip}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>",
        "page.html": "<html><body>404</body></html>",
    }


@pytest.mark.parametrize(
    "name",
    [
        "text.mp4",
        "noise.mp4",
        "list.m3u8",
        "playlist.mp4",
        "script.mp4",
        "session.sdp",
        "manifest.mpd",
        "page.html",
    ],
)
def test_texts_and_playlists_are_not_opened(tmp_path, clip, name):
    content = _texts(clip)[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused(path, "not a media file")


def test_a_pattern_names_no_image_sequence(tmp_path, clip):
    for number in range(3):
        with av.open(str(tmp_path / f"a{number:03d}.png"), "w", format="image2") as out:
            stream = out.add_stream("png", rate=1)
            stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
            image = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
            out.mux(stream.encode(image))
    assert_refused(tmp_path / "a%03d.png", "no such file")
    assert_refused(tmp_path / "a000.png", "not a media file")
    odd = tmp_path / "talk%03d: *.mp4"  # a literal name is fine
    shutil.copy(clip, odd)
    assert len(list(iter_frames(odd))) == 50


def test_odd_names_are_taken_literally(tmp_path, monkeypatch, clip):
    monkeypatch.chdir(tmp_path)
    for name in ("-y.mp4", "http:clip.mp4", "ünï çödé .mp4", "concat:a|b.mp4"):
        shutil.copy(clip, tmp_path / name)
        assert probe(name).video_tracks
        output = f"out {name}"
        shift_audio(name, output, audio_lag_s=0.1)
        assert probe(output).video_tracks


# ------------------------------------------------------------------ writing


def test_a_whole_file_or_none(tmp_path):
    target = tmp_path / "result.json"
    with atomic_output(target) as temporary:
        assert temporary.is_relative_to(tmp_path)
        assert temporary.suffix == ".json"
        temporary.write_text("first")
        assert not target.exists()
    assert target.read_text() == "first"
    with pytest.raises(ZeroDivisionError):
        _write_then(target, "half", lambda: 1 / 0)
    assert target.read_text() == "first"
    _write_then(target, "second", lambda: None)
    assert target.read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_name_as_long_as_the_system_allows(tmp_path):
    target = tmp_path / f"{'漢' * 82}.mp4"  # 250 bytes of the 255
    with atomic_output(target) as temporary:
        temporary.write_text("whole")
    assert target.read_text() == "whole"


def _write_then(target, text, action, overwrite=True):
    with atomic_output(target, overwrite) as temporary:
        temporary.write_text(text)
        action()


def test_the_result_has_ordinary_permissions(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    with atomic_output(tmp_path / "result") as temporary:
        temporary.unlink()
        os.close(os.open(temporary, os.O_CREAT, 0o600))  # as libraries do that write aside
    mode = stat.S_IMODE((tmp_path / "result").stat().st_mode)
    assert mode == stat.S_IMODE(plain.stat().st_mode)


def test_an_existing_output_stays(tmp_path, clip):
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    with pytest.raises(MediaError, match=r"exists already .overwrite it .-y"):
        shift_audio(clip, target, audio_lag_s=0.1)
    assert target.read_text() == "precious"
    shift_audio(clip, target, audio_lag_s=0.1, overwrite=True)
    assert probe(target).video_tracks


def test_an_output_that_comes_up_meanwhile_stays(tmp_path):
    target = tmp_path / "out.txt"
    with pytest.raises(MediaError, match="exists already"):
        _write_then(target, "ours", lambda: target.write_text("theirs"), overwrite=False)
    assert target.read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_that_cannot_be_written_to(tmp_path, clip, monkeypatch):
    with pytest.raises(MediaError, match="does not exist"):
        shift_audio(clip, tmp_path / "none" / "out.mp4", audio_lag_s=0.1)
    with pytest.raises(MediaError, match="is a folder"):
        shift_audio(clip, _folder(tmp_path / "out.mp4"), audio_lag_s=0.1)

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("avalign.files.atomic.os.open", refuse)
    with pytest.raises(MediaError, match="not writable"):
        shift_audio(clip, tmp_path / "locked.mp4", audio_lag_s=0.1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder(tmp_path, clip):
    locked = _folder(tmp_path / "locked")
    locked.chmod(0o500)
    with pytest.raises(MediaError, match="not writable"):
        shift_audio(clip, locked / "out.mp4", audio_lag_s=0.1)
    locked.chmod(0o700)


def _folder(path):
    path.mkdir()
    return path


@pytest.mark.parametrize("when", [0.0, 0.4, 0.95])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_nothing_behind(tmp_path, clip, when, interruption):
    target = tmp_path / "out.mp4"
    target.write_text("precious")

    def interrupt(fraction):
        if fraction >= when:
            raise interruption

    with pytest.raises(interruption):
        shift_audio(clip, target, audio_lag_s=0.1, overwrite=True, progress=interrupt)
    assert target.read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
def test_a_full_disk_is_one_clear_error(tmp_path, suffix):
    source = make_clip(tmp_path / f"clip{suffix}", Recipe(size=(320, 240)))
    limit = source.stat().st_size // 2
    program = textwrap.dedent(
        f"""
        import resource, sys
        from avalign.errors import MediaError
        from avalign.media import shift_audio
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        try:
            shift_audio({str(source)!r}, {str(tmp_path / ("out" + suffix))!r}, audio_lag_s=0.1)
        except MediaError as error:
            print(error)
            sys.exit(error.exit_code)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert "disk is full" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_truncated_source_is_repaired_as_far_as_it_goes(tmp_path):
    source = make_clip(tmp_path / "clip.mkv")
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    output = tmp_path / "out.mkv"
    shift_audio(source, output, audio_lag_s=0.1)
    assert 10 < len(list(iter_frames(output))) < 75


def png(width, height):
    """Return a black picture of one bit a pixel."""

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 1)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def film(path, *pictures):
    """Write a film of pictures that are PNG files."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", 25, width=96, height=64, pix_fmt="gray")
        for number, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            out.mux(packet)
    return path


def test_pictures_too_large_for_any_memory_are_not_decoded(tmp_path):
    large = png(16_000, 16_000)
    path = film(tmp_path / "large.mov", large, large)
    with pytest.raises(MediaError, match="16000 x 16000 is too large, beyond 100 million pix"):
        next(iter_frames(path))
    # One that comes later is passed over as a damaged one is.
    small = png(96, 64)
    mixed = film(tmp_path / "mixed.mov", small, large, small)
    assert [frame.image.shape for frame in iter_frames(mixed)] == [(64, 96, 3)] * 2


WRITES = """
import gc, os, resource, signal, sys
from avalign.errors import MediaError
from avalign.media import shift_audio

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
gc.disable()
for limit in (20, 3000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        try:
            shift_audio(sys.argv[1], sys.argv[2], audio_lag_s=0.1)
        except MediaError as error:
            assert "the disk is full" in str(error), error
        else:
            raise AssertionError("it was written")
    print(len(os.listdir("/proc/self/fd")) - before)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts what Linux tells")
def test_writes_that_fail_leave_nothing_open(tmp_path, clip):
    done = subprocess.run(
        [sys.executable, "-c", WRITES, str(clip), str(tmp_path / "out.mp4")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["0", "0"]
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_name_with_a_colon_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_refused("talk:1.mp4", "no such file")
    assert_refused("x" * 300 + ".mp4", "no file has so long a name")


def test_an_encrypted_file_is_called_that(tmp_path):
    key = "00112233445566778899aabbccddeeff"
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": key}
    recipe = Recipe(container_options={**options, "encryption_kid": key})
    locked = make_clip(tmp_path / "locked.mp4", recipe)
    for read in (probe, read_audio):
        with pytest.raises(MediaError, match=r"is encrypted .*copy protection"):
            read(locked)


def test_a_lone_segment_wants_its_beginning(tmp_path):
    recipe = Recipe(container_options={"movflags": "frag_keyframe+empty_moov"})
    data = make_clip(tmp_path / "whole.mp4", recipe).read_bytes()
    segment = tmp_path / "1.m4s"
    segment.write_bytes(data[data.index(b"moof") - 4 :])
    assert_refused(segment, r"one segment of a stream.*init segment")
