"""`avalign data`: what is written, what is said, which exit code."""

from __future__ import annotations

import json

import pytest
from avalign_cli.main import main
from media import Recipe, make_clip

from avalign.data.manifest import read_manifest
from avalign.data.splits import read_split


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ravdess(here):
    """Takes of three actors, named and laid out as RAVDESS is."""
    for actor in ("01", "02", "03"):
        folder = here / f"Actor_{actor}"
        folder.mkdir()
        for emotion in ("03", "05"):
            make_clip(
                folder / f"01-01-{emotion}-01-01-01-{actor}.mp4",
                Recipe(
                    events_s=(0.01 * int(actor) + 0.1 * int(emotion),),
                    duration_s=0.6,
                    size=(32, 32),
                ),
            )
    return here


def run(*arguments: str) -> int:
    return main(["data", *arguments])


def test_from_a_folder_to_checked_folds(ravdess, capsys):
    assert run("list", ".", "--corpus", "ravdess", "-o", "manifest.csv") == 0
    assert capsys.readouterr().out == "Wrote manifest.csv: 6 rows, 3 speakers, 2 labels.\n"
    assert run("split", "manifest.csv", "--leave-one-out", "-o", "folds.csv") == 0
    assert capsys.readouterr().out == (
        "Wrote folds.csv: ravdess_01 2, ravdess_02 2, ravdess_03 2 rows.\n"
    )
    assert len(read_split("folds.csv")) == 6
    assert run("check", "folds.csv", "--labels", "happy,angry") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("ravdess_01: 2 rows, 1 speaker, 0.0 min (angry 1, happy 1)")
    assert out[-1] == "folds.csv: 0 errors, 2 warnings."


def test_files_that_are_named_unlike_the_corpus_are_told(ravdess, capsys):
    odd = ravdess / "Actor_01" / "hello.mp4"
    odd.write_bytes(b"")
    assert run("list", ".", "--corpus", "ravdess", "-o", "manifest.csv") == 0
    out, err = capsys.readouterr()
    assert out == "Wrote manifest.csv: 6 rows, 3 speakers, 2 labels.\n"
    assert err.startswith("note: 1 media file left out")
    assert err.endswith(f"such as {odd}\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--shares", "train=2,test=1"), {"train", "test"}),
        (("--folds", "3"), {"fold1", "fold2", "fold3"}),
        (("--by-sentence", "--shares", "a=1,b=1"), None),
    ],
)
def test_ways_to_split(ravdess, options, parts, capsys):
    run("list", ".", "--corpus", "ravdess", "-o", "manifest.csv")
    code = run("split", "manifest.csv", "-o", "split.csv", *options)
    if parts is None:  # all takes hold one sentence
        assert code == 2
        assert "1 sentences cannot be dealt to 2 parts" in capsys.readouterr().err
        return
    assert code == 0
    assert {row.split for row in read_manifest("split.csv")} == parts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--folds", "2", "--leave-one-out"), "choose one of"),
        (("--shares", "train"), "is no share"),
        (("--shares", "train=1"), "make no split"),
        (("--folds", "9"), "9 folds of 3 speakers"),
    ],
)
def test_wrong_splits_exit_2(ravdess, options, words, capsys):
    run("list", ".", "--corpus", "ravdess", "-o", "manifest.csv")
    assert run("split", "manifest.csv", "-o", "split.csv", *options) == 2
    assert words in capsys.readouterr().err
    assert not (ravdess / "split.csv").exists()


def test_nothing_is_overwritten_unasked(ravdess, capsys):
    (ravdess / "manifest.csv").write_text("mine")
    assert run("list", ".", "--corpus", "ravdess", "-o", "manifest.csv") == 3
    assert (ravdess / "manifest.csv").read_text() == "mine"
    assert run("list", ".", "--corpus", "ravdess", "-o", "manifest.csv", "-y") == 0
    assert len(read_manifest("manifest.csv")) == 6


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("list", ".", "--corpus", "lrs3", "-o", "m.csv"), 2, "choose one of grid"),
        (("list", ".", "--corpus", "grid", "-o", "m.csv"), 2, "no files of this corpus"),
        (("list", "gone", "--corpus", "grid", "-o", "m.csv"), 3, "is no folder"),
        (
            ("list", ".", "-c", "grid", "--levels", "label", "-o", "m.csv"),
            2,
            "no option levels",
        ),
        (("check", "gone.csv"), 3, "no such file"),
        (("check", "empty.csv"), 2, "holds no rows"),
        (("check", "empty.csv", "--labels", ","), 2, "no label is named"),
        (("synth", "made", "--emotions", ","), 2, "no emotion is named"),
        (("split", "empty.csv", "-o", "s.csv", "--shares", ","), 2, "no share is named"),
        (("split", "empty.csv", "-o", "s.csv"), 2, "0 speakers"),
        (("extract", "gone.csv"), 3, "no such file"),
    ],
)
def test_bad_input(here, arguments, code, words, capsys):
    (here / "empty.csv").write_text("path,split\n")
    assert run(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("avalign: ")
    assert words in err


def test_leaks_exit_1_and_a_declaration_settles_them(ravdess, capsys):
    (ravdess / "m.csv").write_text(
        "path,speaker,split\n"
        "Actor_01/01-01-03-01-01-01-01.mp4,anna,train\n"
        "Actor_01/01-01-05-01-01-01-01.mp4,anna,test\n"
    )
    assert run("check", "m.csv") == 1
    assert "error    split       anna: this speaker is in test and train" in (
        capsys.readouterr().out
    )
    assert run("check", "m.csv", "--by-sentence", "anna", "-q") == 0
    assert capsys.readouterr() == ("", "")


def test_json_is_one_object(ravdess, capsys):
    (ravdess / "noise.mp4").write_bytes(b"\0" * 99)
    (ravdess / "m.csv").write_text("path,label\nnoise.mp4,sad\ngone.mp4,sad\n")
    assert run("check", "m.csv", "--json") == 3
    (line,) = capsys.readouterr().out.splitlines()
    answer = json.loads(line)
    assert (answer["ok"], answer["errors"], answer["warnings"]) == (False, 2, 1)
    assert [finding["place"] for finding in answer["findings"][:2]] == ["noise.mp4", "gone.mp4"]
    assert set(answer["findings"][0]) == {"check", "level", "place", "message"}
    assert answer["parts"] == [
        {"split": "", "rows": 2, "speakers": 0, "duration_s": 0, "labels": {"sad": 2}}
    ]


def test_many_findings_of_a_kind_are_cut_short(here, capsys):
    names = [f"{number:02}.mp4" for number in range(12)]
    (here / "m.csv").write_text("path\n" + "\n".join(names) + "\n")
    assert run("check", "m.csv") == 3
    out, err = capsys.readouterr()
    assert out.count("error    file") == 10
    assert "2 more like these" in err
    run("check", "m.csv", "-v")
    assert capsys.readouterr().out.count("error    file") == 12


def test_extract_goes_on_after_a_bad_file(ravdess, capsys):
    (ravdess / "noise.mp4").write_bytes(b"\0" * 99)
    (ravdess / "m.csv").write_text("path\nnoise.mp4\nActor_01/01-01-03-01-01-01-01.mp4\n")
    for done, kept in (("1 file", 0), ("0 files", 1)):
        assert run("extract", "m.csv", "--cache", "cache", "-j", "1") == 3
        out, err = capsys.readouterr()
        assert out == f"m.csv: {done} extracted, {kept} there already.\n"
        assert err.startswith("avalign: noise.mp4: ")


@pytest.fixture
def crema_d(here):
    """Takes of two actors with their votes, named and laid out as CREMA-D is."""
    for folder in ("VideoFlash", "AudioWAV", "processedResults"):
        (here / folder).mkdir()
    takes = ("1001_IEO_ANG_HI", "1001_TIE_SAD_XX", "1002_IEO_ANG_LO", "1002_TIE_SAD_XX")
    for number, take in enumerate(takes):
        recipe = Recipe(
            events_s=(0.1 * number,),
            duration_s=0.6,
            size=(32, 32),
            video_codec="flv1",
            audio_codec="libmp3lame",
            rate_hz=44100,
        )
        make_clip(here / f"VideoFlash/{take}.flv", recipe)
        (here / f"AudioWAV/{take}.wav").touch()
    (here / "processedResults/summaryTable.csv").write_text(
        "FileName,MultiModalVote\n1001_IEO_ANG_HI,A\n1001_TIE_SAD_XX,N\n"
        "1002_IEO_ANG_LO,A:N\n1002_TIE_SAD_XX,S\n"
    )
    return here


def test_crema_d_from_flash_video_and_votes_to_checked_folds(crema_d, capsys):
    assert run("list", ".", "-c", "crema-d", "--labels", "voted", "-o", "m.csv") == 0
    assert capsys.readouterr().out == "Wrote m.csv: 4 rows, 2 speakers, 3 labels.\n"
    assert [row.label for row in read_manifest("m.csv")] == ["anger", "neutral", "", "sad"]
    assert run("split", "m.csv", "--folds", "2", "-o", "folds.csv") == 0
    assert run("check", "folds.csv", "--json", "--labels", "anger,neutral,sad") == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(part["split"], part["rows"]) for part in answer["parts"]] == [
        ("fold1", 2),
        ("fold2", 2),
    ]
    messages = [finding["message"] for finding in answer["findings"]]
    assert "1 have no label" in messages


def test_a_stub_where_a_video_should_be_is_told(crema_d, capsys):
    (crema_d / "VideoFlash/1001_IEO_ANG_HI.flv").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    )
    run("list", ".", "-c", "crema-d", "-o", "m.csv")
    assert run("check", "m.csv") == 3
    assert "error    file        VideoFlash/1001_IEO_ANG_HI.flv: " in capsys.readouterr().out
