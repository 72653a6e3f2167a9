"""`avalign align`: what is said and written, and what is refused."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from avalign_cli.main import main
from media import Recipe, make_clip, packet_hashes

from avalign.media import open_wav_writer, probe, read_audio

SAMPLE = Path(__file__).parents[1] / "samples" / "talking.mp4"
RATE = 16000


def write_wav(path, samples, rate=RATE):
    with open_wav_writer(path, sample_rate_hz=rate, layout="mono") as write:
        write(np.asarray(samples, np.float32)[None])
    return path


def warped(samples, wave_s=0.06):
    """The take of a speaker whose pace wanders by a tenth, 0.2 s late."""
    times_s = np.arange(-1.0, len(samples) / RATE + 1.0, 0.01)
    take_s = times_s + 0.2 + wave_s * np.sin(2 * np.pi * times_s / 4.0)
    wanted_s = np.arange(int((len(samples) / RATE + 0.2) * RATE)) / RATE
    places = np.interp(wanted_s, take_s, times_s) * RATE
    return np.interp(places, np.arange(len(samples)), samples, 0.0, 0.0)


@pytest.fixture(scope="module")
def samples():
    """The sample's sound from time 0 on."""
    audio = read_audio(SAMPLE)
    lead = np.zeros(max(0, round(audio.start_s * RATE)), np.float32)
    return np.concatenate([lead, audio.samples])


@pytest.fixture
def here(tmp_path, monkeypatch, samples):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scene.mp4").symlink_to(SAMPLE)
    write_wav(tmp_path / "take.wav", warped(samples))
    return tmp_path


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_take_is_brought_into_the_scenes_time(here, capsys, samples):
    before = hashlib.sha256((here / "take.wav").read_bytes()).hexdigest()
    assert main(["align", "scene.mp4", "take.wav", "--path-csv", "path.csv"]) == 0
    out, err = capsys.readouterr()
    assert "late against the sound of scene.mp4 (elastic, confidence 1.00)." in out
    assert "Wrote take.aligned.wav, residual" in out
    assert err == "Wrote path.csv\n"
    assert files(here) == ["path.csv", "scene.mp4", "take.aligned.wav", "take.wav"]
    assert hashlib.sha256((here / "take.wav").read_bytes()).hexdigest() == before

    made = read_audio("take.aligned.wav")
    scene_s = probe("scene.mp4").duration_s
    assert made.start_s == 0.0
    assert made.duration_s == pytest.approx(scene_s, abs=1e-3)
    # Its loudness goes up and down when the scene's does.
    size = RATE // 50
    levels = [
        np.log(np.abs(sound[: len(sound) // size * size]).reshape(-1, size).mean(1) + 1e-4)
        for sound in (samples[: len(made.samples)], made.samples[: len(samples)])
    ]
    assert np.corrcoef(*levels)[0, 1] > 0.95

    with open("path.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["reference_s", "other_s", "lag_ms"]
    middle = [float(row["lag_ms"]) for row in rows if 1 < float(row["reference_s"]) < 4]
    assert min(middle) == pytest.approx(200 - 60, abs=25)
    assert max(middle) == pytest.approx(200 + 60, abs=25)


@pytest.mark.slow
def test_a_video_gets_the_new_sound_and_keeps_its_pictures(here, capsys):
    assert main(["align", "scene.mp4", "take.wav", "-o", "dubbed.mov", "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    pictures = [hashes for _, hashes in packet_hashes(here / "scene.mp4")]
    assert [hashes for _, hashes in packet_hashes(here / "dubbed.mov")] == pictures
    (track,) = probe("dubbed.mov").audio_tracks
    assert track.codec == "pcm_s24le"
    assert files(here) == ["dubbed.mov", "scene.mp4", "take.wav"]


def test_json_is_the_only_thing_on_stdout(here, capsys):
    assert main(["align", "scene.mp4", "take.wav", "--json", "-n", "--model", "rigid"]) == 0
    out, err = capsys.readouterr()
    value = json.loads(out)
    assert err == ""
    assert value["schema"] == 1
    assert value["status"] == "ok"
    assert value["model"] == "rigid"
    assert value["output"] is None
    assert value["lag_ms"] == pytest.approx(200, abs=70)
    assert value["pace_range"] == [1.0, 1.0]
    assert files(here) == ["scene.mp4", "take.wav"]


def test_a_plot_is_drawn(here, capsys):
    from matplotlib.image import imread

    assert main(["align", "scene.mp4", "take.wav", "-n", "--plot", "path.png"]) == 0
    out, err = capsys.readouterr()
    assert "Would write take.aligned.wav." in out
    assert err == "Drew path.png\n"
    assert imread("path.png").shape[:2] == (840, 1350)


def test_the_same_file_twice_is_in_time_with_itself(here, capsys):
    assert main(["align", "take.wav", "take.wav", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["model"], value["lag_ms"], value["residual_ms"]) == ("rigid", 0.0, 0.0)
    given, made = (read_audio(name).samples for name in ("take.wav", "take.aligned.wav"))
    assert np.array_equal(given, made)  # nothing was done to the samples


def test_other_words_give_no_answer(here, capsys, samples):
    write_wav(here / "other.wav", samples[::-1])
    arguments = ["align", "scene.mp4", "other.wav", "--json", "--plot", "path.png"]
    assert main(arguments) == 4
    value = json.loads(capsys.readouterr().out)
    assert value["status"] == "no_answer"
    assert value["reason"] == "the recordings have no words in common"
    assert value["confidence"] < 0.7
    assert files(here) == ["other.wav", "path.png", "scene.mp4", "take.wav"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [("silence.wav", "is silent"), ("short.wav", "less than 1 s"), ("mute.mp4", "no sound")],
)
def test_sound_that_is_none_gives_no_answer(here, capsys, samples, other, reason):
    write_wav(here / "silence.wav", np.zeros(3 * RATE))
    write_wav(here / "short.wav", samples[RATE : RATE + 8000])
    make_clip(here / "mute.mp4", Recipe(), sound=False)
    assert main(["align", "scene.mp4", other]) == 4
    out, _ = capsys.readouterr()
    assert reason in out
    assert not list(here.glob("*.aligned.wav"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["scene.mp4", "missing.wav"], 3, "missing.wav: no such file"),
        (["scene.mp4", "notes.txt"], 3, "not a media file"),
        (["scene.mp4", "take.wav", "-o", "taken.wav"], 3, "exists already"),
        (["scene.mp4", "take.wav", "-o", "no/where.wav"], 3, "does not exist"),
        (["scene.mp4", "take.wav", "-o", "scene.mp4", "-y"], 2, "is the input"),
        (["scene.mp4", "take.wav", "-o", "take.wav", "-y"], 2, "is the input"),
        (["scene.mp4", "take.wav", "-o", "sound.ogg"], 2, "cannot write a video"),
        (["scene.mp4", "take.wav", "-o", "sound.mp3"], 2, "or .wav for the sound alone"),
        (["take.wav", "scene.mp4", "-o", "video.mp4"], 4, "no picture"),
        (["scene.mp4", "take.wav", "--plot", "taken.wav"], 2, ".png"),
        (["scene.mp4", "take.wav", "--other-track", "1", "-n"], 2, "no sound track 1"),
        (["scene.mp4", "take.wav", "--band", "0", "-n"], 2, "a band of 0 s"),
        (["scene.mp4", "take.wav", "--to", "ears"], 2, "ears"),
        (["scene.mp4", "take.wav", "--model", "free"], 2, "free"),
    ],
)
def test_what_cannot_be_done_is_refused_and_writes_nothing(
    here, capsys, arguments, code, words
):
    (here / "notes.txt").write_text("no sound")
    (here / "taken.wav").write_bytes(b"mine")
    before = files(here)
    assert main(["align", *arguments]) == code
    _, err = capsys.readouterr()
    assert words in err
    assert err.startswith("avalign: ")
    assert files(here) == before
    assert (here / "taken.wav").read_bytes() == b"mine"


def test_lips_need_a_picture(here, capsys):
    assert main(["align", "take.wav", "scene.mp4", "--to", "lips", "-n"]) == 4
    assert "no picture" in capsys.readouterr().out


@pytest.mark.slow
def test_a_take_is_brought_to_the_lips(here, capsys):
    assert main(["align", "scene.mp4", "take.wav", "--to", "lips", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["to"] == "lips"
    low_ms, high_ms = value["lag_range_ms"]
    assert 100 < low_ms < high_ms < 300
    assert (here / "take.aligned.wav").exists()


def test_help_names_every_option_with_examples(capsys):
    assert main(["align", "--help"]) == 0
    out = capsys.readouterr().out
    for option in ("--to", "--model", "--band", "--path-csv", "--plot", "--json", "-n", "-y"):
        assert option in out
    assert "Examples:" in out
    assert "Exit codes:" in out
