"""Read manifests: tables that say which media files there are and what they are for.

A manifest is a CSV or Parquet file with one row per media file. Only the column
``path`` is required; the others are those of `ManifestRow`, and whatever else the table
holds is kept in ``extra``. Everything that learns or measures starts from one.
"""

from __future__ import annotations

import math
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from avalign.data.tables import read_table
from avalign.errors import ParameterError

__all__ = ["Manifest", "ManifestRow", "read_manifest", "speaker_folds"]

TRUE_WORDS = frozenset({"1", "1.0", "true", "yes"})
FALSE_WORDS = frozenset({"0", "0.0", "false", "no", ""})
TEXT_COLUMNS = ("split", "role", "dataset", "speaker", "language", "licence")
KNOWN_COLUMNS = frozenset({"path", "transcript", "weights_ok", "duration_s", *TEXT_COLUMNS})


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One media file and what is known of it; text that is not stated is ``""``.

    Parameters
    ----------
    path : Path
        The media file, absolute.
    split : str
        What the row is for, such as ``"train"`` or ``"dev"``.
    role : str
        What the file shows, such as ``"in_sync"`` or ``"negative_no_face"``.
    dataset, speaker, language : str
        Provenance.
    transcript : Path or None
        File with the words, absolute.
    weights_ok : bool
        Whether weights trained on this file may be given away. A table without the
        column allows it; an empty cell does not.
    licence : str
        Terms of the file.
    duration_s : float or None
        Length in seconds.
    extra : mapping of str to str
        All other columns.
    """

    path: Path
    split: str = ""
    role: str = ""
    dataset: str = ""
    speaker: str = ""
    language: str = ""
    transcript: Path | None = None
    weights_ok: bool = True
    licence: str = ""
    duration_s: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)


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
        folder = _folder(self.path)
        if row.path.is_relative_to(folder):
            return row.path.relative_to(folder).as_posix()
        return row.path.as_posix()

    def select(
        self,
        *,
        split: str | Iterable[str] | None = None,
        role: str | Iterable[str] | None = None,
        dataset: str | Iterable[str] | None = None,
        weights_ok: bool | None = None,
    ) -> Manifest:
        """Keep the rows that meet all conditions.

        Parameters
        ----------
        split, role, dataset : str or iterable of str, optional
            Accepted values; by default any.
        weights_ok : bool, optional
            Required value; by default any.

        Returns
        -------
        Manifest
            The same table with fewer rows, possibly none.
        """
        wanted = {
            name: {values} if isinstance(values, str) else set(values)
            for name, values in (("split", split), ("role", role), ("dataset", dataset))
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
    seen: dict[Path, str] = {}
    for place, cells in read_table(table, required="path"):
        parser = _RowParser(table, place, cells)
        row = parser.row()
        if row.path in seen:
            problem = f"{cells['path']!r} is already in {seen[row.path]}"
            raise parser.error("path", problem, "keep one of the two")
        seen[row.path] = place
        rows.append(row)
    return Manifest(table, tuple(rows))


def speaker_folds(
    rows: Iterable[ManifestRow], n: int, seed: int = 0
) -> tuple[tuple[ManifestRow, ...], ...]:
    """Deal rows into folds that share no speaker and hold about equally many seconds.

    The speaker with the most seconds goes first, each to the fold that is shortest so
    far. A row without a speaker counts as a speaker of its own; one without a duration
    as long as the median row.

    Parameters
    ----------
    rows : iterable of ManifestRow
        What to deal.
    n : int
        Number of folds, at least 2 and at most the number of speakers.
    seed : int
        Decides between speakers of equal length.

    Returns
    -------
    tuple of tuple of ManifestRow
        The folds; rows keep their order.

    Raises
    ------
    ParameterError
        If ``n`` does not fit the number of speakers.

    References
    ----------
    .. [1] R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on
       Applied Mathematics 17 (2), 1969 (longest processing time first).
    """
    rows = tuple(rows)
    known_s = [row.duration_s for row in rows if row.duration_s is not None]
    typical_s = median(known_s) if known_s else 1.0
    seconds: dict[str, float] = defaultdict(float)
    for row in rows:
        seconds[_speaker_key(row)] += typical_s if row.duration_s is None else row.duration_s
    if not 2 <= n <= len(seconds):
        raise ParameterError(
            f"{n} folds of {len(seconds)} speakers cannot be made",
            "choose from 2 to as many folds as there are speakers",
        )
    speakers = sorted(seconds)
    random.Random(seed).shuffle(speakers)
    load_s = [0.0] * n
    fold_of: dict[str, int] = {}
    for speaker in sorted(speakers, key=lambda name: -seconds[name]):
        fold = min(range(n), key=load_s.__getitem__)
        fold_of[speaker] = fold
        load_s[fold] += seconds[speaker]
    return tuple(
        tuple(row for row in rows if fold_of[_speaker_key(row)] == fold) for fold in range(n)
    )


def _speaker_key(row: ManifestRow) -> str:
    # No speaker's name can hold a NUL: the reader refuses it.
    return row.speaker or f"\0{row.path}"


def _folder(table: Path) -> Path:
    return Path(os.path.abspath(table)).parent


@dataclass(frozen=True, slots=True)
class _RowParser:
    """Turns the cells of one row into a `ManifestRow`, or says which cell is wrong."""

    table: Path
    place: str
    cells: dict[str, str]

    def row(self) -> ManifestRow:
        for column, text in self.cells.items():
            if "\0" in text:
                raise self.error(column, "holds a NUL character", "save the table anew")
        if not self.cells["path"]:
            raise self.error("path", "is empty", "name a media file")
        texts = {name: self.cells.get(name, "") for name in TEXT_COLUMNS}
        return ManifestRow(
            path=self._path("path"),
            transcript=self._path("transcript") if self.cells.get("transcript") else None,
            weights_ok=self._flag("weights_ok"),
            duration_s=self._seconds("duration_s"),
            extra={k: v for k, v in self.cells.items() if k and k not in KNOWN_COLUMNS},
            **texts,
        )

    def error(self, column: str, problem: str, hint: str) -> ParameterError:
        return ParameterError(f"{self.table}, {self.place}, column {column!r}: {problem}", hint)

    def _path(self, column: str) -> Path:
        text = self.cells[column]
        path = Path(text)
        folder = _folder(self.table)
        if path.is_absolute():
            if not path.exists():
                raise self.error(column, f"{text!r} does not exist", "correct the path")
            return Path(os.path.normpath(path))
        # Links are followed only when the file is opened: folders of links are ordinary.
        resolved = Path(os.path.normpath(folder / path))
        if not resolved.is_relative_to(folder) or resolved == folder:
            raise self.error(
                column,
                f"{text!r} leads out of the manifest's folder",
                "write the absolute path where this is meant",
            )
        return resolved

    def _flag(self, column: str) -> bool:
        text = self.cells.get(column, "1").lower()
        if text not in TRUE_WORDS | FALSE_WORDS:
            raise self.error(column, f"{text!r} is neither 0 nor 1", "write 0 or 1")
        return text in TRUE_WORDS

    def _seconds(self, column: str) -> float | None:
        text = self.cells.get(column, "")
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            raise self.error(column, f"{text!r} is not a number of seconds", "write e.g. 12.5")
        return seconds
