"""Streams on disk come back equal, and a hostile file is refused in one clear line."""

import io
import json
import os
import tracemalloc
import zipfile
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avalign.errors import MediaError, ParameterError
from avalign.streams import files as module
from avalign.streams.files import load_streams, save_streams
from avalign.types import ClipStreams, FeatureStream, LipStream


def clock(n, start=0.0, step=0.01):
    return start + step * np.arange(n)


def feature(n, columns, kind, seed=0, times_s=None):
    values = np.random.default_rng(seed).random((n, columns), np.float32)
    times_s = clock(n) if times_s is None else times_s
    return FeatureStream(values, times_s, np.ones(n, bool), kind)


def lip_stream(n, track_id=0, seed=1):
    random = np.random.default_rng(seed)
    valid = random.random(n) > 0.2
    landmarks = random.random((n, 41, 3), np.float32)
    landmarks[~valid] = np.nan
    return LipStream(
        random.random((n, 123), np.float32),
        clock(n, 0.033, 0.04),
        valid,
        "lips",
        landmarks=landmarks,
        head_pose=random.random((n, 3), np.float32),
        boxes=random.random((n, 4), np.float32),
        track_id=track_id,
        picture_size=(640, 360),
    )


def clip(n=20, faces=1):
    return ClipStreams(
        mfcc=feature(n, 13, "mfcc"),
        speech=feature(n, 1, "speech"),
        lips=tuple(lip_stream(n // 2, i, i) for i in range(faces)),
        source="talk \u00e9\n.mp4",
        duration_s=1 / 3,
        frame_rate=30000 / 1001,
    )


def assert_equal(one, two):
    assert type(one) is type(two)
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert a.tobytes() == b.tobytes()
        elif isinstance(a, FeatureStream):
            assert_equal(a, b)
        elif field.name == "lips":
            assert len(a) == len(b)
            for face, other in zip(a, b, strict=True):
                assert_equal(face, other)
        else:
            assert a == b
            assert type(a) is type(b)


@pytest.mark.parametrize(("n", "faces"), [(20, 0), (20, 1), (31, 3), (2, 1), (0, 0), (0, 1)])
def test_round_trip(tmp_path, n, faces):
    save_streams(clip(n, faces), tmp_path / "s.npz")
    assert_equal(load_streams(tmp_path / "s.npz"), clip(n, faces))


floats = {
    "f4": st.floats(-1e6, 1e6, width=32),
    "f8": st.floats(allow_nan=False, allow_infinity=False),
}


@st.composite
def feature_streams(draw, kind, columns, times_s):
    n = len(times_s)
    values = draw(hnp.arrays(np.float32, (n, columns), elements=floats["f4"]))
    valid = draw(hnp.arrays(np.bool_, n))
    values[~valid] = draw(st.sampled_from([0.0, -0.0, np.nan, np.inf]))
    return FeatureStream(values, times_s, valid, kind)


@st.composite
def clips(draw):
    start_s = draw(floats["f8"].filter(lambda start: abs(start) < 1e300))
    rows = st.lists(st.integers(0, 40_000), max_size=8, unique=True).map(sorted)
    times = rows.map(lambda numbers: [start_s + number for number in numbers]).filter(
        lambda clock: len(set(clock)) == len(clock)
    )
    audio_s, lips_s = (np.array(draw(times), np.float64) for _ in range(2))
    lips = draw(feature_streams("lips", 123, lips_s))
    rest = {
        name: draw(
            hnp.arrays(
                np.float32,
                (len(lips_s), *shape),
                elements=floats["f4"],
                fill=st.just(np.float32("nan")),
            )
        )
        for name, shape in (("landmarks", (41, 3)), ("head_pose", (3,)), ("boxes", (4,)))
    }
    face = LipStream(
        lips.values,
        lips.times_s,
        lips.valid,
        "lips",
        **rest,
        track_id=draw(st.integers(0, 99)),
        picture_size=draw(st.tuples(*2 * [st.integers(1, 10_000)])),
    )
    positive = st.floats(0, allow_nan=False, allow_infinity=False)
    return ClipStreams(
        mfcc=draw(feature_streams("mfcc", draw(st.integers(1, 4)), audio_s)),
        speech=draw(feature_streams("speech", 1, audio_s)),
        lips=draw(st.sampled_from([(), (face,), (face, face)])),
        source=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=9)),
        duration_s=draw(positive),
        frame_rate=draw(positive),
    )


@pytest.mark.slow
@settings(max_examples=40)
@given(streams=clips())
def test_any_streams_come_back_bit_for_bit(streams, tmp_path_factory):
    path = tmp_path_factory.mktemp("streams") / "s.npz"
    save_streams(streams, path)
    assert_equal(load_streams(path), streams)


def test_layout_in_memory_does_not_matter(tmp_path):
    streams = clip()
    values = np.asfortranarray(streams.mfcc.values)
    save_streams(
        replace(streams, mfcc=replace(streams.mfcc, values=values)), tmp_path / "s.npz"
    )
    assert_equal(load_streams(tmp_path / "s.npz"), streams)


def test_same_streams_same_bytes_and_numpy_reads_them(tmp_path):
    for name in "ab":
        save_streams(clip(), tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert np.array_equal(archive["mfcc.values"], clip().mfcc.values)
        header = json.loads(archive["header"].tobytes())
    assert header["format"] == "avalign-streams"
    assert header["version"] == 1


def test_nothing_is_overwritten_unless_asked(tmp_path):
    path = tmp_path / "s.npz"
    path.write_bytes(b"precious")
    with pytest.raises(MediaError, match="exists"):
        save_streams(clip(), path)
    assert path.read_bytes() == b"precious"
    save_streams(clip(), path, overwrite=True)
    assert_equal(load_streams(path), clip())
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]


def with_mfcc(**changes):
    return replace(clip(), mfcc=replace(clip().mfcc, **changes))


def with_face(**changes):
    return replace(clip(), lips=(replace(clip().lips[0], **changes),))


def nan_in_a_valid_row():
    values = clip().mfcc.values.copy()
    values[3] = np.nan
    return with_mfcc(values=values)


CONTRADICTIONS = {
    "doubles": (lambda: with_mfcc(values=np.zeros((20, 13))), "mfcc: values has the type <f8"),
    "one axis": (lambda: with_mfcc(values=np.zeros(20, np.float32)), r"shape \(20,\)"),
    "too few rows": (
        lambda: with_mfcc(valid=np.ones(19, bool)),
        r"valid has the shape \(19,\)",
    ),
    "two days": (lambda: with_mfcc(times_s=np.linspace(0, 172_800, 20)), "24 hours"),
    "time stands": (lambda: with_mfcc(times_s=np.zeros(20)), "does not increase"),
    "time is nan": (lambda: with_mfcc(times_s=clock(20) * np.nan), "not finite"),
    "time ends": (lambda: with_mfcc(times_s=np.r_[clock(19), np.inf]), "not finite"),
    "nan": (nan_in_a_valid_row, "mfcc: values is not finite"),
    "huge": (lambda: with_face(landmarks=np.full((10, 41, 3), 1e20, "f4")), "beyond 1e"),
    "kind": (lambda: with_mfcc(kind="log_mel"), "kind is 'log_mel'"),
    "clock of speech": (
        lambda: with_mfcc(times_s=clock(20, 1)),
        "speech: .* not those of mfcc",
    ),
    "speech columns": (lambda: replace(clip(), speech=feature(20, 2, "speech")), r"\(20, 2\)"),
    "lip columns": (lambda: with_face(values=np.zeros((10, 122), np.float32)), r"lips\.0"),
    "landmarks": (lambda: with_face(landmarks=np.zeros((10, 40, 3), np.float32)), "landmarks"),
    "track": (lambda: with_face(track_id=-1), "track_id is -1"),
    "picture": (lambda: with_face(picture_size=(640, 0)), r"picture_size is \(640, 0\)"),
    "duration": (lambda: replace(clip(), duration_s=float("nan")), "duration_s is nan"),
    "rate": (lambda: replace(clip(), frame_rate=-25.0), "frame_rate is -25.0"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, name):
    make, words = CONTRADICTIONS[name]
    with pytest.raises(ParameterError, match=words):
        save_streams(make(), tmp_path / "s.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_in_a_file_are_refused(tmp_path, monkeypatch, name):
    make, words = CONTRADICTIONS[name]
    with monkeypatch.context() as patch:  # a program that does not check
        patch.setattr(module, "_fault", lambda streams: None)
        save_streams(make(), tmp_path / "s.npz")
    if name == "kind":  # not on disk: it follows from the name
        assert load_streams(tmp_path / "s.npz").mfcc.kind == "mfcc"
        return
    if name == "duration":
        words = "NaN is no number"
    refused(tmp_path / "s.npz", words.replace("mfcc: values has", "has"))


def refused(path, words=None):
    with pytest.raises(MediaError, match=words) as caught:
        load_streams(path)
    assert path.name in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 3


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


def npy_header(text, data=b""):
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


def members(tmp_path):
    save_streams(clip(), tmp_path / "good.npz")
    with zipfile.ZipFile(tmp_path / "good.npz") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, contents):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


FACE = {"track_id": 0, "picture_size": [640, 360]}


def header(**changes):
    good = {
        "format": "avalign-streams",
        "version": 1,
        "source": "a.mp4",
        "duration_s": 1.0,
        "frame_rate": 25.0,
        "lips": [FACE],
    }
    return npy(np.frombuffer(json.dumps(good | changes).encode(), np.uint8))


HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 13), }"
PAIR = "{'descr': '<f4', 'fortran_order': False, 'shape': (-20, -13), }"
HOSTILE = {
    "object array": ("mfcc.values", npy(np.array([{}], object), allow_pickle=True), r"\|O"),
    "pickle instead": ("mfcc.values", b"\x80\x04N.", "no array"),
    "empty member": ("mfcc.values", b"", "no array"),
    "huge shape": ("mfcc.values", npy_header(HUGE), "shorter or longer"),
    "negative shape": ("mfcc.values", npy_header(HUGE.replace("46", "-46")), "mfcc.values"),
    "two negatives": ("mfcc.values", npy_header(PAIR, bytes(1040)), "shorter or longer"),
    "long header": ("mfcc.values", npy_header(HUGE + 11000 * " "), r"large[^\n]*$"),
    "open bracket": ("mfcc.values", npy_header("{'descr': ("), "no array"),
    "npy version 2": ("mfcc.values", npy(np.zeros((20, 13), "f4"), version=(2, 0)), "no array"),
    "code in header": ("mfcc.values", npy_header("__import__('os').abort()"), "no array"),
    "swapped bytes": ("mfcc.times_s", npy(clock(20).astype(">f8")), ">f8"),
    "fortran order": ("mfcc.values", npy(np.asfortranarray(clip().mfcc.values)), "mfcc.values"),
    "records": ("mfcc.values", npy(np.zeros(3, [("a", "<f4")])), "mfcc.values"),
    "header is text": ("header", npy(np.array("{}")), "header"),
    "header is no JSON": (
        "header",
        npy(np.frombuffer(b"{", np.uint8)),
        "its header cannot be read",
    ),
    "deep JSON": (
        "header",
        npy(np.frombuffer(b"[" * 99_999, np.uint8)),
        "its header cannot be read",
    ),
    "not a dict": ("header", npy(np.frombuffer(b"[]", np.uint8)), "format"),
    "other format": ("header", header(format="other"), "format"),
    "version 2": ("header", header(version=2), "version 2"),
    "no source": ("header", header(source=None), "source is None"),
    "lips no list": ("header", header(lips=3), "header"),
    "lips of text": ("header", header(lips="ab"), "header"),
    "face without size": ("header", header(lips=[{"track_id": 0}]), "picture_size"),
    "size is a number": ("header", header(lips=[{"track_id": 0, "picture_size": 3}]), "header"),
    "size of three": (
        "header",
        header(lips=[{"track_id": 0, "picture_size": [1, 1, 1]}]),
        "size",
    ),
    "duration is text": ("header", header(duration_s="1"), "duration_s is '1'"),
    "face more than there is": ("header", header(lips=2 * [FACE]), "no 'lips.1.values'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_members_are_refused(tmp_path, name):
    member, data, words = HOSTILE[name]
    write(tmp_path / "bad.npz", members(tmp_path) | {f"{member}.npy": data})
    refused(tmp_path / "bad.npz", words)


def test_every_missing_member_is_named(tmp_path):
    good = members(tmp_path)
    for name in good:
        path = tmp_path / "bad.npz"
        write(path, {n: data for n, data in good.items() if n != name})
        refused(path, f"holds no '{name.removesuffix('.npy')}'")


def test_another_program_s_archive(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    refused(tmp_path / "other.npz", "no streams file")


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04" + bytes(60), bytes(5000)])
def test_no_archive_at_all(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    refused(tmp_path / "bad.npz", "no streams file")


def test_a_name_that_is_not_the_utf8_it_says(tmp_path):
    members(tmp_path)
    data = bytearray((tmp_path / "good.npz").read_bytes())
    end = data.rfind(b"PK\5\6")
    first = int.from_bytes(data[end + 16 : end + 20], "little")  # entry of the directory
    data[first + 9] |= 8  # says UTF-8
    data[first + 46] = 0xFF
    (tmp_path / "bad.npz").write_bytes(data)
    refused(tmp_path / "bad.npz")


def test_truncated_or_altered_anywhere(tmp_path):
    members(tmp_path)
    good = (tmp_path / "good.npz").read_bytes()
    path = tmp_path / "bad.npz"
    for end in range(0, len(good) - 1, len(good) // 40):
        path.write_bytes(good[:end])
        refused(path)
    for at in range(0, len(good), len(good) // 60):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        try:
            loaded = load_streams(path)
        except MediaError:
            continue
        assert_equal(loaded, clip())  # a byte that means nothing, such as a date


def test_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    write(tmp_path / "bomb.npz", {"header.npy": bytes(3_000_000)})
    assert (tmp_path / "bomb.npz").stat().st_size < 10_000
    monkeypatch.setattr(module, "MAX_BYTES", 2_000_000)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    refused(tmp_path / "bomb.npz", "would unpack to 3 MiB")


def test_a_width_of_nonsense_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "wide.npz"
    files = members(tmp_path)
    files["mfcc.values.npy"] = npy(np.zeros((20, 400_000), np.float32))
    write(path, files)
    tracemalloc.start()
    refused(path, r"'mfcc.values' has the shape \(20, 400000\)")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_bomb_that_lies_about_its_size_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    write(path, {"header.npy": bytes(3_000_000)})
    size = (3_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (1_000).to_bytes(4, "little")))
    monkeypatch.setattr(module, "MAX_BYTES", 2_000_000)
    refused(path, "no array")


def test_encrypted_member_is_refused(tmp_path):
    write(tmp_path / "bad.npz", members(tmp_path))
    data = bytearray((tmp_path / "bad.npz").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    data[data.index(b"PK\x03\x04") + 6] |= 1
    (tmp_path / "bad.npz").write_bytes(data)
    refused(tmp_path / "bad.npz", "damaged")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings_are_refused(tmp_path, packing):
    contents = members(tmp_path)
    with zipfile.ZipFile(tmp_path / "bad.npz", "w", packing) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    refused(tmp_path / "bad.npz", "packed")


def test_what_is_no_file_to_read(tmp_path):
    refused(tmp_path / "none.npz", "no such file")
    refused(tmp_path, "is a folder")
    (tmp_path / "empty.npz").touch()
    refused(tmp_path / "empty.npz", "is empty")
    os.mkfifo(tmp_path / "pipe.npz")  # opening it would wait for a writer
    refused(tmp_path / "pipe.npz", "not a regular file")
