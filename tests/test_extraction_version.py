"""Cached streams are read anew when what extracts them changes."""

import ast
import hashlib
from pathlib import Path

import avalign
from avalign.streams import EXTRACTION_VERSION

ROOT = Path(avalign.__file__).parent
EXTRACTING = ("streams", "media/reading", "audio", "vision", "types")
NOT_EXTRACTING = {"stretch.py"}

RECORDED = (1, "01d2297787a8fbc1")


def extracting_code() -> list[str]:
    """Return what the definitions of the code say, wherever they stand."""
    paths = (path for room in EXTRACTING for path in (ROOT / room).glob("**/*.py"))
    return sorted(
        written(statement)
        for path in paths
        if path.name not in NOT_EXTRACTING
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if not names_only(statement)
    )


def names_only(statement: ast.stmt) -> bool:
    """Tell whether a statement imports, exports or describes, and computes nothing."""
    if isinstance(statement, ast.Assign):
        return ast.unparse(statement.targets[0]) == "__all__"
    return (
        isinstance(statement, ast.Import | ast.ImportFrom)
        or is_docstring(statement)
        or (isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING")
    )


def is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def written(node: object) -> str:
    """Write a syntax tree the same in every version of Python, without docstrings."""
    if isinstance(node, list):
        return "[" + ",".join(written(each) for each in node if not is_docstring(each)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [
        f"{name}={written(value)}"
        for name, value in ast.iter_fields(node)
        if value not in (None, []) and name not in ("ctx", "kind", "type_comment")
    ]
    return f"{type(node).__name__}({','.join(fields)})"


def extraction_hash() -> str:
    digest = hashlib.sha256("\n".join(extracting_code()).encode())
    for path in sorted((ROOT / "vision" / "weights").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def test_the_version_is_raised_when_extraction_changes() -> None:
    found = extraction_hash()
    assert (EXTRACTION_VERSION, found) == RECORDED, (
        "the code that extracts streams is not what it was: if files may give other numbers "
        "now, raise EXTRACTION_VERSION in avalign/streams/extraction.py; then set RECORDED "
        f"in this file to {(EXTRACTION_VERSION, found)}"
    )


def test_comments_docstrings_and_places_do_not_count() -> None:
    bare, dressed = (
        ast.parse(text)
        for text in (
            "def f(x):\n    return x + 1",
            'def f(x):\n    """Add."""\n    # one\n    return x + 1',
        )
    )
    assert written(bare) == written(dressed)
    assert written(bare) != written(ast.parse("def f(x):\n    return x + 2"))
