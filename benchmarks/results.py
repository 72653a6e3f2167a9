"""What benchmarks leave on disk: tables as JSON, rows as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avalign.files import atomic_output
from benchmarks.tables import Table

__all__ = ["write_rows", "write_tables"]


def write_tables(tables: Iterable[Table], settings: Mapping[str, Any], path: Path) -> None:
    """Write tables as JSON, replacing what is there.

    Parameters
    ----------
    tables : iterable of Table
        The numbers.
    settings : mapping
        How they were drawn.
    path : Path
        The file; its folder is made where it is missing.
    """
    from avalign.reports import versions

    content = {
        "schema": 1,
        "settings": dict(settings),
        "versions": versions(),
        "tables": [asdict(table) for table in tables],
    }
    _write(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def write_rows(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write rows as CSV, replacing what is there.

    Parameters
    ----------
    rows : iterable of mapping
        All with the same names, which head the columns.
    path : Path
        The file; its folder is made where it is missing.
    """
    rows = list(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(
        buffer, fieldnames=list(rows[0]) if rows else [], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    _write(path, buffer.getvalue())


def _finite(value: Any) -> Any:
    """Replace what JSON cannot say by null."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_output(path, True) as temporary:
        temporary.write_text(text, encoding="utf-8")
