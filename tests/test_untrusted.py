"""Files of strangers: numbers beyond all bounds, half characters, pipes and devices."""

import io
import json
import os
import re
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from avalign_cli.main import main
from planted import lips
from test_outputs import streams

from avalign import load_streams
from avalign.align import load_calibration
from avalign.align.confidence import SHIPPED_CALIBRATION
from avalign.data.clips import load_clip
from avalign.errors import MediaError
from avalign.files.untrusted import parse_json, read_json
from avalign.space.model import SHIPPED_WEIGHTS, load_model
from avalign.streams.files import save_streams
from avalign.transcript import read_transcript


def with_a_face():
    return replace(streams(), lips=(lips(),))


BIG = "1" + "0" * 400


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'{{"a": {BIG}}}', "out of range"),
        ("[9223372036854775808]", "out of range"),
        ("[-1e999]", "out of range"),
        ("[" + "9" * 5000 + "]", "out of range"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        (r'["\ud800"]', "half a character"),
        (r'{"\udfff": 1}', "half a character"),
        ('{"a": 1, "a": 2}', "more than once"),
        ("[" * 99_999, "levels deep"),
        ('{"a":' * 70 + "1" + "}" * 70, "levels deep"),
        (b'"\xff"', "UTF-8"),
        ("[", "Expecting"),
        ("", "Expecting"),
    ],
)
def test_json_of_strangers_is_refused_in_words(text, words):
    with pytest.raises(ValueError, match=words) as caught:
        parse_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    str(caught.value).encode()


def test_json_within_bounds_is_read():
    text = '{"a": [9223372036854775807, 1e308, -0.5, null, true], "\\u00e9": "\\ud83d\\ude00"}'
    assert parse_json(text) == {"a": [2**63 - 1, 1e308, -0.5, None, True], "é": "😀"}
    assert parse_json("[Infinity]", infinite=True) == [np.inf]
    assert parse_json(r'["\udcff"]', file_names=True) == ["\udcff"]
    with pytest.raises(ValueError, match="half a character"):
        parse_json(r'["\ud800"]', file_names=True)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (BIG, "out of range"),
        ("1e300", "out of range"),
        ("NaN", "no number"),
        ('"1"', "no number"),
        ("true", "no number"),
        ("null", "no number"),
    ],
)
def test_a_calibration_with_odd_numbers_is_refused(tmp_path, value, words):
    fields = json.loads(SHIPPED_CALIBRATION.read_text())
    fields["lag_intercept"] = "HERE"
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(fields).replace('"HERE"', value))
    with pytest.raises(MediaError, match=words) as caught:
        load_calibration(path)
    assert str(path) in caught.value.message
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("number", [-1e6, 1e6])
def test_a_calibration_at_its_bounds_gives_a_probability(tmp_path, number):
    fields = dict.fromkeys(json.loads(SHIPPED_CALIBRATION.read_text()), number)
    fields |= {"interval_scale": 1.0, "smallest_half_width_s": 0.01}
    path = tmp_path / f"{number}.json"
    path.write_text(json.dumps(fields))
    for odds in (-50.0, 0.0, 50.0):
        assert 0.0 <= load_calibration(path).confidence(0.5, odds, 3.0) <= 1.0


def header_of(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


@pytest.mark.parametrize("value", ["Infinity", "1e999", BIG, "NaN", r'"\ud800"', "[]", "null"])
@pytest.mark.parametrize("name", ["rate_hz", "zero_lag_s", "audio"])
def test_weights_with_odd_settings_are_refused(tmp_path, name, value):
    header, arrays = header_of(SHIPPED_WEIGHTS)
    settings = json.loads(header["__metadata__"]["settings"])
    settings[name] = "HERE"
    text = json.dumps(settings).replace('"HERE"', value)
    header["__metadata__"]["settings"] = text
    written = json.dumps(header).encode()
    written += b" " * (-len(written) % 8)
    path = tmp_path / "space.safetensors"
    path.write_bytes(struct.pack("<Q", len(written)) + written + arrays)
    with pytest.raises(MediaError, match=r"space.safetensors: the weights' settings"):
        load_model(path)


@pytest.mark.parametrize("field", ["duration_s", "frame_rate", "track_id", "picture_size"])
@pytest.mark.parametrize("value", [BIG, "1e999", "NaN", "-1", r'"\ud800"', "[[]]"])
def test_streams_with_odd_numbers_end_in_one_line(tmp_path, capsys, field, value):
    save_streams(with_a_face(), tmp_path / "good.npz")
    path = tmp_path / "odd.npz"
    with zipfile.ZipFile(tmp_path / "good.npz") as good, zipfile.ZipFile(path, "w") as odd:
        for name in good.namelist():
            data = good.read(name)
            if name == "header.npy":
                text = bytes(np.load(io.BytesIO(data)))
                changed = re.sub(
                    rf'("{field}": )(\[[^]]*\]|[^,}}]*)'.encode(), rb"\1HERE", text
                )
                assert changed != text
                buffer = io.BytesIO()
                text = changed.replace(b"HERE", value.encode())
                np.save(buffer, np.frombuffer(text, np.uint8))
                data = buffer.getvalue()
            odd.writestr(name, data)
    assert main(["check", str(path)]) == 3
    out, err = capsys.readouterr()
    assert len((out + err).strip().splitlines()) == 1
    assert "odd.npz" in out + err


def _recogniser(path):
    pytest.importorskip("torch")
    from avalign.recognition.model.files import load_model

    load_model(path.parent)


def _limits(path):
    pytest.importorskip("torch")
    from avalign.recognition.evaluation.limits import read_calibration

    read_calibration(path.parent)


READERS = {
    "calibration.json": load_calibration,
    "space.safetensors": load_model,
    "streams.npz": load_streams,
    "words.srt": read_transcript,
    "words.align": read_transcript,
    "clip.mp4": load_clip,
    "any.json": lambda path: read_json(path, largest_bytes=2**20),
    "model.json": _recogniser,
    "limits/calibration.json": _limits,
}


@pytest.mark.parametrize("name", READERS)
def test_pipes_and_endless_devices_are_refused_at_once(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        make(path)
        with pytest.raises(MediaError, match="not a regular file"):
            READERS[name](path)
        path.unlink()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.align", f"0 {BIG} bin\n"),
        ("a.align", "0 1e999 bin\n"),
        ("a.align", "0 \0 bin\n"),
        ("a.srt", f"1\n{BIG}:00:00,000 --> 00:00:01,000\nbin\n"),
        ("a.srt", "1\n00:00:00,000 --> 00:00:01,000\nb\0in\n"),
        ("a.vtt", "WEBVTT\n"),
    ],
)
def test_transcripts_with_odd_numbers_are_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises((MediaError, ValueError), match=name) as caught:
        read_transcript(tmp_path / name)
    assert "\n" not in str(caught.value)
