"""Corpora as they are unpacked: what their names, folders and tables say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avalign.data.corpora import CORPORA, read_corpus
from avalign.data.corpora.grid import sentence_of
from avalign.data.manifest import Manifest, read_manifest, write_manifest
from avalign.data.rows import ManifestRow
from avalign.errors import AvalignError, MediaError, ParameterError


def lay_out(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def rows(manifest: Manifest) -> dict[str, ManifestRow]:
    return {manifest.name_of(row): row for row in manifest}


class TestGrid:
    def test_names_spell_the_sentences(self) -> None:
        assert sentence_of("bbaf2n") == "bin blue at f two now"
        assert sentence_of("PWIJ3P") == "place white in j three please"
        assert sentence_of("sgbzzs") == "set green by z zero soon"
        # w is no letter of the grammar, 0 no digit of the names
        for name in ("bbaw2n", "bbaf0n", "bbaf2", "bbaf2nn", "xbaf2n", "sample", ""):
            assert sentence_of(name) is None

    def test_word_times_are_found_by_speaker(self, tmp_path: Path) -> None:
        lay_out(
            tmp_path,
            "s1/bbaf2n.mpg",
            "s2/bbaf2n.mpg",
            "s10/video/mpg_6000/lgwy5s.mpg",
            "alignments/s1/bbaf2n.align",
            "alignments/s2/align/bbaf2n.align",
            "s1/._bbaf2n.mpg",
            "__MACOSX/s1/bbaf3s.mpg",
            "s1/readme.mpg",
        )
        found = rows(read_corpus(tmp_path, "grid"))
        assert list(found) == [
            "s1/bbaf2n.mpg",
            "s10/video/mpg_6000/lgwy5s.mpg",
            "s2/bbaf2n.mpg",
        ]
        first = found["s1/bbaf2n.mpg"]
        assert (first.speaker, first.text) == ("s1", "bin blue at f two now")
        assert first.transcript == tmp_path / "alignments/s1/bbaf2n.align"
        assert first.weights_ok
        assert found["s2/bbaf2n.mpg"].transcript == (
            tmp_path / "alignments/s2/align/bbaf2n.align"
        )
        assert found["s10/video/mpg_6000/lgwy5s.mpg"].speaker == "s10"
        assert found["s10/video/mpg_6000/lgwy5s.mpg"].transcript is None

    def test_the_folder_of_one_speaker_will_do(self, tmp_path: Path) -> None:
        lay_out(tmp_path / "s7", "bbaf2n.mpg", "align/bbaf2n.align")
        (row,) = read_corpus(tmp_path / "s7", "grid")
        assert row.speaker == "s7"
        assert row.transcript == tmp_path / "s7/align/bbaf2n.align"


class TestRavdess:
    def test_the_seven_numbers(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "Video_Speech_Actor_12/Actor_12/01-01-06-02-02-01-12.mp4")
        (row,) = read_corpus(tmp_path, "ravdess")
        assert row == ManifestRow(
            tmp_path / "Video_Speech_Actor_12/Actor_12/01-01-06-02-02-01-12.mp4",
            role="in_sync",
            dataset="ravdess",
            speaker="ravdess_12",
            language="en",
            label="fearful",
            text="dogs are sitting by the door",
            weights_ok=False,
            licence="CC BY-NC-SA 4.0",
            extra={"intensity": "strong", "repetition": "1"},
        )

    def test_each_take_is_there_once_with_picture_and_sound_if_it_can(
        self, tmp_path: Path
    ) -> None:
        lay_out(
            tmp_path,
            # both, and both halves
            *(f"Actor_01/{m}-01-03-01-01-01-01.mp4" for m in ("01", "02")),
            "Audio_Speech/Actor_01/03-01-03-01-01-01-01.wav",
            # halves only
            "Actor_01/02-01-04-01-01-01-01.mp4",
            "Audio_Speech/Actor_01/03-01-04-01-01-01-01.wav",
            # one half
            "Actor_02/02-01-05-01-01-01-02.mp4",
            "Audio_Speech/Actor_02/03-01-08-01-01-01-02.wav",
            # sung
            "Actor_02/01-02-02-01-01-01-02.mp4",
        )
        found = {row.label: row for row in read_corpus(tmp_path, "ravdess")}
        assert {label: row.role for label, row in found.items()} == {
            "happy": "in_sync",
            "sad": "in_sync",
            "angry": "video_only",
            "surprised": "audio_only",
            "calm": "in_sync",
        }
        assert found["happy"].audio is None
        assert found["happy"].path.name.startswith("01-")
        assert found["sad"].path.name.startswith("02-")
        assert found["sad"].audio == (
            tmp_path / "Audio_Speech/Actor_01/03-01-04-01-01-01-01.wav"
        )
        assert found["calm"].dataset == "ravdess_song"
        assert found["happy"].speaker != found["angry"].speaker

    @pytest.mark.parametrize(
        ("name", "field"),
        [
            ("04-01-06-01-02-01-12", "modality"),
            ("01-03-06-01-02-01-12", "channel"),
            ("01-01-09-01-02-01-12", "emotion"),
            ("01-01-06-03-02-01-12", "intensity"),
            ("01-01-06-01-03-01-12", "statement"),
            ("01-01-06-01-02-03-12", "repetition"),
            ("01-01-06-01-02-01-25", "actor"),
        ],
    )
    def test_numbers_that_mean_nothing_are_refused(
        self, tmp_path: Path, name: str, field: str
    ) -> None:
        with pytest.raises(ParameterError, match=f"{name}.mp4.* no {field}"):
            read_corpus(lay_out(tmp_path, f"{name}.mp4"), "ravdess")

    def test_all_wrong_names_are_told_of_at_once(self, tmp_path: Path) -> None:
        names = (f"01-01-{emotion}-01-02-01-12.mp4" for emotion in ("09", "06", "10", "11"))
        with pytest.raises(ParameterError, match=r"09 .* and 2 more .* 11 is no emotion"):
            read_corpus(lay_out(tmp_path, *names), "ravdess")


SUMMARY = """"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote"
"1","1001_IEO_ANG_HI","D","67","A","65.56","A"
"2","1002_TIE_SAD_XX","F:S","48.67:57.67","N","66.8","F:S"
"""
TABULATED = """"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"
"100001",2,6,0,0,1,0,"1001_IEO_ANG_HI",9,0.666666666666667,"D"
"200001",7,1,0,0,1,0,"1001_IEO_ANG_HI",9,0.777777777777778,"A"
"300001",9,1,0,0,0,0,"1001_IEO_ANG_HI",10,0.9,"A"
"300002",0,0,4,0,1,4,"1002_TIE_SAD_XX",9,0.444444444444444,"F:S"
"""


class TestCremaD:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        takes = ("1001_IEO_ANG_HI", "1002_TIE_SAD_XX")
        names = [f"VideoFlash/{take}.flv" for take in takes]
        names += [
            f"{kind}/{take}.{kind[5:].lower()}"
            for take in takes
            for kind in ("AudioWAV", "AudioMP3")
        ]
        return lay_out(tmp_path, *names, "AudioWAV/1003_WSI_NEU_XX.wav", "VideoFlash/notes.flv")

    def vote(self, folder: Path, name: str, text: str) -> None:
        (folder / "processedResults").mkdir(exist_ok=True)
        (folder / "processedResults" / name).write_text(text)

    def test_names_tell_actor_sentence_emotion_and_level(self, folder: Path) -> None:
        found = rows(read_corpus(folder, "crema-d"))
        assert list(found) == [
            "AudioWAV/1003_WSI_NEU_XX.wav",
            "VideoFlash/1001_IEO_ANG_HI.flv",
            "VideoFlash/1002_TIE_SAD_XX.flv",
        ]
        row = found["VideoFlash/1001_IEO_ANG_HI.flv"]
        assert (row.speaker, row.label) == ("crema-d_1001", "anger")
        assert row.text == "it's eleven o'clock"
        assert row.extra == {"level": "high", "acted": "anger"}
        assert found["AudioWAV/1003_WSI_NEU_XX.wav"].role == "audio_only"
        assert found["AudioWAV/1003_WSI_NEU_XX.wav"].extra == {"acted": "neutral"}

    def test_the_summary_names_the_winners(self, folder: Path) -> None:
        self.vote(folder, "summaryTable.csv", SUMMARY)
        found = rows(read_corpus(folder, "crema-d"))
        extra = found["VideoFlash/1001_IEO_ANG_HI.flv"].extra
        assert extra["voice_vote"] == "disgust"
        assert extra["face_vote"] == extra["multimodal_vote"] == "anger"
        assert found["VideoFlash/1002_TIE_SAD_XX.flv"].extra["voice_vote"] == "fear:sad"

    @pytest.mark.parametrize(
        ("name", "text"), [("summaryTable.csv", SUMMARY), ("tabulatedVotes.csv", TABULATED)]
    )
    def test_votes_may_be_the_labels_and_a_tie_is_none(
        self, folder: Path, name: str, text: str
    ) -> None:
        self.vote(folder, name, text.replace('"A"\n', '"H"\n'))
        found = rows(read_corpus(folder, "crema-d", labels="voted"))
        assert found["VideoFlash/1001_IEO_ANG_HI.flv"].label == "happy"
        assert found["VideoFlash/1001_IEO_ANG_HI.flv"].extra["acted"] == "anger"
        assert found["VideoFlash/1002_TIE_SAD_XX.flv"].label == ""
        assert found["AudioWAV/1003_WSI_NEU_XX.wav"].label == ""

    def test_tabulated_votes_tell_who_saw_and_who_heard(self, folder: Path) -> None:
        self.vote(folder, "tabulatedVotes.csv", TABULATED)
        extra = rows(read_corpus(folder, "crema-d"))["VideoFlash/1001_IEO_ANG_HI.flv"].extra
        assert extra["voice_vote"] == "disgust"
        assert extra["multimodal_vote"] == "anger"
        assert extra["agreement"] == "0.9"

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("summaryTable.csv", SUMMARY.replace('"F:S"', '"Q"', 1), "line 3: 'Q' is no vote"),
            ("summaryTable.csv", SUMMARY.replace('"D"', '""'), "line 2: '' is no vote"),
            ("summaryTable.csv", "a,b\n1,2\n", "no column 'FileName'"),
            ("tabulatedVotes.csv", TABULATED.replace("0.9", "nan"), "'nan' is no agreement"),
            ("tabulatedVotes.csv", TABULATED.replace(",9,0.44", ",0.44"), "cells, the header"),
        ],
    )
    def test_hostile_tables_are_refused(
        self, folder: Path, name: str, text: str, words: str
    ) -> None:
        self.vote(folder, name, text)
        with pytest.raises(ParameterError, match=words):
            read_corpus(folder, "crema-d")

    def test_votes_that_are_not_there_cannot_be_labels(self, folder: Path) -> None:
        with pytest.raises(ParameterError, match="no votes"):
            read_corpus(folder, "crema-d", labels="voted")
        with pytest.raises(ParameterError, match="'won'"):
            read_corpus(folder, "crema-d", labels="won")

    @pytest.mark.parametrize("name", ["1001_XXX_ANG_HI", "1001_IEO_ANX_HI", "1001_IEO_ANG_"])
    def test_codes_that_mean_nothing_are_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ParameterError, match=f"{name}.flv"):
            read_corpus(lay_out(tmp_path, f"{name}.flv"), "crema-d")


class TestMeld:
    HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,StartTime\n"

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        lay_out(
            tmp_path,
            "train_splits/dia0_utt0.mp4",
            "dev_splits_complete/dia0_utt0.mp4",
            "output_repeated_splits_test/dia0_utt0.mp4",
            "output_repeated_splits_test/._dia0_utt0.mp4",
        )
        (tmp_path / "train_sent_emo.csv").write_bytes(
            (
                self.HEAD
                + '1,"Oh, it\x92s  lost.",Phoebe,sadness,negative,0,0,"00:20:57,256"\n'
                "2,What?,Monica,surprise,negative,0,1,\n"
            ).encode()
        )
        (tmp_path / "dev_sent_emo.csv").write_text(
            self.HEAD + "1,Hey.,Phoebe,neutral,neutral,0,0,\n"
        )
        return tmp_path

    def test_videos_are_found_by_split(self, folder: Path) -> None:
        found = rows(read_corpus(folder, "meld"))
        assert list(found) == [
            "dev_splits_complete/dia0_utt0.mp4",
            "train_splits/dia0_utt0.mp4",
            "train_splits/dia0_utt1.mp4",  # which is missing
        ]
        row = found["train_splits/dia0_utt0.mp4"]
        assert (row.split, row.split_by) == ("train", "sentence")
        assert (row.speaker, row.label) == ("meld_Phoebe", "sadness")
        assert row.text == "Oh, it\u2019s lost."
        assert row.start_s is None  # the times are those of the broadcast

    def test_sentiment_may_be_the_label(self, folder: Path) -> None:
        found = rows(read_corpus(folder, "meld", labels="sentiment"))
        assert found["train_splits/dia0_utt0.mp4"].label == "negative"

    def test_hostile_tables_are_refused(self, folder: Path) -> None:
        table = folder / "dev_sent_emo.csv"
        table.write_text(self.HEAD + "1,Hey.,Phoebe,neutral,neutral,../../x,0,\n")
        with pytest.raises(ParameterError, match="is no utterance"):
            read_corpus(folder, "meld")
        table.write_text(self.HEAD + "1,Hey.,,neutral,neutral,0,0,\n")
        with pytest.raises(ParameterError, match="line 2: the column 'Speaker'"):
            read_corpus(folder, "meld")


class TestFolder:
    def test_folders_are_labels_and_words_lie_beside(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "angry/a.mp4", "angry/a.txt", "calm/deep/b.mov", "c.mp4", "c.wav")
        found = rows(read_corpus(tmp_path, "folder"))
        assert {name: row.label for name, row in found.items()} == {
            "angry/a.mp4": "angry",
            "calm/deep/b.mov": "calm",
            "c.mp4": "",
        }
        assert found["angry/a.mp4"].transcript == tmp_path / "angry/a.txt"
        assert found["c.mp4"].audio == tmp_path / "c.wav"

    def test_levels_tell_what_folders_stand_for(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "2024/anna/angry/a.mp4")
        (row,) = read_corpus(tmp_path, "folder", levels="-/speaker/label")
        assert (row.speaker, row.label) == ("anna", "angry")
        for levels in ("mood", "label/label", "", "label/"):
            with pytest.raises(ParameterError, match="levels is"):
                read_corpus(tmp_path, "folder", levels=levels)

    def test_times_of_words_are_better_than_words(self, tmp_path: Path) -> None:
        lay_out(tmp_path, "a.mp4", "a.txt", "a.srt", "a.align")
        (row,) = read_corpus(tmp_path, "folder")
        assert row.transcript == tmp_path / "a.align"


@pytest.mark.parametrize("corpus", CORPORA)
def test_what_is_no_corpus_is_refused(tmp_path: Path, corpus: str) -> None:
    with pytest.raises(ParameterError, match="no files of this corpus"):
        read_corpus(tmp_path, corpus)
    with pytest.raises(MediaError, match="is no folder"):
        read_corpus(tmp_path / "missing", corpus)


def test_unknown_corpora_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="choose one of grid, ravdess"):
        read_corpus(tmp_path, "lrs3")
    with pytest.raises(ParameterError, match="'grid' has no option labels"):
        read_corpus(tmp_path, "grid", labels="voted")


def test_a_corpus_written_reads_the_same(tmp_path: Path) -> None:
    folder = lay_out(
        tmp_path / "R", "Actor_01/02-01-04-01-01-01-01.mp4", "Actor_01/03-01-04-01-01-01-01.wav"
    )
    manifest = read_corpus(folder, "ravdess")
    inside = write_manifest(manifest, folder / "manifest.csv")
    assert read_manifest(inside.path) == inside
    assert "Actor_01/02-01-04-01-01-01-01.mp4" in inside.path.read_text()
    assert str(tmp_path) not in inside.path.read_text()
    outside = write_manifest(manifest, tmp_path / "elsewhere.csv")
    assert read_manifest(outside.path).rows == manifest.rows


def test_rows_that_say_different_things_are_written_again_and_again(tmp_path: Path) -> None:
    rows = (
        ManifestRow(tmp_path / "a.mp4", extra={"level": "high"}, start_s=0.1, end_s=1 / 3),
        ManifestRow(tmp_path / "b.mp4", extra={"mood": "good"}, weights_ok=False),
        ManifestRow(tmp_path / "c.mp4", text="to be", duration_s=2.5),
    )
    table = tmp_path / "manifest.csv"
    for _ in range(3):
        write_manifest(Manifest(table, rows), table, overwrite=True)
        assert read_manifest(table).rows == rows
        rows = read_manifest(table).rows


def test_a_table_that_cannot_hold_a_row_is_not_written(tmp_path: Path) -> None:
    target = tmp_path / "manifest.csv"
    for row in (
        ManifestRow(tmp_path / "a.mp4", text="two\nlines"),
        ManifestRow(tmp_path / " a.mp4"),
        ManifestRow(tmp_path / os.fsdecode(b"\xff.mp4")),
        ManifestRow(tmp_path / "a.mp4", label=" blank"),
        ManifestRow(tmp_path / "a.mp4", extra={"split": "train"}),
        ManifestRow(tmp_path / "a.mp4", transcript=tmp_path / "words without an ending"),
    ):
        with pytest.raises(ParameterError):
            write_manifest(Manifest(target, (row,)), target)
        assert not target.exists()
    with pytest.raises(ParameterError, match="written as CSV"):
        write_manifest(Manifest(target, ()), tmp_path / "manifest.parquet")
    target.write_text("mine")
    with pytest.raises(MediaError, match="exists already"):
        write_manifest(Manifest(target, ()), target)
    assert target.read_text() == "mine"


def test_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(AvalignError) as caught:
        read_corpus(tmp_path, "grid")
    assert "\n" not in str(caught.value)
