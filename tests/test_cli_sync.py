"""`avalign sync` and `avalign extract`, with a planted aligner: what is said and written."""

import hashlib
import json
from contextlib import contextmanager

import planted
import pytest
from avalign_cli.main import main
from avalign_cli.ui import Screen
from planted import late, plant

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
    assert value["output"] == "talk.synced.mp4"
    assert abs(value["residual_ms"]) <= 20
    assert "mediapipe" in err


def test_a_dry_run_says_what_it_would_do(here, capsys):
    late(here / "talk.mp4", 0.2)
    assert main(["sync", "talk.mp4", "-n"]) == 0
    assert "Would write talk.synced.mp4." in capsys.readouterr().out
    assert main(["sync", "talk.mp4", "-n", "-o", "x.mov"]) == 0
    assert "Would write x.mov." in capsys.readouterr().out
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


def test_a_repair_that_fails_keeps_the_measured_lag(here, capsys):
    late(here / "talk.mp4", 0.2)
    assert main(["sync", "talk.mp4", "--json", "-o", "talk.xyz"]) == 2
    out, err = capsys.readouterr()
    value = json.loads(out)
    assert value["status"] == "error"
    assert value["audio_lag_ms"] == pytest.approx(200, abs=25)
    assert ".xyz" in value["reason"]
    assert err.startswith("avalign: talk.xyz")


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


def test_ctrl_c_while_writing_leaves_no_file(here, capsys, monkeypatch):
    clip = late(here / "talk.mp4", 0.2)
    before = digest(clip)

    def interrupt(done):
        raise KeyboardInterrupt

    @contextmanager
    def progress(self, label, total=1.0):
        yield interrupt if label.startswith("Writing") else lambda done: None

    monkeypatch.setattr(Screen, "progress", progress)
    assert main(["sync", "talk.mp4"]) == 130
    assert capsys.readouterr().err == "avalign: interrupted\n"
    assert [path.name for path in here.iterdir()] == ["talk.mp4"]
    assert digest(clip) == before
