"""Read and write manifests: tables that say which media files there are and what they are for.

A manifest is a CSV or Parquet file with one row per utterance: a media file, or a span of
one. Only the column ``path`` is required; the others are those of `ManifestRow` (``start``
and ``end`` are read as ``start_s`` and ``end_s``, and ``transcript`` may hold the words
themselves), and whatever else the table holds is kept in ``extra``. Everything that learns
or measures starts from one.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from avalign.data.rows import ManifestRow, RowParser, path_text, row_cells
from avalign.data.tables import read_table
from avalign.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows of a manifest, in file order.

    Parameters
    ----------
    path : Path
        The table.
    rows : tuple of ManifestRow
        Its rows.
    """

    path: Path
    rows: tuple[ManifestRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ManifestRow]:
        return iter(self.rows)

    def name_of(self, row: ManifestRow) -> str:
        """Path of a row as other machines would write it: relative, with slashes.

        Parameters
        ----------
        row : ManifestRow
            A row of this manifest.

        Returns
        -------
        str
            Path relative to the manifest's folder, where it lies within it.
        """
        return path_text(row.path, _folder(self.path))

    def select(
        self,
        *,
        split: str | Iterable[str] | None = None,
        role: str | Iterable[str] | None = None,
        dataset: str | Iterable[str] | None = None,
        speaker: str | Iterable[str] | None = None,
        label: str | Iterable[str] | None = None,
        weights_ok: bool | None = None,
    ) -> Manifest:
        """Keep the rows that meet all conditions.

        Parameters
        ----------
        split, role, dataset, speaker, label : str or iterable of str, optional
            Accepted values; by default any.
        weights_ok : bool, optional
            Required value; by default any.

        Returns
        -------
        Manifest
            The same table with fewer rows, possibly none.
        """
        conditions = {
            "split": split,
            "role": role,
            "dataset": dataset,
            "speaker": speaker,
            "label": label,
        }
        wanted = {
            name: {values} if isinstance(values, str) else set(values)
            for name, values in conditions.items()
            if values is not None
        }
        rows = tuple(
            row
            for row in self.rows
            if all(getattr(row, name) in values for name, values in wanted.items())
            and weights_ok in (None, row.weights_ok)
        )
        return Manifest(self.path, rows)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read a manifest from CSV (UTF-8) or, by its ending ``.parquet``, from Parquet.

    Relative paths count from the manifest's folder and must stay inside it; absolute
    ones must exist.

    Parameters
    ----------
    path : path-like
        The table.

    Returns
    -------
    Manifest
        All rows, checked.

    Raises
    ------
    MediaError
        If the file cannot be read.
    ParameterError
        If the table is not what a manifest must be; the message names the row (in a CSV,
        the line) and the column.
    MissingDependencyError
        If the table is Parquet and pyarrow is not installed.
    """
    table = Path(path)
    rows: list[ManifestRow] = []
    seen: dict[object, str] = {}
    for place, cells in read_table(table, required="path"):
        parser = RowParser(table, place, cells)
        row = parser.row()
        if row.span in seen:
            problem = f"{cells['path']!r} is already in {seen[row.span]}"
            raise parser.error("path", problem, "keep one of the two")
        seen[row.span] = place
        rows.append(row)
    return Manifest(table, tuple(rows))


def write_manifest(
    manifest: Manifest, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Manifest:
    """Write a manifest as CSV, so that reading it gives the same rows.

    Parameters
    ----------
    manifest : Manifest
        The rows. Columns in which no row says anything are left out.
    path : path-like
        The ``.csv`` file to write. Files in its folder are written as relative paths.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Manifest
        The same rows, in the new table.

    Raises
    ------
    ParameterError
        If the name does not end in ``.csv``, or a row cannot be written, such as one
        with a file name that begins with a blank.
    MediaError
        If the file exists, or cannot be written.
    """
    from avalign.files import atomic_output

    table = Path(path)
    if table.suffix.lower() != ".csv":
        raise ParameterError(f"{table}: a manifest is written as CSV", "name a .csv file")
    written = [_checked_cells(row, table) for row in manifest]
    columns = list(dict.fromkeys(["path", *(name for cells in written for name in cells)]))
    with (
        atomic_output(table, overwrite) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(written)
    return Manifest(table, manifest.rows)


def _checked_cells(row: ManifestRow, table: Path) -> dict[str, str]:
    cells = row_cells(row, _folder(table))
    for column, text in cells.items():
        if text != text.strip() or not text.isprintable() or not _encodable(text):
            raise ParameterError(
                f"{table}: the {column} {text!r} of {row.path.name!r} does not fit a table",
                "take line breaks, blanks at its ends and broken characters out of it",
            )
    if RowParser(table, str(row.path), cells).row() != row:
        raise ParameterError(
            f"{table}: the row of {row.path} would be read as another one",
            "give its transcript an ending .align, .srt or .txt",
        )
    return cells


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _folder(table: Path) -> Path:
    return Path(os.path.abspath(table)).parent
