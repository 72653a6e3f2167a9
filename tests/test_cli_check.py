"""`avalign check`: which files, which lines, which exit code."""

import io
import json
import os
import re
from pathlib import Path

import planted
import pytest
from avalign_cli.inputs import expand, left_out_note
from avalign_cli.main import main
from planted import late, plant

from avalign.files.suffixes import AUDIO_SUFFIXES, MEDIA_SUFFIXES, VIDEO_SUFFIXES


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, with a face in every clip."""
    plant(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments):
    return main(["check", "-j", "1", *arguments])


class TestInputs:
    @pytest.fixture
    def tree(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("b.mp4", "a.MOV", "notes.txt", "deep/er/c.mkv", "deep/d[1].webm"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def test_folders_are_searched_for_media(self, tree):
        assert expand(["."]).paths == [
            "./a.MOV",
            "./b.mp4",
            "./deep/d[1].webm",
            "./deep/er/c.mkv",
        ]

    def test_a_named_file_is_taken_whatever_its_suffix(self, tree):
        assert expand(["notes.txt"]).paths == ["notes.txt"]

    def test_patterns_match_and_names_with_brackets_are_names(self, tree):
        assert expand(["*.mp4", "**/*.mkv"]).paths == ["b.mp4", "deep/er/c.mkv"]
        assert expand(["deep/d[1].webm"]).paths == ["deep/d[1].webm"]

    def test_a_list_is_read_where_the_dash_stands(self, tree):
        listed = b"b.mp4\n\nname with spaces .mp4\r\n"
        assert expand(["a.MOV", "-"], listed).paths == [
            "a.MOV",
            "b.mp4",
            "name with spaces .mp4",
        ]

    def test_a_list_may_end_names_with_nul(self, tree):
        assert expand(["-"], b"b.mp4\0two\nlines.mp4\0").paths == ["b.mp4", "two\nlines.mp4"]

    def test_a_list_may_hold_names_that_are_no_text(self, tree):
        (name,) = expand(["-"], b"\xef\xbb\xbfcaf\xe9.mp4\n").paths
        assert os.fsencode(name) == b"caf\xe9.mp4"

    def test_each_file_once_and_what_is_missing_stays(self, tree):
        assert expand(["b.mp4", "*.mp4", "gone.mp4"]).paths == ["b.mp4", "gone.mp4"]

    def test_a_folder_without_media_stays_to_be_reported(self, tree, tmp_path):
        (tmp_path / "empty").mkdir()
        assert expand(["empty"]).paths == ["empty"]

    def test_what_others_leave_in_folders_is_left_out_and_counted(self, tree, tmp_path):
        for name in (
            *("._b.mp4", ".DS_Store", "Thumbs.db", ".trash/old.mp4", "__MACOSX/x.mp4"),
            *("b.synced.mp4", "b.npz", "lone.npz", "voice.wav"),
        ):
            path = tmp_path / "deep" / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
        (tmp_path / "deep" / "b.MP4").touch()
        found = expand(["."])
        assert found.paths == [
            *("./a.MOV", "./b.mp4", "./deep/b.MP4", "./deep/d[1].webm", "./deep/er/c.mkv"),
            "./deep/lone.npz",
        ]
        assert left_out_note(found.left_out).startswith(
            "7 files left out: 3 hidden, 1 of no known ending, 1 with sound alone, "
            "1 with streams of a video beside them, 1 written by avalign (--all"
        )
        everything = expand(["."], everything=True)
        assert {"./deep/._b.mp4", "./deep/.trash/old.mp4", "./deep/b.synced.mp4"} <= set(
            everything.paths
        )
        assert "hidden" not in everything.left_out
        # What is named is taken.
        assert expand(["deep/._b.mp4"]).paths == ["deep/._b.mp4"]

    def test_links_to_folders_are_followed_once(self, tree, tmp_path):
        (tmp_path / "away").mkdir()
        (tmp_path / "away" / "x.mp4").touch()
        top = tmp_path / "top"
        (top / "z").mkdir(parents=True)
        (top / "z" / "y.mp4").touch()
        (top / "a").symlink_to(top / "z")
        (top / "away").symlink_to(tmp_path / "away")
        (top / "z" / "up").symlink_to(top)
        (top / "me").symlink_to("me")
        assert expand(["top"]).paths == ["top/away/x.mp4", "top/z/y.mp4"]
        (tmp_path / "link").symlink_to(top)
        assert expand(["link"]).paths == ["link/away/x.mp4", "link/z/y.mp4"]

    def test_every_ending_that_is_written_is_found_in_folders(self):
        from avalign.media.writing.containers import _BY_SUFFIX

        assert set(_BY_SUFFIX) - VIDEO_SUFFIXES <= AUDIO_SUFFIXES
        page = (Path(__file__).parents[1] / "docs" / "cli.md").read_text("utf-8")
        assert set(re.findall(r"`(\.\w+)`", page)) >= MEDIA_SUFFIXES


def test_one_line_per_file_and_a_summary(here, capsys):
    late(here / "good.mp4", 0.0)
    late(here / "late.mp4", 0.3)
    assert check("good.mp4", "late.mp4") == 1
    out, err = capsys.readouterr()
    good, bad = out.splitlines()
    assert good.startswith("good.mp4: in sync")
    assert bad.startswith("late.mp4: audio is")
    assert err == "1 in sync, 1 unacceptable\n"


def test_all_in_sync_is_0(here, capsys):
    late(here / "good.mp4", 0.0)
    assert check("good.mp4") == 0


def test_the_tolerance_decides(here):
    late(here / "late.mp4", 0.1)
    assert check("late.mp4", "--tolerance", "itu") == 0
    assert check("late.mp4", "--tolerance", "ebu") == 1
    assert check("late.mp4", "--tolerance", "50/150") == 0


def test_a_bad_file_never_stops_the_rest_and_outranks(here, capsys):
    (here / "bad.mp4").write_text("no video")
    late(here / "late.mp4", 0.3)
    assert check("bad.mp4", "gone.mp4", "late.mp4") == 3
    out, err = capsys.readouterr()
    assert out.startswith("late.mp4: ")
    assert [line.split(":")[1].strip() for line in err.splitlines()[:2]] == [
        "bad.mp4",
        "gone.mp4",
    ]
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "code"), [("good mute", 4), ("late mute", 1), ("late mute gone", 3), ("good", 0)]
)
def test_what_outranks_what(names, code, here):
    late(here / "good.mp4", 0.0)
    late(here / "late.mp4", 0.3)
    planted.make_clip(here / "mute.mp4", sound=False)
    assert check(*(f"{name}.mp4" for name in names.split())) == code


def test_json_lines(here, capsys):
    late(here / "late.mp4", 0.3)
    assert check("late.mp4", "gone.mp4", "--json") == 3
    values = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [value["file"] for value in values] == ["late.mp4", "gone.mp4"]
    assert [value["status"] for value in values] == ["ok", "error"]
    assert values[0]["verdict"] == "unacceptable"
    assert values[1]["audio_lag_ms"] is None


def test_a_file_cut_short_is_told_beside_json(here, capsys):
    late(here / "whole.mkv", 0.0, duration_s=6.0, audio_codec="pcm_s16le")
    whole = (here / "whole.mkv").read_bytes()
    (here / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    check("cut.mkv", "whole.mkv", "--json")
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert "cut.mkv: " in err
    assert "of 6.0 s could be read" in err
    assert "whole.mkv" not in err


def test_a_list_on_stdin(here, capsys, monkeypatch):
    late(here / "good.mp4", 0.0)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"good.mp4\n")))
    assert check("-") == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert check("-") == 2
    assert "stdin is empty" in capsys.readouterr().err


def test_a_folder_without_media_says_so_and_stops_nothing(here, capsys):
    (here / "empty").mkdir()
    (here / "empty" / "notes.txt").touch()
    late(here / "good.mp4", 0.0)
    assert check("empty", "good.mp4") == 3
    out, err = capsys.readouterr()
    assert out.startswith("good.mp4: in sync")
    assert err.startswith("avalign: empty: the folder holds no media files (")
    assert all(suffix in err for suffix in (".mp4", ".mkv", ".mov"))


def test_a_search_too_wide_is_told_once(here, capsys):
    assert check("a.mp4", "b.mp4", "--max-lag", "16") == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_nothing_is_ever_written(here):
    late(here / "late.mp4", 0.3)
    check(".")
    assert [path.name for path in here.iterdir()] == ["late.mp4"]


def test_quiet_leaves_the_exit_code(here, capsys):
    late(here / "late.mp4", 0.3)
    assert check("late.mp4", "-q") == 1
    assert capsys.readouterr() == ("", "")
