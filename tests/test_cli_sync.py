"""`avalign sync` and `avalign extract`, with a planted aligner: what is said and written."""

import hashlib
import json
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import planted
import pytest
from avalign_cli.main import main
from avalign_cli.ui import Screen
from media import make_clip
from planted import late, plant

from avalign.errors import MediaError
from avalign.media import probe


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, with a face in every clip."""
    plant(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_late_clip_in_one_line(here, capsys):
    clip = late(here / "talk.mp4", 0.2)
    before = digest(clip)
    assert main(["sync", "talk.mp4"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("talk.mp4: audio is 2")
    assert "Viewers object (ITU-R BT.1359: 185 ms). Wrote talk.synced.mp4, residual" in out
    assert len(out.splitlines()) == 1
    assert err == ""
    assert digest(clip) == before


def test_json_is_the_only_thing_on_stdout(here, capsys):
    late(here / "talk.mp4", 0.2)
    assert main(["sync", "talk.mp4", "--json", "-v"]) == 0
    out, err = capsys.readouterr()
    value = json.loads(out)
    assert (value["output"], value["planned"]) == ("talk.synced.mp4", None)
    assert abs(value["residual_ms"]) <= 20
    assert "mediapipe" in err


def test_a_dry_run_says_what_it_would_do(here, capsys):
    late(here / "talk.mp4", 0.2)
    assert main(["sync", "talk.mp4", "-n"]) == 0
    assert "Would write talk.synced.mp4." in capsys.readouterr().out
    assert main(["sync", "talk.mp4", "-n", "-o", "x.mov"]) == 0
    assert "Would write x.mov." in capsys.readouterr().out
    assert main(["sync", "talk.mp4", "-n", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["planned"], value["output"]) == ("talk.synced.mp4", None)
    assert [path.name for path in here.iterdir()] == ["talk.mp4"]


def test_quiet_is_quiet(here, capsys):
    late(here / "talk.mp4", 0.2)
    assert main(["sync", "talk.mp4", "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert (here / "talk.synced.mp4").exists()


def test_another_container_can_be_written(here, capsys):
    late(here / "talk.mp4", 0.2)
    assert main(["sync", "talk.mp4", "-o", "fixed.mkv"]) == 0
    assert "matroska" in probe(here / "fixed.mkv").format_name


def test_reencoding_is_said(here, capsys):
    late(here / "talk.avi", 0.2)
    assert main(["sync", "talk.avi"]) == 0
    assert "encoded again" in capsys.readouterr().out
    assert main(["sync", "talk.avi", "-y", "--json"]) == 0
    assert "encoded again" in capsys.readouterr().err


def test_an_existing_output_is_kept_unless_y(here, capsys):
    late(here / "talk.mp4", 0.2)
    (here / "talk.synced.mp4").write_text("mine")
    assert main(["sync", "talk.mp4"]) == 3
    assert "exists already" in capsys.readouterr().err
    assert (here / "talk.synced.mp4").read_text() == "mine"
    assert main(["sync", "talk.mp4", "-y"]) == 0
    assert probe(here / "talk.synced.mp4").audio_tracks


def test_no_answer_exits_4_and_force_overrules(here, capsys, monkeypatch):
    late(here / "talk.mp4", 0.2)
    doubtful = planted.answer(0.2, reason="too short", confidence=0.3)
    plant(monkeypatch, lambda streams, **_: doubtful)
    assert main(["sync", "talk.mp4"]) == 4
    assert "no reliable answer: too short." in capsys.readouterr().out
    assert not (here / "talk.synced.mp4").exists()
    assert main(["sync", "talk.mp4", "--force"]) == 0
    assert "Forced, although: too short. Wrote talk.synced.mp4" in capsys.readouterr().out


def test_a_repair_that_fails_keeps_the_measured_lag(here, capsys, monkeypatch):
    def fail(*arguments, **settings):
        raise MediaError("talk.synced.mp4: not written, the disk is full")

    monkeypatch.setattr("avalign.media.shift_audio", fail)
    late(here / "talk.mp4", 0.2)
    assert main(["sync", "talk.mp4", "--json"]) == 3
    out, err = capsys.readouterr()
    value = json.loads(out)
    assert value["status"] == "error"
    assert value["audio_lag_ms"] == pytest.approx(200, abs=25)
    assert "disk is full" in value["reason"]
    assert err.startswith("avalign: talk.synced.mp4")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sync", "talk.mp4", "-o", "talk.xyz"], "cannot write a video with the ending '.xyz'"),
        (["sync", "talk.mp4", "-o", "talk.avi"], ".avi is written only from .avi"),
        (["sync", "talk.mp4", "-n", "-o", "talk.mxf"], "cannot write a video with the ending"),
        (["sync", "talk.mp4", "-n", "--plot", "lag.jpg"], "needs the ending .png"),
        (["sync", "talk.mp4", "-n", "--overlay", "lips.mkv"], "needs the ending .mp4"),
        (["sync", "talk.mp4", "-o", "x.mp4", "--overlay", "x.mp4"], "the repaired video"),
        (["sync", "talk.mp4", "--audio", "x.wav", "-y", "-o", "x.wav"], "is the input"),
        (["sync", "talk.npz"], "no video to repair"),
        (["extract", "talk.mp4", "-o", "talk.json"], "needs the ending .npz"),
    ],
)
def test_outputs_that_make_no_sense_are_told_before_measuring(
    arguments, words, here, capsys, monkeypatch
):
    late(here / "talk.mp4", 0.2)
    for name in ("talk.npz", "x.wav"):
        (here / name).write_text("never read")
    before = sorted(here.iterdir())

    def fail(*arguments, **settings):
        raise AssertionError("measured all the same")

    monkeypatch.setattr("avalign.verbs.repairing.measure", fail)
    monkeypatch.setattr("avalign.streams.extract", fail)
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
    assert sorted(here.iterdir()) == before


def test_the_overlay_has_the_sound_that_was_measured(here, monkeypatch):
    seen = {}
    monkeypatch.setattr("avalign.plots.write_overlay", lambda *_, **given: seen.update(given))
    late(here / "talk.mp4", 0.2)
    planted.make_clip(here / "sound.mka", picture=False)
    assert main(["sync", "-n", "talk.mp4", "--audio", "sound.mka", "--overlay", "x.mp4"]) == 0
    assert (seen["audio"], seen["audio_track"]) == (Path("sound.mka"), 0)


def test_streams_stand_in_for_the_video(here, capsys):
    late(here / "talk.mp4", 0.2)
    assert main(["extract", "talk.mp4"]) == 0
    assert capsys.readouterr().out == "talk.mp4: 3.0 s, 1 face. Wrote talk.npz.\n"
    assert main(["extract", "talk.mp4"]) == 3
    assert main(["extract", "talk.mp4", "-y", "-o", "talk.npz"]) == 0
    capsys.readouterr()
    assert main(["sync", "-n", "talk.npz"]) == 0
    out = capsys.readouterr().out
    assert "audio is 2" in out
    assert "Would write" not in out
    assert main(["check", "talk.npz"]) == 1
    capsys.readouterr()
    assert main(["sync", "talk.npz", "-n", "--overlay", "lips.mp4"]) == 2
    assert "no video to draw on" in capsys.readouterr().err
    assert main(["sync", "talk.npz"]) == 2
    assert "no video to repair" in capsys.readouterr().err


def interrupt(done):
    raise KeyboardInterrupt


def terminate(done):
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [(interrupt, 130, "interrupted"), (terminate, 143, "ended from outside")],
)
def test_who_ends_it_while_it_writes_finds_no_file(end, code, words, here, capsys, monkeypatch):
    clip = late(here / "talk.mp4", 0.2)
    before = digest(clip)

    @contextmanager
    def progress(self, label, total=1.0):
        yield end if label.startswith("Writing") else lambda done: None

    monkeypatch.setattr(Screen, "progress", progress)
    assert main(["sync", "talk.mp4"]) == code
    assert capsys.readouterr().err == f"avalign: {words}\n"
    assert [path.name for path in here.iterdir()] == ["talk.mp4"]
    assert digest(clip) == before
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_drawing_that_cannot_be_made_is_told(here, capsys):
    make_clip(here / "silent.mp4", sound=False)
    assert main(["sync", "silent.mp4", "--plot", "lag.png"]) == 4
    assert "lag.png was not drawn" in capsys.readouterr().err
    assert not (here / "lag.png").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [("talk", "has no ending"), ("x" * 248 + ".mp4", "to write is too long")],
)
def test_a_default_name_that_cannot_be_is_told_before_measuring(
    tmp_path, capsys, monkeypatch, name, words
):
    source = Path(__file__).parents[1] / "samples" / "talking.mp4"
    (tmp_path / name).write_bytes(source.read_bytes())
    monkeypatch.setattr(
        "avalign.verbs.repairing.measure", lambda *_, **__: pytest.fail("measured")
    )
    assert main(["sync", str(tmp_path / name)]) in (2, 3)
    told = capsys.readouterr().err
    assert words in told
    assert "-o" in told
