"""Tables as text: CSV and Parquet files read row by row, each cell a string."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from avalign.errors import MediaError, MissingDependencyError, ParameterError

__all__ = ["read_table"]


def read_table(path: Path, *, required: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Read a table from CSV (UTF-8) or, by its ending ``.parquet``, from Parquet.

    Parameters
    ----------
    path : Path
        The table; its first row names the columns.
    required : str
        A column that must be there.

    Yields
    ------
    place : str
        Where the row stands, for messages: ``"line 3"`` or, in Parquet, ``"row 2"``.
    cells : dict of str to str
        Column to text, without surrounding blanks; rows without any text are left out.

    Raises
    ------
    MediaError
        If the file cannot be read.
    ParameterError
        If it is not such a table.
    MissingDependencyError
        If the table is Parquet and pyarrow does not load.
    """
    is_parquet = path.suffix.lower() == ".parquet"
    columns, rows = _read_parquet(path) if is_parquet else _read_csv(path)
    _check_columns(path, columns, required)
    for place, values in rows:
        if any(values):
            yield place, dict(zip(columns, values, strict=True))


Rows = Iterator[tuple[str, list[str]]]


def _read_csv(table: Path) -> tuple[list[str], Rows]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _unreadable(table, error) from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ParameterError(
            f"{table} is not UTF-8 text: byte {error.start} is 0x{byte:02x}",
            "save it as CSV in UTF-8",
        ) from error
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    header = _next_record(table, reader) or []
    return [name.strip() for name in header], _csv_rows(table, reader, len(header))


def _csv_rows(table: Path, reader: Iterator[list[str]], width: int) -> Rows:
    while (values := _next_record(table, reader)) is not None:
        line: int = reader.line_num  # type: ignore[attr-defined]
        if values and len(values) != width:
            raise ParameterError(
                f"{table}, line {line}: {len(values)} cells, the header has {width}",
                "quote cells that hold a comma",
            )
        if values:
            yield f"line {line}", [value.strip() for value in values]


def _next_record(table: Path, reader: Iterator[list[str]]) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        line: int = reader.line_num  # type: ignore[attr-defined]
        raise ParameterError(
            f"{table}, line {line}: not CSV: {error}", "save it as CSV in UTF-8"
        ) from error


def _read_parquet(table: Path) -> tuple[list[str], Rows]:
    try:
        import pyarrow
        import pyarrow.parquet
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"reading {table} needs pyarrow, which does not load: {error}",
            "pip install pyarrow, or save the table as CSV",
        ) from error
    try:
        # One file, never a folder of partitions.
        with table.open("rb") as file:
            content = pyarrow.parquet.read_table(file)
    except pyarrow.ArrowException as error:
        first_line = str(error).splitlines()[0]
        raise ParameterError(f"{table} is not Parquet: {first_line}", "save it anew") from error
    except OSError as error:
        raise _unreadable(table, error) from error
    names = [str(name) for name in content.column_names]
    columns = [column.to_pylist() for column in content.columns]
    rows = enumerate(zip(*columns, strict=True), start=1)
    return names, ((f"row {number}", [*map(_as_text, row)]) for number, row in rows)


def _as_text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def _unreadable(table: Path, error: OSError) -> MediaError:
    return MediaError(
        f"{table} cannot be read: {error.strerror or error}", "name a CSV or Parquet file"
    )


def _check_columns(table: Path, columns: list[str], required: str) -> None:
    if required not in columns:
        found = ", ".join(name for name in columns if name)[:200]
        raise ParameterError(
            f"{table} has no column {required!r}; its first row reads: {found or 'nothing'}",
            "the first row must name the columns",
        )
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        raise ParameterError(
            f"{table} has the column {min(twice)!r} more than once", "give each its own name"
        )
