"""Audits: what is wrong is found, and what is right is not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from media import Recipe, make_clip

from avalign.data.audit import audit_manifest
from avalign.data.findings import Finding
from avalign.data.manifest import Manifest
from avalign.data.rows import ManifestRow
from avalign.errors import ParameterError


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Clips of 0.6 s, no two alike."""
    folder = tmp_path_factory.mktemp("clips")
    return [
        make_clip(
            folder / f"{number}.mp4",
            Recipe(events_s=(0.05 * number,), duration_s=0.6, size=(32, 32)),
        )
        for number in range(6)
    ]


def manifest(*rows: ManifestRow) -> Manifest:
    return Manifest(rows[0].path.parent / "manifest.csv", rows)


def found(rows: Manifest, **settings: Any) -> list[Finding]:
    return list(audit_manifest(rows, jobs=2, **settings).findings)


def only(rows: Manifest, **settings: Any) -> Finding:
    (finding,) = found(rows, **settings)
    return finding


def row(path: Path, speaker: str = "a", split: str = "", **more: Any) -> ManifestRow:
    return ManifestRow(path, speaker=speaker, split=split, **more)


def test_a_good_manifest_has_no_findings_and_is_counted(clips: list[Path]) -> None:
    rows = manifest(
        *(row(path, "a", "train", label="sad", text="to be") for path in clips[:5]),
        row(clips[5], "b", "dev", label="sad", text="or not", duration_s=0.6),
    )
    fractions: list[float] = []
    audit = audit_manifest(
        rows, labels=["sad"], alphabet="abenortb", jobs=2, progress=fractions.append
    )
    assert audit.findings == ()
    assert audit.exit_code == 0
    assert fractions[-1] == 1.0
    dev, train = audit.parts
    assert (dev.name, dev.n_rows, dev.n_speakers, dev.labels) == ("dev", 1, 1, {"sad": 1})
    assert (train.name, train.n_rows, train.labels) == ("train", 5, {"sad": 5})
    assert train.duration_s == pytest.approx(5 * 0.6, abs=0.3)
    assert audit.as_dict()["ok"] is True


def test_files_that_are_missing_or_no_media(clips: list[Path], tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(b"\0" * 1000)
    bad = tmp_path / "noise.mp4", tmp_path / "missing.mp4", tmp_path
    audit = audit_manifest(manifest(row(clips[0]), *map(row, bad)))
    assert [(finding.check, finding.is_error) for finding in audit.findings] == 3 * [
        ("file", True)
    ]
    assert audit.findings[1].place == str(tmp_path / "missing.mp4")
    assert str(tmp_path) not in audit.findings[1].message
    assert audit.exit_code == 3


def test_missing_streams(tmp_path: Path) -> None:
    recipe = Recipe(duration_s=0.6, size=(32, 32))
    silent = make_clip(tmp_path / "silent.mp4", recipe, sound=False)
    blind = make_clip(tmp_path / "blind.mp4", recipe, picture=False)
    audit = audit_manifest(manifest(row(silent), row(blind)))
    assert [finding.message for finding in audit.findings] == ["has no sound", "has no picture"]
    assert audit.exit_code == 4
    assert found(manifest(row(silent, audio=blind))) == []
    expected = row(silent, role="video_only"), row(blind, role="audio_only")
    assert found(manifest(*expected)) == []


def test_spans_too_short_for_anything(clips: list[Path]) -> None:
    finding = only(manifest(row(clips[0], start_s=0.1, end_s=0.2)))
    assert (finding.check, finding.is_error) == ("duration", True)
    assert "its span lasts 0.100 s" in finding.message
    assert "its span lasts" in only(manifest(row(clips[0], start_s=0.5))).message


def test_durations_that_contradict(clips: list[Path]) -> None:
    finding = only(manifest(row(clips[0], duration_s=2.0)))
    assert (finding.check, finding.is_error) == ("duration", False)
    assert "the manifest says 2.0 s" in finding.message
    finding = only(manifest(row(clips[0], start_s=0.1, end_s=9.0)))
    assert finding.is_error
    assert "end is at 9.0 s" in finding.message
    assert found(manifest(row(clips[0], start_s=0.1, end_s=0.5, duration_s=0.4))) == []


def test_spans_of_one_file_are_no_duplicates_and_count_their_length(clips: list[Path]) -> None:
    rows = manifest(
        row(clips[0], start_s=0.0, end_s=0.3), row(clips[0], start_s=0.25, end_s=0.55)
    )
    audit = audit_manifest(rows)
    assert audit.findings == ()
    assert audit.parts[0].duration_s == pytest.approx(0.6)


def test_the_same_bytes_under_two_names(clips: list[Path], tmp_path: Path) -> None:
    copy = Path(shutil.copy(clips[0], tmp_path / "copy.mp4"))
    finding = only(manifest(row(clips[0]), row(copy)))
    assert (finding.check, finding.is_error, finding.place) == ("duplicate", False, str(copy))
    findings = found(manifest(row(clips[0], "a", "train"), row(copy, "b", "test")))
    assert findings[0].is_error
    assert "split 'train' and 'test', speaker 'a' and 'b'" in findings[0].message


def test_speakers_on_both_sides(clips: list[Path]) -> None:
    rows = manifest(
        row(clips[0], "anna", "train"), row(clips[1], "anna", "test"), row(clips[2], "b", "dev")
    )
    finding = only(rows)
    assert (finding.check, finding.is_error, finding.place) == ("split", True, "anna")
    assert "test and train" in finding.message
    assert audit_manifest(rows).exit_code == 1
    declared = [replace(one, split_by="sentence") for one in rows]
    assert found(manifest(*declared)) == []
    told = [replace(one, text="Hello  you") for one in declared]
    finding = only(manifest(*told))
    assert (finding.is_error, finding.place) == (False, "anna")
    assert "1 of the sentences" in finding.message


def test_splits_that_say_too_little(clips: list[Path]) -> None:
    rows = manifest(row(clips[0], "", "train"), row(clips[1], "b", ""), row(clips[2], "c", "x"))
    assert [finding.message for finding in found(rows)] == [
        "1 are in no part of the split",
        "1 name no speaker, so nobody knows whether they leak",
    ]
    unknown = only(manifest(row(clips[0], "a", "train", split_by="actor")))
    assert (unknown.is_error, unknown.place) == (True, "actor")


def test_labels(clips: list[Path]) -> None:
    sad = [row(path, label="sad") for path in clips[:5]]
    (finding,) = found(manifest(*sad, row(clips[5], label="sda")))
    assert (finding.is_error, finding.place) == (False, "sda")
    assert "only 1 row" in finding.message
    finding = only(manifest(*sad, row(clips[5], label="sda")), labels={"sad"})
    assert (finding.is_error, finding.message) == (
        True,
        "1 row of this label, which is not among those named",
    )
    assert "1 have no label" in only(manifest(*sad, row(clips[5]))).message
    both = found(manifest(*sad, row(clips[5], label="Sad")))
    assert any(one.is_error and "in capitals only" in one.message for one in both)


def test_labels_that_training_never_sees(clips: list[Path]) -> None:
    train = [row(path, "a", "train", label="sad") for path in clips[:5]]
    finding = only(manifest(*train, row(clips[5], "b", "test", label="calm")))
    assert (finding.is_error, finding.place) == (True, "calm")
    assert "not in train" in finding.message


def test_transcripts(clips: list[Path], tmp_path: Path) -> None:
    def with_words(name: str, text: str, number: int) -> ManifestRow:
        path = tmp_path / name
        path.write_text(text)
        return row(clips[number], transcript=path)

    good = with_words("a.align", "0 5000 bin\n5000 10000 blue\n", 0)
    assert found(manifest(good), alphabet="binlue") == []
    late = only(manifest(with_words("b.align", "0 5000 bin\n5000 90000 blue\n", 1)))
    assert (late.check, late.is_error) == ("transcript", False)
    assert "last word ends at 3.600 s" in late.message
    bad = only(manifest(with_words("c.align", "zero one bin\n", 2)))
    assert (bad.check, bad.is_error) == ("transcript", True)
    gone = only(manifest(row(clips[3], transcript=tmp_path / "gone.txt")))
    assert gone.is_error
    empty = only(manifest(with_words("d.txt", " \n", 4)))
    assert "no words" in empty.message


def test_characters_outside_the_alphabet_are_told_once_each(clips: list[Path]) -> None:
    rows = manifest(row(clips[0], text="naïve été"), row(clips[1], text="été"))
    findings = found(rows, alphabet="abcdefghijklmnopqrstuvwxyz")
    assert [(finding.place, finding.is_error) for finding in findings] == [
        ("'é'", True),
        ("'ï'", True),
    ]
    assert "in 2 rows, such as 0.mp4" in findings[0].message


def test_what_cannot_be_audited(clips: list[Path]) -> None:
    with pytest.raises(ParameterError, match="holds no rows"):
        audit_manifest(Manifest(Path("m.csv"), ()))
    with pytest.raises(ParameterError, match="jobs is 0"):
        audit_manifest(manifest(row(clips[0])), jobs=0)
