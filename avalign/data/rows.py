"""One row of a manifest: its fields, and their cells as text."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from avalign.errors import ParameterError

TRUE_WORDS = frozenset({"1", "1.0", "true", "yes"})
FALSE_WORDS = frozenset({"0", "0.0", "false", "no", ""})
TEXT_COLUMNS = (
    *("split", "split_by", "role", "dataset", "speaker", "language"),
    *("label", "text", "licence"),
)
TIME_COLUMNS = ("start_s", "end_s", "duration_s")
KNOWN_COLUMNS = frozenset(
    {"path", "audio", "transcript", "weights_ok", *TEXT_COLUMNS, *TIME_COLUMNS}
)
OTHER_NAMES = {"start": "start_s", "end": "end_s"}
TRANSCRIPT_SUFFIXES = (".align", ".srt", ".txt")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One utterance: a media file or a span of it, and what is known of it.

    Text that is not stated is ``""``.

    Parameters
    ----------
    path : Path
        The media file, absolute.
    split : str
        What the row is for, such as ``"train"`` or ``"dev"``, or its fold.
    split_by : str
        ``"speaker"`` where no speaker is on two sides of the split, ``"sentence"`` where
        speakers are, on purpose; ``""`` where it is not known.
    role : str
        What the file shows, such as ``"in_sync"`` or ``"negative_no_face"``.
    dataset, speaker, language : str
        Provenance.
    label : str
        The class, such as an emotion.
    text : str
        The words, where they are stated as such.
    transcript : Path or None
        File with the words, absolute.
    audio : Path or None
        File with the sound, absolute; None where it is in `path`.
    start_s, end_s : float or None
        The span of the file that is meant; None for its beginning and its end.
    weights_ok : bool
        Whether weights trained on this file may be given away. A table without the
        column allows it; an empty cell does not.
    licence : str
        Terms of the file.
    duration_s : float or None
        Length in seconds.
    extra : mapping of str to str
        All other columns that say something.
    """

    path: Path
    split: str = ""
    split_by: str = ""
    role: str = ""
    dataset: str = ""
    speaker: str = ""
    language: str = ""
    label: str = ""
    text: str = ""
    transcript: Path | None = None
    audio: Path | None = None
    start_s: float | None = None
    end_s: float | None = None
    weights_ok: bool = True
    licence: str = ""
    duration_s: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def span(self) -> tuple[Path, float | None, float | None]:
        """What tells a row from all others: the file and the part of it."""
        return self.path, self.start_s, self.end_s

    @property
    def speaker_key(self) -> str:
        """Who speaks; a row that does not say counts as a speaker of its own."""
        # No speaker's name can hold a NUL: the parser refuses it.
        return self.speaker or f"\0{self.path}"


@dataclass(frozen=True, slots=True)
class RowParser:
    """Turns the cells of one row into a `ManifestRow`, or says which cell is wrong."""

    table: Path
    place: str
    cells: dict[str, str]

    def row(self) -> ManifestRow:
        """Read the row."""
        for column, text in self.cells.items():
            if "\0" in text:
                raise self.error(column, "holds a NUL character", "save the table anew")
        if not self.cells["path"]:
            raise self.error("path", "is empty", "name a media file")
        start_s, end_s = self._seconds("start_s", "start"), self._seconds("end_s", "end")
        if end_s is not None and end_s <= (start_s or 0.0):
            raise self.error(
                "end_s", f"{end_s} s is not after {start_s or 0.0} s", "exchange the two"
            )
        texts = {name: self.cells.get(name, "") for name in TEXT_COLUMNS}
        words = self.cells.get("transcript", "")
        if words and not _names_file(words):
            texts["text"], words = texts["text"] or words, ""
        known = KNOWN_COLUMNS | OTHER_NAMES.keys()
        return ManifestRow(
            path=self._path("path"),
            transcript=self._path("transcript") if words else None,
            audio=self._path("audio") if self.cells.get("audio") else None,
            start_s=start_s,
            end_s=end_s,
            weights_ok=self._flag("weights_ok"),
            duration_s=self._seconds("duration_s"),
            extra={k: v for k, v in self.cells.items() if k and v and k not in known},
            **texts,
        )

    def error(self, column: str, problem: str, hint: str) -> ParameterError:
        """Make the error that says what is wrong with a cell."""
        return ParameterError(f"{self.table}, {self.place}, column {column!r}: {problem}", hint)

    def _path(self, column: str) -> Path:
        text = self.cells[column]
        path = Path(text)
        folder = Path(os.path.abspath(self.table)).parent
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

    def _seconds(self, column: str, other_name: str = "") -> float | None:
        if self.cells.get(other_name):
            if self.cells.get(column):
                raise self.error(other_name, f"{column!r} says it, too", "keep one of the two")
            column = other_name
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


def row_cells(row: ManifestRow, folder: Path) -> dict[str, str]:
    """Write a row as text by column, without empty cells, paths relative to `folder`."""
    cells = {"path": path_text(row.path, folder)}
    cells |= {name: getattr(row, name) for name in TEXT_COLUMNS}
    for name in ("transcript", "audio"):
        path = getattr(row, name)
        cells[name] = "" if path is None else path_text(path, folder)
    for name in TIME_COLUMNS:
        seconds = getattr(row, name)
        cells[name] = "" if seconds is None else repr(seconds)
    cells["weights_ok"] = "1" if row.weights_ok else "0"
    cells |= row.extra
    return {name: text for name, text in cells.items() if text}


def path_text(path: Path, folder: Path) -> str:
    """Write an absolute path with slashes, relative to `folder` where it lies within."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _names_file(transcript: str) -> bool:
    """Tell a path from words written straight into the cell."""
    if transcript.lower().endswith(TRANSCRIPT_SUFFIXES):
        return True
    return ("/" in transcript or "\\" in transcript) and not any(map(str.isspace, transcript))
