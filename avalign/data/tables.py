"""Tables as text: CSV and Parquet files read row by row, each cell a string."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avalign.errors import AvalignError, MediaError, ParameterError, import_guard
from avalign.files import local_file

_LONGEST_LINE = 2**22
# More than any corpus has; each is some kilobytes once it is a row of a manifest.
_MOST_ROWS = 4_000_000
_LARGEST_GROUP_BYTES = 2**29
_BATCH_ROWS, _BATCH_BYTES = 4096, 2**26


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
    local_file(path)
    is_parquet = path.suffix.lower() == ".parquet"
    columns, rows = _read_parquet(path) if is_parquet else _read_csv(path)
    _check_columns(path, columns, required)
    for place, values in rows:
        if any(values):
            yield place, dict(zip(columns, values, strict=True))


Rows = Iterator[tuple[str, list[str]]]


def _read_csv(table: Path) -> tuple[list[str], Rows]:
    reader = csv.reader(_csv_lines(table), strict=True)
    header = _next_record(table, reader) or []
    return [name.strip() for name in header], _csv_rows(table, reader, len(header))


def _csv_lines(table: Path) -> Iterator[str]:
    """Read a table line by line, so that its size does not matter."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            while line := file.readline(_LONGEST_LINE):
                if len(line) == _LONGEST_LINE:
                    raise ParameterError(
                        f"{table} is not CSV: a line has more than {_LONGEST_LINE} characters",
                        "save it as CSV in UTF-8",
                    )
                yield line
    except OSError as error:
        raise _unreadable(table, error) from error
    except UnicodeDecodeError:
        offset, byte = _wrong_byte(table)
        raise ParameterError(
            f"{table} is not UTF-8 text: byte {offset} is 0x{byte:02x}",
            "save it as CSV in UTF-8",
        ) from None


def _wrong_byte(table: Path) -> tuple[int, int]:
    """Find the first byte that is no UTF-8: where it is in the file, and what."""
    offset = 0
    with table.open("rb") as file:
        for line in file:
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return offset + error.start, line[error.start]
            offset += len(line)
    raise _unreadable(table, OSError("it changed meanwhile"))


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
    with import_guard(
        f"reading {table} needs pyarrow, which does not load",
        "pip install pyarrow, or save the table as CSV",
    ):
        import pyarrow
        import pyarrow.parquet
    # One file, never a folder of partitions.
    with _parquet_errors(table), pyarrow.parquet.ParquetFile(table) as file:
        plan = _plan_parquet(table, file)
    return plan.columns, _parquet_rows(table, plan)


@dataclass(frozen=True, slots=True)
class _ParquetPlan:
    """How to read a table so that no part of it takes much memory."""

    columns: list[str]  # without lists and the like, which may be any length
    texts: list[str]  # read as dictionaries
    batch_rows: int  # read at once


def _plan_parquet(table: Path, file: Any) -> _ParquetPlan:
    """Hold what a table says of its size against the limits, before anything is read."""
    import pyarrow

    metadata = file.metadata
    if metadata.num_rows > _MOST_ROWS:
        raise _too_large(table, f"{metadata.num_rows} rows, more than {_MOST_ROWS}")
    # Of single columns pyarrow cannot be asked: where they are damaged, the process ends.
    groups = (
        metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)
    )
    if (largest := max(groups, default=0)) > _LARGEST_GROUP_BYTES:
        raise _too_large(table, f"a part that unpacks to {largest >> 20} MiB")
    kinds = pyarrow.types
    columns, texts, row_bytes = [], [], 1
    for field in file.schema_arrow:
        kind = field.type
        if kinds.is_dictionary(kind):
            kind = kind.value_type
        if kinds.is_nested(kind):
            continue
        columns.append(field.name)
        if kinds.is_fixed_size_binary(kind):
            row_bytes += kind.byte_width
        elif (
            kinds.is_string(kind)
            or kinds.is_large_string(kind)
            or kinds.is_binary(kind)
            or kinds.is_large_binary(kind)
        ):
            texts.append(field.name)
    batch_rows = min(_BATCH_ROWS, _BATCH_BYTES // row_bytes)
    if batch_rows < 1:
        raise _too_large(table, "rows that are larger than those of a table")
    return _ParquetPlan(columns, texts, batch_rows)


def _parquet_rows(table: Path, plan: _ParquetPlan) -> Rows:
    import pyarrow.parquet

    number = 0
    with (
        _parquet_errors(table),
        pyarrow.parquet.ParquetFile(
            table, read_dictionary=plan.texts, pre_buffer=False, buffer_size=2**20
        ) as file,
    ):
        for batch in file.iter_batches(
            plan.batch_rows, columns=plan.columns, use_threads=False
        ):
            if any(column.null_count < len(column) for column in batch.columns):
                _check_batch(table, batch)
                columns = [column.to_pylist() for column in batch.columns]
                for place, row in enumerate(zip(*columns, strict=True), start=number + 1):
                    yield f"row {place}", [*map(_as_text, row)]
            number += len(batch)


def _check_batch(table: Path, batch: Any) -> None:
    """Refuse texts that are stored once and would be there once per row."""
    import pyarrow
    import pyarrow.compute

    size = batch.nbytes
    for column in batch.columns:
        if pyarrow.types.is_dictionary(column.type):
            lengths = pyarrow.compute.binary_length(column.dictionary)
            rows = pyarrow.compute.take(lengths, column.indices)
            size += pyarrow.compute.sum(rows).as_py() or 0
    if size > _BATCH_BYTES:
        raise _too_large(table, f"{len(batch)} rows that take {size >> 20} MiB")


@contextmanager
def _parquet_errors(table: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except AvalignError:
        raise
    except (pyarrow.ArrowException, ValueError, TypeError, OverflowError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise ParameterError(
            f"{table} is not Parquet: {lines[0][:200]}", "save it anew"
        ) from error
    except OSError as error:
        raise _unreadable(table, error) from error


def _too_large(table: Path, what: str) -> MediaError:
    return MediaError(f"{table}: holds {what}, so it is no manifest", "split it")


def _as_text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def _unreadable(table: Path, error: OSError) -> MediaError:
    words = error.strerror or str(error).partition("\n")[0]
    return MediaError(f"{table} cannot be read: {words}", "name a CSV or Parquet file")


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
