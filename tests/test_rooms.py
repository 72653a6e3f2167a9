"""The house stays easy to see: few modules to a folder, short modules, plain names."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "avalign"
MODULES = sorted(
    path.relative_to(ROOT)
    for folder in (LIBRARY, ROOT / "cli")
    for path in folder.rglob("*.py")
)

TOP_LEVEL = {
    "__init__.py",
    "__init__.pyi",
    "arguments.py",
    "errors.py",
    "processes.py",
    "py.typed",
}

# Names of functions and classes that were replaced, see docs/glossary.md.
OLD_NAMES = {
    "Asked",
    "Observation",
    "SpeechReader",
    "SpokenRows",
    "Telling",
    "Told",
    "WordRows",
    "align_failed",
    "ask",
    "audio_shares",
    "batch_of",
    "believed",
    "check_picture_track",
    "choose_sound",
    "condition_score",
    "corpus_tables",
    "deinterleaved",
    "device_named",
    "disturb_sound",
    "equal_shares",
    "face_share",
    "failed",
    "filled",
    "grid_places",
    "heard",
    "heard_features",
    "kept_as",
    "laid_out",
    "leaked_speakers",
    "mouth_movement",
    "never_measured",
    "on_grid",
    "pair_sounds",
    "picture_span_s",
    "picture_stream",
    "placed",
    "played_at",
    "rows_at",
    "runs_of",
    "share",
    "sound_features",
    "sound_frames",
    "sound_route",
    "sound_stream",
    "speech_share",
    "spelled",
    "spelled_row",
    "stretched",
    "sub_row_peak",
    "told",
    "told_left_out",
    "transcripts_of",
    "visemes_of",
    "was_kept",
    "whole_fit",
    "without_gaps",
    "write_picture",
    "write_sound",
}


def defined_names(path: Path) -> Iterator[str]:
    """Yield the functions and classes of a module, without leading underscores."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name.lstrip("_")


def test_nothing_loose_lies_at_the_top() -> None:
    files = {path.name for path in LIBRARY.iterdir() if path.is_file()}
    assert files == TOP_LEVEL


def test_no_folder_holds_more_than_fifteen_modules() -> None:
    counts: dict[Path, int] = {}
    for path in MODULES:
        if path.name != "__init__.py" and path.parts[0] == "avalign":
            counts[path.parent] = counts.get(path.parent, 0) + 1
    assert {str(folder): count for folder, count in counts.items() if count > 15} == {}


def test_no_module_has_more_than_400_lines() -> None:
    lines = {str(path): len((ROOT / path).read_bytes().splitlines()) for path in MODULES}
    assert {path: count for path, count in lines.items() if count > 400} == {}


def test_old_names_are_gone() -> None:
    found = {str(path): OLD_NAMES.intersection(defined_names(ROOT / path)) for path in MODULES}
    assert {path: names for path, names in found.items() if names} == {}
