"""Splits by speaker: what they promise, how they are published, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from avalign.data.folds import fold_split, held_out, leave_one_speaker_out
from avalign.data.manifest import Manifest, write_manifest
from avalign.data.rows import ManifestRow
from avalign.data.splits import (
    check_split,
    find_leaked_speakers,
    read_split,
    sentence_split,
    speaker_split,
)
from avalign.errors import ParameterError


def corpus(seconds: dict[str, list[float | None]], folder: Path = Path("/corpus")) -> Manifest:
    rows = tuple(
        ManifestRow(
            folder / speaker / f"{number}.mp4",
            speaker=speaker,
            duration_s=length_s,
            text=f"sentence {number}",
        )
        for speaker, lengths in seconds.items()
        for number, length_s in enumerate(lengths)
    )
    return Manifest(folder / "manifest.csv", rows)


MANY = {f"s{i}": [1.0 + i % 5] * (2 + i % 4) for i in range(40)}


def speakers(manifest: Manifest, part: str) -> set[str]:
    return {row.speaker for row in manifest.select(split=part)}


def test_parts_share_no_speaker_lose_no_row_and_get_their_fraction() -> None:
    manifest = corpus(MANY)
    split = speaker_split(manifest, {"train": 70, "dev": 20, "test": 10}, seed=1)
    assert [row.path for row in split] == [row.path for row in manifest]
    assert {row.split_by for row in split} == {"speaker"}
    parts = {name: speakers(split, name) for name in ("train", "dev", "test")}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 40
    total_s = sum(row.duration_s or 0 for row in manifest)
    longest_s = 5 * 5.0
    for name, fraction in (("train", 0.7), ("dev", 0.2), ("test", 0.1)):
        part_s = sum(row.duration_s or 0 for row in split.select(split=name))
        assert abs(part_s - fraction * total_s) <= longest_s
    assert find_leaked_speakers(split) == {}
    check_split(split)


def test_the_seed_decides() -> None:
    manifest = corpus(MANY)
    assert speaker_split(manifest, seed=3) == speaker_split(manifest, seed=3)
    assert speaker_split(manifest, seed=3) != speaker_split(manifest, seed=4)
    # The order of the rows does not.
    turned = Manifest(manifest.path, manifest.rows[::-1])
    assert speaker_split(turned, seed=3).rows[::-1] == speaker_split(manifest, seed=3).rows


def test_every_part_gets_a_speaker_however_small_its_fraction() -> None:
    split = speaker_split(corpus({"a": [900.0], "b": [1.0], "c": [1.0]}))
    assert [len(speakers(split, part)) for part in ("train", "dev", "test")] == [1, 1, 1]


def test_folds_and_speakers_left_out() -> None:
    manifest = corpus(MANY)
    folds = fold_split(manifest, 4, seed=2)
    assert {row.split for row in folds} == {"fold1", "fold2", "fold3", "fold4"}
    seen = []
    for name, train, test in held_out(folds):
        assert speakers(folds, name) == {row.speaker for row in test}
        assert not {row.speaker for row in train} & {row.speaker for row in test}
        assert len(train) + len(test) == len(manifest)
        seen += [row.path for row in test]
    assert sorted(seen) == sorted(row.path for row in manifest)
    alone = list(held_out(leave_one_speaker_out(manifest)))
    assert [name for name, _, _ in alone] == sorted(MANY)
    assert all({row.speaker for row in test} == {name} for name, _, test in alone)
    assert {row.split for row in fold_split(manifest, 10)} == {
        f"fold{i:02}" for i in range(1, 11)
    }


def test_a_single_speaker_is_split_by_sentence_and_that_is_declared() -> None:
    manifest = corpus({"s1": [3.0] * 40})
    twice = Manifest(
        manifest.path,
        (
            *manifest.rows,
            *(replace(row, path=row.path.with_suffix(".mov")) for row in manifest.rows),
        ),
    )
    split = sentence_split(twice, {"train": 3, "dev": 1})
    assert {row.split_by for row in split} == {"sentence"}
    parts = [{row.text for row in split.select(split=part)} for part in ("train", "dev")]
    assert [len(part) for part in parts] == [30, 10]
    assert not parts[0] & parts[1]
    check_split(split)
    with pytest.raises(ParameterError, match="1 speakers cannot be dealt to 3 parts"):
        speaker_split(manifest)
    with pytest.raises(ParameterError, match="no two speakers"):
        leave_one_speaker_out(manifest)


def test_a_split_is_published_and_read_back(tmp_path: Path) -> None:
    split = speaker_split(corpus(MANY, tmp_path))
    written = write_manifest(split, tmp_path / "split.csv")
    assert read_split(written.path).rows == split.rows


def test_a_leak_is_refused_with_the_name_of_the_speaker(tmp_path: Path) -> None:
    split = speaker_split(corpus(MANY, tmp_path))
    (first, *others) = split.rows
    part = next(name for name in ("train", "dev") if name != first.split)
    leaked = Manifest(split.path, (replace(first, split=part), *others))
    assert find_leaked_speakers(leaked) == {first.speaker: tuple(sorted((first.split, part)))}
    table = write_manifest(leaked, tmp_path / "leaked.csv").path
    with pytest.raises(ParameterError, match=f"speaker '{first.speaker}' is in"):
        read_split(table)
    with pytest.raises(ParameterError, match=first.speaker):
        list(held_out(leaked))
    # One row that declares nothing is enough.
    declared = [replace(row, split_by="sentence") for row in leaked]
    check_split(Manifest(split.path, tuple(declared)))
    with pytest.raises(ParameterError, match=first.speaker):
        check_split(Manifest(split.path, (leaked.rows[0], *declared[1:])))


def test_rows_without_a_speaker_do_not_leak_and_stand_alone() -> None:
    rows = tuple(ManifestRow(Path(f"/{number}.mp4")) for number in range(6))
    split = speaker_split(Manifest(Path("/m.csv"), rows), {"a": 1, "b": 1})
    assert [len(split.select(split=part)) for part in ("a", "b")] == [3, 3]
    with pytest.raises(ParameterError, match="names no speaker"):
        leave_one_speaker_out(split)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": ""}, "in no part"),
        ({"split_by": "actor"}, "split by 'actor'"),
    ],
)
def test_what_is_no_split_is_refused(change: dict[str, str], words: str) -> None:
    split = fold_split(corpus(MANY), 4)
    rows = (replace(split.rows[0], **change), *split.rows[1:])
    with pytest.raises(ParameterError, match=words):
        check_split(Manifest(split.path, rows))
    with pytest.raises(ParameterError, match="holds no rows"):
        check_split(Manifest(split.path, ()))


@pytest.mark.parametrize(
    "fractions",
    [
        {},
        {"train": 1.0},
        {"train": 1.0, "dev": 0.0},
        {"train": 1.0, "dev": float("nan")},
        {"train": float("inf"), "dev": 1.0},
        {"": 1.0, "dev": 1.0},
    ],
)
def test_fractions_that_make_no_split_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="make no split"):
        speaker_split(corpus(MANY), fractions)
