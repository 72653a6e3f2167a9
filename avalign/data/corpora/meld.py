"""MELD and tables like it: utterances of dialogues, one CSV file per split.

``train_sent_emo.csv`` has a row per utterance; dialogue 3, utterance 5 of it is
``train_splits/dia3_utt5.mp4``. The videos of a split lie in the folder whose name holds the
name of the split, such as ``dev_splits_complete`` and ``output_repeated_splits_test``.

References
----------
.. [1] S. Poria, D. Hazarika, N. Majumder, G. Naik, E. Cambria, R. Mihalcea, "MELD: A
   Multimodal Multi-Party Dataset for Emotion Recognition in Conversations", ACL 2019.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from avalign.data.corpora.files import find_files, make_manifest
from avalign.data.manifest import Manifest
from avalign.data.rows import ManifestRow
from avalign.data.splits import BY_SENTENCE
from avalign.data.tables import read_table
from avalign.errors import ParameterError
from avalign.files import VIDEO_SUFFIXES

SPLITS = ("train", "dev", "test")
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")


def read_meld(folder: str | os.PathLike[str], *, labels: str = "emotion") -> Manifest:
    """List the utterances of MELD.

    Parameters
    ----------
    folder : path-like
        Where it was unpacked, the tables and the videos.
    labels : {"emotion", "sentiment"}
        What the label of a row is.

    Returns
    -------
    Manifest
        One row per utterance, also where its video is missing: `avalign data check` tells.
        The published split has its speakers on all sides, so it is declared as one by
        sentence.

    Raises
    ------
    ParameterError
        If there are no utterances, or a table is not what it should be.
    MediaError
        If the folder or a table cannot be read.
    """
    if labels not in ("emotion", "sentiment"):
        raise ParameterError(f"labels is {labels!r}", "choose 'emotion' or 'sentiment'")
    folder = Path(folder)
    videos: dict[tuple[str, str], Path] = {}
    for path in find_files(folder, VIDEO_SUFFIXES):
        videos[_split_of(path.parent.name), path.stem] = path
    rows: dict[Path, ManifestRow] = {}
    for table in find_meld_tables(folder):
        for row in _rows(table, _split_of(table.stem), videos, labels.capitalize()):
            rows.setdefault(row.path, row)
    return make_manifest(folder, rows.values(), expected="tables named like train_sent_emo.csv")


def find_meld_tables(folder: Path) -> list[Path]:
    """Find the tables of utterances that `read_meld` reads."""
    return [path for path in find_files(folder, {".csv"}) if _split_of(path.stem)]


def _rows(
    table: Path, split: str, videos: dict[tuple[str, str], Path], label: str
) -> Iterator[ManifestRow]:
    for place, cells in read_table(table, required="Dialogue_ID"):
        for column in (*COLUMNS, label):
            if not cells.get(column):
                raise ParameterError(
                    f"{table}, {place}: the column {column!r} is empty or missing",
                    "take the table as it was published",
                )
        name = f"dia{cells['Dialogue_ID']}_utt{cells['Utterance_ID']}"
        if not name.replace("_", "").isalnum():
            raise ParameterError(
                f"{table}, {place}: {name!r} is no utterance", "write numbers in its columns"
            )
        missing = Path(os.path.abspath(table)).parent / f"{split}_splits" / f"{name}.mp4"
        yield ManifestRow(
            videos.get((split, name), missing),
            split=split,
            split_by=BY_SENTENCE,
            dataset="meld",
            speaker=f"meld_{cells['Speaker']}",
            language="en",
            label=cells[label].lower(),
            text=_plain(cells["Utterance"]),
            weights_ok=False,
            extra={"dialogue": cells["Dialogue_ID"]},
        )


def _split_of(name: str) -> str:
    return next((split for split in SPLITS if split in name.lower().split("_")), "")


def _plain(text: str) -> str:
    """Turn Windows punctuation that was stored as control characters into what was meant."""
    characters = (
        character.encode("latin-1").decode("cp1252", "replace")
        if "\x80" <= character < "\xa0"
        else character
        for character in text
    )
    return " ".join("".join(characters).split())
