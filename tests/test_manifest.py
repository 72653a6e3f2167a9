"""Manifests: what is read, and what is refused in one line."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from avalign.data.folds import speaker_folds
from avalign.data.manifest import read_manifest
from avalign.data.rows import ManifestRow
from avalign.errors import MediaError, MissingDependencyError, ParameterError


def write(folder: Path, text: str | bytes, name: str = "manifest.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ParameterError) as caught:
        read_manifest(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_column_lands_in_its_field(tmp_path: Path) -> None:
    table = write(
        tmp_path,
        "path,split,role,dataset,speaker,language,transcript,weights_ok,licence,duration_s,fps\n"
        'clips/a.mp4,dev,in_sync,grid,s1,en,words/a.align,0,"CC BY 4.0, 2006",3.5,25.0\n',
    )
    (row,) = read_manifest(table)
    assert row == ManifestRow(
        path=tmp_path / "clips/a.mp4",
        split="dev",
        role="in_sync",
        dataset="grid",
        speaker="s1",
        language="en",
        transcript=tmp_path / "words/a.align",
        weights_ok=False,
        licence="CC BY 4.0, 2006",
        duration_s=3.5,
        extra={"fps": "25.0"},
    )
    assert pickle.loads(pickle.dumps(row)) == row
    assert hash(row) == hash(pickle.loads(pickle.dumps(row)))


def test_what_recognition_needs_has_columns_too(tmp_path: Path) -> None:
    table = write(
        tmp_path,
        "path,audio,label,text,start,end,split,split_by\n"
        "a.mov,a.wav,sad,to be,0.5,2,train,sentence\n"
        "a.mov,a.wav,,,2,,dev,sentence\n",
    )
    first, second = read_manifest(table)
    assert (first.audio, first.label, first.text) == (tmp_path / "a.wav", "sad", "to be")
    assert (first.start_s, first.end_s, first.split_by) == (0.5, 2.0, "sentence")
    assert (second.start_s, second.end_s) == (2.0, None)
    assert first.extra == {}


@pytest.mark.parametrize(
    ("cell", "is_file"),
    [
        ("words/a.align", True),
        ("A.SRT", True),
        ("my words.txt", True),
        ("words/a", True),
        ("bin blue at f two now", False),
        ("Hello.", False),
        ("yes and/or no", False),
    ],
)
def test_a_transcript_is_a_file_or_the_words(tmp_path: Path, cell: str, is_file: bool) -> None:
    (row,) = read_manifest(write(tmp_path, f"path,transcript\na.mp4,{cell}\n"))
    assert (row.transcript, row.text) == ((tmp_path / cell, "") if is_file else (None, cell))


def test_parts_of_a_file_are_rows_of_their_own(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "path,start,end\na,0,1\na,1,2\n./a,1.0,2\n"))
    assert "line 4" in message
    assert "line 3" in message


def test_path_alone_is_enough(tmp_path: Path) -> None:
    (row,) = read_manifest(write(tmp_path, "path\na.mp4\n"))
    assert row == ManifestRow(path=tmp_path / "a.mp4")
    assert row.weights_ok


def test_an_empty_permission_is_none(tmp_path: Path) -> None:
    (row,) = read_manifest(write(tmp_path, "path,weights_ok\na.mp4,\n"))
    assert not row.weights_ok


def test_byte_order_mark_blank_lines_and_spaces_do_no_harm(tmp_path: Path) -> None:
    table = write(
        tmp_path, b"\xef\xbb\xbfpath, split\r\n\r\na.mp4, dev \r\n , \r\nb.mp4,train\r\n"
    )
    manifest = read_manifest(table)
    assert [(manifest.name_of(row), row.split) for row in manifest] == [
        ("a.mp4", "dev"),
        ("b.mp4", "train"),
    ]


def test_paths_count_from_the_folder_of_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "path\nsub/../a.mp4\n")
    monkeypatch.chdir(tmp_path)
    manifest = read_manifest("manifest.csv")
    assert manifest.rows[0].path == Path(os.path.abspath("a.mp4"))
    assert manifest.name_of(manifest.rows[0]) == "a.mp4"


def test_line_breaks_belong_to_a_cell_that_is_quoted(tmp_path: Path) -> None:
    table = write(tmp_path, 'path,notes\na,"one\ntwo"\nb,three\u2028four\n')
    assert [row.extra["notes"] for row in read_manifest(table)] == [
        "one\ntwo",
        "three\u2028four",
    ]


@pytest.mark.parametrize("path", ["../a.mp4", "sub/../../a.mp4", "..", "."])
def test_relative_paths_stay_in_the_folder(tmp_path: Path, path: str) -> None:
    message = refusal(write(tmp_path, f"path\n{path}\n"))
    assert "line 2" in message
    assert "'path'" in message
    assert repr(path) in message


def test_the_transcript_stays_in_the_folder_too(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "path,transcript\na.mp4,../../words\n"))
    assert "'transcript'" in message


def test_absolute_paths_must_exist(tmp_path: Path) -> None:
    elsewhere = write(tmp_path, b"x", "a.mp4")
    folder = tmp_path / "tables"
    folder.mkdir()
    manifest = read_manifest(write(folder, f"path\n{elsewhere}\n"))
    assert manifest.rows[0].path == elsewhere
    assert manifest.name_of(manifest.rows[0]) == elsewhere.as_posix()
    message = refusal(write(folder, f"path\n{tmp_path / 'missing.mp4'}\n"))
    assert "does not exist" in message


@pytest.mark.parametrize(
    ("text", "place", "column", "value"),
    [
        ("path,duration_s\na,1\nb,long\n", "line 3", "duration_s", "'long'"),
        ("path,duration_s\na,nan\n", "line 2", "duration_s", "'nan'"),
        ("path,duration_s\na,-1\n", "line 2", "duration_s", "'-1'"),
        ("path,duration_s\na,inf\n", "line 2", "duration_s", "'inf'"),
        ("path,start\na,-1\n", "line 2", "start", "'-1'"),
        ("path,start,end\na,2,1\n", "line 2", "end_s", "1.0 s is not after 2.0 s"),
        ("path,end\na,0\n", "line 2", "end_s", "not after"),
        ("path,start,start_s\na,1,1\n", "line 2", "start", "'start_s' says it, too"),
        ("path,audio\na,../b.wav\n", "line 2", "audio", "'../b.wav'"),
        ("path,weights_ok\na,2\n", "line 2", "weights_ok", "'2'"),
        ("path,weights_ok\na,maybe\n", "line 2", "weights_ok", "'maybe'"),
        ("path,split\n,dev\n", "line 2", "path", "empty"),
        ("path,split\na,dev\nb,dev\n./a,train\n", "line 4", "path", "line 2"),
        ("path,speaker\na,s\0\n", "line 2", "speaker", "NUL"),
    ],
)
def test_bad_cells_are_named(
    tmp_path: Path, text: str, place: str, column: str, value: str
) -> None:
    message = refusal(write(tmp_path, text))
    assert place in message
    assert repr(column) in message
    assert value in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"file,split\na,dev\n", "no column 'path'"),
        (b"path,split,split\na,b,c\n", "'split' more than once"),
        (b"path,split\na\n", "line 2: 1 cells, the header has 2"),
        (b"path\na,b\n", "line 2: 2 cells, the header has 1"),
        (b"path\n\xff\xfe\n", "byte 5 is 0xff"),
        (b'path\n"a\n', "not CSV"),
        (b"path\n" + b"a" * 200_000 + b"\n", "not CSV"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: bytes, expected: str) -> None:
    assert expected in refusal(write(tmp_path, text))


def test_a_missing_manifest_is_a_media_error(tmp_path: Path) -> None:
    for name, words in (("none.csv", "no such file"), ("none.parquet", "no such file")):
        with pytest.raises(MediaError, match=words):
            read_manifest(tmp_path / name)
    with pytest.raises(MediaError, match="is a folder"):
        read_manifest(tmp_path)
    with pytest.raises(MediaError, match="is empty"):
        read_manifest(write(tmp_path, ""))


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    text = "path,split,weights_ok,duration_s,fps\na.mp4,dev,1,3.5,25\nb.mp4,train,0,,30\n"
    expected = read_manifest(write(tmp_path, text)).rows
    table = pyarrow.table(
        {
            "path": ["a.mp4", "b.mp4"],
            "split": ["dev", "train"],
            "weights_ok": [True, False],
            "duration_s": [3.5, None],
            "fps": [25, 30],
        }
    )
    parquet.write_table(table, tmp_path / "manifest.parquet")
    assert read_manifest(tmp_path / "manifest.parquet").rows == expected
    bad = table.set_column(3, "duration_s", pyarrow.array(["1", "x"]))
    parquet.write_table(bad, tmp_path / "bad.parquet")
    assert "row 2, column 'duration_s': 'x'" in refusal(tmp_path / "bad.parquet")
    assert "not Parquet" in refusal(write(tmp_path, "path\na\n", "text.parquet"))


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
        read_manifest(write(tmp_path, b"PAR1", "a.parquet"))


def test_select_meets_all_conditions(tmp_path: Path) -> None:
    text = "path,split,role,dataset\na,dev,in_sync,x\nb,dev,other,x\nc,train,in_sync,y\n"
    manifest = read_manifest(write(tmp_path, text))

    def names(**conditions: object) -> list[str]:
        return [row.path.name for row in manifest.select(**conditions)]  # type: ignore[arg-type]

    assert names() == ["a", "b", "c"]
    assert names(split="dev") == ["a", "b"]
    assert names(split="dev", role="in_sync") == ["a"]
    assert names(dataset=["x", "y"], role=("in_sync",)) == ["a", "c"]
    assert names(weights_ok=False) == []
    assert names(split=[]) == []


def rows_of(seconds: dict[str, list[float | None]]) -> list[ManifestRow]:
    return [
        ManifestRow(Path(f"/{speaker}/{number}"), speaker=speaker, duration_s=length)
        for speaker, lengths in seconds.items()
        for number, length in enumerate(lengths)
    ]


def test_folds_share_no_speaker_lose_no_row_and_balance_seconds() -> None:
    rows = rows_of({f"s{i}": [1.0 + i % 7] * (1 + i % 3) for i in range(40)})
    folds = speaker_folds(rows, 5, seed=3)
    assert sorted(map(str, (row.path for fold in folds for row in fold))) == sorted(
        str(row.path) for row in rows
    )
    speakers = [{row.speaker for row in fold} for fold in folds]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == 40
    seconds = [sum(row.duration_s or 0 for row in fold) for fold in folds]
    # Graham: no fold exceeds the mean by more than the longest speaker.
    assert max(seconds) <= sum(seconds) / 5 + 7 * 3
    assert max(seconds) - min(seconds) <= 3
    assert speaker_folds(rows, 5, seed=3) == folds
    assert speaker_folds(rows, 5, seed=4) != folds


def test_what_belongs_together_shares_a_fold() -> None:
    rows = rows_of({f"s{i}": [1.0] for i in range(12)})
    place = {
        row.speaker: "studio" if number < 4 else row.speaker for number, row in enumerate(rows)
    }
    folds = speaker_folds(rows, 3, group=lambda row: place[row.speaker])
    of_studio = [{row.speaker for row in fold} & {"s0", "s1", "s2", "s3"} for fold in folds]
    assert sorted(map(len, of_studio)) == [0, 0, 4]
    assert sum(map(len, folds)) == 12


def test_the_longest_speaker_gets_a_fold_alone() -> None:
    folds = speaker_folds(rows_of({"long": [100.0], "a": [1.0], "b": [1.0], "c": [None]}), 2)
    assert {frozenset(row.speaker for row in fold) for fold in folds} == {
        frozenset({"long"}),
        frozenset({"a", "b", "c"}),
    }


def test_rows_without_speaker_stand_alone() -> None:
    folds = speaker_folds([ManifestRow(Path(f"/{i}")) for i in range(4)], 4)
    assert [len(fold) for fold in folds] == [1, 1, 1, 1]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_impossible_folds_are_refused(n: int) -> None:
    with pytest.raises(ParameterError, match="speakers cannot be made"):
        speaker_folds(rows_of({"a": [1.0], "b": [1.0]}), n)


def test_the_real_manifest_reads() -> None:
    folder = os.environ.get("AVALIGN_CLIPS")
    if not folder:
        pytest.skip("AVALIGN_CLIPS does not name the folder of real clips")
    manifest = read_manifest(Path(folder) / "manifest.csv")
    assert len(manifest) > 800
    assert all(row.path.is_file() for row in manifest)
    assert all(row.transcript.is_file() for row in manifest if row.transcript)
    by_split = {split: manifest.select(split=split) for split in ("train", "dev")}
    assert sum(map(len, by_split.values())) == len(manifest)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_pipe_or_a_device_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(MediaError, match="not a regular file"):
        read_manifest(tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(MediaError, match="not a regular file"):
        read_manifest(tmp_path / name)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"path": ["a.mp4"] * 5_000_000}, "5000000 rows"),
        ({"path": [f"{n}.mp4" for n in range(900)], "text": ["x" * 10**5] * 900}, "MiB"),
    ],
)
def test_a_small_parquet_that_unpacks_to_much_is_refused(
    tmp_path: Path, columns: dict[str, list[object]], expected: str
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "bomb.parquet"
    parquet.write_table(pyarrow.table(columns), path, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(MediaError, match=f"bomb.parquet: holds .*{expected}"):
        read_manifest(path)


def test_lists_in_parquet_are_left_out(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"path": ["a.mp4"], "frames": [[1] * 9_999], "fps": [25]})
    parquet.write_table(table, tmp_path / "m.parquet")
    assert read_manifest(tmp_path / "m.parquet").rows[0].extra == {"fps": "25"}


def test_what_parquet_cannot_turn_into_text_is_told(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    raw = pyarrow.array([b"\xff.mp4"])
    texts = pyarrow.Array.from_buffers(pyarrow.string(), 1, raw.buffers())
    parquet.write_table(pyarrow.table({"path": texts}), tmp_path / "latin.parquet")
    assert "latin.parquet is not Parquet" in refusal(tmp_path / "latin.parquet")


@pytest.mark.parametrize("number", ["1e999", "1" + "0" * 400, "nan", "-inf"])
def test_numbers_beyond_all_bounds_are_no_seconds(tmp_path: Path, number: str) -> None:
    text = f"path,start_s\na.mp4,{number}\n"
    assert "is not a number of seconds" in refusal(write(tmp_path, text))
